"""Stable Diffusion with a ControlNet for segmentation maps as the decoder.

    label map ──palette──▶ picture of the labels ──ControlNet──┐
        └──names and areas──▶ prompt ──text encoder──▶ UNet ◀──┘ ──▶ latents      color map ──▶ where denoising starts

Zhang et al., https://arxiv.org/abs/2302.05543. Any Stable Diffusion 1.x model and any ControlNet that was trained on
ADE20K's palette can be used; both ids are arguments, because repositories disappear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import nn

from sgc_diffusion.payload import DecoderRecipe, SemanticPayload
from sgc_diffusion.pipeline import SemanticCompressionPipeline
from sgc_diffusion.synthesis.conditioning import start_picture
from sgc_diffusion.synthesis.controlnet import control_predictor, draw_labels, embed_prompts, write_prompt
from sgc_diffusion.synthesis.decoders import LIKENESS_STRENGTHS
from sgc_diffusion.synthesis.detail import DETAIL_FILL
from sgc_diffusion.synthesis.first_stage import FirstStage, downsampling_factor, latent_channels
from sgc_diffusion.synthesis.latent_diffusion import Predictor, Sampler
from sgc_diffusion.synthesis.passes import Pass, choose_sampler, draw_in_passes, latent_sizes, passes_from
from sgc_diffusion.synthesis.request import DrawingRecipe
from sgc_diffusion.synthesis.steps import StepObserver
from sgc_diffusion.taxonomy import load_taxonomy

NEGATIVE_PROMPT = "painting, drawing, cartoon, blurry, low quality, text, watermark"


class ControlNetCompressionPipeline(SemanticCompressionPipeline):
    """Draw from label maps with Stable Diffusion and a ControlNet.

    Args:
        vae: Stable Diffusion's first stage.
        unet: its denoiser.
        scheduler: holds the noise schedule that the denoiser was trained with; another one that is set afterwards draws
            instead of the file's.
        controlnet: trained on pictures of label maps in the taxonomy's palette.
        text_encoder: of the denoiser's prompts.
        tokenizer: of the text encoder.
        segmenter: semantic segmentation model; None for a pipeline that only draws.
        image_processor: of the segmenter, from transformers; None feeds RGB in [−1, 1].
        taxonomy: name of the label set whose palette the ControlNet knows.
        profile: name of this pipeline in the bitstream, a key of `payload.PROFILES`.
        preset: name in `payload.recipe.PRESETS` of how its files are drawn unless told otherwise.
        segmenter_short_side: of the segmenter's input where it has no image processor, pixels.
        negative_prompt: what guidance moves away from.
        conditioning_scale: weight of the ControlNet's residuals.
        redraw_strength: of the passes that draw an enlarged picture over.
        detail_fill: part of what detail levels quantized to zero that a drawing may fill, 0 … 1.
        likeness_strengths: of drawings over detail, by the finest level: how far up the noise the likeness is lifted.
        scheduler_draws: whether `scheduler` draws instead of the sampler that a file names.

    Example:
        >>> pipe = SemanticCompressionPipeline.from_pretrained("controlnet-seg")
        >>> picture = pipe.decompress(pipe.compress(image)).images[0]
    """

    vae: FirstStage
    unet: Any
    scheduler: Sampler
    controlnet: Any
    text_encoder: Any
    tokenizer: Any

    model_cpu_offload_seq = "segmenter->text_encoder->unet->vae"

    def __init__(
        self,
        vae: FirstStage,
        unet: UNet2DConditionModel,
        scheduler: Sampler,
        controlnet: ControlNetModel,
        text_encoder: nn.Module,
        tokenizer: Any,
        segmenter: nn.Module | None = None,
        image_processor: Any = None,
        taxonomy: str = "ade20k-150",
        profile: str = "controlnet-seg",
        preset: str = "sdedit",
        segmenter_short_side: int = 512,
        negative_prompt: str = NEGATIVE_PROMPT,
        conditioning_scale: float = 1.0,
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
            controlnet=controlnet,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            segmenter=segmenter,
            image_processor=image_processor,
        )
        self.register_to_config(
            negative_prompt=negative_prompt,
            conditioning_scale=conditioning_scale,
            redraw_strength=redraw_strength,
            detail_fill=detail_fill,
            likeness_strengths=likeness_strengths,
            scheduler_draws=scheduler_draws,
        )
        self.configure(taxonomy, profile, preset, segmenter_short_side)

    def check_components(self) -> None:
        """Raise ValueError where UNet, ControlNet and text encoder are of different models."""
        if self.unet.config.in_channels != latent_channels(self.vae):
            raise ValueError(
                f"`unet` takes {self.unet.config.in_channels} channels, but `vae` has {latent_channels(self.vae)}; "
                "give a plain Stable Diffusion 1.x model, not one for inpainting"
            )
        widths = {
            "unet": self.unet.config.cross_attention_dim,
            "controlnet": self.controlnet.config.cross_attention_dim,
            "text_encoder": self.text_encoder.config.hidden_size,
        }
        if len(set(widths.values())) > 1:
            raise ValueError(
                f"`controlnet`, `unet` and `text_encoder` have prompt embeddings of widths {widths}, which must be "
                "equal; give a ControlNet that was trained for this base model"
            )

    def drawing_sizes(self, payload: SemanticPayload) -> list[tuple[int, int]]:
        """Return (height, width) in pixels of what is drawn, smallest first; see `plan_sizes`."""
        return latent_sizes(self.vae, self.unet, payload.width, payload.height)

    def check_recipe(self, recipe: DecoderRecipe) -> None:
        """Raise ValueError for a recipe that needs a few-step head."""
        if recipe.scheduler == "lcm":
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
        strengths = [recipe.strength] + [min(recipe.strength, self.config.redraw_strength)] * (len(sizes) - 1)
        passes = [
            Pass(*size, recipe.num_inference_steps, strength) for size, strength in zip(sizes, strengths, strict=True)
        ]
        starts = torch.stack([start_picture(payload, *sizes[0]) for payload in payloads])
        return draw_in_passes(
            passes,
            starts.to(self._execution_device, self.unet.dtype),
            self.vae,
            lambda height, width: self._predictor(payloads, recipe, height, width),
            lambda: choose_sampler(recipe, self.scheduler, is_chosen=self.config.scheduler_draws),
            generators,
            observer,
            tile_side=self.tile_side,
        )

    def _predictor(
        self, payloads: Sequence[SemanticPayload], recipe: DrawingRecipe, height: int, width: int
    ) -> Predictor:
        """Return what predicts the noise under the ControlNet's and the prompts' guidance."""
        device, dtype = self._execution_device, self.unet.dtype
        taxonomy = load_taxonomy(self.config.taxonomy)
        pictures = torch.stack(
            [draw_labels(payload.label_map, taxonomy.palette, height, width) for payload in payloads]
        )
        prompts = [write_prompt(payload.label_map, taxonomy.names) for payload in payloads]
        if recipe.guidance_scale != 1.0:
            prompts = [self.config.negative_prompt] * len(prompts) + prompts
            pictures = torch.cat([pictures, pictures])
        embeddings = embed_prompts(self.tokenizer, self.text_encoder, prompts, device)
        return control_predictor(
            self.unet,
            self.controlnet,
            embeddings.to(dtype),
            pictures.to(device, dtype),
            downsampling_factor(self.vae),
            recipe.guidance_scale,
            self.config.conditioning_scale,
        )
