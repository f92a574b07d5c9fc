"""Samples that are no bytes → bytes, by the range that they are declared to have.

    uint16, mode I;16          0 … 65535
    arrays of floats           0 … 1
    mode I of a PPM file       0 … 65535, which is how Pillow reads it
    modes I and F otherwise    by their largest value:
                                   0 … 1       F up to 1.125
                                   0 … 255     I up to 255, F from 2 to 287: what Pillow's conversion from L gives
                                   0 … 65535   above: what Pillow's conversion from I;16 gives

Floats may lie beyond their range by an eighth of it, as resampling leaves them, and are clipped; integers may not. What
lies in no range, and floats that are all 0 or 1, which could be of two, are refused: an array says what it means. 16
bits become 8 by round(v / 257), so that 0 and 65535 become 0 and 255. A float that is no number becomes 0 and changes
no other.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

UNIT, BYTE, WORD = 1.0, 255.0, 65535.0  # the largest value of each range
OVERSHOOT = 0.125  # of a range, on either side


class SampleRangeError(ValueError):
    """It cannot be told from what range values are."""


class RoundedSamplesWarning(UserWarning):
    """A picture is kept losslessly, but from 8 bits a sample, to which its own were rounded."""


def is_deep(image: Image.Image | np.ndarray) -> bool:
    """Return whether a picture has samples of more than 8 bits; of a file, before it is decoded."""
    if isinstance(image, np.ndarray):
        return image.dtype != np.uint8
    return image.mode.startswith(("I;16", "F")) or any(";16" in str(tile) for tile in getattr(image, "tile", ()))


def array_to_bytes(array: np.ndarray) -> Image.Image:
    """Return an array as an 8-bit PIL picture.

    Args:
        array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16, or floats in [0, 1].

    Returns:
        L, RGB or RGBA.

    Raises:
        ValueError: another shape, dtype or range.
    """
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (3, 4)):
        raise ValueError(f"`image` must have shape (H, W) or (H, W, 1 | 3 | 4), got {array.shape}")
    if array.dtype.kind == "f":
        if not _holds(UNIT, *_extremes(array)):
            raise ValueError("`image` of floats must lie in [0, 1]; divide by 255, or pass uint8")
        array = _scale(array, UNIT)
    elif array.dtype.kind == "u" and array.dtype.itemsize == 2:
        array = _scale(array, WORD)
    elif array.dtype != np.uint8:
        raise ValueError(f"`image` must be uint8, uint16 or floats in [0, 1], got {array.dtype}")
    return Image.fromarray(array)


def plane_to_bytes(image: Image.Image) -> Image.Image:
    """Return a PIL picture of mode I, F or I;16 in 8 bits; its transparent value becomes an alpha channel.

    Args:
        image: of one plane.

    Returns:
        L or LA.

    Raises:
        SampleRangeError: values whose range cannot be told.
    """
    plane = np.asarray(image)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        top = WORD
    else:
        top = _told_range(image.mode, plane)
    gray = Image.fromarray(_scale(plane, top))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray.putalpha(Image.fromarray(np.where(plane == transparent, 0, 255).astype(np.uint8)))
    return gray


def _told_range(mode: str, plane: np.ndarray) -> float:
    """Return the largest value of the range that a plane (H, W) of int32 or float32 is in."""
    lowest, highest = _extremes(plane)
    if mode == "F":
        is_binary = highest == 1 and bool(np.isin(plane[np.isfinite(plane)], (0, 1)).all())
        top = UNIT if highest < 2 else BYTE if highest <= (1 + OVERSHOOT) * BYTE else WORD
        is_told = _holds(top, lowest, highest) and not is_binary
    else:
        top = BYTE if highest <= BYTE else WORD
        is_told = lowest >= 0 and highest <= top
    if not is_told:
        raise SampleRangeError(
            f"`image` of mode {mode} holds values from {lowest:g} to {highest:g}, whose range cannot be told; pass an "
            "array of uint8, of uint16, or of floats in [0, 1]"
        )
    return top


def _extremes(values: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest finite value; not-a-number twice if there is none."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)


def _holds(top: float, lowest: float, highest: float) -> bool:
    return lowest >= -OVERSHOOT * top and highest <= (1 + OVERSHOOT) * top


def _scale(values: np.ndarray, top: float) -> np.ndarray:
    """Return values of 0 … `top` as (H, W) or (H, W, C) uint8."""
    if top == WORD and values.dtype.kind == "u":
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    scaled = np.nan_to_num(values, nan=0.0, posinf=top, neginf=0.0) * (BYTE / top)
    return np.rint(np.clip(scaled, 0, BYTE)).astype(np.uint8)
