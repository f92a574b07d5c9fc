"""What of a drawn picture is real and what is invented: in words, and to look at.

detail levels, regions, importance ──level that each pixel is known down to──▶ real from `NEARLY_EXACT` up
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from sgc_diffusion.payload import RegionsLayer, SemanticPayload
from sgc_diffusion.payload.detail import LOSSLESS
from sgc_diffusion.synthesis.decoders import NEARLY_EXACT
from sgc_diffusion.synthesis.likeness import highest_level

TINT = (255, 0, 255)  # what photographs hardly have
OPACITY = 0.35
STRIPE_PIXELS = 12  # from one stripe to the next, for those who cannot see the tint
MOST_NAMED = 8  # regions whose boxes a description lists


def known_levels(payload: SemanticPayload) -> np.ndarray:
    """Return the detail level down to which each pixel is known, (H, W) int8, 0 … 15; −1 where it is none.

    Args:
        payload: with or without detail levels.
    """
    level = highest_level(payload)
    if level is None or level.finest.steering is None:
        return np.full((payload.height, payload.width), -1 if level is None else level.level, dtype=np.int8)
    steering = level.finest.steering
    classes = steering.classes(0, (False, False), payload.height, payload.width)
    return np.array(steering.levels(level.level), dtype=np.int8)[classes]


def invented_pixels(payload: SemanticPayload) -> np.ndarray:
    """Return which pixels of a drawing are invented, (H, W) bool: those that are not known nearly exactly."""
    return known_levels(payload) < NEARLY_EXACT


def show_invented(image: Image.Image, payload: SemanticPayload) -> Image.Image:
    """Return a drawn picture with what is invented under a tint and stripes; of the same class, with the same info.

    Args:
        image: drawn from the payload, of its size.
        payload: that says what is known.

    Raises:
        ValueError: a picture of another size.
    """
    if image.size != (payload.width, payload.height):
        raise ValueError(f"`image` must be {payload.width}×{payload.height} as its payload, got {image.size}")
    row, column = np.mgrid[: payload.height, : payload.width]
    opacity = np.where((row + column) % STRIPE_PIXELS < 2, 2 * OPACITY, OPACITY) * invented_pixels(payload)
    tint = Image.new("RGB", image.size, TINT)
    if image.mode == "RGBA":
        tint.putalpha(image.getchannel("A"))
    shown = image.copy()
    shown.paste(tint.convert(image.mode), mask=Image.fromarray(np.rint(255 * opacity).astype(np.uint8)))
    return shown


def describe_kept(payload: SemanticPayload) -> str:
    """Return the sentence about the regions that a file keeps; empty if it keeps none."""
    regions, level = payload.layer(RegionsLayer), highest_level(payload)
    if regions is None or level is None or level.finest.steering is None or level.finest.steering.regions is None:
        return ""
    inner = level.finest.steering.levels(level.level)[-1]
    boxes = []
    for region in regions.regions[:MOST_NAMED]:
        pixels = region.pixels(payload.height, payload.width)
        rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        if len(rows):
            boxes.append(f"{columns[0]},{rows[0]},{columns[-1] - columns[0] + 1},{rows[-1] - rows[0] + 1}")
    more = f" and {len(regions.regions) - MOST_NAMED} more" if len(regions.regions) > MOST_NAMED else ""
    how = "exactly" if inner == LOSSLESS else "nearly exactly" if inner >= NEARLY_EXACT else "approximately"
    return f" Regions kept {how}, within the boxes (x,y,width,height) {' '.join(boxes)}{more}; all else is invented."
