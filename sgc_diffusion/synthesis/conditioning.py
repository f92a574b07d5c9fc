"""Payload → the planes that steer the denoiser.

    label_map ──one-hot, resized─▶ (K, h, w) ─┐
    color_map ──bicubic──────────▶ (3, h, w) ──┼──▶ condition, concatenated to the noisy latents
    1 where the color is given ─▶ (1, h, w) ──┘

All zeros in the one-hot planes means "labels unknown" and all zeros in the last four "colors unknown": what
classifier-free guidance and training's condition drop-out use.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.payload.detail_bands import NUM_LEVELS
from sgc_diffusion.payload.grid import cell_indices
from sgc_diffusion.payload.smooth_base import smooth_base
from sgc_diffusion.synthesis.likeness import highest_level, likeness

NUM_FIDELITY_PLANES = 2
WIDEST_CELL = 64.0  # pixels a color cell, of the widest that denoisers are trained with
NUM_COLOR_PLANES = 4  # red, green, blue in [−1, 1], and a plane of ones that says they are given


def label_planes(
    label_map: np.ndarray, num_classes: int, height: int, width: int, *, samples_per_side: int = 1
) -> torch.Tensor:
    """Return the label map as one-hot planes.

    Args:
        label_map: (h, w) uint8 ids below `num_classes`.
        num_classes: K.
        height: of the planes, in latents.
        width: of the planes, in latents.
        samples_per_side: points of a latent, along each side, that are averaged. 1 gives each latent the label of the
            cell that its center lies in. The pixels per latent give what LDM's SpatialRescaler computes: its bilinear
            halvings of the one-hot map at full size are means of 2×2 (https://arxiv.org/abs/2112.10752).

    Returns:
        (K, height, width) float32 in [0, 1], of sum 1 over the classes.
    """
    ids = torch.from_numpy(label_map.astype(np.int64))
    planes = functional.one_hot(ids, num_classes).permute(2, 0, 1).float()  # (K, h, w)
    rows = _resampling_matrix(label_map.shape[0], height, samples_per_side)
    columns = _resampling_matrix(label_map.shape[1], width, samples_per_side)
    return rows @ planes @ columns.T


def _resampling_matrix(num_cells: int, num_latents: int, samples_per_side: int) -> torch.Tensor:
    """Return (latents, cells): how much of each latent, along one side, lies in each cell."""
    cell_of = cell_indices(num_latents * samples_per_side, num_cells)
    one_hot = functional.one_hot(torch.from_numpy(cell_of), num_cells).float()
    return one_hot.reshape(num_latents, samples_per_side, num_cells).mean(dim=1)


def upsample_color(color_map: np.ndarray, height: int, width: int) -> torch.Tensor:
    """Return the color map as a smooth picture.

    Args:
        color_map: (h, w, 3) uint8 sRGB.
        height: wanted, in pixels or latents.
        width: wanted, in pixels or latents.

    Returns:
        (3, height, width) float32 in [−1, 1].
    """
    colors = torch.from_numpy(np.array(color_map)).permute(2, 0, 1)[None].float() / 127.5 - 1
    mode = "bicubic" if min(height, width) > 1 else "nearest"
    return functional.interpolate(colors, (height, width), mode=mode).clamp(-1, 1)[0]


def start_picture(payload: SemanticPayload, height: int, width: int) -> torch.Tensor:
    """Return the picture that a drawing starts from: the best that the file gives without a network.

    Args:
        payload: with detail levels, its likeness is taken; without, its color map as a smooth picture.
        height: wanted, in pixels.
        width: wanted, in pixels.

    Returns:
        (3, height, width) float32 in [−1, 1].
    """
    if highest_level(payload) is None:
        return upsample_color(payload.color_map, height, width)
    picture = torch.from_numpy(likeness(payload, max_pixels=None)).permute(2, 0, 1)[None].float() / 127.5 - 1
    return functional.interpolate(picture, (height, width), mode="bicubic", antialias=True).clamp(-1, 1)[0]


def color_planes(colors: torch.Tensor) -> torch.Tensor:
    """Return the color condition (4, h, w): a picture (3, h, w) in [−1, 1], and a plane of ones."""
    return torch.cat([colors, torch.ones_like(colors[:1])])


def likeness_picture(payload: SemanticPayload, height: int, width: int) -> torch.Tensor:
    """Return what a file shows of its picture without a network, as denoisers that were trained on it are shown it.

    Args:
        payload: with or without detail levels.
        height: wanted, in pixels.
        width: wanted, in pixels.

    Returns:
        (3, height, width) float32 in [−1, 1]: the smooth base of this size, or the likeness resized to it.
    """
    if highest_level(payload) is not None:
        return start_picture(payload, height, width)
    return torch.from_numpy(smooth_base(payload.color_map, height, width)).permute(2, 0, 1).float() / 127.5 - 1


def fidelity_planes(cell_side: float, known: float, height: int, width: int) -> torch.Tensor:
    """Return what a file says about how good its likeness is.

    Args:
        cell_side: pixels a color cell, of the picture that is drawn.
        known: share of the detail levels that the file has, 0 … 1.
        height: of the planes, in latents.
        width: of the planes, in latents.

    Returns:
        (2, height, width) float32: log₂ of the cells' side, 1 for 64 pixels; the share.
    """
    values = torch.tensor([math.log2(cell_side) / math.log2(WIDEST_CELL), known], dtype=torch.float32)
    return values[:, None, None].expand(-1, height, width)


def payload_fidelity(payload: SemanticPayload, height: int) -> tuple[float, float]:
    """Return `cell_side` and `known` of `fidelity_planes` for a payload that is drawn `height` pixels high."""
    level = highest_level(payload)
    return height / payload.color_map.shape[0], 0.0 if level is None else (level.level + 1) / NUM_LEVELS
