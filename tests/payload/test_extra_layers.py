"""Alpha, ICC profile and EXIF data as layers of a payload."""

import numpy as np
import pytest

from sgc_diffusion.payload import AlphaLayer, ColorLayer, ExifLayer, IccProfileLayer, LabelLayer, SemanticPayload
from sgc_diffusion.payload.smooth_base import smooth_base

PROFILE = (200).to_bytes(4, "big") + bytes(12) + b"RGB " + bytes(16) + b"acsp" + bytes(160)


def test_levels_are_spread_over_the_bytes():
    assert AlphaLayer(np.array([[0, 1, 2, 3]], np.uint8), 4).alpha_map.tolist() == [[0, 85, 170, 255]]
    assert AlphaLayer(np.array([[0, 1, 2]], np.uint8), 3).alpha_map.tolist() == [[0, 128, 255]]
    every = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(AlphaLayer(every).alpha_map, every)


def test_a_small_map_is_enlarged_as_colors_are_and_a_whole_one_is_exact():
    levels = np.array([[0, 3], [1, 2], [3, 3]], np.uint8)
    layer = AlphaLayer(levels, 4)
    expected = smooth_base(np.repeat(layer.alpha_map[..., None], 3, axis=2), 20, 31)[..., 1]
    assert np.array_equal(layer.alpha(20, 31), expected)
    assert np.array_equal(layer.alpha(3, 2), layer.alpha_map)


@pytest.mark.parametrize(
    ("levels", "num_levels", "text"),
    [
        (np.zeros((2, 2), np.uint8), 1, "`num_levels`"),
        (np.zeros((2, 2), np.uint8), 257, "`num_levels`"),
        (np.full((2, 2), 2, np.uint8), 2, "`levels` must be below"),
        (np.zeros((2, 2, 1), np.uint8), 2, "`levels` must be an array"),
        (np.zeros((2, 2), np.int64), 2, "`levels` must be an array"),
        (np.zeros((0, 2), np.uint8), 2, "`levels` must be an array"),
        ([[1]], 2, "`levels` must be an array"),
    ],
)
def test_what_is_no_alpha_is_refused(levels, num_levels, text):
    with pytest.raises(ValueError, match=text):
        AlphaLayer(levels, num_levels)


def test_alpha_is_a_copy():
    levels = np.zeros((2, 2), np.uint8)
    layer = AlphaLayer(levels, 2)
    levels[0, 0] = 1
    assert layer == AlphaLayer(np.zeros((2, 2), np.uint8), 2) != AlphaLayer(np.zeros((2, 2), np.uint8), 3)


@pytest.mark.parametrize("profile", [b"", PROFILE[:-1], PROFILE.replace(b"RGB ", b"CMYK"), PROFILE[:127], "text"])
def test_what_is_no_profile_of_such_pixels_is_refused(profile):
    assert IccProfileLayer(PROFILE).profile == PROFILE
    with pytest.raises(ValueError, match="`profile`"):
        IccProfileLayer(profile)


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0II*\0", b"II*", "II*\0"])
def test_what_is_no_exif_is_refused(exif):
    assert ExifLayer(b"II*\0").exif == b"II*\0"
    with pytest.raises(ValueError, match="`exif`"):
        ExifLayer(exif)


def test_layers_find_their_places():
    color = ColorLayer(np.zeros((1, 1, 3), np.int16), 0)
    plain = SemanticPayload(9, 9, LabelLayer(np.zeros((1, 1), np.uint8), "landscape-24"), color)
    alpha, profile = AlphaLayer(np.zeros((1, 1), np.uint8), 2), IccProfileLayer(PROFILE)
    payload = plain.with_layers(ExifLayer(b"II*\0"), profile).with_layers(alpha)
    assert [layer.kind for layer in payload.layers] == [7, 24, 25]
    other = AlphaLayer(np.ones((1, 1), np.uint8), 2)
    assert payload.with_layers(other).layer(AlphaLayer) == other
