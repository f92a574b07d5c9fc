"""Compact images in training against the coder, the smooth base and the color matching that decoders have."""

import numpy as np
import pytest
import torch

from sgc_diffusion import bitstream
from sgc_diffusion.payload import ColorLayer
from sgc_diffusion.payload.smooth_base import smooth_base
from sgc_diffusion.synthesis.color_matching import match_color
from sgc_diffusion.training.compact import coded, enlarged, estimated_bits, matched


@pytest.fixture()
def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, 7, 9, 3), dtype=np.uint8)


def as_tensor(pixels):
    return torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_what_is_coded_is_what_a_decoder_sees_and_gradients_pass(pixels):
    compact = as_tensor(pixels).requires_grad_()
    seen = coded(compact, [20, 40])
    for image, layer_pixels, quality in zip(seen, pixels, (20, 40), strict=True):
        expected = ColorLayer.from_color_map(layer_pixels, quality).color_map
        assert np.array_equal(((image.detach() + 1) * 127.5).round().byte().permute(1, 2, 0).numpy(), expected)
    weights = torch.randn(seen.shape)
    (seen * weights).sum().backward()
    assert torch.equal(compact.grad, weights)


def test_the_enlarged_map_is_the_smooth_base(pixels):
    base = enlarged(as_tensor(pixels), 50, 61)
    for image, color_map in zip(base, pixels, strict=True):
        expected = smooth_base(color_map, 50, 61).astype(float)
        assert np.abs((image.permute(1, 2, 0).numpy() + 1) * 127.5 - expected).max() < 3.5
        assert np.abs((image.permute(1, 2, 0).numpy() + 1) * 127.5 - expected).mean() < 0.6


def test_larger_files_have_more_estimated_bits(landscape):
    small = np.asarray(landscape(320, 320).resize((16, 16)))
    kinds = [(small, 20), (small, 32), (small, 44), (small // 4 + 96, 32), (small * 0 + 96, 32)]
    estimates = [float(estimated_bits(as_tensor(image[None]), [quality])) for image, quality in kinds]
    sizes = [
        bitstream.layer_size_bytes(ColorLayer.from_color_map(image, quality), before=bitstream.DecodedLayers(1, 1))
        for image, quality in kinds
    ]
    assert np.array_equal(np.argsort(estimates), np.argsort(sizes))


def test_matching_is_a_round_of_the_decoders(pixels, monkeypatch):
    monkeypatch.setattr("sgc_diffusion.synthesis.color_matching.NUM_ROUNDS", 1)
    drawn = torch.rand(2, 3, 48, 56) * 1.2 - 0.6
    color_maps = as_tensor(pixels // 8 + 112)
    for image, picture, color_map in zip(matched(drawn, color_maps), drawn, pixels // 8 + 112, strict=True):
        assert torch.allclose(image, match_color(picture, color_map), atol=1e-5)
