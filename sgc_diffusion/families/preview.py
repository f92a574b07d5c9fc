"""The decoder without a network: the colors enlarged along the edges of the labels, or the likeness where there is one.

As a pipeline it encodes with a segmenter alone and draws at once. Who only wants to look at files needs no pipeline and
no torch: `sgc_diffusion.synthesis.preview`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.pipeline import SemanticCompressionPipeline
from sgc_diffusion.synthesis.preview import preview
from sgc_diffusion.synthesis.request import DrawingRecipe
from sgc_diffusion.synthesis.steps import StepObserver


class PreviewCompressionPipeline(SemanticCompressionPipeline):
    """Draw what a file holds, and invent nothing.

    Args:
        segmenter: semantic segmentation model; None for a pipeline that only draws.
        image_processor: of the segmenter, from transformers; None feeds RGB in [−1, 1].
        taxonomy: name of the label set to which the segmenter's labels are mapped.
        profile: name of this pipeline in the bitstream, a key of `payload.PROFILES`.
        preset: name in `payload.recipe.PRESETS` that its files carry, for the decoders that read it.
        segmenter_short_side: of the segmenter's input where it has no image processor, pixels.

    Example:
        >>> small = PreviewCompressionPipeline(segmenter=pipe.segmenter, image_processor=pipe.image_processor)
        >>> picture = small.decompress(small.compress(image)).images[0]
    """

    def __init__(
        self,
        segmenter: nn.Module | None = None,
        image_processor: Any = None,
        taxonomy: str = "landscape-24",
        profile: str = "custom",
        preset: str = "fine",
        segmenter_short_side: int = 192,
    ) -> None:
        super().__init__()
        self.register_modules(segmenter=segmenter, image_processor=image_processor)
        self.configure(taxonomy, profile, preset, segmenter_short_side)

    def draw(
        self,
        payloads: Sequence[SemanticPayload],
        recipe: DrawingRecipe,
        generators: Sequence[torch.Generator],
        observer: StepObserver,
    ) -> torch.Tensor:
        """Draw payloads of one size; see `SemanticCompressionPipeline.draw`."""
        pixels = np.stack([np.asarray(preview(payload, max_pixels=None)) for payload in payloads])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
