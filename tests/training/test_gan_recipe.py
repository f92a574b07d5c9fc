"""The recipe of `labels-gan` with tiny networks, a step or two of each configuration: from shards to a pipeline."""

import json
import runpy
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, bitstream
from sgc_diffusion.payload import ColorLayer, DecoderRecipe, LabelLayer, SemanticPayload
from sgc_diffusion.training.data import build_cache
from tests.training.test_recipes import write_vgg

RECIPE = Path(__file__).parents[2] / "pipelines" / "labels-gan"
SMALLER = {
    "generator": {"body_widths": [32, 32], "body_depths": [1, 1, 1], "widths": [8, 8], "depths": [1, 1]},
    "compact": {"width": 8},
    "crops": {"crop_size": 64, "batch_size": 4},
    "ours": {"num_steps": 2, "warmup": 1, "adversarial_start": 1},
    "dsslic": {"num_steps": 2, "critic_width": 8},
}


def write_smaller_recipe(path):
    """Write recipe.toml with the sizes above; every key of the real recipe stays."""
    recipe = tomllib.loads((RECIPE / "recipe.toml").read_text())
    lines = [f"{key} = {json.dumps(value)}" for key, value in recipe.items() if not isinstance(value, dict)]
    for section, values in recipe.items():
        if isinstance(values, dict):
            lines.append(f"[{section}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in (values | SMALLER.get(section, {})).items()]
    path.write_text("\n".join(lines))


@pytest.fixture(scope="module")
def photos(tmp_path_factory, landscape, write_shard):
    """Caches as `pipelines/general-256/prepare.py` makes them."""
    folder = tmp_path_factory.mktemp("photos")
    for split in ("train", "val"):
        pictures = {}
        for index in range(4):
            pictures[f"{index}.webp"] = landscape(288 + 32 * index, 272, seed=index)
            ids = np.repeat([3, 17, 13, 13], 34)[:136]  # sky over mountain over a person, as ADE20K numbers them
            pictures[f"{index}.png"] = Image.fromarray(ids[:, None].repeat(144 + 16 * index, 1).astype(np.uint8))
        write_shard(folder / f"{split}-0.tar", pictures)
        build_cache([folder / f"{split}-0.tar"], folder / split, np.arange(256, dtype=np.uint8), keep_gray=True)
    return folder


@pytest.fixture()
def run_script(monkeypatch, tmp_path, photos):
    monkeypatch.syspath_prepend(str(RECIPE))
    write_smaller_recipe(tmp_path / "recipe.toml")
    write_vgg(tmp_path / "vgg.safetensors")

    def run(name, *arguments):
        options = [*arguments, "--runs", tmp_path / "runs", "--recipe", tmp_path / "recipe.toml"]
        if name.startswith("../../eval"):
            options = [*arguments, "--output", tmp_path / "result.json"]
        if name == "train_gan.py":
            options += ["--photos", photos, "--features", tmp_path / "vgg.safetensors"]
        monkeypatch.setattr("sys.argv", [name, *map(str, options)])
        runpy.run_path(str(RECIPE / name), run_name="__main__")

    return run


@pytest.mark.parametrize("configuration", ["ours", "dsslic"])
def test_a_training_runs_resumes_and_is_exported(tmp_path, run_script, configuration, landscape, tiny_pipeline_folder):
    run_script("train_gan.py", "--configuration", configuration)
    folder = tmp_path / "runs" / configuration
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2 and (folder / "sheet-000002.png").is_file()
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert {"psnr_colors", "psnr_detail", "vgg_compact", "bytes_compact", "bytes_colors"} <= set(lines[-1])
    assert state["objects"]["model"]["generator.pixels.weight"].abs().max() > 0  # both networks have learned
    assert state["objects"]["model"]["compact.decide.2.weight"].abs().max() > 0
    run_script("train_gan.py", "--configuration", configuration)  # resumes, nothing left to do
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["step"] == 2

    run_script("export.py", "--configuration", configuration, "--output", tmp_path / "gan")
    pipeline = SemanticCompressionPipeline.from_pretrained(tmp_path / "gan")
    labels = LabelLayer(np.zeros((3, 4), np.uint8), "landscape-24")
    color = ColorLayer.from_color_map(np.full((3, 4, 3), 90, np.uint8), 20)
    payload = SemanticPayload(50, 40, labels, color, DecoderRecipe(profile=pipeline.config.profile))
    assert payload.recipe.profile == "labels-gan"
    assert pipeline.decompress(bitstream.encode(payload)).images[0].size == (50, 40)
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert pipeline.make_compact(payload, picture).color != color
    assert (tmp_path / "gan" / "README.md").is_file() and (tmp_path / "gan" / "SHA256SUMS").is_file()
    run_script("plot_curves.py", "--configuration", configuration, "--output", tmp_path / "curves.png")
    assert Image.open(tmp_path / "curves.png").width > 500
    if configuration == "ours":
        for seed in range(2):
            landscape(96, 80, seed=seed).save(tmp_path / f"{seed}.png")
        options = ["--encoder", tiny_pipeline_folder, "--pipeline", tmp_path / "gan", "--size", 64]
        run_script("../../eval/compact_image.py", *options, "--images", tmp_path / "*.png", "--limit", 2)
        result = json.loads((tmp_path / "result.json").read_text())
        assert len(result["learned_minus_means_at_equal_bytes"]["psnr_db"]) == 3
        rows = result["pictures"]["0"]["learned"]
        assert [row["bytes"] for row in rows] == sorted((row["bytes"] for row in rows), reverse=True)
