import numpy as np
import pytest
import torch
from diffusers import UNet2DModel
from PIL import Image

from sgc_diffusion.synthesis.resolution import native_side, plan_sizes, resize_pixels


@pytest.mark.parametrize("size", [(30, 50), (64, 64), (7, 130), (1, 1)])
def test_resizing_agrees_with_pillow_on_8_bits_within_its_rounding(size):
    levels = np.random.default_rng(0).integers(64, 192, (64, 64, 3), dtype=np.uint8)  # nothing clips
    pixels = torch.from_numpy(levels).permute(2, 0, 1) / 127.5 - 1
    resized = resize_pixels(pixels, *size)
    expected = np.asarray(Image.fromarray(levels).resize(size[::-1], Image.Resampling.LANCZOS), dtype=float)
    assert resized.shape == (3, *size) and resized.dtype == torch.float32
    assert np.abs((resized.permute(1, 2, 0).numpy() + 1) * 127.5 - expected).max() < 1.2


@pytest.mark.parametrize("size", [(64, 64), (40, 90)])
def test_resizing_keeps_more_than_8_bits_hold(size):
    """A ramp of less than one gray level over the whole picture comes out as a ramp."""
    ramp = torch.linspace(0, 1 / 255, 64).expand(3, 64, 64)
    resized = resize_pixels(ramp, *size)
    assert len(resized[0, 0].unique()) > 30
    assert resized.min() >= -1e-4 and resized.max() <= 1 / 255 + 1e-4


def test_resizing_is_clipped_where_the_filter_rings():
    edge = torch.ones(3, 16, 16)
    edge[..., :8] = -1
    resized = resize_pixels(edge.half(), 40, 40)
    assert (resized.min(), resized.max()) == (-1, 1)


def make_unet(sample_size):
    blocks = {"down_block_types": ("DownBlock2D",) * 3, "up_block_types": ("UpBlock2D",) * 3}
    return UNet2DModel(sample_size, block_out_channels=(4, 4, 4), norm_num_groups=2, layers_per_block=1, **blocks)


@pytest.mark.parametrize(("sample_size", "expected"), [(32, 32), ((32, 32), 32), ([32, 48], 40), ((64, 16), 32)])
def test_a_denoiser_says_the_side_that_it_was_trained_at(sample_size, expected):
    assert native_side(make_unet(sample_size)) == expected
    assert plan_sizes(256, 256, 8 * native_side(make_unet(sample_size)), 32)[0] == (8 * expected, 8 * expected)


@pytest.mark.parametrize("sample_size", [None, 0, -3, (32,), (32, None), "32", 32.0])
def test_a_denoiser_without_a_size_is_refused(sample_size):
    unet = make_unet(32)
    unet.register_to_config(sample_size=sample_size)
    with pytest.raises(ValueError, match=r"`unet` must have a `sample_size` .* got .*; give"):
        native_side(unet)
