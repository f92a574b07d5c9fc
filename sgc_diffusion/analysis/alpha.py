"""Transparency → alpha layer, and colors for the pixels that nobody sees.

    alpha channel ──exact, or reduced and quantised until it fits──▶ `AlphaLayer`
    colors, alpha ──invisible pixels take the colors around them──▶ picture

Colors are kept as they are, not multiplied by alpha. What lies under fully transparent pixels is kept only where a file
is lossless; elsewhere it is a smooth continuation of what is visible, which costs fewest bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from sgc_diffusion.analysis.grid import grid_size
from sgc_diffusion.payload import AlphaLayer, Layer

MAX_SHARE = 4  # at least so many times what alpha takes is the budget of the file
PLAIN_BYTES = 64  # that alpha may take in a file without budget and without detail
_EXACT_LEVELS = (2, 4, 16)  # numbers of levels that give bytes, 255 / (number − 1) apart
_COARSE = ((2, 16), (4, 16), (4, 2), (8, 4), (16, 4), (32, 2))  # how often reduced, levels; from fine to coarse
_LAST = 64, 16  # cells and longest side of the coarsest map


def exact_alpha(alpha: np.ndarray) -> AlphaLayer:
    """Return the layer of an alpha channel, (H, W) uint8, with as few levels as say it exactly."""
    for num_levels in _EXACT_LEVELS:
        apart = 255 // (num_levels - 1)
        if not (alpha % apart).any():
            return AlphaLayer(alpha // np.uint8(apart), num_levels)
    return AlphaLayer(alpha)


def fit_alpha(alpha: np.ndarray, num_bytes: int, count_layer_bytes: Callable[[Layer], int]) -> AlphaLayer | None:
    """Return the finest layer of an alpha channel that fits.

    Args:
        alpha: (H, W) uint8.
        num_bytes: that it may take.
        count_layer_bytes: what a layer adds to a file.

    Returns:
        None if not even the coarsest does.
    """
    return next((layer for layer in _options(alpha) if count_layer_bytes(layer) <= num_bytes), None)


def _options(alpha: np.ndarray) -> Iterator[AlphaLayer]:
    """Yield layers from the exact one to coarse ones."""
    yield exact_alpha(alpha)
    image = Image.fromarray(alpha)
    yield _quantised(alpha, 2)
    for factor, num_levels in _COARSE:
        if min(alpha.shape) >= 2 * factor:
            yield _quantised(np.asarray(image.reduce(factor)), num_levels)
    rows, columns = grid_size(image.width, image.height, *_LAST)
    yield _quantised(np.asarray(image.resize((columns, rows), Image.Resampling.BOX)), 2)


def _quantised(alpha: np.ndarray, num_levels: int) -> AlphaLayer:
    levels = (2 * alpha.astype(np.int32) * (num_levels - 1) + 255) // (2 * 255)
    return AlphaLayer(levels.astype(np.uint8), num_levels)


def fill_invisible(image: Image.Image, alpha: Image.Image) -> Image.Image:
    """Return a picture whose fully transparent pixels have the colors around them.

    Args:
        image: RGB.
        alpha: L, of the same size.
    """
    if np.asarray(alpha).min() > 0:
        return image
    levels = [Image.merge("RGBA", (*image.split(), alpha))]
    while max(levels[-1].size) > 1:
        levels.append(levels[-1].reduce((min(2, levels[-1].width), min(2, levels[-1].height))))
    filled = levels[-1].convert("RGB")
    for level in reversed(levels[:-1]):
        filled = filled.resize(level.size, Image.Resampling.BILINEAR)
        filled.paste(level.convert("RGB"), mask=level.getchannel("A").point([0, *[255] * 255]))
    return filled
