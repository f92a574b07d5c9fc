"""Quantised coefficients of the colour map ↔ bytes."""

from __future__ import annotations

import numpy as np

from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.range_coder import RangeDecoder, RangeEncoder

_MAX_EXPONENT = 14
_HALF = 1 << 15


class _Adaptive:
    """Probabilities that learn, one for each context."""

    def __init__(self) -> None:
        self._states: dict[tuple, list[int]] = {}

    def code(self, coder: RangeEncoder | RangeDecoder, context: tuple, bit: int | None, start: int = _HALF) -> int:
        state = self._states.setdefault(context, [start, 2])
        if bit is None:
            bit = coder.decode(state[0])
        else:
            coder.encode(bit, state[0])
        rate = state[1]
        state[0] += ((65536 if bit else 0) - state[0]) // rate
        state[0] = min(max(state[0], 64), 65472)
        state[1] = min(rate + 1, 24)
        return bit


def encode_color(levels: np.ndarray) -> bytes:
    """Return the stream of levels (h, w, 3) int16."""
    encoder = RangeEncoder()
    _code(encoder, *levels.shape[:2], levels.tolist())
    return encoder.finish()


def decode_color(data: bytes, height: int, width: int) -> np.ndarray:
    """Return the levels (height, width, 3) int16 of a stream.

    Raises:
        CorruptSectionError: no encoder writes this stream.
    """
    decoder = RangeDecoder(data)
    levels = _code(decoder, height, width, None)
    decoder.finish()
    return np.array(levels, dtype=np.int16)


def _code(coder, height: int, width: int, levels: list | None) -> list:
    model = _Adaptive()
    done = [[[0, 0, 0] for _ in range(width)] for _ in range(height)]
    order = sorted((v * 16 // height + u * 16 // width, v, u) for v in range(height) for u in range(width))
    for diagonal, v, u in order:
        for channel in range(3):
            near = 2 * abs(done[v - 1][u][channel]) if v else 0
            near += 2 * abs(done[v][u - 1][channel]) if u else 0
            near += abs(done[v - 1][u - 1][channel]) if u and v else 0
            near += 2 * abs(done[v][u][channel - 1]) if channel else 0
            context = (min(near, 9), min(diagonal, 9), channel > 0)
            done[v][u][channel] = _code_level(coder, model, context, None if levels is None else levels[v][u][channel])
    return done


def _code_level(coder, model: _Adaptive, context: tuple, level: int | None) -> int:
    known = level is not None
    size = abs(level) if known else 0
    if not model.code(coder, ("zero", *context), int(size > 0) if known else None, 40000 if context[1] < 3 else 4000):
        return 0
    # The size by Elias gamma: how many bits it has, then the bits below the leading one.
    exponent, target = 0, size.bit_length() - 1
    while model.code(coder, ("exponent", context[0] // 4, exponent), int(target > exponent) if known else None, 16000):
        exponent += 1
        if exponent > _MAX_EXPONENT:
            raise CorruptSectionError("A color level is beyond 32767")
    value = 1
    for shift in range(exponent - 1, -1, -1):
        bit = model.code(coder, ("mantissa", exponent, shift), size >> shift & 1 if known else None)
        value = 2 * value + bit
    negative = model.code(coder, ("sign",), int(level < 0) if known else None)
    return -value if negative else value
