"""The label layer

| size | type | meaning |
|---|---|---|
| 1 | u8 | taxonomy: the label set of the class ids |
| 1–4 | sides | rows and columns of the grid, each 1 … 1024; rows · columns ≤ 16384 |
| … | bytes | the label stream, from the range coder, to the end of the body |

The taxonomies, whose names and numbers of classes are in their files in `sgc_diffusion/taxonomy`, are landscape-24 0,
landscape-8 1, coco-stuff-182 2, ade20k-150 3, cityscapes-19 4, voc-21 5, coco-stuff-171 6, mapillary-65 7,
general-54 8.

**Neighbors.** A cell X has 25 neighbors, at these offsets (rows, columns). The first 15 are near, the others distant:

     0 W    ( 0,−1)     1 N    (−1, 0)     2 NE   (−1, 1)     3 NW   (−1,−1)     4 WW   ( 0,−2)
     5 NN   (−2, 0)     6 NEE  (−1, 2)     7 NNE  (−2, 1)     8 NNW  (−2,−1)     9 NWW  (−1,−2)
    10 NNEE (−2, 2)    11 NNWW (−2,−2)    12 WWW  ( 0,−3)    13 NNN  (−3, 0)    14 NEEE (−1, 3)
    15      (−1, 4)    16      (−1, 5)    17      (−2, 3)    18      (−2,−3)    19      (−3, 1)
    20      (−3,−1)    21      (−3, 2)    22      (−3,−2)    23      ( 0,−4)    24      (−4, 0)

A neighbor outside of the grid has the label of another cell:

1. For a cell of row 0, every neighbor in a row above is cell (0, 0), and so is every neighbor left of column 0.
2. For a cell of another row, a neighbor in a row above is the nearest cell of the grid: row and column are each moved
   to the nearest that exists.
3. For a cell of another row, a neighbor in the same row, left of column 0, is the first cell of the row above.

**The stream** holds the cells row by row, each row from left to right.

1. Cell (0, 0) is coded as a class (section "Labels that no neighbor has").
2. For every other cell, the candidates are the labels of W, N, NE, NW, WW, NN, NEE; in this list alone, N stands
   before W if NW = W. A candidate at place k = 0 … 6 of the list whose label stood at an earlier place is passed over.
   For each other candidate in turn there is one decision: is the label of the cell this one? The first 1 ends it.
3. If all decisions were 0, the cell is coded as a class.

**The decision** about the candidate at place k has z =

      label_mask[3 · m + r]
    + label_distant[3 · (16 · d + (m & 15)) + r]
    + label_pattern[4 · (5 · g + e) + c]
    + label_setting[10 · (7 · (4 · b + c) + q) + 2 · e + f]

with

- e = min(k, 4) and r = min(k, 2).
- m: bit i is 1 if near neighbor i (0 … 14) has the label asked for.
- d: bit i is 1 if distant neighbor 15 + i (i = 0 … 9) has the label asked for.
- g = i₁ + 2 · i₂ + 6 · i₃ + 24 · i₄ + 120 · i₅. The identities i₀ … i₅ belong to W, N, NE, NW, WW, NN in this order:
  each is the number of different labels among those before the first of the six that has its label. So i₀ = 0, and
  i₁ = 0 if N = W, else 1.
- c: how many of 512, 2048, 8192 are reached by rows · columns.
- b = 0 in row 0, else 1 + ⌊6 · row / rows⌋.
- f = 1 if W, N, NE, NW, WW, NN and NEE all have one label, else 0.
- q: how many of 2 3 4 5 7 9 are reached by ⌊(16 · s + 16) / (a + 6)⌋. Both counts go over the rows before: a counts the
  cells where W ≠ N, N ≠ NE or W ≠ NW; s counts the cells, whether among those or not, whose label is not the one that
  stands first in their list of candidates. Cell (0, 0) is not counted.
"""

from __future__ import annotations

from sgc_diffusion import taxonomy
from sgc_diffusion.bitstream.errors import CorruptSectionError, UnsupportedVersionError
from sgc_diffusion.bitstream.fields import Reader, sides
from sgc_diffusion.bitstream.label_stream import decode_labels, encode_labels
from sgc_diffusion.bitstream.layer_coder import DecodedLayers, LayerCoder
from sgc_diffusion.payload import MAX_GRID_CELLS, MAX_GRID_SIDE, LabelLayer


class LabelCoder(LayerCoder[LabelLayer]):
    """Writes and reads the map of class ids."""

    name = "labels"
    layer_class = LabelLayer
    table_file = "labels"

    def encode(self, layer: LabelLayer, before: DecodedLayers) -> bytes:
        """Write the label set, the size of the grid and the label stream."""
        label_set = layer.taxonomy
        head = bytes([label_set.number]) + sides(*layer.label_map.shape)
        return head + encode_labels(layer.label_map, label_set.name)

    def decode(self, body: bytes, before: DecodedLayers) -> LabelLayer:
        """Read what `encode` wrote."""
        reader = Reader(body)
        number = reader.integer(1, "taxonomy")
        try:
            name = taxonomy.taxonomy_name(number)
        except ValueError as error:
            raise UnsupportedVersionError(str(error)) from error
        height, width = reader.sides("label grid", MAX_GRID_SIDE)
        if height * width > MAX_GRID_CELLS:
            raise CorruptSectionError(f"The label grid {height} x {width} has more than {MAX_GRID_CELLS} cells")
        return LabelLayer(decode_labels(body[reader.position :], height, width, name), name)
