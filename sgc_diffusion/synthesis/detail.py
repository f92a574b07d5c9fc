"""A drawing over detail: it fills what was quantized to zero, and nothing else.

    drawn picture ──forward wavelet──▶ coefficients ──those known as 0, clipped to their bin─┐
    detail level ──────────────────────coded coefficients────────────────────────────────────┴──▶ picture

A coefficient that is known as 0 down to a plane p lies between −(2^p − 1) and 2^p − 1, and the drawing may say where.
Every coded coefficient keeps its bin. With finer levels the bins close, so the drawing fades out by itself; at the
last level nothing of it is left, and the picture is the original to the bit.
"""

from __future__ import annotations

from itertools import chain

import numpy as np

from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.payload.detail import DetailState
from sgc_diffusion.payload.detail_bands import Band, from_phases
from sgc_diffusion.payload.detail_coefficients import known_coefficients
from sgc_diffusion.payload.picture_transform import forward, inverse
from sgc_diffusion.synthesis.likeness import highest_level

DETAIL_FILL = 0.5
"""Part of the bins of zero that a drawing may fill unless a pipeline or caller says otherwise."""


def fill_detail(drawn: np.ndarray, payload: SemanticPayload, detail_fill: float) -> np.ndarray:
    """Return the picture that a payload's detail and a drawing give together.

    Args:
        drawn: (H, W, 3) uint8 sRGB, of the payload's size.
        payload: with or without detail levels; without, the drawing is all there is.
        detail_fill: part of each bin of zero that may be filled, 0 … 1; 0 gives the likeness.

    Returns:
        (H, W, 3) uint8 sRGB.
    """
    level = highest_level(payload)
    return drawn if level is None else fill_zero_bins(drawn, level.state, detail_fill)


def fill_zero_bins(drawn: np.ndarray, state: DetailState, detail_fill: float) -> np.ndarray:
    """Return the picture (H, W, 3) uint8 of a state whose unknown coefficients are a drawing's; see `fill_detail`.

    Args:
        drawn: (H, W, 3) uint8 sRGB, of the state's size.
        state: what is known.
        detail_fill: part of each bin of zero that may be filled, 0 … 1.
    """
    if state.choices is None:
        return drawn
    known = known_coefficients(state.bands)
    wanted, _ = forward(drawn, state.color_map, state.choices)
    scales = zip(known, wanted, strict=True)
    places = [tuple(map(chain.from_iterable, each)) for each in scales]
    for band in state.bands:
        coefficients, theirs = (next(each) for each in places[band.channel])
        reach = np.broadcast_to(_reach(band, detail_fill), coefficients.shape)
        is_zero = coefficients == 0
        coefficients[is_zero] = np.clip(theirs, -reach, reach)[is_zero]
    return inverse(known, state.choices, state.color_map, state.height, state.width)


def _reach(band: Band, detail_fill: float) -> np.ndarray:
    """Return how far from 0 a drawing may fill each coefficient, int16: one number, or one for each of (h, w)."""
    plane = band.known_planes()
    planes = np.int16(plane) if isinstance(plane, int) else from_phases(plane)[: band.rows, : band.columns]
    return (detail_fill * ((1 << planes.astype(np.int16)) - 1)).astype(np.int16)
