"""`sgc doctor` says what is whole, what is missing, and what gets it."""

import json
import shutil
import sys

import pytest

from sgc_diffusion.cli import main
from sgc_diffusion.cli.diagnosis import diagnose
from sgc_diffusion.cli.doctor import describe
from sgc_diffusion.evaluation.metrics.registry import FILES
from sgc_diffusion.zoo.known import DEFAULT_BASE, KNOWN_PIPELINES


@pytest.fixture()
def report(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command in an empty folder beside an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path / "torch" / "hub"))

    def run():
        assert main(["doctor", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        return found | {"pipelines": {pipeline["name"]: pipeline for pipeline in found["pipelines"]}}

    return run


def test_what_is_missing_comes_with_size_license_source_and_command(report, tmp_path, capsys):
    found = report()["pipelines"]
    assert set(found) == {known.name for known in KNOWN_PIPELINES}
    assert found["landscape-256"]["present"] and not found["landscape-256"]["commands"]
    for name in ("semantic-synthesis-512", "semantic-synthesis-256", "controlnet-seg"):
        one = found[name]
        assert not one["present"] and one["missing"] and one["from"]
        assert one["license"] and one["size_mb"] > 1000
    assert found["semantic-synthesis-512"]["missing"] == [str(tmp_path / "semantic-synthesis-512")]
    assert [command.split()[0] for command in found["semantic-synthesis-512"]["commands"]] == ["curl", "unzip", "sgc"]
    assert all(command.startswith("hf download ") for command in found["controlnet-seg"]["commands"])
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for one in found.values():
        assert one["license"] in shown and all(command in shown for command in one["commands"])


def test_a_converted_folder_is_found_once_it_is_whole(report, tmp_path, tiny_pipeline_folder):
    folder = tmp_path / "semantic-synthesis-512"
    shutil.copytree(tiny_pipeline_folder, folder)
    one = report()["pipelines"]["semantic-synthesis-512"]
    assert one["present"] and not one["missing"] and not one["commands"]
    next((folder / "unet").glob("*.safetensors")).unlink()
    assert not report()["pipelines"]["semantic-synthesis-512"]["present"]
    (folder / "model_index.json").write_text("{")
    assert not report()["pipelines"]["semantic-synthesis-512"]["present"]


def test_a_repository_that_was_fetched_in_part_is_missing(report, tmp_path, tiny_pipeline_folder):
    snapshot = tmp_path / "cache" / f"models--{DEFAULT_BASE.replace('/', '--')}" / "snapshots" / "0123"
    shutil.copytree(tiny_pipeline_folder, snapshot)
    index = json.loads((snapshot / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]  # not fetched, and not needed
    (snapshot / "model_index.json").write_text(json.dumps(index))
    one = report()["pipelines"]["controlnet-seg"]
    assert DEFAULT_BASE not in one["missing"] and len(one["missing"]) == len(one["commands"]) == 2
    assert not any(DEFAULT_BASE in command for command in one["commands"])
    next((snapshot / "vae").glob("*.safetensors")).unlink()
    assert DEFAULT_BASE in report()["pipelines"]["controlnet-seg"]["missing"]


def test_libraries_devices_and_the_tools_of_the_evaluation_are_listed(report, tmp_path, capsys):
    found = report()
    assert found["libraries"]["torch"] and found["libraries"]["diffusers"] and found["python"]
    assert found["devices"][0]["device"] == "cpu" and found["devices"][0]["memory_mb"] > 100
    weights = found["tools"]["metric_weights"]
    # What is published nowhere is no line that tells how to get it.
    assert set(weights) == {file.name for file in FILES.values() if file.url}
    assert not any(file["present"] for file in weights.values())
    assert "LPIPS" in weights["alexnet-owt-7be5be79.pth"]["metrics"]
    assert all(file["command"].startswith("curl ") and file["metrics"] for file in weights.values())
    assert str(tmp_path / "torch" / "hub" / "checkpoints") in weights["vgg16-397923af.pth"]["command"]
    path = tmp_path / "torch" / "hub" / "checkpoints" / "vgg16-397923af.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    present = [name for name, file in report()["tools"]["metric_weights"].items() if file["present"]]
    assert present == ["vgg16-397923af.pth"]
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "weights of SI-SSIM, DISTS: present" in shown and weights["RN50.pt"]["command"] in shown


def test_the_vvc_encoder_is_named_or_what_is_missing_for_it(monkeypatch):
    named = diagnose()["tools"]["vvc"]
    assert named["version"].startswith(("ffmpeg ", "vvencapp")) and named["missing"] is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'sgc-diffusion[vvc]'" in diagnose()["tools"]["vvc"]["missing"]


def test_a_missing_torch_is_told_rather_than_stumbled_over(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr("sgc_diffusion.cli.diagnosis._version", lambda name: None if name == "torch" else "1.0")
    found = diagnose()
    assert [one["device"] for one in found["devices"]] == ["cpu"]
    assert "  torch: not installed (for analyzing and drawing: pip install 'sgc-diffusion[torch]')" in describe(found)
