"""Reading no more of a file than a small picture of it shows."""

from __future__ import annotations

from sgc_diffusion.bitstream.encryption import Passphrase
from sgc_diffusion.bitstream.file import decode
from sgc_diffusion.bitstream.summary import inspect
from sgc_diffusion.bitstream.thinning import thin
from sgc_diffusion.payload import SemanticPayload


def decode_coarsely(data: bytes, max_bytes: int, *, key: bytes | Passphrase | None = None) -> SemanticPayload:
    """Read labels, colors, and those of the first optional layers that lie within so many bytes of a file.

    Decoding detail takes time in proportion to its bytes, and the finest levels, which take most of them, do not show
    in a thumbnail.

    Args:
        data: the bytes of the file.
        max_bytes: of the file that count, labels and colors included; they are read even if they take more.
        key: of an encrypted file.

    Raises:
        BitstreamError: as for `decode`.
        ValueError: a key of another length.
    """
    if len(data) <= max_bytes:
        return decode(data, key=key)
    summary = inspect(data, key=key)
    required = summary.header_bytes + summary.layer_bytes["labels"] + summary.layer_bytes["color"]
    return decode(thin(data, max_bytes=max(max_bytes, required), key=key), key=key)
