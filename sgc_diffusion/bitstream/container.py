"""Layers

**Checksum.** CRC-16 with polynomial 0x1021, start value 0xFFFF, bits not reflected, no final exclusive or, stored as
u16. The checksum after the header covers all bytes of the header before it and, after them, the label layer and the
color layer with their lengths.

**Required layers.** The label layer and the color layer each are a varint, the length of the body in bytes, and the
body. What the bodies hold is in the sections "The label layer" and "The color layer".

**Optional layers** follow to the end of the file:

| size | type | meaning |
|---|---|---|
| 1 | u8 | type: bits 0–6 are the kind of the layer, 1 … 127; bit 7 is set if the layer is critical |
| 1–4 | varint | length of the body in bytes |
| 2 | u16 | checksum of the type byte and, after it, the body |
| … | bytes | the body |

The kinds MUST rise from layer to layer. This version defines the importance layer, kind 1, the regions layer, kind 2,
latents, kinds 3 … 6, the alpha layer, kind 7, the detail layers, kinds 8 … 23, the ICC profile, kind 24, and EXIF
data, kind 25.

**Unknown layers.** A reader MUST keep a layer whose kind it does not know, and write it again as it stands, in its
place, when it writes the payload to a file. It MUST do so with a known layer whose body says that it is of a form that
the reader does not know, and with the layers that are built on such a layer. If such a layer is critical, the reader
MUST reject the file.

**Damaged layers.** A reader SHOULD go on as follows, and MUST tell its caller what it left out; in a strict mode it
rejects the file instead.

1. If the length is no varint, or the file ends before the layer does, the layer is damaged and reaches to the end of
   the file.
2. If the kind is 0, or the checksum does not match, the layer is damaged. The next one starts behind its body.
3. If the kind is not above the kind of the last layer that is not damaged, the layer is damaged.
4. If the coder of the layer rejects its body, or bit 7 of the type is not what the layer has, the layer is damaged.
5. A layer that is built on a layer that is not there, or is damaged, is treated as damaged.
6. After 127 damaged layers by the points 1 to 3, everything from the last of them to the end of the file is damaged.

Damaged layers are left out, whether they are critical or not; the file that is written from the rest is valid.

**Cut files.** A file that ends after the color layer, or after any optional layer, is valid, and a writer or anyone
else may cut it there. If it ends inside an optional layer, that layer is damaged, and the layers before it are whole.
A sealed file cannot be cut without its key.
"""

from __future__ import annotations

import binascii
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from sgc_diffusion.bitstream.encryption import Passphrase, seal, unseal
from sgc_diffusion.bitstream.errors import (
    BitstreamError,
    CorruptSectionError,
    DamagedLayerWarning,
    DecryptionError,
    TrailingBytesError,
)
from sgc_diffusion.bitstream.fields import Reader, varint
from sgc_diffusion.bitstream.header import Header, read_header, write_header
from sgc_diffusion.payload import MAX_KIND

CHECKSUM_BYTES = 2
REQUIRED_NAMES = ("labels", "color")  # of the layers that every file has, in their order
CRITICAL = 0x80  # bit of a layer type: a reader that does not know the layer must not go on


_NAMED_DAMAGES = 8  # that a warning lists


@dataclass(frozen=True)
class StoredLayer:
    """An intact optional layer as it stands in a file.

    Attributes:
        kind: 1 … 127.
        is_critical: a reader that does not know the layer must not go on.
        body: its bytes.
        size_bytes: that it takes, with type, length and checksum.
    """

    kind: int
    is_critical: bool
    body: bytes
    size_bytes: int

    @property
    def name(self) -> str:
        """What a layer is called whose kind this version does not know."""
        return f"type {self.kind | CRITICAL * self.is_critical}"


@dataclass(frozen=True)
class Damage:
    """A piece of a file that should be an optional layer, or could not be decoded as one.

    Attributes:
        name: of the layer, as far as it can be told.
        error: what is wrong with it.
        size_bytes: that it takes.
    """

    name: str
    error: BitstreamError
    size_bytes: int


@dataclass(frozen=True)
class Container:
    """A file taken apart, its layers not decoded.

    Attributes:
        header: what it says before its layers.
        required: the bodies of the required layers.
        is_intact: header and required layers are what an encoder wrote.
        optional: the optional layers and the damaged pieces among them, in the order of the file.
    """

    header: Header
    required: tuple[bytes, ...]
    is_intact: bool
    optional: tuple[StoredLayer | Damage, ...]


def read_container(data: bytes, key: bytes | Passphrase | None) -> Container:
    """Take a file apart.

    Args:
        data: the bytes of the file.
        key: that an encrypted file was sealed with, else None.

    Raises:
        BitstreamError: the bytes are not such a file, or it ends before its color layer does.
        ValueError: a key of another length.
    """
    reader = Reader(bytes(data))
    header = read_header(reader)
    covered, expected = reader.data[: reader.position], None
    if header.is_sealed:
        if key is None:
            raise DecryptionError("The file is encrypted; give its `key`")
        reader = Reader(unseal(covered, reader.data[reader.position :], key))
    elif key is not None:
        raise DecryptionError("The file is not encrypted, so a `key` cannot vouch for it; leave the key out")
    else:
        expected = reader.take(CHECKSUM_BYTES, "checksum")
    start = reader.position
    required = tuple(reader.take(reader.varint(f"length of the {name}"), name) for name in REQUIRED_NAMES)
    covered += reader.data[start : reader.position]
    is_intact = expected is None or checksum(covered) == expected
    return Container(header, required, is_intact, tuple(read_layers(reader)))


def write_container(header: Header, required: bytes, optional: bytes, key: bytes | Passphrase | None) -> bytes:
    """Put a file together.

    Args:
        header: what it says before its layers, among it whether they are sealed.
        required: the framed label layer and color layer.
        optional: the framed optional layers.
        key: that seals the layers if the header says that they are, else None.

    Raises:
        ValueError: a key of another length.
    """
    start = write_header(header)
    if key is not None:
        return start + seal(start, required + optional, key)
    return start + checksum(start + required) + required + optional


def checksum(data: bytes) -> bytes:
    """Return the CRC-16/CCITT-FALSE of the bytes, little-endian."""
    return binascii.crc_hqx(data, 0xFFFF).to_bytes(CHECKSUM_BYTES, "little")


def write_required(body: bytes) -> bytes:
    """Return a required layer: length, body."""
    return varint(len(body)) + body


def write_layer(type_byte: int, body: bytes) -> bytes:
    """Return an optional layer: type, length, checksum, body."""
    return bytes([type_byte]) + varint(len(body)) + checksum(bytes([type_byte]) + body) + body


def read_layers(reader: Reader) -> Iterator[StoredLayer | Damage]:
    """Yield the optional layers to the end of the file, in their order, and the damaged pieces among them.

    A damaged layer is skipped by the length that it gives; if that leads beyond the end of the file, everything to the
    end is one damaged piece.

    Args:
        reader: after the required layers.
    """
    last = num_damages = 0
    while reader.remaining:
        start, error = reader.position, None
        type_byte = reader.integer(1, "layer type")
        stored = StoredLayer(type_byte & ~CRITICAL, bool(type_byte & CRITICAL), b"", 0)
        try:
            body = _read_frame(reader, type_byte)
        except BitstreamError as reason:
            body, error = b"", reason
        if stored.kind == 0:
            left = len(reader.data) - start
            error = TrailingBytesError(f"{left} bytes follow the last layer and belong to none")
        elif error is None and stored.kind <= last:
            error = CorruptSectionError(f"Layer {stored.name} follows type {last}; types must ascend")
        num_damages += error is not None
        if num_damages == MAX_KIND:  # more layers than a file can have; who reads on, reads noise
            reader.position = len(reader.data)
        size_bytes = reader.position - start
        if error is not None:
            yield Damage(stored.name, error, size_bytes)
        else:
            last = stored.kind
            yield StoredLayer(stored.kind, stored.is_critical, body, size_bytes)


def _read_frame(reader: Reader, type_byte: int) -> bytes:
    """Take length, checksum and body; after an error the reader stands where the next layer may start."""
    try:
        size_bytes = reader.varint("layer length")
        expected = reader.take(CHECKSUM_BYTES, "layer checksum")
        body = reader.take(size_bytes, "layer")
    except BitstreamError:
        reader.position = len(reader.data)
        raise
    if checksum(bytes([type_byte]) + body) != expected:
        raise CorruptSectionError(f"The checksum of layer type {type_byte} does not match: the file was changed")
    return body


def warn_of_damages(damages: list[Damage], *, stacklevel: int) -> None:
    """Warn of optional layers that were left out, if there are any.

    Args:
        damages: what was left out.
        stacklevel: of `warnings.warn`, as seen from here.
    """
    if damages:
        reasons = "; ".join(f"{damage.name}: {damage.error}" for damage in damages[:_NAMED_DAMAGES])
        more = f"; and {len(damages) - _NAMED_DAMAGES} more" if len(damages) > _NAMED_DAMAGES else ""
        text = f"{len(damages)} damaged optional layer(s) were left out ({reasons}{more})"
        warnings.warn(text, DamagedLayerWarning, stacklevel=stacklevel)
