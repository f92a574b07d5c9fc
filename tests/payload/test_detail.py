"""Detail levels: what they know, when they are equal, what they are made of."""

import numpy as np
import pytest

from sgc_diffusion.payload import DetailLevel
from sgc_diffusion.payload.detail import (
    LOSSLESS,
    active_blocks,
    coarsened,
    exact_state,
    likeness,
    nothing_known,
    same_state,
)
from sgc_diffusion.payload.detail_bands import NUM_LEVELS, to_phases
from sgc_diffusion.payload.smooth_base import smooth_base

GENERATOR = np.random.default_rng(0)
PICTURE = GENERATOR.integers(0, 256, (33, 47, 3), dtype=np.uint8)
COLOR_MAP = GENERATOR.integers(0, 256, (3, 4, 3), dtype=np.uint8)
STATE = exact_state(PICTURE, COLOR_MAP)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (33, 47), (64, 16)])
def test_the_exact_state_is_the_picture(size):
    picture = GENERATOR.integers(0, 256, (*size, 3), dtype=np.uint8)
    assert np.array_equal(likeness(exact_state(picture, COLOR_MAP)), picture)


def test_nothing_known_is_the_smooth_base():
    assert np.array_equal(likeness(nothing_known(33, 47, COLOR_MAP)), smooth_base(COLOR_MAP, 33, 47))


def test_a_coarser_level_is_a_part_of_every_finer_one():
    for level in range(NUM_LEVELS):
        state = coarsened(STATE, level)
        assert same_state(state, coarsened(coarsened(STATE, min(level + 2, LOSSLESS)), level))
        assert coarsened(state, level) is state
        for band in state.bands:
            assert band.plane == band.target_plane(level)
            assert (band.values is None) == (band.active is None)
            assert band.values is None or (
                band.values.any() and np.array_equal(band.active, active_blocks(band.values))
            )


def test_active_blocks_hold_something():
    coefficients = np.zeros((20, 9), np.int16)
    coefficients[0, 7] = coefficients[16, 8] = -1
    assert active_blocks(to_phases(coefficients)).tolist() == [[True, False], [False, False], [False, True]]


def test_levels_are_equal_by_value():
    again = exact_state(PICTURE.copy(), COLOR_MAP)
    assert DetailLevel(20, STATE) == DetailLevel(20, again) != DetailLevel(21, again)
    other = PICTURE.copy()
    other[0, 0, 0] ^= 1
    assert DetailLevel(23, STATE) != DetailLevel(23, exact_state(other, COLOR_MAP))
    assert DetailLevel(8, STATE) != DetailLevel(8, exact_state(PICTURE[:, :-1], COLOR_MAP))
    with pytest.raises(TypeError, match="unhashable"):
        hash(DetailLevel(8, STATE))


def test_sharing_leaves_a_level_as_it_is():
    level = DetailLevel(12, coarsened(STATE, 4))
    level.share(STATE)
    assert level.finest is STATE and level == DetailLevel(12, coarsened(STATE, 4))


def test_arrays_are_read_only():
    band = next(band for band in DetailLevel(23, STATE).finest.bands if band.values is not None)
    with pytest.raises(ValueError, match="read-only"):
        band.values[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("kind", "state", "message"),
    [
        (7, STATE, "`kind`"),
        (24, STATE, "`kind`"),
        (12, coarsened(STATE, 3), "`finest` must know the planes of level 4"),
        (8, PICTURE, "`finest` must be a DetailState"),
    ],
)
def test_what_is_no_level(kind, state, message):
    with pytest.raises(ValueError, match=message):
        DetailLevel(kind, state)
