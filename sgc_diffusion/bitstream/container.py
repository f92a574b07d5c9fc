"""Header, recipe and layers ↔ bytes. The normative text is in `sgc_diffusion.bitstream`.

prefix │ size │ recipe │ CRC-16 │ labels │ color │ other layers …
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass

from sgc_diffusion.bitstream.errors import (
    BadMagicError,
    CorruptSectionError,
    TrailingBytesError,
    TruncatedStreamError,
    UnsupportedVersionError,
)
from sgc_diffusion.payload import MAX_IMAGE_SIDE, PROFILES, SCHEDULERS, DecoderRecipe

MAGIC = b"SGC"
FORMAT_VERSION = 1
ENCRYPTED, OVERRIDES = 0x10, 0x20  # flags beside the version
_VERSION_MASK, _RESERVED_FLAGS = 0x0F, 0xC0
CHECKSUM_BYTES = 2
CRITICAL = 0x80  # bit of a layer type: a reader that does not know the layer must not go on
# What a recipe field is where the file does not say; part of the file format.
_DEFAULTS = {"scheduler": 0, "num_inference_steps": 20, "strength": 100, "guidance_scale": 30, "seed": 0}
_PAPER_DEFAULTS = {"scheduler": 1, "num_inference_steps": 200, "strength": 70, "guidance_scale": 20, "seed": 0}
_FIELD_BYTES = {"scheduler": 1, "num_inference_steps": 2, "strength": 1, "guidance_scale": 1, "seed": 2}


@dataclass(frozen=True)
class Header:
    """What a file says before its layers.

    Attributes:
        width: of the picture, pixels.
        height: likewise.
        recipe: how it is to be drawn.
        is_encrypted: the layers are sealed.
    """

    width: int
    height: int
    recipe: DecoderRecipe
    is_encrypted: bool = False


class Reader:
    """Takes fields off the front of bytes and never reads past their end."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data, self.position = data, position

    @property
    def remaining(self) -> int:
        """Bytes not taken yet."""
        return len(self.data) - self.position

    def take(self, size_bytes: int, what: str) -> bytes:
        """Return the next bytes; raises TruncatedStreamError if there are fewer."""
        if size_bytes > self.remaining:
            raise TruncatedStreamError(
                f"The file ends in its {what}: {size_bytes} bytes expected, {self.remaining} left"
            )
        start, self.position = self.position, self.position + size_bytes
        return self.data[start : self.position]

    def integer(self, size_bytes: int, what: str) -> int:
        """Return a little-endian unsigned integer."""
        return int.from_bytes(self.take(size_bytes, what), "little")

    def varint(self, what: str) -> int:
        """Return an unsigned LEB128 integer of at most four bytes in its shortest form."""
        value = 0
        for index in range(4):
            byte = self.integer(1, what)
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if byte == 0 and index:
                    raise CorruptSectionError(f"The {what} is not in its shortest form")
                return value
        raise CorruptSectionError(f"The {what} takes more than four bytes")

    def sides(self, what: str, limit: int) -> tuple[int, int]:
        """Return two sides (first, second), each from 1 to `limit`."""
        value = self.varint(what)
        first, differs = value >> 1, value & 1
        second = self.varint(what) if differs else first
        if not (1 <= first <= limit and 1 <= second <= limit) or (differs and first == second):
            raise CorruptSectionError(
                f"The {what} {first} x {second} is not one that an encoder writes (limit {limit})"
            )
        return first, second


def varint(value: int) -> bytes:
    """Return the unsigned LEB128 form of an integer below 2²⁸."""
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(data) + bytes([value])


def sides(first: int, second: int) -> bytes:
    """Return two sides; the second takes no room if it is the same."""
    return varint(2 * first) if first == second else varint(2 * first + 1) + varint(second)


def write_header(header: Header) -> bytes:
    """Return prefix, size and recipe, without the checksum."""
    overrides = _write_overrides(header.recipe)
    flags = (ENCRYPTED if header.is_encrypted else 0) | (OVERRIDES if overrides else 0)
    data = MAGIC + bytes([FORMAT_VERSION | flags]) + sides(header.width, header.height)
    data += bytes([PROFILES[header.recipe.profile]]) + header.recipe.weights_hash.to_bytes(2, "little")
    return data + overrides


def read_header(reader: Reader) -> Header:
    """Take prefix, size and recipe.

    Raises:
        BitstreamError: of the kind that fits.
    """
    magic = reader.data[: len(MAGIC)]
    if magic != MAGIC:
        if MAGIC.startswith(magic):
            raise TruncatedStreamError(f"The file has {len(magic)} bytes, which is less than its signature")
        raise BadMagicError(f"The file starts with {magic!r}, not with {MAGIC!r}; it is not an .sgc file")
    reader.take(len(MAGIC), "signature")
    version = reader.integer(1, "version")
    if version & _VERSION_MASK != FORMAT_VERSION or version & _RESERVED_FLAGS:
        raise UnsupportedVersionError(
            f"The file is of format {version & _VERSION_MASK} with flags {version >> 4:#x}; this version reads format "
            f"{FORMAT_VERSION}; update sgc_diffusion"
        )
    width, height = reader.sides("picture size", MAX_IMAGE_SIDE)
    profile = _name(PROFILES, reader.integer(1, "profile"), "profile")
    fields = _defaults(profile) | {"weights_hash": reader.integer(2, "weights hash")}
    fields |= _read_overrides(reader, _defaults(profile)) if version & OVERRIDES else {}
    return Header(width, height, _recipe(profile, fields), bool(version & ENCRYPTED))


def checksum(data: bytes) -> bytes:
    """Return the CRC-16/CCITT-FALSE of the bytes, little-endian."""
    return binascii.crc_hqx(data, 0xFFFF).to_bytes(CHECKSUM_BYTES, "little")


def write_layer(kind: int, body: bytes) -> bytes:
    """Return a layer that is not required: type, length, checksum, body."""
    return bytes([kind]) + varint(len(body)) + checksum(bytes([kind]) + body) + body


def read_layers(reader: Reader) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of the layers after the required ones, to the end of the file.

    Raises:
        TruncatedStreamError: the file ends in the middle of one.
        CorruptSectionError: a checksum does not match, or the types do not ascend.
        TrailingBytesError: what follows is no layer.
    """
    last = 0
    while reader.remaining:
        kind = reader.integer(1, "layer type")
        if kind & ~CRITICAL == 0:
            raise TrailingBytesError(f"{reader.remaining + 1} bytes follow the last layer and belong to none")
        expected_size = reader.varint("layer length")
        expected = reader.take(CHECKSUM_BYTES, "layer checksum")
        body = reader.take(expected_size, "layer")
        if checksum(bytes([kind]) + body) != expected:
            raise CorruptSectionError(f"The checksum of layer type {kind} does not match: the file was changed")
        if kind & ~CRITICAL <= last:
            raise CorruptSectionError(f"Layer type {kind} follows type {last}; types must ascend")
        last = kind & ~CRITICAL
        yield kind, body


def _defaults(profile: str) -> dict[str, int]:
    return _PAPER_DEFAULTS if profile.startswith("semantic-synthesis") else _DEFAULTS


def _write_overrides(recipe: DecoderRecipe) -> bytes:
    values = {
        "scheduler": SCHEDULERS[recipe.scheduler],
        "num_inference_steps": recipe.num_inference_steps,
        "strength": round(recipe.strength * 100),
        "guidance_scale": round(recipe.guidance_scale * 10),
        "seed": recipe.seed,
    }
    defaults, mask, data = _defaults(recipe.profile), 0, b""
    for index, (name, value) in enumerate(values.items()):
        if value != defaults[name]:
            mask |= 1 << index
            data += value.to_bytes(_FIELD_BYTES[name], "little")
    return bytes([mask]) + data if mask else b""


def _read_overrides(reader: Reader, defaults: dict[str, int]) -> dict[str, int]:
    mask = reader.integer(1, "recipe mask")
    if not 0 < mask < 1 << len(defaults):
        raise CorruptSectionError(f"The recipe mask {mask:#x} is not one that an encoder writes")
    fields = {}
    for index, name in enumerate(defaults):
        if mask >> index & 1:
            fields[name] = reader.integer(_FIELD_BYTES[name], f"recipe field {name}")
            if fields[name] == defaults[name]:
                raise CorruptSectionError(f"The recipe overrides {name} with its default, which no encoder writes")
    return fields


def _recipe(profile: str, values: dict[str, int]) -> DecoderRecipe:
    try:
        return DecoderRecipe(
            profile=profile,
            weights_hash=values["weights_hash"],
            scheduler=_name(SCHEDULERS, values["scheduler"], "scheduler"),
            num_inference_steps=values["num_inference_steps"],
            strength=values["strength"] / 100,
            guidance_scale=values["guidance_scale"] / 10,
            seed=values["seed"],
        )
    except UnsupportedVersionError:
        raise
    except ValueError as error:
        raise CorruptSectionError(f"The recipe is out of range: {error}") from error


def _name(numbers: dict[str, int], number: int, what: str) -> str:
    for name, known in numbers.items():
        if known == number:
            return name
    raise UnsupportedVersionError(
        f"The file names {what} number {number}, unknown to this version; update sgc_diffusion"
    )
