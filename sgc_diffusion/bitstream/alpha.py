"""The alpha layer

Kind 7: how opaque each pixel is. The body is

| size | type | meaning |
|---|---|---|
| 1 | u8 | n − 1: the levels are 0, transparent, … n − 1, opaque; 2 ≤ n ≤ 256 |
| 1–8 | sides | rows h, columns w of the map; h at most the height, w at most the width of the picture |
| … | bytes | one stream of `rans` |

A level k stands for the byte ⌊(2·255·k + n − 1) / (2·(n − 1))⌋. A map of the size of the picture is the alpha of its
pixels; from a smaller one it is the smooth base over the map, as of a color map with one channel. The colors of the
picture are not multiplied by it.

**Order.** The levels are coded from coarse to fine. First comes that of row 0, column 0: ⌈log2 n⌉ bits, the highest
first, each with probability 2048 / 4096. Then, for each power of two s from the least that is not below max(h, w) / 2
down to 1 (with max(h, w) = 1 there is none), the map with every s-th row and column is filled; its rows and columns are
counted from 0 in what follows. The turns are
  1. even rows, odd columns. Near: left, right. Far: two rows above and below, each left and right
  2. odd rows, even columns. Near: above, below. Far: the four corners
  3. odd rows, odd columns. Near: above, below, left, right. Far: the four corners
in which a neighbor beyond the edge of that map is replaced in that direction by the one as far on the other side, and
if that is outside too, by the row or the column itself. A turn is cut into strips of rows: max(1, ⌊q / cells in a
row⌋) rows each, where q is 256 for the first strip of a turn, twice as much for each further one, at most 65536.

**Cells.** lo and hi are the least and the greatest near level. For every cell of a strip, row by row,
  1. *low*: is it lo?
  2. *high*, for those that are not and have lo < hi: is it hi?
  3. for the rest, r is the level minus what is expected of it, with the sums N of the near and F of the far levels
     ⌊(N + 1) / 2⌋ in turns 1 and 2, ⌊(5·N − F + 8) / 16⌋ in turn 3; g is the number of binary digits of hi − lo:
     *size*, for e = 0, 1, … 8, as long as the answer is yes: has |r| more than e binary digits? Then, for those
     with r ≠ 0, *sign*: is r below 0? Then the binary digits of |r| below the highest, from the highest on, *digit*.
Each of these questions to the cells of a strip that get it is one batch of `rans`. A level below 0 or not below n, or
one that is lo or hi after these were denied, MUST be rejected; no writer says so.

**Contexts.** A question has a place and a coarse place; a neighbor is *up* if, for lo = hi, it is not lo, else if twice
its level is above lo + hi. u is the number that the ups make, near and then far in the order above, the first the
highest binary digit.
  *low*, *high*   (((turn − 1)·2 + (1 if lo < hi))·4 + (1 if lo = 0) + 2·(1 if hi = n − 1))·256 + u; coarse: the same
                  with the number of ups, instead of u
  *size*          10·g + e;  *sign*  g;  *digit*  9·(binary digits of |r|) + (place of the digit, the lowest is 0);
                  coarse: the same as the place
Every place counts how often it was asked, n, and answered yes, y; all counts begin at 0 and grow after each batch. With
N and Y of the coarse place, c = ⌊4096·(2Y + b) / (2N + 16)⌋, with b = 15 for *low* at lo = hi, else 8; then the
probability of yes is ⌊(4096·y + 2·c) / (n + 2)⌋ in 1/4096, at least 3 and at most 4093.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sgc_diffusion.bitstream import fields
from sgc_diffusion.bitstream.alpha_questions import Asker, Reader, Writer
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.layer_coder import DecodedLayers, LayerCoder
from sgc_diffusion.payload.alpha import AlphaLayer
from sgc_diffusion.payload.payload import MAX_IMAGE_SIDE

_EVEN = 2048
_FIRST_STRIP, _LAST_STRIP = 256, 65536  # cells
Offsets = tuple[tuple[int, int], ...]
# First row and column of each turn, near neighbors, far ones.
_BESIDE, _OVER = ((0, -1), (0, 1)), ((-1, 0), (1, 0))
_CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))
_TURNS: tuple[tuple[int, int, Offsets, Offsets], ...] = (
    (0, 1, _BESIDE, ((-2, -1), (-2, 1), (2, -1), (2, 1))),
    (1, 0, _OVER, _CORNERS),
    (1, 1, (*_OVER, *_BESIDE), _CORNERS),
)


class AlphaCoder(LayerCoder[AlphaLayer]):
    """Writes and reads the alpha layer."""

    name = "alpha"
    kind = AlphaLayer.kind
    layer_class = AlphaLayer

    def encode(self, layer: AlphaLayer, before: DecodedLayers) -> bytes:
        """Write the map.

        Raises:
            ValueError: it is larger than the picture.
        """
        rows, columns = layer.levels.shape
        if rows > before.height or columns > before.width:
            raise ValueError(
                f"`levels` of the alpha layer must be at most {before.height}×{before.width}, as the picture is, got "
                f"{rows}×{columns}"
            )
        writer = Writer(layer.num_levels)
        _code_map(writer, rows, columns, layer.levels)
        return bytes([layer.num_levels - 1]) + fields.sides(rows, columns) + writer.encoder.finish()

    def decode(self, body: bytes, before: DecodedLayers) -> AlphaLayer:
        """Read what `encode` wrote."""
        start = fields.Reader(body)
        num_levels = start.integer(1, "number of alpha levels") + 1
        rows, columns = start.sides("sides of the alpha map", MAX_IMAGE_SIDE)
        if num_levels < 2 or rows > before.height or columns > before.width:
            raise CorruptSectionError(f"An alpha map of {rows}×{columns} and {num_levels} levels does not fit")
        reader = Reader(num_levels, body[start.position :])
        levels = _code_map(reader, rows, columns, None)
        reader.decoder.finish()
        return AlphaLayer(levels, num_levels)


def _code_map(asker: Asker, rows: int, columns: int, truth: np.ndarray | None) -> np.ndarray:
    """Code the levels (h, w) uint8, or read them if the truth is None; returns them."""
    num_bits = (asker.num_levels - 1).bit_length()
    first = None if truth is None else np.array([truth[0, 0] >> bit & 1 for bit in range(num_bits)[::-1]], dtype=bool)
    bits = asker.answer(np.full(num_bits, _EVEN, dtype=np.uint16), first)
    level = sum(int(bit) << place for place, bit in enumerate(bits[::-1]))
    _require(level < asker.num_levels)
    known = np.full((1, 1), level, dtype=np.uint8)
    step = 1 << (max(rows, columns) - 1).bit_length()
    while step > 1:
        step >>= 1
        shape = -(-rows // step), -(-columns // step)
        asker.expect(shape[0] * shape[1] - known.size)
        finer = np.zeros(shape, dtype=np.uint8)
        finer[::2, ::2] = known
        for turn in range(3):
            _code_turn(asker, finer, turn, None if truth is None else truth[::step, ::step])
        known = finer
    return known


def _code_turn(asker: Asker, known: np.ndarray, turn: int, truth: np.ndarray | None) -> None:
    """Fill the cells of a turn."""
    first_row, first_column, near, far = _TURNS[turn]
    columns = np.arange(first_column, known.shape[1], 2)
    if not len(columns):
        return
    for rows in _strips(first_row, known.shape[0], len(columns)):
        beside = [
            known[np.ix_(_mirrored(rows, down, known.shape[0]), _mirrored(columns, right, known.shape[1]))].ravel()
            for down, right in (*near, *far)
        ]
        cells = np.ix_(rows, columns)
        values = _code_cells(asker, turn, beside, len(near), None if truth is None else truth[cells].ravel())
        known[cells] = values.reshape(len(rows), len(columns))


def _strips(first: int, end: int, num_columns: int) -> Iterator[np.ndarray]:
    """Yield the rows of each strip of a turn."""
    size = _FIRST_STRIP
    while first < end:
        following = first + 2 * max(1, size // num_columns)
        yield np.arange(first, min(following, end), 2)
        first, size = following, min(2 * size, _LAST_STRIP)


def _mirrored(places: np.ndarray, offset: int, end: int) -> np.ndarray:
    """Return the rows or columns so far away; beyond the edge those on the other side, else the same."""
    there, back = places + offset, places - offset
    inside = (there >= 0) & (there < end)
    return np.where(inside, there, np.where((back >= 0) & (back < end), back, places))


def _code_cells(
    asker: Asker, turn: int, beside: list[np.ndarray], num_near: int, truth: np.ndarray | None
) -> np.ndarray:
    """Return the levels (n,) uint8 of the cells of a strip.

    Args:
        asker: who asks.
        turn: 0, 1 or 2.
        beside: the levels of the neighbors, (n,) uint8 each, the near ones first.
        num_near: how many these are.
        truth: (n,) uint8, or None in a reader.
    """
    low, high = np.minimum.reduce(beside[:num_near]), np.maximum.reduce(beside[:num_near])
    middle, differ = low.astype(np.int16) + high, low < high
    ups, num_ups = np.zeros(len(low), dtype=np.int64), np.zeros(len(low), dtype=np.int64)
    for level in beside:
        up = np.where(differ, 2 * level.astype(np.int16) > middle, level != low)
        ups, num_ups = 2 * ups + up, num_ups + up
    kind = (turn * 2 + differ) * 4 + (low == 0) + 2 * (high == asker.num_levels - 1)
    fine, coarse, leaning = kind * 256 + ups, kind * 256 + num_ups, np.where(differ, 8, 15)
    is_low = asker.ask("low", fine, None if truth is None else truth == low, coarse, leaning)
    values = np.where(is_low, low, high)
    open_cells = np.flatnonzero(~is_low & differ)
    is_high = asker.ask(
        "high",
        fine[open_cells],
        None if truth is None else truth[open_cells] == high[open_cells],
        coarse[open_cells],
    )
    rest = ~is_low
    rest[open_cells[is_high]] = False
    if rest.any():
        known = None if truth is None else truth[rest].astype(np.int64)
        predicted = _predicted(beside, num_near)
        limits = low[rest].astype(np.int64), high[rest].astype(np.int64)
        values[rest] = _code_rest(asker, *limits, predicted[rest], known)
    return values


def _code_rest(
    asker: Asker, low: np.ndarray, high: np.ndarray, expected: np.ndarray, truth: np.ndarray | None
) -> np.ndarray:
    """Return the levels, (n,) int64, of cells that are neither the least nor the greatest near level."""
    residuals = None if truth is None else truth - expected
    sizes = None if residuals is None else np.abs(residuals)
    spread = _num_digits(high - low)
    lengths = np.zeros(len(low), dtype=np.int64)
    going = np.arange(len(low))
    for length in range(9):
        longer = None if sizes is None else sizes[going] >= 1 << length
        going = going[asker.ask("size", 10 * spread[going] + length, longer)]
        lengths[going] += 1
    signed = np.flatnonzero(lengths)
    negative = asker.ask("sign", spread[signed], None if residuals is None else residuals[signed] < 0)
    read = (1 << lengths) >> 1
    for place in range(8)[::-1]:
        cells = np.flatnonzero(lengths > place + 1)
        truths = None if sizes is None else (sizes[cells] >> place & 1).astype(bool)
        read[cells] += asker.ask("digit", 9 * lengths[cells] + place, truths).astype(np.int64) << place
    read[signed[negative]] *= -1
    levels = expected + read
    _require(bool(((levels >= 0) & (levels < asker.num_levels) & (levels != low) & (levels != high)).all()))
    return levels


def _predicted(beside: list[np.ndarray], num_near: int) -> np.ndarray:
    """Return what the neighbors, (n,) uint8 each, the near ones first, make expect; (n,) int64, −63 … 318."""
    near, far = (np.add.reduce(part, dtype=np.int64) for part in (beside[:num_near], beside[num_near:]))
    return (5 * near - far + 8) >> 4 if num_near == 4 else (near + 1) >> 1


def _num_digits(numbers: np.ndarray) -> np.ndarray:
    """Return how many binary digits numbers 0 … 255 have."""
    return np.searchsorted(1 << np.arange(8), numbers, side="right")


def _require(is_possible: bool) -> None:
    if not is_possible:
        raise CorruptSectionError("The alpha layer holds a level that no encoder writes")
