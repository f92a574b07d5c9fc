"""Importance, regions, and what they do to the planes of coefficients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgc_diffusion.payload import ImportanceLayer, Region, RegionsLayer, Steering
from sgc_diffusion.payload.detail import coarsened, exact_state, likeness
from sgc_diffusion.payload.detail_bands import FIRST_PLANE, make_bands
from sgc_diffusion.payload.regions import FACE, MAX_REGIONS, grid_sides

COLOR_MAP = np.full((2, 3, 3), 90, np.uint8)


def box(exponent, top, left, rows, columns, **fields):
    return Region(exponent, top, left, np.ones((rows, columns), bool), **fields)


@st.composite
def outlines(draw, height, width):
    exponent = draw(st.integers(3, 5))
    rows, columns = grid_sides(exponent, height, width)
    top, left = draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))
    shape = draw(st.integers(1, rows - top)), draw(st.integers(1, columns - left))
    mask = np.random.default_rng(draw(st.integers(0, 99))).random(shape) < 0.7
    mask[0, :] = mask[:, 0] = mask[-1, -1] = True
    return Region(exponent, top, left, mask)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_pixels_of_regions_are_exact_once_their_coefficients_are(data):
    height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    picture = np.random.default_rng(data.draw(st.integers(0, 9))).integers(0, 256, (height, width, 3), np.uint8)
    regions = RegionsLayer(data.draw(st.lists(outlines(height, width), min_size=1, max_size=3)))
    state = exact_state(picture, COLOR_MAP, Steering(height, width, regions=regions))
    inside = regions.pixels(height, width)
    assert np.array_equal(likeness(coarsened(state, 2))[inside], picture[inside])
    assert np.array_equal(likeness(state), picture)


def test_what_is_far_from_a_region_stays_the_smooth_base():
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    steering = Steering(128, 128, regions=RegionsLayer([box(3, 0, 0, 2, 2)]))
    known = likeness(coarsened(exact_state(picture, COLOR_MAP, steering), 2))
    plain = likeness(coarsened(exact_state(picture * 0 + 90, COLOR_MAP), 15))
    assert np.array_equal(known[:32, :32], picture[:32, :32])
    assert np.array_equal(known[110:, 110:], plain[110:, 110:])


def test_levels_of_classes_rise_and_end_exact():
    importance = ImportanceLayer(np.arange(4).reshape(2, 2), strength=2)
    for layers in ({"importance": importance}, {"regions": RegionsLayer([box(3, 0, 0, 1, 1)])}):
        steering = Steering(64, 64, **layers)
        rising = np.array([steering.levels(level) for level in range(16)])
        assert (np.diff(rising, axis=0) >= 0).all() and (rising[-1] == 15).all()
    assert Steering(64, 64, importance).levels(6) == (4, 6, 8, 10)
    both = Steering(64, 64, importance, RegionsLayer([box(3, 0, 0, 1, 1)], (4, 6, 9)))
    assert [both.levels(level) for level in (0, 2, 3, 11)] == [
        (-1, -1, -1, -1, 4),
        (-1, -1, -1, -1, 9),
        (-1, 0, 2, 4, 9),
        (8, 10, 12, 14, 10),
    ]


def test_more_important_cells_are_finer():
    picture = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    levels = np.zeros((4, 4), int)
    levels[:2, :2] = 3
    state = exact_state(picture, COLOR_MAP, Steering(64, 64, ImportanceLayer(levels, 2)))
    error = np.abs(likeness(coarsened(state, 6)).astype(int) - picture).mean(axis=2)
    assert error[:24, :24].mean() < 0.4 * error[40:, 40:].mean()


def test_nothing_known_has_a_plane_for_each_class():
    steering = Steering(40, 40, ImportanceLayer(np.ones((2, 2), int)))
    assert {band.planes for band in make_bands(40, 40, steering)} == {(FIRST_PLANE,) * 4}
    assert make_bands(40, 40)[0].planes == (FIRST_PLANE,)


def test_grids_are_in_proportion():
    assert (
        grid_sides(5, 512, 512) == (32, 32) and grid_sides(5, 100, 400) == (8, 32) and grid_sides(3, 1, 900) == (1, 8)
    )


def test_pixels_of_a_region_are_those_of_its_cells():
    region = box(3, 2, 4, 2, 1)
    pixels = region.pixels(40, 80)
    assert pixels.sum() == 2 * 10 * 10 and pixels[20:40, 40:50].all()
    assert not region.fits(20, 80) and region.fits(40, 80)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ImportanceLayer(np.zeros((2, 2))), "`levels` must hold integers"),
        (lambda: ImportanceLayer(np.full((2, 2), 4)), "from 0 to 3"),
        (lambda: ImportanceLayer(np.zeros((65, 2), int)), "1 to 64 cells"),
        (lambda: ImportanceLayer(np.zeros((2, 2), int), strength=4), "`strength`"),
        (lambda: Region(3, 0, 0, np.zeros((2, 2), bool)), "reach every side"),
        (lambda: Region(3, 0, 0, np.ones((2, 2))), "dtype bool"),
        (lambda: box(3, 7, 0, 2, 1), "leaves its grid"),
        (lambda: box(11, 0, 0, 1, 1), "`exponent`"),
        (lambda: box(3, 0, 0, 1, 1, class_id=256), "`class_id`"),
        (lambda: Region(10, 0, 0, np.eye(129, dtype=bool)), "at most 16384 cells"),
        (lambda: RegionsLayer([]), "1 to 32"),
        (lambda: RegionsLayer([box(3, 0, 0, 1, 1)] * (MAX_REGIONS + 1)), "1 to 32"),
        (lambda: RegionsLayer([box(3, 0, 0, 1, 1)], (5, 4, 9)), "do not fall"),
        (lambda: Steering(8, 8), "both None"),
        (lambda: Steering(10, 80, regions=RegionsLayer([box(3, 4, 0, 1, 1)])), "inside the 80×10 picture"),
    ],
)
def test_rejected(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_layers_are_equal_by_value():
    assert RegionsLayer([box(3, 0, 0, 1, 1)]) == RegionsLayer((box(3, 0, 0, 1, 1),))
    assert RegionsLayer([box(3, 0, 0, 1, 1)]) != RegionsLayer([box(3, 0, 0, 1, 1, class_id=FACE)])
    assert ImportanceLayer(np.ones((2, 2), int)) != ImportanceLayer(np.zeros((2, 2), int))
