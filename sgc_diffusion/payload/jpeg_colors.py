"""The colors of decoded JPEG pictures: Y, Cr, Cb, of which only one in four RGB colors comes.

    picture ──`jpeg_colors`──▶ Y, Cr, Cb, if all of its colors are of that kind ──`from_jpeg_colors`──▶ the same picture

Normative, part of the file format: `>>` rounds down, 32-bit integers suffice.

JPEG (JFIF) makes R, G, B of whole numbers Y, Cb, Cr, which spreads one color over a volume of 4.2: a picture that comes
out of a JPEG decoder is known by two bits a pixel less than its RGB seems to hold. With Cr and Cb less by 128 than JFIF
says, and clipped to −256 … 255 first,

    R = Y + ((91881·Cr + 32768) >> 16)
    G = Y + ((−22554·Cb − 46802·Cr + 32768) >> 16)
    B = Y + ((116130·Cb + 32768) >> 16)

clipped to 0 … 255, and for the smooth base, which need not be such a picture,

    Y  = (19595·R + 38470·G + 7471·B + 32768) >> 16
    Cr = (32768·R − 27439·G − 5329·B + 32767) >> 16
    Cb = (−11059·R − 21709·G + 32768·B + 32767) >> 16
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_STRIP_ROWS = 256  # converted at a time, which bounds the memory
_SEARCH = 14  # how far from the rounded Cr and Cb of a clipped color one is looked for that gives it
_FURTHEST = 255  # Cr and Cb beyond cannot be


def to_jpeg_colors(rgb: np.ndarray) -> np.ndarray:
    """Return the nearest Y, Cr, Cb, (3, h, w) int16, of (h, w, 3) uint8."""
    red, green, blue = (rgb[..., channel].astype(np.int32) for channel in range(3))
    return np.stack(
        [
            ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.int16),
            ((32768 * red - 27439 * green - 5329 * blue + 32767) >> 16).astype(np.int16),
            ((-11059 * red - 21709 * green + 32768 * blue + 32767) >> 16).astype(np.int16),
        ]
    )


def from_jpeg_colors(channels: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """Return (h, w, 3) uint8 from Y, Cr, Cb, int16 each."""
    luma = channels[0].astype(np.int32)
    shifts = _shifts(channels[1], channels[2])
    return np.stack([np.clip(luma + shift, 0, 255).astype(np.uint8) for shift in shifts], axis=-1)


def jpeg_colors(picture: np.ndarray) -> list[np.ndarray] | None:
    """Return Y, Cr, Cb, (H, W) int16 each, that give a picture exactly, or None if there are none.

    Args:
        picture: (H, W, 3) uint8.
    """
    planes = [np.empty(picture.shape[:2], dtype=np.int16) for _ in range(3)]
    for start in range(0, len(picture), _STRIP_ROWS):
        strip = slice(start, start + _STRIP_ROWS)
        channels = to_jpeg_colors(picture[strip])
        others = (from_jpeg_colors(channels) != picture[strip]).any(axis=-1)
        if others.any():
            colors = picture[strip][others]
            if not ((colors == 0) | (colors == 255)).any(axis=-1).all():
                return None
            replaced = _unclipped(colors, channels[:, others])
            if replaced is None:
                return None
            channels[:, others] = replaced
        for plane, channel in zip(planes, channels, strict=True):
            plane[strip] = channel
    return planes


def _shifts(cr: np.ndarray, cb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what Cr and Cb, int16, add to Y for R, G and B, int32 each."""
    red, blue = (np.clip(part, -256, 255).astype(np.int32) for part in (cr, cb))
    return (
        (91881 * red + 32768) >> 16,
        (-22554 * blue - 46802 * red + 32768) >> 16,
        (116130 * blue + 32768) >> 16,
    )


def _unclipped(colors: np.ndarray, nearest: np.ndarray) -> np.ndarray | None:
    """Return Y, Cr, Cb, (3, n) int16, that give clipped colors (n, 3) uint8, near to others; None without any."""
    result, left = nearest.copy(), np.arange(len(colors))
    for step_red, step_blue in _spiral():
        cr, cb = nearest[1, left] + np.int16(step_red), nearest[2, left] + np.int16(step_blue)
        luma = _luma_of(colors[left], np.stack(_shifts(cr, cb), axis=-1))
        candidates = np.stack([luma, cr, cb])
        fits = (from_jpeg_colors(candidates) == colors[left]).all(axis=-1)
        result[:, left[fits]] = candidates[:, fits]
        left = left[~fits]
        if not len(left):
            return result
    return None


def _luma_of(colors: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Return the only Y that can give each color, (n,) int16: as a channel that is not clipped says, or all of them."""
    lumas = colors - shifts
    is_high, is_low = colors == 255, colors == 0
    least = np.where(is_high, lumas, -_FURTHEST).max(axis=1)
    most = np.where(is_low, lumas, 2 * _FURTHEST).min(axis=1)
    exact = np.where(is_high | is_low, -_FURTHEST, lumas).max(axis=1)
    is_clipped = (is_high | is_low).all(axis=1)
    return np.where(is_clipped, np.where(is_high.any(axis=1), least, most), exact).astype(np.int16)


def _spiral() -> Iterator[tuple[int, int]]:
    """Yield the steps of Cr and Cb that are tried, near ones first."""
    steps = range(-_SEARCH, _SEARCH + 1)
    yield from sorted(((red, blue) for red in steps for blue in steps), key=lambda pair: pair[0] ** 2 + pair[1] ** 2)
