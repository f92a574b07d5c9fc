"""Probabilities of the detail coder from its tables, and who answers its decisions.

The probability of a yes, in 1/4096, comes from the sum of the entries in 1/32 nat: (squash[sum] + 8) >> 4 with the
table of `tables.probabilities`, but at least 3 and at most 4093. So a decision costs at least 1/946 bit, and a reader
knows before it works on a batch whether the bytes that are left can hold it: time and memory are bounded by the bytes
read, not by the size that a file declares. What no encoder writes is rejected: a state or a word too many or too few.
"""

from __future__ import annotations

import io
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from sgc_diffusion.bitstream import tables
from sgc_diffusion.bitstream.detail_context import TABLE_SHAPES, Groups
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.rans import PROBABILITY_BITS, RansDecoder, RansEncoder

TABLE_FILE = "detail_tables.npz"
_LEAST = 3  # the lowest probability, in 1/4096
_MOST_DECISIONS_PER_BIT = 946  # 1 / −log2(4093 / 4096), rounded up
_MOST_ODDS = 8 * 128


class _Weighing:
    """Turns places in tables into probabilities."""

    def weigh(self, groups: Groups) -> np.ndarray:
        """Return probabilities (n,) uint16 in 1/4096."""
        odds: Any = None
        for sources, places in groups:
            entries = np.full((), 0 if odds is not None else _MOST_ODDS, dtype=np.int16)
            for name, constants in sources:
                entries = entries + load_detail_tables()[name][constants]
            part = entries.take(places)
            odds = part if odds is None else np.add(odds, part, out=odds)
        return _probabilities().take(odds)


@cache
def _probabilities() -> np.ndarray:
    """Return the probabilities, uint16 in 1/4096, of the sums −1024 … 1024 of at most eight entries."""
    probabilities = (tables.probabilities(np.arange(-_MOST_ODDS, _MOST_ODDS + 1)) + 8) >> 4
    return np.clip(probabilities, _LEAST, (1 << PROBABILITY_BITS) - _LEAST).astype(np.uint16)


class EncodingDecider(_Weighing):
    """Answers with the truth and notes it for the stream."""

    def __init__(self) -> None:
        self.encoder = RansEncoder()

    def expect(self, num_decisions: int) -> None:
        """An encoder expects anything."""

    def answer(self, weighed: np.ndarray, truth: Any) -> np.ndarray:
        """Note the true decisions and return them."""
        self.encoder.encode(truth, weighed)
        return truth


class DecodingDecider(_Weighing):
    """Answers from the stream of a level."""

    def __init__(self, body: bytes) -> None:
        self.decoder = RansDecoder(body)

    def expect(self, num_decisions: int) -> None:
        """Reject more decisions than the rest of the stream can hold."""
        if num_decisions > self.decoder.num_bits_left * _MOST_DECISIONS_PER_BIT:
            raise CorruptSectionError("The detail level has too few bytes for the size of its picture")

    def answer(self, weighed: np.ndarray, truth: np.ndarray | None) -> np.ndarray:
        """Read the decisions."""
        return self.decoder.decode(weighed)


@cache
def load_detail_tables() -> dict[str, np.ndarray]:
    """Return the tables of `detail_context.TABLE_SHAPES`, int8, and `weights`, (8, 4, 4, 10) uint8; read-only."""
    data = (resources.files("sgc_diffusion.bitstream") / TABLE_FILE).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        loaded = {name: archive[name] for name in (*TABLE_SHAPES, "weights")}
    for table in loaded.values():
        table.flags.writeable = False
    return loaded
