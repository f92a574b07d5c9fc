"""Weights that were changed are named before they are loaded."""

import json
import shutil

import pytest

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.cli import main
from sgc_diffusion.zoo.checksums import LIST, file_sha256, find_cache_changes, find_changes, write_checksums
from sgc_diffusion.zoo.names import WEIGHTS_FOLDER


@pytest.fixture()
def folder(tiny_pipeline_folder, tmp_path):
    copy = shutil.copytree(tiny_pipeline_folder, tmp_path / "tiny")
    write_checksums(copy)
    return copy


def test_embedded_weights_are_those_that_were_exported():
    assert find_changes(WEIGHTS_FOLDER / "landscape-256") == []
    for path in WEIGHTS_FOLDER.glob(f"*/{LIST}"):
        assert find_changes(path.parent) == []


def test_changed_missing_and_additional_files_are_named(folder):
    assert find_changes(folder) == []
    changed, missing = sorted(folder.rglob("*.safetensors"))[:2]
    content = changed.read_bytes()
    changed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    missing.rename(folder / "unet" / "other.safetensors")
    lines = find_changes(folder)
    assert len(lines) == 3 and str(changed) in lines[0] and "missing" in lines[1] and "other" in lines[2]
    with pytest.raises(ValueError, match="was changed: its SHA-256"):
        SemanticCompressionPipeline.from_pretrained(folder)


def test_a_folder_without_a_list_is_loaded(tiny_pipeline_folder):
    assert find_changes(tiny_pipeline_folder) is None


def test_the_hubs_cache_tells_by_its_names(tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    (blobs / "short").write_bytes(b"text")
    (blobs / "whole").write_bytes(b"weights")
    (blobs / "whole").rename(blobs / file_sha256(blobs / "whole"))
    assert find_cache_changes(tmp_path) == []
    (blobs / ("0" * 64)).write_bytes(b"weights")
    assert len(find_cache_changes(tmp_path)) == 1


def test_doctor_compares(capsys):
    assert main(["doctor", "--verify", "--json"]) == 0
    pipelines = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["pipelines"]}
    assert pipelines["landscape-256"]["changes"] == []
