"""Compact images in training: quantized as the color coder does, with gradients, and how large they are.

compact image ──uint8, quantize, dequantize──▶ what the decoder sees ──Catmull and Rom──▶ smooth base
      └──────────────── gradient, as if nothing were rounded ◀──────────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from sgc_diffusion.payload.color_transform import STEP_UNIT, STEPS, basis, dequantize, quantize
from sgc_diffusion.training.likenesses import enlarging


def coded(compact: torch.Tensor, qualities: Sequence[int]) -> torch.Tensor:
    """Return the color maps that decoders see of compact images; the gradient passes straight through.

    Args:
        compact: (B, 3, h, w) floats, about in [−1, 1].
        qualities: index of the quantizer of each.

    Returns:
        (B, 3, h, w) float32 in [−1, 1].
    """
    pixels = ((compact.detach().float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    pairs = zip(pixels, qualities, strict=True)
    decoded = np.stack([dequantize(quantize(image, quality), quality) for image, quality in pairs])
    seen = torch.from_numpy(decoded).to(compact.device).permute(0, 3, 1, 2).float() / 127.5 - 1
    return compact + (seen - compact).detach()


def estimated_bits(compact: torch.Tensor, qualities: Sequence[int]) -> torch.Tensor:
    """Return about how many bits compact images take, (B,): log₂ of 1 + the size of each coefficient in steps.

    It is no more than a measure of which of two is larger, with a gradient.

    Args:
        compact: (B, 3, h, w) floats in [−1, 1].
        qualities: index of the quantizer of each.
    """
    rows, columns, channels = (
        torch.from_numpy(basis(side) / 2.0**16).to(compact) for side in (*compact.shape[-2:], compact.shape[1])
    )
    coefficients = 127.5 * torch.einsum("uh,vw,kc,bchw->bkuv", rows, columns, channels, compact)
    steps = torch.tensor([STEPS[quality] / STEP_UNIT for quality in qualities]).to(compact)
    return torch.log2(1 + coefficients.abs() / steps[:, None, None, None]).sum(dim=(1, 2, 3))


def enlarged(color_maps: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return the smooth bases (B, 3, height, width) of color maps (B, 3, h, w) in [−1, 1], up to rounding."""
    rows, columns = (
        torch.from_numpy(enlarging(cells, side)).to(color_maps)
        for cells, side in zip(color_maps.shape[-2:], (height, width), strict=True)
    )
    return (rows @ color_maps @ columns.T).clamp(-1, 1)


def matched(drawn: torch.Tensor, color_maps: torch.Tensor) -> torch.Tensor:
    """Return pictures whose colors from afar are those of their color maps, as decoders make them.

    It is `synthesis.color_matching.match_color` in one round, with gradients.

    Args:
        drawn: (B, 3, H, W) floats in [−1, 1].
        color_maps: (B, 3, h, w) floats in [−1, 1].
    """
    means = functional.adaptive_avg_pool2d(drawn, color_maps.shape[-2:])
    return drawn + functional.interpolate(color_maps - means, drawn.shape[-2:], mode="bicubic")
