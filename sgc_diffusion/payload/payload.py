"""The semantic payload: everything that crosses from the encoder to the decoder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from sgc_diffusion.payload.color import ColorLayer
from sgc_diffusion.payload.labels import LabelLayer
from sgc_diffusion.payload.layer import MAX_KIND, Layer, same_fields
from sgc_diffusion.payload.recipe import DecoderRecipe
from sgc_diffusion.payload.scalars import plain_integer

MAX_IMAGE_SIDE = 2**20  # pixels; a sane cap that a reader can check before it allocates
LayerT = TypeVar("LayerT", bound=Layer)


@dataclass(frozen=True, eq=False)
class SemanticPayload:
    """A whole compressed picture.

    Attributes:
        width: of the original picture and of the drawn one, pixels.
        height: of the original picture and of the drawn one, pixels.
        labels: what each part is.
        color: what it looks like from afar.
        recipe: how it is to be drawn.
        layers: the optional layers, those that this version does not know among them, ascending by kind.

    Raises:
        ValueError: a size outside 1 … 2²⁰, something of another class, or optional layers that do not ascend.

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
    layers: tuple[Layer, ...] = ()

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            object.__setattr__(self, name, plain_integer(name, getattr(self, name), 1, MAX_IMAGE_SIDE))
        for name, expected in (("labels", LabelLayer), ("color", ColorLayer), ("recipe", DecoderRecipe)):
            if not isinstance(getattr(self, name), expected):
                got = type(getattr(self, name)).__name__
                raise ValueError(f"`{name}` must be a {expected.__name__}, got {got}")
        object.__setattr__(self, "layers", tuple(self.layers))
        _require_ascending(self.layers)

    def layer(self, layer_class: type[LayerT]) -> LayerT | None:
        """Return the optional layer of a class, the first if there are several, or None."""
        return next((layer for layer in self.layers if isinstance(layer, layer_class)), None)

    def with_layers(self, *layers: Layer) -> SemanticPayload:
        """Return the payload with more optional layers, each in its place, instead of those of the same kind."""
        by_kind = {layer.kind: layer for layer in (*self.layers, *layers)}
        return replace(self, layers=tuple(by_kind[kind] for kind in sorted(by_kind)))

    @property
    def label_map(self) -> np.ndarray:
        """(h, w) uint8 class ids."""
        return self.labels.label_map

    @property
    def color_map(self) -> np.ndarray:
        """(h, w, 3) uint8 sRGB."""
        return self.color.color_map

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other) if isinstance(other, SemanticPayload) else NotImplemented

    __hash__ = None  # type: ignore[assignment] - holds arrays


def _require_ascending(layers: tuple[Layer, ...]) -> None:
    last = 0
    for layer in layers:
        if not isinstance(layer, Layer):
            raise ValueError(f"`layers` must hold layers, got {type(layer).__name__}")
        kind = plain_integer("kind", layer.kind, 1, MAX_KIND)
        if kind <= last:
            raise ValueError(f"`layers` must ascend by kind, each kind once, got kind {kind} after {last}; sort them")
        last = kind
