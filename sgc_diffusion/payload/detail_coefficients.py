"""The coefficients that a decoder takes for what it knows of them.

Normative where contexts or the likeness depend on it. c' is 0 where c is known to be 0 down to its plane p, else the
known value, with its size enlarged by ⌊f · 2^p / 64⌋: f is in `_INSIDE` at the step, in `_INSIDE_LIMITS`, of the sum of
the sizes (of `bitstream.detail_context`, for p) of the four nearest neighbors and half of that at the corners, rounded
down. The busier the place, the farther from 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgc_diffusion.payload.detail_bands import HL, LOW, Band, from_phases
from sgc_diffusion.payload.detail_sizes import neighbor_sums, sizes_of, steps

_INSIDE_LIMITS = (4, 9, 17, 33)
_INSIDE = np.array((18, 22, 25, 28, 30), dtype=np.int16)


def known_coefficients(bands: Sequence[Band], coarser_than: int = 0) -> list[list[list[np.ndarray]]]:
    """Return the coefficients as `picture_transform.inverse` takes them.

    Args:
        bands: in coding order.
        coarser_than: details of this scale and finer ones are left empty.

    Returns:
        By channel, scale and orientation, int16 each.
    """
    channels: list[list[list[np.ndarray]]] = [[], [], []]
    for band in bands:
        if band.orientation in (LOW, HL):
            channels[band.channel].append([])
        is_wanted = band.scale > coarser_than or band.orientation == LOW
        channels[band.channel][-1].append(_middle(band) if is_wanted else np.zeros((0, 0), dtype=np.int16))
    return channels


def _middle(band: Band) -> np.ndarray:
    if band.values is None:
        return np.zeros((band.rows, band.columns), dtype=np.int16)
    values, plane = band.values, band.known_planes()
    if np.any(plane):
        values = values.copy()
        sizes = sizes_of(values, plane, plane)
        for phase in range(4):
            level, upright, corners = neighbor_sums(sizes, phase)
            own = plane if isinstance(plane, int) else plane[phase, 1:-1, 1:-1]
            inside = (_INSIDE[steps(level + upright + (corners >> 1), _INSIDE_LIMITS, level.shape)] << own) >> 6
            cells = values[phase, 1:-1, 1:-1]
            cells += np.sign(cells) * inside
    return from_phases(values)[: band.rows, : band.columns]
