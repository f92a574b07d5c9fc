"""Fit the tables of `sgc_diffusion.bitstream.color` on color maps at many qualities and sizes."""

from __future__ import annotations

from collections.abc import Sequence

import additive
import numpy as np

from sgc_diffusion.bitstream import color_context as context
from sgc_diffusion.payload import color_transform

_STEPS = (context.ENERGY_SIZE, context.SHAPE_SIZE, context.ACTIVITY_SIZE, context.ENDING_SIZE)
_SIGNS = (context.SIGN_PLACE_SIZE, context.SIGN_OTHER_SIZE, context.SIGN_NEAR_SIZE)


def scale_table(color_maps: np.ndarray) -> np.ndarray:
    """Return (16, 16, 3) int8: 8 · log2 of the mean size of each coefficient, in gray levels.

    Args:
        color_maps: (B, 16, 16, 3) uint8.
    """
    mean = np.mean([np.abs(color_transform.coefficients(color_map)) for color_map in color_maps], axis=0)
    return np.round(8 * np.log2(np.maximum(mean, 0.5))).astype(np.int8)


def expected_table() -> np.ndarray:
    """Return (49,) uint8: 16 · 2^((i − 20) / 4), at most 128."""
    return np.minimum(np.round(16 * 2.0 ** ((np.arange(context.NUM_SCALES) - 20) / 4)), 128).astype(np.uint8)


def fit(tables: dict[str, np.ndarray], batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the other tables of the color coder.

    Args:
        tables: `color_scale` and `color_expected`.
        batches: levels (B, h, w, 3) int16 and their qualities (B,).
    """
    sizes: list[list] = [[], [], []]
    signs, exponents, mantissas, lasts = [], [], [], []
    for levels, quality in batches:
        places = context.contexts(levels, quality, tables)
        size = np.abs(levels.astype(np.int32))
        for step in range(3):
            chosen = places.is_coded & (size >= step)
            parts = [places.energy, places.shape, places.activity, places.ending]
            sizes[step].append(((size > step)[chosen], [part[chosen] for part in parts]))
        chosen = size > 0
        parts = [places.sign_place, places.sign_other, places.sign_near]
        signs.append(((levels < 0)[chosen], [part[chosen] for part in parts]))
        _note_rest(size[size > 2] - 2, places.scale[size > 2], exponents, mantissas)
        _note_last(places.last, places.scale, lasts)
    fitted = [additive.fit(*additive.count(batch, list(_STEPS)), list(_STEPS), num_steps=80) for batch in sizes]
    result = {
        f"color_{name}": np.stack(parts)
        for name, parts in zip(("energy", "shape", "activity", "ending"), zip(*fitted, strict=True), strict=True)
    }
    for name, table in zip(
        ("place", "other", "near"),
        additive.fit(*additive.count(signs, list(_SIGNS)), list(_SIGNS), penalty=1.0),
        strict=True,
    ):
        result[f"color_sign_{name}"] = table[None]
    for name, noted, num_entries in (
        ("exponent", exponents, context.EXPONENT_SIZE),
        ("mantissa", mantissas, context.MANTISSA_SIZE),
        ("last", lasts, context.LAST_SIZE),
    ):
        (result[f"color_{name}"],) = additive.fit(*additive.count(noted, [num_entries]), [num_entries])
    return result


def _note_rest(values: np.ndarray, scale: np.ndarray, exponents: list, mantissas: list) -> None:
    exponent = np.floor(np.log2(values)).astype(int)
    for step in range(int(exponent.max(initial=0)) + 1):
        reached = exponent >= step
        exponents.append(((exponent > step)[reached], [min(step, 9) * context.NUM_SCALES + scale[reached]]))
    longer = exponent > 0
    mantissas.append(((values[longer] >> (exponent[longer] - 1)) & 1, [np.minimum(exponent[longer], 9)]))


def _note_last(last: np.ndarray, scale: np.ndarray, lasts: list) -> None:
    height, width = scale.shape[1:3]
    for diagonal in range(height + width - 2):
        row = min((diagonal + 1) // 2, height - 1)
        column = min(diagonal - min(diagonal // 2, height - 1), width - 1)
        reached = last >= diagonal
        place = scale[:, row, column] * 3 + np.arange(3)
        lasts.append(((last > diagonal)[reached], [place[reached]]))
