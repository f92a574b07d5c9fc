"""Keep a drawn picture true to the color map that was sent: its colors from afar, and how colorful it is.

    image ──reduce to the map's grid──▶ difference to the map ──bicubic──▶ added to the image
    color map ──chroma of its cells──▶ limit ──▶ the image's chroma, pixel by pixel

The colors of a region are information in the file, not the decoder's to choose; only what the map cannot hold is.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from sgc_diffusion.synthesis.conditioning import upsample_color

CHROMA_GAIN = 2.0  # a pixel may have so many times the chroma of the most colorful cell around it
NUM_ROUNDS = 2  # clipping and the bicubic kernel leave a rest; a second round takes most of it


def match_color(image: torch.Tensor, color_map: np.ndarray) -> torch.Tensor:
    """Shift an image's low frequencies to those of the color map.

    Args:
        image: (3, H, W) in [−1, 1].
        color_map: (h, w, 3) uint8 sRGB.

    Returns:
        (3, H, W) in [−1, 1].
    """
    height, width = image.shape[-2:]
    wanted = torch.from_numpy(np.array(color_map)).permute(2, 0, 1).to(image).div(127.5).sub(1)
    if min(height, width) == 1:
        return upsample_color(color_map, height, width).to(image)
    for _ in range(NUM_ROUNDS):
        means = functional.adaptive_avg_pool2d(image, color_map.shape[:2])
        shift = functional.interpolate((wanted - means)[None], (height, width), mode="bicubic")[0]
        image = (image + shift).clamp(-1, 1)
    return image


def limit_chroma(image: torch.Tensor, color_map: np.ndarray) -> torch.Tensor:
    """Take from an image the chroma that its color map does not allow, so that a grey picture stays grey.

    A generator that saw no grey pictures draws them with a tint that is lost in the mean of a cell. The chroma of a
    color is what it differs from the grey of its luma; its size is that of the largest of the three differences.

    Args:
        image: (3, H, W) in [−1, 1].
        color_map: (h, w, 3) uint8 sRGB.

    Returns:
        (3, H, W) in [−1, 1], of the same luma but where chroma was bound.
    """
    cells = torch.from_numpy(np.array(color_map)).permute(2, 0, 1).to(image).div(127.5).sub(1)
    sizes = (cells - _luma(cells)).abs().amax(dim=0)[None, None]
    around = functional.max_pool2d(sizes, 3, stride=1, padding=1)
    mode = "bilinear" if min(image.shape[-2:]) > 1 else "nearest"
    limit = CHROMA_GAIN * functional.interpolate(around, image.shape[-2:], mode=mode)[0]
    luma = _luma(image)
    chroma = image - luma
    return luma + chroma * (limit / chroma.abs().amax(dim=0, keepdim=True).clamp(min=1e-6)).clamp(max=1)


def _luma(image: torch.Tensor) -> torch.Tensor:
    """Return the luma (1, H, W), as JPEG weighs it, of (3, H, W)."""
    return (image * image.new_tensor((0.299, 0.587, 0.114))[:, None, None]).sum(dim=0, keepdim=True)
