"""A drawn picture → the picture that was asked for: true colors, true size, true detail, wanted type."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.synthesis.color_matching import limit_chroma, match_color
from sgc_diffusion.synthesis.detail import fill_detail
from sgc_diffusion.synthesis.likeness import highest_level
from sgc_diffusion.synthesis.reduction import reduce_image, reduced_size
from sgc_diffusion.synthesis.resolution import resize_pixels


def finish_picture(drawn: torch.Tensor, payload: SemanticPayload, output_type: str, detail_fill: float) -> Any:
    """Bring one drawn picture to its payload's colors, size and detail.

    Args:
        drawn: (3, H, W) floats in [−1, 1], of any size.
        payload: that it was drawn from.
        output_type: `pil`, `np` or `pt`.
        detail_fill: part of what was quantized to zero that the drawing may fill, 0 … 1; see `fill_detail`.

    Returns:
        An RGB picture; a (height, width, 3) float32 array in [0, 1]; or a (3, height, width) float32 tensor in [0, 1].
        Only the picture, and whatever holds detail, is rounded to 8 bits.
    """
    matched = limit_chroma(match_color(drawn.float(), payload.color_map), payload.color_map)
    pixels = resize_pixels(matched, payload.height, payload.width)
    values = (pixels.cpu() / 2 + 0.5).permute(1, 2, 0).contiguous().numpy()
    if output_type == "pil" or highest_level(payload) is not None:
        return convert_picture(fill_detail(np.rint(values * 255).astype(np.uint8), payload, detail_fill), output_type)
    return values if output_type == "np" else torch.from_numpy(values).permute(2, 0, 1)


def reduce_picture(picture: Any, max_side: int | None) -> Any:
    """Return a finished picture, of any type, whose longer side is at most `max_side` pixels; None keeps it.

    Args:
        picture: PIL picture; a (H, W, 3) float32 array or a (3, H, W) float32 tensor, in [0, 1].
        max_side: pixels.
    """
    if isinstance(picture, Image.Image):
        return reduce_image(picture, max_side)
    if isinstance(picture, np.ndarray):
        return reduce_picture(torch.from_numpy(picture).permute(2, 0, 1), max_side).permute(1, 2, 0).numpy()
    width, height = reduced_size(picture.shape[2], picture.shape[1], max_side)
    return resize_pixels(picture, height, width).clamp(0, 1)


def convert_picture(picture: np.ndarray, output_type: str) -> Any:
    """Return a picture (H, W, 3) uint8 as `pil`, `np` or `pt`, as of `finish_picture`."""
    if output_type == "pil":
        return Image.fromarray(picture)
    values = (picture / np.float32(255)).astype(np.float32)
    return values if output_type == "np" else torch.from_numpy(values).permute(2, 0, 1)
