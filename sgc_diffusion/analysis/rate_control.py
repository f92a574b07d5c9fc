"""Rate control: the payload with the least distortion that fits into a number of bytes.

    fine labels ──grid, merged classes, islands──▶ label options ─┐  least distortion
    fine colors ──grid, quality──────────────────▶ color options ─┴──within max_bytes──▶ payload

The distortion is the sum of two parts, both over the fine maps that the picture gave:

    labels  the share of fine cells whose label differs from the coarse map's, each counted by the weight of its class
    colors  the root mean square error of the enlarged color map, divided by 128 gray levels

so that one label in a hundred weighs as much as 1.28 gray levels. Label and color bytes add up, so each side is
reduced to the options that no other beats in both bytes and distortion, and the best pair that fits is searched.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from PIL import Image
from scipy import ndimage

from sgc_diffusion.analysis.color import grid_size
from sgc_diffusion.payload import ColorLayer, DecoderRecipe, LabelLayer, SemanticPayload
from sgc_diffusion.taxonomy import class_table, load_taxonomy

COLOR_RANGE = 128.0  # gray levels of error that weigh as much as all labels wrong
LABEL_CELLS = (4, 16, 36, 64, 144, 256, 400, 576, 784, 1024, 1600, 2304, 4096)
COLOR_CELLS = (1, 4, 9, 16, 36, 64, 100, 144, 256, 400, 576, 1024, 2304)
QUALITIES = tuple(range(12, 60, 4))  # of `color_transform`
ISLAND_CELLS = (0, 2, 4)  # regions of fewer cells are dropped
MAX_LABEL_SIDE, MAX_COLOR_SIDE = 256, 64

Layer = TypeVar("Layer", LabelLayer, ColorLayer)


@dataclass(frozen=True)
class RateChoice:
    """What the search found.

    Attributes:
        payload: the best one that fits.
        size_bytes: of its file.
        distortion: sum of the two parts.
        label_distortion: weighted share of labels that differ, 0 … 1.
        color_distortion: root mean square error / 128 gray levels.
    """

    payload: SemanticPayload
    size_bytes: int
    distortion: float
    label_distortion: float
    color_distortion: float


@dataclass(frozen=True)
class _Option(Generic[Layer]):
    layer: Layer
    size_bytes: int  # beyond the smallest layer of its kind
    distortion: float


def choose_payload(
    label_map: np.ndarray,
    color_map: np.ndarray,
    *,
    taxonomy_name: str,
    size: tuple[int, int],
    max_bytes: int,
    count_bytes: Callable[[SemanticPayload], int],
    recipe: DecoderRecipe | None = None,
    class_weights: np.ndarray | None = None,
    merged: Sequence[str] = (),
) -> RateChoice:
    """Choose grids, merged classes, dropped islands and color precision for a budget.

    Args:
        label_map: (H, W) uint8 fine ids, of a size that a payload may have; a grid never has more cells.
        color_map: (H', W', 3) uint8 sRGB, the picture reduced to at most 64 cells a side; likewise.
        taxonomy_name: the label set of the ids, which the payload keeps.
        size: width and height of the picture, pixels.
        max_bytes: what the file may take.
        count_bytes: size of the file of a payload, such as `lambda payload: len(bitstream.encode(payload))`.
        recipe: stored in the payload; the default one if None.
        class_weights: (K,) how much a wrong label counts for each true class; all alike if None.
        merged: label sets by whose groups classes may be merged, such as `("landscape-8",)`: each group then has the id
            of its member with the most cells.

    Raises:
        ValueError: no payload fits; the message says how many bytes the smallest takes.
    """
    weights = np.ones(load_taxonomy(taxonomy_name).num_classes) if class_weights is None else class_weights

    def make(labels: LabelLayer, color: ColorLayer) -> SemanticPayload:
        return SemanticPayload(size[0], size[1], labels, color, recipe or DecoderRecipe())

    label_layers = list(_label_layers(label_map, taxonomy_name, weights, merged))
    color_layers = list(_color_layers(color_map))
    base = (label_layers[0], color_layers[0])
    base_bytes = count_bytes(make(*base))
    label_bytes = [count_bytes(make(one, base[1])) - base_bytes for one in label_layers]
    color_bytes = [count_bytes(make(base[0], one)) - base_bytes for one in color_layers]
    label_errors = [label_distortion(label_map, one.label_map, weights) for one in label_layers]
    color_errors = [color_distortion(color_map, one.color_map) for one in color_layers]
    labels = _best_options(map(_Option, label_layers, label_bytes, label_errors))
    colors = _best_options(map(_Option, color_layers, color_bytes, color_errors))
    for margin in range(8):  # a length field may take a byte more when both layers are large
        pair = _best_pair(labels, colors, max_bytes - base_bytes - margin)
        if pair is not None:
            payload = make(pair[0].layer, pair[1].layer)
            if count_bytes(payload) <= max_bytes:
                return _choice(payload, count_bytes(payload), pair[0].distortion, pair[1].distortion)
    smallest = count_bytes(make(labels[0].layer, colors[0].layer))
    raise ValueError(
        f"`max_bytes` {max_bytes} is too few: the smallest file of this {size[0]}×{size[1]} picture takes {smallest} "
        f"bytes ({8 * smallest / (size[0] * size[1]):.5f} bpp); allow as many"
    )


def _choice(payload: SemanticPayload, size_bytes: int, label_error: float, color_error: float) -> RateChoice:
    return RateChoice(payload, size_bytes, label_error + color_error, label_error, color_error)


def label_distortion(label_map: np.ndarray, coarse: np.ndarray, class_weights: np.ndarray) -> float:
    """Return the weighted share, 0 … 1, of (H, W) `label_map` that differs from the enlarged (h, w) `coarse`."""
    rows = np.arange(label_map.shape[0]) * coarse.shape[0] // label_map.shape[0]
    columns = np.arange(label_map.shape[1]) * coarse.shape[1] // label_map.shape[1]
    weights = class_weights[label_map]
    return float((weights * (coarse[rows][:, columns] != label_map)).sum() / max(weights.sum(), 1e-12))


def color_distortion(color_map: np.ndarray, coarse: np.ndarray) -> float:
    """Return the root mean square error / 128 of the enlarged (h, w, 3) `coarse` against (H, W, 3) `color_map`."""
    size = (color_map.shape[1], color_map.shape[0])
    enlarged = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    return float(np.sqrt(((enlarged.astype(np.float64) - color_map) ** 2).mean()) / COLOR_RANGE)


def reduce_by_votes(label_map: np.ndarray, rows: int, columns: int, class_weights: np.ndarray) -> np.ndarray:
    """Give each cell the label that leaves the least weighted disagreement.

    Args:
        label_map: (H, W) uint8 ids.
        rows: of the grid, at most H.
        columns: of the grid, at most W.
        class_weights: (K,) how much a pixel of each class counts.

    Returns:
        (rows, columns) uint8.
    """
    row_starts = np.arange(rows) * label_map.shape[0] // rows
    column_starts = np.arange(columns) * label_map.shape[1] // columns
    best, chosen = np.full((rows, columns), -1.0), np.zeros((rows, columns), dtype=np.uint8)
    for label in np.unique(label_map):
        held = (label_map == label).astype(np.float64)
        votes = np.add.reduceat(np.add.reduceat(held, row_starts, axis=0), column_starts, axis=1) * class_weights[label]
        chosen[votes > best] = label
        best = np.maximum(best, votes)
    return chosen


def merge_classes(label_map: np.ndarray, taxonomy_name: str, target: str) -> np.ndarray:
    """Merge the classes that are one in another label set; each group takes the id of its member with the most cells.

    Args:
        label_map: (h, w) uint8 ids of `taxonomy_name`.
        taxonomy_name: the label set of the ids, and of the result.
        target: the label set by whose classes they are grouped.

    Returns:
        (h, w) uint8 ids of `taxonomy_name`.
    """
    groups = class_table(taxonomy_name, target)
    counts = np.bincount(label_map.ravel(), minlength=len(groups))
    table = np.arange(len(groups), dtype=np.uint8)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        table[members] = members[counts[members].argmax()]
    return table[label_map]


def drop_islands(label_map: np.ndarray, min_cells: int) -> np.ndarray:
    """Give connected regions of few cells the label that most of their neighbors have.

    Args:
        label_map: (h, w) uint8 ids.
        min_cells: regions of fewer cells are dropped; 0 and 1 change nothing.

    Returns:
        (h, w) uint8.
    """
    result = label_map.copy()
    regions = np.empty(label_map.shape, dtype=np.int32)
    for label in np.unique(label_map):
        ndimage.label(label_map == label, output=regions)
        sizes = np.bincount(regions.ravel())
        for region in np.flatnonzero(sizes < min_cells):
            if region:
                inside = regions == region
                around = ndimage.binary_dilation(inside) & ~inside
                if around.any():
                    result[inside] = np.bincount(result[around]).argmax()
    return result


def _grids(fine: np.ndarray, cells: Sequence[int], max_side: int) -> list[tuple[int, int]]:
    """Return the different grids of about some numbers of cells, as rows and columns; the fine map's own is last."""
    height, width = fine.shape[:2]
    return list(dict.fromkeys([*(grid_size(width, height, one, max_side) for one in cells), (height, width)]))


def _label_layers(
    label_map: np.ndarray, taxonomy_name: str, weights: np.ndarray, merged: Sequence[str]
) -> Iterator[LabelLayer]:
    yield LabelLayer(reduce_by_votes(label_map, 1, 1, weights), taxonomy_name)
    for rows, columns in _grids(label_map, LABEL_CELLS, MAX_LABEL_SIDE):
        coarse = reduce_by_votes(label_map, rows, columns, weights)
        options = [coarse, *(merge_classes(coarse, taxonomy_name, target) for target in merged)]
        options = [drop_islands(one, min_cells) for one in options for min_cells in ISLAND_CELLS]
        distinct = {one.tobytes(): one for one in options}
        yield from (LabelLayer(one, taxonomy_name) for one in distinct.values())


def _color_layers(color_map: np.ndarray) -> Iterator[ColorLayer]:
    image = Image.fromarray(color_map)
    for rows, columns in _grids(color_map, COLOR_CELLS, MAX_COLOR_SIDE):
        coarse = np.asarray(image.resize((columns, rows), Image.Resampling.BOX))
        for quality in reversed(QUALITIES):
            yield ColorLayer.from_color_map(coarse, quality)


def _best_options(options: Iterator[_Option[Layer]]) -> list[_Option[Layer]]:
    """Return the options that no other beats in both, with rising bytes and falling distortion."""
    best: list[_Option[Layer]] = []
    for option in sorted(options, key=lambda one: (one.size_bytes, one.distortion)):
        if not best or option.distortion < best[-1].distortion:
            best.append(option)
    return best


def _best_pair(
    labels: list[_Option[LabelLayer]], colors: list[_Option[ColorLayer]], num_bytes: int
) -> tuple[_Option[LabelLayer], _Option[ColorLayer]] | None:
    """Return the pair of least distortion whose bytes fit, or None."""
    sizes = [option.size_bytes for option in colors]
    pairs = []
    for option in labels:
        index = bisect_right(sizes, num_bytes - option.size_bytes)
        if index:
            pairs.append((option, colors[index - 1]))
    return min(pairs, key=lambda pair: pair[0].distortion + pair[1].distortion, default=None)
