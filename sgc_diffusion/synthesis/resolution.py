"""Output size → the sizes that are drawn, one after the other.

    256×256:   256×256                    1024×768:  288×224 ──▶ 544×416 ──▶ 1024×768

A denoiser draws best at the size it was trained for. Larger pictures are drawn at that size first, then enlarged by up
to two at a time and drawn over: each pass shows the next that there is texture, and where.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from PIL import Image

MAX_ENLARGEMENT = 4.0  # per side, of the trained size; still larger pictures are resampled from there
TOLERANCE = 1.25  # how much larger than trained a pass may be without an extra one
MAX_ASPECT = 8  # a narrower picture is drawn at this aspect and then resampled


def native_side(unet: Any) -> int:
    """Return the side, in latents, of the squares that a denoiser was trained on.

    Args:
        unet: diffusers denoiser. One trained on rectangles, of `sample_size` (rows, columns), counts as trained on the
            square of as many latents that it can halve.

    Raises:
        ValueError: a configuration that does not say it.
    """
    size = unet.config.sample_size
    if isinstance(size, int) and size > 0:
        return size
    if isinstance(size, (tuple, list)) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size):
        return _round_to(math.sqrt(size[0] * size[1]), 2 ** (len(unet.config.block_out_channels) - 1))
    raise ValueError(
        f"`unet` must have a `sample_size` of one or two positive integers in its configuration, got {size!r}; give "
        "the side in latents that it was trained at: `unet.register_to_config(sample_size=32)`"
    )


def plan_sizes(width: int, height: int, native_side: int, multiple: int) -> list[tuple[int, int]]:
    """Return the sizes to draw a picture at, smallest first.

    Args:
        width: of the picture in pixels.
        height: of the picture in pixels.
        native_side: side in pixels of the squares that the denoiser was trained on, such as 256.
        multiple: what the sides must be divisible by, such as 32.

    Returns:
        (height, width) in pixels, each divisible by `multiple`; the last is at most 4× the trained size.
    """
    aspect = min(MAX_ASPECT, max(1 / MAX_ASPECT, width / height))
    scale = min(MAX_ENLARGEMENT, max(1.0, math.sqrt(width * height) / native_side))
    num_enlargements = max(0, math.ceil(math.log2(scale / TOLERANCE)))
    first = max(1.0, scale / 2**num_enlargements)
    sizes = []
    for enlargement in range(num_enlargements + 1):
        side = native_side * first * (scale / first) ** (enlargement / max(1, num_enlargements))
        rows, columns = side / math.sqrt(aspect), side * math.sqrt(aspect)
        sizes.append((_round_to(rows, multiple), _round_to(columns, multiple)))
    return sizes


def plan_passes(sizes: list[tuple[int, int]], num_steps: int, leaps: bool) -> list[tuple[int, int, int]]:
    """Return the passes of a drawing, each from noise alone over the picture of the last.

    A picture of the trained size is drawn over too: half of the steps over what the other half drew keeps more of the
    labels than all of them at once.

    Args:
        sizes: from `plan_sizes`.
        num_steps: of a size.
        leaps: each step is a pass of its own, all but one of them at the smallest size.

    Returns:
        (height, width, steps) each.
    """
    if leaps:
        return [(*size, 1) for size in [sizes[0]] * (num_steps - 1) + sizes]
    if len(sizes) == 1 and num_steps > 1:
        return [(*sizes[0], num_steps - num_steps // 2), (*sizes[0], num_steps // 2)]
    return [(*size, num_steps) for size in sizes]


def resize_pixels(pixels: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return a picture at another size, without a step through 8 bits.

    Args:
        pixels: (3, H, W) floats in [−1, 1], on any device.
        height: wanted, in pixels.
        width: wanted, in pixels.

    Returns:
        (3, height, width) float32 in [−1, 1] on the device of `pixels`: resampled by Pillow's Lanczos filter, which
        averages over what it leaves out, and clipped where the filter rings.
    """
    planes = pixels.detach().float().cpu().numpy()
    if planes.shape[-2:] != (height, width):
        resized = [Image.fromarray(plane).resize((width, height), Image.Resampling.LANCZOS) for plane in planes]
        planes = np.stack([np.asarray(plane) for plane in resized])
    return torch.from_numpy(np.clip(planes, -1, 1)).to(pixels.device)


def _round_to(side: float, multiple: int) -> int:
    return max(multiple, round(side / multiple) * multiple)
