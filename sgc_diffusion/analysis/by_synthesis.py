"""Analysis by synthesis: the encoder draws candidates and keeps the seed whose picture is nearest to the original.

    payload, seeds 0 … k − 1 ──draw──▶ k pictures ──gradients, by region──▶ 8×8 ─┐
    original ──────────────────────────gradients, by region────────────────▶ 8×8 ─┴─▶ distances ──▶ seed of the least

It costs the encoder k drawings and the file three bytes at most. Nearest is the picture with as much texture in each
region. Differences of pixels or latents would not do: they favor the smoothest candidate, and go against distances in
deep features where this one goes with them. `eval/drawing_choices.py` measures what it brings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

NUM_REGIONS = 8  # along each side


def nearest_picture(original: Image.Image, drawn: Sequence[Image.Image], size: tuple[int, int]) -> int:
    """Return the index of the drawn picture that is nearest to the original.

    Args:
        original: RGB.
        drawn: candidates, RGB.
        size: (height, width) in pixels that all are resampled to first; at least 8 each.
    """
    reference = texture_map(original, size)
    return int(np.argmin([np.abs(np.log(texture_map(one, size) / reference)).mean() for one in drawn]))


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
