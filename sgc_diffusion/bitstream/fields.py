"""Notation and fields

"MUST" marks what a writer has to do and what a reader has to reject if it was not done.

- ⌊x⌋ is the largest integer not above x.
- `>>` and `<<` shift the bits of an integer; a right shift of a negative integer rounds down.
- A limit L is *reached* by x if x ≥ L. "How many of 2 3 5 are reached by x" is 0, 1, 2 or 3.
- u8, u16: unsigned integers of 1 and 2 bytes, little-endian.
- bytes: as they stand.

**varint**: an unsigned integer in LEB128.

1. The integer is cut into groups of 7 bits, the lowest first.
2. Each group is one byte; its bit 7 is 1 if another group follows.
3. It MUST take its shortest form (no last byte 0 after another one) and at most 4 bytes.

**sides**: two integers a and b, each from 1 to a limit that is given where the field is used.

1. If a = b: varint(2·a).
2. Else: varint(2·a + 1), varint(b). In this form a and b MUST differ.
"""

from __future__ import annotations

from sgc_diffusion.bitstream.errors import CorruptSectionError, TruncatedStreamError


class Reader:
    """Takes fields off the front of bytes and never reads past their end."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data, self.position = data, position

    @property
    def remaining(self) -> int:
        """Bytes not taken yet."""
        return len(self.data) - self.position

    def take(self, size_bytes: int, what: str) -> bytes:
        """Return the next bytes; raises TruncatedStreamError if there are fewer."""
        if size_bytes > self.remaining:
            raise TruncatedStreamError(
                f"The file ends in its {what}: {size_bytes} bytes expected, {self.remaining} left"
            )
        start, self.position = self.position, self.position + size_bytes
        return self.data[start : self.position]

    def integer(self, size_bytes: int, what: str) -> int:
        """Return a little-endian unsigned integer."""
        return int.from_bytes(self.take(size_bytes, what), "little")

    def varint(self, what: str) -> int:
        """Return an unsigned LEB128 integer of at most four bytes in its shortest form."""
        value = 0
        for index in range(4):
            byte = self.integer(1, what)
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if byte == 0 and index:
                    raise CorruptSectionError(f"The {what} is not in its shortest form")
                return value
        raise CorruptSectionError(f"The {what} takes more than four bytes")

    def sides(self, what: str, limit: int) -> tuple[int, int]:
        """Return two sides (first, second), each from 1 to `limit`."""
        value = self.varint(what)
        first, differs = value >> 1, value & 1
        second = self.varint(what) if differs else first
        if not (1 <= first <= limit and 1 <= second <= limit) or (differs and first == second):
            raise CorruptSectionError(
                f"The {what} {first} x {second} is not one that an encoder writes (limit {limit})"
            )
        return first, second


def varint(value: int) -> bytes:
    """Return the unsigned LEB128 form of an integer below 2²⁸."""
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(data) + bytes([value])


def sides(first: int, second: int) -> bytes:
    """Return two sides; the second takes no room if it is the same."""
    return varint(2 * first) if first == second else varint(2 * first + 1) + varint(second)
