"""The importance of each part of a picture: where the bits go.

Song et al. (S3) give each block of 8×8 pixels a level T_i = L_i · M̄ · N: its share of the importance of all N blocks
times the mean level M̄, so that the levels add up to M̄ · N. The layer holds them coarsely: four levels on a small grid,
which say how many times the mean a cell has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sgc_diffusion.payload.layer import Layer, frozen_array
from sgc_diffusion.payload.scalars import plain_integer

IMPORTANCE_KIND = 1
NUM_IMPORTANCE_LEVELS = 4
MEAN_LEVEL = 1  # of cells of about the mean importance
MAX_IMPORTANCE_SIDE = 64  # cells of the grid
MAX_STRENGTH = 3
RATIO_LIMITS = (0.5, 1.5, 3.0)  # T_i / M̄ from which levels 1, 2 and 3 start
LEVEL_WEIGHTS = np.array((0.25, 1.0, 2.0, 4.0))  # about T_i / M̄ within each level


@dataclass(frozen=True, eq=False)
class ImportanceLayer(Layer):
    """Which cells of a grid over the picture matter, and how much more detail they get.

    Attributes:
        levels: (h, w) uint8, 0 … 3: below half of the mean importance, about the mean, 1.5 times and 3 times as much;
            1 ≤ h, w ≤ 64. Given as an array of any integer dtype.
        strength: how many detail levels one level of importance is worth, 0 … 3; 0 steers nothing.

    Raises:
        ValueError: wrong shape or dtype, or a number out of range.
    """

    kind: ClassVar[int] = IMPORTANCE_KIND
    levels: np.ndarray
    strength: int = 1

    def __post_init__(self) -> None:
        levels = np.asarray(self.levels)
        if levels.ndim != 2 or not np.issubdtype(levels.dtype, np.integer):
            raise ValueError(f"`levels` must hold integers and be of shape (h, w), got {levels.dtype} {levels.shape}")
        if not all(1 <= side <= MAX_IMPORTANCE_SIDE for side in levels.shape):
            raise ValueError(f"`levels` must have 1 to {MAX_IMPORTANCE_SIDE} cells a side, got {levels.shape}")
        if levels.min() < 0 or levels.max() >= NUM_IMPORTANCE_LEVELS:
            raise ValueError(
                f"`levels` must be from 0 to {NUM_IMPORTANCE_LEVELS - 1}, got {levels.min()} to {levels.max()}; "
                "make them with `analysis.importance`"
            )
        object.__setattr__(self, "levels", frozen_array(levels, np.uint8))
        object.__setattr__(self, "strength", plain_integer("strength", self.strength, 0, MAX_STRENGTH))

    @property
    def weights(self) -> np.ndarray:
        """(h, w) float64: how much each cell counts where errors are weighed, about T_i / M̄."""
        return LEVEL_WEIGHTS[self.levels]

    @property
    def shifts(self) -> tuple[int, ...]:
        """Of each level of importance: how many detail levels it is ahead of the mean."""
        return tuple(self.strength * (level - MEAN_LEVEL) for level in range(NUM_IMPORTANCE_LEVELS))
