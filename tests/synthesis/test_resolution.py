import numpy as np
import pytest
import torch
from PIL import Image

from sgc_diffusion.synthesis.resolution import resize_pixels


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
