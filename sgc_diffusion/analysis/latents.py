"""Picture → latent levels: the symbols of one γ, or of the largest that fits into a number of bytes.

    picture, labels, colors, γ ──two networks──▶ symbols of four levels ──those that are not all zero──▶ payload

What draws lives elsewhere, so the decoder's network and its conditions come in as objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from sgc_diffusion.analysis.latent_encoder import LatentEncoder
from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.payload.importance import ImportanceLayer
from sgc_diffusion.payload.latents import (
    FIRST_KIND,
    MAX_SYMBOL,
    NUM_GAMMAS,
    LatentLevel,
    gamma_indices,
    gamma_log2,
    level_size,
    reduced_size,
)


@dataclass(frozen=True)
class LatentNetworks:
    """What latents are made with.

    Attributes:
        encoder: its way up.
        decoder: of `synthesis.vae`, whose means the encoder corrects.
        conditions_of: (payload, log2 γ: a number or one a cell of a grid over the picture, reduction) → the decoder's
            conditions.
    """

    encoder: LatentEncoder
    decoder: Any
    conditions_of: Callable[[SemanticPayload, float | np.ndarray, int], Any]


@torch.no_grad()
def choose_symbols(
    networks: LatentNetworks, pictures: torch.Tensor, conditions: Any, rounding: float = 0.5
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return the symbols of pictures, and what they give.

    Args:
        networks: that make them.
        pictures: (B, 3, H', W') floats in [−1, 1], of the size of the conditions' smooth base.
        conditions: of the pictures.
        rounding: added to the absolute value of what is rounded down; below 1/2 there are more zeros.

    Returns:
        Floats of integer value (B, C, h, w) for each level, and (B, 3, H', W') floats, about in [−1, 1].
    """
    own = networks.encoder(pictures, conditions.base, conditions.gamma_log2)
    chosen: list[torch.Tensor] = []

    def choose(level: int, features: torch.Tensor, mean: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        residuals = (networks.encoder.choose(level, own[level], features) - mean) * gain
        symbols = residuals.sign() * (residuals.abs() + rounding).floor().clamp(max=MAX_SYMBOL)
        chosen.append(symbols)
        return symbols

    decoded = networks.decoder.walk(conditions, choose)
    return chosen, decoded


def make_latents(
    payload: SemanticPayload,
    picture: np.ndarray,
    networks: LatentNetworks,
    gamma_index: int,
    reduction: int = 0,
) -> tuple[LatentLevel, ...]:
    """Return the latent levels of a picture; one of which all symbols are zero is left out, as it says nothing.

    Args:
        payload: its labels, of the networks' label set, its colors, and maybe its importance, which γ then follows.
        picture: (H, W, 3) uint8, of the payload's size.
        networks: that make them.
        gamma_index: of the weight γ of the distortion, 0 … 48.
        reduction: how often the sides are halved first, 0 … 3.
    """
    importance = payload.layer(ImportanceLayer)
    gammas = gamma_log2(gamma_indices(gamma_index, importance))
    conditions = networks.conditions_of(payload, gammas, reduction)
    decoder = networks.decoder
    symbols, _ = choose_symbols(
        networks,
        padded_pixels(picture, reduction, conditions.base.shape[-2:]).to(decoder.device, decoder.dtype),
        conditions.to(decoder.device, decoder.dtype),
    )
    levels = []
    for level, values in enumerate(symbols):
        rows, columns = level_size(payload.height, payload.width, reduction, level)
        whole = values[0, :, :rows, :columns].float().cpu().numpy().astype(np.int16)
        if whole.any():
            levels.append(
                LatentLevel(
                    FIRST_KIND + level, whole, gamma_index, reduction, follows_importance=importance is not None
                )
            )
    return tuple(levels)


def fit_latents(
    payload: SemanticPayload,
    picture: np.ndarray,
    num_bytes: int,
    networks: LatentNetworks,
    count_bytes: Callable[[SemanticPayload], int],
    reductions: Sequence[int] = (0,),
) -> list[SemanticPayload]:
    """Return payloads with the latents of the largest γ whose levels fit, one a reduction; none where nothing fits.

    Args:
        payload: without latents, of the networks' label set.
        picture: (H, W, 3) uint8, of the payload's size.
        num_bytes: that the latents may take.
        networks: that make them.
        count_bytes: size of the file of a payload.
        reductions: that are tried.
    """
    limit, fitting = count_bytes(payload) + num_bytes, []
    for reduction in reductions:
        best, low, high = None, 0, NUM_GAMMAS - 1
        while low <= high:
            middle = (low + high) // 2
            larger = with_latents(payload, make_latents(payload, picture, networks, middle, reduction))
            if count_bytes(larger) <= limit:
                best, low = larger, middle + 1
            else:
                high = middle - 1
        if best is not None:
            fitting.append(best)
    return fitting


def with_latents(payload: SemanticPayload, levels: Sequence[LatentLevel]) -> SemanticPayload:
    """Return the payload with these latents in place of any that it has."""
    others = [layer for layer in payload.layers if not isinstance(layer, LatentLevel)]
    return replace(payload, layers=tuple(sorted((*others, *levels), key=lambda layer: layer.kind)))


def padded_pixels(picture: np.ndarray, reduction: int, size: Sequence[int]) -> torch.Tensor:
    """Return a picture (H, W, 3) uint8 as the network sees it: reduced, its edges repeated, (1, 3, H', W') floats."""
    height, width = reduced_size(picture.shape[0], picture.shape[1], reduction)
    if reduction:
        picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))
    padded = np.pad(picture, [(0, size[0] - height), (0, size[1] - width), (0, 0)], "edge")
    return torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 127.5 - 1
