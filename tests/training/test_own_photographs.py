"""A folder of photographs becomes shards that the recipe reads, and torchvision's VGG19 the file that it asks for."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sgc_diffusion.features.vgg19 import Vgg19
from sgc_diffusion.taxonomy import class_table, load_taxonomy
from sgc_diffusion.training.data import PhotoCache, read_shard

PIPELINES = Path(__file__).parents[2] / "pipelines"
SCRIPTS = PIPELINES / "own-photographs"


def run(monkeypatch, script, *arguments):
    monkeypatch.setattr("sys.argv", [script.name, *map(str, arguments)])
    runpy.run_path(str(script), run_name="__main__")


def test_photographs_become_shards_that_the_recipe_reads(tmp_path, monkeypatch, landscape, capsys):
    photos, shards = tmp_path / "photos", tmp_path / "shards"
    photos.mkdir()
    for index in range(3):
        landscape(400, 300, seed=index).save(photos / f"{index}.png")
    landscape(100, 80).save(photos / "small.png")
    run(monkeypatch, SCRIPTS / "shards.py", "--images", photos, "--output", shards)
    told = capsys.readouterr()
    assert "small.png" in told.err and "3 pictures, 1 of them held out" in told.out
    (held_out,) = read_shard(shards / "val-000.tar")
    assert held_out[1].shape == (288, 384, 3) and held_out[2].max() <= 150
    run(monkeypatch, PIPELINES / "landscape-256" / "prepare.py", "--data", shards, "--runs", tmp_path / "runs")
    cache = PhotoCache(tmp_path / "runs" / "train")
    assert len(cache) == 2
    names = load_taxonomy("landscape-24").names
    assert {names[label] for label in np.unique(cache.label_map(0))} & {"sky", "mountain", "grass", "tree", "sea"}


def test_a_label_comes_back_as_what_it_was():
    ids = runpy.run_path(str(SCRIPTS / "shards.py"))["shard_ids"]("landscape-24")
    back = class_table("ade20k-150", "landscape-24")
    names = load_taxonomy("landscape-24").names
    assert all(back[label - 1] == number for number, label in enumerate(ids) if label)
    assert len(ids) == len(names) and ids.all()


def test_the_converted_network_gives_torchvisions_features(tmp_path):
    models = pytest.importorskip("torchvision.models")
    network = torch.nn.Module()
    torch.manual_seed(0)
    network.features = models.vgg.make_layers(models.vgg.cfgs["E"], batch_norm=False)
    scripts = runpy.run_path(str(SCRIPTS / "perceptual_weights.py"))
    save_file(scripts["convert"](network), tmp_path / "vgg.safetensors")
    pixels = torch.rand(1, 3, 64, 64)
    normal = (pixels - scripts["MEAN"].reshape(3, 1, 1)) / scripts["STD"].reshape(3, 1, 1)
    with torch.no_grad():
        ours, theirs = Vgg19(tmp_path / "vgg.safetensors")(pixels)[1], network.features[:9](normal)
    inside = (slice(None), slice(None), slice(4, -4), slice(4, -4))  # theirs pad with zeros, ours reflect
    assert torch.allclose(ours[inside], theirs[inside], atol=1e-4)
