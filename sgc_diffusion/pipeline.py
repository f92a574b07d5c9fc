"""The codec as a diffusers pipeline: composition only, each stage lives in its own folder; the encoder half in
`pipeline_encoder`.

image ──analyze──▶ SemanticPayload ──encode──▶ bytes ──decode──▶ SemanticPayload ──__call__──▶ image
└───────────────────── compress ─────────────────┘  └────────────── decompress ────────────────┘
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from diffusers import ImagePipelineOutput, UNet2DModel
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import nn
from torch.nn import functional

from sgc_diffusion import bitstream
from sgc_diffusion.payload import DecoderRecipe, SemanticPayload
from sgc_diffusion.pipeline_encoder import PayloadEncoder
from sgc_diffusion.synthesis.color_matching import match_color
from sgc_diffusion.synthesis.conditioning import NUM_COLOR_PLANES, color_planes, label_planes, upsample_color
from sgc_diffusion.synthesis.few_step import FewStepHead, few_step_predictor
from sgc_diffusion.synthesis.first_stage import (
    FirstStage,
    decode_latents,
    downsampling_factor,
    encode_image,
    latent_channels,
)
from sgc_diffusion.synthesis.latent_diffusion import (
    FEW_STEPS,
    Predictor,
    Sampler,
    build_scheduler,
    denoise,
    label_predictor,
    select_timesteps,
)
from sgc_diffusion.synthesis.provenance import mark_generated
from sgc_diffusion.synthesis.resolution import plan_passes, plan_sizes
from sgc_diffusion.taxonomy import class_table, load_taxonomy

logger = logging.getLogger(__name__)

REDRAW_STRENGTH = 0.45  # of the passes that draw an enlarged picture over, unless they start from noise like the first
# See `denoise`; for denoisers that were trained here, with the colors as condition. The gains are those of starts from
# noise alone. What it hides still shines through by the 7 % that the schedule leaves at T: the blurred color map talks
# the denoiser out of texture, and more noise makes up for that; a picture talks it into some.
DETAIL_FILL, NOISE_GAIN, REDRAW_GAIN = 3.0, 1.15, 1.1

StepCallback = Callable[["SemanticCompressionPipeline", int, torch.Tensor, dict[str, torch.Tensor]], dict[str, Any]]


class SemanticCompressionPipeline(PayloadEncoder):
    """Compress pictures to a few hundred bytes of meaning and draw them back.

    Args:
        vae: first stage, a diffusers autoencoder.
        unet: denoiser on latents, one-hot label planes and, if it was trained so, color planes.
        scheduler: holds the noise schedule that the denoiser was trained with.
        segmenter: semantic segmentation model; None for a pipeline that only draws.
        taxonomy: name of the denoiser's label set, to which the segmenter's labels are mapped.
        profile: name of this pipeline in the bitstream, a key of `payload.PROFILES`.
        segmenter_short_side: of the segmenter's input where it has no image processor, pixels.
        label_resampling: how label planes are made: `nearest`, or `area` as LDM's SpatialRescaler does.
        preset: name in `presets.PRESETS` of how its files are drawn unless told otherwise.
        few_step_head: what the scheduler `lcm` draws with, one to four steps; None for a pipeline without.

    Example:
        >>> pipe = SemanticCompressionPipeline.from_pretrained("landscape-256")
        >>> data = pipe.compress(image)
        >>> picture = pipe.decompress(data).images[0]
    """

    vae: FirstStage
    unet: Any
    scheduler: Sampler
    segmenter: Any
    few_step_head: Any
    config: Any

    _optional_components = ["segmenter", "few_step_head"]  # noqa: RUF012 - diffusers wants a list
    model_cpu_offload_seq = "segmenter->unet->vae"
    _callback_tensor_inputs = ("latents",)

    def __init__(
        self,
        vae: FirstStage,
        unet: UNet2DModel,
        scheduler: Sampler,
        segmenter: nn.Module | None = None,
        taxonomy: str = "landscape-24",
        profile: str = "custom",
        segmenter_short_side: int = 192,
        label_resampling: str = "nearest",
        preset: str = "sdedit",
        few_step_head: FewStepHead | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(vae=vae, unet=unet, scheduler=scheduler, segmenter=segmenter, few_step_head=few_step_head)
        self._configure(taxonomy, profile, segmenter_short_side, label_resampling, preset)

    def _check_components(self) -> None:
        """Raise ValueError where the denoiser does not take the taxonomy's planes."""
        num_classes = self._num_classes
        planes = self.unet.config.in_channels - latent_channels(self.vae)
        if planes not in (num_classes, num_classes + NUM_COLOR_PLANES):
            raise ValueError(
                f"`unet` takes {planes} condition planes, but the taxonomy {self.config.taxonomy} needs {num_classes}, "
                f"or {num_classes + NUM_COLOR_PLANES} with colors; load the unet that was trained with this taxonomy"
            )

    @property
    def _num_classes(self) -> int:
        return load_taxonomy(self.config.taxonomy).num_classes

    @property
    def _num_color_planes(self) -> int:
        return self.unet.config.in_channels - latent_channels(self.vae) - self._num_classes

    def decompress(
        self, data: bytes | Sequence[bytes], *, key: bytes | None = None, **kwargs: Any
    ) -> ImagePipelineOutput | tuple:
        """Draw compressed pictures: `bitstream.decode`, then `__call__`.

        Args:
            data: content of one `.sgc` file, or a list.
            key: the 32 bytes that the files were sealed with.
            **kwargs: as for `__call__`; what is not given is taken from the file.

        Returns:
            `.images`, a list also for a single file.

        Raises:
            BitstreamError: data that is not a whole, undamaged file of a known version, or that needs another key.
        """
        files = [data] if isinstance(data, (bytes, bytearray, memoryview)) else list(data)
        output = self([bitstream.decode(bytes(one), key=key) for one in files], **kwargs)
        for image, one in zip(output[0], files, strict=True):
            if isinstance(image, Image.Image):
                mark_generated(image, len(one), self.config.profile)
        return output

    @torch.no_grad()
    def __call__(
        self,
        payload: SemanticPayload | Sequence[SemanticPayload],
        num_inference_steps: int | None = None,
        strength: float | None = None,
        guidance_scale: float | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        scheduler: str | None = None,
    ) -> ImagePipelineOutput | tuple:
        """Draw payloads.

        Args:
            payload: one or a list, of any sizes.
            num_inference_steps: steps of the whole schedule, of which the last `strength` part is run. From noise, a
                picture of the trained size takes half of them for each of two passes, a larger one all for each pass.
            strength: how far up the noise schedule the color map is lifted, in (0, 1].
            guidance_scale: classifier-free guidance on the labels; 1 is none.
            generator: of the noise, one or a list; CPU generators give the same picture on every device.
            output_type: `pil`, `np` (H, W, 3) in [0, 1], `pt` (3, H, W) in [0, 1], or `latent`.
            return_dict: False returns a tuple.
            callback_on_step_end: called as in diffusers after each step; may return changed `latents`.
            callback_on_step_end_tensor_inputs: names of the tensors that the callback gets; only `latents`.
            scheduler: `dpm-solver++`, `ddim`, `unipc`, or `lcm`, which draws with the few-step head, without guidance
                and in at most four steps.

        What is None is taken from each payload's recipe, the seed of the noise as well.

        Returns:
            `.images`: a list of PIL pictures, each of its payload's size, or of arrays or tensors.

        Raises:
            ValueError: an argument out of range, or a payload of a taxonomy that leads not to the pipeline's.
        """
        payloads = [payload] if isinstance(payload, SemanticPayload) else list(payload)
        self.check_inputs(payloads, generator, output_type, callback_on_step_end_tensor_inputs)
        given = {
            "num_inference_steps": num_inference_steps,
            "strength": strength,
            "guidance_scale": guidance_scale,
            "scheduler": scheduler,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        recipes = [_few_steps(dataclasses.replace(one.recipe, **changes)) for one in payloads]
        self._check_recipes(recipes)
        generators = _generators(recipes, generator)
        images: list[Any] = [None] * len(payloads)
        for members in self._batches(payloads, recipes):
            batch = [payloads[index] for index in members]
            seeds = [generators[index] for index in members]
            latents, pixels = self._draw(batch, recipes[members[0]], seeds, callback_on_step_end)
            for position, index in enumerate(members):
                drawn = latents[position] if output_type == "latent" else pixels[position]
                images[index] = self._finish(drawn, payloads[index], output_type)
        self.maybe_free_model_hooks()
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def check_inputs(
        self,
        payloads: Sequence[SemanticPayload],
        generator: torch.Generator | list[torch.Generator] | None,
        output_type: str,
        tensor_inputs: Sequence[str],
    ) -> None:
        """Raise ValueError for arguments of `__call__` that cannot be; the recipe checks its own."""
        for one in payloads:
            if not isinstance(one, SemanticPayload):
                raise ValueError(f"`payload` must be a SemanticPayload or a list of them, got {type(one).__name__}")
            class_table(one.labels.taxonomy_name, self.config.taxonomy)
            theirs = one.recipe.weights_hash
            if theirs and self.weights_hash and theirs != self.weights_hash:
                logger.warning("The file was made for weights %04x, these are %04x.", theirs, self.weights_hash)
        if isinstance(generator, list) and len(generator) != len(payloads):
            raise ValueError(f"`generator` must have one entry a payload, got {len(generator)} for {len(payloads)}")
        if output_type not in ("pil", "np", "pt", "latent"):
            raise ValueError(f"`output_type` must be pil, np, pt or latent, got {output_type!r}")
        if not set(tensor_inputs) <= set(self._callback_tensor_inputs):
            raise ValueError(f"`callback_on_step_end_tensor_inputs` may hold only {self._callback_tensor_inputs}")

    def _check_recipes(self, recipes: Sequence[DecoderRecipe]) -> None:
        """Raise ValueError for recipes that need what the pipeline has not."""
        if self.few_step_head is None and any(recipe.scheduler == "lcm" for recipe in recipes):
            raise ValueError(
                "`scheduler` lcm draws with a few-step head, which this pipeline has not; give another scheduler and "
                "its steps, or the preset of a pipeline without: sdedit"
            )

    def _sizes(self, payload: SemanticPayload) -> list[tuple[int, int]]:
        factor = downsampling_factor(self.vae)
        halvings = len(self.unet.config.block_out_channels) - 1
        native_side = self.unet.config.sample_size * factor
        return plan_sizes(payload.width, payload.height, native_side, factor * 2**halvings)

    def _batches(self, payloads: Sequence[SemanticPayload], recipes: Sequence[DecoderRecipe]) -> list[list[int]]:
        """Return the indices of payloads that can be drawn together: of one size and one recipe but for the seed."""
        batches: dict[Any, list[int]] = {}
        for index, (one, recipe) in enumerate(zip(payloads, recipes, strict=True)):
            key = (tuple(self._sizes(one)), dataclasses.replace(recipe, seed=0, weights_hash=0))
            batches.setdefault(key, []).append(index)
        return list(batches.values())

    def _condition(self, payload: SemanticPayload, height: int, width: int) -> torch.Tensor:
        label_map = class_table(payload.labels.taxonomy_name, self.config.taxonomy)[payload.label_map]
        samples = downsampling_factor(self.vae) if self.config.label_resampling == "area" else 1
        planes = label_planes(label_map, self._num_classes, height, width, samples_per_side=samples)
        if self._num_color_planes:
            planes = torch.cat([planes, color_planes(payload.color_map, height, width)])
        return planes

    def _predictor(
        self, payloads: Sequence[SemanticPayload], recipe: DecoderRecipe, height: int, width: int
    ) -> Predictor:
        """Return what predicts the noise for payloads, on latents of a size; decoder families differ in this."""
        condition = torch.stack([self._condition(one, height, width) for one in payloads])
        condition = condition.to(self._execution_device, self.unet.dtype)
        if recipe.scheduler == "lcm":
            return few_step_predictor(self.unet, self.few_step_head, condition)
        return label_predictor(self.unet, condition, self._num_classes, recipe.guidance_scale)

    def _draw(
        self,
        payloads: Sequence[SemanticPayload],
        recipe: DecoderRecipe,
        generators: Sequence[torch.Generator],
        callback: StepCallback | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw payloads of one size; return latents (B, C, h, w) and pixels (B, 3, H, W) of the last pass."""
        device, dtype, factor = self._execution_device, self.unet.dtype, downsampling_factor(self.vae)
        sizes = self._sizes(payloads[0])
        latents, strength, sees_colors = torch.empty(0), recipe.strength, self._num_color_planes > 0
        from_noise = sees_colors and strength == 1.0
        gain = NOISE_GAIN if from_noise else 1.0
        pixels = torch.stack([upsample_color(one.color_map, *sizes[0]) for one in payloads])
        passes = [(*size, recipe.num_inference_steps) for size in sizes]
        if from_noise:
            passes = plan_passes(sizes, recipe.num_inference_steps, leaps=recipe.scheduler == "lcm")
        for height, width, num_steps in passes:
            pixels = functional.interpolate(pixels, (height, width), mode="bicubic").clamp(-1, 1)
            start = encode_image(self.vae, pixels.to(device, dtype), tile_side=self.tile_side)
            predict = self._predictor(payloads, recipe, height // factor, width // factor)
            noise = [randn_tensor((1, *start.shape[1:]), generator=g, device=device, dtype=dtype) for g in generators]
            scheduler = build_scheduler(recipe.scheduler, self.scheduler)
            timesteps = select_timesteps(scheduler, num_steps, strength, device)
            with self.progress_bar(total=len(timesteps)) as progress:  # pyright: ignore[reportCallIssue]

                def on_step(index: int, timestep: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
                    progress.update()
                    if callback is None:
                        return latents
                    return callback(self, index, timestep, {"latents": latents}).pop("latents", latents)

                latents = denoise(
                    predict,
                    scheduler,
                    start,
                    torch.cat(noise),
                    timesteps,
                    on_step,
                    generators=generators,
                    tile_side=self.tile_side,
                    detail_fill=DETAIL_FILL if sees_colors else 0.0,
                    noise_gain=gain,
                )
            pixels = decode_latents(self.vae, latents, tile_side=self.tile_side).float()
            strength, gain = (1.0, REDRAW_GAIN) if from_noise else (min(strength, REDRAW_STRENGTH), 1.0)
        return latents, pixels

    def _finish(self, drawn: torch.Tensor, payload: SemanticPayload, output_type: str) -> Any:
        """Bring one drawn picture to the payload's colors and size and to the wanted type."""
        if output_type == "latent":
            return drawn
        pixels = match_color(drawn, payload.color_map)
        array = ((pixels / 2 + 0.5) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        image = Image.fromarray(array).resize((payload.width, payload.height), Image.Resampling.LANCZOS)
        if output_type == "pil":
            return mark_generated(image, None, self.config.profile)
        values = np.asarray(image, dtype=np.float32) / 255
        return values if output_type == "np" else torch.from_numpy(values).permute(2, 0, 1)


def _generators(
    recipes: Sequence[DecoderRecipe], generator: torch.Generator | list[torch.Generator] | None
) -> list[torch.Generator]:
    """Return one generator a payload: as given, or seeded from each file."""
    if generator is None:
        return [torch.Generator("cpu").manual_seed(recipe.seed) for recipe in recipes]
    return generator if isinstance(generator, list) else [generator] * len(recipes)


def _few_steps(recipe: DecoderRecipe) -> DecoderRecipe:
    """Return the recipe with no more steps than its sampler has."""
    if recipe.scheduler != "lcm":
        return recipe
    return dataclasses.replace(recipe, num_inference_steps=min(FEW_STEPS, recipe.num_inference_steps))
