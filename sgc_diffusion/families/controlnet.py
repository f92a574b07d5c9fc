"""The codec with Stable Diffusion and a ControlNet for segmentation maps as its decoder.

    label_map ──palette──▶ picture of the labels ──ControlNet──┐
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
from sgc_diffusion.synthesis.controlnet import control_predictor, draw_labels, embed_prompts, write_prompt
from sgc_diffusion.synthesis.first_stage import FirstStage, downsampling_factor, latent_channels
from sgc_diffusion.synthesis.latent_diffusion import Predictor, Sampler
from sgc_diffusion.taxonomy import class_table, load_taxonomy

DEFAULT_NAME = "controlnet-seg"
NEGATIVE_PROMPT = "painting, drawing, cartoon, blurry, low quality, text, watermark"


class ControlNetCompressionPipeline(SemanticCompressionPipeline):
    """Draw from label maps with Stable Diffusion and a ControlNet.

    Args:
        vae: Stable Diffusion's first stage.
        unet: its denoiser.
        scheduler: holds the noise schedule that the denoiser was trained with.
        controlnet: trained on pictures of label maps in the taxonomy's palette.
        text_encoder: of the denoiser's prompts.
        tokenizer: likewise.
        segmenter: semantic segmentation model; None for a pipeline that only draws.
        taxonomy: name of the label set whose palette the ControlNet knows.
        profile: name of this pipeline in the bitstream, a key of `payload.PROFILES`.
        segmenter_short_side: of the segmenter's input where it has no image processor, pixels.
        label_resampling: unused here.
        preset: name in `presets.PRESETS` of how its files are drawn unless told otherwise.
        negative_prompt: what guidance moves away from.
        conditioning_scale: weight of the ControlNet's residuals.

    Example:
        >>> pipe = SemanticCompressionPipeline.from_pretrained("controlnet-seg")
        >>> picture = pipe.decompress(pipe.compress(image)).images[0]
    """

    _optional_components = ["segmenter"]  # noqa: RUF012 - diffusers wants a list
    few_step_head = None
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
        taxonomy: str = "ade20k-150",
        profile: str = DEFAULT_NAME,
        segmenter_short_side: int = 512,
        label_resampling: str = "nearest",
        preset: str = "sdedit",
        negative_prompt: str = NEGATIVE_PROMPT,
        conditioning_scale: float = 1.0,
    ) -> None:
        super(SemanticCompressionPipeline, self).__init__()
        self.register_modules(
            vae=vae,
            unet=unet,
            scheduler=scheduler,
            controlnet=controlnet,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            segmenter=segmenter,
        )
        self.register_to_config(negative_prompt=negative_prompt, conditioning_scale=conditioning_scale)
        self._configure(taxonomy, profile, segmenter_short_side, label_resampling, preset)

    def _check_components(self) -> None:
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

    def _predictor(
        self, payloads: Sequence[SemanticPayload], recipe: DecoderRecipe, height: int, width: int
    ) -> Predictor:
        """Return what predicts the noise under the ControlNet's and the prompts' guidance."""
        device, dtype, factor = self._execution_device, self.unet.dtype, downsampling_factor(self.vae)
        taxonomy = load_taxonomy(self.config.taxonomy)
        maps = [class_table(one.labels.taxonomy_name, taxonomy.name)[one.label_map] for one in payloads]
        pictures = torch.stack([draw_labels(one, taxonomy.palette, height * factor, width * factor) for one in maps])
        prompts = [write_prompt(one, taxonomy.names) for one in maps]
        guided = recipe.guidance_scale != 1.0
        if guided:
            prompts = [self.config.negative_prompt] * len(prompts) + prompts
            pictures = torch.cat([pictures, pictures])
        embeddings = embed_prompts(self.tokenizer, self.text_encoder, prompts, device)
        return control_predictor(
            self.unet,
            self.controlnet,
            embeddings.to(dtype),
            pictures.to(device, dtype),
            factor,
            recipe.guidance_scale,
            self.config.conditioning_scale,
        )
