"""The color map: what the picture looks like from afar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sgc_diffusion.payload import color_transform
from sgc_diffusion.payload.layer import Layer, frozen_array


@dataclass(frozen=True, eq=False)
class ColorLayer(Layer):
    """What the picture looks like from afar, as quantized transform coefficients.

    Attributes:
        levels: (h, w, 3) int16 from −32767 to 32767, see `sgc_diffusion.payload.color_transform`; 1 ≤ h, w ≤ 64.
        quality: index of the quantizer, see `color_transform.STEPS`.

    Raises:
        ValueError: wrong shape, dtype or range.
    """

    kind: ClassVar[int] = 0
    levels: np.ndarray
    quality: int

    def __post_init__(self) -> None:
        levels = np.asarray(self.levels)
        if levels.ndim != 3 or levels.shape[-1] != 3 or levels.dtype != np.int16:
            raise ValueError(f"`levels` must be int16 of shape (h, w, 3), got {levels.dtype} {levels.shape}")
        quality = color_transform.require_grid(levels.shape[0], levels.shape[1], self.quality)
        if levels.min() < -color_transform.MAX_LEVEL:
            raise ValueError(
                f"`levels` must be from -{color_transform.MAX_LEVEL} to {color_transform.MAX_LEVEL}, "
                f"got {levels.min()}; clip them"
            )
        object.__setattr__(self, "quality", quality)
        object.__setattr__(self, "levels", frozen_array(levels))

    @classmethod
    def from_color_map(cls, color_map: np.ndarray, quality: int) -> ColorLayer:
        """Quantize a color map, the only lossy step of the layer.

        Args:
            color_map: (h, w, 3) uint8 sRGB, 1 ≤ h, w ≤ 64.
            quality: index of the quantizer, 0 … 63; 0 is the finest.

        Raises:
            ValueError: wrong shape, dtype or quality.
        """
        return cls(color_transform.quantize(color_map, quality), quality)

    @property
    def color_map(self) -> np.ndarray:
        """The color map that the decoder sees, (h, w, 3) uint8 sRGB, the same on every machine."""
        return color_transform.dequantize(self.levels, self.quality)
