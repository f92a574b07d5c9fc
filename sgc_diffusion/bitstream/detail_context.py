"""Contexts of the detail coder: what is known about coefficients before a plane of them is coded.

TODO normative text
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sgc_diffusion.bitstream.detail_bands import HH, LH, LOW, Band, from_phases

PHASE_ORDER = (0, 3, 1, 2)
NUM_FEATURES = 11
MULTIPLICITIES = (2, 2, 4, 2, 2, 1, 1, 1, 1, 4, 1)
NUM_ENERGIES = 32
# Table name → (entries per choice of constants…, varying entries)
SHAPES = {
    "start": (12, 3, 9, 2, 4),
    "block_place": (12, 3, 9, 4, 2),
    "block_near": (3, 4, 2, 25 * 8),
    "block_other": (3, 4, 512),
    "energy_phase": (3, 4, 4, NUM_ENERGIES * 4),
    "energy_plane": (12, 3, NUM_ENERGIES * 4),
    "energy_scale": (9, 4, NUM_ENERGIES * 4),
    "shape": (3, 4, 2, 256),
    "cross": (3, 4, 1250),
    "sign_near": (3, 9, 4, 75),
    "sign_cross": (3, 4, 27),
}


@dataclass(frozen=True)
class Question:
    """A batch of decisions and where their log-odds stand.

    Attributes:
        groups: pairs of tables, each with its constant indices, and one varying index (n,) that they share.
        truth: (n,) bool, or None in a decoder.
    """

    groups: list[tuple[list[tuple[str, tuple[int, ...]]], np.ndarray]]
    size: int


def scaled(values: np.ndarray, known: int, plane: int) -> np.ndarray:
    """Return how large coefficients are, in quarters of 2^plane, at most 255; uint16 of the same shape.

    Args:
        values: int16, known down to the plane `known`; 0 stands for 0, others for the middle of what they can be.
        known: 0 … 12.
        plane: 0 … 11.
    """
    sizes = np.abs(values).view(np.uint16) << 2
    if known:
        sizes += (sizes != 0).astype(np.uint16) * np.uint16((2 << known) - 2)
    sizes >>= plane
    return np.minimum(sizes, 255, out=sizes)


def fitted(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the array cut or filled with zeros at its end to a shape."""
    if array.shape == shape:
        return array
    result = np.zeros(shape, dtype=array.dtype)
    rows, columns = min(shape[0], array.shape[0]), min(shape[1], array.shape[1])
    result[:rows, :columns] = array[:rows, :columns]
    return result


@dataclass
class Surroundings:
    """Other bands of the same place as a band's, each (…) uint16 of `scaled`, or None where nothing is known."""

    parent: np.ndarray | None = None  # (4·m, 4·n): of the cell of the next coarser scale, the same for all phases
    cousin: np.ndarray | None = None  # (4, 4·m + 2, 4·n + 2): other orientations of the scale
    luma: np.ndarray | None = None  # (4, 4·m + 2, 4·n + 2): Y
    orange: np.ndarray | None = None  # (4, 4·m + 2, 4·n + 2): Co, for Cg
    luma_values: np.ndarray | None = None
    orange_values: np.ndarray | None = None
    parent_values: np.ndarray | None = None


def find_surroundings(band: Band, bands: dict[tuple[int, int, int], Band], plane: int) -> Surroundings:
    """Look up the other bands.

    Args:
        band: the one that is coded.
        bands: every band by channel, scale, orientation.
        plane: that is coded.
    """
    found = Surroundings()
    rows, columns = (4 * side for side in band.num_blocks)
    if band.orientation != LOW:
        parent = bands.get((band.channel, band.scale + 1, band.orientation))
        if parent is not None and parent.values is not None:
            whole = from_phases(parent.values, 1 << 30, 1 << 30)
            found.parent_values = fitted(whole, (rows, columns))
            found.parent = scaled(found.parent_values, parent.plane, plane)
    cousins = [bands[band.channel, band.scale, kind] for kind in range(1, band.orientation)]
    arrays = [_aligned(scaled(c.values, c.plane, plane), rows, columns) for c in cousins if c.values is not None]
    if arrays:
        found.cousin = arrays[0] if len(arrays) == 1 else (arrays[0] + arrays[1]) >> 1
    for channel in range(band.channel):
        other = bands[channel, band.scale, band.orientation]
        if other.values is not None:
            sizes = scaled(other.values, other.plane, plane)
            if channel == 0:
                found.luma, found.luma_values = sizes, other.values
            else:
                found.orange, found.orange_values = sizes, other.values
    return found


def _aligned(phases: np.ndarray, rows: int, columns: int) -> np.ndarray:
    if phases.shape[1:] == (rows + 2, columns + 2):
        return phases
    result = np.zeros((4, rows + 2, columns + 2), dtype=phases.dtype)
    height, width = min(rows, phases.shape[1] - 2), min(columns, phases.shape[2] - 2)
    result[:, 1 : 1 + height, 1 : 1 + width] = phases[:, 1 : 1 + height, 1 : 1 + width]
    return result


def neighbor(phases: np.ndarray, phase: int, down: int, right: int) -> np.ndarray:
    """Return, for every cell of a phase, its neighbor so many rows down and columns right, each −2 … 2: a view."""
    row, column = (phase >> 1) + down, (phase & 1) + right
    top, left = 1 + (row >> 1), 1 + (column >> 1)
    whole = phases[(row & 1) * 2 + (column & 1)]
    return whole[top : top + whole.shape[0] - 2, left : left + whole.shape[1] - 2]


def features(sizes: np.ndarray, phase: int, around: Surroundings) -> list[np.ndarray | None]:
    """Return the eleven features of every cell of a phase, (4·m, 4·n) uint16 each; None is zero everywhere."""
    near = lambda *places: sum_of(neighbor(sizes, phase, *place) for place in places)
    at = lambda other, *places: None if other is None else sum_of(neighbor(other, phase, *place) for place in places)
    return [
        near((0, -1), (0, 1)),
        near((-1, 0), (1, 0)),
        near((-1, -1), (-1, 1), (1, -1), (1, 1)),
        near((0, -2), (0, 2)),
        near((-2, 0), (2, 0)),
        around.parent,
        at(around.cousin, (0, 0)),
        at(around.luma, (0, 0)),
        at(around.orange, (0, 0)),
        at(around.luma, (0, -1), (0, 1), (-1, 0), (1, 0)),
        at(around.orange, (0, -1)) if False else None,
    ]


def sum_of(parts: Iterator[np.ndarray]) -> np.ndarray:
    first = next(parts)
    second = next(parts, None)
    if second is None:
        return first
    total = first + second
    for part in parts:
        total += part
    return total


def steps(values: np.ndarray | None, limits: tuple[int, ...], shape: tuple[int, int]) -> np.ndarray:
    """Return how many of the limits are reached, uint8."""
    result = np.zeros(shape, dtype=np.uint8)
    if values is not None:
        for limit in limits:
            result += values >= limit
    return result


def combine(weights: np.ndarray, values: list[np.ndarray | None]) -> np.ndarray:
    """Return Σ weight · feature, uint16."""
    total = None
    for weight, value in zip(weights.tolist(), values, strict=True):
        if value is not None and weight:
            part = value * np.uint16(weight)
            if total is None:
                total = part
            else:
                total += part
    return np.zeros_like(values[0]) if total is None else total
