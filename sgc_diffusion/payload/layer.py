"""What all layers of a payload share."""

from __future__ import annotations

import numpy as np


def frozen_array(array: np.ndarray) -> np.ndarray:
    """Return a read-only copy of an array, in row-major order."""
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy
