"""What a model says of an object that it found in a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class FoundObject:
    """An object of a picture.

    Attributes:
        mask: (H, W) bool, its pixels.
        name: of its class.
        score: how sure the model is, 0 … 1.
    """

    mask: np.ndarray
    name: str
    score: float = 1.0


FindObjects = Callable[[np.ndarray], Sequence[FoundObject]]
"""Picture (H, W, 3) uint8 → its objects."""
