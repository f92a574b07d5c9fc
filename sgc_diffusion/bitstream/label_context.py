"""Contexts of the label coder: what is known about a cell before it is coded.

      .    .    .    .  NNNN  .    .    .    .     .    .      the 25 causal neighbors of the cell X: the first 15 of
      .    .    d    d  NNN   d    d    .    .     .    .      `OFFSETS` are near, the other ten, d, are distant
      .    d  NNWW NNW  NN   NNE NNEE   d    .     .    .
      .    .   NWW  NW  N    NE  NEE  NEEE   d     d    .
    WWWW  WWW  WW   W   X

A cell is asked in turn whether it has the label of each of at most seven neighbors, its candidates. The probability
of each answer comes from the sum of four table entries (see `tables`), found by

    mask      which near neighbors hold the candidate
    distant   which distant ones do
    pattern   which of the nearest six are equal among themselves, and the size of the grid
    setting   where in the picture the row is, how rough the map was so far, and the size of the grid

Nothing in them depends on what the classes are, so one table serves every taxonomy.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

OFFSETS = (
    (0, -1), (-1, 0), (-1, 1), (-1, -1), (0, -2), (-2, 0), (-1, 2), (-2, 1),
    (-2, -1), (-1, -2), (-2, 2), (-2, -2), (0, -3), (-3, 0), (-1, 3),
    (-1, 4), (-1, 5), (-2, 3), (-2, -3), (-3, 1), (-3, -1), (-3, 2), (-3, -2), (0, -4), (-4, 0),
)  # fmt: skip  # W N NE NW WW NN NEE NNE NNW NWW NNEE NNWW WWW NNN NEEE, then the distant ones
NUM_NEAR = 15
PAD = 5  # the longest offset
NUM_CANDIDATES = 7
ROUGHNESS_LIMITS = (2, 3, 4, 5, 7, 9)
MASK_SIZE = 3 << 15
PATTERN_SIZE = 4 * 5 * 720
DISTANT_SIZE = 3 * 16 << 10
SETTING_SIZE = 2 * 5 * 7 * 4 * 7


def grid_scale(height: int, width: int) -> int:
    """Return the class of the grid's size, 0 … 3; about 16×16, 32×32, 64×64, 128×128."""
    return sum(height * width >= limit for limit in (512, 2048, 8192))


def row_band(row: int, height: int) -> int:
    """Return the class of a row's position: 0 is the first row, 1 … 6 the sixths of the picture."""
    return 0 if row == 0 else 1 + row * 6 // height


def roughness(num_surprises: int, num_edges: int) -> int:
    """Return the class of roughness, 0 … 6, from the counts of cells at edges and of those unlike their guess."""
    ratio = (16 * num_surprises + 16) // (num_edges + 6)
    return sum(ratio >= limit for limit in ROUGHNESS_LIMITS)


def neighbors(maps: np.ndarray) -> np.ndarray:
    """Return the causal neighbors of every cell.

    Cells outside are like the nearest inside; above the first row everything is like its first cell, and left of
    the first column like the first cell of the row above.

    Args:
        maps: (B, h, w) label maps of any integer dtype.

    Returns:
        (25, B, h, w) of the same dtype in the order of `OFFSETS`.
    """
    height, width = maps.shape[1:]
    first = maps[:, :1, :1]
    padded = np.pad(maps, ((0, 0), (PAD, 0), (PAD, PAD)), mode="edge")
    above = np.concatenate([first, maps[:, :-1, :1]], axis=1)
    current = np.concatenate([above.repeat(PAD, axis=2), maps], axis=2)
    around = np.empty((len(OFFSETS), *maps.shape), dtype=maps.dtype)
    for index, (dy, dx) in enumerate(OFFSETS):
        if dy == 0:
            around[index] = current[:, :, PAD + dx : PAD + dx + width]
        else:
            around[index] = padded[:, PAD + dy : PAD + dy + height, PAD + dx : PAD + dx + width]
            around[index, :, 0] = first[:, 0]
    return around


def candidates(near: np.ndarray) -> list[np.ndarray]:
    """Return the candidates in the order they are asked for, each (B, h, w); repeats are skipped by the coder."""
    west, north, northeast, northwest, westwest, northnorth, northeasteast = near[:7]
    vertical_edge = northwest == west
    first, second = np.where(vertical_edge, north, west), np.where(vertical_edge, west, north)
    return [first, second, northeast, northwest, westwest, northnorth, northeasteast]


def patterns(near: np.ndarray) -> np.ndarray:
    """Return (B, h, w) int32, 0 … 719: which of the nearest six neighbors are equal, as a mixed-radix number."""
    ids = np.zeros((6, *near.shape[1:]), dtype=np.int32)
    highest = np.zeros(near.shape[1:], dtype=np.int32)
    pattern = np.zeros(near.shape[1:], dtype=np.int32)
    radix = 1
    for index in range(1, 6):
        current = np.full(near.shape[1:], -1, dtype=np.int32)
        for earlier in range(index):
            current = np.where((current < 0) & (near[earlier] == near[index]), ids[earlier], current)
        highest += current < 0
        ids[index] = np.where(current < 0, highest, current)
        pattern += radix * ids[index]
        radix *= index + 1
    return pattern


def settings(maps: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return (B, h, w) int32: position, size of the grid, roughness so far, flatness; rank 0's index of the table."""
    height, width = maps.shape[1:]
    west, north, northeast, northwest = near[:4]
    surprises = (maps != np.where(northwest == west, north, west)).sum(axis=2)
    edges = ((west != north) | (north != northeast) | (west != northwest)).sum(axis=2)
    surprises, edges = np.cumsum(surprises, axis=1) - surprises, np.cumsum(edges, axis=1) - edges
    rough = np.searchsorted(ROUGHNESS_LIMITS, (16 * surprises + 16) // (edges + 6), side="right")
    bands = np.array([row_band(row, height) for row in range(height)])
    rows = ((bands * 4 + grid_scale(height, width)) * 7 + rough) * 10
    return rows[:, :, None].astype(np.int32) + (near[1:7] == near[0]).all(axis=0)


def questions(maps: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
    """Yield, for each rank of candidate, what is asked and its contexts; the first cell of a map is not asked.

    Args:
        maps: (B, h, w) uint8 label maps.

    Yields:
        is_asked (B, h, w) bool; for the n cells that are, answer (n,) bool, and for each table its indices (n,) int32.
    """
    near = neighbors(maps)
    pattern, setting = patterns(near), settings(maps, near)
    scale = grid_scale(*maps.shape[1:])
    is_open = np.ones(maps.shape, dtype=bool)
    is_open[:, 0, 0] = False
    ruled_out: list[np.ndarray] = []
    for rank, candidate in enumerate(candidates(near)):
        is_asked = is_open.copy()
        for earlier in ruled_out:
            is_asked &= earlier != candidate
        label = candidate[is_asked]
        mask = np.zeros(len(label), dtype=np.int32)
        for index in range(len(OFFSETS)):
            mask |= (near[index][is_asked] == label).astype(np.int32) << index
        depth, stage = min(rank, 4), min(rank, 2)
        contexts = {
            "mask": (mask & (1 << NUM_NEAR) - 1) * 3 + stage,
            "distant": ((mask >> NUM_NEAR) * 16 + (mask & 15)) * 3 + stage,
            "pattern": (pattern[is_asked] * 5 + depth) * 4 + scale,
            "setting": setting[is_asked] + 2 * depth,
        }
        yield is_asked, maps[is_asked] == label, contexts
        is_open &= maps != candidate
        ruled_out.append(candidate)
