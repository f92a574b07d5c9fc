"""The range coder

Turns decisions between 0 and 1, each with a probability in 1/65536, and symbols with integer weights into bytes. It is
the carry-propagating coder of LZMA (Martin 1979; https://en.wikipedia.org/wiki/Range_coding) with 16-bit
probabilities.

**Writing.** The state is low = 0 and span = 2³² − 1.

1. A decision whose 1 has probability p / 65536, 1 ≤ p ≤ 65535: let bound = (span >> 16) · p. A 1 sets span to bound;
   a 0 adds bound to low and takes it from span.
2. A symbol of weight s, after symbols whose weights sum to t, the weights of all summing to n ≤ 65536: let
   u = ⌊span / n⌋. Then low grows by u · t, and span becomes u · s.
3. After each decision or symbol, while span < 2²⁴: if low ≥ 2³², 1 is added to the bytes written so far, as to one
   big-endian integer (the carry), and low is taken modulo 2³²; the top byte of low is written; low becomes
   (low · 256) modulo 2³², span becomes span · 256.
4. At the end, low becomes the multiple of 2³² in [low, low + span) if there is one, else the smallest multiple of 2²⁴
   in it. Its four bytes are written by four times the steps of point 3, with the carry.
5. Of the zero bytes that end the stream as many as there are, but at most 16, are dropped.

**Reading.** The state is span = 2³² − 1 and code, the first four bytes as a big-endian integer. After the end of the
stream a reader reads zeros.

1. A decision: let bound = (span >> 16) · p. If code < bound it is a 1, and span becomes bound; else it is a 0, and
   bound is taken from code and from span.
2. A symbol: let u = ⌊span / n⌋ and x = min(⌊code / u⌋, n − 1). It is the symbol with t ≤ x < t + s; u · t is taken
   from code, and span becomes u · s.
3. After each, while span < 2²⁴: code becomes code · 256 plus the next byte, span becomes span · 256.

A reader MUST reject a stream that differs from the one that writing gives for what was read: one that ends more than
16 bytes before the last byte that is read, one with bytes left over, one that ends in other bytes, and one that makes
code ≥ span.
"""

from __future__ import annotations

from sgc_diffusion.bitstream.errors import CorruptSectionError

PROBABILITY_BITS = 16
MAX_DROPPED = 16  # zero bytes at the end of a stream; more of them are kept
_TOP = 1 << 24
_MASK = (1 << 32) - 1


class RangeEncoder:
    """Narrows the interval by decisions; `finish` returns the bytes."""

    def __init__(self) -> None:
        self._low, self._span = 0, _MASK
        self._bytes = bytearray()

    def encode(self, bit: int, probability: int) -> None:
        """Code one decision.

        Args:
            bit: 0 or 1.
            probability: of 1, in 1/65536, 1 … 65535.
        """
        bound = (self._span >> PROBABILITY_BITS) * probability
        if bit:
            self._span = bound
        else:
            self._low += bound
            self._span -= bound
        while self._span < _TOP:
            self._shift()

    def encode_many(self, bits: list[int], probabilities: list[int]) -> None:
        """Code decisions one after the other, as `encode` does."""
        low, span = self._low, self._span
        for bit, probability in zip(bits, probabilities, strict=True):
            bound = (span >> PROBABILITY_BITS) * probability
            if bit:
                span = bound
            else:
                low += bound
                span -= bound
            if span < _TOP:
                self._low, self._span = low, span
                while self._span < _TOP:
                    self._shift()
                low, span = self._low, self._span
        self._low, self._span = low, span

    def narrow(self, start: int, size: int, total: int) -> None:
        """Code one symbol of several.

        Args:
            start: sum of the weights of the symbols before it.
            size: its weight, at least 1.
            total: sum of all weights, at most 65536.
        """
        unit = self._span // total
        self._low += unit * start
        self._span = unit * size
        while self._span < _TOP:
            self._shift()

    def _shift(self) -> None:
        if self._low > _MASK:
            self._carry()
        self._bytes.append(self._low >> 24 & 255)
        self._low = self._low << 8 & _MASK
        self._span <<= 8

    def _carry(self) -> None:
        self._low &= _MASK
        index = len(self._bytes) - 1
        while self._bytes[index] == 255:
            self._bytes[index] = 0
            index -= 1
        self._bytes[index] += 1

    def finish(self) -> bytes:
        """Return the stream."""
        end = _final_value(self._low, self._span)
        self._low = end
        for _ in range(4):
            self._shift()
        kept = max(len(self._bytes) - MAX_DROPPED, 0)
        return bytes(self._bytes[:kept] + self._bytes[kept:].rstrip(b"\0"))


class RangeDecoder:
    """Reads the decisions back from the bytes of a `RangeEncoder`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 4
        self._code = int.from_bytes((data[:4] + b"\0\0\0\0")[:4], "big")
        self._span = _MASK
        if self._code >= self._span:
            raise CorruptSectionError("The entropy-coded stream starts with a value that no encoder writes")

    def decode(self, probability: int) -> int:
        """Return the next decision, 0 or 1, coded with this probability of 1 in 1/65536."""
        bound = (self._span >> PROBABILITY_BITS) * probability
        if self._code < bound:
            self._span = bound
            bit = 1
        else:
            self._code -= bound
            self._span -= bound
            bit = 0
        if self._span < _TOP:
            self._fill()
        return bit

    def decode_run(self, probability: int, limit: int) -> int:
        """Return how many of the next decisions, at most `limit`, are 1; the first that is 0 is taken as well."""
        code, span = self._code, self._span
        for count in range(limit):
            bound = (span >> PROBABILITY_BITS) * probability
            if code >= bound:
                self._code, self._span = code - bound, span - bound
                self._fill()
                return count
            span = bound
            if span < _TOP:
                self._code, self._span = code, span
                self._fill()
                code, span = self._code, self._span
        self._code, self._span = code, span
        return limit

    def _fill(self) -> None:
        while self._span < _TOP:
            position = self._position
            self._code = self._code << 8 | (self._data[position] if position < len(self._data) else 0)
            self._span <<= 8
            self._position = position + 1
        if self._position > len(self._data) + MAX_DROPPED:
            raise CorruptSectionError("The entropy-coded stream ends before its last symbol")

    def target(self, total: int) -> int:
        """Return where in 0 … total − 1 the coded symbol lies; `narrow` must follow."""
        return min(self._code // (self._span // total), total - 1)

    def narrow(self, start: int, size: int, total: int) -> None:
        """Take the symbol that `RangeEncoder.narrow` coded.

        Raises:
            CorruptSectionError: the stream holds a value that no encoder writes.
        """
        unit = self._span // total
        self._code -= unit * start
        self._span = unit * size
        if self._code >= self._span:
            raise CorruptSectionError("The entropy-coded stream holds a value that no encoder writes")
        self._fill()

    def finish(self) -> None:
        """Check that the stream ends as an encoder would end it.

        Raises:
            CorruptSectionError: it does not, so that encoding what was decoded would give other bytes.
        """
        start = max(self._position - 4, 0)
        window = int.from_bytes((self._data[start : self._position] + b"\0\0\0\0")[:4], "big")
        low = (window - self._code) & _MASK
        if (
            len(self._data) > self._position
            or (self._data.endswith(b"\0") and len(self._data) > self._position - MAX_DROPPED)
            or _final_value(low, self._span) & _MASK != window
        ):
            raise CorruptSectionError("The entropy-coded stream does not end where its last symbol does")


def _final_value(low: int, span: int) -> int:
    """The value in [low, low + span) with the most trailing zero bytes; it may exceed 32 bits by a carry."""
    for bits in (32, 24):
        value = -(-low >> bits) << bits
        if value < low + span:
            return value
    raise AssertionError("a span of at least 2**24 holds a multiple of 2**24")
