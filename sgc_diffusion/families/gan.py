"""Labels and likeness → picture, by the generator of a GAN: one pass, whatever the recipe of a file says of steps.

The noise that it draws with is that of the file, so the same file gives the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from sgc_diffusion.analysis.compact_image import CompactNetwork, compact_color_map
from sgc_diffusion.payload import ColorLayer, SemanticPayload
from sgc_diffusion.pipeline import SemanticCompressionPipeline
from sgc_diffusion.synthesis.detail import DETAIL_FILL
from sgc_diffusion.synthesis.gan import LabelGenerator, draw_payloads, drawn_size
from sgc_diffusion.synthesis.likeness import highest_level
from sgc_diffusion.synthesis.request import DrawingRecipe
from sgc_diffusion.synthesis.steps import StepObserver
from sgc_diffusion.taxonomy import load_taxonomy


class GanCompressionPipeline(SemanticCompressionPipeline):
    """Draw with a generator that was trained against critics.

    Args:
        generator: the network that draws.
        compact_network: makes color maps that the generator draws better from than from means; None for none.
        segmenter: semantic segmentation model; None for a pipeline that only draws.
        image_processor: of the segmenter, from transformers; None feeds RGB in [−1, 1].
        taxonomy: name of the label set that the generator was trained with.
        profile: name of this pipeline in the bitstream, a key of `payload.PROFILES`.
        preset: name in `payload.recipe.PRESETS` that its files carry, for the decoders that read it.
        segmenter_short_side: of the segmenter's input where it has no image processor, pixels.
        detail_fill: part of what detail levels quantized to zero that a drawing may fill, 0 … 1.

    Example:
        >>> pipe = GanCompressionPipeline(generator=generator)
        >>> picture = pipe.decompress(data).images[0]
    """

    generator: LabelGenerator
    compact_network: CompactNetwork | None

    generators: ClassVar[tuple[str, ...]] = ("gan",)
    _optional_components = ["segmenter", "image_processor", "compact_network"]  # noqa: RUF012 - diffusers wants a list

    def __init__(
        self,
        generator: LabelGenerator,
        compact_network: CompactNetwork | None = None,
        segmenter: nn.Module | None = None,
        image_processor: Any = None,
        taxonomy: str = "general-54",
        profile: str = "custom",
        preset: str = "fine",
        segmenter_short_side: int = 192,
        detail_fill: float = DETAIL_FILL,
    ) -> None:
        super().__init__()
        self.register_modules(
            generator=generator, compact_network=compact_network, segmenter=segmenter, image_processor=image_processor
        )
        self.register_to_config(detail_fill=detail_fill)
        self.configure(taxonomy, profile, preset, segmenter_short_side)

    def check_components(self) -> None:
        """Raise ValueError where the generator was made for another number of classes than the taxonomy has."""
        expected, got = load_taxonomy(self.config.taxonomy).num_classes, self.generator.config["num_classes"]
        if expected != got:
            raise ValueError(
                f"`generator` knows {got} classes, but the taxonomy {self.config.taxonomy} has {expected}; load the "
                "generator that was trained with this taxonomy"
            )

    def drawing_sizes(self, payload: SemanticPayload) -> list[tuple[int, int]]:
        """Return (height, width) in pixels of what is drawn: of the picture itself, unless that is very large."""
        return [drawn_size(payload)]

    def draw(
        self,
        payloads: Sequence[SemanticPayload],
        recipe: DrawingRecipe,
        generators: Sequence[torch.Generator],
        observer: StepObserver,
    ) -> torch.Tensor:
        """Draw payloads of one size; see `SemanticCompressionPipeline.draw`."""
        return draw_payloads(self.generator, payloads, generators, drawn_size(payloads[0]))

    @torch.no_grad()
    def make_compact(self, payload: SemanticPayload, picture: np.ndarray) -> SemanticPayload:
        """Return the payload with a color map of its grid and precision that the generator draws better from.

        It is S4's compact image: a learned downsampling in place of means. Detail has to be added afterwards.

        Args:
            payload: of the picture, without detail levels.
            picture: (H, W, 3) uint8 sRGB, of the payload's size.

        Raises:
            ValueError: a pipeline without such a network, a picture of another size, or a payload with detail.
        """
        if self.compact_network is None:
            raise ValueError("`compact_network` is missing: this pipeline takes means of colors; load it with one")
        if picture.shape != (payload.height, payload.width, 3) or picture.dtype != np.uint8:
            raise ValueError(
                f"`picture` must be uint8 of shape {(payload.height, payload.width, 3)}, got {picture.dtype} "
                f"{picture.shape}"
            )
        if highest_level(payload) is not None:
            raise ValueError("`payload` has detail levels of another color map; make it compact before they are added")
        rows, columns = payload.color_map.shape[:2]
        color_map = compact_color_map(self.compact_network, picture, rows, columns)
        return replace(payload, color=ColorLayer.from_color_map(color_map, payload.color.quality))
