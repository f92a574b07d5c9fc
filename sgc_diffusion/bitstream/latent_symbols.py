"""Coder of the latents' symbols

The *scale index* of a symbol is min(max((sum + 64) >> 1, 0), 63), where the sum is that of the six entries
("Contexts of the latents"). A symbol is coded by these decisions, with the range coder:
  1. is it other than 0? with the probability `symbol`[scale index, 0] / 65536;
  2. if so, is it negative? with 1/2;
  3. is its absolute value above k, for k = 1, 2 … 14 until the answer is no? with `symbol`[scale index, k] / 65536;
  4. if it is above 14, n + 1 = |symbol| − 14 in the code of Elias: ⌊log2(n + 1)⌋ times yes and a no, at most 11 times
     yes, the eleventh without a no after it, and as many bits of n + 1 below its highest, the upper ones first, all
     with 1/2.
The symbols of a turn are coded together: decision 1 of all of them in rows from the top, from left to right, then
decision 2 of all that have one, then decision 3 for k = 1, and so on; and point 4 symbol by symbol.

No probability is below 16/65536 or above 65520/65536, so a decision costs at least 1/2839 bit, and a reader knows
before it works on a level whether the bytes that it has can hold it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sgc_diffusion.bitstream import tables
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.range_coder import MAX_DROPPED, RangeDecoder, RangeEncoder
from sgc_diffusion.payload import latent_contexts as contexts
from sgc_diffusion.payload.latents import MAX_SYMBOL

TABLE_FILE = "latents"
SCALE_STEPS, NUM_SCALES, MOST_UNARY = 2, 64, 15  # table units a scale index; scale indices; decisions 1 and 3
SCALE_OFFSET = NUM_SCALES  # the scale index of a sum of 0 is 32
LEAST_PROBABILITY = 16  # in 1/65536
_MOST_DECISIONS_PER_BIT = 2839
_HALF = 1 << 15
_ELIAS_BITS = (MAX_SYMBOL - MOST_UNARY + 1).bit_length() - 1


class SymbolEncoder:
    """Writes true symbols."""

    def __init__(self, symbols: np.ndarray) -> None:
        """Keep the symbols (C, h, w) int16 that are to be written."""
        self._coder, self._symbols = RangeEncoder(), symbols

    def expect(self, num_symbols: int) -> None:
        """An encoder expects anything."""

    def answer(self, channel: int, part: tuple[slice, slice], scales: np.ndarray) -> np.ndarray:
        """Write the symbols of a turn and return them, (n,) int64."""
        symbols = self._symbols[channel][part].ravel().astype(np.int64)
        sizes, rows = np.abs(symbols), tables.load_tables(TABLE_FILE)["symbol"][scales]
        self._coder.encode_many((sizes > 0).tolist(), rows[:, 0].tolist())
        chosen = np.flatnonzero(sizes)
        self._coder.encode_many((symbols[chosen] < 0).tolist(), [_HALF] * len(chosen))
        for k in range(1, MOST_UNARY):
            if not len(chosen):
                return symbols
            is_above = sizes[chosen] > k
            self._coder.encode_many(is_above.tolist(), rows[chosen, k].tolist())
            chosen = chosen[is_above]
        for size in sizes[chosen].tolist():
            self._write_elias(size - MOST_UNARY + 1)
        return symbols

    def _write_elias(self, number: int) -> None:
        length = number.bit_length() - 1
        bits = [1] * length + [0] * (length < _ELIAS_BITS)
        bits += [number >> place & 1 for place in reversed(range(length))]
        self._coder.encode_many(bits, [_HALF] * len(bits))

    def finish(self) -> bytes:
        """Return the stream."""
        return self._coder.finish()


class SymbolDecoder:
    """Reads symbols."""

    def __init__(self, stream: bytes) -> None:
        """Keep the stream that they are read from."""
        self._coder, self._num_bytes = RangeDecoder(stream), len(stream)

    def expect(self, num_symbols: int) -> None:
        """Reject more symbols than the stream can hold."""
        if num_symbols > 8 * (self._num_bytes + MAX_DROPPED + 4) * _MOST_DECISIONS_PER_BIT:
            raise CorruptSectionError("The latents have too few bytes for the size of their picture")

    def answer(self, channel: int, part: tuple[slice, slice], scales: np.ndarray) -> np.ndarray:
        """Return the symbols of a turn, (n,) int64."""
        decode, rows = self._coder.decode, tables.load_tables(TABLE_FILE)["symbol"][scales]
        symbols = np.array([decode(p) for p in rows[:, 0].tolist()], dtype=np.int64)
        chosen = np.flatnonzero(symbols)
        signs = np.array([1 - 2 * decode(_HALF) for _ in range(len(chosen))], dtype=np.int64)
        larger = chosen
        for k in range(1, MOST_UNARY):
            is_above = np.array([decode(p) for p in rows[larger, k].tolist()], dtype=bool)
            larger = larger[is_above] if len(larger) else larger
            symbols[larger] += 1
        for place in larger.tolist():
            symbols[place] += self._read_elias() - 1
        symbols[chosen] *= signs
        return symbols

    def _read_elias(self) -> int:
        length, number = 0, 1
        while length < _ELIAS_BITS and self._coder.decode(_HALF):
            length += 1
        for _ in range(length):
            number = 2 * number + self._coder.decode(_HALF)
        if number > MAX_SYMBOL - MOST_UNARY + 1:
            raise CorruptSectionError("The latents hold a symbol that no encoder writes")
        return number

    def finish(self) -> None:
        """Check that the stream ends here; raises CorruptSectionError if it does not."""
        self._coder.finish()


def code_level(
    coder: SymbolEncoder | SymbolDecoder,
    level: int,
    shape: tuple[int, int, int],
    coarser: np.ndarray | None,
    given: dict[str, np.ndarray],
) -> np.ndarray:
    """Write the symbols of a level, or read them.

    Args:
        coder: that has the symbols or the stream.
        level: 0 … 3.
        shape: (channels, rows, columns).
        coarser: (C, h, w) symbols of the next coarser level; None if there is none.
        given: of `contexts.given_places`.

    Returns:
        The symbols, int16 of that shape.
    """
    entries: dict[str, Any] = {name: tables.load_tables(TABLE_FILE)[name][level] for name in contexts.TABLE_SHAPES}
    fixed = {**given, "coarse": contexts.coarse_places(coarser, *shape[1:])}
    symbols, total = np.zeros(shape, dtype=np.int16), np.zeros(shape[1:], dtype=np.int64)
    for channel in range(shape[0]):
        sums = sum(entries[name][channel].astype(np.int64)[places] for name, places in fixed.items())
        sums = sums + entries["earlier"][channel].astype(np.int64)[contexts.earlier_places(total)]
        sizes = np.zeros(shape[1:], dtype=np.int64)
        for turn, (row, column) in enumerate(contexts.TURNS):
            part = slice(row, None, 2), slice(column, None, 2)
            near = entries["near"][channel].astype(np.int64)[contexts.near_places(sizes, turn)]
            scales = scale_indices(sums[part] + near)
            symbols[channel][part] = coder.answer(channel, part, scales.ravel()).reshape(scales.shape)
            sizes[part] = contexts.sizes_of(symbols[channel][part])
        total += sizes
    return symbols


def scale_indices(sums: np.ndarray) -> np.ndarray:
    """Return the scale indices, 0 … 63, of sums of entries."""
    return np.clip((sums + SCALE_OFFSET) >> (SCALE_STEPS - 1), 0, NUM_SCALES - 1)
