"""The header

| size | type | meaning |
|---|---|---|
| 3 | bytes | signature `53 47 43` ("SGC") |
| 1 | u8 | bits 0–3: version, 1. Bit 4: the file is sealed. Bit 5: recipe fields follow. Bits 6–7 MUST be 0 |
| 1–7 | sides | width and height of the picture in pixels, each 1 … 2²⁰ |
| 1 | u8 | profile |
| 2 | u16 | weights hash: the first two bytes of the hash of the pipeline's weights, 0 if unknown |
| 0–8 | | the recipe fields, if bit 5 is set |

The profile is the pipeline that the file is made for: custom 0, landscape-256 1, semantic-synthesis-512 2,
semantic-synthesis-256 3, controlnet-seg 4, general-256 5, labels-gan 6.

**Recipe fields.** A mask (u8), then each field whose bit is set in the mask, in this order:

| bit | field | type | range | default | default of profiles 2 and 3 |
|---|---|---|---|---|---|
| 0 | scheduler | u8 | below | 0 | 1 |
| 1 | steps | u16 | 1 … 1000 | 20 | 200 |
| 2 | strength in 1/100 | u8 | 0 … 100 | 100 | 70 |
| 3 | guidance scale in 1/10 | u8 | 0 … 255 | 30 | 20 |
| 4 | seed | u16 | 0 … 65535 | 0 | 0 |

The schedulers are dpm-solver++ 0, ddim 1, unipc 2, lcm 3. Strength 0 says that nothing is to be drawn: the picture is
what the file holds without a network.

Bit 5 of the mask, which no bytes follow, says scheduler 3 with 2 steps; bits 0 and 1 MUST then be 0, and these two
values MUST be said by bit 5.

- A field that is not in the file has its default.
- A field that has its default MUST be left out.
- The mask MUST NOT be 0: without fields, bit 5 of the flags is 0 and there is no mask.
- Bits 6 and 7 of the mask MUST be 0.

**The noise** of a drawing is that of the seed N, 0 … 2⁶³ − 1: the first eight bytes, little-endian, shifted right by
one bit, of the SHA-256 of u16 seed, u8 taxonomy, sides and cells (u8, row by row) of the label map, sides and levels
(i16, by row, column and channel) of the color map, and u8 quality; sides are u16 rows, u16 columns. So two pictures
share no noise, and thinning a file leaves its noise as it is. What a generator of random numbers makes of N is the
decoder's choice; this package takes torch's on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from sgc_diffusion.bitstream.errors import (
    BadMagicError,
    CorruptSectionError,
    TruncatedStreamError,
    UnsupportedVersionError,
)
from sgc_diffusion.bitstream.fields import Reader, sides
from sgc_diffusion.payload import MAX_IMAGE_SIDE, PROFILES, SCHEDULERS, DecoderRecipe, Profile
from sgc_diffusion.payload.recipe import GUIDANCE_PARTS, STRENGTH_PARTS

MAGIC = b"SGC"
FORMAT_VERSION = 1
SEALED, OVERRIDES = 0x10, 0x20  # flags beside the version
_VERSION_MASK, _RESERVED_FLAGS = 0x0F, 0xC0
_TWO_LEAPS = 1 << 5  # of the mask
_FIELD_BYTES = {"scheduler": 1, "num_inference_steps": 2, "strength": 1, "guidance_scale": 1, "seed": 2}
_PROFILE_NUMBERS = {name: profile.number for name, profile in PROFILES.items()}


@dataclass(frozen=True)
class Header:
    """What a file says before its layers.

    Attributes:
        width: of the picture, pixels.
        height: of the picture, pixels.
        recipe: how it is to be drawn.
        is_sealed: the layers are encrypted.
    """

    width: int
    height: int
    recipe: DecoderRecipe
    is_sealed: bool = False


def write_header(header: Header) -> bytes:
    """Return prefix, size and recipe, without the checksum."""
    overrides = _write_overrides(header.recipe)
    flags = (SEALED if header.is_sealed else 0) | (OVERRIDES if overrides else 0)
    data = MAGIC + bytes([FORMAT_VERSION | flags]) + sides(header.width, header.height)
    data += bytes([PROFILES[header.recipe.profile].number]) + header.recipe.weights_hash.to_bytes(2, "little")
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
    profile = PROFILES[_name(_PROFILE_NUMBERS, reader.integer(1, "profile"), "profile")]
    values = default_fields(profile) | {"weights_hash": reader.integer(2, "weights hash")}
    values |= _read_overrides(reader, default_fields(profile)) if version & OVERRIDES else {}
    return Header(width, height, _recipe(profile.name, values), bool(version & SEALED))


def default_fields(profile: Profile) -> dict[str, int]:
    """Return what each recipe field is, as it is stored, where a file of a profile does not say."""
    preset = profile.defaults
    return _fields(preset.scheduler, preset.num_inference_steps, preset.strength, preset.guidance_scale, 0)


def _fields(scheduler: str, steps: int, strength: float, guidance: float, seed: int) -> dict[str, int]:
    """The recipe fields as they are stored, in their order."""
    return {
        "scheduler": SCHEDULERS[scheduler],
        "num_inference_steps": steps,
        "strength": round(strength * STRENGTH_PARTS),
        "guidance_scale": round(guidance * GUIDANCE_PARTS),
        "seed": seed,
    }


def _write_overrides(recipe: DecoderRecipe) -> bytes:
    values = _fields(recipe.scheduler, recipe.num_inference_steps, recipe.strength, recipe.guidance_scale, recipe.seed)
    defaults, mask, data = default_fields(PROFILES[recipe.profile]), 0, b""
    if _are_two_leaps(values):
        mask, defaults = _TWO_LEAPS, defaults | _leaps()
    for index, (name, value) in enumerate(values.items()):
        if value != defaults[name]:
            mask |= 1 << index
            data += value.to_bytes(_FIELD_BYTES[name], "little")
    return bytes([mask]) + data if mask else b""


def _read_overrides(reader: Reader, defaults: dict[str, int]) -> dict[str, int]:
    mask = reader.integer(1, "recipe mask")
    if not 0 < mask < 2 * _TWO_LEAPS or (mask & _TWO_LEAPS and mask & 0b11):
        raise CorruptSectionError(f"The recipe mask {mask:#x} is not one that an encoder writes")
    values = _leaps() if mask & _TWO_LEAPS else {}
    for index, name in enumerate(defaults):
        if mask >> index & 1:
            values[name] = reader.integer(_FIELD_BYTES[name], f"recipe field {name}")
            if values[name] == defaults[name]:
                raise CorruptSectionError(f"The recipe overrides {name} with its default, which no encoder writes")
    if not mask & _TWO_LEAPS and _are_two_leaps(defaults | values):
        raise CorruptSectionError("The recipe says two leaps in three bytes, which no encoder writes")
    return values


def _leaps() -> dict[str, int]:
    """Return the fields that bit 5 of the mask stands for."""
    return {"scheduler": SCHEDULERS["lcm"], "num_inference_steps": 2}


def _are_two_leaps(values: dict[str, int]) -> bool:
    return all(values[name] == value for name, value in _leaps().items())


def _recipe(profile: str, values: dict[str, int]) -> DecoderRecipe:
    try:
        return DecoderRecipe(
            profile=profile,
            weights_hash=values["weights_hash"],
            scheduler=_name(SCHEDULERS, values["scheduler"], "scheduler"),
            num_inference_steps=values["num_inference_steps"],
            strength=values["strength"] / STRENGTH_PARTS,
            guidance_scale=values["guidance_scale"] / GUIDANCE_PARTS,
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
