"""The encoder half of the hierarchical VAE: a picture on its way up, and what the decoder's means miss of it.

picture, smooth base, γ ──▶ features at strides 4, 8, 16, 32, 64
features, the decoder's own features, its mean ──▶ latents ──(latents − mean) · gain, rounded──▶ symbols
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional

from sgc_diffusion.features.modulated_blocks import GammaEmbedding, ModulatedBlock, fitted, halved
from sgc_diffusion.payload.latents import CHANNELS

FINE_STRIDE = 4


class LatentEncoder(ModelMixin, ConfigMixin):  # pyright: ignore[reportIncompatibleMethodOverride]
    """The way up, and the heads that choose latents.

    Args:
        decoder_widths: channels of the decoder's features at strides 64, 32, 16 and 8.
        widths: channels of this one's features at strides 64, 32, 16 and 8.
        depths: blocks at each of them.
        fine_width: channels of the features at stride 4.
        fine_depth: blocks there.
        gamma_channels: of the embedding of γ.
    """

    @register_to_config
    def __init__(
        self,
        decoder_widths: Sequence[int] = (160, 160, 160, 128),
        widths: Sequence[int] = (128, 128, 160, 128),
        depths: Sequence[int] = (1, 1, 1, 2),
        fine_width: int = 64,
        fine_depth: int = 1,
        gamma_channels: int = 64,
    ) -> None:
        super().__init__()
        self.gamma_embedding = GammaEmbedding(gamma_channels)
        self.pixels = nn.Conv2d(2 * 3 * FINE_STRIDE**2, fine_width, 3, padding=1)
        self.fine = nn.ModuleList(ModulatedBlock(fine_width, gamma_channels) for _ in range(fine_depth))
        finer = [*widths[1:], fine_width]
        self.down = nn.ModuleList(
            nn.Conv2d(before, width, 3, stride=2, padding=1) for before, width in zip(finer, widths, strict=True)
        )
        self.blocks: Any = nn.ModuleList(
            nn.ModuleList(ModulatedBlock(width, gamma_channels) for _ in range(depth))
            for width, depth in zip(widths, depths, strict=True)
        )
        both = [sum(pair) for pair in zip(widths, decoder_widths, strict=True)]
        self.joins = nn.ModuleList(
            nn.Conv2d(planes, width, 3, padding=1) for planes, width in zip(both, widths, strict=True)
        )
        self.latents = nn.ModuleList(
            nn.Conv2d(width, channels, 1) for width, channels in zip(widths, CHANNELS, strict=True)
        )

    def forward(self, pictures: torch.Tensor, base: torch.Tensor, gamma_log2: torch.Tensor) -> list[torch.Tensor]:
        """Return the features at strides 64, 32, 16 and 8, (B, F, h, w) each.

        Args:
            pictures: (B, 3, H', W') floats in [−1, 1], the sides multiples of 8.
            base: their smooth bases, of the same shape.
            gamma_log2: (B, 1, 1, 1) floats, or (B, 1, H' / 8, W' / 8).
        """
        embedding = self.gamma_embedding(gamma_log2)
        features = self.pixels(functional.pixel_unshuffle(torch.cat([pictures, pictures - base], dim=1), FINE_STRIDE))
        for block in self.fine:
            features = block(features, fitted(embedding, *features.shape[-2:]))
        maps = []
        for index in reversed(range(len(self.blocks))):
            features = self.down[index](features)
            for block in self.blocks[index]:
                features = block(features, embedding)
            maps.append(features)
            embedding = embedding if embedding.shape[-2:] == (1, 1) else halved(embedding)
        return maps[::-1]

    def choose(self, level: int, own: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return the latents of a level, (B, C, h, w) floats.

        Args:
            level: 0 … 3.
            own: of `forward`, at the level.
            features: the decoder's.
        """
        return self.latents[level](functional.gelu(self.joins[level](torch.cat([own, features], dim=1))))
