"""A drawn picture → the picture that was asked for: true colors, true size, wanted type."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.synthesis.color_matching import match_color
from sgc_diffusion.synthesis.resolution import resize_pixels


def finish_picture(drawn: torch.Tensor, payload: SemanticPayload, output_type: str) -> Any:
    """Bring one drawn picture to its payload's colors and size.

    Args:
        drawn: (3, H, W) floats in [−1, 1], of any size.
        payload: that it was drawn from.
        output_type: `pil`, `np` or `pt`.

    Returns:
        An RGB picture; a (height, width, 3) float32 array in [0, 1]; or a (3, height, width) float32 tensor in [0, 1].
        Only the picture is rounded to 8 bits.
    """
    pixels = resize_pixels(match_color(drawn.float(), payload.color_map), payload.height, payload.width)
    values = pixels.cpu() / 2 + 0.5
    if output_type == "pt":
        return values
    if output_type == "np":
        return values.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray((values * 255).round().byte().permute(1, 2, 0).contiguous().numpy())
