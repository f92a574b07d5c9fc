"""The file format of sgc_diffusion: payload ↔ bytes, lossless, integer arithmetic only."""

from sgc_diffusion.bitstream.errors import (
    BadMagicError,
    BitstreamError,
    CorruptSectionError,
    DecryptionError,
    TrailingBytesError,
    TruncatedStreamError,
    UnsupportedVersionError,
)
from sgc_diffusion.bitstream.file import FileSummary, decode, encode, inspect

__all__ = [
    "BadMagicError",
    "BitstreamError",
    "CorruptSectionError",
    "DecryptionError",
    "FileSummary",
    "TrailingBytesError",
    "TruncatedStreamError",
    "UnsupportedVersionError",
    "decode",
    "encode",
    "inspect",
]
