"""Payload → the seed of its noise, from what it says: normative in `bitstream.header`.

    seed of the recipe, labels, colors ──SHA-256──▶ N, 63 bits ──▶ generator of the noise

Files whose noise came from the recipe's seed alone would share their texture: the same clouds would hang in every sky
of an archive. What may be cut from a file plays no part, so that a thinner file is drawn with the noise of the whole.
"""

from __future__ import annotations

import hashlib

from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.taxonomy import NUMBERS


def noise_seed(payload: SemanticPayload) -> int:
    """Return the seed of the noise that a payload is drawn with, 0 … 2⁶³ − 1.

    Args:
        payload: with the labels that are in its file, not those of the pipeline that draws it.
    """
    labels, levels = payload.label_map, payload.color.levels
    digest = hashlib.sha256(_words(payload.recipe.seed) + bytes([NUMBERS[payload.labels.taxonomy_name]]))
    digest.update(_words(*labels.shape) + labels.tobytes())
    digest.update(_words(*levels.shape[:2]) + levels.astype("<i2").tobytes() + bytes([payload.color.quality]))
    return int.from_bytes(digest.digest()[:8], "little") >> 1


def _words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2, "little") for number in numbers)
