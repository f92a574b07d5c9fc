"""What is asked of a drawing: is it possible, how is each picture drawn, and which are drawn together.

payloads, arguments ──checked──▶ recipes ──▶ labels of the pipeline's taxonomy ──▶ batches of one size and recipe
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, TypedDict

import torch
from PIL import Image

from sgc_diffusion.payload import DecoderRecipe, LabelLayer, SemanticPayload
from sgc_diffusion.taxonomy import class_table

logger = logging.getLogger(__name__)

MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 2**26  # of a picture that is drawn, unless told otherwise: Pillow's own limit
BATCH_PIXELS = 2**20  # that are drawn together at most, about 1.1 GB at a time; a longer list is drawn in parts
OUTPUT_TYPES = ("pil", "np", "pt", "latent")


class DrawingOptions(TypedDict, total=False):
    """The keyword arguments of a drawing; see `SemanticCompressionPipeline.__call__`."""

    preset: str | None
    num_inference_steps: int | None
    strength: float | None
    guidance_scale: float | None
    scheduler: str | None
    generator: torch.Generator | list[torch.Generator] | None
    output_type: str
    callback_on_step_end: Any
    callback_on_step_end_tensor_inputs: Sequence[str]
    max_pixels: int | None


def check_payloads(payloads: object, max_pixels: int | None) -> None:
    """Raise ValueError for something that cannot be drawn, or that is larger than allowed.

    Args:
        payloads: what the user gave, a list.
        max_pixels: of each picture; None for no limit.
    """
    if not isinstance(payloads, (list, tuple)) or not all(isinstance(entry, SemanticPayload) for entry in payloads):
        entries = payloads if isinstance(payloads, (list, tuple)) else [payloads]
        kinds = sorted({type(entry).__name__ for entry in entries})
        raise ValueError(
            f"`payload` must be a SemanticPayload or a list of them, got {', '.join(kinds)}; `analyze` makes a payload "
            "of a picture, `decompress` draws the bytes of a file"
        )
    for payload in payloads:
        if max_pixels is not None and payload.width * payload.height > max_pixels:
            raise ValueError(
                f"The picture is {payload.width}×{payload.height}, more than `max_pixels` {max_pixels}; raise "
                "`max_pixels` if you trust the file"
            )


def check_generator(generator: object, num_payloads: int) -> None:
    """Raise ValueError for something that is neither a generator of noise nor a list with one a payload."""
    generators = generator if isinstance(generator, (list, tuple)) else [generator]
    if generator is not None and not all(isinstance(entry, torch.Generator) for entry in generators):
        raise ValueError(
            f"`generator` must be a torch.Generator or a list of them, got {generator!r}; make one with "
            "torch.Generator().manual_seed(7)"
        )
    if isinstance(generator, (list, tuple)) and len(generator) != num_payloads:
        raise ValueError(f"`generator` must have one entry a payload, got {len(generator)} for {num_payloads}")


def resolve_recipe(payload: SemanticPayload, own: DecoderRecipe, changes: dict[str, Any]) -> DecoderRecipe:
    """Return how a payload is drawn, and tell the user where that is not what its encoder meant.

    Args:
        payload: to be drawn.
        own: the recipe that the pipeline would write.
        changes: what the caller wants otherwise.

    Returns:
        The recipe of the file; for a file of another profile the pipeline's own, with the seed of the file.
    """
    recipe = payload.recipe
    if recipe.profile != own.profile:
        logger.warning(
            "A picture was made for the pipeline %s; it is drawn by %s, with the defaults of that and the seed of the "
            "file.",
            recipe.profile,
            own.profile,
        )
        recipe = replace(own, seed=recipe.seed)
    elif recipe.weights_hash and own.weights_hash and recipe.weights_hash != own.weights_hash:
        logger.warning(
            "A picture was made for other weights of %s (%04x) than these (%04x); its details come out otherwise.",
            own.profile,
            recipe.weights_hash,
            own.weights_hash,
        )
    return replace(recipe, **changes)


def relabel(payload: SemanticPayload, taxonomy_name: str) -> SemanticPayload:
    """Return the payload with the labels of another taxonomy.

    Raises:
        ValueError: a taxonomy to which no map leads.
    """
    if payload.labels.taxonomy_name == taxonomy_name:
        return payload
    table = class_table(payload.labels.taxonomy_name, taxonomy_name)
    return replace(payload, labels=LabelLayer(table[payload.label_map], taxonomy_name))


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
