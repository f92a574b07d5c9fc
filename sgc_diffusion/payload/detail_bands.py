"""What is known of the wavelet coefficients of a picture, band by band, while the levels of detail come in.

A band knows each coefficient c down to a plane p: its sign and ⌊|c| / 2^p⌋ · 2^p, kept as a signed number. Levels lower
the plane of each band, `target_plane` says to which one: about the same error in RGB for every band.

A band is kept in four phases, (row mod 2) · 2 + (column mod 2), each with a margin of one: the neighbors of all cells
of a phase then are whole arrays, shifted by zero or one. Its cells are grouped into blocks of 8×8; a block is active
once one of its coefficients is known not to be zero. A band without any such coefficient has no arrays, so that memory
is spent only where bytes spoke of something.

Where importance or regions steer the detail (`steering`), each class of coefficients has a plane of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sgc_diffusion.payload.picture_transform import EXACT, JPEG, SMOOTH
from sgc_diffusion.payload.steering import Steering
from sgc_diffusion.payload.wavelet import band_sides

NUM_LEVELS = 16
FIRST_PLANE = 13  # of which nothing is known yet: every coefficient is below 2¹³
BLOCK = 8
LOW, HL, LH, HH = range(4)
_ORIENTATION_NUMBERS = {"low": LOW, "hl": HL, "lh": LH, "hh": HH}
# Binary logarithms, in eighths, of the step of a band with a gain of one at each level.
LEVEL_STEPS = (76, 68, 61, 54, 48, 43, 38, 34, 30, 26, 22, 18, 13, 8, 3, -64)
# Binary logarithms, in eighths, of the gains: what a coefficient of size one adds to the picture, as a norm.
_CHANNEL_GAINS = ((6, -4, -2), (6, 5, 5), (-10, -20, -18), (6, 5, 5))  # by the kind of transform
_LOW_GAINS, _SINGLE_GAINS, _DOUBLE_GAINS = (0, 5, 12, 19, 27), (0, 5, 12, 20), (-4, -1, 5, 13)
_SMOOTH_LOW_GAINS, _SMOOTH_SINGLE_GAINS, _SMOOTH_DOUBLE_GAINS = (0, 3, 7, 10, 14), (0, 3, 7, 10), (-3, 0, 4, 7)
_FURTHER_GAIN, _SMOOTH_FURTHER_GAIN = 8, 3  # of each scale beyond


@dataclass
class Band:
    """One band of one channel.

    Attributes:
        channel: 0 Y, 1 Co, 2 Cg.
        scale: 1 is the finest; of the low band that of the coarsest others, 0 if there are none.
        orientation: LOW, HL, LH or HH.
        rows: of coefficients.
        columns: of coefficients.
        planes: down to which the coefficients are known, 0 … 13, by class; one alone where nothing steers.
        values: (4, 4·m + 2, 4·n + 2) int16 for m×n blocks, what is known; None while all is zero.
        active: (m, n) bool; None while all is zero.
        steering: what gives coefficients classes; None if all are of one.
        kind: of the transform, see `picture_transform`; of no matter before it is known.
    """

    channel: int
    scale: int
    orientation: int
    rows: int
    columns: int
    planes: tuple[int, ...] = (FIRST_PLANE,)
    values: Any = None
    active: Any = None
    steering: Steering | None = None
    kind: int = EXACT

    @property
    def plane(self) -> int:
        """The plane down to which every coefficient is known, 0 … 13."""
        return max(self.planes)

    @property
    def table_channel(self) -> int:
        """The channel in the tables of the coder: 0 Y, 1 Co, 2 Cg; 3 Cr, 4 Cb of kind 1; 5 Y, 6 Co, 7 Cg of kind 2."""
        if self.kind == SMOOTH:
            return self.channel + 5
        return self.channel + 2 if self.kind == JPEG and self.channel else self.channel

    @property
    def num_blocks(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return -(-self.rows // BLOCK), -(-self.columns // BLOCK)

    def start(self) -> None:
        """Make the arrays, all zero."""
        self.values = self.phases()
        self.active = np.zeros(self.num_blocks, dtype=bool)

    def phases(self) -> np.ndarray:
        """Return the values, all zero if there are none."""
        rows, columns = self.num_blocks
        empty = np.zeros((4, 4 * rows + 2, 4 * columns + 2), dtype=np.int16)
        return empty if self.values is None else self.values

    def unshare(self) -> None:
        """Copy the arrays, so that who had them before keeps them as they were."""
        if self.values is not None and self.active is not None:
            self.values, self.active = self.values.copy(), self.active.copy()

    def gain(self) -> int:
        """Binary logarithm, in eighths, of the norm of what a coefficient of size one adds to the picture."""
        low, single, double, further = _LOW_GAINS, _SINGLE_GAINS, _DOUBLE_GAINS, _FURTHER_GAIN
        if self.kind == SMOOTH:
            low, single, double = _SMOOTH_LOW_GAINS, _SMOOTH_SINGLE_GAINS, _SMOOTH_DOUBLE_GAINS
            further = _SMOOTH_FURTHER_GAIN
        gains = (low, single, single, double)[self.orientation]
        place = self.scale if self.orientation == LOW else self.scale - 1
        beyond = max(place - len(gains) + 1, 0)
        return _CHANNEL_GAINS[self.kind][self.channel] + gains[place - beyond] + further * beyond

    def target_plane(self, level: int) -> int:
        """Return the plane down to which this band is known after a level, 0 … 13."""
        return min(max((LEVEL_STEPS[level] - self.gain() + 4) >> 3, 0), FIRST_PLANE)

    def target_planes(self, level: int) -> tuple[int, ...]:
        """Return the plane down to which each class of this band is known after a level of a file, 0 … 13."""
        if self.steering is None:
            return (self.target_plane(level),)
        return tuple(FIRST_PLANE if own < 0 else self.target_plane(own) for own in self.steering.levels(level))

    def by_class(self, numbers: Sequence[int]) -> np.ndarray:
        """Return a number of each coefficient's class, in phases with margins, uint8; 0 beyond the edge.

        Args:
            numbers: of each class, 0 … 255.
        """
        table = np.array(numbers, dtype=np.uint8)
        if self.steering is None:
            return to_phases(np.broadcast_to(table, (self.rows, self.columns)))
        is_high = self.orientation in (LH, HH), self.orientation in (HL, HH)
        return to_phases(table[self.steering.classes(self.scale, is_high, self.rows, self.columns)])

    def known_planes(self) -> int | np.ndarray:
        """Return the plane down to which each coefficient is known: one for all, or `by_class`."""
        return self.planes[0] if len(set(self.planes)) == 1 else self.by_class(self.planes)


def make_bands(height: int, width: int, steering: Steering | None = None, kind: int = EXACT) -> list[Band]:
    """Return every band of a picture, nothing known, in coding order: coarse to fine, and in each place Y, Co, Cg.

    Args:
        height: rows of the picture.
        width: columns of the picture.
        steering: what gives coefficients classes, if anything does.
        kind: of the transform.
    """
    planes = (FIRST_PLANE,) * (1 if steering is None else len(steering.levels(0)))
    return [
        Band(channel, scale, _ORIENTATION_NUMBERS[name], rows, columns, planes, steering=steering, kind=kind)
        for scale, name, rows, columns in band_sides(height, width)
        for channel in range(3)
    ]


def to_phases(coefficients: np.ndarray) -> np.ndarray:
    """Return the phases (4, 4·m + 2, 4·n + 2), margins and cells beyond the edge zero, of a band (h, w)."""
    rows, columns = (-(-side // BLOCK) for side in coefficients.shape)
    phases = np.zeros((4, 4 * rows + 2, 4 * columns + 2), dtype=coefficients.dtype)
    for phase in range(4):
        part = coefficients[phase >> 1 :: 2, phase & 1 :: 2]
        phases[phase, 1 : 1 + part.shape[0], 1 : 1 + part.shape[1]] = part
    return phases


def from_phases(phases: np.ndarray) -> np.ndarray:
    """Return the coefficients, (8·m, 8·n), of phases with margins (4, 4·m + 2, 4·n + 2)."""
    whole = np.empty((2 * (phases.shape[1] - 2), 2 * (phases.shape[2] - 2)), dtype=phases.dtype)
    for phase in range(4):
        whole[phase >> 1 :: 2, phase & 1 :: 2] = phases[phase, 1:-1, 1:-1]
    return whole
