"""The alpha layer: how opaque each part of a picture is.

alpha channel ──reduced, quantised or as it is──▶ levels ──alpha_map──▶ bytes ──smooth base──▶ alpha of each pixel
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sgc_diffusion.payload.layer import Layer, frozen_array
from sgc_diffusion.payload.scalars import plain_integer
from sgc_diffusion.payload.smooth_base import smooth_base

MAX_LEVELS = 256  # as many as a byte has


@dataclass(frozen=True, eq=False)
class AlphaLayer(Layer):
    """The alpha channel of a picture, exact or coarse.

    Attributes:
        levels: (h, w) uint8, 0 is transparent, `num_levels` − 1 is opaque; of the size of the picture or smaller.
        num_levels: 2 … 256.

    Raises:
        ValueError: an array of another shape or type, or a level that there is not.

    Example:
        >>> AlphaLayer(np.array([[0, 1]], np.uint8), 2).alpha_map.tolist()
        [[0, 255]]
    """

    kind: ClassVar[int] = 7
    levels: np.ndarray = field(repr=False)
    num_levels: int = MAX_LEVELS

    def __post_init__(self) -> None:
        object.__setattr__(self, "num_levels", plain_integer("num_levels", self.num_levels, 2, MAX_LEVELS))
        levels = self.levels
        if not isinstance(levels, np.ndarray) or levels.ndim != 2 or levels.dtype != np.uint8 or not levels.size:
            got = f"{levels.dtype} {levels.shape}" if isinstance(levels, np.ndarray) else type(levels).__name__
            raise ValueError(f"`levels` must be an array (h, w) of uint8, got {got}")
        if levels.max() >= self.num_levels:
            raise ValueError(f"`levels` must be below `num_levels` {self.num_levels}, got {levels.max()}")
        object.__setattr__(self, "levels", frozen_array(levels))

    @property
    def alpha_map(self) -> np.ndarray:
        """(h, w) uint8, 0 transparent … 255 opaque: 255 · level / (num_levels − 1), half rounded up."""
        most = self.num_levels - 1
        table = (2 * 255 * np.arange(self.num_levels) + most) // (2 * most)
        return table.astype(np.uint8)[self.levels]

    def alpha(self, height: int, width: int) -> np.ndarray:
        """Return the alpha of every pixel, (H, W) uint8.

        Args:
            height: of the picture.
            width: of the picture.
        """
        alpha_map = self.alpha_map
        if alpha_map.shape == (height, width):
            return alpha_map
        return smooth_base(alpha_map[..., None], height, width)[..., 0]
