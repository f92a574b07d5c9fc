"""Latent diffusion on label planes: the SGC paper's decoder, and the embedded pipelines.

    label map, color map ──planes──▶ UNet, guided by the labels ──▶ latents ──first stage──▶ image
    likeness ──first stage──▶ where denoising starts (SDEdit)

Bordin & Maugey, MMSP 2023, on the latent diffusion of Rombach et al., https://arxiv.org/abs/2112.10752.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import nn

from sgc_diffusion.payload import DecoderRecipe, SemanticPayload
from sgc_diffusion.pipeline import SemanticCompressionPipeline
from sgc_diffusion.synthesis.conditioning import (
    NUM_COLOR_PLANES,
    NUM_FIDELITY_PLANES,
    color_planes,
    fidelity_planes,
    label_planes,
    likeness_picture,
    payload_fidelity,
    start_picture,
)
from sgc_diffusion.synthesis.decoders import LIKENESS_STRENGTHS
from sgc_diffusion.synthesis.detail import DETAIL_FILL
from sgc_diffusion.synthesis.few_step import FewStepHead, few_step_predictor
from sgc_diffusion.synthesis.first_stage import FirstStage, downsampling_factor, encode_image, latent_channels
from sgc_diffusion.synthesis.latent_diffusion import (
    FEW_STEPS,
    Predictor,
    Sampler,
    label_predictor,
)
from sgc_diffusion.synthesis.passes import Pass, choose_sampler, draw_in_passes, latent_sizes, passes_from
from sgc_diffusion.synthesis.request import DrawingRecipe
from sgc_diffusion.synthesis.resolution import plan_passes
from sgc_diffusion.synthesis.steps import StepObserver
from sgc_diffusion.taxonomy import load_taxonomy

LABEL_RESAMPLINGS = ("nearest", "area")  # see `conditioning.label_planes`


class LatentDiffusionCompressionPipeline(SemanticCompressionPipeline):
    """Draw from label maps with a denoiser that takes its conditions as planes beside the latents.

    Args:
        vae: first stage, a diffusers autoencoder.
        unet: denoiser on latents, one-hot label planes and, if it was trained so, color planes, or the latents of the
            likeness with two planes that say how good it is.
        scheduler: holds the noise schedule that the denoiser was trained with; another one that is set afterwards,
            `pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)`, draws instead of the file's.
        segmenter: semantic segmentation model; None for a pipeline that only draws.
        image_processor: of the segmenter, from transformers; None feeds RGB in [−1, 1].
        few_step_head: what the scheduler `lcm` draws with, one to four steps; None for a pipeline without.
        taxonomy: name of the denoiser's label set, to which the segmenter's labels are mapped.
        profile: name of this pipeline in the bitstream, a key of `payload.PROFILES`.
        preset: name in `payload.recipe.PRESETS` of how its files are drawn unless told otherwise.
        segmenter_short_side: of the segmenter's input where it has no image processor, pixels.
        label_resampling: how label planes are made: `nearest`, or `area` as LDM's SpatialRescaler does.
        variance_fill: how much of the variance that a smooth start lacks is made up with noise; see `denoise`.
        noise_gain: of the noise of a first pass from noise alone. What it hides still shines through by what the
            schedule leaves at its end: the blurred color map talks the denoiser out of texture, and more noise makes up
            for that.
        redraw_gain: of the noise of later passes from noise alone.
        redraw_strength: of the passes that draw an enlarged picture over, unless they start from noise alone.
        detail_fill: part of what detail levels quantized to zero that a drawing may fill, 0 … 1.
        likeness_strengths: of drawings over detail, by the finest level: how far up the noise the likeness is lifted.
        scheduler_draws: whether `scheduler` draws instead of the sampler that a file names.

    Example:
        >>> pipe = SemanticCompressionPipeline.from_pretrained("landscape-256")
        >>> picture = pipe.decompress(pipe.compress(image)).images[0]
    """

    vae: FirstStage
    unet: Any
    scheduler: Sampler
    few_step_head: Any

    _optional_components = ["segmenter", "image_processor", "few_step_head"]  # noqa: RUF012 - diffusers wants a list
    model_cpu_offload_seq = "segmenter->unet->vae"

    def __init__(
        self,
        vae: FirstStage,
        unet: UNet2DModel,
        scheduler: Sampler,
        segmenter: nn.Module | None = None,
        image_processor: Any = None,
        few_step_head: FewStepHead | None = None,
        taxonomy: str = "landscape-24",
        profile: str = "custom",
        preset: str = "sdedit",
        segmenter_short_side: int = 192,
        label_resampling: str = "nearest",
        variance_fill: float = 0.0,
        noise_gain: float = 1.0,
        redraw_gain: float = 1.0,
        redraw_strength: float = 0.45,
        detail_fill: float = DETAIL_FILL,
        likeness_strengths: list[float] = LIKENESS_STRENGTHS,
        scheduler_draws: bool = False,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            unet=unet,
            scheduler=scheduler,
            segmenter=segmenter,
            image_processor=image_processor,
            few_step_head=few_step_head,
        )
        if label_resampling not in LABEL_RESAMPLINGS:
            raise ValueError(f"`label_resampling` must be one of {LABEL_RESAMPLINGS}, got {label_resampling!r}")
        self.register_to_config(
            label_resampling=label_resampling,
            variance_fill=variance_fill,
            noise_gain=noise_gain,
            redraw_gain=redraw_gain,
            redraw_strength=redraw_strength,
            detail_fill=detail_fill,
            likeness_strengths=likeness_strengths,
            scheduler_draws=scheduler_draws,
        )
        self.configure(taxonomy, profile, preset, segmenter_short_side)

    def check_components(self) -> None:
        """Raise ValueError where the denoiser does not take the taxonomy's planes."""
        num_classes, likeness = self._num_classes, latent_channels(self.vae) + NUM_FIDELITY_PLANES
        if self._num_other_planes not in (0, NUM_COLOR_PLANES, likeness):
            raise ValueError(
                f"`unet` takes {num_classes + self._num_other_planes} condition planes, but the taxonomy "
                f"{self.config.taxonomy} needs {num_classes}, {num_classes + NUM_COLOR_PLANES} with colors, or "
                f"{num_classes + likeness} with the likeness; load the unet that was trained with this taxonomy"
            )

    @property
    def _num_classes(self) -> int:
        return load_taxonomy(self.config.taxonomy).num_classes

    @property
    def _num_other_planes(self) -> int:
        """How many planes the denoiser takes beside labels; asked anew, because it can be replaced."""
        return self.unet.config.in_channels - latent_channels(self.vae) - self._num_classes

    def drawing_sizes(self, payload: SemanticPayload) -> list[tuple[int, int]]:
        """Return (height, width) in pixels of what is drawn, smallest first; see `plan_sizes`."""
        return latent_sizes(self.vae, self.unet, payload.width, payload.height)

    def check_recipe(self, recipe: DecoderRecipe) -> None:
        """Raise ValueError for a recipe that needs a few-step head where there is none."""
        if self.few_step_head is None and recipe.scheduler == "lcm":
            raise ValueError(
                "`scheduler` lcm draws with a few-step head, which this pipeline has not; give another scheduler and "
                "its steps, or the preset of a pipeline without: sdedit"
            )

    def draw(
        self,
        payloads: Sequence[SemanticPayload],
        recipe: DrawingRecipe,
        generators: Sequence[torch.Generator],
        observer: StepObserver,
    ) -> torch.Tensor:
        """Draw payloads of one size; see `SemanticCompressionPipeline.draw`."""
        sizes = passes_from(payloads[0], self.drawing_sizes(payloads[0]), recipe)
        starts = torch.stack([start_picture(payload, *sizes[0]) for payload in payloads])
        return draw_in_passes(
            self._passes(sizes, recipe),
            starts.to(self._execution_device, self.unet.dtype),
            self.vae,
            lambda height, width: self._predictor(payloads, recipe, height, width),
            lambda: choose_sampler(recipe, self.scheduler, is_chosen=self.config.scheduler_draws),
            generators,
            observer,
            tile_side=self.tile_side,
            variance_fill=self.config.variance_fill,
        )

    def _passes(self, sizes: list[tuple[int, int]], recipe: DrawingRecipe) -> list[Pass]:
        """Return the passes of a picture: from noise alone, or from the start lifted to the recipe's strength."""
        is_few_step = recipe.scheduler == "lcm"
        num_steps = min(FEW_STEPS, recipe.num_inference_steps) if is_few_step else recipe.num_inference_steps
        gains = self.config.noise_gain, self.config.redraw_gain
        if self._num_other_planes and recipe.strength == 1.0:  # colors are a condition: nothing has to shine through
            plan = plan_passes(sizes, num_steps, leaps=is_few_step)
            return [Pass(*planned, 1.0, gains[min(index, 1)]) for index, planned in enumerate(plan)]
        strengths = [recipe.strength] + [min(recipe.strength, self.config.redraw_strength)] * (len(sizes) - 1)
        return [Pass(*size, num_steps, strength) for size, strength in zip(sizes, strengths, strict=True)]

    def _predictor(
        self, payloads: Sequence[SemanticPayload], recipe: DrawingRecipe, height: int, width: int
    ) -> Predictor:
        factor = downsampling_factor(self.vae)
        planes = torch.stack([self._condition(payload, height // factor, width // factor) for payload in payloads])
        condition = planes.to(self._execution_device, self.unet.dtype)
        if recipe.scheduler == "lcm":
            return few_step_predictor(self.unet, self.few_step_head, condition)
        return label_predictor(self.unet, condition, self._num_classes, recipe.guidance_scale)

    def _condition(self, payload: SemanticPayload, height: int, width: int) -> torch.Tensor:
        """Return the planes (P, height, width) of one payload, in latents."""
        samples = downsampling_factor(self.vae) if self.config.label_resampling == "area" else 1
        planes = label_planes(payload.label_map, self._num_classes, height, width, samples_per_side=samples)
        if self._num_other_planes == NUM_COLOR_PLANES:
            planes = torch.cat([planes, color_planes(start_picture(payload, height, width))])
        elif self._num_other_planes:
            planes = torch.cat([planes, *self._likeness_planes(payload, height, width)])
        return planes

    def _likeness_planes(self, payload: SemanticPayload, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the latents (C, height, width) of the likeness, and the planes that say how good it is."""
        factor = downsampling_factor(self.vae)
        picture = likeness_picture(payload, height * factor, width * factor)[None]
        latents = encode_image(self.vae, picture.to(self._execution_device, self.unet.dtype), tile_side=self.tile_side)
        fidelity = payload_fidelity(payload, height * factor)
        return latents[0].float().cpu(), fidelity_planes(*fidelity, height, width)
