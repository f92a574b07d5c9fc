"""The reversible wavelet transform of one channel: 5/3 or 9/7, over a base, with filters that suit the picture.

Normative, part of the file format: numbers are 16-bit integers in two's complement that wrap, `>>` rounds down, so that
every machine gives the same.

  1. The 5/3 step (Le Gall and Tabatabai 1988, the reversible one of JPEG 2000) of numbers x₀ … xₙ₋₁, mirrored at both
     ends around the outermost number: d_k = x₂ₖ₊₁ − ((x₂ₖ + x₂ₖ₊₂) >> 1), then s_k = x₂ₖ + ((d_k₋₁ + d_k + 2) >> 2).
     One number alone stays as it is. It is done along every row, then down every column, giving four bands: s of s
     (low), d along the rows (HL), d down the columns (LH), d of d (HH); then again on the low band,
     `num_decompositions` times. At the finest scale of Co and Cg s_k is x₂ₖ: pixels as they are tell more about those
     between them, in chroma most of all, and what lies above is smooth anyway.
  2. From the low band of scale 2 (of the coarsest, if there are fewer) goes the base before it is split. The base has
     next to nothing at finer scales but the rounding of its colors, which would cost 3 % of a lossless file.
  3. Filters: at scales 1 (the finest) and 2, a detail d_k of HL becomes d_k + ((f·c_k + g·c_k₊₁ + 32) >> 6), where
     c_k = s_k₋₁ − 2·s_k + s_k₊₁ is the second difference of the low band of that scale along the row, 0 at its ends
     and beyond, and f, g are from `FILTERS`; so for LH, down the columns. Most photographs take (4, 4), which is about
     the 13/7 transform; chroma that was halved and enlarged, as in most JPEG files, takes (10, 0) or (0, 10).

Transforms of kind 2 take the 9/7 step (`wavelet_97`) in all places, and no filters.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sgc_diffusion.payload import wavelet_97

MIN_LOW_SIDE = 8  # the low band is not split when one side would fall below it
# Weights, in 1/64, of the second differences of the low band before and after a detail; part of the file format.
FILTERS = ((0, 0), (4, 4), (10, 0), (0, 10), (8, 3), (3, 8), (6, 6), (2, 2))
FILTERED_SCALES = 2  # the finest so many scales have filters of their own
PLAIN, UPDATED, SMOOTH = range(3)  # the 5/3 step where low is every other number, the whole one, the 9/7 step
BASE_SCALE = 2  # the scale whose low band the smooth base is taken from


def num_decompositions(height: int, width: int) -> int:
    """Return how often a picture of this size is split: while both halves have at least 8 rows and columns."""
    count = 0
    while min(height, width) >= 2 * MIN_LOW_SIDE:
        height, width, count = (height + 1) // 2, (width + 1) // 2, count + 1
    return count


def predicted(low: np.ndarray, num_high: int, number: int) -> np.ndarray:
    """Return what a filter adds to details along the first axis, (num_high, w) int16, from the low band (n, w)."""
    before, after = FILTERS[number]
    curve = _laid_out_as(low, num_high + 1)
    curve[...] = 0
    inner = low[: num_high + 2]
    curve[1 : len(inner) - 1] = inner[:-2] + inner[2:] - 2 * inner[1:-1]
    return (before * curve[:-1] + after * curve[1:] + 32) >> 6


def split_once(values: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return low, hl, lh and hh of one step, `PLAIN`, `UPDATED` or `SMOOTH`, of an array (h, w) int16."""
    rows_low, rows_high = _split_axis(values.T, step)
    low, lh = _split_axis(rows_low.T, step)
    hl, hh = _split_axis(rows_high.T, step)
    return low, hl, lh, hh


def split(
    plane: np.ndarray, filters: np.ndarray, base: np.ndarray, is_luma: bool, is_smooth: bool = False
) -> list[list[np.ndarray]]:
    """Return the scales of one channel, the coarsest first.

    Args:
        plane: (H, W) int16.
        filters: (2, 2) uint8.
        base: what goes from the low band of scale 2 or the coarsest, of its shape, int16.
        is_luma: whether this is Y.
        is_smooth: whether the step is 9/7.
    """
    scales = []
    low = plane
    for scale in range(num_decompositions(*plane.shape)):
        if scale == BASE_SCALE:
            low = low - base
        low, hl, lh, hh = split_once(low, step_at(scale, is_luma, is_smooth))
        if scale < FILTERED_SCALES and not is_smooth:
            hl = hl + predicted(low.T, hl.shape[1], filters[scale, 0]).T
            lh = lh + predicted(low, lh.shape[0], filters[scale, 1])
        scales.append([hl, lh, hh])
    return [[low if len(scales) > BASE_SCALE else low - base], *reversed(scales)]


def merge(
    scales: list[list[np.ndarray]],
    filters: np.ndarray,
    base: np.ndarray,
    is_luma: bool,
    until: int = 0,
    *,
    is_smooth: bool = False,
) -> np.ndarray:
    """Return the channel (H, W) int16 that `split` took apart, or the low band of scale `until`; uses the scales up."""
    low = scales[0][0] if len(scales) - 1 > BASE_SCALE else scales[0][0] + base
    finest = len(scales) - 2
    scales.pop(0)
    for scale in range(finest, until - 1, -1):
        hl, lh, hh = scales.pop(0)
        if scale < FILTERED_SCALES and not is_smooth:
            hl = hl - predicted(low.T, hl.shape[1], filters[scale, 0]).T
            lh = lh - predicted(low, lh.shape[0], filters[scale, 1])
        step = step_at(scale, is_luma, is_smooth)
        rows_low, rows_high = _merge_axis(low, lh, step), _merge_axis(hl, hh, step)
        del low, lh, hl, hh  # a quarter of the memory of a picture
        low = _merge_axis(rows_low.T, rows_high.T, step).T
        if scale == BASE_SCALE:
            low = low + base
    return low


def step_at(scale: int, is_luma: bool, is_smooth: bool) -> int:
    """Return the step that splits the low band of a scale, 0 for the picture itself."""
    return SMOOTH if is_smooth else UPDATED if is_luma or scale > 0 else PLAIN


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


def _split_axis(values: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Split along the first axis into low and high, both laid out in memory as the argument."""
    if step == SMOOTH:
        return wavelet_97.split_axis(values)
    if len(values) == 1:
        return values.copy(order="K"), values[:0].copy(order="K")
    even, high = values[0::2], values[1::2].copy(order="K")
    high -= (even[: len(high)] + _following(even, len(high))) >> 1
    return even + _update(high, len(even)) if step == UPDATED else even.copy(order="K"), high


def _merge_axis(low: np.ndarray, high: np.ndarray, step: int) -> np.ndarray:
    """Undo `_split_axis`."""
    if step == SMOOTH:
        return wavelet_97.merge_axis(low, high)
    if len(high) == 0:
        return low.copy(order="K")
    merged = _laid_out_as(low, len(low) + len(high))
    even, odd = merged[0::2], merged[1::2]
    if step == UPDATED:
        even[0] = 2 * high[0]
        np.add(high[:-1], high[1:], out=even[1 : len(high)])
        if len(low) > len(high):
            even[-1] = 2 * high[-1]
        even += 2
        even >>= 2
        np.subtract(low, even, out=even)
    else:
        even[...] = low
    np.add(even[: len(low) - 1], even[1:], out=odd[: len(low) - 1])
    if len(low) == len(high):
        odd[-1] = 2 * even[-1]
    odd >>= 1
    odd += high
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
