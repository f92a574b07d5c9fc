"""Training of the hierarchical VAE: its code lengths are real ones, its loss is S3's, its recipe runs."""

import json
import runpy
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, bitstream
from sgc_diffusion.evaluation.metrics import distortion
from sgc_diffusion.features.efficientnet_lite import EfficientNetLite
from sgc_diffusion.payload import ColorLayer, LabelLayer, SemanticPayload, latent_contexts
from sgc_diffusion.training.data import build_cache
from sgc_diffusion.training.latents import ScaleTables, laplace_bits
from sgc_diffusion.training.si_ssim import block_importance, si_ssim_loss

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "pipelines" / "scalable-vae"
SMALLER = {
    "widths": [8, 8, 8, 8],
    "depths": [1, 1, 1, 1],
    "fine_width": 8,
    "fine_depth": 1,
    "encoder_widths": [8, 8, 8, 8],
    "encoder_depths": [1, 1, 1, 1],
    "label_channels": 4,
    "gamma_channels": 8,
    "crop_size": 64,
    "batch_size": 2,
    "num_steps": 3,
    "warmup": 1,
    "num_photos": 4,
    "plane_share": 0.5,
    "si_ssim_weight": 0.1,
}


@pytest.mark.parametrize("scale_log2", [-3.0, 0.0, 2.5])
def test_bits_are_those_of_probabilities(scale_log2):
    symbols = torch.arange(-300, 301).double()
    bits = laplace_bits(symbols, torch.full_like(symbols, scale_log2))
    assert (2**-bits).sum().item() == pytest.approx(1, abs=1e-6) and torch.allclose(bits, bits.flip(0))
    near = laplace_bits(torch.tensor([0.4999999, 0.5000001]).double(), torch.full((2,), scale_log2).double())
    assert near[0].item() == pytest.approx(near[1].item(), abs=1e-4)


def test_tables_become_integers():
    tables = ScaleTables()
    with torch.no_grad():
        tables.tables["near"][2, 3, 5] = 1.03
        tables.tables["gamma"][0, 0, 0] = -20
    entries = tables.entries()
    assert entries["near"][2, 3, 5] == 16 and entries["gamma"][0, 0, 0] == -127
    assert {name: part.shape for name, part in entries.items()} == latent_contexts.TABLE_SHAPES


def test_the_loss_is_the_metric():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (32, 48, 3), dtype=np.uint8)
    second = np.clip(first + rng.normal(0, 20, first.shape), 0, 255).astype(np.uint8)
    importance = rng.random((4, 6))
    tensors = [torch.from_numpy(part).permute(2, 0, 1)[None].double() / 127.5 - 1 for part in (first, second)]
    loss = si_ssim_loss(tensors[1], tensors[0], torch.from_numpy(importance)[None])
    pixels = importance.repeat(8, axis=0).repeat(8, axis=1)
    assert 1 - loss.item() == pytest.approx(distortion.si_ssim(first, second, pixels), abs=1e-6)
    even = si_ssim_loss(tensors[1], tensors[0], torch.zeros(1, 4, 6))
    assert 1 - even.item() == pytest.approx(distortion.block_ssim(first, second).mean(), abs=1e-6)


def test_importance_is_where_the_classifier_looks():
    class Bright(torch.nn.Module):
        """One feature, the brightness, for which one class stands."""

        def __init__(self):
            super().__init__()
            self.classifier = torch.nn.Linear(1, 2)
            torch.nn.init.constant_(self.classifier.weight, 1.0)

        def forward_features(self, pictures):
            return torch.nn.functional.avg_pool2d(pictures.mean(dim=1, keepdim=True), 16)

        def get_classifier(self):
            return self.classifier

    pictures = torch.full((1, 3, 32, 64), -1.0)
    pictures[..., 32:] = 1
    heat = block_importance(EfficientNetLite(Bright(), 64), pictures)
    assert heat.shape == (1, 4, 8) and heat[..., 6:].min() > 10 * heat[..., :2].max() >= 0


@pytest.fixture()
def run_script(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPE))
    known = set(sys.modules)

    def run(path, *arguments):
        monkeypatch.setattr("sys.argv", [path.name, *map(str, arguments)])
        runpy.run_path(str(path), run_name="__main__")

    yield run
    for name in set(sys.modules) - known:
        if name in ("crops", "train_vae", "fit_tables"):
            del sys.modules[name]


def write_smaller_recipe(path):
    recipe = tomllib.loads((RECIPE / "recipe.toml").read_text())
    lines = [f"seed = {recipe.pop('seed')}"]
    for section, values in recipe.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(SMALLER.get(key, value))}" for key, value in values.items())]
    path.write_text("\n".join(lines))


def test_the_recipe_runs(tmp_path, landscape, write_shard, run_script):
    for split in ("train", "val"):
        pictures = {}
        for index in range(4):
            pictures[f"{split}-{index}.webp"] = landscape(288, 272, seed=index)
            ids = np.repeat([3, 17, 10, 10], 36).reshape(-1, 1).repeat(136, 1).astype(np.uint8)
            pictures[f"{split}-{index}.png"] = Image.fromarray(ids.T.copy())
        write_shard(tmp_path / f"{split}-0.tar", pictures)
        build_cache([tmp_path / f"{split}-0.tar"], tmp_path / split, np.arange(256, dtype=np.uint8))
    write_smaller_recipe(tmp_path / "recipe.toml")
    shared = ["--runs", tmp_path / "runs", "--recipe", tmp_path / "recipe.toml"]
    photos = ["--photos", tmp_path]
    run_script(RECIPE / "train_vae.py", *photos, *shared, "--validate-every", 2)
    run_script(RECIPE / "train_vae.py", *photos, *shared)  # resumes, nothing left to do
    lines = [json.loads(line) for line in (tmp_path / "runs" / "vae" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3] and lines[0]["bytes_5"] > 0
    run_script(RECIPE / "plot_curves.py", "--runs", tmp_path / "runs", "--output", tmp_path / "curves.png")
    run_script(RECIPE / "fit_tables.py", *photos, *shared, "--output", tmp_path / "latents.npz")
    with np.load(tmp_path / "latents.npz") as tables:
        assert set(tables.files) == {*latent_contexts.TABLE_SHAPES, "symbol"}
    run_script(ROOT / "eval" / "latents_ablation.py", *photos, *shared, "--count", 2, "--output", tmp_path / "s2.json")
    assert json.loads((tmp_path / "s2.json").read_text())["ratios"]["all"] == pytest.approx(1, rel=1e-3)
    run_script(RECIPE / "export.py", *shared, "--output", tmp_path / "vae")
    pipeline = SemanticCompressionPipeline.from_pretrained(tmp_path / "vae")
    picture = np.asarray(landscape(80, 64))
    color = ColorLayer.from_color_map(picture[::16, ::16].copy(), 30)
    payload = SemanticPayload(80, 64, LabelLayer(np.ones((2, 2), np.uint8), "general-54"), color)
    data = bitstream.encode(pipeline.add_latents(payload, picture, gamma_index=40))
    assert pipeline.decompress(data).images[0].size == (80, 64)
    evaluated = ["base", "--pipeline", tmp_path / "vae", "--images", tmp_path / "pictures", "--size", 64]
    (tmp_path / "pictures").mkdir()
    Image.fromarray(picture).save(tmp_path / "pictures" / "a.png")
    run_script(ROOT / "eval" / "latents.py", *evaluated, "--output", tmp_path / "base.json")
    assert json.loads((tmp_path / "base.json").read_text())["means"]["0 levels"]["pictures"] == 1
