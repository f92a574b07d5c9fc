"""What a picture file says beside its pixels → the layers that keep it.

    ICC profile ──of RGB or gray pixels──▶ `IccProfileLayer`
    EXIF data ──orientation set to 1, all else to the byte──▶ `ExifLayer`

Pixels are turned upright when a picture is read, so that an orientation that was kept would turn them twice.
"""

from __future__ import annotations

import struct

from PIL import ExifTags, Image

from sgc_diffusion.payload.metadata import is_exif, is_gray_profile, is_profile

_EXIF_PREFIX = b"Exif\0\0"
_ORIENTATION, _SHORT, _ENTRY_BYTES = 0x0112, 3, 12
# Of TIFF files, whose other tags are about their own pixels: description, maker, model, software, time, artist, rights.
_KEPT_TIFF_TAGS = (270, 271, 272, 305, 306, 315, 33432)
_KEPT_TIFF_BLOCKS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


def read_profile(image: Image.Image) -> bytes | None:
    """Return the ICC profile of an opened picture if its pixels can stay in it: one of RGB or gray for such pixels."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not is_profile(profile):
        return None
    is_gray = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
    fits = is_gray if is_gray_profile(profile) else image.mode in ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA")
    return profile if fits else None


def read_exif(image: Image.Image) -> bytes | None:
    """Return the EXIF data of an opened picture with the orientation 1; None if there are none that can be kept."""
    try:
        data = _tiff_exif(image) if image.format == "TIFF" else image.info.get("exif")
    except Exception:  # damaged tags make Pillow raise anything
        return None
    return upright_exif(data) if isinstance(data, bytes) else None


def upright_exif(data: bytes) -> bytes | None:
    """Return EXIF data whose orientation, if they have one, is 1; every other byte stays.

    Args:
        data: a TIFF structure, with or without `Exif` and two zeros before it.

    Returns:
        None for something else, or if its first directory is cut.
    """
    data = data.removeprefix(_EXIF_PREFIX)
    if not is_exif(data):
        return None
    order, result = "<" if data[:2] == b"II" else ">", bytearray(data)
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (num_entries,) = struct.unpack_from(order + "H", data, start)
        for entry in range(start + 2, start + 2 + _ENTRY_BYTES * num_entries, _ENTRY_BYTES):
            if struct.unpack_from(order + "H", data, entry)[0] == _ORIENTATION:
                struct.pack_into(order + "HIHH", result, entry + 2, _SHORT, 1, 1, 0)
    except struct.error:
        return None
    return bytes(result)


def _tiff_exif(image: Image.Image) -> bytes | None:
    given, kept = image.getexif(), Image.Exif()
    for tag in _KEPT_TIFF_TAGS:
        if tag in given:
            kept[tag] = given[tag]
    for block in _KEPT_TIFF_BLOCKS:
        if values := given.get_ifd(block):
            kept.get_ifd(block).update(values)
            kept[block] = kept.get_ifd(block)
    return kept.tobytes() if len(kept) else None
