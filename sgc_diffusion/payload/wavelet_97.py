"""The 9/7 step of the wavelet of lossy files, in whole numbers.

Normative, part of the file format: numbers are 32-bit integers within the step and 16-bit ones that wrap between steps,
`>>` rounds down. Of numbers x₀ … xₙ₋₁, mirrored at both ends around the outermost number (Cohen, Daubechies and
Feauveau 1992, lifted by Daubechies and Sweldens 1998; the scaling that JPEG 2000 adds is left out):

    d_k = x₂ₖ₊₁ − ((6497·(x₂ₖ + x₂ₖ₊₂) + 2048) >> 12)
    s_k = x₂ₖ   − ((217·(d_k₋₁ + d_k) + 2048) >> 12)
    d_k = d_k   + ((3616·(s_k + s_k₊₁) + 2048) >> 12)
    s_k = s_k   + ((1817·(d_k₋₁ + d_k) + 2048) >> 12)

One number alone stays as it is. Each line can be undone, so the step is reversible.
"""

from __future__ import annotations

import numpy as np

_FIRST, _SECOND, _THIRD, _FOURTH = 6497, 217, 3616, 1817  # in 1/4096
_STRIP_CELLS = 1 << 18  # taken at a time, which bounds the memory


def split_axis(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split (n, w) int16 along the first axis into low and high, both laid out in memory as the argument."""
    if len(values) == 1:
        return values.copy(order="K"), values[:0].copy(order="K")
    low, high = values[0::2].copy(order="K"), values[1::2].copy(order="K")
    for strip in _strips(values):
        s, d = low[:, strip].astype(np.int32), high[:, strip].astype(np.int32)
        d -= _scaled(_between(s, len(d)), _FIRST)
        s -= _scaled(_around(d, len(s)), _SECOND)
        d += _scaled(_between(s, len(d)), _THIRD)
        s += _scaled(_around(d, len(s)), _FOURTH)
        low[:, strip], high[:, strip] = s.astype(np.int16), d.astype(np.int16)
    return low, high


def merge_axis(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Undo `split_axis`."""
    if len(high) == 0:
        return low.copy(order="K")
    is_transposed = low.strides[0] < low.strides[1]
    shape = (low.shape[1], len(low) + len(high)) if is_transposed else (len(low) + len(high), low.shape[1])
    merged = np.empty(shape, dtype=np.int16)
    merged = merged.T if is_transposed else merged
    for strip in _strips(merged):
        s, d = low[:, strip].astype(np.int32), high[:, strip].astype(np.int32)
        s -= _scaled(_around(d, len(s)), _FOURTH)
        d -= _scaled(_between(s, len(d)), _THIRD)
        s += _scaled(_around(d, len(s)), _SECOND)
        d += _scaled(_between(s, len(d)), _FIRST)
        merged[0::2, strip], merged[1::2, strip] = s.astype(np.int16), d.astype(np.int16)
    return merged


def _strips(values: np.ndarray) -> list[slice]:
    """Return the columns that are taken together."""
    width = max(1, _STRIP_CELLS // max(1, len(values)))
    return [slice(start, start + width) for start in range(0, values.shape[1], width)]


def _scaled(sums: np.ndarray, factor: int) -> np.ndarray:
    """Return (factor · sums + 2048) >> 12, in place."""
    sums *= factor
    sums += 2048
    sums >>= 12
    return sums


def _between(low: np.ndarray, num_high: int) -> np.ndarray:
    """Return s_k + s_k₊₁ for every high number, mirrored at the end."""
    sums = low[:num_high].copy()
    sums[: len(low) - 1] += low[1 : num_high + 1]
    if len(low) == num_high:
        sums[-1] += low[-1]
    return sums


def _around(high: np.ndarray, num_low: int) -> np.ndarray:
    """Return d_k₋₁ + d_k for every low number, mirrored at both ends."""
    sums = np.empty((num_low, high.shape[1]), dtype=np.int32)
    sums[: len(high)] = high
    if num_low > len(high):
        sums[-1] = high[-1]
    sums[1:] += high[: num_low - 1]
    sums[0] += high[0]
    return sums
