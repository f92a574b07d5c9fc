"""The recipe of `general-256` with tiny networks, a step or two each: from shards to a pipeline that draws."""

import json
import runpy
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, bitstream
from tests.training.test_recipes import write_vgg

RECIPE = Path(__file__).parents[2] / "pipelines" / "general-256"
SMALLER = {
    "first_stage": {"block_out_channels": [24, 24, 24, 24], "decoder_layers": [0, 1, 1, 1], "crop_size": 64},
    "segmenter": {"head_size": 16, "short_side": 64},
    "denoiser": {"block_out_channels": [32, 32], "latent_side": 8},
    "few_step": {"num_decoded": 1, "decoded_side": 8},
}
EVERYWHERE = {"batch_size": 2, "num_steps": 2, "adversarial_start": 1}


def write_smaller_recipe(path):
    """Write recipe.toml with the sizes above; every key of the real recipe stays."""
    recipe = tomllib.loads((RECIPE / "recipe.toml").read_text())
    lines = [f"seed = {recipe.pop('seed')}"]
    for section, values in recipe.items():
        changes = {key: value for key, value in EVERYWHERE.items() if key in values} | SMALLER.get(section, {})
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in (values | changes).items()]
    path.write_text("\n".join(lines))


@pytest.fixture()
def run_script(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPE))
    for name in ("train_first_stage", "train_segmenter", "train_denoiser", "export", "prepare"):  # of another recipe
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)

    def run(name, *arguments):
        monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
        runpy.run_path(str(RECIPE / name), run_name="__main__")

    return run


def test_every_stage_runs_and_the_export_loads(tmp_path, landscape, write_shard, run_script):
    shards = tmp_path / "shards"
    shards.mkdir()
    for split in ("train", "val"):
        pictures = {}
        for index in range(6):
            key = f"gen-{split}-{index}" if index % 2 else f"{split}-{index}"
            pictures[f"{key}.webp"] = landscape(288 + 32 * index, 272, seed=index)
            ids = np.repeat([3, 17, 13, 13], 34)[:136]  # sky over mountain over a person, as ADE20K numbers them
            pictures[f"{key}.png"] = Image.fromarray(ids[:, None].repeat(144 + 16 * index, 1).astype(np.uint8))
        write_shard(shards / f"{split}-0.tar", pictures)
    runs, output = tmp_path / "runs", tmp_path / "tiny-general"
    write_smaller_recipe(tmp_path / "recipe.toml")
    write_vgg(tmp_path / "vgg.safetensors")
    options = ["--runs", runs, "--recipe", tmp_path / "recipe.toml"]
    features = ["--features", tmp_path / "vgg.safetensors"]
    start = runpy.run_path(str(RECIPE / "train_first_stage.py"))
    first_stage = tomllib.loads((tmp_path / "recipe.toml").read_text())["first_stage"]
    start["build_first_stage"](first_stage | {"latent_channels": 8}).save_pretrained(tmp_path / "start")

    run_script("prepare.py", "--data", shards, "--runs", runs)
    run_script("train_first_stage.py", *features, "--start", tmp_path / "start", *options)
    run_script("train_segmenter.py", *options)
    run_script("export.py", "--only-first-stage", *options)
    run_script("train_denoiser.py", *options)
    run_script("train_few_step.py", *features, *options)
    run_script("export.py", "--output", output, *options)

    pipeline = SemanticCompressionPipeline.from_pretrained(output)
    data = pipeline.compress(landscape(64, 64))
    assert bitstream.decode(data).recipe.profile == "general-256"
    assert pipeline.decompress(data).images[0].size == (64, 64)
    assert pipeline.decompress(data, preset="fine").images[0].size == (64, 64)
    before = torch.load(runs / "few_step" / "checkpoint.pt", weights_only=True)["step"]
    run_script("train_few_step.py", *features, *options)  # resumes, nothing left to do
    assert torch.load(runs / "few_step" / "checkpoint.pt", weights_only=True)["step"] == before == 2
