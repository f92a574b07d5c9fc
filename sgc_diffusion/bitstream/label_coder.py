"""Label map ↔ bytes: is a cell like one of its neighbours, and if not, what is it?"""

from __future__ import annotations

import numpy as np

from sgc_diffusion.bitstream.range_coder import RangeDecoder, RangeEncoder

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


def encode_labels(label_map: np.ndarray, num_classes: int) -> bytes:
    """Return the stream of a label map (h, w) uint8 with ids below `num_classes`."""
    encoder = RangeEncoder()
    _code(encoder, *label_map.shape, num_classes, label_map.tolist())
    return encoder.finish()


def decode_labels(data: bytes, height: int, width: int, num_classes: int) -> np.ndarray:
    """Return the label map (height, width) uint8 of a stream.

    Raises:
        CorruptSectionError: no encoder writes this stream.
    """
    decoder = RangeDecoder(data)
    rows = _code(decoder, height, width, num_classes, None)
    decoder.finish()
    return np.array(rows, dtype=np.uint8)


def _code(coder, height: int, width: int, num_classes: int, rows: list[list[int]] | None) -> list[list[int]]:
    model, seen = _Adaptive(), []
    done: list[list[int]] = []
    for y in range(height):
        row: list[int] = []
        done.append(row)
        for x in range(width):
            neighbors = _neighbors(done, y, x, width)
            candidates = list(dict.fromkeys(neighbors))
            pattern = tuple(candidates.index(label) for label in neighbors)
            actual = None if rows is None else rows[y][x]
            for rank, label in enumerate(candidates):
                bit = model.code(coder, (pattern, rank), None if actual is None else int(actual == label), 60000 if len(candidates) == 1 else 40000)
                if bit:
                    break
            else:
                label = _code_new(coder, model, seen, candidates, num_classes, actual)
            row.append(label)
    return done


def _neighbors(done: list[list[int]], y: int, x: int, width: int) -> list[int]:
    row = done[y]
    up = done[y - 1] if y else None
    w = row[x - 1] if x else None
    n = up[x] if up else None
    found = [w, n, up[x - 1] if up and x else None, up[x + 1] if up and x + 1 < width else None]
    return [label for label in found if label is not None]


def _code_new(coder, model: _Adaptive, seen: list[int], excluded: list[int], num_classes: int, actual: int | None) -> int:
    for rank, label in enumerate([label for label in reversed(seen) if label not in excluded]):
        if model.code(coder, ("seen", min(rank, 3)), None if actual is None else int(actual == label), 20000):
            break
    else:
        low, high = 0, num_classes
        while high - low > 1:
            middle = (low + high) // 2
            known = actual is not None
            if model.code(coder, ("id", low, high), int(actual >= middle) if known else None):
                low = middle
            else:
                high = middle
        label = low
        if label in seen:
            seen.remove(label)
        seen.append(label)
    return label
