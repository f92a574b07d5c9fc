"""The smooth base: a color map enlarged to the size of its picture, in integers, the same on every machine.

Normative, part of the file format. `>>` rounds down; 32-bit integers suffice.

The smooth base of height H and width W over a color map of h rows and w columns of bytes:
  1. Row y lies at n = (2y + 1)·h − H over 2H; its cell is i = ⌊n / 2H⌋, its fraction f = ⌊256·(n mod 2H) / 2H⌋.
  2. The four weights of cells i − 1 … i + 2 (the nearest inside, where there is none) are those of Catmull and Rom,
     −f³ + 2f² − f, 3f³ − 5f² + 2, −3f³ + 4f² + f and f³ − f² with f in 1/256, over 2: each is shifted to 1/1024,
     rounding half up, and the second takes what lacks to 1024.
  3. The weighted sums down the columns keep their ten fraction bits; the sums along the rows, by the same rule with
     w and W, are shifted by 20, rounding half up, and clipped to 0 … 255.
"""

from __future__ import annotations

import numpy as np

_WEIGHT_BITS = 10
_STRIP_ROWS = 128  # enlarged at a time, which bounds the memory


def smooth_base(color_map: np.ndarray, height: int, width: int, every: int = 1) -> np.ndarray:
    """Return the smooth base of a picture, or some of its pixels.

    Args:
        color_map: (h, w, 3) uint8; of the alpha layer (h, w, 1).
        height: H, rows of the picture.
        width: W, columns of the picture.
        every: take rows and columns 0, `every`, 2 · `every` …

    Returns:
        (⌈H / every⌉, ⌈W / every⌉, 3 or 1) uint8.
    """
    row_cells, row_weights = _cubic(color_map.shape[0], height, np.arange(0, height, every, dtype=np.int64))
    cells, weights = _cubic(color_map.shape[1], width, np.arange(0, width, every, dtype=np.int64))
    base = np.empty((row_cells.shape[1], cells.shape[1], color_map.shape[2]), dtype=np.uint8)
    grid, half = color_map.astype(np.int32), 1 << (2 * _WEIGHT_BITS - 1)
    for start in range(0, len(base), _STRIP_ROWS):
        strip = slice(start, start + _STRIP_ROWS)
        columns = np.add.reduce([grid[row_cells[k, strip]] * row_weights[k, strip, None, None] for k in range(4)])
        rows = np.add.reduce([columns[:, cells[k]] * weights[k, :, None] for k in range(4)])
        base[strip] = np.clip((rows + half) >> (2 * _WEIGHT_BITS), 0, 255)
    return base


def _cubic(num_cells: int, side: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the four cells (4, n) int64 and their weights (4, n) int32 in 1/1024 for pixels of one axis."""
    numerator = (2 * places + 1) * num_cells - side
    cell, rest = numerator // (2 * side), numerator % (2 * side)
    f = 256 * rest // (2 * side)
    cubes = [
        -(f**3) + 2 * 256 * f**2 - 256**2 * f,
        3 * f**3 - 5 * 256 * f**2 + 2 * 256**3,
        -3 * f**3 + 4 * 256 * f**2 + 256**2 * f,
        f**3 - 256 * f**2,
    ]
    shift = 25 - _WEIGHT_BITS
    weights = np.stack([(cube + (1 << (shift - 1))) >> shift for cube in cubes])
    weights[1] += (1 << _WEIGHT_BITS) - weights.sum(axis=0)
    cells = np.clip(cell + np.arange(-1, 3)[:, None], 0, num_cells - 1)
    return cells, weights.astype(np.int32)
