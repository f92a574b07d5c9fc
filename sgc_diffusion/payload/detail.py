"""The detail layers: what is known of the pixels, level by level, coarse to exact.

    picture − smooth base ──wavelet──▶ coefficients ──planes of level 0 … 15──▶ `DetailLevel`s
    color map, the highest level ──`likeness`──▶ the picture as far as it is known, exact at level 15

Each level knows the coefficients down to its own planes (`detail_bands`), so a coarser level is a part of a finer one,
and the levels of a picture share the arrays of the finest.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sgc_diffusion.payload.detail_bands import FIRST_PLANE, NUM_LEVELS, Band, make_bands, to_phases
from sgc_diffusion.payload.detail_coefficients import known_coefficients
from sgc_diffusion.payload.importance import MEAN_LEVEL
from sgc_diffusion.payload.layer import Layer
from sgc_diffusion.payload.picture_transform import EXACT, TransformChoices, forward, inverse
from sgc_diffusion.payload.scalars import plain_integer
from sgc_diffusion.payload.smooth_base import smooth_base
from sgc_diffusion.payload.steering import Steering

FIRST_KIND = 8  # of level 0; each level is a layer of its own
DETAIL_KINDS = range(FIRST_KIND, FIRST_KIND + NUM_LEVELS)
LOSSLESS = NUM_LEVELS - 1
MAX_PSNR_HALVES = 127  # half decibels


@dataclass(frozen=True)
class DetailState:
    """What is known of the coefficients of a picture after some levels.

    Attributes:
        height: rows of the picture.
        width: columns of the picture.
        color_map: (h, w, 3) uint8, the decoded one.
        bands: in coding order; never changed in place.
        choices: of the transform, or None before the first level.
        steering: what gives parts of the picture planes of their own; None if nothing does.
    """

    height: int
    width: int
    color_map: np.ndarray = field(repr=False)
    bands: tuple[Band, ...] = field(repr=False)
    choices: TransformChoices | None = None
    steering: Steering | None = None


@dataclass(frozen=True, eq=False)
class DetailLevel(Layer):
    """The coefficients of a picture down to the planes of one level.

    Attributes:
        kind: 8 + the level, 8 … 23.
        finest: a state that knows them, and maybe more: what is finer than the level is no part of the layer.
        psnr_halves: PSNR of the picture that this level gives, in half decibels, 1 … 127; 0 if it is not told.
        num_bands: how many bands, the first in coding order, have got to this level, the others being as they were
            before it; None for all. No other level can be built on such a part.

    Raises:
        ValueError: a kind, PSNR or number out of range, or a state that is coarser than the level.

    Example:
        >>> picture = np.zeros((20, 30, 3), np.uint8)
        >>> state = exact_state(picture, picture[:2, :3])
        >>> DetailLevel(8, state) == DetailLevel(8, DetailLevel(9, state).state)
        True
    """

    kind: int
    finest: DetailState = field(repr=False)
    psnr_halves: int = 0
    num_bands: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", plain_integer("kind", self.kind, DETAIL_KINDS[0], DETAIL_KINDS[-1]))
        if not isinstance(self.finest, DetailState):
            raise ValueError(f"`finest` must be a DetailState, got {type(self.finest).__name__}")
        plain_integer("psnr_halves", self.psnr_halves, 0, MAX_PSNR_HALVES)
        if self.num_bands is not None:
            plain_integer("num_bands", self.num_bands, 1, len(self.finest.bands) - 1)
        if not _knows(self.finest, self.level, self.num_bands):
            raise ValueError(f"`finest` must know the planes of level {self.level}, got a coarser state")
        _freeze(self.finest)

    @property
    def level(self) -> int:
        """0, the coarsest, … 15, the exact picture."""
        return self.kind - FIRST_KIND

    @property
    def outer_level(self) -> int:
        """Down to which level's planes the picture is known where nothing is kept and nothing matters more or less.

        The level itself unless regions or importance steer the detail; −1 if nothing is known there.
        """
        steering = self.finest.steering
        if steering is None:
            return self.level
        return steering.levels(self.level)[MEAN_LEVEL if steering.importance is not None else 0]

    @property
    def state(self) -> DetailState:
        """What the layer says: `finest` down to the planes of its level."""
        return coarsened(self.finest, self.level)

    def share(self, finer: DetailState) -> None:
        """Let go of this layer's own arrays: from now on it is read from those of a finer state.

        Args:
            finer: of which this level is the coarser part, so that the layer stays the same.
        """
        object.__setattr__(self, "finest", finer)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DetailLevel):
            return NotImplemented
        mine, theirs = ((layer.kind, layer.psnr_halves, layer.num_bands) for layer in (self, other))
        return mine == theirs and (self.finest is other.finest or same_state(self.state, other.state))

    __hash__ = None  # type: ignore[assignment] - holds arrays


def nothing_known(height: int, width: int, color_map: np.ndarray, steering: Steering | None = None) -> DetailState:
    """Return the state of a picture before its first level.

    Args:
        height: rows of the picture, at least 1.
        width: columns of the picture, at least 1.
        color_map: (h, w, 3) uint8, the decoded one.
        steering: what gives parts of the picture planes of their own, if anything does.
    """
    return DetailState(height, width, color_map, tuple(make_bands(height, width, steering)), steering=steering)


def exact_state(
    picture: np.ndarray, color_map: np.ndarray, steering: Steering | None = None, *, is_for_lossless: bool = False
) -> DetailState:
    """Return the state that knows a picture exactly.

    Args:
        picture: (H, W, 3) uint8.
        color_map: (h, w, 3) uint8, the decoded one.
        steering: what gives parts of the picture planes of their own at coarser levels, if anything does.
        is_for_lossless: whether the state is for a file that holds the last level: of `picture_transform.forward`.
    """
    height, width = picture.shape[:2]
    has_regions = steering is not None and steering.regions is not None  # whose pixels get exact, as 5/3 reaches
    channels, choices = forward(picture, color_map, is_for_lossless=is_for_lossless or has_regions)
    bands = make_bands(height, width, steering, choices.kind)
    for band in bands:
        scales = channels[band.channel]
        coefficients = scales[0].pop(0)  # which are let go of one after the other
        if not scales[0]:
            scales.pop(0)
        if coefficients.size:
            band.planes = (0,) * len(band.planes)
        if coefficients.any():
            band.values = to_phases(coefficients)
            band.active = active_blocks(band.values)
    return DetailState(height, width, color_map, tuple(bands), choices, steering)


def coarsened(state: DetailState, level: int) -> DetailState:
    """Return a state without what is finer than a level; itself if there is nothing."""
    bands = []
    for band in state.bands:
        planes = tuple(map(max, band.planes, band.target_planes(level)))
        if band.rows and band.columns and planes != band.planes:
            band = replace(band, planes=planes)
            if band.values is not None:
                plane = band.known_planes()
                sizes = np.abs(band.values) >> plane << plane
                band.values, band.active = (np.sign(band.values) * sizes, active_blocks(sizes))
                if not band.active.any():
                    band.values = band.active = None
        bands.append(band)
    unchanged = all(new is old for new, old in zip(bands, state.bands, strict=True))
    return state if unchanged else replace(state, bands=tuple(bands))


def partly(state: DetailState, level: int, num_bands: int, before: int | None) -> DetailState:
    """Return the state after a level, or that before it in all but the first bands.

    Args:
        state: that knows the level.
        level: 0 … 15.
        num_bands: that get to the level.
        before: the lower level that the others are left at; None for nothing known of them.
    """
    kind = EXACT if state.choices is None else state.choices.kind
    nothing = make_bands(state.height, state.width, state.steering, kind)
    rest = nothing if before is None else coarsened(state, before).bands
    return replace(state, bands=(*coarsened(state, level).bands[:num_bands], *rest[num_bands:]))


def says_nothing_new(state: DetailState, level: int, before: int | None) -> bool:
    """Return whether a level of a state gives no coefficient a value that it has not after the level before.

    Args:
        state: that knows the level.
        level: 0 … 15.
        before: a lower level, None for the first.
    """
    for band in state.bands:
        targets = band.target_planes(level)
        tops = (FIRST_PLANE,) * len(targets) if before is None else band.target_planes(before)
        if band.values is None or targets == tops:
            continue
        added = [(1 << top) - (1 << target) for top, target in zip(tops, targets, strict=True)]
        for place, bits in enumerate(added):
            due = band.by_class([int(place == index) for index in range(len(added))]) if len(added) > 1 else 1
            if ((np.abs(band.values) & bits) * due).any():
                return False
    return True


def forget_unfinished(state: DetailState) -> None:
    """Bring the arrays of a state back to the planes that its bands name, after a finer level broke off in them."""
    for band in state.bands:
        if band.values is not None and band.active is not None and band.values.flags.writeable:
            plane = band.known_planes()
            band.values[...] = np.sign(band.values) * (np.abs(band.values) >> plane << plane)
            band.active[...] = active_blocks(band.values)
    _freeze(state)


def active_blocks(values: np.ndarray) -> np.ndarray:
    """Return which blocks, (m, n) bool, of phases with margins (4, 4·m + 2, 4·n + 2) hold anything but 0."""
    cells = (values[:, 1:-1, 1:-1] != 0).any(axis=0)
    return cells.reshape(cells.shape[0] // 4, 4, cells.shape[1] // 4, 4).any(axis=(1, 3))


def same_state(first: DetailState, second: DetailState) -> bool:
    """Return whether two states know the same of the same picture."""
    if (first.height, first.width, first.steering) != (second.height, second.width, second.steering):
        return False
    if (first.choices is None) != (second.choices is None):
        return False
    if not np.array_equal(first.color_map, second.color_map):
        return False
    if first.choices is not None and second.choices is not None:
        for name in ("kind", "filters", "mixes"):
            if not np.array_equal(getattr(first.choices, name), getattr(second.choices, name)):
                return False
    return all(
        mine.planes == other.planes
        and (mine.values is None) == (other.values is None)
        and (mine.values is other.values or np.array_equal(mine.phases(), other.phases()))
        for mine, other in zip(first.bands, second.bands, strict=True)
    )


def likeness(state: DetailState) -> np.ndarray:
    """Return the picture (H, W, 3) uint8 that is known, exact once level 15 is; with no level it is the smooth base."""
    if state.choices is None:
        return smooth_base(state.color_map, state.height, state.width)
    coefficients = known_coefficients(state.bands)
    return inverse(coefficients, state.choices, state.color_map, state.height, state.width)


def _knows(state: DetailState, level: int, num_bands: int | None) -> bool:
    """Return whether the first bands of a state reach a level; bands without coefficients have no planes."""
    return all(
        not (band.rows and band.columns)
        or all(plane <= target for plane, target in zip(band.planes, band.target_planes(level), strict=True))
        for band in state.bands[:num_bands]
    )


def _freeze(state: DetailState) -> None:
    """Make the arrays read-only: layers are never changed."""
    for band in state.bands:
        for array in (band.values, band.active):
            if array is not None:
                array.flags.writeable = False
