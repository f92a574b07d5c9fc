"""A whole file: `encode`, `decode` and `inspect`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sgc_diffusion import taxonomy
from sgc_diffusion.bitstream.color import decode_color, encode_color
from sgc_diffusion.bitstream.container import (
    CHECKSUM_BYTES,
    CRITICAL,
    FORMAT_VERSION,
    Header,
    Reader,
    checksum,
    read_header,
    read_layers,
    sides,
    varint,
    write_header,
)
from sgc_diffusion.bitstream.encryption import seal, unseal
from sgc_diffusion.bitstream.errors import BitstreamError, CorruptSectionError, DecryptionError, UnsupportedVersionError
from sgc_diffusion.bitstream.labels import decode_labels, encode_labels
from sgc_diffusion.payload import (
    MAX_GRID_CELLS,
    MAX_GRID_SIDE,
    ColorLayer,
    DecoderRecipe,
    LabelLayer,
    SemanticPayload,
)
from sgc_diffusion.payload.color_transform import MAX_SIDE as MAX_COLOR_SIDE
from sgc_diffusion.payload.color_transform import STEPS


@dataclass(frozen=True)
class FileSummary:
    """What a file says without decoding its layers.

    Attributes:
        format_version: of the file.
        is_encrypted: the layers are sealed.
        width: of the picture, pixels.
        height: likewise.
        recipe: how the picture is to be drawn.
        header_bytes: size of everything before the layers, checksum included.
        layer_bytes: layer name → size in bytes with its length field: `labels`, `color`, and `type N` for a layer that
            this version does not know; only `sealed` for an encrypted file without its key.
        is_intact: every checksum matches; None for an encrypted file without its key.
    """

    format_version: int
    is_encrypted: bool
    width: int
    height: int
    recipe: DecoderRecipe
    header_bytes: int
    layer_bytes: dict[str, int]
    is_intact: bool | None


def encode(payload: SemanticPayload, *, key: bytes | None = None) -> bytes:
    """Write a payload as one self-contained file.

    Args:
        payload: what the file is to hold.
        key: 32 bytes that seal the layers, see `encryption`; None leaves them readable.

    Returns:
        The bytes of the file. Equal payloads give equal bytes, except under a key.

    Raises:
        ValueError: a key of another length, or levels that no color map has.

    Example:
        >>> encode(decode(data)) == data
        True
    """
    header = write_header(Header(payload.width, payload.height, payload.recipe, key is not None))
    layers = _write_required(payload)
    if key is not None:
        return header + seal(header, layers, key)
    return header + checksum(header + layers) + layers


def decode(data: bytes, *, key: bytes | None = None) -> SemanticPayload:
    """Read the payload of a file.

    Args:
        data: the bytes of the whole file, or of one cut after a layer.
        key: the 32 bytes that an encrypted file was sealed with.

    Returns:
        The payload that `encode` was given. Layers of types this version does not know are left out.

    Raises:
        BitstreamError: the bytes are not such a file.
        ValueError: a key of another length.
    """
    header, reader, is_intact = _open(data, key)
    label_body, color_body = _read_required(reader)
    if not is_intact(reader.position):
        raise CorruptSectionError("The checksum does not match: the file was changed")
    labels, color = _read_labels(label_body), _read_color(color_body)
    for kind, _ in read_layers(reader):
        if kind & CRITICAL:
            raise UnsupportedVersionError(
                f"The file needs layer type {kind}, unknown to this version; update sgc_diffusion"
            )
    return SemanticPayload(header.width, header.height, labels, color, header.recipe)


def inspect(data: bytes, *, key: bytes | None = None) -> FileSummary:
    """Read what a file says about itself, without decoding its layers.

    Args:
        data: the bytes of the file.
        key: of an encrypted file, if its layers are to be listed.

    Raises:
        BitstreamError: the bytes are not such a file, or it ends in the middle of a layer.
        ValueError: a key of another length.
    """
    reader = Reader(bytes(data))
    header = read_header(reader)
    layer_bytes, intact = {"sealed": reader.remaining}, None
    if key is not None or not header.is_encrypted:
        header, reader, is_intact = _open(data, key)
        bodies = _read_required(reader)
        layer_bytes = {name: _stored_bytes(body) for name, body in zip(("labels", "color"), bodies, strict=True)}
        intact = is_intact(reader.position)
        for kind, body in read_layers(reader):
            layer_bytes[f"type {kind}"] = 1 + CHECKSUM_BYTES + _stored_bytes(body)
    return FileSummary(
        format_version=FORMAT_VERSION,
        is_encrypted=header.is_encrypted,
        width=header.width,
        height=header.height,
        recipe=header.recipe,
        header_bytes=len(data) - sum(layer_bytes.values()),
        layer_bytes=layer_bytes,
        is_intact=intact,
    )


def _open(data: bytes, key: bytes | None) -> tuple[Header, Reader, Callable[[int], bool]]:
    """Return the header, a reader of the layers, and what tells whether they are intact."""
    reader = Reader(bytes(data))
    header = read_header(reader)
    header_end = reader.position
    if header.is_encrypted:
        if key is None:
            raise DecryptionError("The file is encrypted; give its `key`")
        layers = unseal(reader.data[:header_end], reader.data[header_end:], key)
        return header, Reader(layers), lambda _: True
    if key is not None:
        raise DecryptionError("The file is not encrypted, so a `key` cannot vouch for it; leave the key out")
    expected = reader.take(CHECKSUM_BYTES, "checksum")

    def is_intact(end: int) -> bool:
        return checksum(reader.data[:header_end] + reader.data[header_end + CHECKSUM_BYTES : end]) == expected

    return header, reader, is_intact


def _stored_bytes(body: bytes) -> int:
    return len(varint(len(body))) + len(body)


def _write_required(payload: SemanticPayload) -> bytes:
    label_set = payload.labels.taxonomy
    label_body = bytes([label_set.number]) + sides(*payload.label_map.shape)
    label_body += encode_labels(payload.label_map, label_set.name)
    levels, quality = payload.color.levels, payload.color.quality
    color_body = bytes([quality]) + sides(*levels.shape[:2]) + encode_color(levels, quality)
    return varint(len(label_body)) + label_body + varint(len(color_body)) + color_body


def _read_required(reader: Reader) -> tuple[bytes, bytes]:
    label_body = reader.take(reader.varint("length of the labels"), "labels")
    return label_body, reader.take(reader.varint("length of the color map"), "color map")


def _read_labels(body: bytes) -> LabelLayer:
    reader = Reader(body)
    try:
        name = taxonomy.taxonomy_name(reader.integer(1, "taxonomy"))
    except BitstreamError:
        raise
    except ValueError as error:
        raise UnsupportedVersionError(str(error)) from error
    height, width = reader.sides("label grid", MAX_GRID_SIDE)
    if height * width > MAX_GRID_CELLS:
        raise CorruptSectionError(f"The label grid {height} x {width} has more than {MAX_GRID_CELLS} cells")
    return LabelLayer(decode_labels(body[reader.position :], height, width, name), name)


def _read_color(body: bytes) -> ColorLayer:
    reader = Reader(body)
    quality = reader.integer(1, "color quality")
    if quality >= len(STEPS):
        raise CorruptSectionError(f"The color quality {quality} is not below {len(STEPS)}")
    height, width = reader.sides("color grid", MAX_COLOR_SIDE)
    return ColorLayer(decode_color(body[reader.position :], height, width, quality), quality)
