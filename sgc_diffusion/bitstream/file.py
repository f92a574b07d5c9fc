"""A whole file: `encode`, `decode`, and how large it will be."""

from __future__ import annotations

import warnings
from dataclasses import replace

from sgc_diffusion.bitstream.coded_layers import read_optional, write_coded, write_layers
from sgc_diffusion.bitstream.container import CHECKSUM_BYTES, Damage, checksum, read_container
from sgc_diffusion.bitstream.encryption import NONCE_BYTES, TAG_BYTES, Passphrase, seal
from sgc_diffusion.bitstream.errors import CorruptSectionError, DamagedLayerWarning
from sgc_diffusion.bitstream.header import Header, write_header
from sgc_diffusion.bitstream.layer_coder import DecodedLayers
from sgc_diffusion.bitstream.layers import COLOR, LABELS
from sgc_diffusion.payload import Layer, SemanticPayload

_NAMED_DAMAGES = 8  # that a warning lists


def encode(payload: SemanticPayload, *, key: bytes | Passphrase | None = None) -> bytes:
    """Write a payload as one self-contained file.

    Args:
        payload: what the file is to hold.
        key: 32 bytes or a passphrase that seals the layers, see `encryption`; None leaves them readable.

    Returns:
        The bytes of the file. Equal payloads give equal bytes, except under a key.

    Raises:
        ValueError: a key of another length, or an optional layer that has no coder or lacks what it is built on.

    Example:
        >>> encode(decode(data)) == data
        True
    """
    header = write_header(Header(payload.width, payload.height, payload.recipe, key is not None))
    required, optional = write_layers(payload)
    if key is not None:
        return header + seal(header, required + optional, key)
    return header + checksum(header + required) + required + optional


def size_bytes(payload: SemanticPayload, *, sealed: bool = False) -> int:
    """Return the size of the file that `encode` writes, without drawing a nonce.

    Args:
        payload: what the file is to hold.
        sealed: count the file that a key seals.

    Raises:
        ValueError: an optional layer has no coder or lacks what it is built on.
    """
    header = write_header(Header(payload.width, payload.height, payload.recipe, sealed))
    overhead = NONCE_BYTES + TAG_BYTES if sealed else CHECKSUM_BYTES
    return len(header) + overhead + sum(map(len, write_layers(payload)))


def layer_size_bytes(layer: Layer, before: DecodedLayers) -> int:
    """Return what one layer adds to the size of a file.

    The sizes of all layers, of the header and of its checksum add up to the size of the file, so that rate control
    need not write every combination of layers.

    Args:
        layer: of any kind that can be written.
        before: the picture's size and the layers that the layer may be built on.

    Raises:
        ValueError: the layer has no coder.
    """
    return len(write_coded(layer, before))


def decode(data: bytes, *, key: bytes | Passphrase | None = None, strict: bool = False) -> SemanticPayload:
    """Read the payload of a file.

    A file that was cut anywhere after the color layer gives what is whole. An optional layer that is damaged, cut or
    out of order is left out together with those that are built on it, with a `DamagedLayerWarning`. Layers that this
    version does not know are kept as `UnknownLayer`, so that `encode` writes them again.

    Args:
        data: the bytes of the file.
        key: the 32 bytes or the passphrase that an encrypted file was sealed with.
        strict: raise an error for a damaged optional layer too.

    Returns:
        The payload that `encode` was given, less what is damaged.

    Raises:
        BitstreamError: the bytes are not such a file.
        ValueError: a key of another length.
    """
    container = read_container(data, key)
    if not container.is_intact:
        raise CorruptSectionError("The checksum does not match: the file was changed")
    header = container.header
    decoded = DecodedLayers(header.width, header.height)
    labels = LABELS.decode(container.required[0], decoded)
    decoded = replace(decoded, labels=labels)
    color = COLOR.decode(container.required[1], decoded)
    layers, damages = read_optional(container.optional, replace(decoded, color=color))
    if strict and damages:
        raise damages[0].error
    if damages:
        warnings.warn(_damage_text(damages), DamagedLayerWarning, stacklevel=2)
    return SemanticPayload(header.width, header.height, labels, color, header.recipe, layers)


def _damage_text(damages: list[Damage]) -> str:
    reasons = "; ".join(f"{damage.name}: {damage.error}" for damage in damages[:_NAMED_DAMAGES])
    more = f"; and {len(damages) - _NAMED_DAMAGES} more" if len(damages) > _NAMED_DAMAGES else ""
    return f"{len(damages)} damaged optional layers were left out ({reasons}{more})"
