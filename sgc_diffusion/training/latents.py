"""Training of the hierarchical VAE: what its symbols will cost, with the tables that will code them.

    latents − mean ──gain──▶ residuals ──rounded──▶ symbols ──contexts──▶ places in the tables ──sum──▶ scale
                              └──(+ noise)──▶ bits under a Laplace distribution of that scale

The tables learn with the networks, as floats; `pipelines/scalable-vae/fit_tables.py` makes integers of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sgc_diffusion.payload import latent_contexts as contexts
from sgc_diffusion.payload.latents import CHANNELS

UNITS_PER_OCTAVE = 16  # of a table's entries
SCALE_LIMITS = (-4.0, 3.9)  # log2 of the scales that the coder has
_LEAST_PROBABILITY = 2.0**-14
_LOG2E = 1.4426950408889634


class ScaleTables(nn.Module):
    """The tables of `payload.latent_contexts`, in octaves of the scale."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(shape)) for name, shape in contexts.TABLE_SHAPES.items()}
        )

    def forward(self, level: int, places: dict[str, torch.Tensor], without: Sequence[str] = ()) -> torch.Tensor:
        """Return log2 of the scales, of the places' shape.

        Args:
            level: 0 … 3.
            places: table → (B, C, h, w) int64, of `symbol_places`.
            without: tables that are left out.
        """
        channels = torch.arange(CHANNELS[level]).reshape(1, -1, 1, 1)
        total = torch.zeros(())
        for name, indices in places.items():
            if name not in without:
                table = self.tables[name][level]
                total = total + functional.embedding(channels * table.shape[1] + indices, table.reshape(-1, 1))[..., 0]
        return total.clamp(*SCALE_LIMITS)

    def entries(self) -> dict[str, np.ndarray]:
        """Return the tables as the coder has them, int8 in 1/16 octave."""
        return {
            name: np.clip(np.round(table.detach().numpy() * UNITS_PER_OCTAVE), -127, 127).astype(np.int8)
            for name, table in self.tables.items()
        }


class FloatScales(nn.Module):
    """What a network would make of the scales: to measure what integers cost. It teaches nothing.

    Args:
        widths: channels of the decoder's features at the four strides.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width + count, width, 1), nn.GELU(), nn.Conv2d(width, count, 1))
            for width, count in zip(widths, CHANNELS, strict=True)
        )

    def forward(self, level: int, features: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        """Return log2 of the scales, (B, C, h, w), from the decoder's features before a level and its gain."""
        gains = gain.detach().float().log2().expand(-1, -1, *features.shape[-2:])
        scales = self.heads[level](torch.cat([features.detach().float(), gains], dim=1))
        return (scales.float() + gains).clamp(*SCALE_LIMITS)


class TrainedVae(nn.Module):
    """Everything that a checkpoint holds.

    Args:
        encoder: `analysis.latent_encoder.LatentEncoder`.
        decoder: `synthesis.vae.LatentDecoder`.
    """

    def __init__(self, encoder: nn.Module, decoder: Any) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.scales, self.float_scales = ScaleTables(), FloatScales(decoder.config.widths)


def symbol_places(
    symbols: np.ndarray, coarser: np.ndarray | None, given: Sequence[dict[str, np.ndarray]]
) -> dict[str, torch.Tensor]:
    """Return the places of all symbols of a level in all tables, as a reader meets them one after the other.

    Args:
        symbols: (B, C, h, w) integers.
        coarser: (B, C', h', w') of the next coarser level; None if there is none.
        given: of `contexts.given_places`, one a picture.

    Returns:
        Table → (B, C, h, w) int64.
    """
    sizes = contexts.sizes_of(symbols)
    places = {name: np.stack([member[name] for member in given])[:, None] for name in given[0]}
    coarse = contexts.coarse_places(coarser, *symbols.shape[-2:])
    places["coarse"] = coarse[:, None] if coarse.ndim == 3 else coarse[None, None]
    places["earlier"] = contexts.earlier_places(np.cumsum(sizes, axis=1) - sizes)
    places["near"] = contexts.all_near_places(sizes)
    return {name: torch.from_numpy(np.broadcast_to(part, symbols.shape).copy()) for name, part in places.items()}


def laplace_bits(residuals: torch.Tensor, scale_log2: torch.Tensor) -> torch.Tensor:
    """Return the bits of residuals, floats, under a Laplace distribution whose steps of one are what is coded.

    Args:
        residuals: of any shape; integers for what a coder would take.
        scale_log2: log2 of the scales, of the same shape.
    """
    inverse = torch.exp2(-scale_log2)
    size = residuals.abs()
    inside = 1 - 0.5 * (torch.exp((size.clamp(max=0.5) - 0.5) * inverse) + torch.exp(-(size + 0.5) * inverse))
    outside = -((size.clamp(min=0.5) - 0.5) * inverse) * _LOG2E + torch.log2(-torch.expm1(-inverse)) - 1
    return torch.where(size < 0.5, -inside.clamp(min=_LEAST_PROBABILITY).log2(), -outside)
