"""Outlines of what must be kept: objects whose pixels are coded before everything else, to the bit unless told less.

After Samarathunga et al. (S5): three enhancement levels inside the regions, the last one exact; outside, a decoder
draws. A region lies on a grid over the whole picture whose longer side has a power of two of cells, finer for small
objects; only its box on the grid is coded. Regions may overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sgc_diffusion.payload.grid import cell_indices
from sgc_diffusion.payload.layer import Layer, frozen_array, same_fields
from sgc_diffusion.payload.scalars import plain_integer

REGIONS_KIND = 2
MAX_REGIONS = 32
MIN_EXPONENT, MAX_EXPONENT = 3, 10  # binary logarithms of the cells along the longer side of the picture
MAX_OUTLINE_CELLS = 2**14  # of the box of a region that is no full box, so that no few bytes can keep a reader busy
MAX_CELLS = 2**16  # of all these boxes
MAX_SCORE = 15
INNER_LEVELS = (6, 8, 15)  # about JPEG's quality 75 and 90, as in S5, and every pixel exact
FACE, TEXT, UNNAMED = 253, 254, 255  # class ids beyond those of every taxonomy
SPECIAL_NAMES = {FACE: "face", TEXT: "text", UNNAMED: "region"}


def grid_sides(exponent: int, height: int, width: int) -> tuple[int, int]:
    """Return rows and columns of the grid of a picture: 2^exponent along the longer side, the other in proportion.

    Args:
        exponent: 3 … 10.
        height: of the picture, pixels.
        width: of the picture, pixels.
    """
    longest = max(height, width)
    rows, columns = (max(1, ((2 << exponent) * side + longest) // (2 * longest)) for side in (height, width))
    return rows, columns


@dataclass(frozen=True, eq=False)
class Region:
    """One outline.

    Attributes:
        exponent: of its grid, see `grid_sides`; 3 … 10.
        top: first row of its box on the grid.
        left: first column of its box.
        mask: (h, w) bool, the cells of the box that belong to it; every side of the box has one that does.
        class_id: what it is: an id of the payload's taxonomy, or `FACE`, `TEXT` or `UNNAMED`.
        score: how sure the model was, 0 … 15 fifteenths; 15 for what a user asked for.

    Raises:
        ValueError: a number out of range, a mask that is not of the size of its box, or more than 16384 cells in the
            box of a region that does not fill it.
    """

    exponent: int
    top: int
    left: int
    mask: np.ndarray
    class_id: int = UNNAMED
    score: int = MAX_SCORE

    def __post_init__(self) -> None:
        longest = 1 << MAX_EXPONENT
        limits = {"exponent": (MIN_EXPONENT, MAX_EXPONENT), "top": (0, longest - 1), "left": (0, longest - 1)}
        limits |= {"class_id": (0, UNNAMED), "score": (0, MAX_SCORE)}
        for name, (lowest, highest) in limits.items():
            object.__setattr__(self, name, plain_integer(name, getattr(self, name), lowest, highest))
        mask = np.asarray(self.mask)
        if mask.ndim != 2 or mask.dtype != bool or not mask.size:
            raise ValueError(f"`mask` must be of shape (h, w) and dtype bool, got {mask.dtype} {mask.shape}")
        if not (mask[0].any() and mask[-1].any() and mask[:, 0].any() and mask[:, -1].any()):
            raise ValueError("`mask` must reach every side of its box; cut it to its cells")
        if self.top + mask.shape[0] > 1 << self.exponent or self.left + mask.shape[1] > 1 << self.exponent:
            raise ValueError(
                f"`mask` of {mask.shape} cells at ({self.top}, {self.left}) leaves its grid of {1 << self.exponent}"
            )
        if mask.size > MAX_OUTLINE_CELLS and not mask.all():
            raise ValueError(
                f"`mask` may have at most {MAX_OUTLINE_CELLS} cells unless it fills its box, got {mask.size}; take a "
                "coarser grid"
            )
        object.__setattr__(self, "mask", frozen_array(mask))

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other) if isinstance(other, Region) else NotImplemented

    __hash__ = None  # type: ignore[assignment] - holds an array

    def fits(self, height: int, width: int) -> bool:
        """Return whether the box lies inside the grid of a picture."""
        rows, columns = grid_sides(self.exponent, height, width)
        return self.top + self.mask.shape[0] <= rows and self.left + self.mask.shape[1] <= columns

    def pixels(self, height: int, width: int) -> np.ndarray:
        """Return which pixels belong to it, (height, width) bool: those whose cell does."""
        rows, columns = grid_sides(self.exponent, height, width)
        y, x = cell_indices(height, rows) - self.top, cell_indices(width, columns) - self.left
        inside_y, inside_x = (y >= 0) & (y < self.mask.shape[0]), (x >= 0) & (x < self.mask.shape[1])
        picture = np.zeros((height, width), dtype=bool)
        picture[np.ix_(inside_y, inside_x)] = self.mask[np.ix_(y[inside_y], x[inside_x])]
        return picture


@dataclass(frozen=True, eq=False)
class RegionsLayer(Layer):
    """The regions of a picture and how well they are kept.

    Attributes:
        regions: 1 … 32.
        inner_levels: down to which detail level (see `payload.detail_bands`) the inside is known after levels 0, 1 and
            2 of the file; not falling, each 0 … 15, and 15 is exact.

    Raises:
        ValueError: no region or too many, more than 65536 cells in boxes that are not filled, or levels that fall or
            are out of range.
    """

    kind: ClassVar[int] = REGIONS_KIND
    regions: tuple[Region, ...]
    inner_levels: tuple[int, int, int] = INNER_LEVELS

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", tuple(self.regions))
        if not 1 <= len(self.regions) <= MAX_REGIONS or not all(isinstance(each, Region) for each in self.regions):
            raise ValueError(f"`regions` must be 1 to {MAX_REGIONS} of class Region, got {len(self.regions)} objects")
        num_cells = sum(region.mask.size for region in self.regions if not region.mask.all())
        if num_cells > MAX_CELLS:
            raise ValueError(
                f"`regions` may have at most {MAX_CELLS} cells in all, got {num_cells}; take coarser grids"
            )
        levels = tuple(plain_integer("inner_levels", level, 0, 15) for level in self.inner_levels)
        if len(levels) != len(INNER_LEVELS) or list(levels) != sorted(levels):
            raise ValueError(f"`inner_levels` must be three that do not fall, got {levels}")
        object.__setattr__(self, "inner_levels", levels)

    @property
    def is_exact(self) -> bool:
        """Whether the third level makes the inside exact."""
        return self.inner_levels[-1] == INNER_LEVELS[-1]

    def fit(self, height: int, width: int) -> bool:
        """Return whether every region lies on the grid of a picture."""
        return all(region.fits(height, width) for region in self.regions)

    def pixels(self, height: int, width: int) -> np.ndarray:
        """Return which pixels belong to any of them, (height, width) bool."""
        picture = np.zeros((height, width), dtype=bool)
        for region in self.regions:
            picture |= region.pixels(height, width)
        return picture
