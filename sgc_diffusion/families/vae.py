"""Labels, colors and latents → picture, by the decoder of a hierarchical VAE: no noise, no steps, the same every time.

A file without latents gives what the network makes of labels and colors alone; one that was cut after any level gives
the prediction of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from sgc_diffusion.analysis.latent_encoder import LatentEncoder
from sgc_diffusion.analysis.latents import LatentNetworks, make_latents, with_latents
from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.payload.latents import NUM_GAMMAS, reduced_size
from sgc_diffusion.payload.scalars import plain_integer
from sgc_diffusion.pipeline import SemanticCompressionPipeline
from sgc_diffusion.synthesis.request import DrawingRecipe, relabel
from sgc_diffusion.synthesis.steps import StepObserver
from sgc_diffusion.synthesis.vae import LatentDecoder, conditions_of, latent_levels, latent_likeness
from sgc_diffusion.taxonomy import load_taxonomy


class VaeCompressionPipeline(SemanticCompressionPipeline):
    """Draw what the latents of a file give.

    Args:
        vae: the decoder.
        latent_encoder: makes latents of pictures; None for a pipeline that only draws.
        segmenter: semantic segmentation model; None for a pipeline that only draws.
        image_processor: of the segmenter, from transformers; None feeds RGB in [−1, 1].
        taxonomy: name of the label set that the decoder was trained with.
        profile: name of this pipeline in the bitstream, a key of `payload.PROFILES`.
        preset: name in `payload.recipe.PRESETS` that its files carry, for the decoders that read it.
        segmenter_short_side: of the segmenter's input where it has no image processor, pixels.
        gamma_index: of the γ with which files without latents are drawn, 0 … 48.

    Example:
        >>> pipe = VaeCompressionPipeline(vae=decoder, latent_encoder=encoder)
        >>> larger = pipe.add_latents(payload, picture, gamma_index=12)
        >>> picture = pipe(larger).images[0]
    """

    vae: LatentDecoder
    latent_encoder: LatentEncoder | None

    generators: ClassVar[tuple[str, ...]] = ("vae",)
    _optional_components = ["segmenter", "image_processor", "latent_encoder"]  # noqa: RUF012 - diffusers wants a list

    def __init__(
        self,
        vae: LatentDecoder,
        latent_encoder: LatentEncoder | None = None,
        segmenter: nn.Module | None = None,
        image_processor: Any = None,
        taxonomy: str = "general-54",
        profile: str = "custom",
        preset: str = "sdedit",
        segmenter_short_side: int = 192,
        gamma_index: int = 0,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae, latent_encoder=latent_encoder, segmenter=segmenter, image_processor=image_processor
        )
        self.register_to_config(gamma_index=plain_integer("gamma_index", gamma_index, 0, NUM_GAMMAS - 1))
        self.configure(taxonomy, profile, preset, segmenter_short_side)

    def check_components(self) -> None:
        """Raise ValueError where the decoder was made for another number of classes than the taxonomy has."""
        expected, got = load_taxonomy(self.config.taxonomy).num_classes, self.vae.config["num_classes"]
        if expected != got:
            raise ValueError(
                f"`vae` knows {got} classes, but the taxonomy {self.config.taxonomy} has {expected}; load the decoder "
                "that was trained with this taxonomy"
            )

    def drawing_sizes(self, payload: SemanticPayload) -> list[tuple[int, int]]:
        """Return (height, width) in pixels of what is drawn: of the picture as the network saw it."""
        levels = latent_levels(payload)
        return [reduced_size(payload.height, payload.width, levels[0].reduction if levels else 0)]

    def draw(
        self,
        payloads: Sequence[SemanticPayload],
        recipe: DrawingRecipe,
        generators: Sequence[torch.Generator],
        observer: StepObserver,
    ) -> torch.Tensor:
        """Draw payloads of one size; see `SemanticCompressionPipeline.draw`."""
        return latent_likeness(self.vae, payloads, self.config.gamma_index)

    @torch.no_grad()
    def add_latents(
        self, payload: SemanticPayload, picture: np.ndarray, gamma_index: int, reduction: int = 0
    ) -> SemanticPayload:
        """Return the payload with the latents of its picture.

        Args:
            payload: of any label set from which a map leads to the pipeline's; its labels stay as they are.
            picture: (H, W, 3) uint8 sRGB, of the payload's size.
            gamma_index: how much an error weighs: 0 … 48, coarse to fine; γ doubles every four.
            reduction: how often the sides are halved before the network sees the picture, 0 … 3.

        Raises:
            ValueError: a pipeline without encoder, a picture of another size, or a number out of range.
        """
        if self.latent_encoder is None:
            raise ValueError("`latent_encoder` is missing: this pipeline only draws; load it with its encoder")
        if picture.shape != (payload.height, payload.width, 3) or picture.dtype != np.uint8:
            raise ValueError(
                f"`picture` must be uint8 of shape {(payload.height, payload.width, 3)}, got {picture.dtype} "
                f"{picture.shape}"
            )
        networks = LatentNetworks(self.latent_encoder, self.vae, conditions_of)
        own = relabel(payload, self.config.taxonomy)
        return with_latents(payload, make_latents(own, picture, networks, gamma_index, reduction))
