"""Labels and likeness → picture, in one pass: the generator of a GAN (FineNet of DSSLIC, Akbari et al.).

    likeness, labels, noise ──stride 8──▶ body at strides 8 and 16 ──▶ features ──▶ 4 ──▶ 2 ──▶ 1 ──▶ what is added
                                            └──style──▶ a scale and a shift at each place ┘           to the likeness
                                                        (SPADE), beside likeness and noise

What a place is made of is decided where pictures are small; the renderer only says what that looks like. Its norms are
modulated place by place (Park et al., https://arxiv.org/abs/1903.07291) by a style, which is made at stride 8 of labels
and features, and by likeness and noise at full size. It is the same network at every size.
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

from sgc_diffusion.features.modulated_blocks import ChannelNorm, ModulatedBlock, start_at_zero
from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.payload.grid import enlarge
from sgc_diffusion.synthesis.conditioning import (
    NUM_FIDELITY_PLANES,
    WIDEST_CELL,
    fidelity_planes,
    likeness_picture,
    payload_fidelity,
)

STRIDE = 8  # pixels of a place where labels are told
MULTIPLE = 16  # of the sides of what the network takes
RENDERED_STRIDES = (4, 2)  # of the renderer's maps; the last step to pixels is a shuffle
QUALITY_CHANNELS = 64  # of the embedding of how good the likeness is
MAX_DRAWN_PIXELS = 2**21  # a larger picture is drawn smaller, which bounds the memory


class LabelGenerator(ModelMixin, ConfigMixin):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Draws what a likeness lacks.

    Args:
        num_classes: of the label set that it is told.
        body_widths: channels of the maps at strides 8 and 16, multiples of 32.
        body_depths: blocks at stride 8 before, at stride 16, and at stride 8 behind.
        widths: channels of the renderer's maps at strides 4 and 2.
        depths: its blocks at each of them.
        style_channels: numbers that say what a place is made of.
    """

    @register_to_config
    def __init__(
        self,
        num_classes: int = 54,
        body_widths: Sequence[int] = (160, 256),
        body_depths: Sequence[int] = (2, 3, 2),
        widths: Sequence[int] = (128, 64),
        depths: Sequence[int] = (2, 2),
        style_channels: int = 32,
    ) -> None:
        super().__init__()
        fine, coarse = body_widths
        self.quality = nn.Linear(NUM_FIDELITY_PLANES, QUALITY_CHANNELS)
        self.read = nn.Conv2d(num_classes + 4 * STRIDE**2, fine, 1)
        self.before = _blocks(fine, body_depths[0])
        self.down = Downsample2D(fine, use_conv=True, out_channels=coarse, name="op")
        self.middle = _blocks(coarse, body_depths[1])
        self.up = Upsample2D(coarse, use_conv=True, out_channels=fine)
        self.after = _blocks(fine, body_depths[2])
        self.style = nn.Conv2d(fine + num_classes, style_channels, 1)
        pairs = zip((fine, *widths[:-1]), widths, strict=True)
        self.narrow = nn.ModuleList(nn.Conv2d(wide, narrow, 1) for wide, narrow in pairs)
        self.render: Any = nn.ModuleList(
            nn.ModuleList(ModulatedBlock(width, style_channels + 4 * stride**2) for _ in range(depth))
            for width, depth, stride in zip(widths, depths, RENDERED_STRIDES, strict=True)
        )
        self.norm = ChannelNorm(widths[-1])
        self.pixels = nn.Conv2d(widths[-1], 3 * RENDERED_STRIDES[-1] ** 2, 3, padding=1)
        start_at_zero(self.pixels)

    def forward(
        self, labels: torch.Tensor, likeness: torch.Tensor, fidelity: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """Return pictures (B, 3, H, W), about in [−1, 1]; H and W are multiples of 16.

        Args:
            labels: (B, K, H / 8, W / 8) floats, one-hot; all zero where they are not known.
            likeness: (B, 3, H, W) floats in [−1, 1].
            fidelity: (B, 2) floats, the values of `conditioning.fidelity_planes`.
            noise: (B, 1, H, W) normal floats.
        """
        shown = torch.cat([likeness, noise], dim=1)
        planes = torch.cat([functional.pixel_unshuffle(shown, STRIDE), labels], dim=1)
        quality = self.quality(fidelity)
        features = _through(self.before, self.read(planes.contiguous(memory_format=torch.channels_last)), quality)
        features = features + self.up(_through(self.middle, self.down(features), quality))
        features = _through(self.after, features, quality)
        style = self.style(torch.cat([features, labels.to(features)], dim=1))
        for stride, narrow, blocks in zip(RENDERED_STRIDES, self.narrow, self.render, strict=True):
            features, style = _doubled(narrow(features)), _doubled(style)
            modulation = torch.cat([style, functional.pixel_unshuffle(shown, stride).to(style)], dim=1)
            modulation = modulation.contiguous(memory_format=torch.channels_last)
            for block in blocks:
                features = block(features, modulation)
        added = self.pixels(functional.gelu(self.norm(features)))
        return likeness + functional.pixel_shuffle(added, RENDERED_STRIDES[-1])


def _blocks(width: int, depth: int) -> nn.ModuleList:
    return nn.ModuleList(ResnetBlock2D(in_channels=width, temb_channels=QUALITY_CHANNELS) for _ in range(depth))


def _through(blocks: nn.ModuleList, features: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    for block in blocks:
        features = block(features, quality)
    return features


def _doubled(planes: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(planes, scale_factor=2.0, mode="bilinear")


def drawn_size(payload: SemanticPayload) -> tuple[int, int]:
    """Return (height, width) in pixels at which a payload is drawn: its own, unless that is too large.

    A color cell is at most as wide as the widest that networks are trained with, and a picture has at most
    `MAX_DRAWN_PIXELS`.
    """
    height, width = payload.height, payload.width
    rows, columns = payload.color_map.shape[:2]
    cells = WIDEST_CELL * min(rows / height, columns / width)
    factor = min(1.0, cells, math.sqrt(MAX_DRAWN_PIXELS / (height * width)))
    return max(1, round(factor * height)), max(1, round(factor * width))


def draw_payloads(
    generator: LabelGenerator,
    payloads: Sequence[SemanticPayload],
    noise_generators: Sequence[torch.Generator],
    size: tuple[int, int],
) -> torch.Tensor:
    """Return what a generator draws of payloads, (B, 3, height, width) float32 on its device, about in [−1, 1].

    Args:
        generator: the network.
        payloads: with labels of its label set.
        noise_generators: of the noise of each.
        size: height and width in pixels.
    """
    device, dtype = generator.device, generator.dtype
    height, width = size
    padded = [-(-side // MULTIPLE) * MULTIPLE for side in size]
    num_classes = generator.config["num_classes"]
    labels = torch.stack([_label_planes(payload.label_map, num_classes, size, padded) for payload in payloads])
    pictures = torch.stack([likeness_picture(payload, height, width) for payload in payloads])
    pictures = functional.pad(pictures, (0, padded[1] - width, 0, padded[0] - height), mode="replicate")
    fidelity = [fidelity_planes(*payload_fidelity(payload, height), 1, 1)[:, 0, 0] for payload in payloads]
    noise = [randn_tensor((1, 1, *padded), generator=each, device=device, dtype=dtype) for each in noise_generators]
    given = (planes.to(device, dtype) for planes in (labels, pictures, torch.stack(fidelity)))
    return generator(*given, torch.cat(noise))[..., :height, :width].float()


def _label_planes(
    label_map: np.ndarray, num_classes: int, size: tuple[int, int], padded: Sequence[int]
) -> torch.Tensor:
    """Return one-hot planes (K, H / 8, W / 8) of the padded size: of the cell that the center of each place lies in."""
    ids = enlarge(label_map, *size)
    rows, columns = (
        np.minimum(np.arange(STRIDE // 2, side, STRIDE), own - 1) for side, own in zip(padded, size, strict=True)
    )
    places = torch.from_numpy(ids[rows][:, columns].astype(np.int64))
    return functional.one_hot(places, num_classes).permute(2, 0, 1).float()
