"""What can be wrong with the bytes of a file. Hostile bytes raise only these errors."""


class BitstreamError(ValueError):
    """The bytes are not a file that this version can decode."""


class BadMagicError(BitstreamError):
    """The bytes do not start with the signature of the format."""


class UnsupportedVersionError(BitstreamError):
    """A newer format version, or a number (taxonomy, profile, sampler) this version does not know."""


class TruncatedStreamError(BitstreamError):
    """The bytes end before the required layers do."""


class CorruptSectionError(BitstreamError):
    """A checksum does not match, or a field holds a value that no encoder writes."""


class TrailingBytesError(BitstreamError):
    """Bytes follow the last layer that belong to none."""


class DecryptionError(BitstreamError):
    """The file is encrypted and no key was given, or the key is wrong, or a byte was changed."""


class DamagedLayerWarning(UserWarning):
    """Optional layers of a file are damaged, cut or out of order, and were left out."""
