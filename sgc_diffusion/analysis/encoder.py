"""TEMPORARY until the analysis branch is merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from PIL import Image

from sgc_diffusion.analysis.color import extract_color_map
from sgc_diffusion.analysis.image_input import to_rgb
from sgc_diffusion.analysis.labels import NUM_LABEL_CELLS
from sgc_diffusion.payload import ColorLayer, LabelLayer, SemanticPayload

ImageInput = Image.Image | np.ndarray | str | Path


class EncodingOptions(TypedDict, total=False):
    color_quality: int
    preset: str | None
    max_bytes: int | None
    target_bpp: float | None
    class_weights: Mapping[str, float] | None
    num_candidates: int


@dataclass(frozen=True)
class EncoderSettings:
    recipe: Any
    taxonomy_name: str
    color_quality: int
    max_bytes: Any
    target_bpp: Any
    class_weights: Any
    num_candidates: int
    sealed: bool


def encode_pictures(images, settings, segment, size_bytes, draw):
    pictures = [to_rgb(Image.open(i) if isinstance(i, (str, Path)) else i) for i in images]
    maps = segment(pictures, NUM_LABEL_CELLS)
    return [
        SemanticPayload(
            p.width,
            p.height,
            LabelLayer(m, settings.taxonomy_name),
            ColorLayer.from_color_map(extract_color_map(p), settings.color_quality),
            settings.recipe,
        )
        for p, m in zip(pictures, maps)
    ]
