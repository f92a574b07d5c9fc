"""A decoded or drawn picture → the same with what its file keeps beside the colors: alpha, ICC profile, EXIF data."""

from __future__ import annotations

import logging
from typing import Any

from PIL import Image, ImageChops

from sgc_diffusion.payload import AlphaLayer, ExifLayer, IccProfileLayer, SemanticPayload
from sgc_diffusion.payload.metadata import is_gray_profile

logger = logging.getLogger(__name__)

NO_ALPHA_FORMATS = ("JPEG", "MPO", "PDF", "PPM", "EPS")  # of which a picture with alpha is laid over white
EXIF_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF", "JXL")  # whose writers take EXIF data
PROFILE_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF")  # and an ICC profile
METADATA = {"icc_profile": "ICC profile", "exif": "EXIF data"}  # key of `info` → name
_EXIF_PREFIX = b"Exif\0\0"
_MAX_JPEG_EXIF_BYTES = 65533  # that fit into its segment


def dress(image: Image.Image, payload: SemanticPayload) -> Image.Image:
    """Return a picture with the alpha of its payload, and with profile and EXIF data in `info`.

    Args:
        image: RGB, of the payload's size, or a reduced copy; it may be changed.
        payload: that it was made from.

    Returns:
        RGB or RGBA, L or LA where the payload has the profile of a gray picture.
    """
    profile, exif, alpha = (payload.layer(kind) for kind in (IccProfileLayer, ExifLayer, AlphaLayer))
    if isinstance(profile, IccProfileLayer):
        image = image.convert("L") if is_gray_profile(profile.profile) else image
        image.info["icc_profile"] = profile.profile
    if isinstance(exif, ExifLayer):
        image.info["exif"] = _EXIF_PREFIX + exif.exif  # as Pillow's own readers give it
    if isinstance(alpha, AlphaLayer):
        if image.size == (payload.width, payload.height):
            image.putalpha(Image.fromarray(alpha.alpha(payload.height, payload.width)))
        else:
            image.putalpha(Image.fromarray(alpha.alpha_map).resize(image.size, Image.Resampling.BILINEAR))
    return image


def fitted_to(image: Image.Image, kind: str) -> Image.Image:
    """Return a picture that a format can hold: over white where it has no alpha.

    Args:
        image: of any mode.
        kind: Pillow's name of the format.
    """
    if kind not in NO_ALPHA_FORMATS or image.mode not in ("RGBA", "LA"):
        return image
    over = image.convert(image.mode[:-1])  # which stays marked if it is generated
    over.paste("white", mask=ImageChops.invert(image.getchannel("A")))
    return over


def metadata_options(info: dict[Any, Any], kind: str) -> dict[str, Any]:
    """Return the arguments of a format's writer that keep profile and EXIF data, and tell the user what it cannot keep.

    Args:
        info: of the picture.
        kind: Pillow's name of the format.
    """
    options = {name: info[name] for name in METADATA if isinstance(info.get(name), bytes)}
    fits = {
        "icc_profile": kind in PROFILE_FORMATS,
        "exif": kind in EXIF_FORMATS
        and not (kind in ("JPEG", "MPO") and len(options.get("exif", b"")) > _MAX_JPEG_EXIF_BYTES),
    }
    for name in [name for name in options if not fits[name]]:
        del options[name]
        logger.warning("%s cannot hold the %s of the picture; PNG can", kind or "The format", METADATA[name])
    return options
