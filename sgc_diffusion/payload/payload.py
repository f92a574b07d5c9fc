"""The semantic payload: everything that crosses from the encoder to the decoder."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sgc_diffusion.payload.color import ColorLayer
from sgc_diffusion.payload.labels import LabelLayer
from sgc_diffusion.payload.recipe import DecoderRecipe, check_integer

MAX_IMAGE_SIDE = 2**20  # pixels; a sane cap that a reader can check before it allocates


@dataclass(frozen=True, eq=False)
class SemanticPayload:
    """A whole compressed picture.

    Attributes:
        width: of the original picture and of the drawn one, pixels.
        height: likewise.
        labels: what each part is.
        color: what it looks like from afar.
        recipe: how it is to be drawn.

    Raises:
        ValueError: a size outside 1 … 2²⁰.

    Example:
        >>> labels = LabelLayer(np.zeros((4, 4), np.uint8), "landscape-24")
        >>> color = ColorLayer.from_color_map(np.full((4, 4, 3), 128, np.uint8), quality=20)
        >>> SemanticPayload(width=64, height=64, labels=labels, color=color).label_map.shape
        (4, 4)
    """

    width: int
    height: int
    labels: LabelLayer
    color: ColorLayer
    recipe: DecoderRecipe = field(default_factory=DecoderRecipe)

    def __post_init__(self) -> None:
        check_integer("width", self.width, 1, MAX_IMAGE_SIDE)
        check_integer("height", self.height, 1, MAX_IMAGE_SIDE)

    @property
    def label_map(self) -> np.ndarray:
        """(h, w) uint8 class ids."""
        return self.labels.label_map

    @property
    def color_map(self) -> np.ndarray:
        """(h, w, 3) uint8 sRGB."""
        return self.color.color_map

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SemanticPayload):
            return NotImplemented
        return (
            (self.width, self.height, self.recipe) == (other.width, other.height, other.recipe)
            and self.labels.taxonomy_name == other.labels.taxonomy_name
            and np.array_equal(self.label_map, other.label_map)
            and self.color.quality == other.color.quality
            and np.array_equal(self.color.levels, other.color.levels)
        )

    __hash__ = None  # type: ignore[assignment] - holds arrays
