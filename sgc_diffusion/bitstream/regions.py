"""The regions layer

Kind 2: outlines of what is kept. The body is one stream of the range coder. *A number below n* is a symbol of n symbols
of weight 1 each, which is its place.

1. The number of regions minus 1, a number below 32.
2. The three inner levels, each a number below 16; they MUST NOT fall.
3. For each region
   1. the exponent e minus 3, a number below 8. The grid of the region has 2^e cells along the longer side of the
      picture and max(1, ⌊(2^(e+1) · a + b) / 2b⌋) along the other, a being that side and b the longer one;
   2. a decision whether its class is one of the payload's taxonomy, p = 32768. If so the class, a number below the
      number of its classes, else a number below 3: 0 a face, 1 a text, 2 without a name;
   3. its score, a number below 16;
   4. the first row of its box, a number below the rows of the grid, then the last row minus the first, a number below
      the rows that are left; then so the columns;
   5. a decision whether it fills its box, p = 32768. If not, its mask (section "Masks") over the cells of the box, with
      table `region` of `sgc_diffusion/bitstream/masks.npz`. The box then MUST have at most 16384 cells, and all these
      boxes of a file 65536; the mask MUST reach all four sides of the box, and MUST NOT fill it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.layer_coder import DecodedLayers, LayerCoder
from sgc_diffusion.bitstream.mask_stream import read_mask, write_mask
from sgc_diffusion.bitstream.range_coder import RangeDecoder, RangeEncoder
from sgc_diffusion.bitstream.tables import table_list
from sgc_diffusion.payload.regions import (
    FACE,
    INNER_LEVELS,
    MAX_CELLS,
    MAX_EXPONENT,
    MAX_OUTLINE_CELLS,
    MAX_REGIONS,
    MAX_SCORE,
    MIN_EXPONENT,
    REGIONS_KIND,
    UNNAMED,
    Region,
    RegionsLayer,
    grid_sides,
)

_EVEN = 1 << 15  # the probability of a decision that may go either way
_NUM_LEVELS = 16
_NUM_SPECIAL = UNNAMED - FACE + 1


class RegionsCoder(LayerCoder[RegionsLayer]):
    """Writes and reads outlines."""

    name = "regions"
    kind = REGIONS_KIND
    layer_class = RegionsLayer
    table_file = "masks"

    def encode(self, layer: RegionsLayer, before: DecodedLayers) -> bytes:
        """Write the inner levels and each region.

        Raises:
            ValueError: a region that leaves the picture, or whose class the taxonomy of the labels does not have.
        """
        num_classes = _num_classes(before)
        if not layer.fit(before.height, before.width):
            raise ValueError(f"`regions` must lie inside the {before.width}×{before.height} picture, got one outside")
        if any(num_classes <= region.class_id < FACE for region in layer.regions):
            raise ValueError(f"`regions` must have classes of the payload's taxonomy, which has {num_classes}")
        encoder = RangeEncoder()
        _write_number(encoder, len(layer.regions) - 1, MAX_REGIONS)
        for level in layer.inner_levels:
            _write_number(encoder, level, _NUM_LEVELS)
        for region in layer.regions:
            _write_region(encoder, region, before, num_classes)
        return encoder.finish()

    def decode(self, body: bytes, before: DecodedLayers) -> RegionsLayer:
        """Read what `encode` wrote."""
        decoder, num_classes = RangeDecoder(body), _num_classes(before)
        num_regions = _read_number(decoder, MAX_REGIONS) + 1
        inner: Any = tuple(_read_number(decoder, _NUM_LEVELS) for _ in INNER_LEVELS)
        if list(inner) != sorted(inner):
            raise CorruptSectionError(f"The inner levels of the regions fall: {inner}")
        regions: list[Region] = []
        for _ in range(num_regions):
            num_cells = sum(region.mask.size for region in regions if not region.mask.all())
            regions.append(_read_region(decoder, before, num_classes, MAX_CELLS - num_cells))
        decoder.finish()
        return RegionsLayer(tuple(regions), inner)


def _num_classes(before: DecodedLayers) -> int:
    if before.labels is None:
        raise ValueError("`before` must have the label map, whose taxonomy names the classes of regions")
    return before.labels.taxonomy.num_classes


def _write_region(encoder: RangeEncoder, region: Region, before: DecodedLayers, num_classes: int) -> None:
    _write_number(encoder, region.exponent - MIN_EXPONENT, MAX_EXPONENT - MIN_EXPONENT + 1)
    has_class = region.class_id < num_classes
    encoder.encode(int(has_class), _EVEN)
    if has_class:
        _write_number(encoder, region.class_id, num_classes)
    else:
        _write_number(encoder, region.class_id - FACE, _NUM_SPECIAL)
    _write_number(encoder, region.score, MAX_SCORE + 1)
    grid = grid_sides(region.exponent, before.height, before.width)
    for start, length, side in zip((region.top, region.left), region.mask.shape, grid, strict=True):
        _write_number(encoder, start, side)
        _write_number(encoder, length - 1, side - start)
    is_full = bool(region.mask.all())
    encoder.encode(int(is_full), _EVEN)
    if not is_full:
        write_mask(encoder, region.mask, table_list("masks", "region"))


def _read_region(decoder: RangeDecoder, before: DecodedLayers, num_classes: int, num_cells: int) -> Region:
    """Read a region; `num_cells` are left for boxes that are not filled."""
    exponent = _read_number(decoder, MAX_EXPONENT - MIN_EXPONENT + 1) + MIN_EXPONENT
    has_class = decoder.decode(_EVEN)
    class_id = _read_number(decoder, num_classes) if has_class else _read_number(decoder, _NUM_SPECIAL) + FACE
    score = _read_number(decoder, MAX_SCORE + 1)
    corner, shape = [], []
    for side in grid_sides(exponent, before.height, before.width):
        corner.append(_read_number(decoder, side))
        shape.append(_read_number(decoder, side - corner[-1]) + 1)
    if decoder.decode(_EVEN):
        mask = np.ones(shape, dtype=bool)
    else:
        if shape[0] * shape[1] > min(MAX_OUTLINE_CELLS, num_cells):
            raise CorruptSectionError(f"The box of a region has {shape} cells, more than regions may have")
        mask = read_mask(decoder, shape[0], shape[1], table_list("masks", "region"))
        reaches = mask[0].any() and mask[-1].any() and mask[:, 0].any() and mask[:, -1].any()
        if mask.all() or not reaches:
            raise CorruptSectionError("The box of a region is not the one that an encoder takes")
    return Region(exponent, corner[0], corner[1], mask, class_id, score)


def _write_number(encoder: RangeEncoder, number: int, count: int) -> None:
    """Code a number from 0 to `count` − 1, all alike likely."""
    encoder.narrow(number, 1, count)


def _read_number(decoder: RangeDecoder, count: int) -> int:
    number = decoder.target(count)
    decoder.narrow(number, 1, count)
    return number
