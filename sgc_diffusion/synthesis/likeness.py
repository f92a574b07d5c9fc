"""Payload → its likeness: the picture that a file gives without any network, in integers, the same on every machine.

    color map ──enlarge──▶ smooth base ──(+)──▶ likeness
    highest detail level ──inverse wavelet──┘

With the last detail level it is the original picture to the bit. Only NumPy is needed.
"""

from __future__ import annotations

import numpy as np

from sgc_diffusion.payload import DetailLevel, SemanticPayload
from sgc_diffusion.payload import detail as detail_layer

MAX_PIXELS = 89_478_485  # Pillow's own limit, 256 MiB of RGB


def likeness(payload: SemanticPayload, *, max_pixels: int | None = MAX_PIXELS) -> np.ndarray:
    """Return the picture that a payload gives without any network.

    Args:
        payload: with or without detail levels; only the highest one counts.
        max_pixels: refuse a picture with more pixels, whatever a file says; None for no limit.

    Returns:
        (H, W, 3) uint8 sRGB, of the payload's size.

    Raises:
        ValueError: too many pixels, or a detail level of a picture of another size.

    Example:
        >>> likeness(payload).shape == (payload.height, payload.width, 3)
        True
    """
    num_pixels = payload.width * payload.height
    if max_pixels is not None and num_pixels > max_pixels:
        raise ValueError(
            f"`payload` declares {payload.width}×{payload.height} = {num_pixels} pixels, more than the {max_pixels} "
            "that are decoded unasked; if it is to be trusted, give a larger `max_pixels`"
        )
    level = highest_level(payload)
    nothing = detail_layer.nothing_known(payload.height, payload.width, payload.color_map)
    state = nothing if level is None else level.state
    if (state.height, state.width) != (payload.height, payload.width) or not np.array_equal(
        state.color_map, payload.color_map
    ):
        raise ValueError(
            f"`payload` of {payload.width}×{payload.height} has detail of another {state.width}×{state.height} picture"
        )
    return detail_layer.likeness(state)


def highest_level(payload: SemanticPayload) -> DetailLevel | None:
    """Return the finest detail level of a payload, None if it has none."""
    return next((layer for layer in reversed(payload.layers) if isinstance(layer, DetailLevel)), None)


def is_exact(payload: SemanticPayload) -> bool:
    """Return whether the likeness is the picture that was encoded, in every pixel."""
    level = highest_level(payload)
    return level is not None and level.level == detail_layer.LOSSLESS and level.num_bands is None
