"""The recipe of the embedded pipeline with tiny networks, a step or two each: from shards to a pipeline that draws."""

import json
import runpy
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderDC
from PIL import Image
from safetensors.torch import save_file

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.training.loops import TrainingRun, warmup_cosine
from sgc_diffusion.training.losses import grid_error

RECIPE = Path(__file__).parents[2] / "pipelines" / "landscape-256"
SMALLER = {
    "block_out_channels": {"first_stage": [8, 8, 16, 16], "denoiser": [32, 32]},
    "embedding_size": 8,
    "hidden_sizes": [8, 8, 16, 16],
    "depths": [1, 1, 1, 1],
    "head_size": 16,
    "short_side": 64,
    "crop_size": 64,
    "batch_size": 2,
    "num_steps": 2,
    "num_drawn": 1,
    "num_pairs": 4,
    "adversarial_start": 1,
    "latent_side": 8,
    "coarse_factors": [1, 2, 4],
}
VGG_WIDTHS = {"11": 3, "12": 4, "21": 4, "22": 4, "31": 4, "32": 4, "33": 4, "34": 4}
VGG_WIDTHS |= {"41": 4, "42": 4, "43": 4, "44": 4, "51": 4}


def write_smaller_recipe(path):
    """Write recipe.toml with the sizes above; every key of the real recipe stays."""
    recipe = tomllib.loads((RECIPE / "recipe.toml").read_text())
    lines = [f"{key} = {json.dumps(value)}" for key, value in recipe.items() if not isinstance(value, dict)]
    for section, values in recipe.items():
        if isinstance(values, dict):
            lines.append(f"[{section}]")
            for key, value in values.items():
                smaller = SMALLER.get(key, value)
                smaller = smaller.get(section) if isinstance(smaller, dict) else smaller
                lines.append(f"{key} = {json.dumps(smaller)}")
    path.write_text("\n".join(lines))


def write_vgg(path):
    generator = torch.Generator().manual_seed(0)
    weights = {"conv0.weight": torch.eye(3).reshape(3, 3, 1, 1), "conv0.bias": torch.zeros(3)}
    for name, width in VGG_WIDTHS.items():
        weights[f"conv{name}.weight"] = torch.randn(4, width, 3, 3, generator=generator) * 0.2
        weights[f"conv{name}.bias"] = torch.zeros(4)
    save_file(weights, path)


@pytest.fixture()
def run_script(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPE))

    def run(name, *arguments):
        monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
        runpy.run_path(str(RECIPE / name), run_name="__main__")

    return run


def test_every_stage_runs_and_the_export_loads(tmp_path, landscape, write_shard, run_script):
    shards = tmp_path / "shards"
    shards.mkdir()
    for split, count in (("train", 4), ("val", 4)):
        pictures = {}
        for index in range(count):
            pictures[f"{split}-{index}.webp"] = landscape(288 + 32 * index, 272, seed=index)
            ids = np.repeat([3, 17, 10, 10], 34)[:136]  # sky over mountain over grass, as ADE20K numbers them
            width = 144 + 16 * index
            pictures[f"{split}-{index}.png"] = Image.fromarray(ids[:, None].repeat(width, 1).astype(np.uint8))
        write_shard(shards / f"{split}-0.tar", pictures)
    runs, output = tmp_path / "runs", tmp_path / "tiny-landscape"
    write_smaller_recipe(tmp_path / "recipe.toml")
    write_vgg(tmp_path / "vgg.safetensors")
    options = ["--runs", runs, "--recipe", tmp_path / "recipe.toml"]

    run_script("prepare.py", "--data", shards, "--runs", runs)
    run_script("train_first_stage.py", "--features", tmp_path / "vgg.safetensors", *options)
    run_script("export.py", "--only-first-stage", *options)
    run_script("train_segmenter.py", *options)
    run_script("train_denoiser.py", *options)
    run_script("train_few_step.py", *options)
    run_script("train_decoder.py", "--features", tmp_path / "vgg.safetensors", *options)
    encoded = AutoencoderDC.from_pretrained(runs / "export" / "vae").state_dict()
    run_script("export.py", "--output", output, *options)

    changed = {
        name
        for name, weights in AutoencoderDC.from_pretrained(runs / "export" / "vae").state_dict().items()
        if not torch.equal(weights, encoded[name])
    }
    assert changed and all(name.startswith("decoder.") for name in changed)  # latents stay valid
    pipeline = SemanticCompressionPipeline.from_pretrained(output)
    assert pipeline.config.profile == "landscape-256"
    assert pipeline.decompress(pipeline.compress(landscape(64, 64))).images[0].size == (64, 64)
    assert pipeline.decompress(pipeline.compress(landscape(64, 64), preset="fast")).images[0].size == (64, 64)
    before = torch.load(runs / "denoiser" / "checkpoint.pt", weights_only=True)["step"]
    run_script("train_denoiser.py", *options)  # resumes, nothing left to do
    assert torch.load(runs / "denoiser" / "checkpoint.pt", weights_only=True)["step"] == before == 2


def test_a_run_continues_where_it_stopped(tmp_path):
    def counter():
        return torch.nn.Linear(1, 1, bias=False)

    first = counter()
    run = TrainingRun(tmp_path, {"model": first}, max_minutes=1e9, save_every=2)
    for step in run.steps(5):
        torch.nn.init.constant_(first.weight, step)
        run.log(every=2, loss=step)
    second = counter()
    again = TrainingRun(tmp_path, {"model": second}, max_minutes=1e9)
    assert (again.step, second.weight.item()) == (5, 4.0)
    assert list(again.steps(7)) == [5, 6]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(2, 0.5), (4, 2.5)]
    assert list(TrainingRun(tmp_path, {"model": second}, max_minutes=0).steps(100)) == []


def test_a_grid_is_seen_and_a_texture_is_not():
    flat, stripes = torch.zeros(1, 3, 64, 64), torch.arange(64) % 4 == 0
    grid = flat + 0.1 * stripes
    texture = 0.1 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert grid_error(flat + 0.3).item() < 1.1e-5  # a wrong color is no pattern
    assert grid_error(grid).item() == pytest.approx(0.1 * (0.25 * 0.75) ** 0.5, rel=1e-3)
    assert grid_error(texture).item() < 0.3 * texture.std().item()


def test_learning_rate_warms_up_and_decays():
    factors = [warmup_cosine(step, 1000, warmup=100, floor=0.1) for step in range(1001)]
    assert factors[0] == 0.01 and factors[99] == 1.0
    assert factors[100:] == sorted(factors[100:], reverse=True)
    assert factors[-1] == pytest.approx(0.1)
