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
# Weights, in 1/64, of the second differences of the low band before and after a detail; part of the file format.
FILTERS = ((0, 0), (4, 4), (7, 0), (0, 7), (8, 3), (3, 8), (8, 8), (2, 2))
FILTERED_SCALES = 2  # the finest so many scales have filters of their own
_COST_CELLS = 1 << 16  # of a band that are looked at to choose a filter, about
_SIZE_COSTS = np.array([(2 * (1 + size) ** 8).bit_length() for size in range(512)])  # eighths of a bit, about
NO_FILTERS = np.zeros((3, FILTERED_SCALES, 2), dtype=np.uint8)


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


def predicted(low: np.ndarray, num_high: int, number: int) -> np.ndarray:
    """Return what a filter adds to details along the first axis, (num_high, w) int16, from the low band (n, w)."""
    before, after = FILTERS[number]
    curve = _laid_out_as(low, num_high + 1)
    curve[...] = 0
    inner = low[: num_high + 2]
    curve[1 : len(inner) - 1] = inner[:-2] + inner[2:] - 2 * inner[1:-1]
    return (before * curve[:-1] + after * curve[1:] + 32) >> 6


def choose_filters(channel: np.ndarray) -> np.ndarray:
    """Return the numbers of the filters, (2, 2) uint8 by scale − 1 and direction, that leave the smallest details."""
    chosen = np.zeros((FILTERED_SCALES, 2), dtype=np.uint8)
    low = channel
    for scale in range(min(FILTERED_SCALES, num_decompositions(*channel.shape))):
        low, hl, lh, _ = _split_once(low)
        for direction, (base, details) in enumerate(((low.T, hl.T), (low, lh))):
            every = max(1, details.size // _COST_CELLS)
            base, details = base[:, ::every], details[:, ::every]
            costs = [
                int(_SIZE_COSTS[np.minimum(np.abs(details + predicted(base, len(details), number)), 511)].sum())
                for number in range(len(FILTERS))
            ]
            chosen[scale, direction] = int(np.argmin(costs))
    return chosen


def _split_once(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rows_low, rows_high = _split_axis(values.T)
    low, lh = _split_axis(rows_low.T)
    hl, hh = _split_axis(rows_high.T)
    return low, hl, lh, hh


def forward(picture: np.ndarray, color_map: np.ndarray, filters: np.ndarray | None = None) -> tuple[list, np.ndarray]:
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
    if filters is None:
        filters = np.stack([choose_filters(channel) for channel in residual])
    return [split(channel, part) for channel, part in zip(residual, filters, strict=True)], filters


def inverse(channels: list, filters: np.ndarray, color_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the picture (H, W, 3) uint8 of bands as `forward` returns them; clipped to 0 … 255."""
    picture = np.empty((height, width, 3), dtype=np.uint8)
    residual = np.stack([merge(scales, part) for scales, part in zip(channels, filters, strict=True)])
    for start in range(0, height, STRIP_ROWS):
        stop = min(start + STRIP_ROWS, height)
        base = to_ycocg(smooth_rows(color_map, height, width, start, stop))
        picture[start:stop] = from_ycocg(residual[:, start:stop] + base)
    return picture


def split(channel: np.ndarray, filters: np.ndarray) -> list[list[np.ndarray]]:
    """Return the scales of one channel (H, W) int16, the coarsest first, with its filters (2, 2)."""
    scales = []
    low = channel
    for scale in range(num_decompositions(*channel.shape)):
        low, hl, lh, hh = _split_once(low)
        if scale < FILTERED_SCALES:
            hl = hl + predicted(low.T, hl.shape[1], filters[scale, 0]).T
            lh = lh + predicted(low, lh.shape[0], filters[scale, 1])
        scales.append([hl, lh, hh])
    return [[low], *reversed(scales)]


def merge(scales: list[list[np.ndarray]], filters: np.ndarray) -> np.ndarray:
    """Return the channel (H, W) int16 that `split` took apart."""
    low = scales[0][0]
    for scale, (hl, lh, hh) in zip(range(len(scales) - 2, -1, -1), scales[1:], strict=True):
        if scale < FILTERED_SCALES:
            hl = hl - predicted(low.T, hl.shape[1], filters[scale, 0]).T
            lh = lh - predicted(low, lh.shape[0], filters[scale, 1])
        rows_low, rows_high = _merge_axis(low, lh), _merge_axis(hl, hh)
        low = _merge_axis(rows_low.T, rows_high.T).T
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
    """Split along the first axis into low and high, both laid out in memory as the argument."""
    if len(values) == 1:
        return values.copy(order="K"), values[:0].copy(order="K")
    even, high = values[0::2], values[1::2].copy(order="K")
    high -= (even[: len(high)] + _following(even, len(high))) >> 1
    return even + _update(high, len(even)), high


def _merge_axis(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Undo `_split_axis`."""
    if len(high) == 0:
        return low.copy(order="K")
    merged = _laid_out_as(low, len(low) + len(high))
    even = merged[0::2]
    np.subtract(low, _update(high, len(low)), out=even)
    np.add(high, (even[: len(high)] + _following(even, len(high))) >> 1, out=merged[1::2])
    return merged


def _following(even: np.ndarray, num_high: int) -> np.ndarray:
    """Return the even number after each odd one; at the end the one before."""
    return even[1:] if len(even) > num_high else np.concatenate([even[1:], even[-1:]])


def _update(high: np.ndarray, num_low: int) -> np.ndarray:
    """Return (d_k₋₁ + d_k + 2) >> 2 for every low number."""
    total = np.concatenate([high[:1], high[: num_low - 1]])
    total += high if num_low == len(high) else np.concatenate([high, high[-1:]])
    total += 2
    total >>= 2
    return total


def _laid_out_as(array: np.ndarray, length: int) -> np.ndarray:
    """Return an empty array with so many rows and the columns, dtype and memory order of another."""
    is_transposed = array.strides[0] < array.strides[1]
    shape = (array.shape[1], length) if is_transposed else (length, array.shape[1])
    empty = np.empty(shape, dtype=array.dtype)
    return empty.T if is_transposed else empty
