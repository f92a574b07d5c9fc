"""Analysis by synthesis: the encoder draws candidates and keeps the seed whose picture is nearest to the original.

    payload, seeds 0 … k − 1 ──draw──▶ k pictures ──gradients, by region──▶ 8×8 ─┐
    original ──────────────────────────gradients, by region────────────────▶ 8×8 ─┴─▶ distances ──▶ seed of the least

It costs the encoder k drawings and the file three bytes at most. Nearest is the picture with as much texture in each
region. Differences of pixels or latents would not do: they favor the smoothest candidate, and go against distances in
deep features where this one goes with them. `eval/drawing_choices.py` measures what it brings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from PIL import Image

from sgc_diffusion.payload import SemanticPayload

NUM_REGIONS = 8  # along each side
COMPARED_SIDE = 256  # pixels; two pictures are compared at most at the area of a square of this side


def choose_seed(
    original: Image.Image,
    payload: SemanticPayload,
    draw: Callable[[SemanticPayload], Image.Image],
    num_candidates: int,
) -> SemanticPayload:
    """Return the payload with the seed that draws the picture nearest to the original.

    Args:
        original: RGB picture.
        payload: of the picture.
        draw: draws a payload, RGB. It is asked for one candidate at a time, of which nothing but its distance is kept.
        num_candidates: how many seeds are tried, from 0 up; at least 1.
    """

    def with_seed(seed: int) -> SemanticPayload:
        return replace(payload, recipe=replace(payload.recipe, seed=seed))

    drawn = map(draw, map(with_seed, range(num_candidates)))
    return with_seed(nearest_picture(original, drawn, comparison_size(*original.size)))


def comparison_size(width: int, height: int) -> tuple[int, int]:
    """Return (height, width) in pixels at which pictures of a size are compared, at least 8 each."""
    scale = min(1.0, COMPARED_SIDE / (width * height) ** 0.5)
    return max(NUM_REGIONS, round(height * scale)), max(NUM_REGIONS, round(width * scale))


def nearest_picture(original: Image.Image, drawn: Iterable[Image.Image], size: tuple[int, int]) -> int:
    """Return the index of the drawn picture that is nearest to the original.

    Args:
        original: RGB.
        drawn: candidates, RGB; taken one by one, so that an iterator keeps one in memory.
        size: (height, width) in pixels that all are resampled to first; at least 8 each.
    """
    reference = texture_map(original, size)

    def distance(picture: Image.Image) -> float:
        return float(np.abs(np.log(texture_map(picture, size) / reference)).mean())

    return int(np.argmin(list(map(distance, drawn))))


def texture_map(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Return the mean gradient of the luma in each of 8×8 regions, (8, 8) gray levels a pixel, plus 1.

    Args:
        image: of any size.
        size: (height, width) in pixels that it is resampled to first.
    """
    luma = np.asarray(image.convert("L").resize((size[1], size[0]), Image.Resampling.LANCZOS), dtype=np.float32)
    gradient = np.abs(np.diff(luma, axis=0))[:, :-1] + np.abs(np.diff(luma, axis=1))[:-1]
    regions = Image.fromarray(gradient).resize((NUM_REGIONS, NUM_REGIONS), Image.Resampling.BOX)
    return 1 + np.asarray(regions)
