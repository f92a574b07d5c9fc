"""A whole file: `encode`, `decode` and `inspect`."""

from __future__ import annotations

from dataclasses import dataclass

from sgc_diffusion import taxonomy
from sgc_diffusion.bitstream.color_coder import decode_color, encode_color
from sgc_diffusion.bitstream.container import (
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
from sgc_diffusion.bitstream.errors import CorruptSectionError, DecryptionError, UnsupportedVersionError
from sgc_diffusion.bitstream.label_coder import decode_labels, encode_labels
from sgc_diffusion.color_transform import MAX_SIDE as MAX_COLOR_SIDE
from sgc_diffusion.color_transform import STEPS
from sgc_diffusion.payload import MAX_GRID_SIDE, ColorLayer, DecoderRecipe, LabelLayer, SemanticPayload


@dataclass(frozen=True)
class FileSummary:
    """What a file says without decoding its layers.

    Attributes:
        format_version: of the file.
        is_encrypted: the layers are sealed; `layer_bytes` then holds one entry, `sealed`.
        width: of the picture, pixels.
        height: likewise.
        recipe: how the picture is to be drawn.
        header_bytes: size of everything before the layers, checksum included.
        layer_bytes: layer name → size in bytes, its length field included; `type N` for one this version does not know.
        is_intact: every checksum matches; None for an encrypted file, whose seal only the key can check.
    """

    format_version: int
    is_encrypted: bool
    width: int
    height: int
    recipe: DecoderRecipe
    header_bytes: int
    layer_bytes: dict[str, int]
    is_intact: bool | None


def encode(payload: SemanticPayload) -> bytes:
    """Write a payload as one self-contained file.

    Args:
        payload: what the file is to hold.

    Returns:
        The bytes of the file. Equal payloads give equal bytes.

    Example:
        >>> encode(decode(data)) == data
        True
    """
    header = write_header(Header(payload.width, payload.height, payload.recipe))
    layers = _write_required(payload)
    return header + checksum(header + layers) + layers


def decode(data: bytes) -> SemanticPayload:
    """Read the payload of a file.

    Args:
        data: the bytes of the whole file, or of one cut after a layer.

    Returns:
        The payload that `encode` was given. Layers of types this version does not know are left out.

    Raises:
        BitstreamError: the bytes are not such a file.
    """
    reader = Reader(bytes(data))
    header = read_header(reader)
    if header.is_encrypted:
        raise DecryptionError("The file is encrypted; pass its `key`")
    head_end = reader.position
    expected = reader.take(2, "checksum")
    start = reader.position
    label_body, color_body = _read_required(reader)
    if checksum(reader.data[:head_end] + reader.data[start : reader.position]) != expected:
        raise CorruptSectionError("The checksum does not match: the file was changed")
    labels, color = _read_labels(label_body), _read_color(color_body)
    for kind, _ in read_layers(reader):
        if kind & CRITICAL:
            raise UnsupportedVersionError(f"The file needs layer type {kind}, unknown to this version; update sgc_diffusion")
    return SemanticPayload(header.width, header.height, labels, color, header.recipe)


def inspect(data: bytes) -> FileSummary:
    """Read what a file says about itself, without decoding its layers.

    Args:
        data: the bytes of the file.

    Raises:
        BitstreamError: the bytes are not such a file, or it ends in the middle of a layer.
    """
    reader = Reader(bytes(data))
    header = read_header(reader)
    head_end = reader.position
    layer_bytes: dict[str, int] = {}
    is_intact = None
    if header.is_encrypted:
        layer_bytes["sealed"] = reader.remaining
    else:
        expected = reader.take(2, "checksum")
        start = reader.position
        bodies = _read_required(reader)
        for name, body in zip(("labels", "color"), bodies, strict=True):
            layer_bytes[name] = len(varint(len(body))) + len(body)
        is_intact = checksum(reader.data[:head_end] + reader.data[start : reader.position]) == expected
        for kind, body in read_layers(reader):
            layer_bytes[f"type {kind}"] = 3 + len(varint(len(body))) + len(body)
    return FileSummary(
        FORMAT_VERSION,
        header.is_encrypted,
        header.width,
        header.height,
        header.recipe,
        len(data) - sum(layer_bytes.values()),
        layer_bytes,
        is_intact,
    )


def _write_required(payload: SemanticPayload) -> bytes:
    label_set = payload.labels.taxonomy
    label_body = bytes([label_set.number]) + sides(*payload.label_map.shape)
    label_body += encode_labels(payload.label_map, label_set.name)
    levels = payload.color.levels
    color_body = bytes([payload.color.quality]) + sides(*levels.shape[:2]) + encode_color(levels, payload.color.quality)
    return varint(len(label_body)) + label_body + varint(len(color_body)) + color_body


def _read_required(reader: Reader) -> tuple[bytes, bytes]:
    label_body = reader.take(reader.varint("length of the labels"), "labels")
    return label_body, reader.take(reader.varint("length of the color map"), "color map")


def _read_labels(body: bytes) -> LabelLayer:
    reader = Reader(body)
    try:
        name = taxonomy.taxonomy_name(reader.integer(1, "taxonomy"))
    except ValueError as error:
        raise UnsupportedVersionError(str(error)) from error
    height, width = reader.sides("label grid", MAX_GRID_SIDE)
    return LabelLayer(decode_labels(body[reader.position :], height, width, name), name)


def _read_color(body: bytes) -> ColorLayer:
    reader = Reader(body)
    quality = reader.integer(1, "color quality")
    if quality >= len(STEPS):
        raise CorruptSectionError(f"The color quality {quality} is not below {len(STEPS)}")
    height, width = reader.sides("color grid", MAX_COLOR_SIDE)
    return ColorLayer(decode_color(body[reader.position :], height, width, quality), quality)
