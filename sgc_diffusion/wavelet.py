"""Reversible steps between pixels and wavelet coefficients, over the smooth base; integers alone.

    color map ──enlarge──▶ smooth base ──YCoCg-R──┐
    picture ──YCoCg-R──▶ channels ──5/3, twice──▶ (−) ──5/3──▶ bands          (`forward`; `inverse` goes back)

Everything here is normative, part of the file format: all numbers are 16-bit integers in two's complement that wrap,
`>>` rounds down, so that every machine gives the same picture.

YCoCg-R (Malvar and Sullivan 2003) of R, G, B: Co = R − B, t = B + (Co >> 1), Cg = G − t, Y = t + (Cg >> 1).

The 5/3 step (Le Gall and Tabatabai 1988, the reversible one of JPEG 2000) of numbers x₀ … xₙ₋₁, mirrored at both ends
around the outermost number: d_k = x₂ₖ₊₁ − ((x₂ₖ + x₂ₖ₊₂) >> 1), then s_k = x₂ₖ + ((d_k₋₁ + d_k + 2) >> 2). One number
alone stays as it is. It is done along every row, then down every column, giving four bands: s of s (low), d along the
rows (HL), d down the columns (LH), d of d (HH); then again on the low band, `num_decompositions` times.

From the low band of scale 2 (or of the coarsest, if there are fewer) goes YCoCg-R of the smooth base at the pixels in
rows and columns 0, 4, 8 … (of scale s: 2^s apart). The base has next to nothing at finer scales but the rounding of
its colors, which would cost 2 to 6 % of a lossless file.

Two further reversible steps suit the transform to the picture, by numbers that its first level holds:
  - Filters: at scales 1 (the finest) and 2, a detail d_k of HL becomes d_k + ((f·c_k + g·c_k₊₁ + 32) >> 6), where
    c_k = s_k₋₁ − 2·s_k + s_k₊₁ is the second difference of the low band of that scale along the row, 0 at its ends
    and beyond, and f, g are from `FILTERS`; so for LH, down the columns. Most photographs take (4, 4), which is about
    the 13/7 transform; chroma that was halved and enlarged, as in most JPEG files, takes (7, 0) or (0, 7).
  - Mixes: then from every coefficient of Co goes (m₀·Y + 8) >> 4, and after that from that of Cg goes
    (m₁·Y + m₂·Co + 8) >> 4, with Y and Co at the same place, Co before its own step; m is one triple for scale 1 and
    one for the others and the low band.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from sgc_diffusion.smooth_base import smooth_base

STRIP_ROWS = 256  # rows converted at a time, which bounds the memory
MIN_LOW_SIDE = 8  # the low band is not split when one side would fall below it
ORIENTATIONS = ("low", "hl", "lh", "hh")
# Weights, in 1/64, of the second differences of the low band before and after a detail; part of the file format.
FILTERS = ((0, 0), (4, 4), (7, 0), (0, 7), (8, 3), (3, 8), (8, 8), (2, 2))
FILTERED_SCALES = 2  # the finest so many scales have filters of their own
_COST_CELLS = 1 << 16  # of a band that are looked at to choose a filter, about
_SIZE_COSTS = np.array([(2 * (1 + size) ** 8).bit_length() for size in range(512)])  # eighths of a bit, about
MIXES = range(-8, 8)
BASE_SCALE = 2  # the scale whose low band the smooth base is taken from


def _no_filters() -> np.ndarray:
    return np.zeros((3, FILTERED_SCALES, 2), dtype=np.uint8)


def _no_mixes() -> np.ndarray:
    return np.zeros((2, 3), dtype=np.int8)


@dataclass(frozen=True)
class TransformChoices:
    """What suits the transform to a picture.

    Attributes:
        filters: (3, 2, 2) uint8, 0 … 7: by channel, scale − 1 and direction (HL, LH).
        mixes: (2, 3) int8, −8 … 7: of scale 1, of the others; Co from Y, Cg from Y, Cg from Co.
    """

    filters: np.ndarray = field(default_factory=_no_filters)
    mixes: np.ndarray = field(default_factory=_no_mixes)


def num_decompositions(height: int, width: int) -> int:
    """Return how often a picture of this size is split: while both halves have at least 8 rows and columns."""
    count = 0
    while min(height, width) >= 2 * MIN_LOW_SIDE:
        height, width, count = (height + 1) // 2, (width + 1) // 2, count + 1
    return count


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


def choose_filters(channel: np.ndarray, is_luma: bool) -> np.ndarray:
    """Return the numbers of the filters, (2, 2) uint8 by scale − 1 and direction, that leave the smallest details."""
    chosen = np.zeros((FILTERED_SCALES, 2), dtype=np.uint8)
    low = channel
    for scale in range(min(FILTERED_SCALES, num_decompositions(*channel.shape))):
        low, hl, lh, _ = _split_once(low, is_luma or scale > 0)
        if not is_luma and not scale:
            continue
        for direction, (base, details) in enumerate(((low.T, hl.T), (low, lh))):
            every = max(1, details.size // _COST_CELLS)
            base, details = base[:, ::every], details[:, ::every]
            chosen[scale, direction] = _least(
                range(len(FILTERS)),
                (details + predicted(base, len(details), number) for number in range(len(FILTERS))),
            )
    return chosen


def _split_once(values: np.ndarray, is_updated: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rows_low, rows_high = _split_axis(values.T, is_updated)
    low, lh = _split_axis(rows_low.T, is_updated)
    hl, hh = _split_axis(rows_high.T, is_updated)
    return low, hl, lh, hh


def forward(
    picture: np.ndarray, color_map: np.ndarray, choices: TransformChoices | None = None
) -> tuple[list[list[list[np.ndarray]]], TransformChoices]:
    """Transform a picture.

    Args:
        picture: (H, W, 3) uint8.
        color_map: (h, w, 3) uint8, the decoded one.
        choices: None to find those that leave the smallest coefficients.

    Returns:
        For each of the channels Y, Co, Cg: scales, the coarsest first, each a list of int16 bands; the first is
        [low] alone, the others [hl, lh, hh]. And the choices.
    """
    height, width = picture.shape[:2]
    planes = np.empty((3, height, width), dtype=np.int16)
    for start in range(0, height, STRIP_ROWS):
        planes[:, start : start + STRIP_ROWS] = to_ycocg(picture[start : start + STRIP_ROWS])
    filters = (
        choices.filters
        if choices
        else np.stack([choose_filters(plane, channel == 0) for channel, plane in enumerate(planes)])
    )
    base = _low_base(color_map, height, width)
    channels = [split(*parts) for parts in zip(planes, filters, base, (True, False, False), strict=True)]
    mixes = choices.mixes if choices else choose_mixes(channels)
    for scale, (lumas, oranges, greens) in enumerate(zip(*channels, strict=True)):
        mix = mixes[int(scale == 0 or scale < len(channels[0]) - 1)].tolist()
        for luma, orange, green in zip(lumas, oranges, greens, strict=True):
            green -= mixed(luma, orange, mix[1], mix[2])
            orange -= mixed(luma, orange, mix[0], 0)
    return channels, TransformChoices(filters, mixes)


def inverse(
    channels: list[list[list[np.ndarray]]],
    choices: TransformChoices,
    color_map: np.ndarray,
    height: int,
    width: int,
) -> np.ndarray:
    """Return the picture (H, W, 3) uint8 of bands as `forward` returns them, which it changes; clipped to 0 … 255."""
    _unmix(channels, choices)
    planes = np.empty((3, height, width), dtype=np.int16)
    base = _low_base(color_map, height, width)
    for channel in range(3):
        planes[channel] = merge(channels[channel], choices.filters[channel], base[channel], channel == 0)
    picture = np.empty((height, width, 3), dtype=np.uint8)
    for start in range(0, height, STRIP_ROWS):
        picture[start : start + STRIP_ROWS] = from_ycocg(planes[:, start : start + STRIP_ROWS])
    return picture


def chroma_lows(
    channels: list[list[list[np.ndarray]]],
    choices: TransformChoices,
    color_map: np.ndarray,
    height: int,
    width: int,
) -> list[np.ndarray]:
    """Return Co and Cg at even rows and columns, int16 each, from bands as of `inverse`, the finest of no matter."""
    _unmix(channels, choices)
    base = _low_base(color_map, height, width)
    return [merge(channels[channel], choices.filters[channel], base[channel], False, 1) for channel in (1, 2)]


def _unmix(channels: list[list[list[np.ndarray]]], choices: TransformChoices) -> None:
    for scale, (lumas, oranges, greens) in enumerate(zip(*channels, strict=True)):
        mix = choices.mixes[int(scale == 0 or scale < len(channels[0]) - 1)].tolist()
        for luma, orange, green in zip(lumas, oranges, greens, strict=True):
            orange += mixed(luma, orange, mix[0], 0)
            green += mixed(luma, orange, mix[1], mix[2])


def _low_base(color_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return YCoCg-R of the smooth base at the places of the low band that it is taken from, (3, h, w) int16."""
    scale = min(BASE_SCALE, num_decompositions(height, width))
    return to_ycocg(smooth_base(color_map, height, width, 1 << scale))


def mixed(luma: np.ndarray, orange: np.ndarray, from_luma: int, from_orange: int) -> np.ndarray:
    """Return what goes from a channel by its mix, int16."""
    if not from_luma and not from_orange:
        return np.zeros((), dtype=np.int16)
    return (np.int16(from_luma) * luma + np.int16(from_orange) * orange + np.int16(8)) >> 4


def choose_mixes(channels: list[list[list[np.ndarray]]]) -> np.ndarray:
    """Return the mixes, (2, 3) int8, that leave the smallest details at scales 1 and 2."""
    mixes = _no_mixes()
    for group in range(min(2, len(channels[0]) - 1)):
        every = max(1, channels[0][-1 - group][0].size // _COST_CELLS)
        luma, orange, green = (
            np.concatenate([band[::every].ravel() for band in channel[-1 - group][:2]]) for channel in channels
        )
        mixes[group, 0] = _least(MIXES, (orange - mixed(luma, orange, mix, 0) for mix in MIXES))
        mixes[group, 2] = _least(MIXES, (green - mixed(luma, orange, 0, mix) for mix in MIXES))
        second = int(mixes[group, 2])
        mixes[group, 1] = _least(MIXES, (green - mixed(luma, orange, mix, second) for mix in MIXES))
    return mixes


def _least(numbers: Iterable[int], details: Iterable[np.ndarray]) -> int:
    """Return the number whose details cost least, about; the one nearest to 0 among equals."""
    costs = [int(_SIZE_COSTS[np.minimum(np.abs(part), 511)].sum()) for part in details]
    return min(zip(costs, map(abs, numbers), numbers, strict=True))[2]


def split(plane: np.ndarray, filters: np.ndarray, base: np.ndarray, is_luma: bool) -> list[list[np.ndarray]]:
    """Return the scales of one channel, the coarsest first.

    Args:
        plane: (H, W) int16.
        filters: (2, 2) uint8.
        base: what goes from the low band of scale 2 or the coarsest, of its shape, int16.
        is_luma: whether this is Y.
    """
    scales = []
    low = plane
    for scale in range(num_decompositions(*plane.shape)):
        if scale == BASE_SCALE:
            low = low - base
        low, hl, lh, hh = _split_once(low, is_luma or scale > 0)
        if scale < FILTERED_SCALES:
            hl = hl + predicted(low.T, hl.shape[1], filters[scale, 0]).T
            lh = lh + predicted(low, lh.shape[0], filters[scale, 1])
        scales.append([hl, lh, hh])
    return [[low if len(scales) > BASE_SCALE else low - base], *reversed(scales)]


def merge(
    scales: list[list[np.ndarray]], filters: np.ndarray, base: np.ndarray, is_luma: bool, until: int = 0
) -> np.ndarray:
    """Return the channel (H, W) int16 that `split` took apart, or the low band of scale `until`."""
    low = scales[0][0] if len(scales) - 1 > BASE_SCALE else scales[0][0] + base
    for scale in range(len(scales) - 2, until - 1, -1):
        hl, lh, hh = scales[len(scales) - 1 - scale]
        if scale < FILTERED_SCALES:
            hl = hl - predicted(low.T, hl.shape[1], filters[scale, 0]).T
            lh = lh - predicted(low, lh.shape[0], filters[scale, 1])
        is_updated = is_luma or scale > 0
        rows_low, rows_high = _merge_axis(low, lh, is_updated), _merge_axis(hl, hh, is_updated)
        low = _merge_axis(rows_low.T, rows_high.T, is_updated).T
        if scale == BASE_SCALE:
            low = low + base
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


def _split_axis(values: np.ndarray, is_updated: bool) -> tuple[np.ndarray, np.ndarray]:
    """Split along the first axis into low and high, both laid out in memory as the argument."""
    if len(values) == 1:
        return values.copy(order="K"), values[:0].copy(order="K")
    even, high = values[0::2], values[1::2].copy(order="K")
    high -= (even[: len(high)] + _following(even, len(high))) >> 1
    return even + _update(high, len(even)) if is_updated else even.copy(order="K"), high


def _merge_axis(low: np.ndarray, high: np.ndarray, is_updated: bool) -> np.ndarray:
    """Undo `_split_axis`."""
    if len(high) == 0:
        return low.copy(order="K")
    merged = _laid_out_as(low, len(low) + len(high))
    even = merged[0::2]
    if is_updated:
        np.subtract(low, _update(high, len(low)), out=even)
    else:
        even[...] = low
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
