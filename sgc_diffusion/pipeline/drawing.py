"""Payloads → pictures, in every pipeline: `__call__` and `likeness`.

payloads ──decoder of each──▶ preview, likeness: as they are ─────────────────┐
                       └────▶ generator: drawn in batches, dressed, marked ───┴──▶ pictures in their order
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Unpack, overload

import numpy as np
import torch
from diffusers import ImagePipelineOutput
from PIL import Image

from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.synthesis.batches import draw_batches, stack_pictures
from sgc_diffusion.synthesis.decoders import GENERATORS, LIKENESS, LIKENESS_STRENGTHS, check_decoder, choose_decoder
from sgc_diffusion.synthesis.detail import DETAIL_FILL
from sgc_diffusion.synthesis.dressing import dress
from sgc_diffusion.synthesis.finish import convert_picture, reduce_picture
from sgc_diffusion.synthesis.invented import describe_kept
from sgc_diffusion.synthesis.likeness import MAX_PIXELS
from sgc_diffusion.synthesis.likeness_image import likeness_image
from sgc_diffusion.synthesis.noise_seed import noise_seed
from sgc_diffusion.synthesis.preview import preview
from sgc_diffusion.synthesis.provenance import mark_generated
from sgc_diffusion.synthesis.reduction import reduced_payload
from sgc_diffusion.synthesis.request import (
    DrawingOptions,
    DrawingRecipe,
    check_generator,
    check_outputs,
    check_payloads,
    relabel,
    resolve_fill,
    resolve_recipes,
)
from sgc_diffusion.synthesis.steps import CallState, StepObserver, noise_generators

Payloads = SemanticPayload | Sequence[SemanticPayload]

# the pipeline, step, timestep and tensors by name → changed tensors, or None for none
StepCallback = Callable[[Any, int, torch.Tensor, dict[str, torch.Tensor]], dict[str, Any] | None]


class DrawingMixin:
    """What `SemanticCompressionPipeline` makes of payloads.

    It is mixed into a `DiffusionPipeline`, whose components and settings it uses.
    """

    config: Any
    generators: Any
    draw: Any
    drawing_sizes: Any
    check_recipe: Any
    progress_bar: Any
    maybe_free_model_hooks: Any
    _callback_tensor_inputs: Any
    _recipe: Any
    _running_call: Any

    @overload
    def __call__(
        self, payload: Payloads, *, return_dict: Literal[True] = ..., **options: Unpack[DrawingOptions]
    ) -> ImagePipelineOutput: ...
    @overload
    def __call__(
        self, payload: Payloads, *, return_dict: Literal[False], **options: Unpack[DrawingOptions]
    ) -> tuple[Any]: ...
    @torch.no_grad()
    def __call__(
        self,
        payload: Payloads,
        *,
        decoder: str | None = None,
        detail_fill: float | None = None,
        preset: str | None = None,
        num_inference_steps: int | None = None,
        strength: float | None = None,
        guidance_scale: float | None = None,
        scheduler: str | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        max_side: int | None = None,
        max_pixels: int | None = MAX_PIXELS,
    ) -> ImagePipelineOutput | tuple[Any]:
        """Draw payloads, or give them as they are.

        Args:
            payload: one or a list, of any sizes.
            decoder: `preview`, `likeness`, or what the pipeline draws with, such as `diffusion`. None is the file's
                default: the likeness, without any network, if it is exact or nearly so or the recipe's strength is 0,
                else a drawing (`synthesis.decoders`).
            detail_fill: part of what detail levels quantized to zero that the drawing may fill, 0 … 1; what they coded
                stays as it is. None is the pipeline's own.
            preset: how to draw, a name in `payload.recipe.PRESETS`; what is given beside it changes its values.
            num_inference_steps: steps of the whole schedule, of which the last `strength` part is run. From noise, a
                picture of the trained size takes half of them for each of two passes, a larger one all for each pass.
                More than four are the denoiser's, where the file asks for leaps and no scheduler is named.
            strength: how far up the noise schedule the likeness is lifted, 0 … 1; 0 draws nothing. Files with detail
                are lifted less, the better their likeness is.
            guidance_scale: classifier-free guidance on the labels; 1 is none.
            scheduler: `dpm-solver++`, `ddim`, `unipc`, or `lcm`, which draws with the few-step head, without guidance
                and in at most four steps. Given here, it goes before one that was set as `pipe.scheduler`, which goes
                before the file's.
            generator: of the noise, one or a list; CPU generators give the same picture on every device.
            output_type: `pil`, `np` (H, W, 3) in [0, 1], `pt` (3, H, W) in [0, 1], or `latent`, the latents (C, h, w)
                of the last step.
            return_dict: False returns a tuple.
            callback_on_step_end: called as in diffusers after each step, a function or a `PipelineCallback`; may return
                changed `latents`.
            callback_on_step_end_tensor_inputs: names of the tensors that the callback gets; only `latents`.
            max_side: make the longer side this long if it is longer, pixels. Files of labels and colors alone are drawn
                at that size, whatever theirs; others are drawn whole and then reduced. None for the file's size.
            max_pixels: refuse to draw a picture with more pixels, whatever a file says; None for no limit.

        What is None is taken from each payload's recipe, the seed of the noise as well; for a payload that was made for
        another profile, from this pipeline's own preset.

        Returns:
            `.images`: a list of PIL pictures, each of its payload's size, also for one payload; RGBA where the payload
            has alpha. Arrays and tensors of
            one shape come as one with a batch dimension, as in diffusers, of several shapes as a list. A long list is
            drawn in parts of at most `BATCH_PIXELS`, so memory does not grow with it.

        Raises:
            ValueError: an argument out of range, a picture that is too large, or a payload of a taxonomy from which no
                map leads to the pipeline's.
        """
        payloads = [payload] if isinstance(payload, SemanticPayload) else payload
        check_payloads(payloads, max_side, max_pixels)
        check_generator(generator, len(payloads))
        tensor_inputs = getattr(callback_on_step_end, "tensor_inputs", callback_on_step_end_tensor_inputs)
        check_outputs(output_type, callback_on_step_end, tensor_inputs, self._callback_tensor_inputs)
        check_decoder(decoder, self.generators)
        fill = resolve_fill(detail_fill, self.config.get("detail_fill", DETAIL_FILL))
        wishes = {"num_inference_steps": num_inference_steps, "strength": strength}
        wishes |= {"guidance_scale": guidance_scale, "scheduler": scheduler}
        must_draw = decoder in GENERATORS or output_type == "latent"
        recipes = self._resolve_recipes(payloads, preset, wishes, must_draw)
        names = [
            choose_decoder(payload, decoder, recipe.strength, self.generators[0])
            for payload, recipe in zip(payloads, recipes, strict=True)
        ]
        noise = noise_generators([noise_seed(payload) for payload in payloads], generator)
        drawn = [index for index, name in enumerate(names) if name in GENERATORS]
        callback = None if callback_on_step_end is None else partial(callback_on_step_end, self)
        pictures = self._draw_pictures(
            [payloads[index] for index in drawn],
            [recipes[index] for index in drawn],
            [noise[index] for index in drawn],
            lambda state: StepObserver(partial(self.progress_bar, None), callback, tensor_inputs, state),
            output_type,
            fill,
            max_side,
        )
        pairs = zip(payloads, names, strict=True)
        images: Any = [self._plain_picture(*pair, output_type, max_side, max_pixels) for pair in pairs]
        for index, picture in zip(drawn, pictures, strict=True):
            images[index] = picture
        images = stack_pictures(images)
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def likeness(self, payload: SemanticPayload, *, max_pixels: int | None = MAX_PIXELS) -> Image.Image:
        """Return the picture that a payload gives without any network, the same on every machine.

        Without detail levels it is the enlarged color map; with the last one it is the original picture to the bit.
        It is not marked as generated, because it is not. Files need no pipeline for it:
        `sgc_diffusion.synthesis.likeness` works without torch.

        Args:
            payload: of any pipeline.
            max_pixels: refuse a picture with more pixels, whatever a file says; None for no limit.

        Returns:
            RGB picture of the payload's size, RGBA with the payload's alpha; `info["Description"]` says what it is.

        Raises:
            ValueError: too many pixels, or a detail level of a picture of another size.
        """
        return likeness_image(payload, max_pixels=max_pixels)

    def _plain_picture(
        self, payload: SemanticPayload, name: str, output_type: str, max_side: int | None, max_pixels: int | None
    ) -> Any:
        """Return what a decoder that needs no network makes of a payload; None for one that is drawn."""
        if name in GENERATORS:
            return None
        if output_type == "latent":
            raise ValueError(f"`output_type` latent: {name} has none; give pt, or `decoder` {self.generators[0]}")
        decode = likeness_image if name == LIKENESS else preview
        image = decode(payload, max_side=max_side, max_pixels=max_pixels)
        return image if output_type == "pil" else convert_picture(np.asarray(image.convert("RGB")), output_type)

    def _resolve_recipes(
        self, payloads: Sequence[SemanticPayload], preset: str | None, wishes: Mapping[str, Any], must_draw: bool
    ) -> list[DrawingRecipe]:
        """Return how payloads are drawn by this pipeline; see `resolve_recipes`."""
        return resolve_recipes(
            payloads,
            self._recipe(None),
            preset,
            wishes,
            must_draw=must_draw,
            has_own_sampler=self.config.get("scheduler_draws", False),
            likeness_strengths=self.config.get("likeness_strengths", LIKENESS_STRENGTHS),
        )

    def _draw_pictures(
        self,
        payloads: Sequence[SemanticPayload],
        recipes: Sequence[DrawingRecipe],
        noise: Sequence[torch.Generator],
        observe: Callable[[CallState], StepObserver],
        output_type: str,
        detail_fill: float,
        max_side: int | None,
    ) -> list[Any]:
        """Return what the generator draws of each payload, PIL pictures dressed and marked as generated."""
        for recipe in recipes:
            self.check_recipe(recipe)
        smaller = [relabel(reduced_payload(payload, max_side), self.config.taxonomy) for payload in payloads]
        with self._running_call() as state:
            pictures = draw_batches(
                smaller,
                recipes,
                noise,
                [self.drawing_sizes(payload) for payload in smaller],
                self.draw,
                observe(state),
                output_type,
                detail_fill,
            )
        self.maybe_free_model_hooks()
        if output_type == "latent":
            return pictures
        pictures = [reduce_picture(picture, max_side) for picture in pictures]
        if output_type != "pil":
            return pictures
        return [
            mark_generated(dress(picture, payload), None, self.config.profile, describe_kept(payload))
            for picture, payload in zip(pictures, payloads, strict=True)
        ]
