"""Many yes-or-no decisions at once ↔ bytes: interleaved rANS in NumPy, exact on every machine.

A range coder takes one decision after the other; a megapixel has tens of millions. Here L lanes, each an asymmetric
numeral system of its own (Duda 2013, https://arxiv.org/abs/1311.2540), take L decisions together and read their words
from one stream. Decisions come in batches whose probabilities are known before the batch; numbers are unsigned.

A stream is one segment or more. Once a segment holds 2²³ decisions or more, the next batch begins a new one, so that an
encoder, which works from the last decision to the first, needs memory for one segment only. A segment is
  1. one byte k: there are L = 2^k lanes, k = 0 … 14;
  2. L states of 32 bits, big-endian, each at least 2¹⁶;
  3. words of 16 bits, big-endian.

A batch of n decisions is decoded in rounds: decision i belongs to round ⌊i / L⌋ and lane i mod L. In a round, every
lane with state x and a decision whose probability of 1 is p / 4096, 1 ≤ p ≤ 4095, does
  1. high = ⌊x / 4096⌋, low = x mod 4096; the decision is 1 if low < p;
  2. x becomes p · high + low if it is 1, else x − p · high − p;
  3. if x < 2¹⁶, x becomes x · 2¹⁶ + the next word; the lanes that need a word take them in order of their number.

After the last batch of a segment every state is 2¹⁶, and k is ⌊log2(n / 3072)⌋ for its n decisions, clipped to 0 … 14;
after the last segment no byte is left. A stream that ends otherwise is one that no encoder writes. Since each step can
be undone, decisions and stream determine each other.
"""

from __future__ import annotations

import numpy as np

from sgc_diffusion.bitstream.errors import CorruptSectionError

PROBABILITY_BITS = 12
MAX_LANES_LOG2 = 14
DECISIONS_PER_LANE = 3072
SEGMENT_DECISIONS = 1 << 23
_TOTAL = 1 << PROBABILITY_BITS
_LOWEST = 1 << 16
_FEWEST_WIDE = 24  # lanes from which arrays are quicker than Python's own integers


def lanes_log2(num_decisions: int) -> int:
    """Return log2 of the number of lanes for a stream of so many decisions, 0 … 14."""
    return min(max((num_decisions // DECISIONS_PER_LANE).bit_length() - 1, 0), MAX_LANES_LOG2)


class RansEncoder:
    """Collects batches of decisions; `finish` returns the bytes."""

    def __init__(self) -> None:
        self._batches: list[tuple[np.ndarray, np.ndarray]] = []
        self._num_decisions = 0
        self._segments: list[bytes] = []

    def encode(self, bits: np.ndarray, probabilities: np.ndarray) -> None:
        """Note one batch.

        Args:
            bits: (n,) bool.
            probabilities: (n,) uint16 of 1, in 1/4096, 1 … 4095.
        """
        if self._num_decisions >= SEGMENT_DECISIONS:
            self._end_segment()
        self._batches.append((bits, probabilities))
        self._num_decisions += len(bits)

    def _end_segment(self) -> None:
        log2 = lanes_log2(self._num_decisions)
        encode = _encode_wide if 1 << log2 >= _FEWEST_WIDE else _encode_narrow
        states, words = encode(self._batches, 1 << log2)
        self._segments.append(bytes([log2]) + states.astype(">u4").tobytes() + words.astype(">u2").tobytes())
        self._batches, self._num_decisions = [], 0

    def finish(self) -> bytes:
        """Return the stream."""
        self._end_segment()
        return b"".join(self._segments)


def _encode_wide(batches: list[tuple[np.ndarray, np.ndarray]], num_lanes: int) -> tuple[np.ndarray, np.ndarray]:
    states, written = np.full(num_lanes, _LOWEST, dtype=np.uint32), []
    for bits, probabilities in reversed(batches):
        sizes = np.where(bits, probabilities, _TOTAL - probabilities).astype(np.uint32)
        starts = np.where(bits, 0, probabilities).astype(np.uint32)
        for first in range((len(bits) - 1) // num_lanes * num_lanes if len(bits) else -1, -1, -num_lanes):
            size, start = sizes[first : first + num_lanes], starts[first : first + num_lanes]
            state = states[: len(size)]
            is_full = state >> (32 - PROBABILITY_BITS) >= size
            full = state[is_full]
            if len(full):
                written.append((full & 0xFFFF).astype(np.uint16))
                state[is_full] = full >> 16
            quotient = state // size
            state += quotient * (_TOTAL - size) + start  # = quotient · 4096 + remainder + start
    words = np.concatenate(written[::-1]) if written else np.zeros(0, dtype=np.uint16)
    return states, words


def _encode_narrow(batches: list[tuple[np.ndarray, np.ndarray]], num_lanes: int) -> tuple[np.ndarray, np.ndarray]:
    states, written = [_LOWEST] * num_lanes, []
    for bits, probabilities in reversed(batches):
        lane = len(bits) % num_lanes
        for bit, probability in zip(reversed(bits.tolist()), reversed(probabilities.tolist()), strict=True):
            lane = (lane or num_lanes) - 1
            size, start = (probability, 0) if bit else (_TOTAL - probability, probability)
            state = states[lane]
            if state >> (32 - PROBABILITY_BITS) >= size:
                written.append(state & 0xFFFF)
                state >>= 16
            states[lane] = (state // size << PROBABILITY_BITS) + state % size + start
    return np.array(states, dtype=np.uint32), np.array(written[::-1], dtype=np.uint16)


class RansDecoder:
    """Reads the decisions back from the bytes of a `RansEncoder`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._begin_segment(0)

    def _begin_segment(self, start: int) -> None:
        """Read the states of the segment that starts at a byte."""
        log2 = self._data[start] if start < len(self._data) else MAX_LANES_LOG2 + 1
        self._words_start = start + 1 + (4 << min(log2, MAX_LANES_LOG2))
        if log2 > MAX_LANES_LOG2 or len(self._data) < self._words_start:
            raise CorruptSectionError("The entropy-coded stream does not have the states that it says it has")
        self._lanes_log2, self._num_decisions, self._position = log2, 0, 0
        states = np.frombuffer(self._data, ">u4", 1 << log2, offset=start + 1).astype(np.uint32)
        words = np.frombuffer(self._data, ">u2", (len(self._data) - self._words_start) // 2, offset=self._words_start)
        if states.min() < _LOWEST:
            raise CorruptSectionError("The entropy-coded stream starts with a state that no encoder writes")
        self._is_wide = 1 << log2 >= _FEWEST_WIDE
        self._states = states if self._is_wide else states.tolist()
        self._words = words if self._is_wide else words.tolist()

    @property
    def num_bits_left(self) -> int:
        """Bits that the rest of the decisions can have cost at most."""
        return 32 * len(self._states) + 16 * (len(self._words) - self._position)

    def decode(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the next batch of decisions, (n,) bool.

        Args:
            probabilities: (n,) uint16 of 1, in 1/4096, 1 … 4095.

        Raises:
            CorruptSectionError: the stream ends before, or a segment is not one that an encoder writes.
        """
        if self._num_decisions >= SEGMENT_DECISIONS:
            self._begin_segment(self._end_segment())
        self._num_decisions += len(probabilities)
        return self._decode_wide(probabilities) if self._is_wide else self._decode_narrow(probabilities)

    def _decode_wide(self, probabilities: np.ndarray) -> np.ndarray:
        states, words, position = self._states, self._words, self._position
        num_lanes, num_words = len(states), len(words)
        bits, sizes = np.empty(len(probabilities), dtype=bool), probabilities.astype(np.uint32)
        for first in range(0, len(sizes), num_lanes):
            size, bit = sizes[first : first + num_lanes], bits[first : first + num_lanes]
            state = states[: len(size)]
            low = state & (_TOTAL - 1)
            np.less(low, size, out=bit)
            product = state >> PROBABILITY_BITS
            product *= size
            low += product
            product += size
            state -= product
            np.copyto(state, low, where=bit)
            needy = np.flatnonzero(state < _LOWEST)
            if len(needy):
                following = position + len(needy)
                if following > num_words:
                    raise CorruptSectionError("The entropy-coded stream ends before its last decision")
                state[needy] = state[needy] << 16 | words[position:following].astype(np.uint32)
                position = following
        self._position = position
        return bits

    def _decode_narrow(self, probabilities: np.ndarray) -> np.ndarray:
        states, words, position = self._states, self._words, self._position
        num_lanes, num_words, lane, bits = len(states), len(words), 0, []
        for size in probabilities.tolist():
            state = states[lane]
            low, product = state & (_TOTAL - 1), (state >> PROBABILITY_BITS) * size
            bit = low < size
            state = product + low if bit else state - product - size
            if state < _LOWEST:
                if position >= num_words:
                    raise CorruptSectionError("The entropy-coded stream ends before its last decision")
                state = state << 16 | words[position]
                position += 1
            states[lane] = state
            bits.append(bit)
            lane = lane + 1 if lane + 1 < num_lanes else 0
        self._position = position
        return np.array(bits, dtype=bool)

    def _end_segment(self) -> int:
        """Check that the segment ends here; return where, in bytes."""
        if any(state != _LOWEST for state in self._states) or self._lanes_log2 != lanes_log2(self._num_decisions):
            raise CorruptSectionError("The entropy-coded stream does not end where its last decision does")
        return self._words_start + 2 * self._position

    def finish(self) -> None:
        """Check that the stream ends here.

        Raises:
            CorruptSectionError: it does not, so that encoding what was decoded would give other bytes.
        """
        if self._end_segment() != len(self._data):
            raise CorruptSectionError("The entropy-coded stream goes on after its last decision")
