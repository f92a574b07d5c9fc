"""Errors and limits

Hostile bytes raise only these errors, all of the family `BitstreamError`:

- `BadMagicError`: the signature is another.
- `UnsupportedVersionError`: the version is another, or bit 6 or 7 of its byte is set; a profile, scheduler or taxonomy
  is unknown; a critical layer is unknown.
- `TruncatedStreamError`: the file or a body ends inside a field, or the file ends inside a layer.
- `CorruptSectionError`: a checksum does not match, a MUST is violated, or a value is out of its range.
- `DecryptionError`: the file is sealed and no key was given, or another key, or a byte was changed; or a key was given
  for a plain file, for which it cannot vouch.
- `TrailingBytesError`: in strict mode, a type byte of kind 0 (0 or 128) stands where an optional layer may start.

What is wrong with an optional layer alone is an error in strict mode only; otherwise it is a `DamagedLayerWarning`
(section "Layers").

All limits are checked before anything is allocated, so that memory and time follow the bytes that are there and not
the sizes that they declare:

| what | at most |
|---|---|
| a side of the picture | 2²⁰ pixels; decoding a file allocates nothing for them |
| a side of the label grid | 1024 cells |
| cells of the label grid | 16384 |
| a side of the color map | 64 cells |
| a level | 32767 in size |
| a varint | 4 bytes, so a layer has less than 2²⁸ bytes |
| optional layers | 127 |
| zeros that a reader of a stream adds at its end | 16 bytes |
"""


class BitstreamError(ValueError):
    """The bytes are not a file that this version can decode."""


class BadMagicError(BitstreamError):
    """The bytes do not start with the signature of the format."""


class UnsupportedVersionError(BitstreamError):
    """A newer format version, or a number (taxonomy, profile, sampler) this version does not know."""


class TruncatedStreamError(BitstreamError):
    """The bytes end before the required layers do, or, in strict mode, inside an optional layer."""


class CorruptSectionError(BitstreamError):
    """A checksum does not match, or a field holds a value that no encoder writes."""


class TrailingBytesError(BitstreamError):
    """In strict mode: bytes follow the last layer that belong to none."""


class DecryptionError(BitstreamError):
    """The file is encrypted and no key was given, or the key is wrong, or a byte was changed."""


class DamagedLayerWarning(UserWarning):
    """Optional layers of a file are damaged, cut or out of order, and were left out."""
