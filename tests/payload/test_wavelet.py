"""The steps between pixels and coefficients: exact, for any size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgc_diffusion.payload import picture_transform, wavelet
from sgc_diffusion.payload.smooth_base import smooth_base

SIZES = [(1, 1), (1, 40), (40, 1), (17, 16), (16, 33), (64, 64), (50, 47), (131, 77)]


@pytest.mark.parametrize("kind", [picture_transform.EXACT, picture_transform.SMOOTH])
@pytest.mark.parametrize("size", SIZES)
def test_pictures_survive_with_any_filters(size, kind):
    generator = np.random.default_rng(sum(size))
    picture = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
    color_map = generator.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    filters = generator.integers(0, 8, (3, 2, 2)).astype(np.uint8)
    chosen = picture_transform.TransformChoices(filters, generator.integers(-8, 8, (2, 3)).astype(np.int8), kind)
    channels, choices = picture_transform.forward(picture, color_map, chosen)
    sides = [(rows, columns) for _, _, rows, columns in wavelet.band_sides(*size)]
    assert [band.shape for scale in channels[0] for band in scale] == sides
    assert np.array_equal(picture_transform.inverse(channels, choices, color_map, *size), picture)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.booleans())
def test_pictures_survive_with_chosen_filters(height, width, seed, is_for_lossless):
    generator = np.random.default_rng(seed)
    picture = np.cumsum(generator.integers(-3, 4, (height, width, 3)), axis=1).astype(np.uint8)
    color_map = generator.integers(0, 256, (2, 3, 3), dtype=np.uint8)
    channels, choices = picture_transform.forward(picture, color_map, is_for_lossless=is_for_lossless)
    assert np.array_equal(picture_transform.inverse(channels, choices, color_map, height, width), picture)


def test_grey_pictures_have_no_chroma():
    grey = np.random.default_rng(0).integers(0, 256, (40, 40, 1), dtype=np.uint8).repeat(3, axis=2)
    channels, _ = picture_transform.forward(grey, np.full((2, 2, 3), 90, np.uint8))
    assert not any(band.any() for channel in channels[1:] for scale in channel for band in scale)


def test_some_pixels_of_the_base_are_those_of_the_whole_and_flat_maps_stay_flat():
    color_map = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    whole = smooth_base(color_map, 300, 130)
    assert np.array_equal(smooth_base(color_map, 300, 130, 4), whole[::4, ::4])
    flat = np.full((3, 2, 3), 201, np.uint8)
    assert (smooth_base(flat, 77, 50) == 201).all()


def test_the_base_of_a_map_of_the_same_size_is_the_map():
    color_map = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    assert np.array_equal(smooth_base(color_map, 12, 10), color_map)


def test_the_base_is_pinned():
    color_map = np.array([[[0, 128, 255], [255, 0, 10]], [[40, 90, 200], [7, 70, 130]]], dtype=np.uint8)
    assert smooth_base(color_map, 3, 4)[1].tolist() == [[12, 114, 239], [43, 94, 196], [108, 50, 102], [139, 30, 59]]


def test_coefficients_that_are_too_large_for_lossy_files_take_the_other_wavelet():
    rows, columns = np.mgrid[:512, :512]
    checks = (255 * ((rows // 32 + columns // 32) & 1))[..., None].repeat(3, axis=2).astype(np.uint8)
    assert picture_transform.forward(checks, np.full((1, 1, 3), 255, np.uint8))[1].kind == picture_transform.EXACT
    calm = (checks // 8).astype(np.uint8)
    assert picture_transform.forward(calm, np.full((1, 1, 3), 20, np.uint8))[1].kind == picture_transform.SMOOTH
