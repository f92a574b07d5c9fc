"""Contexts of the latents: what is known about a symbol before it is coded

The symbols of a level come channel by channel, and those of a channel in four *turns*: the places of even row and even
column, of odd and odd, of even and odd, of odd and even. The *size* of a symbol is its absolute value, at most 15; it
is 0 where it is not known yet, outside of the level, and in a level that is not there. How many limits of a list a
number reaches is its *step*.

The scale of a symbol comes from the sum of the entries of six tables, each by level and channel, at these places:
  gamma     the index of γ; in latents that follow the importance, plus 4 · strength · (v − 1) for the importance v of
            its cell in which the middle of the latent lies, but at least 0 and at most 48
  label     the label of the cell of the label map in which the middle of the latent lies ("The label layer" says which
            that is), as the class of `general-54` that its label set maps it to; 54 if none of its maps leads there
  color     3 · step of the activity of the color cell in which the middle of the latent lies, in `ACTIVITY_LIMITS`, +
            how many of the neighbors above and left of the latent have another label, 0 … 2
  coarse    4 · step in `COARSE_LIMITS` of the sum of the sizes over the channels of the next coarser level at row ⌊i/2⌋
            and column ⌊j/2⌋ + step in `COARSE_NEAR_LIMITS` of the same sum over the four nearest neighbors of that
            place; 0 for level 0
  earlier   4 · step in `EARLIER_LIMITS` of the sum of the sizes of the earlier channels at the place + step in
            `EARLIER_NEAR_LIMITS` of the same sum over its four nearest neighbors
  near      24 · turn + 4 · step in `NEAR_LIMITS` of the sum of the sizes of the four nearest neighbors in the channel +
            step in `CORNER_LIMITS` of that of the four at the corners

The *activity* of a color cell is the largest difference between the number R + 2·G + B of the cell and that of its four
nearest neighbors, by absolute value, over 4, rounded down.
"""

from __future__ import annotations

import numpy as np

from sgc_diffusion.payload.grid import enlarge
from sgc_diffusion.payload.latents import CHANNELS, NUM_GAMMAS, STRIDES
from sgc_diffusion.taxonomy import class_table, load_taxonomy

REFERENCE_TAXONOMY = "general-54"
NUM_LABELS = load_taxonomy(REFERENCE_TAXONOMY).num_classes + 1  # the last is that of sets without a map to it
TURNS = ((0, 0), (1, 1), (0, 1), (1, 0))  # (row, column) modulo 2
MAX_SIZE = 15
ACTIVITY_LIMITS = (2, 4, 8, 16, 32, 64, 128)
COARSE_LIMITS, COARSE_NEAR_LIMITS = (1, 2, 4, 8, 16), (1, 6, 20)
EARLIER_LIMITS, EARLIER_NEAR_LIMITS = (1, 2, 4, 7, 12), (1, 5, 14)
NEAR_LIMITS, CORNER_LIMITS = (1, 2, 3, 5, 9), (1, 3, 6)
_PLACES = {"gamma": NUM_GAMMAS, "label": NUM_LABELS, "color": 24, "coarse": 24, "earlier": 24, "near": 96}
TABLE_SHAPES = {name: (len(STRIDES), max(CHANNELS), places) for name, places in _PLACES.items()}


def reference_labels(label_map: np.ndarray, taxonomy_name: str) -> np.ndarray:
    """Return a label map with the ids of the reference label set, `NUM_LABELS` − 1 where no map leads there.

    Args:
        label_map: (h, w) uint8.
        taxonomy_name: of its label set.
    """
    try:
        return class_table(taxonomy_name, REFERENCE_TAXONOMY)[label_map]
    except ValueError:
        return np.full(label_map.shape, NUM_LABELS - 1, dtype=np.uint8)


def given_places(
    label_map: np.ndarray, color_map: np.ndarray, gamma_indices: np.ndarray | int, rows: int, columns: int
) -> dict[str, np.ndarray]:
    """Return the places in the tables `gamma`, `label` and `color`, which symbols have no part in.

    Args:
        label_map: (h, w) uint8 ids of the reference label set.
        color_map: (h', w', 3) uint8.
        gamma_indices: 0 … 48, one for all, or (h, w), one a cell of a grid over the picture.
        rows: of the level.
        columns: of the level.

    Returns:
        Table → (rows, columns) int64.
    """
    labels = enlarge(label_map, rows, columns)
    edges = np.zeros((rows, columns), dtype=np.int64)
    edges[1:] += labels[1:] != labels[:-1]
    edges[:, 1:] += labels[:, 1:] != labels[:, :-1]
    activity = enlarge(_steps(_activity(color_map), ACTIVITY_LIMITS), rows, columns)
    gammas = np.asarray(gamma_indices, dtype=np.int64)
    gammas = enlarge(gammas, rows, columns) if gammas.ndim else np.broadcast_to(gammas, (rows, columns))
    return {"gamma": gammas, "label": labels.astype(np.int64), "color": 3 * activity + edges}


def coarse_places(coarser: np.ndarray | None, rows: int, columns: int) -> np.ndarray:
    """Return the places in the table `coarse`.

    Args:
        coarser: (…, C, h, w) integer symbols of the next coarser level; None if there is none.
        rows: of the level.
        columns: of the level.

    Returns:
        (…, rows, columns) int64; (rows, columns) for None.
    """
    if coarser is None:
        return np.zeros((rows, columns), dtype=np.int64)
    total = sizes_of(coarser).sum(axis=-3)
    places = 4 * _steps(total, COARSE_LIMITS) + _steps(_nearest(total), COARSE_NEAR_LIMITS)
    return places.repeat(2, axis=-2).repeat(2, axis=-1)[..., :rows, :columns]


def earlier_places(total: np.ndarray) -> np.ndarray:
    """Return the places in the table `earlier`, (…, h, w) int64, for sums of the sizes of the earlier channels."""
    return 4 * _steps(total, EARLIER_LIMITS) + _steps(_nearest(total), EARLIER_NEAR_LIMITS)


def near_places(sizes: np.ndarray, turn: int) -> np.ndarray:
    """Return the places in the table `near` for one turn.

    Args:
        sizes: (h, w) of a channel, 0 where they are not known yet.
        turn: 0 … 3.

    Returns:
        (h', w') int64, of the places of the turn alone.
    """
    row, column = TURNS[turn]
    places = 24 * turn + 4 * _steps(_nearest(sizes), NEAR_LIMITS) + _steps(_corners(sizes), CORNER_LIMITS)
    return places[row::2, column::2]


def all_near_places(sizes: np.ndarray) -> np.ndarray:
    """Return the places in the table `near` for every symbol of whole channels, as a reader meets them one by one.

    Args:
        sizes: (…, h, w), all known.

    Returns:
        (…, h, w) int64.
    """
    near, corners = _steps(_nearest(sizes), NEAR_LIMITS), _steps(_corners(sizes), CORNER_LIMITS)
    places = np.zeros(sizes.shape, dtype=np.int64)
    for turn, (row, column) in enumerate(TURNS):
        part = (..., slice(row, None, 2), slice(column, None, 2))
        places[part] = 24 * turn + 4 * near[part] * (turn >= 2) + corners[part] * (turn in (1, 3))
    return places


def sizes_of(symbols: np.ndarray) -> np.ndarray:
    """Return the sizes of symbols, int64 of the same shape."""
    return np.minimum(np.abs(symbols.astype(np.int64)), MAX_SIZE)


def _steps(numbers: np.ndarray, limits: tuple[int, ...]) -> np.ndarray:
    return np.searchsorted(limits, numbers, side="right")


def _padded(numbers: np.ndarray) -> np.ndarray:
    return np.pad(numbers, [(0, 0)] * (numbers.ndim - 2) + [(1, 1), (1, 1)])


def _nearest(numbers: np.ndarray) -> np.ndarray:
    """Return the sums over the four nearest neighbors, 0 outside, of (…, h, w)."""
    padded = _padded(numbers)
    vertical = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    return vertical + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]


def _corners(numbers: np.ndarray) -> np.ndarray:
    padded = _padded(numbers)
    upper = padded[..., :-2, :-2] + padded[..., :-2, 2:]
    return upper + padded[..., 2:, :-2] + padded[..., 2:, 2:]


def _activity(color_map: np.ndarray) -> np.ndarray:
    luma = color_map.astype(np.int64) @ np.array([1, 2, 1])
    activity = np.zeros(luma.shape, dtype=np.int64)
    down, right = np.abs(np.diff(luma, axis=0)), np.abs(np.diff(luma, axis=1))
    activity[1:], activity[:-1] = np.maximum(activity[1:], down), np.maximum(activity[:-1], down)
    activity[:, 1:] = np.maximum(activity[:, 1:], right)
    activity[:, :-1] = np.maximum(activity[:, :-1], right)
    return activity >> 2
