"""Coder of the detail levels: wavelet coefficients ↔ bytes, one level after the other, exact at the last.

    coefficients ──encode_levels──▶ a body for each level
    bodies ──decode_level, one after the other──▶ `DetailState`: what is known ──▶ `payload.detail.likeness`

The body of a level is one stream of `rans`; `detail_planes` says which decisions it holds, `detail_context` where their
log-odds stand in the tables, `detail_probability` what follows from them, `detail_bands` which planes a level brings.
A level says nothing but what is new, and may follow any lower one: levels may be left out when a file is made, and
dropped from its end at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sgc_diffusion.bitstream.detail_planes import PlaneCoder
from sgc_diffusion.bitstream.detail_probability import DecodingDecider, EncodingDecider, load_detail_tables
from sgc_diffusion.payload.detail import LOSSLESS, DetailState, nothing_known
from sgc_diffusion.payload.detail_bands import NUM_LEVELS, Band, to_phases
from sgc_diffusion.payload.detail_coefficients import known_coefficients
from sgc_diffusion.payload.picture_transform import MIXES, SMOOTH, TransformChoices, chroma_lows, forward

Decider = EncodingDecider | DecodingDecider


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
    state = nothing_known(picture.shape[0], picture.shape[1], color_map)
    channels, choices = forward(picture, color_map, is_for_lossless=LOSSLESS in levels)
    flat: list[list[Any]] = [[band for scale in channel for band in scale] for channel in channels]
    channels.clear()
    truth = []
    for index in range(len(state.bands)):
        truth.append(to_phases(flat[index % 3][index // 3]))
        flat[index % 3][index // 3] = None  # half of the memory
    bodies = []
    for level in levels:
        body, state = _encode(state, level, choices, truth, in_place=True)  # or memory would hold two states
        bodies.append(body)
    return bodies


def _encode(
    before: DetailState,
    level: int,
    choices: TransformChoices,
    truth: list[np.ndarray],
    *,
    in_place: bool = False,
    num_bands: int | None = None,
) -> tuple[bytes, DetailState]:
    decider = EncodingDecider()
    if before.choices is None:
        code_choices(decider, choices)
    after = _refined(before, level, choices, decider, truth, in_place=in_place, num_bands=num_bands)
    return decider.encoder.finish(), after


def _refined(
    before: DetailState,
    level: int,
    choices: TransformChoices,
    decider: Decider,
    truth: list[np.ndarray] | None,
    *,
    in_place: bool = False,
    keeps_bands: bool = False,
    num_bands: int | None = None,
) -> DetailState:
    """Return what is known after a level whose decisions `decider` answers.

    With `in_place` the arrays are those of the state before, with `keeps_bands` not its bands, which say what it knew.
    """

    def find_lows(bands: list[Band]) -> list[np.ndarray]:
        coefficients = known_coefficients(bands, coarser_than=1)
        return chroma_lows(coefficients, choices, before.color_map, before.height, before.width)

    bands = list(before.bands) if in_place and not keeps_bands else [replace(band) for band in before.bands]
    for band in bands:
        band.kind = choices.kind  # not known before a file's first level
    weights = load_detail_tables()["weights"]
    PlaneCoder(bands, decider, weights, truth, find_lows, copies=not in_place).code_level(level, num_bands)
    return replace(before, bands=tuple(bands), choices=choices)


def encode_level(
    after: DetailState, level: int, before: DetailState, *, in_place: bool = False, num_bands: int | None = None
) -> bytes:
    """Encode what one state knows beyond another: the inverse of `decode_level`.

    Args:
        after: of `decode_level` with this level and `before`.
        level: its number, 0 … 15.
        before: what the levels below it gave, or `nothing_known`.
        in_place: `before` may be changed, which saves its memory.
        num_bands: how many bands, in coding order, are taken to the level; None for all.

    Raises:
        ValueError: a state that knows nothing.
    """
    if after.choices is None:
        raise ValueError("`after` must come from at least one level, got a state that knows nothing")
    truth = [band.phases() for band in after.bands]
    return _encode(before, level, after.choices, truth, in_place=in_place, num_bands=num_bands)[0]


def decode_level(
    body: bytes, level: int, before: DetailState, *, in_place: bool = False, num_bands: int | None = None
) -> DetailState:
    """Decode one level.

    Args:
        body: of the level.
        level: its number, 0 … 15.
        before: what the levels below it gave, or `nothing_known`; it is left as it is.
        in_place: the arrays of `before` are refined, so that memory never holds two states; it then knows more than
            its bands say, until `payload.detail.forget_unfinished` takes that back.
        num_bands: how many bands, in coding order, were taken to the level; None for all.

    Returns:
        What is known now.

    Raises:
        CorruptSectionError: the body is not one that an encoder writes.
    """
    decider = DecodingDecider(body)
    choices = code_choices(decider, None) if before.choices is None else before.choices
    after = _refined(before, level, choices, decider, None, keeps_bands=True, in_place=in_place, num_bands=num_bands)
    decider.decoder.finish()
    return after


def code_choices(decider: Decider, choices: TransformChoices | None) -> TransformChoices:
    """Code the choices of the transform, or read them if None is given; returns them."""
    kind = _code_number(decider, "kind", (0,), 2, None if choices is None else choices.kind)
    read = TransformChoices(kind=kind)
    for name, known, num_bits, lowest in (
        ("filters", read.filters, 3, 0),
        ("mixes", read.mixes, 4, MIXES[0]),
    ):
        if name == "filters" and kind == SMOOTH:
            continue
        for place in np.ndindex(known.shape):
            number = None if choices is None else int(getattr(choices, name)[place]) - lowest
            known[place] = _code_number(decider, name, place, num_bits, number) + lowest
    return read


def _code_number(decider: Decider, table: str, place: tuple[int, ...], num_bits: int, number: int | None) -> int:
    node = 1
    for bit in reversed(range(num_bits)):
        truth = None if number is None else np.array([bool(number >> bit & 1)])
        weighed = decider.weigh([([(table, place)], np.array([node]))])
        node = 2 * node + int(decider.answer(weighed, truth)[0])
    return node - (1 << num_bits)
