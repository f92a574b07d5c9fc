"""Labels and likeness → picture, in one pass: the generator of a GAN (DSSLIC's FineNet, Akbari et al.).

    likeness, labels, fidelity, noise ──stride 8──▶ body, strides 8 and 16 ──▶ features ─▶ 4 ─▶ 2 ─▶ 1 ──▶ what is added
                                                           └──style──▶ a scale and a shift at each place ┘   to the
                                                                       (SPADE), beside likeness and noise    likeness

What a region is made of is decided where pictures are small; the renderer only says what that looks like. Its norms are
modulated place by place (Park et al., https://arxiv.org/abs/1903.07291), by a style that is made at stride 8 of labels
and features, and by the likeness and the noise at the size at hand. Nothing but convolutions and norms of whole maps:
any size can be drawn. All blocks are diffusers' own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from diffusers.utils.torch_utils import randn_tensor
from torch import nn
from torch.nn import functional

from sgc_diffusion.features.modulated_blocks import ChannelNorm, ModulatedBlock
from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.payload.grid import enlarge
from sgc_diffusion.synthesis.conditioning import (
    NUM_FIDELITY_PLANES,
    WIDEST_CELL,
    likeness_picture,
    payload_fidelity,
)

STRIDE = 8  # pixels a place of labels and of the body's finer maps
MULTIPLE = 16  # of the sides that the network takes
MAX_DRAWN_PIXELS = 2**21  # a larger picture is drawn smaller; its memory is about 1.5 GB in float32
STRIDES = (4, 2)  # of the renderer's maps
MODE='bilinear'
QUALITY_CHANNELS = 64  # of the embedding of the fidelity
_GROUPS = 32  # of the norms, as in diffusers' blocks


class LabelGenerator(ModelMixin, ConfigMixin):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Draws what a likeness lacks.

    Args:
        num_classes: of the label set that it is told.
        body_widths: channels of the maps at strides 8 and 16, multiples of 32.
        body_depths: blocks at stride 8 before, at stride 16, and at stride 8 behind.
        widths: channels of the renderer's maps at strides 4, 2 and 1, multiples of 32.
        depths: its blocks at each of them.
        style_channels: numbers that say what a place is made of.
    """

    @register_to_config
    def __init__(
        self,
        num_classes: int = 54,
        body_widths: Sequence[int] = (160, 256),
        body_depths: Sequence[int] = (1, 3, 2),
        widths: Sequence[int] = (128, 64),
        depths: Sequence[int] = (2, 2),
        style_channels: int = 32,
    ) -> None:
        super().__init__()
        fine, coarse = body_widths
        self.quality = nn.Linear(NUM_FIDELITY_PLANES, QUALITY_CHANNELS)
        self.read = nn.Conv2d(num_classes + 4 * STRIDE**2, fine, 1)  # likeness and noise: a pixel a channel
        self.before = _blocks(fine, body_depths[0])
        self.down = Downsample2D(fine, use_conv=True, out_channels=coarse)
        self.middle = _blocks(coarse, body_depths[1])
        self.up = Upsample2D(coarse, use_conv=True, out_channels=fine)
        self.after = _blocks(fine, body_depths[2])
        self.style = nn.Conv2d(fine + num_classes, style_channels, 1)
        previous = [fine, *widths[:-1]]
        self.narrow = nn.ModuleList(nn.Conv2d(*pair, 1) for pair in zip(previous, widths, strict=True))
        self.render: Any = nn.ModuleList(
            nn.ModuleList(ModulatedBlock(width, style_channels + 4 * stride**2) for _ in range(depth))
            for width, depth, stride in zip(widths, depths, STRIDES, strict=True)
        )
        self.norm = ChannelNorm(widths[-1])
        self.pixels = nn.Conv2d(widths[-1], 3 * STRIDES[-1] ** 2, 3, padding=1)
        nn.init.zeros_(self.pixels.weight)
        nn.init.zeros_(self.pixels.bias)  # it starts as the likeness

    def forward(
        self, labels: torch.Tensor, likeness: torch.Tensor, fidelity: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """Return pictures (B, 3, H, W), about in [−1, 1]; H and W are multiples of 16.

        Args:
            labels: (B, K, H / 8, W / 8) floats, one-hot; all zero where they are not known.
            likeness: (B, 3, H, W) floats in [−1, 1].
            fidelity: (B, 2) floats, see `conditioning.fidelity_planes`.
            noise: (B, 1, H, W) normal floats.
        """
        shown = torch.cat([likeness, noise], dim=1).contiguous(memory_format=torch.channels_last)
        planes = torch.cat([functional.pixel_unshuffle(shown, STRIDE), labels], dim=1)
        quality = self.quality(fidelity)
        features = _through(self.before, self.read(planes.contiguous(memory_format=torch.channels_last)), quality)
        features = features + self.up(_through(self.middle, self.down(features), quality))
        features = _through(self.after, features, quality)
        style = self.style(torch.cat([features, labels.to(features)], dim=1))
        for level, blocks in enumerate(self.render):
            features = _doubled(self.narrow[level](features))
            style = _doubled(style)
            seen = functional.pixel_unshuffle(shown, STRIDES[level]).to(style)
            modulation = torch.cat([style, seen], dim=1)
            for block in blocks:
                features = block(features, modulation)
        added = self.pixels(functional.gelu(self.norm(features)))
        return likeness + functional.pixel_shuffle(added, STRIDES[-1])


def _doubled(planes: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(planes, scale_factor=2.0, mode=MODE)


def _blocks(width: int, depth: int) -> nn.ModuleList:
    return nn.ModuleList(
        ResnetBlock2D(in_channels=width, temb_channels=QUALITY_CHANNELS, groups=_GROUPS) for _ in range(depth)
    )


def _through(blocks: nn.ModuleList, features: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    for block in blocks:
        features = block(features, quality)
    return features
