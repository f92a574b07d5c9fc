"""Small files with every kind of optional layer, for `fuzz_bitstream.py --small`: thousands of mutations a minute.

Pictures of 1 to 300 pixels, in both kinds of colors, with detail at random levels, whole or in part, with alpha and
metadata, with importance and regions that steer.
"""

from __future__ import annotations

import random

import numpy as np

from sgc_diffusion import bitstream
from sgc_diffusion.payload import (
    AlphaLayer,
    ColorLayer,
    DetailLevel,
    ExifLayer,
    ImportanceLayer,
    LabelLayer,
    Layer,
    Region,
    RegionsLayer,
    SemanticPayload,
    Steering,
)
from sgc_diffusion.payload.detail import FIRST_KIND, LOSSLESS, exact_state, partly
from sgc_diffusion.payload.jpeg_colors import from_jpeg_colors

SIZES = {(1, 1): 6, (2, 3): 12, (1, 9): 6, (7, 5): 12, (16, 17): 4}  # and how many files


def make_files(seed: int = 0) -> list[bytes]:
    """Return files, the same for the same seed."""
    choice, generator = random.Random(seed), np.random.default_rng(seed)
    return [
        bitstream.encode(make_payload(choice, generator, height, width))
        for (height, width), num_files in SIZES.items()
        for _ in range(num_files)
    ]


def make_payload(choice: random.Random, generator: np.random.Generator, height: int, width: int) -> SemanticPayload:
    """Return a payload of a picture of so many rows and columns, with layers by chance."""
    color = ColorLayer(generator.integers(-6, 7, (2, 2, 3)).astype(np.int16), 40)
    labels = LabelLayer(generator.integers(0, 3, (2, 2), dtype=np.uint8), "landscape-24")
    plain = SemanticPayload(width, height, labels, color)
    first: list[Layer] = []
    if choice.random() < 0.4:
        first.append(ImportanceLayer(generator.integers(0, 4, (2, 3), dtype=np.uint8), strength=2))
    if choice.random() < 0.4:
        first.append(RegionsLayer((Region(3, 0, 0, np.ones((1, 1), bool), class_id=3, score=9),)))
    last: list[Layer] = []
    if choice.random() < 0.4:
        last.append(AlphaLayer(generator.integers(0, 4, (height, width), dtype=np.uint8), 4))
    exif = b"MM\0*" + bytes.fromhex("00000008 0001 0112 0003 00000001 00010000 00000000")
    if choice.random() < 0.2:
        last.append(ExifLayer(exif))
    details = _details(choice, make_picture(choice, generator, height, width), plain, first)
    return plain.with_layers(*first, *details, *last)


def make_picture(choice: random.Random, generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return (height, width, 3) uint8: noise of some strength on a slope, at times in the colors of JPEG."""
    noise = choice.choice((1, 3, 20, 256))
    slope = np.add.outer(np.arange(height) * choice.randrange(12), np.arange(width) * choice.randrange(12)) + 60
    channels = np.stack([slope + generator.integers(0, noise, (height, width)) for _ in range(3)]).astype(np.int16)
    if choice.random() < 0.5:
        channels[1:] -= 80
        return from_jpeg_colors(channels)
    return np.clip(channels, 0, 255).astype(np.uint8).transpose(1, 2, 0)


def _details(
    choice: random.Random, picture: np.ndarray, plain: SemanticPayload, first: list[Layer]
) -> list[DetailLevel]:
    """Return detail at some levels; the last may be a part."""
    steering = None
    if first:
        parts = {"importance" if isinstance(layer, ImportanceLayer) else "regions": layer for layer in first}
        steering = Steering(plain.height, plain.width, **parts)  # type: ignore[arg-type]
    state = exact_state(picture, plain.color_map, steering, is_for_lossless=choice.random() < 0.7)
    levels = sorted(choice.sample(range(LOSSLESS + 1), choice.randrange(1, 4)))
    layers = [DetailLevel(FIRST_KIND + level, state) for level in levels]
    if choice.random() < 0.3 and len(state.bands) > 2:
        before = levels[-2] if len(levels) > 1 else None
        part = partly(state, levels[-1], 2, before)
        layers[-1] = DetailLevel(FIRST_KIND + levels[-1], part, num_bands=2)
    return layers
