"""The one rule which pixel is in which cell."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgc_diffusion.payload.grid import cell_indices, enlarge

counts = st.integers(1, 300)


@given(counts, counts)
def test_a_pixel_is_in_the_cell_that_its_center_lies_in(num_pixels, num_cells):
    cells = cell_indices(num_pixels, num_cells)
    assert cells.dtype == np.int64 and cells.shape == (num_pixels,)
    for pixel, cell in enumerate(cells.tolist()):
        center = (pixel + Fraction(1, 2)) / num_pixels
        assert Fraction(cell, num_cells) <= center < Fraction(cell + 1, num_cells)


@given(counts, counts)
def test_every_cell_has_a_pixel_if_there_are_enough(num_pixels, num_cells):
    counted = np.bincount(cell_indices(num_pixels, num_cells), minlength=num_cells)
    if num_pixels >= num_cells:
        assert counted.max() - counted.min() <= 1 and counted.min() >= 1
    else:
        assert counted.max() <= 1


@given(counts, counts)
def test_a_mirrored_side_has_the_mirrored_cells_but_for_borders(num_pixels, num_cells):
    cells = cell_indices(num_pixels, num_cells)
    mirrored = num_cells - 1 - cells[::-1]
    is_border = (2 * np.arange(num_pixels) + 1) * num_cells % (2 * num_pixels) == 0
    assert np.array_equal(cells[~is_border], mirrored[~is_border])


def test_sides_of_small_numpy_types_do_not_wrap():
    assert cell_indices(np.uint8(200), np.uint8(100)).tolist() == [pixel // 2 for pixel in range(200)]


def test_enlarging_repeats_cells_and_keeps_the_type():
    small = np.array([[1, 2], [3, 4]], np.uint8)
    assert enlarge(small, 3, 5).tolist() == [[1, 1, 2, 2, 2], [3, 3, 4, 4, 4], [3, 3, 4, 4, 4]]
    assert enlarge(small, 3, 5).dtype == np.uint8
    assert enlarge(np.zeros((2, 2, 3), np.int16), 4, 6).shape == (4, 6, 3)


@pytest.mark.parametrize(("arguments", "name"), [((0, 1), "num_pixels"), ((1, 0), "num_cells")])
def test_nothing_is_refused(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        cell_indices(*arguments)
