"""Colors of decoded JPEG pictures: found where they are, exact, and nowhere else."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion.bitstream import detail
from sgc_diffusion.payload.detail import likeness, nothing_known
from sgc_diffusion.payload.jpeg_colors import from_jpeg_colors, jpeg_colors, to_jpeg_colors
from sgc_diffusion.payload.picture_transform import EXACT, FULL_JPEG, JPEG, SMOOTH, forward

PHOTO = Image.open(Path(__file__).parents[2] / "pipelines" / "landscape.jpg").convert("RGB")


def saved(picture, quality, subsampling):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "jpeg", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(stream).convert("RGB"))


def vivid(picture):
    """The picture with colors that a decoder clips."""
    return np.clip((picture.astype(np.int16) - 120) * 3 + 120, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("change", [np.asarray, vivid])
def test_every_color_of_a_decoded_jpeg_picture_is_one(quality, subsampling, change):
    picture = saved(change(np.asarray(PHOTO)[:200, :300]), quality, subsampling)
    planes = jpeg_colors(picture)
    assert planes is not None
    assert np.array_equal(from_jpeg_colors(planes), picture)


def test_other_pictures_are_none():
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    assert jpeg_colors(noise) is None
    touched = saved(np.asarray(PHOTO)[:64, :64], 90, 0).copy()
    assert jpeg_colors(touched) is not None
    touched[5, 5] = 120, 121, 120  # between the colors of a decoder
    assert jpeg_colors(touched) is None


def test_gray_stays_gray_and_the_nearest_colors_are_near():
    gray = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    channels = to_jpeg_colors(gray)
    assert not channels[1:].any() and np.array_equal(channels[0], gray[..., 0])
    colors = np.random.default_rng(1).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    assert np.abs(from_jpeg_colors(to_jpeg_colors(colors)).astype(int) - colors).max() == 1


def test_channels_that_no_encoder_writes_are_clipped():
    wild = [np.full((1, 1), number, np.int16) for number in (32767, -32768, 32767)]
    assert from_jpeg_colors(wild).tolist() == [[[255, 255, 255]]]


def test_a_decoded_jpeg_picture_costs_less_than_one_with_other_colors():
    picture = saved(np.asarray(PHOTO)[200:328, 200:328], 92, 2)
    color_map = picture[::32, ::32].copy()
    [body] = detail.encode_levels(picture, color_map, [15])
    state = detail.decode_level(body, 15, nothing_known(128, 128, color_map))
    assert state.choices.kind == JPEG
    assert np.array_equal(likeness(state), picture)
    other = picture.copy()
    other[0, 0] = 120, 121, 120
    [larger] = detail.encode_levels(other, color_map, [15])
    assert len(body) < 0.9 * len(larger)


def test_the_kind_of_transform_follows_what_a_file_is_for_and_the_chroma_of_the_picture():
    color_map = np.full((2, 2, 3), 90, np.uint8)
    noise = np.random.default_rng(2).normal(0, 25, (96, 96, 3))
    noisy = np.clip(np.asarray(PHOTO)[:96, :96] * 0.5 + 60 + noise, 0, 255).astype(np.uint8)
    for subsampling, kind in ((2, JPEG), (0, FULL_JPEG)):
        decoded = saved(noisy, 95, subsampling)
        assert forward(decoded, color_map, is_for_lossless=True)[1].kind == kind
        assert forward(decoded, color_map)[1].kind == SMOOTH
    assert forward(noisy, color_map, is_for_lossless=True)[1].kind == EXACT
