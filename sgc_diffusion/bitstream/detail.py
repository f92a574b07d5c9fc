"""Coder of the detail levels: wavelet coefficients ↔ bytes, one level after the other, exact at the last.

    coefficients ──encode_levels──▶ a body for each level
    bodies ──decode_level, one after the other──▶ `DetailState`: what is known ──▶ `likeness` of pixels

The body of a level is one stream of `rans`; `detail_planes` says which decisions it holds, `detail_context` where their
log-odds stand in the tables, `detail_bands` which planes a level brings. A level says nothing but what is new, and may
follow any lower one: levels may be left out when a file is made, and dropped from its end at any time.

The probability of a yes, in 1/4096, comes from the sum of the entries in 1/32 nat: (squash[sum] + 8) >> 4 with the
table of `tables.probabilities`, but at least 3 and at most 4093. So a decision costs at least 1/946 bit, and a reader
knows before it works on a batch whether the bytes that are left can hold it: time and memory are bounded by the bytes
read, not by the size that a file declares. What no encoder writes is rejected: a state or a word too many or too few.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources

import numpy as np

from sgc_diffusion import wavelet
from sgc_diffusion.bitstream import tables
from sgc_diffusion.bitstream.detail_bands import NUM_LEVELS, Band, make_bands, to_phases
from sgc_diffusion.bitstream.detail_coefficients import known_coefficients
from sgc_diffusion.bitstream.detail_context import TABLE_SHAPES, Groups
from sgc_diffusion.bitstream.detail_planes import PlaneCoder
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.rans import PROBABILITY_BITS, RansDecoder, RansEncoder
from sgc_diffusion.smooth_base import smooth_base

TABLE_FILE = "detail_tables.npz"
LOSSLESS = NUM_LEVELS - 1
_LEAST = 3  # the lowest probability, in 1/4096
_MOST_DECISIONS_PER_BIT = 946  # 1 / −log2(4093 / 4096), rounded up
_MOST_ODDS = 8 * 128


@dataclass(frozen=True)
class DetailState:
    """What is known of the coefficients of a picture after some levels.

    Attributes:
        height: rows of the picture.
        width: columns of the picture.
        color_map: (h, w, 3) uint8, the decoded one.
        bands: in coding order; never changed in place.
        choices: of the transform, or None before the first level.
    """

    height: int
    width: int
    color_map: np.ndarray = field(repr=False)
    bands: tuple[Band, ...] = field(repr=False)
    choices: wavelet.TransformChoices | None = None


def nothing_known(height: int, width: int, color_map: np.ndarray) -> DetailState:
    """Return the state of a picture before its first level.

    Args:
        height: rows of the picture, at least 1.
        width: columns of the picture, at least 1.
        color_map: (h, w, 3) uint8, the decoded one.
    """
    return DetailState(height, width, color_map, tuple(make_bands(height, width)))


def encode_levels(picture: np.ndarray, color_map: np.ndarray, levels: Sequence[int] = range(NUM_LEVELS)) -> list[bytes]:
    """Encode a picture over its decoded color map.

    Args:
        picture: (H, W, 3) uint8.
        color_map: (h, w, 3) uint8.
        levels: rising, each 0 … 15; with 15 the picture is exact.

    Returns:
        The body of each level.

    Raises:
        ValueError: wrong levels.

    Example:
        >>> picture, color_map = np.zeros((20, 30, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)
        >>> [body] = encode_levels(picture, color_map, [15])
        >>> state = decode_level(body, 15, nothing_known(20, 30, color_map))
        >>> bool((likeness(state) == picture).all())
        True
    """
    if list(levels) != sorted(set(levels)) or not all(0 <= level < NUM_LEVELS for level in levels):
        raise ValueError(f"`levels` must rise from 0 to {LOSSLESS} without repeats, got {list(levels)}")
    state = nothing_known(*picture.shape[:2], color_map)
    channels, choices = wavelet.forward(picture, color_map)
    flat = [[band for scale in channel for band in scale] for channel in channels]
    channels.clear()
    truth = []
    for index in range(len(state.bands)):
        truth.append(to_phases(flat[index % 3][index // 3]))
        flat[index % 3][index // 3] = None  # half of the memory
    bodies = []
    for level in levels:
        body, state = _encode(state, level, choices, truth)
        bodies.append(body)
    return bodies


def _encode(
    before: DetailState, level: int, choices: wavelet.TransformChoices, truth: list[np.ndarray]
) -> tuple[bytes, DetailState]:
    decider = _Encoding()
    if before.choices is None:
        code_choices(decider, choices)
    after = _refined(before, level, choices, decider, truth)
    return decider.encoder.finish(), after


def _refined(
    before: DetailState,
    level: int,
    choices: wavelet.TransformChoices,
    decider: _Encoding | _Decoding,
    truth: list[np.ndarray] | None,
) -> DetailState:
    """Return what is known after a level whose decisions `decider` answers."""

    def find_lows(bands: list[Band]) -> list[np.ndarray]:
        coefficients = known_coefficients(bands)
        return wavelet.chroma_lows(coefficients, choices, before.color_map, before.height, before.width)

    bands = [replace(band) for band in before.bands]
    PlaneCoder(bands, decider, load_detail_tables()["weights"], truth, find_lows).code_level(level)
    return replace(before, bands=tuple(bands), choices=choices)


def encode_level(after: DetailState, level: int, before: DetailState) -> bytes:
    """Encode what one state knows beyond another: the inverse of `decode_level`.

    Args:
        after: of `decode_level` with this level and `before`.
        level: its number, 0 … 15.
        before: what the levels below it gave, or `nothing_known`.
    """
    return _encode(before, level, after.choices, [band.phases() for band in after.bands])[0]


def decode_level(body: bytes, level: int, before: DetailState) -> DetailState:
    """Decode one level.

    Args:
        body: of the level.
        level: its number, 0 … 15.
        before: what the levels below it gave, or `nothing_known`; it is left as it is.

    Returns:
        What is known now.

    Raises:
        CorruptSectionError: the body is not one that an encoder writes.
    """
    decider = _Decoding(body)
    choices = code_choices(decider, None) if before.choices is None else before.choices
    after = _refined(before, level, choices, decider, None)
    decider.decoder.finish()
    return after


def likeness(state: DetailState) -> np.ndarray:
    """Return the picture (H, W, 3) uint8 that is known, exact once level 15 is; with no level it is the smooth base."""
    if state.choices is None:
        return smooth_base(state.color_map, state.height, state.width)
    coefficients = known_coefficients(state.bands)
    return wavelet.inverse(coefficients, state.choices, state.color_map, state.height, state.width)


def code_choices(decider: _Encoding | _Decoding, choices: wavelet.TransformChoices | None) -> wavelet.TransformChoices:
    """Code the choices of the transform, or read them if None is given; returns them."""
    read = wavelet.TransformChoices()
    for name, known, num_bits, lowest in (("filters", read.filters, 3, 0), ("mixes", read.mixes, 4, wavelet.MIXES[0])):
        for place in np.ndindex(known.shape):
            number = None if choices is None else int(getattr(choices, name)[place]) - lowest
            known[place] = _code_number(decider, name, place, num_bits, number) + lowest
    return read


def _code_number(
    decider: _Encoding | _Decoding, table: str, place: tuple[int, ...], num_bits: int, number: int | None
) -> int:
    node = 1
    for bit in reversed(range(num_bits)):
        truth = None if number is None else np.array([bool(number >> bit & 1)])
        weighed = decider.weigh([([(table, place)], np.array([node]))])
        node = 2 * node + int(decider.answer(weighed, truth)[0])
    return node - (1 << num_bits)


class _Weighing:
    """Turns places in tables into probabilities."""

    def weigh(self, groups: Groups) -> np.ndarray:
        """Return probabilities (n,) uint16 in 1/4096."""
        odds: np.ndarray | None = None
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


class _Encoding(_Weighing):
    def __init__(self) -> None:
        self.encoder = RansEncoder()

    def expect(self, num_decisions: int) -> None:
        """An encoder expects anything."""

    def answer(self, weighed: np.ndarray, truth: np.ndarray | None) -> np.ndarray:
        """Note the true decisions and return them."""
        self.encoder.encode(truth, weighed)
        return truth


class _Decoding(_Weighing):
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
    """Return the tables of `detail_context.TABLE_SHAPES`, int8, and `weights`, (3, 4, 4, 10) uint8; read-only."""
    data = (resources.files("sgc_diffusion.bitstream") / TABLE_FILE).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        loaded = {name: archive[name] for name in (*TABLE_SHAPES, "weights")}
    for table in loaded.values():
        table.flags.writeable = False
    return loaded
