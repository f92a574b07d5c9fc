"""Contexts of the detail coder: what is known about a coefficient before a plane of it is coded.

A *size* is what is known of |c| of some coefficient, in quarters of 2^p for the plane p that is being coded, at most
255: 0 while it is known to be 0 down to its plane k, else ⌊(4·known + 2·2^k − 2) / 2^p⌋, the middle of what it can be.
Outside of a band, and in bands of which nothing is known, sizes and values are 0. A *step* of a number is how many
limits of a list it reaches.

The next bit of |c| is asked for with the sum of the log-odds of five tables at these places:
  energy    the step in `ENERGY_LIMITS` of Σ weight · feature over the ten features below, and the *start*: 0, 1, 2 or
            3 as |c| is known to be 0, 1, 2, or 3 and more, times 2^(p+1); the sum of three tables: by channel,
            orientation and turn; by plane and channel; by scale and orientation
  shape     125 · (1 if the start is above 0) + 25 · step of the first feature + 5 · of the second + of the third; by
            channel, orientation and whether this is one of the last two turns
  cross     so from the steps of the features parent, cousin, Y and Co; by channel and orientation
  agree     28 · tilt left-right + 4 · tilt up-down, both of the sums times the sign of c, + start; by channel,
            orientation and whether this is one of the last two turns
The features: the sums of the sizes of the two neighbors left and right, the two above and below, the four at the
corners, the two two columns away, the two two rows away; the size of the parent (row ⌊i/2⌋, column ⌊j/2⌋ of the next
coarser scale, same orientation), of the cousin (the same place in HL for LH; the mean of HL and LH, rounded down, for
HH; of two bands of which one alone is known, that one), of the same place in Y, and in Co for Cg; the sum of the sizes
of the four nearest neighbors of that place in Y.

A *tilt* is a sum of signed known values of neighbors, shifted down by p, and the step of that in `TILT_LIMITS`.

At plane 0 of the finest scale of Co and Cg, but for kind 2, a sixth table, by channel and orientation, is added:
  slope     the slope, the start, and ⌊step of the energy / 4⌋: 32 · slope + 8 · start + it
The *slope* is the difference of the two pixels of the channel (those at even rows and columns, so the low band of the
finest scale with all that is known) between which HL stands in its row, or LH in its column, for HH the sum of the
slopes of HL and LH at the same place; as a size without sign, at most 4; 0 over the edge.

The sign of c is asked for, once c is known not to be 0, with the sum of these tables:
  near      63 · tilt left-right + 9 · tilt up-down + 3 · (0, 1, 2 as the tilt of the corners is below, at or above 3)
            + sign of the parent's value + 1; by channel, orientation and whether this is one of the last two turns
  scale     7 · tilt left-right + tilt up-down; by scale and orientation
  slope     the slope, where the sixth table is used
  cross     9 · n of Y + n of Co at the same place, where n = 3 · (sign of the value + 1) + step of the size in
            `SIGN_SIZE_LIMITS`, 3 where nothing is known; by channel and orientation
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from sgc_diffusion.payload.detail_bands import HL, LH, LOW, Band, from_phases, to_phases
from sgc_diffusion.payload.detail_sizes import neighbor, neighbor_sums, sizes_of, steps

NUM_FEATURES = 10
NUM_ENERGIES = 32
ENERGY_LIMITS = (
    8, 10, 14, 19, 25, 33, 45, 60, 80, 107, 143, 191, 256, 341, 456, 608,
    812, 1084, 1448, 1933, 2580, 3444, 4597, 6137, 8192, 10935, 14596, 19483, 26007, 34716, 46340,
)  # fmt: skip  # ⌊8 · 2^(i / 2.4)⌋
NEAR_LIMITS, CORNER_LIMITS = (1, 5, 11, 27), (1, 7, 15, 40)
PARENT_LIMITS, PLACE_LIMITS = (1, 7, 14, 32), (1, 5, 10, 24)
TILT_LIMITS, SIGN_SIZE_LIMITS = (-3, -1, 0, 1, 2, 4), (5, 14)
BLOCK_LIMITS = (1, 3, 8, 20, 50, 120, 300)
NUM_CHANNELS, NUM_PLANES = 8, 13  # that tables tell apart: Y, Co, Cg; Cr, Cb; Y, Co, Cg of 9/7
NUM_SCALES = 9  # that tables tell apart: 0 … 7, 8 and more
# Entries of each table: by its constants, and last by what varies in a batch.
TABLE_SHAPES = {
    "kind": (1, 4),
    "filters": (3, 2, 2, 8),
    "mixes": (2, 3, 16),
    "start": (NUM_PLANES, NUM_CHANNELS, NUM_SCALES, 2, 4),
    "block_place": (NUM_PLANES, NUM_CHANNELS, NUM_SCALES, 4, 2),
    "block_near": (NUM_CHANNELS, 4, 2, 200),
    "block_other": (NUM_CHANNELS, 4, 512),
    "energy_phase": (NUM_CHANNELS, 4, 4, NUM_ENERGIES * 4),
    "energy_plane": (NUM_PLANES, NUM_CHANNELS, NUM_ENERGIES * 4),
    "energy_scale": (NUM_SCALES, 4, NUM_ENERGIES * 4),
    "shape": (NUM_CHANNELS, 4, 2, 250),
    "cross": (NUM_CHANNELS, 4, 1250),
    "agree": (NUM_CHANNELS, 4, 2, 196),
    "slope": (NUM_CHANNELS - 1, 3, 160),
    "sign_slope": (NUM_CHANNELS - 1, 3, 5),
    "sign_near": (NUM_CHANNELS, 4, 2, 441),
    "sign_scale": (NUM_SCALES, 4, 49),
    "sign_cross": (NUM_CHANNELS, 4, 81),
}
Tables = list[tuple[str, tuple[int, ...]]]  # tables with their constants
Groups = list[tuple[Tables, np.ndarray]]  # and the place (n,) in each that several tables share


def tilt(sums: np.ndarray, plane: int) -> np.ndarray:
    """Return the tilts, 0 … 6 uint8, of sums of signed values, int16."""
    return steps(sums >> plane, TILT_LIMITS, sums.shape)


def block_steps(sums: np.ndarray) -> np.ndarray:
    """Return the steps, 0 … 7 intp, of sums of sizes over a block."""
    capped = np.minimum(sums, BLOCK_LIMITS[-1]).astype(np.uint16)
    return steps(capped, BLOCK_LIMITS, sums.shape).astype(np.intp)


@dataclass
class Surroundings:
    """Other bands at the place of a band of m×n blocks; None where nothing is known.

    Attributes:
        parent: (4·m, 4·n) uint16 sizes, the same for all phases.
        cousin: (4, 4·m + 2, 4·n + 2) uint16 sizes.
        luma: as `cousin`.
        orange: as `cousin`.
        parent_values: (4·m, 4·n) int16.
        luma_values: (4, 4·m + 2, 4·n + 2) int16.
        orange_values: as `luma_values`.
        slope: (4, 4·m + 2, 4·n + 2) int16, 0 … 4.
    """

    parent: np.ndarray | None = None
    cousin: np.ndarray | None = None
    luma: np.ndarray | None = None
    orange: np.ndarray | None = None
    parent_values: np.ndarray | None = None
    luma_values: np.ndarray | None = None
    orange_values: np.ndarray | None = None
    slope: np.ndarray | None = None

    def rows(self, rows: slice) -> Surroundings:
        """Return the part of some rows of each phase."""
        padded = slice(rows.start, rows.stop + 2)
        return Surroundings(
            *(
                None if part is None else part[rows] if part.ndim == 2 else part[:, padded]
                for part in (getattr(self, field.name) for field in fields(self))
            )
        )


def find_surroundings(band: Band, bands: dict[tuple[int, int, int], Band], plane: int) -> Surroundings:
    """Look up what the other bands say.

    Args:
        band: the one that is coded.
        bands: every band by channel, scale and orientation.
        plane: that is coded.
    """
    around = Surroundings()
    rows, columns = (4 * side for side in band.num_blocks)
    parent = None if band.orientation == LOW else bands.get((band.channel, band.scale + 1, band.orientation))
    if parent is not None and parent.values is not None:
        around.parent_values = _fitted(from_phases(parent.values), rows, columns)
        around.parent = _fitted(from_phases(sizes_of(parent.values, parent.known_planes(), plane)), rows, columns)
    cousins = [bands[band.channel, band.scale, orientation] for orientation in range(1, band.orientation)]
    sizes = [
        np.stack(
            [_fitted(part, rows + 2, columns + 2) for part in sizes_of(cousin.values, cousin.known_planes(), plane)]
        )
        for cousin in cousins
        if cousin.values is not None
    ]
    if sizes:
        around.cousin = sizes[0] if len(sizes) == 1 else (sizes[0] + sizes[1]) >> 1
    for channel, name in enumerate(("luma", "orange")[: band.channel]):
        other = bands[channel, band.scale, band.orientation]
        if other.values is not None:
            setattr(around, name, sizes_of(other.values, other.known_planes(), plane))
            setattr(around, f"{name}_values", other.values)
    return around


def _fitted(array: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the array cut, or filled with zeros, at its end."""
    if array.shape == (rows, columns):
        return array
    result = np.zeros((rows, columns), dtype=array.dtype)
    part = array[:rows, :columns]
    result[: part.shape[0], : part.shape[1]] = part
    return result


def find_slopes(low: np.ndarray, orientation: int, rows: int, columns: int) -> np.ndarray:
    """Return the slopes of a low band at the places of a detail band, at most 4.

    Args:
        low: (h, w) int16.
        orientation: HL, LH or HH.
        rows: of the detail band.
        columns: of the detail band.

    Returns:
        (4, …) int16, phases with margins.
    """
    slope = np.zeros((rows, columns), dtype=np.int16)
    if orientation != LH:
        across = np.abs(np.diff(low, axis=1, append=low[:, -1:]))
        slope += across[:rows, :columns]
    if orientation != HL:
        down = np.abs(np.diff(low, axis=0, append=low[-1:]))
        slope += down[:rows, :columns]
    return to_phases(np.minimum(slope, 4))


def find_features(sizes: np.ndarray, phase: int, around: Surroundings) -> list[np.ndarray | None]:
    """Return the ten features of every cell of a phase, uint16; None is zero everywhere."""
    luma_near = None
    if around.luma is not None:
        level, upright, _ = neighbor_sums(around.luma, phase)
        luma_near = level + upright
    return [
        *neighbor_sums(sizes, phase),
        neighbor(sizes, phase, 0, -2) + neighbor(sizes, phase, 0, 2),
        neighbor(sizes, phase, -2, 0) + neighbor(sizes, phase, 2, 0),
        around.parent,
        *(
            None if other is None else neighbor(other, phase, 0, 0)
            for other in (around.cousin, around.luma, around.orange)
        ),
        luma_near,
    ]


def energies(features: list[np.ndarray | None], weights: np.ndarray) -> np.ndarray:
    """Return the steps, 0 … 31 uint8, of the weighted sum of features; the weights (10,) uint8."""
    total = np.zeros_like(features[0])
    for weight, feature in zip(weights.tolist(), features, strict=True):
        if feature is not None and weight:
            total += feature * np.uint16(weight)
    return steps(total, ENERGY_LIMITS, total.shape)
