"""The general first stage starts as what it takes over."""

import runpy
from pathlib import Path

import pytest
import torch

RECIPES = Path(__file__).parents[2] / "pipelines" / "general-256"
RECIPE = {
    "block_out_channels": [24, 24, 24, 24],
    "encoder_layers": [0, 1, 1, 1],
    "decoder_layers": [0, 1, 1, 1],
}


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(RECIPES / "train_first_stage.py"))


@pytest.mark.parametrize("many", [8, 12])
def test_more_latents_compute_the_same_at_the_start(script, many):
    torch.manual_seed(0)
    few = script["build_first_stage"](RECIPE | {"latent_channels": 8}).eval()
    model = script["build_first_stage"](RECIPE | {"latent_channels": many}).eval()
    script["take_over"](model, few)
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        expected, latents = few.encode(images).latent, model.encode(images).latent
        assert torch.allclose(latents[:, :8], expected, atol=1e-5)
        assert torch.allclose(model.decode(latents).sample, few.decode(expected).sample, atol=1e-5)
