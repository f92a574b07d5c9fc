"""Payload → the planes that steer the denoiser.

    label_map ──one-hot, nearest──▶ (K, h, w) ─┐
    color_map ──bicubic──────────▶ (3, h, w) ──┼──▶ condition, concatenated to the noisy latents
    1 where the colour is given ─▶ (1, h, w) ──┘

All zeros in the one-hot planes means "labels unknown" and all zeros in the last four "colours unknown": what
classifier-free guidance and training's condition drop-out use.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

NUM_COLOR_PLANES = 4  # red, green, blue in [−1, 1], and a plane of ones that says they are given


def label_planes(label_map: np.ndarray, num_classes: int, height: int, width: int) -> torch.Tensor:
    """Return the label map as one-hot planes.

    Args:
        label_map: (h, w) uint8 ids below `num_classes`.
        num_classes: K.
        height: of the planes, in latents.
        width: likewise.

    Returns:
        (K, height, width) float32 of zeros and ones; each latent takes the label of the cell that its centre lies in.
    """
    rows = ((np.arange(height) + 0.5) * label_map.shape[0] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * label_map.shape[1] / width).astype(np.int64)
    ids = torch.from_numpy(label_map[rows][:, columns].astype(np.int64))
    return functional.one_hot(ids, num_classes).permute(2, 0, 1).float()


def upsample_color(color_map: np.ndarray, height: int, width: int) -> torch.Tensor:
    """Return the colour map as a smooth picture.

    Args:
        color_map: (h, w, 3) uint8 sRGB.
        height: wanted, in pixels or latents.
        width: likewise.

    Returns:
        (3, height, width) float32 in [−1, 1].
    """
    colors = torch.from_numpy(np.array(color_map)).permute(2, 0, 1)[None].float() / 127.5 - 1
    mode = "bicubic" if min(height, width) > 1 else "nearest"
    return functional.interpolate(colors, (height, width), mode=mode).clamp(-1, 1)[0]


def color_planes(color_map: np.ndarray, height: int, width: int) -> torch.Tensor:
    """Return the colour condition (4, height, width): `upsample_color` and a plane of ones."""
    colors = upsample_color(color_map, height, width)
    return torch.cat([colors, torch.ones_like(colors[:1])])
