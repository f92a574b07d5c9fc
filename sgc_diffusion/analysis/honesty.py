"""How far a file may be drawn, and how much it has to hold, told from the picture that it gives.

    payload ──drawn──▶ picture ─┐ distance to the original       nearer one ──▶ strength of the recipe: as it is, or 0
    payload ──likeness─────────▶┴─in deep features──────────▶
                                                                 near enough? ──no──▶ one more level of detail

A generator that does not know what a picture shows draws something else, sharply. A file whose drawing is farther from
the original than its likeness says that it is not to be drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from sgc_diffusion.analysis.detail import LOSSLESS, add_detail
from sgc_diffusion.payload import DetailLevel, SemanticPayload
from sgc_diffusion.payload.detail import likeness, nothing_known

Draw = Callable[[SemanticPayload], Image.Image]
Distance = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Judgment:
    """A payload whose recipe says to give the nearer of drawing and likeness, and how near that is.

    Attributes:
        payload: with the strength that it had, or 0.
        distance: of the picture that it gives to the original.
    """

    payload: SemanticPayload
    distance: float


def judge(payload: SemanticPayload, original: np.ndarray, draw: Draw, measure: Distance) -> Judgment:
    """Return the payload with the strength that comes nearer to the original: that of its recipe, or 0.

    Args:
        payload: with or without detail levels; its recipe says how it would be drawn.
        original: (H, W, 3) uint8, of the payload's size.
        draw: payload → the picture that it gives.
        measure: distance of two pictures (H, W, 3) uint8.
    """
    plain = Judgment(replace(payload, recipe=replace(payload.recipe, strength=0)), measure(original, _plain(payload)))
    if payload.recipe.strength == 0 or plain.distance == 0:
        return plain if payload.recipe.strength == 0 else replace(plain, payload=payload)
    drawn = Judgment(payload, measure(original, np.asarray(draw(payload).convert("RGB"))))
    return drawn if drawn.distance <= plain.distance else plain


def reach_distance(
    payload: SemanticPayload, original: np.ndarray, target_distance: float, draw: Draw, measure: Distance
) -> SemanticPayload:
    """Return the payload with the fewest detail levels whose picture is near enough to the original.

    Levels are bisected, since more detail comes nearer; so five pictures are drawn at most.

    Args:
        payload: of labels and colors.
        original: (H, W, 3) uint8, of the payload's size.
        target_distance: that is near enough, 0 or more; at 0 the file is lossless.
        draw: as of `judge`.
        measure: as of `judge`.

    Returns:
        The payload, with the exact picture at most.
    """
    first = judge(payload, original, draw, measure)
    if first.distance <= target_distance:
        return first.payload
    fine = add_detail(payload, original, LOSSLESS - 1)
    levels = [layer.level for layer in fine.layers if isinstance(layer, DetailLevel)]
    found, low, high = None, 0, len(levels)
    while low < high:
        middle = (low + high) // 2
        judgment = judge(_cut(fine, levels[middle]), original, draw, measure)
        if judgment.distance <= target_distance:
            found, high = judgment.payload, middle
        else:
            low = middle + 1
    return add_detail(payload, original, LOSSLESS) if found is None else found


def _cut(payload: SemanticPayload, finest: int) -> SemanticPayload:
    """Return the payload without detail levels that are finer."""
    kept = [layer for layer in payload.layers if not (isinstance(layer, DetailLevel) and layer.level > finest)]
    return replace(payload, layers=tuple(kept))


def _plain(payload: SemanticPayload) -> np.ndarray:
    """Return the likeness of a payload, (H, W, 3) uint8."""
    levels = [layer for layer in payload.layers if isinstance(layer, DetailLevel)]
    nothing = nothing_known(payload.height, payload.width, payload.color_map)
    return likeness(levels[-1].state if levels else nothing)
