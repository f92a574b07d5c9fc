"""What a user wants to be kept and to look good → the layers that steer the detail of a picture.

Grad-CAM, a saliency model ─┐ mean of maps, × weight of each class, × mask
class weights, a mask ──────┴──────────────────────────────▶ importance layer ──┐
boxes, masks, polygons, classes, instances, text ──────────▶ regions layer ─────┴──▶ `Steering`
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from sgc_diffusion.analysis import regions as outlining
from sgc_diffusion.analysis.importance import DEFAULT_STRENGTH, make_importance
from sgc_diffusion.analysis.regions import Outline, RegionsWarning
from sgc_diffusion.features.found_objects import FindObjects
from sgc_diffusion.payload import ImportanceLayer, Layer, RegionsLayer, SemanticPayload
from sgc_diffusion.payload.grid import enlarge
from sgc_diffusion.payload.importance import MAX_STRENGTH, NUM_IMPORTANCE_LEVELS
from sgc_diffusion.payload.regions import INNER_LEVELS, SPECIAL_NAMES, UNNAMED
from sgc_diffusion.payload.scalars import plain_integer
from sgc_diffusion.payload.steering import Steering
from sgc_diffusion.taxonomy import load_taxonomy

FLOOR = 0.1  # times the mean, added to maps of networks: what they overlook is not worth nothing

PixelMap = Callable[[np.ndarray], np.ndarray]
"""Picture (H, W, 3) uint8 → (H, W) float, 0 or more: how much each pixel matters."""


@dataclass(frozen=True)
class SteeringOptions:
    """Where the bits are to go; nothing of it steers nothing.

    Attributes:
        maps: networks that say how much each pixel matters, such as Grad-CAM; several are averaged.
        weights: class name → how much a pixel of that class matters, 1 for those that are not named.
        importance_mask: picture or (H, W) array of the picture's size, 0 … 255 or 0 … 1: how much each pixel matters.
        strength: how many detail levels one level of importance is worth, 0 … 3.
        boxes: of pixels that are kept: (left, top, width, height).
        masks: pictures or (H, W) arrays of the picture's size; what is above the middle is kept.
        polygons: of (x, y), what is inside is kept.
        classes: names in the pipeline's label set, or of `finders`' objects; what shows them is kept.
        finders: models that find objects, of which `classes` are kept, or all without any.
        important_from: what has this level of importance, 1 … 3, or more is kept; None keeps nothing for that.
        inner_levels: how well regions are kept after each of the three levels for them, see `payload.regions`.

    Raises:
        ValueError: a weight or a number out of range.
    """

    maps: Sequence[PixelMap] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    importance_mask: Any = None
    strength: int = DEFAULT_STRENGTH
    boxes: Sequence[Sequence[int]] = ()
    masks: Sequence[Any] = ()
    polygons: Sequence[Sequence[Sequence[float]]] = ()
    classes: Sequence[str] = ()
    finders: Sequence[FindObjects] = ()
    important_from: int | None = None
    inner_levels: tuple[int, int, int] = INNER_LEVELS

    def __post_init__(self) -> None:
        plain_integer("strength", self.strength, 0, MAX_STRENGTH)
        if self.important_from is not None:
            plain_integer("important_from", self.important_from, 1, NUM_IMPORTANCE_LEVELS - 1)
            if not self.has_importance:
                raise ValueError("`important_from` needs an importance; give `maps`, `weights` or `importance_mask`")
        for name, weight in self.weights.items():
            if not (isinstance(weight, (int, float)) and 0 <= weight < float("inf")):
                raise ValueError(f"`weights` must be finite numbers, 0 or more, got {weight!r} for {name}")

    @property
    def has_importance(self) -> bool:
        """Whether anything says how much pixels matter."""
        return bool(self.maps) or bool(self.weights) or self.importance_mask is not None

    @property
    def has_regions(self) -> bool:
        """Whether anything is to be kept."""
        drawn = bool(self.boxes) or bool(self.masks) or bool(self.polygons)
        return drawn or bool(self.classes) or bool(self.finders) or self.important_from is not None

    def check(self, taxonomy_name: str) -> None:
        """Check the names of classes before any picture is read.

        Raises:
            ValueError: a class that the label set does not have, and no model is asked for.
        """
        names = load_taxonomy(taxonomy_name).names
        asked = {"weights": set(self.weights), "classes": set() if self.finders else set(self.classes)}
        for argument, given in asked.items():
            if unknown := sorted(given - set(names)):
                raise ValueError(
                    f"`{argument}` name {unknown}, which {taxonomy_name} has not; it has {', '.join(names)}"
                )


def add_steering(payload: SemanticPayload, picture: np.ndarray, options: SteeringOptions) -> SemanticPayload:
    """Return a payload with the layers of importance and regions that options ask for.

    Args:
        payload: of labels and colors.
        picture: (H, W, 3) uint8, of the payload's size.
        options: what is wanted. Where nothing is found of what should be kept, there are no regions, and a
            `RegionsWarning` says so.

    Raises:
        ValueError: a mask, box or polygon that does not fit the picture.
    """
    layers: list[Layer] = []
    importance = None
    if options.has_importance:
        importance = make_importance(pixel_importance(payload, picture, options), strength=options.strength)
        layers.append(importance)
    if options.has_regions:
        regions = outlining.make_regions(_outlines(payload, picture, options, importance), options.inner_levels)
        if regions is None:
            warnings.warn("Nothing was found to be kept: the file has no regions", RegionsWarning, stacklevel=2)
        else:
            layers.append(regions)
    return payload.with_layers(*layers)


def steering_of(payload: SemanticPayload) -> Steering | None:
    """Return what the importance and the regions of a payload do to its detail; None without both."""
    importance, regions = payload.layer(ImportanceLayer), payload.layer(RegionsLayer)
    if importance is None and regions is None:
        return None
    return Steering(payload.height, payload.width, importance, regions)


def pixel_importance(payload: SemanticPayload, picture: np.ndarray, options: SteeringOptions) -> np.ndarray:
    """Return how much each pixel matters, (H, W) float64, 0 or more: maps × weight of its class × mask."""
    height, width = picture.shape[:2]
    total = np.ones((height, width))
    if options.maps:
        maps = [np.asarray(find(picture), dtype=np.float64) for find in options.maps]
        total = np.mean([each / max(each.mean(), 1e-12) for each in maps], axis=0) + FLOOR
    if options.weights:
        names = payload.labels.taxonomy.names
        weights = np.array([float(options.weights.get(name, 1.0)) for name in names])
        total = total * weights[enlarge(payload.label_map, height, width)]
    if options.importance_mask is not None:
        mask = options.importance_mask
        mask = np.asarray(mask.convert("L") if isinstance(mask, Image.Image) else mask, dtype=np.float64)
        if mask.shape != (height, width):
            raise ValueError(
                f"`importance_mask` has shape {mask.shape}, the picture ({height}, {width}); give one of that size"
            )
        if not np.isfinite(mask).all() or mask.min() < 0 or mask.max() <= 0:
            raise ValueError("`importance_mask` must hold numbers of 0 and more, and not 0 alone")
        total = total * (mask / mask.max() + FLOOR)
    return total


def _outlines(
    payload: SemanticPayload, picture: np.ndarray, options: SteeringOptions, importance: ImportanceLayer | None
) -> list[Outline]:
    width, height = payload.width, payload.height
    outlines = [outlining.outline_of_box(box, width, height) for box in options.boxes]
    outlines += [outlining.outline_of_mask(mask, width, height) for mask in options.masks]
    outlines += [outlining.outline_of_polygon(corners, width, height) for corners in options.polygons]
    ids = {name: number for number, name in enumerate(payload.labels.taxonomy.names)}
    special = {name: number for number, name in SPECIAL_NAMES.items()}
    if options.finders:
        for found in (found for find in options.finders for found in find(picture)):
            if not options.classes or found.name in options.classes:
                class_id = ids.get(found.name, special.get(found.name, UNNAMED))
                outlines.append(Outline(found.mask, class_id, found.score))
    else:
        wanted = [ids[name] for name in options.classes]
        outlines += outlining.outlines_of_classes(payload.label_map, wanted, width, height)
    if options.important_from is not None and importance is not None:
        outlines += outlining.outlines_of_importance(importance.levels, options.important_from, width, height)
    return outlines
