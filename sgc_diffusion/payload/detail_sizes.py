"""Sizes of wavelet coefficients as far as they are known, and the neighbors of the cells of a phase.

Both the coder of the detail levels, for its contexts, and the likeness, for the middle of what a coefficient can be,
look at them; `bitstream.detail_context` says what a size and a step are.
"""

from __future__ import annotations

from functools import cache

import numpy as np


def sizes_of(values: np.ndarray, known_plane: int | np.ndarray, plane: int | np.ndarray) -> np.ndarray:
    """Return the sizes, uint16 of the same shape, of values int16 that are known down to `known_plane`.

    Args:
        values: of any shape.
        known_plane: one for all, or uint8 of the same shape.
        plane: whose quarters the sizes are in; one for all, or uint8 of the same shape.
    """
    sizes = np.abs(values).view(np.uint16) << 2
    if np.any(known_plane):
        sizes += (sizes != 0) * (np.left_shift(2, known_plane, dtype=np.uint16) - np.uint16(2))
    sizes >>= plane
    return np.minimum(sizes, 255, out=sizes)


@cache
def _step_table(limits: tuple[int, ...]) -> np.ndarray:
    """Return how many limits each number reaches, (65536,) uint8; of negative numbers in two's complement."""
    numbers = np.arange(1 << 16, dtype=np.uint16).view(np.int16 if limits[0] < 0 else np.uint16)
    return np.searchsorted(limits, numbers, side="right").astype(np.uint8)


def steps(numbers: np.ndarray | None, limits: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Return how many limits the numbers of this shape, 16 bits wide, reach, uint8; None stands for zeros."""
    if numbers is None:
        return np.zeros(shape, dtype=np.uint8)
    return _step_table(limits).take(numbers.view(np.uint16))


def neighbor(phases: np.ndarray, phase: int, down: int, right: int) -> np.ndarray:
    """Return, for every cell of a phase, its neighbor so many rows down and columns right, each −2 … 2: a view."""
    row, column = (phase >> 1) + down, (phase & 1) + right
    whole = phases[(row & 1) * 2 + (column & 1)]
    top, left = 1 + (row >> 1), 1 + (column >> 1)
    return whole[top : top + whole.shape[0] - 2, left : left + whole.shape[1] - 2]


def neighbor_sums(phases: np.ndarray, phase: int) -> list[np.ndarray]:
    """Return the sums over the neighbors left and right, above and below, and at the corners of every cell."""
    left, right = neighbor(phases, phase, 0, -1), neighbor(phases, phase, 0, 1)
    above, below = neighbor(phases, phase, -1, 0), neighbor(phases, phase, 1, 0)
    corners = neighbor(phases, phase, -1, -1) + neighbor(phases, phase, -1, 1)
    corners += neighbor(phases, phase, 1, -1)
    corners += neighbor(phases, phase, 1, 1)
    return [left + right, above + below, corners]
