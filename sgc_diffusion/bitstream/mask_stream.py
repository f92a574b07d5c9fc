"""Masks

A mask says of each cell of a grid whether it belongs. Cells are coded row by row, each row from left to right, with one
decision each (section "The range coder"), 1 for a cell that belongs, and z is the entry of a table at Σ 2^i over the
neighbors i that belong, at these offsets (rows, columns); cells outside of the grid do not belong:

    0 W  ( 0,−1)    1 N   (−1, 0)    2 NE  (−1, 1)    3 NW  (−1,−1)    4 WW  ( 0,−2)
    5 NN (−2, 0)    6 NEE (−1, 2)    7 NWW (−1,−2)    8 NNE (−2, 1)    9 NNW (−2,−1)

A mask that lies within another one has decisions for the cells of that one alone; all others do not belong.

The tables are in `sgc_diffusion/bitstream/masks.npz`. The SHA-256 of them all, as in section "Probabilities", is
b1414f3cae77b030698056366ccbc6de7ed8727520119fadf6ab9b63eaa1e35a.
"""

from __future__ import annotations

import numpy as np

from sgc_diffusion.bitstream.range_coder import RangeDecoder, RangeEncoder
from sgc_diffusion.bitstream.tables import probability

OFFSETS = ((0, -1), (-1, 0), (-1, 1), (-1, -1), (0, -2), (-2, 0), (-1, 2), (-1, -2), (-2, 1), (-2, -1))
NUM_CONTEXTS = 1 << len(OFFSETS)
_PAD = 2  # the longest offset


def mask_contexts(mask: np.ndarray) -> np.ndarray:
    """Return the place in the table for every cell, (h, w) int64.

    Args:
        mask: (h, w) bool.
    """
    height, width = mask.shape
    padded = np.pad(mask, ((_PAD, 0), (_PAD, _PAD))).astype(np.int64)
    contexts = np.zeros(mask.shape, dtype=np.int64)
    for bit, (down, right) in enumerate(OFFSETS):
        top, left = _PAD + down, _PAD + right
        contexts |= padded[top : top + height, left : left + width] << bit
    return contexts


def write_mask(encoder: RangeEncoder, mask: np.ndarray, table: list[int], within: np.ndarray | None = None) -> None:
    """Send the decisions of a mask to an encoder.

    Args:
        encoder: of the stream.
        mask: (h, w) bool.
        table: of 1024 entries.
        within: (h, w) bool, cells outside of which no cell of the mask lies; None for all cells.
    """
    chosen = np.ones(mask.shape, dtype=bool) if within is None else within
    contexts = mask_contexts(mask)[chosen].tolist()
    encoder.encode_many(mask[chosen].tolist(), [probability(table[context]) for context in contexts])


def read_mask(
    decoder: RangeDecoder, height: int, width: int, table: list[int], within: np.ndarray | None = None
) -> np.ndarray:
    """Return the mask (height, width) bool that `write_mask` wrote.

    Args:
        decoder: of the stream.
        height: rows of the mask.
        width: columns of the mask.
        table: of 1024 entries.
        within: as `write_mask` had it.

    Raises:
        CorruptSectionError: no encoder writes this stream.
    """
    stride = width + 2 * _PAD
    cells = [0] * ((height + _PAD) * stride)
    places = [(down * stride + right, bit) for bit, (down, right) in enumerate(OFFSETS)]
    chosen = None if within is None else within.ravel().tolist()
    for number in range(height * width):
        if chosen is not None and not chosen[number]:
            continue
        row, column = divmod(number, width)
        place = (row + _PAD) * stride + _PAD + column
        context = sum(cells[place + offset] << bit for offset, bit in places)
        cells[place] = decoder.decode(probability(table[context]))
    return np.array(cells, dtype=bool).reshape(-1, stride)[_PAD:, _PAD : _PAD + width]
