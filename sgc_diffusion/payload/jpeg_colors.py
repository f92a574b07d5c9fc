"""The colors of decoded JPEG pictures: of all RGB colors, only one in four is one.

    picture ──`jpeg_colors`──▶ M, Cr, Cb, if every color of it is of that kind ──`from_jpeg_colors`──▶ the same picture

JPEG (JFIF) makes R, G, B of whole numbers Y, Cb, Cr, which spreads them over a volume of 4.2: two bits of every pixel
of a picture that comes out of a JPEG decoder are no news. Lossless files of such pictures are a fifth smaller for it.

Normative, part of the file format: `>>` rounds down, 32-bit integers suffice. Cr and Cb are those of JFIF less 128.
They are clipped to −256 … 255, then, with m = (59·Cr + 122·Cb + 128) >> 8,

    R = M − m + ((91881·Cr + 32768) >> 16)
    G = M − m + ((−22554·Cb − 46802·Cr + 32768) >> 16)
    B = M − m + ((116130·Cb + 32768) >> 16)

clipped to 0 … 255. So M = Y + m, about the mean of R, G and B: an error in it and errors in Cr and Cb are at right
angles in RGB. The smooth base, which need not be such a picture, has

    Cr = (32768·R − 27439·G − 5329·B + 32767) >> 16
    Cb = (−11059·R − 21709·G + 32768·B + 32767) >> 16
    M  = ((19595·R + 38470·G + 7471·B + 32768) >> 16) + m
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_STRIP_ROWS = 256  # converted at a time, which bounds the memory
_SEARCH = 14  # how far from the rounded Cr and Cb of a clipped color one is looked for that gives it
_FURTHEST = 255  # Cr and Cb beyond cannot be


def to_jpeg_colors(rgb: np.ndarray) -> np.ndarray:
    """Return the nearest M, Cr, Cb, (3, h, w) int16, of (h, w, 3) uint8."""
    red, green, blue = (rgb[..., channel].astype(np.int32) for channel in range(3))
    luma = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    cr = (32768 * red - 27439 * green - 5329 * blue + 32767) >> 16
    cb = (-11059 * red - 21709 * green + 32768 * blue + 32767) >> 16
    return np.stack([luma + _to_mean(cr, cb), cr, cb]).astype(np.int16)


def from_jpeg_colors(channels: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """Return (h, w, 3) uint8 from M, Cr, Cb, int16 each."""
    luma = channels[0].astype(np.int32)
    shifts = _shifts(channels)
    return np.stack([np.clip(luma + shift, 0, 255).astype(np.uint8) for shift in shifts], axis=-1)


def jpeg_colors(picture: np.ndarray) -> list[np.ndarray] | None:
    """Return M, Cr, Cb, (H, W) int16 each, that give a picture exactly, or None if there are none.

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


def _to_mean(cr: np.ndarray, cb: np.ndarray) -> np.ndarray:
    """Return M − Y, int32."""
    return (59 * cr + 122 * cb + 128) >> 8


def _shifts(channels: np.ndarray | list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what Cr and Cb of channels, int16 each, add to M for R, G and B, int32 each."""
    cr, cb = (np.clip(channel, -256, 255).astype(np.int32) for channel in channels[1:])
    mean = _to_mean(cr, cb)
    return (
        ((91881 * cr + 32768) >> 16) - mean,
        ((-22554 * cb - 46802 * cr + 32768) >> 16) - mean,
        ((116130 * cb + 32768) >> 16) - mean,
    )


def _unclipped(colors: np.ndarray, nearest: np.ndarray) -> np.ndarray | None:
    """Return M, Cr, Cb, (3, n) int16, that give clipped colors (n, 3) uint8, near to others; None without any."""
    result, left = nearest.copy(), np.arange(len(colors))
    for steps in _spiral():
        candidates = nearest[:, left] + np.array([0, *steps], dtype=np.int16)[:, None]
        candidates[0] = _mean_of(colors[left], np.stack(_shifts(candidates), axis=-1))
        fits = (from_jpeg_colors(candidates) == colors[left]).all(axis=-1)
        result[:, left[fits]] = candidates[:, fits]
        left = left[~fits]
        if not len(left):
            return result
    return None


def _mean_of(colors: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Return the only M that can give each color, (n,) int16: as a channel that is not clipped says, or all of them."""
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
