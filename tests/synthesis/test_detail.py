"""A drawing over detail: it fills bins of zero, leaves every coded coefficient in its bin, and is gone at the end."""

from dataclasses import replace

import numpy as np
import pytest

from sgc_diffusion.payload import ColorLayer, DetailLevel, LabelLayer, SemanticPayload
from sgc_diffusion.payload.detail import FIRST_KIND, LOSSLESS, exact_state
from sgc_diffusion.payload.detail_bands import from_phases
from sgc_diffusion.payload.picture_transform import forward
from sgc_diffusion.synthesis.detail import fill_detail
from sgc_diffusion.synthesis.likeness import likeness

NUMBERS = np.random.default_rng(0)
SLOPE = np.linspace(70, 180, 48)[:, None, None] + np.linspace(-20, 20, 60)[:, None]
PICTURE = np.clip(SLOPE + NUMBERS.normal(0, 12, (48, 60, 3)), 40, 215).astype(np.uint8)
DRAWN = np.clip(SLOPE[:, ::-1] + NUMBERS.normal(0, 12, (48, 60, 3)), 40, 215).astype(np.uint8)
COLOR = ColorLayer.from_color_map(PICTURE[::8, ::8].copy(), 32)
PLAIN = SemanticPayload(60, 48, LabelLayer(np.zeros((2, 2), np.uint8), "landscape-24"), COLOR)
STATE = exact_state(PICTURE, PLAIN.color_map, is_for_lossless=True)


def with_level(level):
    return replace(PLAIN, layers=(DetailLevel(FIRST_KIND + level, STATE),))


def error(picture):
    return float(np.mean((picture.astype(float) - PICTURE) ** 2))


def test_the_exact_picture_stays_whatever_is_drawn():
    assert np.array_equal(fill_detail(DRAWN, with_level(LOSSLESS), 1.0), PICTURE)


def test_without_detail_the_drawing_is_all_there_is():
    assert np.array_equal(fill_detail(DRAWN, PLAIN, 0.5), DRAWN)


@pytest.mark.parametrize("level", [0, 4, 8, 12, 15])
def test_no_fill_is_the_likeness(level):
    assert np.array_equal(fill_detail(DRAWN, with_level(level), 0.0), likeness(with_level(level)))


@pytest.mark.parametrize("level", [4, 6, 8, 11])
@pytest.mark.parametrize("detail_fill", [0.4, 1.0])
def test_coded_coefficients_keep_their_bins_and_the_others_take_the_drawing_s(level, detail_fill):
    state = with_level(level).layers[0].state
    filled = fill_detail(DRAWN, with_level(level), detail_fill)
    assert 1 < filled.min() and filled.max() < 254  # nothing was clipped
    ours, drawn = (forward(picture, state.color_map, state.choices)[0] for picture in (filled, DRAWN))
    ours, drawn = ([[band for scale in channel for band in scale] for channel in each] for each in (ours, drawn))
    places, num_zeros, num_coded = [0, 0, 0], 0, 0
    for band in state.bands:
        place, known = places[band.channel], from_phases(band.phases())[: band.rows, : band.columns]
        places[band.channel] += 1
        mine, theirs = ours[band.channel][place], drawn[band.channel][place]
        is_zero = known == 0
        assert np.array_equal(
            np.sign(mine[~is_zero]) * (np.abs(mine[~is_zero]) >> band.plane << band.plane), known[~is_zero]
        )
        reach = int(detail_fill * (2**band.plane - 1))
        assert np.array_equal(mine[is_zero], np.clip(theirs[is_zero], -reach, reach))
        num_zeros, num_coded = num_zeros + is_zero.sum(), num_coded + (~is_zero).sum()
    assert num_zeros and num_coded


def test_finer_levels_leave_less_to_the_drawing():
    differences = [error(fill_detail(DRAWN, with_level(level), 1.0)) for level in (1, 4, 8, 12, 15)]
    assert differences == sorted(differences, reverse=True) and differences[-1] == 0


@pytest.mark.parametrize("level", [4, 8])
def test_with_the_wavelet_of_lossy_files_bins_hold_but_for_the_rounding_of_pixels(level):
    smooth = exact_state(PICTURE, PLAIN.color_map)
    payload = replace(PLAIN, layers=(DetailLevel(FIRST_KIND + level, smooth),))
    filled, state = fill_detail(DRAWN, payload, 1.0), payload.layers[0].state
    ours = [
        [band for scale in channel for band in scale] for channel in forward(filled, COLOR.color_map, smooth.choices)[0]
    ]
    for index, band in enumerate(state.bands):
        known = from_phases(band.phases())[: band.rows, : band.columns]
        beyond = np.abs(ours[index % 3][index // 3][known == 0]) - (2**band.plane - 1)
        assert beyond.max(initial=0) <= 12 and np.maximum(beyond, 0).mean() < 2  # quarters of a gray level
