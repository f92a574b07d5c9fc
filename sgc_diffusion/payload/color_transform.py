"""What the color levels mean

    color_map ──3-D DCT──▶ coefficients ──divide by STEPS[quality], decide──▶ levels    (quantize, lossy, encoder only)
    levels ──× STEPS[quality]──▶ coefficients ──integer inverse DCT, clip──▶ color_map  (dequantize, exact everywhere)

The transform is the orthonormal DCT-II along the rows, the columns and the three channels R, G, B. Along the channels
its vectors are (1, 1, 1), (1, 0, −1) and (1, −2, 1), nearly the principal axes of photographs; orthonormal, so that
the same step for every coefficient spends the bits where they lower the squared error in RGB most.

The quality is an index into `STEPS`, the quantizer steps in 1/8 of a gray level; quality 0 is the finest. STEPS[i] is
16 · 2^(i/8), rounded to the nearest integer, for i = 0 … 63.

**From levels to colors**, for a map of h rows and w columns. B(n)[k, i] is √(1/n) for k = 0, else
√(2/n) · cos(π (2i + 1) k / 2n), times 65536, rounded to the nearest integer. r(x, k) = ⌊(x + 2^(k−1)) / 2^k⌋. All
values are integers of 64 bits:

    x(u, v, k) = level(u, v, k) · STEPS[quality]
    x(u, v, c) = r(Σ over k of x(u, v, k) · B(3)[k, c], 12)
    x(i, v, c) = r(Σ over u of x(u, v, c) · B(h)[u, i], 16)
    x(i, j, c) = r(Σ over v of x(i, v, c) · B(w)[v, j], 16)
    color(i, j, c) = min(max(r(x(i, j, c), 7) + 128, 0), 255)

Here k = 0, 1, 2 is the channel of the levels and c = 0, 1, 2 is R, G, B (sRGB) in row i and column j of the map.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from sgc_diffusion.payload.scalars import plain_integer

MAX_SIDE = 64  # cells; the sums of `dequantize` stay below 2⁶³ for it
MAX_LEVEL = 32767  # size of a level
STEP_UNIT = 8  # parts of a gray level in which STEPS counts
STEPS = (
    16, 17, 19, 21, 23, 25, 27, 29, 32, 35, 38, 41, 45, 49, 54, 59,
    64, 70, 76, 83, 91, 99, 108, 117, 128, 140, 152, 166, 181, 197, 215, 235,
    256, 279, 304, 332, 362, 395, 431, 470, 512, 558, 609, 664, 724, 790, 861, 939,
    1024, 1117, 1218, 1328, 1448, 1579, 1722, 1878, 2048, 2233, 2435, 2656, 2896, 3158, 3444, 3756,
)  # fmt: skip  # round(16 · 2^(i/8)); part of the file format
DEFAULT_QUALITY = 32  # a mean of 31 dB or more for 16×16 maps of landscapes
# Rate–distortion optimized quantization: a coefficient becomes zero if the bits saved are worth the error added.
_LAMBDA = 0.1  # squared steps that one bit is worth
_ROUND_UP = 0.58  # fraction of a step from which sizes above one are rounded up
_SIZE_ONE_BITS = 1.7  # for the sign, and for saying that the size is one
# Log-odds of a coefficient that is not zero: weights of log2(1 + sizes of its neighbors at lower frequencies), of
# log2(1 + frequency), of log2(step), and for each channel. Fitted to color maps of landscapes.
_NEAR, _FREQUENCY, _STEP, _CHANNELS = 0.918, -0.632, -0.563, (1.986, 1.028, 0.010)
_BASIS_BITS = 16  # fraction bits of the integer DCT basis


def require_grid(height: int, width: int, quality: int) -> int:
    """Reject a grid or a quality that no color layer can have.

    Args:
        height: rows of the color map, 1 … 64.
        width: columns, 1 … 64.
        quality: index into `STEPS`, an integer of any type.

    Returns:
        The quality as a plain integer.

    Raises:
        ValueError: one of them is out of range.
    """
    for name, side in (("height", height), ("width", width)):
        if not 1 <= side <= MAX_SIDE:
            raise ValueError(f"`{name}` of a color map must be from 1 to {MAX_SIDE}, got {side}; resize the map")
    return plain_integer("quality", quality, 0, len(STEPS) - 1)


def quantize(color_map: np.ndarray, quality: int) -> np.ndarray:
    """Transform and quantize a color map.

    Args:
        color_map: (h, w, 3) uint8 sRGB, 1 ≤ h, w ≤ 64.
        quality: index into `STEPS`; 0 is the finest.

    Returns:
        levels (h, w, 3) int16; axis 0 and 1 are vertical and horizontal frequency, axis 2 the channel frequency.

    Raises:
        ValueError: wrong shape, dtype or quality.

    Example:
        >>> quantize(np.full((2, 2, 3), 128, np.uint8), 16).ravel()[:3]
        array([0, 0, 0], dtype=int16)
    """
    color_map = np.asarray(color_map)
    if color_map.ndim != 3 or color_map.shape[-1] != 3 or color_map.dtype != np.uint8:
        raise ValueError(f"`color_map` must be uint8 of shape (h, w, 3), got {color_map.dtype} {color_map.shape}")
    quality = require_grid(color_map.shape[0], color_map.shape[1], quality)
    scaled = coefficients(color_map) * (STEP_UNIT / STEPS[quality])
    levels = np.sign(scaled) * _choose_sizes(np.abs(scaled), quality)
    return np.clip(levels, -MAX_LEVEL, MAX_LEVEL).astype(np.int16)


def _choose_sizes(sizes: np.ndarray, quality: int) -> np.ndarray:
    """Round (h, w, 3) sizes in steps to whole ones, in diagonals of rising frequency as the coder goes."""
    height, width = sizes.shape[:2]
    step = quality / 8 - math.log2(math.sqrt(height * width) / 16)
    rows, columns = np.mgrid[:height, :width]
    prior = (_FREQUENCY * np.log2(1 + np.hypot(rows, columns)) + _STEP * step)[..., None] + _CHANNELS
    chosen = np.zeros((height + 2, width + 2, 3))  # two zeros of padding at the low frequencies
    for diagonal in range(height + width - 1):
        u = np.arange(max(0, diagonal - width + 1), min(diagonal, height - 1) + 1)
        v = diagonal - u
        near = (
            2 * (chosen[u + 1, v + 2] + chosen[u + 2, v + 1])
            + chosen[u + 1, v + 1]
            + chosen[u, v + 2]
            + chosen[u + 2, v]
        )
        odds = _NEAR * np.log2(1 + near) + prior[u, v]
        bits = np.clip(-odds / math.log(2), -2, 8) + _SIZE_ONE_BITS
        threshold = np.clip(0.5 + _LAMBDA * bits / 2, 0.5, 0.98) if diagonal else 0.5
        size = sizes[u, v]
        chosen[u + 2, v + 2] = np.where(size < 1, size > threshold, np.maximum(np.floor(size + 1 - _ROUND_UP), 1))
    return chosen[2:, 2:]


def coefficients(color_map: np.ndarray) -> np.ndarray:
    """Return the transform of a color map (h, w, 3) uint8 before it is quantized, (h, w, 3) float64 in gray levels."""
    rows, columns, channels = (basis(side) / 2.0**_BASIS_BITS for side in color_map.shape)
    return np.einsum("uh,vw,kc,hwc->uvk", rows, columns, channels, color_map - 128.0, optimize=True)


def dequantize(levels: np.ndarray, quality: int) -> np.ndarray:
    """Return the color map that levels stand for, the same on every machine.

    Args:
        levels: (h, w, 3) int16 of `quantize`.
        quality: the index they were made with.

    Returns:
        color_map (h, w, 3) uint8 sRGB.

    Raises:
        ValueError: wrong shape or quality.
    """
    levels = np.asarray(levels)
    if levels.ndim != 3 or levels.shape[-1] != 3:
        raise ValueError(f"`levels` must be int16 of shape (h, w, 3), got {levels.dtype} {levels.shape}")
    quality = require_grid(levels.shape[0], levels.shape[1], quality)
    values = np.clip(levels.astype(np.int64), -MAX_LEVEL, MAX_LEVEL) * STEPS[quality]
    values = values @ basis(3)  # (h, w, 3); each product drops its fraction bits but four before the next
    values = _round_shift(values, _BASIS_BITS - 4)
    values = _round_shift(np.tensordot(basis(levels.shape[0]).T, values, axes=(1, 0)), _BASIS_BITS)
    values = _round_shift(np.swapaxes(np.swapaxes(values, 1, 2) @ basis(levels.shape[1]), 1, 2), _BASIS_BITS)
    return np.clip(_round_shift(values, 4 + STEP_UNIT.bit_length() - 1) + 128, 0, 255).astype(np.uint8)


@cache
def basis(num_points: int) -> np.ndarray:
    """Return the orthonormal DCT-II basis, (n, n) int64 in 2⁻¹⁶, by integer arithmetic; row k is frequency k."""
    bits = 60
    pi = _pi(bits)
    cosines = [_cosine(pi * step // (2 * num_points), bits) for step in range(num_points + 1)]
    rows = np.empty((num_points, num_points), dtype=np.int64)
    for k in range(num_points):
        norm = math.isqrt(((1 if k == 0 else 2) << (2 * bits)) // num_points)
        for i in range(num_points):
            phase = (2 * i + 1) * k % (4 * num_points)  # in units of π / 2n; cosine has period 4n of them
            phase = min(phase, 4 * num_points - phase)
            value = cosines[phase] if phase <= num_points else -cosines[2 * num_points - phase]
            rows[k, i] = (value * norm + (1 << (2 * bits - _BASIS_BITS - 1))) >> (2 * bits - _BASIS_BITS)
    rows.flags.writeable = False
    return rows


def _round_shift(values: np.ndarray, bits: int) -> np.ndarray:
    return (values + (1 << (bits - 1))) >> bits


def _pi(bits: int) -> int:
    """π in units of 2^−bits, by Machin's formula 16 atan(1/5) − 4 atan(1/239)."""

    def arctangent_of_inverse(divisor: int) -> int:
        term, total, index = (1 << (bits + 8)) // divisor, 0, 0
        while term:
            total += (term if index % 2 == 0 else -term) // (2 * index + 1)
            term //= divisor * divisor
            index += 1
        return total

    return (16 * arctangent_of_inverse(5) - 4 * arctangent_of_inverse(239)) >> 8


def _cosine(angle: int, bits: int) -> int:
    """cos(angle) by its Taylor series; both in units of 2^−bits, 0 ≤ angle ≤ π/2."""
    square, term, total, index = angle * angle >> bits, 1 << bits, 0, 0
    while term:
        total += term if index % 4 == 0 else -term
        index += 2
        term = (term * square >> bits) // (index * (index - 1))
    return total
