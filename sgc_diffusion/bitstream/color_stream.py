"""Quantized coefficients of the color map ↔ bytes.

    the last diagonal of each channel ─▶ coefficient by coefficient: zero? sign, one? two? the rest by Elias gamma

The encoder finds the contexts at once with numpy; the decoder one by one. Both give the same integers, which the tests
compare.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np

from sgc_diffusion.bitstream import color_context as context
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.range_coder import RangeDecoder, RangeEncoder
from sgc_diffusion.bitstream.tables import load_tables, probabilities, probability, table_list
from sgc_diffusion.payload.color_transform import MAX_LEVEL

_MAX_EXPONENT = 14
_SIZES = ("energy", "shape", "activity", "ending")
_SIGNS = ("sign_place", "sign_other", "sign_near")


def encode_color(levels: np.ndarray, quality: int) -> bytes:
    """Write the levels of a color map.

    Args:
        levels: (h, w, 3) int16 from −32767 to 32767.
        quality: index of the quantizer.

    Returns:
        The stream; it holds neither the size of the map nor the quality.

    Raises:
        ValueError: a level is outside of this range.
    """
    for level in (levels.min(), levels.max()):
        if not -MAX_LEVEL <= level <= MAX_LEVEL:
            raise ValueError(f"`levels` must be from -{MAX_LEVEL} to {MAX_LEVEL}, got {level}")
    encoder = RangeEncoder()
    write_color(encoder, levels, quality)
    return encoder.finish()


def write_color(encoder: RangeEncoder, levels: np.ndarray, quality: int) -> None:
    """Send the decisions of a color map to an encoder; arguments as for `encode_color`."""
    height, width = levels.shape[:2]
    places = context.contexts(levels[None], np.array([quality]))
    order = tuple(np.array(context.frequencies(height, width)).T)
    coded = places.is_coded[0][order]
    flat = levels[order][coded].tolist()
    size_odds = [_sum(_SIZES, places, order, coded, step) for step in range(3)]
    sign_odds = _sum(_SIGNS, places, order, coded, 0)
    scale = places.scale[0][order][coded].tolist()
    _encode_last(encoder, places.last[0].tolist(), height, width, quality)
    for index, level in enumerate(flat):
        encoder.encode(int(level != 0), size_odds[0][index])
        if level:
            size = abs(level)
            encoder.encode(int(level < 0), sign_odds[index])
            encoder.encode(int(size > 1), size_odds[1][index])
            if size > 1:
                encoder.encode(int(size > 2), size_odds[2][index])
                if size > 2:
                    _encode_rest(encoder, size - 2, scale[index])


def _sum(
    names: tuple[str, ...], places: context.ColorContexts, order: tuple, coded: np.ndarray, step: int
) -> list[int]:
    """Probabilities of the coded coefficients in coding order, from the sum of the named tables at one step."""
    tables = load_tables("color")
    contexts = {name: getattr(places, name)[0][order][coded] for name in names}
    odds = [tables[f"color_{name}"][step].astype(np.int32)[index] for name, index in contexts.items()]
    return probabilities(np.stack(odds).sum(axis=0, dtype=np.int32)).tolist()


def _last_odds(channel: int, diagonal: int, scale: np.ndarray) -> int:
    """Log-odds that a channel goes on after a diagonal."""
    row = min((diagonal + 1) // 2, scale.shape[0] - 1)
    column = min(diagonal - min(diagonal // 2, scale.shape[0] - 1), scale.shape[1] - 1)
    return table_list("color", "color_last")[int(scale[row, column, channel]) * 3 + channel]


def _encode_last(encoder: RangeEncoder, last: list[int], height: int, width: int, quality: int) -> None:
    scale = context.scales(height, width, quality)
    for channel in range(3):
        for diagonal in range(height + width - 2):
            encoder.encode(int(diagonal < last[channel]), probability(_last_odds(channel, diagonal, scale)))
            if diagonal == last[channel]:
                break


def _decode_last(decoder: RangeDecoder, height: int, width: int, quality: int) -> list[int]:
    scale, last = context.scales(height, width, quality), []
    for channel in range(3):
        diagonal = 0
        while diagonal < height + width - 2 and decoder.decode(probability(_last_odds(channel, diagonal, scale))):
            diagonal += 1
        last.append(diagonal)
    return last


def _encode_rest(encoder: RangeEncoder, value: int, scale: int) -> None:
    """Code an integer from 1: how many bits it has, then those below the leading one."""
    exponent = value.bit_length() - 1
    for step in range(exponent + 1):
        encoder.encode(int(step < exponent), _exponent_probability(step, scale))
    for shift in range(exponent - 1, -1, -1):
        encoder.encode(value >> shift & 1, _mantissa_probability(exponent, shift))


def _decode_rest(decoder: RangeDecoder, scale: int) -> int:
    exponent = 0
    while decoder.decode(_exponent_probability(exponent, scale)):
        exponent += 1
        if exponent > _MAX_EXPONENT:
            raise CorruptSectionError(f"A color level is beyond {MAX_LEVEL}")
    value = 1
    for shift in range(exponent - 1, -1, -1):
        value = 2 * value + decoder.decode(_mantissa_probability(exponent, shift))
    return value


def _exponent_probability(step: int, scale: int) -> int:
    return probability(table_list("color", "color_exponent")[min(step, 9) * context.NUM_SCALES + scale])


def _mantissa_probability(exponent: int, shift: int) -> int:
    """Of the top bit below the leading one from the table; lower bits are even."""
    return probability(table_list("color", "color_mantissa")[min(exponent, 9)]) if shift == exponent - 1 else 1 << 15


def decode_color(data: bytes, height: int, width: int, quality: int) -> np.ndarray:
    """Read the levels of a color map.

    Args:
        data: the stream of `encode_color`.
        height: rows of the map.
        width: columns.
        quality: index of the quantizer.

    Returns:
        levels (height, width, 3) int16.

    Raises:
        CorruptSectionError: no encoder writes this stream.
    """
    decoder = RangeDecoder(data)
    last = _decode_last(decoder, height, width, quality)
    state = _State(decoder, height, width, quality, last)
    highest = max(last)
    for diagonal, frequencies in groupby(context.frequencies(height, width), key=sum):
        if diagonal > highest:
            break
        state.decode_diagonal(diagonal, list(frequencies))
    levels = state.levels()
    diagonals = np.add.outer(np.arange(height), np.arange(width))
    if last != np.where(levels != 0, diagonals[..., None], 0).max(axis=(0, 1)).tolist():
        raise CorruptSectionError("The last frequency of a color channel holds nothing, which no encoder writes")
    decoder.finish()
    return levels


class _State:
    """Levels decoded so far, padded by two zeros at the low frequencies, and what the contexts sum up of them."""

    def __init__(self, decoder: RangeDecoder, height: int, width: int, quality: int, last: list[int]) -> None:
        self._decoder, self._last = decoder, last
        self._shape, self._stride = (height, width), width + 2
        self._planes = [[0] * ((height + 2) * (width + 2)) for _ in range(3)]
        scale = context.scales(height, width, quality)
        self._scale = scale.tolist()
        self._expected = context.expected(scale).sum(axis=2).tolist()
        self._near = [int(np.searchsorted(context.NEAR_LIMITS, total, side="right")) for total in range(106)]
        self._actual = self._awaited = 0

    def levels(self) -> np.ndarray:
        """(h, w, 3) int16."""
        height, width = self._shape
        planes = np.array(self._planes, dtype=np.int16).reshape(3, height + 2, width + 2)
        return np.ascontiguousarray(np.moveaxis(planes[:, 2:, 2:], 0, -1))

    def decode_diagonal(self, diagonal: int, frequencies: list[tuple[int, int]]) -> None:
        """Decode one diagonal of every channel that reaches it."""
        activity = int(context.activity_class(self._actual, self._awaited)) * context.NUM_SCALES
        channels = [channel for channel in range(3) if diagonal <= self._last[channel]]
        endings = [min(self._last[channel] - diagonal, 7) * 13 for channel in range(3)]
        actual = awaited = 0
        for u, v in frequencies:
            awaited += self._expected[u][v]
            position = (u + 2) * self._stride + v + 2
            for channel in channels:
                level = self._decode_level(
                    position, channel, self._scale[u][v][channel], activity, endings[channel], (u, v)
                )
                self._planes[channel][position] = level
                actual += 16 * min(abs(level), 8)
        if diagonal:
            self._actual, self._awaited = self._actual + actual, self._awaited + awaited

    def _decode_level(
        self, position: int, channel: int, scale: int, activity: int, ending: int, place: tuple[int, int]
    ) -> int:
        plane, stride, decode = self._planes[channel], self._stride, self._decoder.decode
        up, left, corner = abs(plane[position - stride]), abs(plane[position - 1]), abs(plane[position - stride - 1])
        above, before = abs(plane[position - 2 * stride]), abs(plane[position - 2])
        if up or left or corner or above or before:
            total = 2 * (min(up, 15) + min(left, 15)) + min(corner, 15) + min(above, 15) + min(before, 15)
            near = self._near[total]
            shape = ((min(up, 3) * 4 + min(left, 3)) * 4 + min(corner, 3)) * 48
        else:
            near = shape = 0
        if channel:
            shape += 3 * min(abs(self._planes[0][position]), 3)
            if channel == 2:
                shape += 12 * min(abs(self._planes[1][position]), 3)
        indices = (
            (scale * 13 + near) * 3 + channel,
            shape + channel,
            (activity + scale) * 3 + channel,
            (ending + near) * 3 + channel,
        )
        if not decode(_size_probability(indices, 0)):
            return 0
        negative = decode(self._sign_probability(position, channel, place))
        size = 1
        if decode(_size_probability(indices, 1)):
            size = 2
            if decode(_size_probability(indices, 2)):
                size = 2 + _decode_rest(self._decoder, scale)
                if size > MAX_LEVEL:
                    raise CorruptSectionError(f"A color level is beyond {MAX_LEVEL}")
        return -size if negative else size

    def _sign_probability(self, position: int, channel: int, place: tuple[int, int]) -> int:
        plane, stride = self._planes[channel], self._stride
        edge = (place[0] == 0) * 2 + (place[1] == 0)
        other = 4 + (3 * _sign(self._planes[0][position]) if channel else 0)
        other += _sign(self._planes[1][position]) if channel == 2 else 0
        near = 40 + 27 * _sign(plane[position - stride]) + 9 * _sign(plane[position - 2 * stride])
        near += 3 * _sign(plane[position - 1]) + _sign(plane[position - 2])
        odds = table_list("color", "color_sign_place")[(min(place[0], 7) * 8 + min(place[1], 7)) * 3 + channel]
        odds += table_list("color", "color_sign_other")[(edge * 9 + other) * 3 + channel]
        return probability(odds + table_list("color", "color_sign_near")[edge * 81 + near])


def _size_probability(indices: tuple[int, int, int, int], step: int) -> int:
    energy, shape, activity, ending = indices
    odds = table_list("color", "color_energy")[step * context.ENERGY_SIZE + energy]
    odds += table_list("color", "color_shape")[step * context.SHAPE_SIZE + shape]
    odds += table_list("color", "color_activity")[step * context.ACTIVITY_SIZE + activity]
    return probability(odds + table_list("color", "color_ending")[step * context.ENDING_SIZE + ending])


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
