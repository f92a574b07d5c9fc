"""Picture → detail levels: as many as a quality asks for, or as fit into a number of bytes.

    picture, payload of labels and colors ──exact state──▶ levels 0, 1, 2 … ──until quality or budget──▶ payload

A level is left out where it says nothing. Under a budget the levels of a picture are nested, whatever the budget, so
that more bytes give all that fewer give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from sgc_diffusion.payload import DetailLevel, SemanticPayload
from sgc_diffusion.payload.detail import FIRST_KIND, LOSSLESS, DetailState, exact_state, likeness, says_nothing_new

MAX_QUALITY = 100  # every pixel exact
# The quality from which each level is there; between 35 and 95 it is about the PSNR of what JPEG gives at that quality.
LEVEL_QUALITIES = (5, 12, 22, 35, 52, 68, 80, 86, 90, 93, 95, 96, 97, 98, 99, 100)
HANDOVER_BYTES = 300  # what labels and colors may take of a larger budget; detail is worth more from there on
CLEARLY_WORSE = 1.05  # times the error: a level coarser than one so much worse is not looked at


def level_of_quality(quality: float) -> int | None:
    """Return the finest level of a quality, 0 … 100; None for labels and colors alone."""
    return max((level for level, least in enumerate(LEVEL_QUALITIES) if quality >= least), default=None)


def add_detail(payload: SemanticPayload, picture: np.ndarray, finest: int) -> SemanticPayload:
    """Return a payload with the detail levels of a picture.

    Args:
        payload: of labels, colors and maybe layers that come before detail.
        picture: (H, W, 3) uint8, of the payload's size.
        finest: the last level, 0 … 15; 15 makes the picture exact.
    """
    state = exact_state(picture, payload.color_map)
    return payload.with_layers(*_levels(state, finest))


def fit_detail(
    payload: SemanticPayload,
    picture: np.ndarray,
    num_bytes: int,
    count_last_layer: Callable[[SemanticPayload], int],
) -> SemanticPayload:
    """Return a payload with as many detail levels as fit.

    Args:
        payload: of labels, colors and maybe layers that come before detail.
        picture: (H, W, 3) uint8, of the payload's size.
        num_bytes: that the levels may take.
        count_last_layer: what the last layer of a payload adds to its file.

    Returns:
        The payload; without a last level that would only make the likeness worse, as the coarsest ones can.
    """
    state = exact_state(picture, payload.color_map)
    for layer in _levels(state, LOSSLESS):
        larger = payload.with_layers(layer)
        num_bytes -= count_last_layer(larger)
        if num_bytes < 0:
            break
        payload = larger
    return without_worse_levels(payload, picture)


def without_worse_levels(payload: SemanticPayload, picture: np.ndarray) -> SemanticPayload:
    """Return the payload without last levels that make the likeness worse, as the coarsest ones can.

    Args:
        payload: of labels, colors and detail levels.
        picture: (H, W, 3) uint8, of the payload's size.
    """
    best, least = payload, squared_error(payload, picture)
    while payload.layer(DetailLevel) and least > 0:
        payload = replace(payload, layers=payload.layers[:-1])
        error = squared_error(payload, picture)
        if error > CLEARLY_WORSE * least:
            break
        if error < least:
            best, least = payload, error
    return best


def squared_error(payload: SemanticPayload, picture: np.ndarray) -> float:
    """Return the mean square error of the likeness of a payload's last layer, or of its smooth base.

    Args:
        payload: of labels, colors and detail levels.
        picture: (H, W, 3) uint8, of the payload's size.
    """
    last = next((layer for layer in reversed(payload.layers) if isinstance(layer, DetailLevel)), None)
    nothing = DetailState(payload.height, payload.width, payload.color_map, ())
    decoded = likeness(nothing if last is None else last.state)
    return float(np.mean(np.square(decoded.astype(np.int16) - picture, dtype=np.float32), dtype=np.float64))


def is_lossless(payload: SemanticPayload) -> bool:
    """Return whether a payload holds every pixel of the picture."""
    return any(layer.kind == FIRST_KIND + LOSSLESS for layer in payload.layers)


def _levels(state: DetailState, finest: int) -> Iterator[DetailLevel]:
    """Yield the levels up to the finest that each say something that the one before does not."""
    last = None
    for level in range(finest + 1):
        if level in (finest, LOSSLESS) or not says_nothing_new(state, level, last):
            yield DetailLevel(FIRST_KIND + level, state)
        last = level
