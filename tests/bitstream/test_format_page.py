"""The page that defines the format: it agrees with the code, and a reader written from it alone reads the files."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream import detail_context, header, tables
from sgc_diffusion.payload import (
    PROFILES,
    SCHEDULERS,
    AlphaLayer,
    ExifLayer,
    IccProfileLayer,
    ImportanceLayer,
    RegionsLayer,
    UnknownLayer,
    detail_bands,
)
from sgc_diffusion.payload.detail import DETAIL_KINDS, likeness
from sgc_diffusion.payload.smooth_base import smooth_base
from sgc_diffusion.taxonomy import NUMBERS

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build_format, format_reader = load(ROOT / "docs/build_format.py"), load(Path(__file__).parent / "format_reader.py")
format_reader_masks = load(Path(__file__).parent / "format_reader_masks.py")
format_reader_pixels = load(Path(__file__).parent / "format_reader_pixels.py")
format_reader_detail = load(Path(__file__).parent / "format_reader_detail.py")
TEXT = " ".join(build_format.page().split())


def test_the_page_is_what_the_docstrings_say():
    assert build_format.PAGE.read_text("utf-8") == build_format.page()
    command = [sys.executable, str(ROOT / "docs/build_format.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0


def test_check_notices_a_page_out_of_date(tmp_path, monkeypatch, capsys):
    stale = tmp_path / "format.md"
    stale.write_text("old", encoding="utf-8")
    monkeypatch.setattr(build_format, "PAGE", stale)
    monkeypatch.setattr(sys, "argv", ["build_format.py", "--check"])
    assert build_format.main() == 1
    assert stale.read_text("utf-8") == "old" and "out of date" in capsys.readouterr().err


def test_the_page_gives_every_number():
    profiles = {name: profile.number for name, profile in PROFILES.items()}
    for names in (profiles, SCHEDULERS, NUMBERS):
        assert ", ".join(f"{name} {number}" for name, number in names.items()) in TEXT
    assert all(tables.digest(file) in TEXT for file in tables.FILES)
    assert tables.digest(*tables.FILES)[:16] in TEXT


def test_the_page_gives_the_numbers_of_the_detail_layers():
    steps = " ".join(map(str, detail_bands.LEVEL_STEPS)).replace("-", "−")
    assert steps in TEXT and tables.digest("detail_tables") in TEXT and tables.digest("masks") in TEXT
    for name in ("ENERGY", "NEAR", "CORNER", "PARENT", "PLACE", "TILT", "SIGN_SIZE", "BLOCK"):
        assert " ".join(map(str, getattr(detail_context, f"{name}_LIMITS"))).replace("-", "−") in TEXT


def test_the_page_gives_the_defaults_of_every_profile():
    for name, profile in PROFILES.items():
        column = -2 if profile.number in (2, 3) else -3
        rows = [line.split("|") for line in build_format.section("bitstream/header.py").splitlines() if line[:3] > "| "]
        rows = [row for row in rows if row[1].strip() in set("01234") and len(row) == 8]
        assert [int(row[column]) for row in rows] == list(header.default_fields(profile).values()), name


def test_the_examples_of_the_page_are_golden_files():
    files = [(GOLDEN / f"{name}.sgc").read_bytes() for name in ("tiny", "detail-tiny")]
    for data in files:
        dump = "\n".join("    " + data[start : start + 16].hex(" ") for start in range(0, len(data), 16))
        assert dump in build_format.page()
    cells = [line.split("|")[1].strip(" `") for line in build_format.page().splitlines() if line.startswith("| `")]
    pieces = [bytes.fromhex(cell) for cell in cells if all(len(part) == 2 for part in cell.split())]
    assert b"".join(pieces) == b"".join(files)


def test_the_example_of_a_level_is_the_picture_that_the_page_tells():
    payload = bitstream.decode((GOLDEN / "detail-tiny.sgc").read_bytes())
    assert likeness(payload.layers[0].state)[0, 0].tolist() == [81, 61, 43]
    values = [band.phases() for band in payload.layers[0].state.bands]
    assert [phases[0, 1, 1] for phases in values] == [-5, 0, -1] and payload.color_map.tolist() == [[[85, 66, 47]]]


def golden_files():
    return sorted(path.stem for path in GOLDEN.glob("*.sgc") if path.stem != "sealed")


@pytest.mark.parametrize("name", golden_files())
def test_a_reader_written_from_the_page_reads_the_golden_files(name):
    data = (GOLDEN / f"{name}.sgc").read_bytes()
    ours, theirs = bitstream.decode(data), format_reader.read(data)
    recipe = ours.recipe
    assert theirs["size"] == (ours.width, ours.height)
    assert theirs["profile"] == PROFILES[recipe.profile].number and theirs["weights_hash"] == recipe.weights_hash
    fields = [SCHEDULERS[recipe.scheduler], recipe.num_inference_steps, round(100 * recipe.strength)]
    assert theirs["recipe"] == [*fields, round(10 * recipe.guidance_scale), recipe.seed]
    assert theirs["taxonomy"] == ours.labels.taxonomy_name
    assert theirs["label_map"] == ours.label_map.tolist()
    assert theirs["quality"] == ours.color.quality and theirs["levels"] == ours.color.levels.tolist()
    assert [kind for kind, _ in theirs["layers"]] == [layer.kind for layer in ours.layers]
    for layer, (kind, body) in zip(ours.layers, theirs["layers"], strict=True):
        if isinstance(layer, AlphaLayer):
            reader = format_reader_pixels.Alpha(body)
            assert reader.read() == layer.levels.tolist() and reader.levels == layer.num_levels
        elif isinstance(layer, ImportanceLayer):
            read = format_reader_masks.importance(body, format_reader)
            assert read == (layer.strength, layer.levels.tolist())
        elif isinstance(layer, RegionsLayer):
            size, num_classes = (ours.width, ours.height), ours.labels.taxonomy.num_classes
            inner, regions = format_reader_masks.regions(body, format_reader, size, num_classes)
            assert tuple(inner) == layer.inner_levels
            for read, region in zip(regions, layer.regions, strict=True):
                place = region.exponent, region.top, region.left
                assert read == (*place, region.mask.astype(int).tolist(), region.class_id, region.score)
        elif isinstance(layer, IccProfileLayer | ExifLayer):
            assert body == (layer.profile if isinstance(layer, IccProfileLayer) else layer.exif)
        elif kind not in DETAIL_KINDS:
            assert layer == UnknownLayer(kind, body)


PLAIN_DETAIL = ("detail-tiny", "detail-row", "detail-some", "detail-exact", "detail-part")


@pytest.mark.parametrize("name", PLAIN_DETAIL)
def test_a_reader_written_from_the_page_gives_the_pixels_of_every_level(name):
    data = (GOLDEN / f"{name}.sgc").read_bytes()
    ours, theirs = bitstream.decode(data, strict=True), format_reader.read(data)
    reader = format_reader_detail.Detail(ours.height, ours.width, ours.color_map)
    assert np.array_equal(reader.picture(), smooth_base(ours.color_map, ours.height, ours.width))
    for layer, (kind, body) in zip(ours.layers, theirs["layers"], strict=True):
        told = reader.read(kind - DETAIL_KINDS[0], body, format_reader_pixels.Rans)
        assert told == (layer.psnr_halves / 2 or None, layer.num_bands)
        assert np.array_equal(reader.picture(), likeness(layer.state))


@pytest.mark.parametrize("name", [name for name in golden_files() if name not in ("fine-color", "coco-128")])
def test_the_page_says_what_the_levels_mean(name):
    color = bitstream.decode((GOLDEN / f"{name}.sgc").read_bytes()).color
    assert np.array_equal(format_reader.colors(color.levels.tolist(), color.quality), color.color_map)
