"""Any picture → 8-bit sRGB in display orientation.

file ──open──▶ first frame ──orient──▶ upright ──ICC──▶ sRGB ──alpha over white──▶ RGB
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError


def open_image(path: Path) -> Image.Image:
    """Read a picture file as 8-bit sRGB.

    Args:
        path: any format that Pillow reads; of an animation the first frame is taken.

    Returns:
        RGB picture, turned upright by its EXIF orientation; transparent parts over white.

    Raises:
        ValueError: the file is no picture, is cut short, is empty, or is too large to be safe.
        OSError: the file is missing, is a directory or may not be read.
    """
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # Pillow still refuses what is twice as large
        try:
            return to_rgb(Image.open(file))
        except Image.DecompressionBombError as error:
            raise ValueError(f"{path} declares too many pixels to be opened safely: {error}") from error
        except UnidentifiedImageError as error:
            raise ValueError(f"{path} is not a picture that Pillow {Image.__version__} can read") from error
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise ValueError(f"{path} is damaged or cut short: {error}") from error


def to_rgb(image: Image.Image | np.ndarray) -> Image.Image:
    """Convert a picture to 8-bit sRGB.

    Args:
        image: PIL picture of any mode, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, of uint16, or of
            floats in [0, 1].

    Returns:
        RGB picture with the visible size; EXIF orientation and ICC profile applied, transparent parts over white.

    Raises:
        ValueError: an array of another shape, dtype or range.
    """
    if isinstance(image, np.ndarray):
        return to_rgb(_from_array(image))
    if not isinstance(image, Image.Image):
        raise ValueError(f"`image` must be a PIL image or a numpy array, got {type(image).__name__}")
    image.seek(0)
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _from_deep(np.asarray(image))
    if image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("LA", "La", "PA", "RGBa"):
        image = image.convert("RGBA")
    if profile and image.mode in ("RGB", "RGBA", "CMYK", "L"):
        image = _to_srgb(image, profile)
    if image.mode == "RGBA":
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (3, 4)):
        raise ValueError(f"`image` must have shape (H, W) or (H, W, 1 | 3 | 4), got {array.shape}")
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ValueError("`image` of floats must lie in [0, 1]; divide by 255, or pass uint8")
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ValueError(f"`image` must be uint8, uint16 or floats in [0, 1], got {array.dtype}")
    return Image.fromarray(array)


def _from_deep(array: np.ndarray) -> Image.Image:
    """Bring a 16-bit, 32-bit or float plane to 8 bits; floats above 1 are taken for 16-bit values."""
    values = array.astype(np.float64)
    top = 1.0 if array.dtype.kind == "f" and values.max() <= 1 else 65535.0
    return Image.fromarray(np.rint(np.clip(np.nan_to_num(values) / top, 0, 1) * 255).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Apply an ICC profile; a profile that cannot be used is left aside, as viewers do."""
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted if converted is not None else image
