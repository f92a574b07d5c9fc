"""Reversible steps between pixels and wavelet coefficients, and the smooth base under them; integers alone.

    color map ──enlarge──▶ smooth base ─┐
    picture ──────────────YCoCg-R──────(−)──▶ residual ──5/3──▶ bands        (`forward`; `inverse` goes back)

Everything here is normative, part of the file format: all numbers are 16-bit integers in two's complement that wrap
(32 bits inside the enlargement), `>>` rounds down, so that every machine gives the same picture.

The smooth base of height H and width W over a color map of h rows and w columns of bytes:
  1. Row y lies at n = (2y + 1)·h − H over 2H; its cell is i = ⌊n / 2H⌋, its fraction f = ⌊256·(n mod 2H) / 2H⌋.
  2. The four weights of cells i − 1 … i + 2 (the nearest inside, where there is none) are those of Catmull and Rom,
     −f³ + 2f² − f, 3f³ − 5f² + 2, −3f³ + 4f² + f and f³ − f² with f in 1/256, over 2: each is shifted to 1/1024,
     rounding half up, and the second takes what lacks to 1024.
  3. The weighted sums down the columns keep their ten fraction bits; the sums along the rows, by the same rule with
     w and W, are shifted by 20, rounding half up, and clipped to 0 … 255.

YCoCg-R (Malvar and Sullivan 2003) of R, G, B: Co = R − B, t = B + (Co >> 1), Cg = G − t, Y = t + (Cg >> 1). The
residual is that of the picture minus that of the base, in each channel.

The 5/3 step (Le Gall and Tabatabai 1988, the reversible one of JPEG 2000) of numbers x₀ … xₙ₋₁, mirrored at both ends
around the outermost number: d_k = x₂ₖ₊₁ − ((x₂ₖ + x₂ₖ₊₂) >> 1), then s_k = x₂ₖ + ((d_k₋₁ + d_k + 2) >> 2). One number
alone stays as it is. It is done along every row, then down every column, giving four bands: s of s (low), d along the
rows (HL), d down the columns (LH), d of d (HH); then again on the low band, `num_decompositions` times.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

STRIP_ROWS = 256  # rows converted at a time, which bounds the memory
MIN_LOW_SIDE = 8  # the low band is not split when one side would fall below it
ORIENTATIONS = ("low", "hl", "lh", "hh")
_WEIGHT_BITS = 10


def num_decompositions(height: int, width: int) -> int:
    """Return how often a picture of this size is split: while both halves have at least 8 rows and columns."""
    count = 0
    while min(height, width) >= 2 * MIN_LOW_SIDE:
        height, width, count = (height + 1) // 2, (width + 1) // 2, count + 1
    return count


def smooth_rows(color_map: np.ndarray, height: int, width: int, start: int, stop: int) -> np.ndarray:
    """Return rows of the smooth base.

    Args:
        color_map: (h, w, 3) uint8.
        height: H, rows of the picture.
        width: W, columns of the picture.
        start: first row wanted, 0 … H.
        stop: row after the last wanted, `start` … H.

    Returns:
        (stop − start, W, 3) uint8.
    """
    cells, weights = _cubic(color_map.shape[0], height, np.arange(start, stop, dtype=np.int64))
    grid = color_map.astype(np.int32)
    columns = sum(grid[cells[k]] * weights[k][:, None, None] for k in range(4))
    cells, weights = _cubic(color_map.shape[1], width, np.arange(width, dtype=np.int64))
    rows = sum(columns[:, cells[k]] * weights[k][:, None] for k in range(4))
    half = 1 << (2 * _WEIGHT_BITS - 1)
    return np.clip((rows + half) >> (2 * _WEIGHT_BITS), 0, 255).astype(np.uint8)


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


def to_ycocg(rgb: np.ndarray) -> np.ndarray:
    """Return YCoCg-R, (3, h, w) int16, of (h, w, 3) uint8."""
    red, green, blue = (rgb[..., channel].astype(np.int16) for channel in range(3))
    orange = red - blue
    middle = blue + (orange >> 1)
    greenness = green - middle
    return np.stack([middle + (greenness >> 1), orange, greenness])


def from_ycocg(channels: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) uint8 from YCoCg-R (3, h, w) int16, clipped to 0 … 255."""
    luma, orange, greenness = channels
    middle = luma - (greenness >> 1)
    blue = middle - (orange >> 1)
    return np.clip(np.stack([blue + orange, greenness + middle, blue], axis=-1), 0, 255).astype(np.uint8)


def forward(picture: np.ndarray, color_map: np.ndarray) -> list[list[list[np.ndarray]]]:
    """Transform a picture.

    Args:
        picture: (H, W, 3) uint8.
        color_map: (h, w, 3) uint8, the decoded one.

    Returns:
        For each of the channels Y, Co, Cg: scales, the coarsest first, each a list of int16 bands; the first is
        [low] alone, the others [hl, lh, hh].
    """
    height, width = picture.shape[:2]
    residual = np.empty((3, height, width), dtype=np.int16)
    for start in range(0, height, STRIP_ROWS):
        stop = min(start + STRIP_ROWS, height)
        base = to_ycocg(smooth_rows(color_map, height, width, start, stop))
        residual[:, start:stop] = to_ycocg(picture[start:stop]) - base
    return [split(channel) for channel in residual]


def inverse(channels: list[list[list[np.ndarray]]], color_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the picture (H, W, 3) uint8 of bands as `forward` returns them; clipped to 0 … 255."""
    picture = np.empty((height, width, 3), dtype=np.uint8)
    residual = np.stack([merge(scales) for scales in channels])
    for start in range(0, height, STRIP_ROWS):
        stop = min(start + STRIP_ROWS, height)
        base = to_ycocg(smooth_rows(color_map, height, width, start, stop))
        picture[start:stop] = from_ycocg(residual[:, start:stop] + base)
    return picture


def split(channel: np.ndarray) -> list[list[np.ndarray]]:
    """Return the scales of one channel (H, W) int16, the coarsest first."""
    scales = []
    low = channel
    for _ in range(num_decompositions(*channel.shape)):
        rows_low, rows_high = _split_axis(low.T)
        low, lh = _split_axis(rows_low.T)
        hl, hh = _split_axis(rows_high.T)
        scales.append([hl, lh, hh])
    return [[low], *reversed(scales)]


def merge(scales: list[list[np.ndarray]]) -> np.ndarray:
    """Return the channel (H, W) int16 that `split` took apart."""
    low = scales[0][0]
    for hl, lh, hh in scales[1:]:
        rows_low, rows_high = _merge_axis(low, lh), _merge_axis(hl, hh)
        low = np.ascontiguousarray(_merge_axis(rows_low.T, rows_high.T).T)
    return low


def band_sides(height: int, width: int) -> Iterator[tuple[int, str, int, int]]:
    """Yield (scale, orientation, rows, columns) in coding order; scale 1 is the finest, the low band has the coarsest.

    Args:
        height: rows of the picture.
        width: columns of the picture.
    """
    sides = [(height, width)]
    for _ in range(num_decompositions(height, width)):
        sides.append(((sides[-1][0] + 1) // 2, (sides[-1][1] + 1) // 2))
    yield (len(sides) - 1, "low", *sides[-1])
    for scale in range(len(sides) - 1, 0, -1):
        rows, columns = sides[scale]
        rows_high, columns_high = sides[scale - 1][0] - rows, sides[scale - 1][1] - columns
        yield scale, "hl", rows, columns_high
        yield scale, "lh", rows_high, columns
        yield scale, "hh", rows_high, columns_high


def _split_axis(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split along the first axis into low and high."""
    if len(values) == 1:
        return values.copy(), values[:0].copy()
    even, high = values[0::2], values[1::2].copy()
    following = even[1:] if len(even) > len(high) else np.concatenate([even[1:], even[-1:]])
    high -= (even[: len(high)] + following) >> 1
    return even + _update(high, len(even)), high


def _merge_axis(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Undo `_split_axis`."""
    if len(high) == 0:
        return low.copy()
    merged = np.empty((len(low) + len(high), *low.shape[1:]), dtype=low.dtype)
    even = merged[0::2]
    np.subtract(low, _update(high, len(low)), out=even)
    following = even[1:] if len(low) > len(high) else np.concatenate([even[1:], even[-1:]])
    np.add(high, (even[: len(high)] + following) >> 1, out=merged[1::2])
    return merged


def _update(high: np.ndarray, num_low: int) -> np.ndarray:
    """Return (d_k₋₁ + d_k + 2) >> 2 for every low number."""
    before = np.concatenate([high[:1], high[: num_low - 1]])
    after = high if num_low == len(high) else np.concatenate([high, high[-1:]])
    return (before + after + 2) >> 2
