"""Fit the tables of `sgc_diffusion.bitstream.labels` on label maps of many sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import additive
import numpy as np

from sgc_diffusion.bitstream import label_context as context

SIZES = {
    "mask": context.MASK_SIZE,
    "distant": context.DISTANT_SIZE,
    "pattern": context.PATTERN_SIZE,
    "setting": context.SETTING_SIZE,
}


def fit(batches: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the four tables.

    Args:
        batches: label maps (B, h, w) uint8; each batch of one size. The ids may be of any label set.
    """
    keys, counts = additive.count(_answers(batches), list(SIZES.values()))
    fitted = additive.fit(keys, counts, list(SIZES.values()), num_steps=90)
    return {f"label_{name}": table for name, table in zip(SIZES, fitted, strict=True)}


def _answers(batches: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    for maps in batches:
        for start in range(0, len(maps), 250):
            for _, answer, contexts in context.questions(maps[start : start + 250]):
                yield answer, [contexts[name] for name in SIZES]
