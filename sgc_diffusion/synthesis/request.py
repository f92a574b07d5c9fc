"""What is asked of a drawing: is it possible, and how is each picture drawn.

payloads, arguments ──checked──▶ recipe of each ──▶ labels of the pipeline's taxonomy
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict

import numpy as np
import torch

from sgc_diffusion.payload import DecoderRecipe, LabelLayer, SemanticPayload
from sgc_diffusion.payload.recipe import PRESETS, preset_values
from sgc_diffusion.payload.scalars import plain_integer
from sgc_diffusion.synthesis.decoders import LIKENESS_STRENGTHS
from sgc_diffusion.synthesis.likeness import highest_level
from sgc_diffusion.synthesis.reduction import reduced_payload
from sgc_diffusion.synthesis.samplers import FEW_STEPS
from sgc_diffusion.taxonomy import class_table

logger = logging.getLogger(__name__)

OUTPUT_TYPES = ("pil", "np", "pt", "latent")


@dataclass(frozen=True)
class DrawingRecipe(DecoderRecipe):
    """How a picture is drawn: the recipe of its file, changed by what the caller wants.

    Attributes:
        is_scheduler_given: whether the caller named the scheduler, alone or by a preset. It then draws even if another
            one was set on the pipeline.
    """

    is_scheduler_given: bool = False


class DrawingOptions(TypedDict, total=False):
    """The keyword arguments of a drawing; see `SemanticCompressionPipeline.__call__`."""

    decoder: str | None
    detail_fill: float | None
    preset: str | None
    num_inference_steps: int | None
    strength: float | None
    guidance_scale: float | None
    scheduler: str | None
    generator: torch.Generator | list[torch.Generator] | None
    output_type: str
    callback_on_step_end: Any
    callback_on_step_end_tensor_inputs: Sequence[str]
    max_side: int | None
    max_pixels: int | None


class ReadingOptions(DrawingOptions, total=False):
    """The keyword arguments of a drawing from files; see `SemanticCompressionPipeline.decompress`."""

    key: Any


def check_files(data: Any) -> list[bytes]:
    """Return the contents of files as a list of bytes.

    Args:
        data: what the user gave, meant to be the bytes of one file or a list of them.

    Raises:
        ValueError: something else, such as a path.
    """
    files = data if isinstance(data, (list, tuple)) else [data]
    for content in files:
        if not isinstance(content, (bytes, bytearray, memoryview)):
            raise ValueError(
                f"`data` must be the bytes of a file or a list of them, got {type(content).__name__}; read a file with "
                "pathlib.Path(...).read_bytes()"
            )
    return [bytes(content) for content in files]


def check_payloads(payloads: object, max_side: int | None, max_pixels: int | None) -> None:
    """Raise ValueError for something that cannot be drawn, or that is larger than allowed.

    Args:
        payloads: what the user gave, a list.
        max_side: to which pictures are reduced; None for their own size.
        max_pixels: of each picture; None for no limit.
    """
    if max_pixels is not None:
        plain_integer("max_pixels", max_pixels, 1, 2**63)
    if not isinstance(payloads, (list, tuple)) or not all(isinstance(entry, SemanticPayload) for entry in payloads):
        entries = payloads if isinstance(payloads, (list, tuple)) else [payloads]
        kinds = sorted({type(entry).__name__ for entry in entries})
        raise ValueError(
            f"`payload` must be a SemanticPayload or a list of them, got {', '.join(kinds)}; `analyze` makes a payload "
            "of a picture, `decompress` draws the bytes of a file"
        )
    for payload in (reduced_payload(payload, max_side) for payload in payloads):
        if max_pixels is not None and payload.width * payload.height > max_pixels:
            raise ValueError(
                f"The picture is {payload.width}×{payload.height}, more than `max_pixels` {max_pixels}; give a "
                "`max_side`, or raise `max_pixels` if you trust the file"
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


def check_outputs(output_type: object, callback: object, tensor_inputs: object, allowed: Sequence[str]) -> None:
    """Raise ValueError for an unknown kind of output, or for a callback that cannot be called or given what it wants.

    Args:
        output_type: as the user gave it, one of `OUTPUT_TYPES`.
        callback: as the user gave it; None for none.
        tensor_inputs: names of the tensors that the callback wants.
        allowed: names of the tensors that it can get.
    """
    if not isinstance(output_type, str) or output_type not in OUTPUT_TYPES:
        raise ValueError(f"`output_type` must be one of {', '.join(OUTPUT_TYPES)}, got {output_type!r}")
    if callback is not None and not callable(callback):
        raise ValueError(
            f"`callback_on_step_end` must be a function of pipeline, step, timestep and tensors, got {callback!r}"
        )
    if not isinstance(tensor_inputs, (list, tuple)) or any(name not in allowed for name in tensor_inputs):
        raise ValueError(
            f"`callback_on_step_end_tensor_inputs` must be a list of names among {', '.join(allowed)}, got "
            f"{tensor_inputs!r}"
        )


def resolve_fill(detail_fill: Any, own: float) -> float:
    """Return the part of the bins of zero that a drawing may fill: what the caller wants, or else the pipeline's own.

    Raises:
        ValueError: not a number from 0 to 1.
    """
    if detail_fill is None:
        return own
    is_number = isinstance(detail_fill, (int, float, np.integer, np.floating)) and not isinstance(detail_fill, bool)
    if not is_number or not 0 <= detail_fill <= 1:
        raise ValueError(f"`detail_fill` must be a number from 0 to 1, got {detail_fill!r}")
    return float(detail_fill)


def resolve_recipes(
    payloads: Sequence[SemanticPayload],
    own: DecoderRecipe,
    preset: str | None,
    wishes: Mapping[str, Any],
    *,
    must_draw: bool = False,
    has_own_sampler: bool = False,
    likeness_strengths: Sequence[float] = LIKENESS_STRENGTHS,
) -> list[DrawingRecipe]:
    """Return how payloads are drawn, and tell the user once where that is not what their encoder meant.

    Args:
        payloads: to be drawn.
        own: the recipe that the pipeline would write.
        preset: name of the way to draw that the caller wants; None for none.
        wishes: field of the recipe → what the caller wants it to be, beside or without a preset; None for no wish.
        must_draw: the caller asked for a generator, so that a file that is not to be drawn has the pipeline's strength.
        has_own_sampler: the pipeline's user set a scheduler. It draws what the few-step head would have drawn, with the
            other values of `fine`, unless the caller names that head; so does the denoiser if more steps are wanted
            than the head can take.
        likeness_strengths: the strength for each finest level of detail, of which the last is that of all finer ones;
            it bounds the strength of file and preset.

    Returns:
        The recipes of the files, changed; for a file of another profile the pipeline's own, with the seed of the file.

    Raises:
        ValueError: a wish out of range.
    """
    named = preset_values(preset) if preset is not None else {}
    given = {name: value for name, value in wishes.items() if value is not None}
    DecoderRecipe(**named | given)  # which refuses what is out of range
    is_scheduler_given = "scheduler" in named | given
    warnings = {_warning(payload.recipe, own) for payload in payloads}
    for warning in sorted(warnings - {None}, key=str):
        logger.warning("%s", warning)
    recipes = []
    for payload in payloads:
        recipe = payload.recipe
        if recipe.profile != own.profile:
            recipe = replace(own, seed=recipe.seed, strength=own.strength if recipe.strength else 0)
        values = {field.name: getattr(recipe, field.name) for field in fields(DecoderRecipe)} | named
        has_outgrown_head = has_own_sampler or given.get("num_inference_steps", 0) > FEW_STEPS
        if has_outgrown_head and not is_scheduler_given and values["scheduler"] == "lcm":
            values |= preset_values("fine") | {"strength": values["strength"]}
        if must_draw and values["strength"] == 0:
            values["strength"] = own.strength or PRESETS["fine"].strength
        if (level := highest_level(payload)) is not None and level.outer_level >= 0:
            bound = likeness_strengths[min(level.outer_level, len(likeness_strengths) - 1)]
            values["strength"] = min(values["strength"], bound)
        recipes.append(DrawingRecipe(**values | given, is_scheduler_given=is_scheduler_given))
    return recipes


def _warning(recipe: DecoderRecipe, own: DecoderRecipe) -> str | None:
    """Return what the user should know of a file that is drawn otherwise than it was meant, or None."""
    if recipe.profile != own.profile:
        return (
            f"A picture was made for the pipeline {recipe.profile}; it is drawn by {own.profile}, with the defaults of "
            "that and the seed of the file."
        )
    if recipe.weights_hash and own.weights_hash and recipe.weights_hash != own.weights_hash:
        return (
            f"A picture was made for other weights of {own.profile} ({recipe.weights_hash:04x}) than these "
            f"({own.weights_hash:04x}); its details come out otherwise."
        )
    return None


def relabel(payload: SemanticPayload, taxonomy_name: str) -> SemanticPayload:
    """Return the payload with the labels of another taxonomy.

    Raises:
        ValueError: a taxonomy to which no map leads.
    """
    if payload.labels.taxonomy_name == taxonomy_name:
        return payload
    table = class_table(payload.labels.taxonomy_name, taxonomy_name)
    return replace(payload, labels=LabelLayer(table[payload.label_map], taxonomy_name))
