"""Picture → detail levels: as many as a quality asks for, or as fit into a number of bytes.

    picture, payload of labels and colors ──exact state──▶ levels 0, 1, 2 … ──until quality or budget──▶ payload

A level is left out where it says nothing. Under a budget the levels of a picture are nested, whatever the budget, and
the last may be a part, so that more bytes give all that fewer give. What importance and regions a payload has steer its
detail.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from sgc_diffusion.analysis.region_margin import fade_outside
from sgc_diffusion.analysis.steering import steering_of
from sgc_diffusion.payload import DetailLevel, ImportanceLayer, RegionsLayer, SemanticPayload
from sgc_diffusion.payload.detail import (
    FIRST_KIND,
    LOSSLESS,
    MAX_PSNR_HALVES,
    DetailState,
    exact_state,
    likeness,
    partly,
    says_nothing_new,
)
from sgc_diffusion.payload.grid import enlarge
from sgc_diffusion.payload.importance import MEAN_LEVEL
from sgc_diffusion.payload.regions import INNER_LEVELS
from sgc_diffusion.payload.steering import NUM_INNER, Steering

MAX_QUALITY = 100  # every pixel exact
# The quality from which each level is there; between 35 and 95 it is about the PSNR of what JPEG gives at that quality.
LEVEL_QUALITIES = (5, 12, 22, 35, 52, 68, 80, 86, 90, 93, 95, 96, 97, 98, 99, 100)
HANDOVER_BYTES = 300  # what labels and colors may take of a larger budget; detail is worth more from there on
LEAST_SHARE = 0.02  # of the bytes for detail that must be left for a part of a level to be worth the search
FIRST_TOLD_LEVEL, MAX_TOLD_PIXELS = 5, 2**22  # which levels tell their PSNR, in pictures of which size
LEAST_BITS_A_DIGIT = 2  # bits that an exact file takes for a binary digit of a coefficient: 2.2 to 2.6 in photographs
CLEARLY_WORSE = 1.05  # times the error: a level coarser than one so much worse is not looked at


def level_of_quality(quality: float) -> int | None:
    """Return the finest level of a quality, 0 … 100; None for labels and colors alone."""
    return max((level for level, least in enumerate(LEVEL_QUALITIES) if quality >= least), default=None)


def inner_levels_of(quality: float) -> tuple[int, int, int]:
    """Return how well regions are kept after each of their three levels for a quality of the last, 0 … 100.

    Args:
        quality: of the inside; 100 is exact.

    Raises:
        ValueError: out of range.
    """
    if not 0 <= quality <= MAX_QUALITY:
        raise ValueError(f"`region_quality` must be from 0 to {MAX_QUALITY}, got {quality!r}")
    last = level_of_quality(quality) or 0
    first, second, _ = INNER_LEVELS
    return min(first, last), min(second, last), last


def level_of_file(level: int | None, steering: Steering | None) -> int | None:
    """Return the level of a file after which what nothing is said of is known as after a level of its own.

    Args:
        level: wanted outside of regions, for cells of the mean importance; None for nothing there.
        steering: of the file's detail, if anything steers it.

    Returns:
        The level; with regions at least the last one for their inside. None for no detail at all.
    """
    if steering is None or steering.regions is None:
        return level
    last_inner = len(steering.regions.inner_levels) - 1
    mean = MEAN_LEVEL if steering.importance is not None else 0
    if level is None:
        return last_inner
    return next(own for own in range(last_inner + 1, LOSSLESS + 1) if steering.levels(own)[mean] >= level)


def add_detail(payload: SemanticPayload, picture: np.ndarray, finest: int) -> SemanticPayload:
    """Return a payload with the detail levels of a picture.

    Args:
        payload: of labels, colors and maybe layers that come before detail.
        picture: (H, W, 3) uint8, of the payload's size.
        finest: the last level, 0 … 15; 15 makes the picture exact.
    """
    regions, shown = payload.layer(RegionsLayer), picture
    if regions is not None and finest < NUM_INNER:  # nothing outside is asked for
        shown = fade_outside(picture, payload.color_map, regions)
    state = exact_state(shown, payload.color_map, steering_of(payload), is_for_lossless=finest == LOSSLESS)
    return payload.with_layers(*(_with_psnr(layer, picture) for layer in _levels(state, finest)))


def fit_detail(
    payload: SemanticPayload,
    picture: np.ndarray,
    num_bytes: int,
    count_last_layer: Callable[[SemanticPayload], int],
) -> SemanticPayload:
    """Return a payload with as many detail levels as fit, and a part of the next one.

    Args:
        payload: of labels, colors and maybe layers that come before detail.
        picture: (H, W, 3) uint8, of the payload's size.
        num_bytes: that the levels may take.
        count_last_layer: what the last layer of a payload adds to its file.

    Returns:
        The payload; without a last level that would only make the likeness worse, as the coarsest ones can.
    """
    exact = _fit_exact(payload, picture, num_bytes, count_last_layer)
    if exact is not None:
        return exact
    left = num_bytes
    for layer in _levels(exact_state(picture, payload.color_map, steering_of(payload)), LOSSLESS):
        larger = payload.with_layers(_with_psnr(layer, picture))
        size_bytes = count_last_layer(larger)
        if size_bytes > left:
            if left >= LEAST_SHARE * num_bytes:
                payload = _add_part(payload, layer, picture, left, count_last_layer)
            break
        payload, left = larger, left - size_bytes
    return without_worse_levels(payload, picture)


def _fit_exact(
    payload: SemanticPayload, picture: np.ndarray, num_bytes: int, count_last_layer: Callable[[SemanticPayload], int]
) -> SemanticPayload | None:
    """Return the payload with every level of an exact file, None if these do not fit into so many bytes."""
    state = exact_state(picture, payload.color_map, steering_of(payload), is_for_lossless=True)
    if _least_bytes(state) > num_bytes:
        return None
    for layer in _levels(state, LOSSLESS):
        payload = payload.with_layers(_with_psnr(layer, picture))
        num_bytes -= count_last_layer(payload)
        if num_bytes < 0:
            return None
    return payload


def _least_bytes(state: DetailState) -> float:
    """Return bytes that an exact file takes at least, about, so that few are coded in vain to see whether they fit."""
    sizes = (np.bincount(np.abs(band.values).ravel()) for band in state.bands if band.values is not None)
    num_bits = sum(float(counts @ np.log2(1 + np.arange(len(counts)))) for counts in sizes)
    return LEAST_BITS_A_DIGIT * num_bits / 8


def _add_part(
    payload: SemanticPayload,
    layer: DetailLevel,
    picture: np.ndarray,
    num_bytes: int,
    count_last_layer: Callable[[SemanticPayload], int],
) -> SemanticPayload:
    """Return the payload with as many bands of a level as fit into so many bytes, found by bisection."""
    last = _highest(payload)
    before = None if last is None else last.level

    def with_part(num_bands: int) -> DetailLevel:
        state = partly(layer.finest, layer.level, num_bands, before)
        return _with_psnr(DetailLevel(layer.kind, state, num_bands=num_bands), picture)

    fits, too_many = 0, len(layer.finest.bands)
    while too_many - fits > 1:
        num_bands = (fits + too_many) // 2
        if count_last_layer(payload.with_layers(with_part(num_bands))) <= num_bytes:
            fits = num_bands
        else:
            too_many = num_bands
    return payload.with_layers(with_part(fits)) if fits else payload


def _with_psnr(layer: DetailLevel, picture: np.ndarray) -> DetailLevel:
    """Return a level that tells the PSNR of its likeness, where that costs neither many bytes nor much time."""
    if layer.level < FIRST_TOLD_LEVEL or layer.level == LOSSLESS or picture[..., 0].size > MAX_TOLD_PIXELS:
        return layer
    error = max(_error(layer.state, picture), 1e-6)
    halves = round(20 * math.log10(255**2 / error))
    return replace(layer, psnr_halves=min(max(halves, 1), MAX_PSNR_HALVES))


def without_worse_levels(payload: SemanticPayload, picture: np.ndarray) -> SemanticPayload:
    """Return the payload without last levels that make the likeness worse, as the coarsest ones can.

    Args:
        payload: of labels, colors and detail levels.
        picture: (H, W, 3) uint8, of the payload's size.
    """
    best, least = payload, squared_error(payload, picture)
    while payload.layer(DetailLevel) and least > 0:
        payload = replace(payload, layers=payload.layers[:-1])
        error = squared_error(payload, picture)
        if error > CLEARLY_WORSE * least:
            break
        if error < least:
            best, least = payload, error
    return best


def squared_error(payload: SemanticPayload, picture: np.ndarray) -> float:
    """Return the mean square error of the likeness of a payload's last layer, or of its smooth base.

    Where the payload has importance, each pixel counts as much as its cell says.

    Args:
        payload: of labels, colors and detail levels.
        picture: (H, W, 3) uint8, of the payload's size.
    """
    last = _highest(payload)
    nothing = DetailState(payload.height, payload.width, payload.color_map, ())
    importance = payload.layer(ImportanceLayer)
    weights = None if importance is None else enlarge(importance.weights, payload.height, payload.width)
    return _error(nothing if last is None else last.state, picture, weights)


def _error(state: DetailState, picture: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the mean square error of the likeness of a state, each pixel counted by its weight, (H, W) float."""
    errors = np.square(likeness(state).astype(np.int16) - picture, dtype=np.float32)
    if weights is None:
        return float(np.mean(errors, dtype=np.float64))
    return float(np.average(errors.mean(axis=2), weights=weights))


def _highest(payload: SemanticPayload) -> DetailLevel | None:
    """Return the finest detail level of a payload."""
    return next((layer for layer in reversed(payload.layers) if isinstance(layer, DetailLevel)), None)


def is_lossless(payload: SemanticPayload) -> bool:
    """Return whether a payload holds every pixel of the picture."""
    last = _highest(payload)
    return last is not None and last.level == LOSSLESS and last.num_bands is None


def _levels(state: DetailState, finest: int) -> Iterator[DetailLevel]:
    """Yield the levels up to the finest that each say something that the one before does not."""
    last = None
    for level in range(finest + 1):
        if level in (finest, LOSSLESS) or not says_nothing_new(state, level, last):
            yield DetailLevel(FIRST_KIND + level, state)
        last = level
