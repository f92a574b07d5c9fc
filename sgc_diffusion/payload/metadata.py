"""What a picture file says beside its pixels: how its colors are meant, and what a camera noted.

Both are kept to the byte. They say nothing that a decoder needs, so they come last in a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from sgc_diffusion.payload.layer import Layer

_ICC_HEADER_BYTES, _ICC_SIGNATURE = 128, slice(36, 40)
_EXIF_STARTS = (b"II*\0", b"MM\0*")


@dataclass(frozen=True, eq=False)
class IccProfileLayer(Layer):
    """The ICC profile of the pixels of a picture.

    Attributes:
        profile: its bytes; RGB or gray.

    Raises:
        ValueError: bytes that are no ICC profile of such pixels.
    """

    kind: ClassVar[int] = 24
    profile: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.profile, bytes) or not is_profile(self.profile):
            raise ValueError("`profile` must be the bytes of an ICC profile of RGB or gray pixels; leave the layer out")


@dataclass(frozen=True, eq=False)
class ExifLayer(Layer):
    """What a camera or an editor noted.

    Attributes:
        exif: a TIFF structure, as a JPEG file holds it; an orientation in it is 1, for the pixels are upright.

    Raises:
        ValueError: bytes that do not begin so.
    """

    kind: ClassVar[int] = 25
    exif: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.exif, bytes) or not is_exif(self.exif):
            raise ValueError("`exif` must be bytes that begin with the header of TIFF, II*\\0 or MM\\0*")


def is_profile(data: bytes) -> bool:
    """Return whether bytes are an ICC profile, by its header, of RGB or gray pixels."""
    return (
        len(data) >= _ICC_HEADER_BYTES
        and data[_ICC_SIGNATURE] == b"acsp"
        and int.from_bytes(data[:4], "big") == len(data)
        and data[16:20] in (b"RGB ", b"GRAY")
    )


def is_gray_profile(data: bytes) -> bool:
    """Return whether an ICC profile is one of gray pixels."""
    return data[16:20] == b"GRAY"


def is_exif(data: bytes) -> bool:
    """Return whether bytes begin as EXIF data do."""
    return data[:4] in _EXIF_STARTS
