"""Contexts of the color coder: what is known about a coefficient before it is coded.

The coefficients of a color map are coded in diagonals of rising frequency, u + v = 0, 1, 2 …, and for each frequency
the three channels. A coefficient is asked: is it zero? has it size one? size two? Each answer's probability comes
from the sum of four table entries, found by

    energy    how large it should be here for this quality, and how large its neighbors at lower frequency are
    shape     those neighbors one by one, and the other channels at the same frequency
    activity  how large everything so far was, compared with what it should have been
    ending    how far the last frequency of this channel that holds anything is away, and the neighbors
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sgc_diffusion.bitstream.tables import load_tables

NUM_SCALES = 49
NEAR_LIMITS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 23, 33)
ACTIVITY_LIMITS = (6, 8, 10, 13, 15, 18, 21, 26, 34)
ENERGY_SIZE, SHAPE_SIZE, ACTIVITY_SIZE, ENDING_SIZE = NUM_SCALES * 13 * 3, 64 * 16 * 3, 10 * NUM_SCALES * 3, 8 * 13 * 3
SIGN_PLACE_SIZE, SIGN_OTHER_SIZE, SIGN_NEAR_SIZE = 8 * 8 * 3, 4 * 9 * 3, 4 * 81
EXPONENT_SIZE, MANTISSA_SIZE, LAST_SIZE = 10 * NUM_SCALES, 10, NUM_SCALES * 3
FALLOFF = (16, 17, 19, 20, 22, 24, 26, 28, 30, 32, 35, 38, 41, 44, 48, 51, 56, 60)  # limits of frequency
TABLE_SIDE = 16  # frequencies the scale table knows; beyond, `_falloff` goes on from its edge


@lru_cache(maxsize=32)
def frequencies(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Return (u, v) of every frequency in coding order."""
    return tuple(sorted(((u, v) for u in range(height) for v in range(width)), key=lambda uv: (uv[0] + uv[1], uv[0])))


@lru_cache(maxsize=32)
def scales(height: int, width: int, quality: int) -> np.ndarray:
    """Return (h, w, 3) int32, 0 … 48: how many quarter octaves the expected size is above 2⁻⁵ steps."""
    return scales_by(load_tables("color")["color_scale"], height, width, quality)


def scales_by(table: np.ndarray, height: int, width: int, quality: int) -> np.ndarray:
    """Return what `scales` returns, for another table.

    Args:
        table: (16, 16, 3) int8, `color_scale`.
        height: rows of the color map.
        width: columns.
        quality: index of the quantizer.
    """
    rows, columns = np.arange(height), np.arange(width)
    inner = table[np.minimum(rows, TABLE_SIDE - 1)][:, np.minimum(columns, TABLE_SIDE - 1)]
    highest = np.maximum(rows[:, None], columns)
    falloff = np.array([_falloff(int(k)) for k in range(max(height, width))])[highest]
    area = 2 * ((height * width) ** 2).bit_length() - 2 * 17  # in 1/8 octave: coefficients grow with √(h·w) / 16
    eighths = inner.astype(np.int32) + (area - falloff)[..., None] - 8 - quality
    return np.clip(eighths // 2 + 20, 0, NUM_SCALES - 1)


def _falloff(frequency: int) -> int:
    """Eighths of an octave by which coefficients are smaller than at frequency 15, falling with its power 1.1."""
    return sum(frequency >= limit for limit in FALLOFF)


def expected(scale: np.ndarray) -> np.ndarray:
    """Return the expected size in 1/16 step, at most 8 steps, for scales."""
    return load_tables("color")["color_expected"].astype(np.int32)[scale]


@dataclass(frozen=True)
class ColorContexts:
    """Every context of a batch of coefficients, each (B, h, w, 3) int32; the names are those of the tables."""

    energy: np.ndarray
    shape: np.ndarray
    activity: np.ndarray
    ending: np.ndarray
    sign_place: np.ndarray
    sign_other: np.ndarray
    sign_near: np.ndarray
    scale: np.ndarray
    near: np.ndarray
    is_coded: np.ndarray
    last: np.ndarray  # (B, 3): the last diagonal of each channel that holds anything


def contexts(levels: np.ndarray, quality: np.ndarray, tables: dict[str, np.ndarray] | None = None) -> ColorContexts:
    """Find every context at once.

    Args:
        levels: (B, h, w, 3) int16.
        quality: (B,) of each.
        tables: `color_scale` and `color_expected`; the shipped ones if None.
    """
    height, width = levels.shape[1:3]
    sizes, channel = np.abs(levels.astype(np.int32)), np.arange(3, dtype=np.int32)
    if tables is None:
        tables, maps = load_tables("color"), [scales(height, width, int(index)) for index in quality]
    else:
        maps = [scales_by(tables["color_scale"], height, width, int(index)) for index in quality]
    scale = np.stack(maps)
    awaited = tables["color_expected"].astype(np.int32)[scale]
    diagonal = np.add.outer(np.arange(height), np.arange(width))
    up, left, corner = shifted(sizes, 1, 0), shifted(sizes, 0, 1), shifted(sizes, 1, 1)
    small = [np.minimum(part, 15) for part in (up, left, corner, shifted(sizes, 2, 0), shifted(sizes, 0, 2))]
    total = 2 * (small[0] + small[1]) + small[2] + small[3] + small[4]
    near = np.searchsorted(NEAR_LIMITS, total, side="right").astype(np.int32)
    other = np.zeros_like(sizes)
    other[..., 1:] = np.minimum(sizes[..., :1], 3)
    other[..., 2] += 4 * np.minimum(sizes[..., 1], 3)
    last = np.where(sizes > 0, diagonal[..., None], 0).max(axis=(1, 2))
    return ColorContexts(
        energy=(scale * 13 + near) * 3 + channel,
        shape=(((np.minimum(up, 3) * 4 + np.minimum(left, 3)) * 4 + np.minimum(corner, 3)) * 16 + other) * 3 + channel,
        activity=(_activities(sizes, awaited, diagonal) * NUM_SCALES + scale) * 3 + channel,
        ending=(np.clip(last[:, None, None] - diagonal[..., None], 0, 7) * 13 + near) * 3 + channel,
        scale=scale,
        near=near,
        is_coded=diagonal[..., None] <= last[:, None, None],
        last=last,
        **_sign_contexts(levels),
    )


def _sign_contexts(levels: np.ndarray) -> dict[str, np.ndarray]:
    """The contexts of the signs by name, each (B, h, w, 3) int32."""
    height, width = levels.shape[1:3]
    signs = np.sign(levels.astype(np.int32))
    other = np.full_like(signs, 4)
    other[..., 1:] += 3 * signs[..., :1]
    other[..., 2] += signs[..., 1]
    near = 40 + 27 * shifted(signs, 1, 0) + 9 * shifted(signs, 2, 0) + 3 * shifted(signs, 0, 1) + shifted(signs, 0, 2)
    edge = ((np.arange(height) == 0)[:, None] * 2 + (np.arange(width) == 0))[..., None]
    place = np.minimum(np.arange(height), 7)[:, None] * 8 + np.minimum(np.arange(width), 7)
    channel = np.arange(3, dtype=np.int32)
    return {
        "sign_place": np.broadcast_to(place[..., None] * 3 + channel, signs.shape),
        "sign_other": (edge * 9 + other) * 3 + channel,
        "sign_near": edge * 81 + near,
    }


def shifted(values: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return the values that lie `down` and `right` frequencies lower, 0 outside; (B, h, w, 3) like the argument."""
    result = np.zeros_like(values)
    height, width = values.shape[1:3]
    result[:, down:, right:] = values[:, : max(height - down, 0), : max(width - right, 0)]
    return result


def activity_class(actual: np.ndarray | int, awaited: np.ndarray | int) -> np.ndarray:
    """Return 0 … 9 from the sums of actual and expected sizes, in 1/16 step, over the earlier diagonals but 0."""
    return np.searchsorted(ACTIVITY_LIMITS, 16 * (actual + 48) // (awaited + 48), side="right")


def _activities(sizes: np.ndarray, awaited: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    actual = 16 * np.minimum(sizes, 8)
    num_diagonals = int(diagonal.max()) + 1
    sums = np.zeros((2, len(sizes), num_diagonals + 1), dtype=np.int64)
    for index in range(1, num_diagonals):  # the mean color says nothing about the activity
        on_it = diagonal == index
        sums[0, :, index + 1] = actual[:, on_it].sum(axis=(1, 2))
        sums[1, :, index + 1] = awaited[:, on_it].sum(axis=(1, 2))
    actual, awaited = np.cumsum(sums, axis=2)[..., :-1]
    return activity_class(actual, awaited)[:, diagonal][..., None].astype(np.int32)
