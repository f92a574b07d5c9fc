"""Payload → another payload, without the picture: classes renamed, a part cut out. Nothing is drawn, no network runs.

rename_classes: label map ──table──▶ label map; the file is drawn with what it now says
crop: grids ──the cells of the box──▶ grids; where there is detail, its likeness ──the pixels of the box──▶ detail
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from PIL import Image

from sgc_diffusion.analysis.alpha import exact_alpha
from sgc_diffusion.analysis.detail import add_detail
from sgc_diffusion.analysis.grid import vote
from sgc_diffusion.payload import AlphaLayer, ColorLayer, DetailLevel, LabelLayer, Layer, SemanticPayload
from sgc_diffusion.payload.detail import likeness
from sgc_diffusion.payload.regions import RegionsLayer

VOTES_PER_SIDE = 4  # places in a cell, along each side, whose labels vote
MAX_PIXELS = 89_478_485  # of a picture whose detail is decoded to be cropped


def rename_classes(payload: SemanticPayload, renamed: Mapping[str, str]) -> SemanticPayload:
    """Return a payload whose labels say something else; all at once, so two classes can change places.

    Args:
        payload: of any taxonomy.
        renamed: class name → name of another class of the same taxonomy.

    Raises:
        ValueError: a name that the taxonomy has not.

    Example:
        >>> rename_classes(payload, {"sea": "field"}).labels.taxonomy_name == payload.labels.taxonomy_name
        True
    """
    names = payload.labels.taxonomy.names
    unknown = sorted({*renamed, *renamed.values()} - set(names))
    if unknown:
        raise ValueError(
            f"`renamed` has {', '.join(unknown)}, which {payload.labels.taxonomy_name} has not; it has "
            f"{', '.join(names)}"
        )
    table = np.arange(len(names), dtype=np.uint8)
    for old, new in renamed.items():
        table[names.index(old)] = names.index(new)
    labels = LabelLayer(table[payload.label_map], payload.labels.taxonomy_name)
    return replace(payload, labels=labels, layers=tuple(_rename(layer, table) for layer in payload.layers))


def _rename(layer: Layer, table: np.ndarray) -> Layer:
    """Return a layer with its regions renamed; `table` is (K,) uint8, what each class becomes."""
    if not isinstance(layer, RegionsLayer):
        return layer
    regions = [
        replace(region, class_id=int(table[region.class_id])) if region.class_id < len(table) else region
        for region in layer.regions
    ]
    return replace(layer, regions=tuple(regions))


def crop(payload: SemanticPayload, left: int, top: int, width: int, height: int) -> SemanticPayload:
    """Return the payload of a part of a picture.

    The grids keep the size of their cells. Exact detail stays exact; coarser detail is coded anew from what it says,
    at the same level everywhere. Layers that say where bits went (importance, regions) or that only a network reads
    (latents) are left out.

    Args:
        payload: of the whole picture.
        left: first column of the part, pixels.
        top: first row, pixels.
        width: of the part, pixels.
        height: of the part, pixels.

    Raises:
        ValueError: a box that does not lie within the picture, or detail of a picture that is too large to be decoded.
    """
    if not (0 <= left < left + width <= payload.width and 0 <= top < top + height <= payload.height):
        raise ValueError(
            f"`left`, `top`, `width`, `height` must be a box within {payload.width}×{payload.height} pixels, got "
            f"{left}, {top}, {width}, {height}"
        )
    box = left, top, width, height
    part = SemanticPayload(
        width=width,
        height=height,
        labels=LabelLayer(_crop_labels(payload, box), payload.labels.taxonomy_name),
        color=ColorLayer.from_color_map(_crop_colors(payload, box), payload.color.quality),
        recipe=payload.recipe,
    )
    alpha, detail = payload.layer(AlphaLayer), _finest(payload)
    if (alpha is not None or detail is not None) and payload.width * payload.height > MAX_PIXELS:
        raise ValueError(f"`payload` has detail of more than {MAX_PIXELS} pixels, which are not decoded to be cropped")
    rows, columns = slice(top, top + height), slice(left, left + width)
    if alpha is not None:
        part = replace(part, layers=(exact_alpha(alpha.alpha(payload.height, payload.width)[rows, columns]),))
    if detail is None:
        return part
    pixels = np.ascontiguousarray(likeness(detail.state)[rows, columns])
    detailed = add_detail(replace(part, layers=()), pixels, detail.level)
    return replace(part, layers=(*part.layers, *detailed.layers))


def left_out(payload: SemanticPayload) -> list[str]:
    """Return what `crop` leaves out of a payload: names of its layers' classes, once each."""
    kept = (AlphaLayer, DetailLevel)
    return sorted({type(layer).__name__ for layer in payload.layers if not isinstance(layer, kept)})


def _finest(payload: SemanticPayload) -> DetailLevel | None:
    return next((layer for layer in reversed(payload.layers) if isinstance(layer, DetailLevel)), None)


def _crop_labels(payload: SemanticPayload, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return the labels of a box of pixels (left, top, width, height), (h, w) uint8 in cells of about the same size."""
    left, top, width, height = box
    label_map = payload.label_map
    rows = max(1, round(height * label_map.shape[0] / payload.height))
    columns = max(1, round(width * label_map.shape[1] / payload.width))
    down = _places(top, height, rows, payload.height, label_map.shape[0])
    across = _places(left, width, columns, payload.width, label_map.shape[1])
    return vote(label_map[down][:, across], rows, columns)


def _places(start: int, length: int, num_cells: int, whole: int, num_old_cells: int) -> np.ndarray:
    """Return (4 · cells,) int64: in which old cell each place lies that votes for a new one, along one side."""
    steps = num_cells * VOTES_PER_SIDE
    return (2 * start * steps + (2 * np.arange(steps) + 1) * length) * num_old_cells // (2 * steps * whole)


def _crop_colors(payload: SemanticPayload, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return the colors of a box of pixels, (h, w, 3) uint8 in cells of about the same size."""
    left, top, width, height = box
    color_map = payload.color_map
    down, across = color_map.shape[0] / payload.height, color_map.shape[1] / payload.width
    size = max(1, round(width * across)), max(1, round(height * down))
    part = (left * across, top * down, (left + width) * across, (top + height) * down)
    return np.asarray(Image.fromarray(color_map).resize(size, Image.Resampling.BOX, box=part))
