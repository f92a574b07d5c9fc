"""The file format of sgc_diffusion (`.sgc`), version 1: payload ↔ bytes, lossless, integers only.

    SemanticPayload ──encode──▶ header │ CRC │ labels │ color │ optional layers …  ──decode──▶ SemanticPayload

The format is defined by the docstrings of the modules that write and read it; each of them says what its module does
to the bytes, and `docs/format.md` puts them together in the order in which a reader needs them:

    file            the parts of a file, what a writer and a reader do, an example byte by byte
    fields          the notation, varints, sides
    header          what stands before the layers
    container       how layers are framed and checked; unknown, damaged and cut layers
    encryption      sealed files
    range_coder     decisions and symbols ↔ bytes
    tables          where the probabilities come from
    labels          the label layer; with class_model for labels that no neighbor has
    color           the color layer; what its levels mean is in `payload.color_transform`
    alpha           the alpha layer
    detail_levels   the detail layers; what their bytes say is in the modules that its text names
    rans            many decisions at once ↔ bytes, for alpha and detail
    metadata        ICC profile and EXIF data
    errors          what a reader rejects, and its limits

`layers` is the registry of the layers. A layer that is not in it is not in the format.
"""

from sgc_diffusion.bitstream.coarse import decode_coarsely
from sgc_diffusion.bitstream.encryption import Passphrase, derive_key, parse_key
from sgc_diffusion.bitstream.errors import (
    BadMagicError,
    BitstreamError,
    CorruptSectionError,
    DamagedLayerWarning,
    DecryptionError,
    TrailingBytesError,
    TruncatedStreamError,
    UnsupportedVersionError,
)
from sgc_diffusion.bitstream.file import decode, encode, last_layer_size_bytes, layer_size_bytes, size_bytes
from sgc_diffusion.bitstream.layer_coder import DecodedLayers, LayerCoder
from sgc_diffusion.bitstream.recoding import recode
from sgc_diffusion.bitstream.summary import FileSummary, inspect
from sgc_diffusion.bitstream.thinning import thin

__all__ = [
    "BadMagicError",
    "BitstreamError",
    "CorruptSectionError",
    "DamagedLayerWarning",
    "DecodedLayers",
    "DecryptionError",
    "FileSummary",
    "LayerCoder",
    "Passphrase",
    "TrailingBytesError",
    "TruncatedStreamError",
    "UnsupportedVersionError",
    "decode",
    "decode_coarsely",
    "derive_key",
    "encode",
    "inspect",
    "last_layer_size_bytes",
    "layer_size_bytes",
    "parse_key",
    "recode",
    "size_bytes",
    "thin",
]
