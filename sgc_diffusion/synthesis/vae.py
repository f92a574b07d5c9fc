"""Labels, colors and latents → the picture that they give: the decoder of a hierarchical VAE, one for every rate.

    labels, smooth base, γ ─┬──▶ features at stride 64 ──mean──▶ mean + symbol / gain ──▶ features at stride 32 ─ … ─▶ 8
                            └──────────────────────────────────────────────────▶ smooth base + what the features add

A level that a file has not is read as symbols of zero: its mean is its prediction. The picture is the same on every
machine up to the rounding of floats; the symbols are the same to the bit, because no float has a part in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional

from sgc_diffusion.features.modulated_blocks import GammaEmbedding, ModulatedBlock, fitted, halved, start_at_zero
from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.payload.grid import enlarge
from sgc_diffusion.payload.importance import ImportanceLayer
from sgc_diffusion.payload.latents import CHANNELS, STRIDES, LatentLevel, gamma_indices, gamma_log2, reduced_size
from sgc_diffusion.payload.smooth_base import smooth_base

FINE_STRIDE = 4  # pixels a feature is wide that the picture is made of
CELL_OCTAVES = 3.0  # the size of a color cell is told as its octaves over 8 pixels, divided by this
GAIN_CENTER = 3.0  # log2 γ at which a fresh network's gains are 1

# level, features (B, F, h, w), mean (B, C, h, w), gain (B, C, h, w) or (B, C, 1, 1) → symbols as floats; None for none
Choose = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor | None]


@dataclass(frozen=True)
class Conditions:
    """What the network knows of pictures of one size beside their latents.

    Attributes:
        labels: (B, ⌈H/8⌉, ⌈W/8⌉) int64 class ids; the number of classes stands for "not known".
        base: (B, 3, H', W') float32 in [−1, 1], the smooth base, its sides repeated to multiples of 8.
        cell_octaves: (B,) float32, log2 of the pixels that a color cell is wide, over 8.
        gamma_log2: (B, 1, 1, 1) float32, or (B, 1, ⌈H/8⌉, ⌈W/8⌉).
    """

    labels: torch.Tensor
    base: torch.Tensor
    cell_octaves: torch.Tensor
    gamma_log2: torch.Tensor

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Conditions:
        """Return them on a device, the floats of a type."""
        floats = (self.base, self.cell_octaves, self.gamma_log2)
        return Conditions(self.labels.to(device), *(part.to(device, dtype) for part in floats))


class LatentDecoder(ModelMixin, ConfigMixin):  # pyright: ignore[reportIncompatibleMethodOverride]
    """The way down a hierarchical VAE.

    Args:
        num_classes: of the label set that it is told.
        widths: channels of the features at strides 64, 32, 16 and 8.
        depths: blocks at each stride, behind the latents, at least 1; one more stands before them.
        fine_width: channels of the features at stride 4.
        fine_depth: blocks there.
        label_channels: numbers that stand for a class.
        gamma_channels: of the embedding of γ.
    """

    @register_to_config
    def __init__(
        self,
        num_classes: int = 54,
        widths: Sequence[int] = (160, 160, 160, 128),
        depths: Sequence[int] = (1, 1, 2, 2),
        fine_width: int = 64,
        fine_depth: int = 2,
        label_channels: int = 16,
        gamma_channels: int = 64,
    ) -> None:
        super().__init__()
        self.label_embedding = nn.Embedding(num_classes + 1, label_channels)
        self.gamma_embedding = GammaEmbedding(gamma_channels)
        given = condition_channels(label_channels)
        self.start = nn.Parameter(torch.zeros(1, widths[0], 1, 1))
        self.readers = nn.ModuleList(nn.Conv2d(given, width, 1) for width in widths)
        self.before = nn.ModuleList(ModulatedBlock(width, gamma_channels) for width in widths)
        pairs = list(zip(widths, CHANNELS, strict=True))
        self.means = nn.ModuleList(nn.Conv2d(width, channels, 1) for width, channels in pairs)
        self.gains = nn.ModuleList(nn.Conv2d(gamma_channels, channels, 1) for channels in CHANNELS)
        self.writers = nn.ModuleList(nn.Conv2d(channels, width, 1) for width, channels in pairs)
        self.after: Any = nn.ModuleList(
            nn.ModuleList(ModulatedBlock(width, gamma_channels) for _ in range(depth))
            for width, depth in zip(widths, depths, strict=True)
        )
        following = [*widths[1:], fine_width]
        self.up = nn.ModuleList(nn.Conv2d(width, 4 * next_, 1) for width, next_ in zip(widths, following, strict=True))
        self.fine = nn.ModuleList(ModulatedBlock(fine_width, gamma_channels) for _ in range(fine_depth))
        self.pixels = nn.Conv2d(fine_width, 3 * FINE_STRIDE**2, 3, padding=1)
        for layer in (*self.means, *self.gains, self.pixels):
            start_at_zero(layer)

    def forward(self, levels: Sequence[torch.Tensor | None], conditions: Conditions) -> torch.Tensor:
        """Return pictures (B, 3, H', W'), about in [−1, 1], of the size of the smooth bases.

        Args:
            levels: symbols (B, C, h, w) as floats of the four levels; None for a level that is not there.
            conditions: of the pictures.
        """
        return self.walk(conditions, lambda level, *_: levels[level])

    def walk(self, conditions: Conditions, choose: Choose) -> torch.Tensor:
        """Make pictures from coarse to fine, while a function says which symbols each level has.

        Args:
            conditions: of the pictures.
            choose: is asked once a level; an encoder answers with those that fit the picture best.

        Returns:
            (B, 3, H', W') floats.
        """
        given = self.read(conditions)
        embeddings = self._embed(conditions.gamma_log2)
        features = self.start.expand(len(given[0]), -1, *given[0].shape[-2:])
        for level, planes in enumerate(given):
            embedding = embeddings[level]
            features = self.before[level](features + self.readers[level](planes), embedding)
            mean, gain = self.means[level](features), self._gain(level, embedding, conditions.gamma_log2, features)
            symbols = choose(level, features, mean, gain)
            latents = mean if symbols is None else mean + symbols / gain
            features = features + self.writers[level](latents)
            for block in self.after[level]:
                features = block(features, embedding)
            size = given[level + 1].shape[-2:] if level + 1 < len(given) else [2 * side for side in planes.shape[-2:]]
            features = functional.pixel_shuffle(self.up[level](features), 2)[..., : size[0], : size[1]]
        for block in self.fine:
            features = block(features, fitted(embeddings[-1], *features.shape[-2:]))
        return conditions.base + functional.pixel_shuffle(self.pixels(features), FINE_STRIDE)

    def read(self, conditions: Conditions) -> list[torch.Tensor]:
        """Return the planes of labels and colors at strides 64, 32, 16 and 8, (B, G, h, w) each."""
        labels = self.label_embedding(conditions.labels).permute(0, 3, 1, 2)
        colors = functional.pixel_unshuffle(functional.avg_pool2d(conditions.base, FINE_STRIDE), 2)
        cells = (conditions.cell_octaves / CELL_OCTAVES).reshape(-1, 1, 1, 1).expand(-1, 1, *labels.shape[-2:])
        planes = [torch.cat([labels, colors, cells], dim=1)]
        for _ in STRIDES[1:]:
            planes.append(halved(planes[-1]))
        return planes[::-1]

    def _embed(self, gamma_log2: torch.Tensor) -> list[torch.Tensor]:
        """Return the embeddings of γ at strides 64, 32, 16 and 8; of one place where γ is one number."""
        planes = [self.gamma_embedding(gamma_log2)]
        for _ in STRIDES[1:]:
            planes.append(planes[-1] if planes[-1].shape[-2:] == (1, 1) else halved(planes[-1]))
        return planes[::-1]

    def _gain(self, level: int, embedding: torch.Tensor, gamma: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return how many symbols a unit of the latents has; at first √γ, as an error of one step is then worth it."""
        if gamma.shape[-2:] != (1, 1):
            gamma = functional.adaptive_avg_pool2d(gamma, (features.shape[-2], features.shape[-1]))
        return torch.exp2((gamma - GAIN_CENTER) / 2 + self.gains[level](embedding))


def condition_channels(label_channels: int) -> int:
    """Return the number of planes of labels and colors."""
    return label_channels + 3 * (STRIDES[-1] // FINE_STRIDE) ** 2 + 1


def make_conditions(label_map: np.ndarray, base: np.ndarray, cell_side: float, gamma: float | np.ndarray) -> Conditions:
    """Return the conditions of one picture.

    Args:
        label_map: (h, w) uint8 class ids of the network's label set.
        base: (H, W, 3) uint8, its smooth base, at the size that the network sees.
        cell_side: pixels that a color cell is wide, at that size.
        gamma: log2 γ, one number or (h', w'), one a cell of a grid over the picture.
    """
    height, width = base.shape[:2]
    stride = STRIDES[-1]
    rows, columns = -(-height // stride), -(-width // stride)
    padded = np.pad(base, [(0, stride * rows - height), (0, stride * columns - width), (0, 0)], "edge")
    labels = torch.from_numpy(enlarge(label_map, rows, columns).astype(np.int64))[None]
    pixels = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 127.5 - 1
    plane = np.asarray(gamma, dtype=np.float32)
    plane = enlarge(plane, rows, columns) if plane.ndim else plane.reshape(1, 1)
    return Conditions(
        labels,
        pixels,
        torch.tensor([np.log2(cell_side / stride)], dtype=torch.float32),
        torch.from_numpy(np.ascontiguousarray(plane))[None, None],
    )


def stack_conditions(members: Sequence[Conditions]) -> Conditions:
    """Return the conditions of several pictures of one size as those of a batch."""
    names = ("labels", "base", "cell_octaves", "gamma_log2")
    parts = [[getattr(member, name) for member in members] for name in names]
    if len({part.shape for part in parts[-1]}) > 1:  # one γ for some, a plane for others
        size = parts[0][0].shape[-2:]
        parts[-1] = [part.expand(1, 1, *size) for part in parts[-1]]
    return Conditions(*(torch.cat(part) for part in parts))


def conditions_of(payload: SemanticPayload, gamma: float | np.ndarray, reduction: int = 0) -> Conditions:
    """Return what a network knows of the picture of a payload, whose labels are of its label set.

    Args:
        payload: of which labels and colors are taken.
        gamma: log2 γ, one number or one a cell of a grid over the picture.
        reduction: how often the sides are halved.
    """
    height, width = reduced_size(payload.height, payload.width, reduction)
    color_map = payload.color_map
    cell_side = float(np.sqrt(height * width / (color_map.shape[0] * color_map.shape[1])))
    return make_conditions(payload.label_map, smooth_base(color_map, height, width), cell_side, gamma)


def latent_levels(payload: SemanticPayload) -> list[LatentLevel]:
    """Return the latents of a payload, coarse to fine."""
    return [layer for layer in payload.layers if isinstance(layer, LatentLevel)]


def latent_likeness(decoder: LatentDecoder, payloads: Sequence[SemanticPayload], gamma_index: int) -> torch.Tensor:
    """Return the pictures that the latents of payloads give, at the size that the network saw.

    Args:
        decoder: whose latents they are.
        payloads: of one size and one reduction, with labels of its label set.
        gamma_index: for payloads without latents, which get what the network makes of labels and colors.

    Returns:
        (B, 3, H, W) float32 in [−1, 1], on the decoder's device.
    """
    stored = [latent_levels(payload) for payload in payloads]
    reduction = stored[0][0].reduction if stored[0] else 0
    members = []
    for payload, levels in zip(payloads, stored, strict=True):
        index = levels[0].gamma_index if levels else gamma_index
        importance = payload.layer(ImportanceLayer) if levels and levels[0].follows_importance else None
        members.append(conditions_of(payload, gamma_log2(gamma_indices(index, importance)), reduction))
    conditions = stack_conditions(members).to(decoder.device, decoder.dtype)
    symbols: list[torch.Tensor | None] = []
    for level, channels in enumerate(CHANNELS):
        parts = [next((layer.symbols for layer in levels if layer.level == level), None) for levels in stored]
        shape = next((part.shape for part in parts if part is not None), None)
        if shape is None:
            symbols.append(None)
            continue
        arrays = [np.zeros(shape, np.int16) if part is None else part for part in parts]
        symbols.append(torch.from_numpy(np.stack(arrays)).to(decoder.device, decoder.dtype))
        if shape[0] != channels:
            raise ValueError(f"`payloads` have {shape[0]} channels of latents at level {level}, expected {channels}")
    height, width = reduced_size(payloads[0].height, payloads[0].width, reduction)
    return decoder(symbols, conditions)[..., :height, :width].float().clamp(-1, 1)
