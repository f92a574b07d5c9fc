"""Residual blocks that a continuous rate steers: one network for every γ.

log2 γ ──sinusoids──▶ two fully connected layers ──▶ a scale and a shift for the norm of every block (AdaLN)

So does QARV (Duan et al., https://arxiv.org/abs/2302.08899) and Song et al. after it. γ may differ from place to place:
then it is a plane, and the layers are applied to each of its places.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

NUM_SINUSOIDS = 16  # frequencies, each as a sine and a cosine
SLOWEST_OCTAVES, FASTEST_OCTAVES = 32.0, 2.0  # wave lengths of the sinusoids, in octaves of γ


class GammaEmbedding(nn.Sequential):
    """log2 γ (B, 1, h, w) → embedding (B, E, h, w); h and w are 1 for one γ for the whole picture.

    Args:
        channels: E.
    """

    frequencies: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(2 * NUM_SINUSOIDS, channels, 1), nn.GELU(), nn.Conv2d(channels, channels, 1))
        exponents = torch.linspace(0, 1, NUM_SINUSOIDS)
        waves = SLOWEST_OCTAVES * (FASTEST_OCTAVES / SLOWEST_OCTAVES) ** exponents
        self.register_buffer("frequencies", (2 * math.pi / waves).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, gamma_log2: torch.Tensor) -> torch.Tensor:
        """Return the embedding of log2 γ, (B, 1, h, w) floats."""
        angles = gamma_log2 * self.frequencies
        return super().forward(torch.cat([angles.sin(), angles.cos()], dim=1))


class ModulatedBlock(nn.Module):
    """x + convolutions of the norm of x, which the embedding of γ scales and shifts.

    Args:
        channels: of what goes in and out.
        embedding_channels: of the embedding.
    """

    def __init__(self, channels: int, embedding_channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.modulation = nn.Conv2d(embedding_channels, 2 * channels, 1)
        self.wide = nn.Conv2d(channels, channels, 3, padding=1)
        self.narrow = nn.Conv2d(channels, channels, 1)
        start_at_zero(self.modulation)

    def forward(self, features: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Return features of the same shape.

        Args:
            features: (B, C, h, w) floats.
            embedding: (B, E, 1, 1) or (B, E, h, w) floats.
        """
        scale, shift = self.modulation(functional.gelu(embedding)).chunk(2, dim=1)
        modulated = self.norm(features) * (1 + scale) + shift
        return features + self.narrow(functional.gelu(self.wide(modulated)))


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each place, so that a picture's other places play no part.

    Args:
        channels: of the maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (B, C, h, w) floats of the same shape."""
        last = functional.layer_norm(features.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias)
        return last.permute(0, 3, 1, 2)


def start_at_zero(layer: Any) -> None:
    """Make a convolution give zeros until it has learned."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def halved(planes: torch.Tensor) -> torch.Tensor:
    """Return the means of 2×2 places, of fewer at an odd edge, (B, C, ⌈h/2⌉, ⌈w/2⌉)."""
    return functional.avg_pool2d(planes, 2, ceil_mode=True, count_include_pad=False)


def fitted(planes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return planes of a quarter of the places of a map, or of one place, at the map's size, or of one place."""
    if planes.shape[-2:] == (1, 1):
        return planes
    return planes.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)[..., :height, :width]
