"""Picture → compact image: a color map that is learned together with what draws from it (CompNet of DSSLIC).

    picture ──means of cells──────────────────────────────▶ (+) ──▶ color map
       └──convolutions at stride 4 ──means of cells──▶ convolutions ┘

It starts as the means, and stays of their size and meaning: every decoder reads a compact image as it reads any color
map.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional

from sgc_diffusion.features.modulated_blocks import start_at_zero

STRIDE = 4  # pixels of a place that is looked at


class CompactNetwork(ModelMixin, ConfigMixin):  # pyright: ignore[reportIncompatibleMethodOverride]
    """A learned downsampler.

    Args:
        width: channels of its maps.
    """

    @register_to_config
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(3 * STRIDE**2, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, width, 3, padding=1), nn.GELU()
        )
        self.decide = nn.Sequential(
            nn.Conv2d(width + 3, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, 3, 3, padding=1)
        )
        start_at_zero(self.decide[-1])

    def forward(self, pictures: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        """Return compact images (B, 3, rows, columns), about in [−1, 1].

        Args:
            pictures: (B, 3, H, W) floats in [−1, 1], of any size.
            rows: of the grid.
            columns: of the grid.
        """
        means = functional.adaptive_avg_pool2d(pictures, (rows, columns))
        missing = [-side % STRIDE for side in pictures.shape[-2:]]
        padded = functional.pad(pictures, (0, missing[1], 0, missing[0]), mode="replicate")
        maps = functional.adaptive_avg_pool2d(self.look(functional.pixel_unshuffle(padded, STRIDE)), (rows, columns))
        return means + self.decide(torch.cat([maps, means.to(maps)], dim=1)).to(means)


def compact_color_map(network: CompactNetwork, picture: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the compact image of a picture (H, W, 3) uint8 sRGB, (rows, columns, 3) uint8 sRGB."""
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].to(network.device, network.dtype) / 127.5 - 1
    compact = network(pixels, rows, columns)[0].float().clamp(-1, 1)
    return ((compact + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
