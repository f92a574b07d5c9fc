"""What matters in a picture → a level for each block → the importance layer.

    importance of each pixel ──sums over 8×8 blocks──▶ V_i ──/ Σ V──▶ L_i ──· M̄ · N──▶ T_i ──▶ four levels on a grid

The levels T_i of Song et al. (S3) add up to M̄ · N for N blocks: importance moves bits, it does not add any.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from sgc_diffusion.payload.importance import MAX_IMPORTANCE_SIDE, RATIO_LIMITS, ImportanceLayer

BLOCK_SIDE = 8  # pixels
GRID_SIDE = 16  # cells along the longer side of the layer's grid: what costs about 30 bytes
DEFAULT_STRENGTH = 1


def block_sums(importance: np.ndarray) -> np.ndarray:
    """Return V_i: the importance of each block of 8×8 pixels; those at the right and lower edge may be smaller.

    Args:
        importance: (H, W) float, 0 or more, of each pixel.

    Returns:
        (⌈H / 8⌉, ⌈W / 8⌉) float64.

    Raises:
        ValueError: numbers that are negative or not finite, or no two axes.
    """
    importance = np.asarray(importance, dtype=np.float64)
    if importance.ndim != 2 or not importance.size:
        raise ValueError(f"`importance` must be of shape (H, W), got {importance.shape}")
    if not np.isfinite(importance).all() or importance.min() < 0:
        raise ValueError("`importance` must hold finite numbers, 0 or more; negative parts have none")
    for axis in (0, 1):
        importance = np.add.reduceat(importance, np.arange(0, importance.shape[axis], BLOCK_SIDE), axis=axis)
    return importance


def block_levels(importance: np.ndarray, mean_level: float = 1.0) -> np.ndarray:
    """Return T_i = L_i · M̄ · N, the level of each block of 8×8 pixels; they add up to M̄ · N.

    Args:
        importance: (H, W) float, 0 or more, of each pixel; if all are 0, every block has the mean level.
        mean_level: M̄, the mean of the levels, above 0.

    Returns:
        (⌈H / 8⌉, ⌈W / 8⌉) float64.
    """
    sums = block_sums(importance)
    total = sums.sum()
    if total <= 0:
        return np.full(sums.shape, float(mean_level))
    return sums / total * mean_level * sums.size


def make_importance(
    importance: np.ndarray, *, strength: int = DEFAULT_STRENGTH, grid_side: int = GRID_SIDE
) -> ImportanceLayer:
    """Return the layer of an importance of pixels.

    Args:
        importance: (H, W) float, 0 or more, of each pixel.
        strength: how many detail levels one level of importance is worth, 0 … 3.
        grid_side: cells along the longer side, 1 … 64; a picture of fewer blocks has as many as blocks.
    """
    if not 1 <= grid_side <= MAX_IMPORTANCE_SIDE:
        raise ValueError(f"`grid_side` must be from 1 to {MAX_IMPORTANCE_SIDE}, got {grid_side}")
    levels = block_levels(importance)
    longest = max(levels.shape)
    rows, columns = (max(1, round(side * min(grid_side, longest) / longest)) for side in levels.shape)
    coarse = Image.fromarray(levels.astype(np.float32)).resize((columns, rows), Image.Resampling.BOX)
    return ImportanceLayer(np.digitize(np.asarray(coarse), RATIO_LIMITS), strength)
