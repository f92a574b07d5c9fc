"""Keep a drawn picture true to the color map that was sent.

    image ──reduce to the map's grid──▶ difference to the map ──bicubic──▶ added to the image

The colors of a region are information in the file, not the decoder's to choose; only what the map cannot hold is.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from sgc_diffusion.synthesis.conditioning import upsample_color

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
