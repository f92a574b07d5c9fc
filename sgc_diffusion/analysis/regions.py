"""What is to be kept → outlines on grids: the regions layer.

    boxes, masks, polygons of a user ─────────────────┐
    classes of the label map ──connected components───┤
    importance ──cells above a level──────────────────┼──▶ masks of pixels ──grid, box──▶ `RegionsLayer`
    instances that a model finds ─────────────────────┘

What a user draws is covered whole; of what a model or a label map gives, cells that are filled by a quarter count.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from PIL import Image, ImageDraw

from sgc_diffusion.payload.grid import cell_indices, enlarge
from sgc_diffusion.payload.regions import (
    INNER_LEVELS,
    MAX_CELLS,
    MAX_EXPONENT,
    MAX_OUTLINE_CELLS,
    MAX_REGIONS,
    MAX_SCORE,
    MIN_EXPONENT,
    UNNAMED,
    Region,
    RegionsLayer,
    grid_sides,
)

USUAL_EXPONENT = 5  # 32 cells along the longer side of the picture
CELLS_ACROSS = 12  # at least, along the longer side of a small object, if the picture has the pixels
FILLED = 0.25  # share of a cell that makes it part of a region
LEAST_SHARE = 1 / 400  # of the picture; smaller components of label maps and importance are noise


class RegionsWarning(UserWarning):
    """Nothing was found to be kept, or more than a file can hold."""


@dataclass(frozen=True)
class Outline:
    """Pixels that belong together.

    Attributes:
        mask: (H, W) bool.
        class_id: as of `payload.regions.Region`.
        score: how sure the source is, 0 … 1.
        is_exact: every pixel must be inside the region, as for what a user draws.
    """

    mask: np.ndarray
    class_id: int = UNNAMED
    score: float = 1.0
    is_exact: bool = False


def make_region(outline: Outline) -> Region | None:
    """Return the region of an outline; None for one without pixels.

    A full box lies on the finest grid that the picture has pixels for; another outline on the usual one or, for a small
    object, on a finer one.
    """
    height, width = outline.mask.shape
    longest = max(height, width)
    rows, columns = np.flatnonzero(outline.mask.any(axis=1)), np.flatnonzero(outline.mask.any(axis=0))
    if not len(rows):
        return None
    box = outline.mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    finest = min(max(longest.bit_length() - 1, MIN_EXPONENT), MAX_EXPONENT)  # cells of a pixel and more
    if box.all():
        exponent = min(max((longest - 1).bit_length(), MIN_EXPONENT), MAX_EXPONENT)
    else:
        exponent = min(USUAL_EXPONENT, finest)
        while (max(box.shape) << exponent) < CELLS_ACROSS * longest and exponent < finest:
            exponent += 1
    while True:
        region = _on_grid(outline, exponent)
        if region is None or region.mask.all() or region.mask.size <= MAX_OUTLINE_CELLS:
            return region
        exponent -= 1


def _on_grid(outline: Outline, exponent: int) -> Region | None:
    height, width = outline.mask.shape
    rows, columns = grid_sides(exponent, height, width)
    y, x = cell_indices(height, rows), cell_indices(width, columns)
    by_row = np.zeros((rows, width), dtype=np.int32)
    np.add.at(by_row, y, outline.mask)
    counts = np.zeros((columns, rows), dtype=np.int32)
    np.add.at(counts, x, by_row.T)
    sizes = np.outer(np.bincount(y, minlength=rows), np.bincount(x, minlength=columns))
    least = 1 if outline.is_exact else np.maximum(FILLED * sizes, 1)
    cells = counts.T >= least
    if not cells.any():
        cells = counts.T == counts.max()  # an object that is smaller than a quarter of a cell
    top, left = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    mask = cells[top[0] : top[-1] + 1, left[0] : left[-1] + 1]
    if mask[sizes[top[0] : top[-1] + 1, left[0] : left[-1] + 1] > 0].all():
        mask = np.ones_like(mask)  # cells without a pixel belong to a full box too
    score = round(min(max(outline.score, 0), 1) * MAX_SCORE)
    return Region(exponent, int(top[0]), int(left[0]), mask, outline.class_id, score)


def make_regions(outlines: Sequence[Outline], inner_levels: tuple[int, int, int] = INNER_LEVELS) -> RegionsLayer | None:
    """Return the layer of outlines; None if they have no pixels.

    Of more than a file can hold the surest and largest are kept, with a `RegionsWarning`.
    """
    ordered = sorted(outlines, key=lambda outline: (outline.is_exact, outline.score, outline.mask.sum()), reverse=True)
    regions: list[Region] = []
    num_cells = left_out = 0
    for outline in ordered:
        region = make_region(outline)
        if region is None:
            continue
        cells = 0 if region.mask.all() else region.mask.size
        if len(regions) == MAX_REGIONS or num_cells + cells > MAX_CELLS:
            left_out += 1
            continue
        regions.append(region)
        num_cells += cells
    if left_out:
        text = f"A file holds {MAX_REGIONS} regions: the surest are kept, {left_out} are left out"
        warnings.warn(text, RegionsWarning, stacklevel=2)
    return RegionsLayer(tuple(regions), inner_levels) if regions else None


def outline_of_box(box: Sequence[int], width: int, height: int) -> Outline:
    """Return the outline of a box that a user gave; what lies beyond the picture is cut off.

    Args:
        box: left, top, width and height, pixels.
        width: of the picture.
        height: of the picture.

    Raises:
        ValueError: no four integers, an empty box, or one outside of the picture.
    """
    if len(box) != 4 or not all(isinstance(number, (int, np.integer)) for number in box):
        raise ValueError(f"`regions` must have boxes x, y, width, height of whole pixels, got {box!r}")
    left, top, across, down = map(int, box)
    if across < 1 or down < 1:
        raise ValueError(f"`regions` has the empty box {left},{top},{across},{down}; width and height are pixels")
    mask = np.zeros((height, width), dtype=bool)
    mask[max(top, 0) : max(top + down, 0), max(left, 0) : max(left + across, 0)] = True
    if not mask.any():
        raise ValueError(f"`regions` has the box {left},{top},{across},{down} outside of the {width}×{height} picture")
    return Outline(mask, is_exact=True)


def outline_of_mask(mask: Any, width: int, height: int) -> Outline:
    """Return the outline of a mask that a user gave.

    Args:
        mask: (H, W) array, or a picture of any mode, of the picture's size; what is above the middle is inside.
        width: of the picture.
        height: of the picture.

    Raises:
        ValueError: another size, or nothing inside.
    """
    if isinstance(mask, Image.Image):
        mask = np.asarray(mask.convert("L")) > 127
    mask = np.asarray(mask)
    if mask.dtype != bool:
        mask = mask > (127 if mask.dtype == np.uint8 else 0.5)
    if mask.shape != (height, width):
        raise ValueError(
            f"`regions` has a mask of shape {mask.shape} for a {width}×{height} picture; give one of its size"
        )
    if not mask.any():
        raise ValueError("`regions` has an empty mask; white, or true, is what is to be kept")
    return Outline(mask, is_exact=True)


def outline_of_polygon(corners: Sequence[Sequence[float]], width: int, height: int) -> Outline:
    """Return the outline of a polygon that a user gave.

    Args:
        corners: three or more (x, y), pixels.
        width: of the picture.
        height: of the picture.

    Raises:
        ValueError: fewer corners, or a polygon without a pixel of the picture.
    """
    if len(corners) < 3 or any(len(corner) != 2 for corner in corners):
        raise ValueError(f"`regions` must have polygons of three or more corners (x, y), got {list(corners)!r}")
    canvas = Image.new("1", (width, height))
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in corners], fill=1, outline=1)
    mask = np.asarray(canvas)
    if not mask.any():
        raise ValueError(f"`regions` has a polygon outside of the {width}×{height} picture")
    return Outline(mask, is_exact=True)


def outlines_of_classes(label_map: np.ndarray, class_ids: Iterable[int], width: int, height: int) -> list[Outline]:
    """Return the connected components of some classes of a label map.

    Args:
        label_map: (h, w) uint8.
        class_ids: wanted.
        width: of the picture, pixels.
        height: of the picture, pixels.
    """
    outlines = []
    for class_id in class_ids:
        outlines += [
            Outline(enlarge(component, height, width), class_id) for component in _components(label_map == class_id)
        ]
    return outlines


def outlines_of_importance(levels: np.ndarray, least: int, width: int, height: int) -> list[Outline]:
    """Return the connected components of an importance (h, w) uint8 of a level or more; see `outlines_of_classes`."""
    return [Outline(enlarge(component, height, width)) for component in _components(levels >= least)]


def _components(mask: np.ndarray) -> list[np.ndarray]:
    """Return the connected components of a mask (h, w) that are not too small."""
    from scipy import ndimage

    numbered, count = cast(tuple[np.ndarray, int], ndimage.label(mask, structure=np.ones((3, 3))))
    parts = [numbered == number for number in range(1, count + 1)]
    return [part for part in parts if part.sum() >= LEAST_SHARE * mask.size]
