"""The color transform: exact inverse, orthonormal basis, named rejects."""

import math

import numpy as np
import pytest

from sgc_diffusion.payload import color_transform


@pytest.mark.parametrize("num_points", [1, 2, 3, 16, 17, 64])
def test_basis_is_the_dct(num_points):
    k, i = np.mgrid[:num_points, :num_points]
    expected = (
        np.cos(np.pi * (2 * i + 1) * k / (2 * num_points)) * np.where(k == 0, 1, math.sqrt(2)) / math.sqrt(num_points)
    )
    assert np.abs(color_transform.basis(num_points) / 2**16 - expected).max() < 2**-16


@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (5, 3), (16, 16), (64, 64)])
def test_finest_quality_is_nearly_lossless(shape):
    color_map = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    restored = color_transform.dequantize(color_transform.quantize(color_map, 0), 0)
    assert restored.dtype == np.uint8
    assert np.abs(restored.astype(int) - color_map).max() <= 4


def test_inverse_survives_extreme_levels():
    for level in (-32768, 32767):
        levels = np.full((64, 64, 3), level, np.int16)
        assert color_transform.dequantize(levels, len(color_transform.STEPS) - 1).shape == (64, 64, 3)


def test_every_step_lowers_the_error():
    rows, columns = np.mgrid[:16, :16]
    color_map = np.stack([rows * 15, columns * 12, 200 - rows * columns // 2], -1).clip(0, 255).astype(np.uint8)
    errors = []
    for quality in (0, 16, 32, 48, 63):
        restored = color_transform.dequantize(color_transform.quantize(color_map, quality), quality)
        errors.append(((restored.astype(float) - color_map) ** 2).mean())
    assert errors == sorted(errors)


@pytest.mark.parametrize("arguments", [(0, 1, 0), (1, 65, 0), (1, 1, -1), (1, 1, 64), (1, 1, True)])
def test_check_rejects(arguments):
    with pytest.raises(ValueError, match="`"):
        color_transform.require_grid(*arguments)


def test_forward_rejects_a_float_map():
    with pytest.raises(ValueError, match="`color_map` must be uint8"):
        color_transform.quantize(np.zeros((4, 4, 3)), 16)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (3,), (1, 4, 4, 3)])
def test_levels_of_another_shape_are_rejected(shape):
    with pytest.raises(ValueError, match=r"`levels` must be int16 of shape \(h, w, 3\)"):
        color_transform.dequantize(np.zeros(shape, np.int16), 16)
