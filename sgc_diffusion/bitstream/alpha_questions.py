"""Adaptive probabilities of the alpha coder, and who answers its questions.

What the counts and the probabilities are is in the text of `alpha`. A decision costs at least 1/946 bit, so a reader
knows before it works on a scale whether the bytes that are left can hold it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.rans import RansDecoder, RansEncoder

_LEAST, _TOTAL = 3, 4096
_MOST_DECISIONS_PER_BIT = 946  # 1 / −log2(4093 / 4096), rounded up
_NUM_CELL_PLACES = 3 * 2 * 4 * 256  # turn, lo < hi, ends of the range, ups
_NUM_REST_PLACES = 90


class _Counts:
    """How often each place was asked, and answered yes; fine places and coarse ones."""

    def __init__(self, num_places: int) -> None:
        self.asked = np.zeros((2, num_places), dtype=np.int64)
        self.yes = np.zeros((2, num_places), dtype=np.int64)

    def probabilities(self, fine: np.ndarray, coarse: np.ndarray, leaning: np.ndarray | int) -> np.ndarray:
        """Return (n,) uint16 of yes, in 1/4096."""
        base = _TOTAL * (2 * self.yes[1, coarse] + leaning) // (2 * self.asked[1, coarse] + 16)
        mixed = (_TOTAL * self.yes[0, fine] + 2 * base) // (self.asked[0, fine] + 2)
        return np.clip(mixed, _LEAST, _TOTAL - _LEAST).astype(np.uint16)

    def count(self, fine: np.ndarray, coarse: np.ndarray, answers: np.ndarray) -> None:
        """Note the answers of a batch."""
        size = self.asked.shape[1]
        for index, places in enumerate((fine, coarse)):
            self.asked[index] += np.bincount(places, minlength=size)
            self.yes[index] += np.bincount(places[answers], minlength=size)


class Asker:
    """Asks the questions about cells; `Writer` knows the answers, `Reader` reads them."""

    def __init__(self, num_levels: int) -> None:
        """Start with nothing counted; `num_levels` is 2 … 256."""
        self.num_levels = num_levels
        self._counts = {name: _Counts(_NUM_CELL_PLACES) for name in ("low", "high")}
        self._counts |= {name: _Counts(_NUM_REST_PLACES) for name in ("size", "sign", "digit")}

    def expect(self, num_decisions: int) -> None:
        """Reject a number of decisions that the rest of the bytes cannot hold, before work is done for them."""

    def answer(self, probabilities: np.ndarray, truth: Any) -> np.ndarray:
        """Return the answers (n,) bool to a batch; `truth` is what they are, known to the writer."""
        raise NotImplementedError

    def ask(
        self, name: str, fine: np.ndarray, truth: Any, coarse: np.ndarray | None = None, leaning: np.ndarray | int = 8
    ) -> np.ndarray:
        """Ask one question of some cells and count the answers."""
        if not len(fine):
            return np.zeros(0, dtype=bool)
        coarse = fine if coarse is None else coarse
        counts = self._counts[name]
        answers = self.answer(counts.probabilities(fine, coarse, leaning), truth)
        counts.count(fine, coarse, answers)
        return answers


class Writer(Asker):
    """Notes the true answers for the stream."""

    def __init__(self, num_levels: int) -> None:
        """Start an empty stream."""
        super().__init__(num_levels)
        self.encoder = RansEncoder()

    def answer(self, probabilities: np.ndarray, truth: Any) -> np.ndarray:
        """Note the true answers and return them."""
        self.encoder.encode(truth, probabilities)
        return truth


class Reader(Asker):
    """Reads the answers from the stream."""

    def __init__(self, num_levels: int, stream: bytes) -> None:
        """Start at the beginning of the stream."""
        super().__init__(num_levels)
        self.decoder = RansDecoder(stream)

    def expect(self, num_decisions: int) -> None:
        """Reject more decisions than the rest of the stream can hold."""
        if num_decisions > self.decoder.num_bits_left * _MOST_DECISIONS_PER_BIT:
            raise CorruptSectionError("The alpha layer has too few bytes for the size of its map")

    def answer(self, probabilities: np.ndarray, truth: Any) -> np.ndarray:
        """Read the answers."""
        return self.decoder.decode(probabilities)
