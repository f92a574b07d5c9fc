"""Pictures of any sizes and recipes → batches that fit into memory → finished pictures in their order.

payloads ──sizes, recipes──▶ batches of one kind, at most `BATCH_PIXELS` each ──drawn, finished──▶ pictures
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.synthesis.finish import finish_picture
from sgc_diffusion.synthesis.likeness import highest_level
from sgc_diffusion.synthesis.request import DrawingRecipe
from sgc_diffusion.synthesis.steps import StepObserver

BATCH_PIXELS = 2**20
"""How many pixels are drawn together at most; a longer list is drawn in parts, so its memory is that of one picture.

Measured with `landscape-256` in float32, two steps: 617 MB when it is loaded, at most 1,094 MB while it draws one
picture of 1024×1024 and 1,093 MB for four; 674 MB for one of 256×256 and 1,159 MB for sixteen.
"""

# payloads of one size, their recipe, generators, observer → pixels (B, 3, H, W) in [−1, 1]
Draw = Callable[
    [Sequence[SemanticPayload], DrawingRecipe, Sequence[torch.Generator], StepObserver],
    torch.Tensor,
]


def draw_batches(
    payloads: Sequence[SemanticPayload],
    recipes: Sequence[DrawingRecipe],
    generators: Sequence[torch.Generator],
    sizes: Sequence[Sequence[tuple[int, int]]],
    draw: Draw,
    observer: StepObserver,
    output_type: str,
    detail_fill: float,
) -> list[Any]:
    """Draw payloads batch by batch.

    Args:
        payloads: of any sizes.
        recipes: how each is drawn.
        generators: of the noise of each.
        sizes: (height, width) in pixels of what is drawn of each, smallest first.
        draw: draws a batch.
        observer: is told of each step.
        output_type: `pil`, `np`, `pt` or `latent`; see `finish_picture`.
        detail_fill: see `finish_picture`.

    Returns:
        The finished pictures, or the latents (C, h, w) of the last step, in the order of the payloads.

    Raises:
        ValueError: latents of a family that has none.
    """
    kinds = [
        (tuple(size), replace(recipe, seed=0, weights_hash=0), highest_level(payload) is None)
        for size, recipe, payload in zip(sizes, recipes, payloads, strict=True)
    ]
    images: list[Any] = [None] * len(payloads)
    for members in group_pictures(kinds, [size[-1][0] * size[-1][1] for size in sizes]):
        observer.latents = None
        batch = [payloads[index] for index in members]
        pixels = draw(batch, recipes[members[0]], [generators[index] for index in members], observer)
        for position, index in enumerate(members):
            if output_type != "latent":
                images[index] = finish_picture(pixels[position], payloads[index], output_type, detail_fill)
            elif observer.latents is None:
                raise ValueError("`output_type` latent: this pipeline has no latents; give pt")
            else:
                images[index] = observer.latents[position]
    return images


def group_pictures(kinds: Sequence[Hashable], num_pixels: Sequence[int]) -> list[list[int]]:
    """Return the indices of pictures that are drawn together.

    Args:
        kinds: of each picture; those of one kind may be drawn together.
        num_pixels: of each picture as it is drawn; those of one kind have as many.

    Returns:
        Lists of indices, of at most `BATCH_PIXELS` each, and at least one picture.
    """
    groups: dict[Hashable, list[int]] = {}
    for index, kind in enumerate(kinds):
        groups.setdefault(kind, []).append(index)
    batches = []
    for members in groups.values():
        length = max(1, BATCH_PIXELS // num_pixels[members[0]])
        batches += [members[start : start + length] for start in range(0, len(members), length)]
    return batches


def stack_pictures(images: list[Any]) -> Any:
    """Return arrays or tensors of one shape as one of a batch, as diffusers' pipelines do; anything else as it is."""
    if len({image.shape if hasattr(image, "shape") else None for image in images} - {None}) != 1:
        return images
    return torch.stack(images) if isinstance(images[0], torch.Tensor) else np.stack(images)
