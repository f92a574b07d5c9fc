"""What importance and regions do to the detail: some coefficients are known down to finer planes than others.

Normative, part of the file format. Every coefficient has a class, and every class, after level n of a file, is known
down to the planes of a level e of its own, of which −1 is nothing:

    n = 15, any class                       e = 15
    cells of importance v, strength s       e = n + s · (v − 1), at least −1 and at most 15; without importance e = n
    inside a region, n = 0, 1, 2            e is that one of the three inner levels of the regions
    inside a region, n ≥ 3                  e = the greater of the third inner level and ⌊5 · (n − 3) / 4⌋
    outside of all regions, if there are any: for n < 3 e = −1, else as above with ⌊5 · (n − 3) / 4⌋ in place of n

The class of a coefficient is the highest that any pixel has which it has part in; regions are above importance, and
that is above less importance. Along each axis the coefficient k of scale s has part in the pixels

    R(s) = 0, 5 for s = 0, 1, else 2^s + 11
    low    2^s · k − R(s) … 2^s · k + R(s)
    high   2^s · k − 2^(s − 1) − R(s − 1) … 2^s · k + 3 · 2^(s − 1) + R(s − 1)

of those that there are: along the columns HL and HH are high, along the rows LH and HH are, everything else is low. A
pixel x of an axis of n pixels lies in cell ⌊(2x + 1) · m / 2n⌋ of a grid of m cells.

So all coefficients are exact that the pixels of a region hang on, and these pixels are exact too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sgc_diffusion.payload.importance import ImportanceLayer
from sgc_diffusion.payload.layer import same_fields
from sgc_diffusion.payload.regions import RegionsLayer, grid_sides

NUM_INNER = 3  # levels of a file that are for the inside of the regions alone
_LOSSLESS, _NOTHING = 15, -1
_BANDS_AT_HAND = 2  # the channels of a place follow each other


@dataclass(frozen=True, eq=False)
class Steering:
    """The layers that steer the detail of a picture.

    Attributes:
        height: rows of the picture.
        width: columns of the picture.
        importance: None if the file has none.
        regions: None if the file has none.

    Raises:
        ValueError: neither of the layers, or a region outside of the picture.
    """

    height: int
    width: int
    importance: ImportanceLayer | None = None
    regions: RegionsLayer | None = None

    def __post_init__(self) -> None:
        if self.importance is None and self.regions is None:
            raise ValueError("`importance` and `regions` are both None; without them there is no steering")
        if self.regions is not None and not self.regions.fit(self.height, self.width):
            raise ValueError(f"`regions` must lie inside the {self.width}×{self.height} picture, got one outside")

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other) if isinstance(other, Steering) else NotImplemented

    __hash__ = object.__hash__  # by identity, to keep what was found out about an object at hand

    def levels(self, level: int) -> tuple[int, ...]:
        """Return down to which level's planes each class is known after a level of the file; −1 is nothing."""
        shifts = (0,) if self.importance is None else self.importance.shifts
        if level == _LOSSLESS:
            return (_LOSSLESS,) * (len(shifts) + (self.regions is not None))
        if self.regions is None:
            return tuple(min(max(level + shift, _NOTHING), _LOSSLESS) for shift in shifts)
        inner = self.regions.inner_levels
        if level < NUM_INNER:
            return (_NOTHING,) * len(shifts) + (inner[level],)
        base = 5 * (level - NUM_INNER) // 4
        return (*(min(max(base + shift, _NOTHING), _LOSSLESS) for shift in shifts), max(inner[-1], base))

    def classes(self, scale: int, is_high: tuple[bool, bool], rows: int, columns: int) -> np.ndarray:
        """Return the class of every coefficient of a band, (rows, columns) uint8, read-only.

        Args:
            scale: of the band.
            is_high: whether it holds details down its columns (LH, HH) and along its rows (HL, HH).
            rows: of the band.
            columns: of the band.
        """
        return _classes(self, scale, is_high, rows, columns)

    def _sources(self) -> Iterator[tuple[np.ndarray, tuple[int, int], tuple[int, int]]]:
        """Yield classes on a part of a grid, rows and columns of the whole grid, and where in it the part begins."""
        if self.importance is not None:
            yield self.importance.levels, self.importance.levels.shape, (0, 0)
        if self.regions is not None:
            highest = np.uint8(len(self.levels(0)) - 1)
            for region in self.regions.regions:
                sides = grid_sides(region.exponent, self.height, self.width)
                yield region.mask * highest, sides, (region.top, region.left)


@lru_cache(_BANDS_AT_HAND)
def _classes(steering: Steering, scale: int, is_high: tuple[bool, bool], rows: int, columns: int) -> np.ndarray:
    """Return what `Steering.classes` says."""
    classes = np.zeros((rows, columns), dtype=np.uint8)
    for grid, sides, corner in steering._sources():
        first = [
            _cells_touched(number, scale, high, num_pixels, side, start, cells)
            for number, high, num_pixels, side, start, cells in zip(
                (rows, columns), is_high, (steering.height, steering.width), sides, corner, grid.shape, strict=True
            )
        ]
        (y, top, down), (x, left, across) = first
        if len(y) and len(x):
            highest = _highest(_highest(grid, top, down).T, left, across).T
            part = classes[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
            np.maximum(part, highest, out=part)
    classes.flags.writeable = False
    return classes


def _cells_touched(
    number: int, scale: int, high: bool, num_pixels: int, side: int, start: int, cells: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which coefficients of an axis touch a part of a grid, and the first and last cell of it that each does.

    Args:
        number: of coefficients along the axis.
        scale: of the band.
        high: whether it holds details along this axis.
        num_pixels: of the picture along the axis.
        side: cells of the whole grid.
        start: first cell of the part.
        cells: of the part.
    """
    k = np.arange(number, dtype=np.int64) << scale
    if high:
        half = 1 << (scale - 1)
        first, last = k - half - _reach(scale - 1), k + 3 * half + _reach(scale - 1)
    else:
        first, last = k - _reach(scale), k + _reach(scale)
    first, last = np.clip(first, 0, num_pixels - 1), np.clip(last, 0, num_pixels - 1)
    first = (2 * first + 1) * side // (2 * num_pixels) - start
    last = (2 * last + 1) * side // (2 * num_pixels) - start
    touching = np.flatnonzero((last >= 0) & (first < cells))
    return touching, np.clip(first[touching], 0, cells - 1), np.clip(last[touching], 0, cells - 1)


def _reach(scale: int) -> int:
    """Return R: over how many pixels to each side a low coefficient has a part."""
    return (0, 5)[scale] if scale < 2 else (1 << scale) + 11


def _highest(grid: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return, for each pair of a first and last row, the highest values among these rows of a grid."""
    highest = grid[first]
    for step in range(1, int((last - first).max()) + 1):
        np.maximum(highest, grid[np.minimum(first + step, last)], out=highest)
    return highest
