"""Rate control: the payload with the least distortion that fits into a number of bytes.

    fine labels ──grid, merged classes, islands──▶ label options ─┐  least distortion
    fine colors ──grid, quality──────────────────▶ color options ─┴──within max_bytes──▶ payload

The distortion is the sum of two parts, both over the fine maps that the picture gave:

    labels  the share of fine cells whose label differs from that of the coarse map enlarged as a decoder enlarges it,
            each counted by the weight of its class
    colors  the root mean square error of the enlarged color map, divided by 128 gray levels

and each cell counted by the importance of its place, where there is one,

so that one label in a hundred weighs as much as 1.28 gray levels. Label and color bytes add up, so each side is
reduced to the options that no other beats in both bytes and distortion, and the best pair that fits is searched.
Options come from coarse to fine and stop where none fits, so that a small budget is quickly met, and a larger one sees
all that a smaller one saw: more bytes never give more distortion.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from PIL import Image

from sgc_diffusion.analysis.grid import grid_size, vote
from sgc_diffusion.analysis.simplification import drop_islands, merge_classes
from sgc_diffusion.payload import ColorLayer, DecoderRecipe, LabelLayer, Layer, SemanticPayload
from sgc_diffusion.payload.grid import enlarge
from sgc_diffusion.taxonomy import load_taxonomy

COLOR_RANGE = 128.0  # gray levels of error that weigh as much as all labels wrong
LABEL_CELLS = (4, 16, 36, 64, 144, 256, 400, 576, 784, 1024, 1600, 2304, 4096)
COLOR_CELLS = (1, 4, 9, 16, 36, 64, 100, 144, 256, 400, 576, 1024, 2304)
QUALITIES = tuple(range(56, 11, -4))  # of `color_transform`, from coarse to fine
ISLAND_CELLS = (4, 2, 0)  # regions of fewer cells are dropped; from coarse to fine
MAX_LABEL_SIDE, MAX_COLOR_SIDE = 256, 64
# The coarsest layer of a kind is not always its smallest, so that an option may take a little more than what the
# coarsest of the other kind leaves.
MARGIN_BYTES = 8

LayerT = TypeVar("LayerT", LabelLayer, ColorLayer)


@dataclass(frozen=True)
class RateChoice:
    """What the search chose.

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
class _Option(Generic[LayerT]):
    layer: LayerT
    size_bytes: int
    distortion: float


def choose_payload(
    label_map: np.ndarray,
    color_map: np.ndarray,
    *,
    taxonomy_name: str,
    size: tuple[int, int],
    max_bytes: int,
    count_bytes: Callable[[SemanticPayload], int],
    count_layer_bytes: Callable[[Layer], int] | None = None,
    recipe: DecoderRecipe | None = None,
    class_weights: np.ndarray | None = None,
    merged: Sequence[str] = (),
    importance: np.ndarray | None = None,
) -> RateChoice:
    """Choose grids, merged classes, dropped islands and color precision for a budget.

    Args:
        label_map: (H, W) uint8 fine ids, of a size that a payload may have; a grid never has more cells.
        color_map: (H', W', 3) uint8 sRGB, the picture reduced to at most 64 cells a side; a grid never has more cells.
        taxonomy_name: the label set of the ids, which the payload keeps.
        size: width and height of the picture, pixels.
        max_bytes: what the file may take.
        count_bytes: size of the file of a payload, such as `bitstream.size_bytes`.
        count_layer_bytes: what a label or color layer adds to a file, up to a constant; if None, it is told from whole
            files, which takes a little longer.
        recipe: stored in the payload; the default one if None.
        class_weights: (K,) float, how much a wrong label counts for each true class; all alike if None.
        merged: label sets by whose groups classes may be merged, such as `("landscape-8",)`: each group then has the id
            of its member with the most cells.
        importance: (h, w) float, 0 or more, over the whole picture: how much each place counts; all alike if None.

    Raises:
        ValueError: no payload fits; the message says how many bytes the smallest takes.
    """
    weights = np.ones(load_taxonomy(taxonomy_name).num_classes) if class_weights is None else class_weights

    def make(labels: LabelLayer, color: ColorLayer) -> SemanticPayload:
        return SemanticPayload(size[0], size[1], labels, color, recipe or DecoderRecipe())

    labels = LabelLayer(vote(label_map, 1, 1, weights), taxonomy_name)
    color = ColorLayer.from_color_map(_reduce_colors(color_map, 1, 1), QUALITIES[0])
    count_labels = count_layer_bytes or (lambda layer: count_bytes(make(layer, color)))
    count_color = count_layer_bytes or (lambda layer: count_bytes(make(labels, layer)))
    rest = count_bytes(make(labels, color)) - count_labels(labels) - count_color(color)  # of the file
    limit = max(max_bytes - rest - count_labels(labels) - count_color(color), 0) + MARGIN_BYTES

    label_options = _options(
        _label_layers(label_map, taxonomy_name, weights, merged),
        count_labels,
        lambda layer: label_distortion(label_map, layer.label_map, weights, importance),
        count_labels(labels) + limit,
    )
    color_options = _options(
        _color_layers(color_map),
        count_color,
        lambda layer: color_distortion(color_map, layer.color_map, importance),
        count_color(color) + limit,
    )
    best_labels, best_colors = _best_options(label_options), _best_options(color_options)
    for pair in _pairs(best_labels, best_colors, max_bytes - rest):
        payload = make(pair[0].layer, pair[1].layer)
        size_bytes = count_bytes(payload)
        if size_bytes <= max_bytes:
            errors = pair[0].distortion, pair[1].distortion
            return RateChoice(payload, size_bytes, sum(errors), *errors)
    smallest = count_bytes(make(best_labels[0].layer, best_colors[0].layer))
    raise ValueError(
        f"`max_bytes` {max_bytes} is too few: the smallest file of this {size[0]}×{size[1]} picture takes {smallest} "
        f"bytes ({8 * smallest / (size[0] * size[1]):.5f} bpp); allow as many"
    )


def label_distortion(
    label_map: np.ndarray, coarse: np.ndarray, class_weights: np.ndarray, importance: np.ndarray | None = None
) -> float:
    """Return the weighted share of a fine map that differs from a coarse map enlarged to its size.

    Args:
        label_map: (H, W) integer ids.
        coarse: (h, w) integer ids.
        class_weights: (K,) float, how much a cell of each true class counts, 0 or more.
        importance: (h, w) float, how much each place counts, 0 or more; all alike if None.

    Returns:
        0 … 1.
    """
    weights = class_weights[label_map]
    if importance is not None:
        weights = weights * enlarge(importance, *label_map.shape)
    return float((weights * (enlarge(coarse, *label_map.shape) != label_map)).sum() / max(weights.sum(), 1e-12))


def color_distortion(color_map: np.ndarray, coarse: np.ndarray, importance: np.ndarray | None = None) -> float:
    """Return the error of a coarse color map enlarged to the size of a fine one.

    Args:
        color_map: (H, W, 3) uint8 sRGB.
        coarse: (h, w, 3) uint8 sRGB.
        importance: (h, w) float, how much each place counts, 0 or more; all alike if None.

    Returns:
        Root mean square error / 128 gray levels.
    """
    size = (color_map.shape[1], color_map.shape[0])
    enlarged = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    errors = ((enlarged.astype(np.float64) - color_map) ** 2).mean(axis=2)
    weights = None if importance is None else enlarge(importance, *errors.shape)
    return float(np.sqrt(np.average(errors, weights=weights)) / COLOR_RANGE)


def _grids(fine: np.ndarray, cells: Sequence[int], max_side: int) -> list[tuple[int, int]]:
    """Return the different grids of about some numbers of cells, as rows and columns; the fine map's own is last."""
    height, width = fine.shape[:2]
    return list(dict.fromkeys([*(grid_size(width, height, number, max_side) for number in cells), (height, width)]))


def _label_layers(
    label_map: np.ndarray, taxonomy_name: str, weights: np.ndarray, merged: Sequence[str]
) -> Iterator[Sequence[Iterable[LabelLayer]]]:
    """Yield for each grid, from coarse to fine, its ways to merge classes, and in each the maps from plain to full."""

    def simplified(coarse: np.ndarray) -> Iterator[LabelLayer]:
        last = None
        for min_cells in ISLAND_CELLS:
            label_map = drop_islands(coarse, min_cells)
            if last is None or not np.array_equal(label_map, last):
                yield LabelLayer(label_map, taxonomy_name)
            last = label_map

    yield [[LabelLayer(vote(label_map, 1, 1, weights), taxonomy_name)]]
    for rows, columns in _grids(label_map, LABEL_CELLS, MAX_LABEL_SIDE):
        coarse = vote(label_map, rows, columns, weights)
        maps = [coarse, *(merge_classes(coarse, taxonomy_name, target) for target in merged)]
        yield [simplified(different) for different in {each.tobytes(): each for each in maps}.values()]


def _color_layers(color_map: np.ndarray) -> Iterator[Sequence[Iterable[ColorLayer]]]:
    """Yield for each grid, from coarse to fine, the layers of rising precision."""
    for rows, columns in _grids(color_map, COLOR_CELLS, MAX_COLOR_SIDE):
        coarse = _reduce_colors(color_map, rows, columns)
        yield [(ColorLayer.from_color_map(coarse, quality) for quality in QUALITIES)]


def _reduce_colors(color_map: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.asarray(Image.fromarray(color_map).resize((columns, rows), Image.Resampling.BOX))


def _options(
    grids: Iterable[Sequence[Iterable[LayerT]]],
    count_bytes: Callable[[LayerT], int],
    measure: Callable[[LayerT], float],
    limit: int,
) -> Iterator[_Option[LayerT]]:
    """Yield what takes at most `limit` bytes, until a grid has nothing that does."""
    for ways in grids:
        any_fits = False
        for layers in ways:
            for layer in layers:
                size_bytes = count_bytes(layer)
                if size_bytes > limit:
                    break  # what follows says more, and takes more
                any_fits = True
                yield _Option(layer, size_bytes, measure(layer))
        if not any_fits:
            return


def _best_options(options: Iterable[_Option[LayerT]]) -> list[_Option[LayerT]]:
    """Return the options that no other beats in both, with rising bytes and falling distortion."""
    best: list[_Option[LayerT]] = []
    for option in sorted(options, key=lambda option: (option.size_bytes, option.distortion)):
        if not best or option.distortion < best[-1].distortion:
            best.append(option)
    return best


def _pairs(
    labels: list[_Option[LabelLayer]], colors: list[_Option[ColorLayer]], num_bytes: int
) -> list[tuple[_Option[LabelLayer], _Option[ColorLayer]]]:
    """Return each label option with the best color option whose bytes fit beside it, the least distortion first."""
    sizes = [option.size_bytes for option in colors]
    pairs = []
    for option in labels:
        index = bisect_right(sizes, num_bytes - option.size_bytes)
        if index:
            pairs.append((option, colors[index - 1]))
    return sorted(pairs, key=lambda pair: pair[0].distortion + pair[1].distortion)
