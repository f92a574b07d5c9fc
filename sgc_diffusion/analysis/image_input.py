"""Any picture → 8-bit sRGB in display orientation.

file, PIL picture, array ──8 bits (sample_range)──▶ [reduced] ──orient──▶ upright ──ICC──▶ sRGB ──over white──▶ RGB
                                                                                    or alpha by itself ──▶ RGB, alpha

What a file says beside its pixels (EXIF, profile) is used where it can be read and never keeps a picture from being
opened.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from sgc_diffusion.analysis.metadata import read_exif, read_profile
from sgc_diffusion.analysis.sample_range import SampleRangeError, array_to_bytes, is_deep, plane_to_bytes

ImageInput = Image.Image | np.ndarray | str | Path | bytes

WORKING_PIXELS = 2**22  # colors and labels need no more: 64×64 cells of color, segmenters see about a megapixel
DRAFTED_SIDE = 16  # pixels that a JPEG decoder leaves at least; it takes the padding of narrow pictures for colors
# What Pillow lists as readable, but is no picture, only a stub, compressed already (SGC), or is drawn by running a
# program in the file.
NOT_PICTURES = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "SGC", "WMF"})
UPRIGHT = {  # EXIF orientation → what turns the stored picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class LoadedPicture:
    """A picture to be analyzed.

    Attributes:
        image: RGB, upright; the whole picture, or a copy reduced to about `WORKING_PIXELS`.
        width: of the whole picture, pixels.
        height: of the whole picture, pixels.
        alpha: L, of the size of `image`, if it was to be kept and any pixel is transparent; the colors of `image` are
            then not over white, and those of pixels with alpha 0 are what the file happens to hold.
        profile: the ICC profile that the colors of `image` are in, if it was to be kept; None for sRGB.
        exif: EXIF data with the orientation 1, None if there are none.
        is_rounded: samples had more than 8 bits.
    """

    image: Image.Image
    width: int
    height: int
    alpha: Image.Image | None = None
    profile: bytes | None = None
    exif: bytes | None = None
    is_rounded: bool = False


@dataclass(frozen=True)
class _Wishes:
    """How a picture is to be read; see `load_picture`."""

    max_pixels: int | None
    keep_alpha: bool = False
    keep_profile: bool = False
    is_rounded: bool = False


def load_picture(
    image: ImageInput,
    max_pixels: int | None = WORKING_PIXELS,
    *,
    keep_alpha: bool = False,
    keep_profile: bool = False,
) -> LoadedPicture:
    """Read a picture as 8-bit sRGB for analysis, reduced where it is larger than analysis needs.

    A large JPEG file is reduced while it is decoded, so that giving its path takes little memory.

    Args:
        image: path of a picture file, its bytes, or what `to_rgb` takes.
        max_pixels: a picture with more is reduced by a whole factor; None keeps every picture whole.
        keep_alpha: transparency stays by itself, instead of laying the picture over white.
        keep_profile: RGB and gray pixels stay in the colors of their ICC profile, instead of sRGB.

    Raises:
        ValueError: as for `open_image` and `to_rgb`.
        OSError: a file that is missing, is a directory or may not be read.
    """
    if isinstance(image, (str, Path)):
        return _read_file(Path(image), _Wishes(max_pixels, keep_alpha, keep_profile))
    if isinstance(image, bytes):
        return _read_stream(io.BytesIO(image), "`image`", _Wishes(max_pixels, keep_alpha, keep_profile))
    is_rounded = isinstance(image, (np.ndarray, Image.Image)) and is_deep(image)
    if isinstance(image, np.ndarray):
        image = array_to_bytes(image)
    if not isinstance(image, Image.Image):
        raise ValueError(
            f"`image` must be a PIL image, a numpy array or the path of a file, got {type(image).__name__}"
        )
    if min(image.size) < 1:
        raise ValueError(f"`image` must have at least one pixel, got {image.width}×{image.height}")
    try:
        return _prepare(image, image.size, _Wishes(max_pixels, keep_alpha, keep_profile, is_rounded))
    except (MemoryError, ValueError):
        raise
    except Exception as error:  # of a file that Pillow had not decoded yet; plug-ins raise anything
        raise ValueError(f"`image` is damaged or cut short: {error}") from error


def open_image(path: str | Path) -> Image.Image:
    """Read a picture file as 8-bit sRGB.

    Args:
        path: of any format that Pillow and its installed plug-ins read; of an animation the first frame is taken.

    Returns:
        RGB picture, turned upright by its EXIF orientation; transparent parts over white.

    Raises:
        ValueError: the file is no picture, is cut short, is empty, or is too large to be safe.
        OSError: the file is missing, is a directory or may not be read.
    """
    return _read_file(Path(path), _Wishes(None)).image


def to_rgb(image: Image.Image | np.ndarray) -> Image.Image:
    """Convert a picture to 8-bit sRGB.

    Args:
        image: PIL picture of any mode, of an animation the frame that it is at; or an array (H, W), (H, W, 1), (H, W,
            3) or (H, W, 4) of uint8, of uint16, or of floats in [0, 1]. It is not changed. `sample_range` says how
            other values than bytes are understood.

    Returns:
        RGB picture with the visible size; EXIF orientation and ICC profile applied, transparent parts over white.

    Raises:
        ValueError: no picture, one without pixels, one that cannot be decoded, or values whose range cannot be told.
    """
    if isinstance(image, (str, Path)):
        raise ValueError("`image` must be a PIL image or a numpy array, got a path; read it with `open_image`")
    return load_picture(image, None).image


def readable_suffixes() -> frozenset[str]:
    """Return the suffixes, in lower case, of the picture files that Pillow and its installed plug-ins open."""
    _register_plugins()
    formats = set(Image.OPEN) - NOT_PICTURES
    return frozenset(suffix.lower() for suffix, name in Image.registered_extensions().items() if name in formats)


@cache
def _register_plugins() -> None:
    """Have Pillow know all of its formats, and those of the plug-ins that are installed."""
    Image.init()
    try:
        import pillow_jxl  # noqa: F401 - registers JPEG XL
    except (ImportError, OSError):  # not there, or its library cannot be loaded
        pass
    try:
        from pillow_heif import register_heif_opener  # type: ignore[import-not-found]

        register_heif_opener()
    except (ImportError, OSError):
        pass


def _read_file(path: Path, wishes: _Wishes) -> LoadedPicture:
    with open(path, "rb") as file:
        return _read_stream(file, str(path), wishes)


def _read_stream(file: BinaryIO, name: str, wishes: _Wishes) -> LoadedPicture:
    """Read a picture file that is open; `name` stands for it in messages."""
    _register_plugins()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow still refuses what is twice as large as it warns of
        try:
            image = Image.open(file, formats=[name for name in Image.OPEN if name not in NOT_PICTURES])
            size, wishes = image.size, replace(wishes, is_rounded=is_deep(image))
            factor = 1 if wishes.max_pixels is None else _reduction(size, wishes.max_pixels)
            if factor > 1 and min(size) >= DRAFTED_SIDE * factor:
                image.draft(None, (size[0] // factor, size[1] // factor))  # only a JPEG decoder can
            return _prepare(image, size, wishes)
        except MemoryError:
            raise
        except SampleRangeError as error:
            raise ValueError(f"{name}: {error}") from error
        except Image.DecompressionBombError as error:
            raise ValueError(f"{name} declares too many pixels to be opened safely: {error}") from error
        except UnidentifiedImageError as error:
            raise ValueError(f"{name} is not a picture that Pillow {Image.__version__} can read") from error
        except Exception as error:  # plug-ins raise anything
            raise ValueError(f"{name} is damaged or cut short: {error}") from error


def _reduction(size: tuple[int, int], max_pixels: int) -> int:
    """Return the smallest whole factor by which both sides are to be divided."""
    factor = 1
    while -(-size[0] // factor) * -(-size[1] // factor) > max_pixels:  # as `Image.reduce` rounds
        factor += 1
    return factor


def _prepare(source: Image.Image, size: tuple[int, int], wishes: _Wishes) -> LoadedPicture:
    """Return a picture as RGB; `size` is that of the file, which the decoder may have reduced already."""
    source.load()  # a TIFF decoder turns the picture upright then, so that its orientation is to be read after
    orientation, profile = _orientation(source), source.info.get("icc_profile")
    kept_profile = read_profile(source) if wishes.keep_profile else None
    image = _to_simple_mode(source)
    if wishes.max_pixels is not None and (factor := _reduction(image.size, wishes.max_pixels)) > 1:
        image = image.reduce((min(factor, image.width), min(factor, image.height)))
    if orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
        size = size if orientation < 5 else (size[1], size[0])
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None:
        image = image.convert("L" if image.mode == "LA" else "RGB")
    image = _to_srgb(image, profile) if kept_profile is None else image.convert("RGB")
    if alpha is not None and alpha.getextrema() == (255, 255):
        alpha = None
    elif alpha is not None and not wishes.keep_alpha:
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=alpha)
        image, alpha = white, None
    image = image.copy() if image is source else image
    return LoadedPicture(image, *size, alpha, kept_profile, read_exif(source), wishes.is_rounded)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1, upright, where it cannot be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF makes Pillow raise anything
        return 1


def _to_simple_mode(image: Image.Image) -> Image.Image:
    """Bring a picture to L, LA, RGB, RGBA, CMYK or LAB with 8 bits a channel; transparency becomes an alpha channel."""
    if image.mode.startswith("I") or image.mode == "F":
        return plane_to_bytes(image)
    if image.mode in ("P", "PA", "RGBa") or (image.mode == "RGB" and "transparency" in image.info):
        return image.convert("RGBA")
    if image.mode == "La" or (image.mode in ("1", "L") and "transparency" in image.info):
        return image.convert("LA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB") else image.convert("RGB")


def _to_srgb(image: Image.Image, profile: Any) -> Image.Image:
    """Convert L, RGB, CMYK or LAB to RGB by an ICC profile; one that cannot be used is left aside, as viewers do."""
    if image.mode == "LAB":
        source = ImageCms.createProfile("LAB")
    elif not profile:
        return image.convert("RGB") if image.mode != "RGB" else image
    else:
        source = io.BytesIO(profile) if isinstance(profile, bytes) else profile
    try:
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except Exception:  # of a profile for other channels, or a damaged one
        if image.mode == "LAB":
            raise
        converted = None
    return converted if converted is not None else image.convert("RGB")
