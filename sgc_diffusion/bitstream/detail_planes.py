"""The order in which the planes of wavelet coefficients are coded, decision by decision.

A level takes every band, in the order of `detail_bands.make_bands`, from its plane to its target plane; before the
first band of a file's first level come the choices of the transform (`picture_transform`): the kind, two bits; unless
it is 2 the numbers of the filters by channel, scale and direction, three bits each; the mixes plus 8 by group and kind,
four bits each. The highest bit comes first, each asked for in the table of that name at 1, then at twice that place
plus the bit.
For each plane p of a band, from high to low:

  1. While nothing of the band is known to differ from 0, one decision: does any |c| reach 2^p? Table `start`, by plane,
     channel, scale and whether this is the low band, at (1 if something is known of the parent band) + 2 · (1 if of the
     band of Y). If not, the plane is done.
  2. Blocks that are not active: does any |c| of the block reach 2^p? First those with an even sum of row and column of
     the block, then the others; tables
         place    by plane, channel, scale, orientation, at the parity
         near     by channel, orientation, parity: five times the active blocks among the four next to it, plus those
                  at its corners, times eight, plus the step of the sum of the sizes of the four next to it
         other    steps of the sums of the sizes of the parents; of the same block in Y; of that in Co for Cg, else of
                  the cousins: 64 · first + 8 · second + third
  3. The cells of active blocks, in four turns: even rows and columns; odd rows and columns; even rows, odd columns; odd
     rows, even columns. Each turn codes bit p of |c| of all of its cells, row by row, and then the signs of those
     that are no longer 0; 1 is negative.

Each list of decisions between two semicolons or steps is one batch of `rans`. In tables, scales of 8 and more count as
8; Cr and Cb of kind 1 are channels 3 and 4; Y, Co and Cg of kind 2 are 5, 6 and 7, and plane p of theirs is p − 2, but
at least 0.

Where importance or regions steer the detail (`payload.steering`), each class of coefficients goes from its own plane to
its own target plane. A plane then is that of the classes alone whose planes it lies between: where 1 and 2 speak of any
|c|, they speak of coefficients of these classes; blocks without one are passed over in 2, other coefficients in 3. What
is known of a coefficient of another class is known down to the plane of that class.
"""

# What is optional of a band and its surroundings is there whenever coefficients are coded, which pyright cannot see.
# pyright: reportOptionalSubscript=false, reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import operator
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from sgc_diffusion.bitstream import detail_context as context
from sgc_diffusion.bitstream.detail_context import Groups, Surroundings
from sgc_diffusion.payload.detail_bands import LOW, Band
from sgc_diffusion.payload.picture_transform import SMOOTH

TURNS = (0, 3, 1, 2)  # phases in coding order
_NUM_THREADS = 2  # that find contexts; what they find does not depend on it
_CELLS_AT_A_TIME = 1 << 16  # whose contexts are found together, which bounds the memory


class Decider(Protocol):
    """Who answers batches of decisions: a coder, or the fit of the tables."""

    def weigh(self, groups: Groups) -> np.ndarray:
        """Return what `answer` needs for each decision, (n, …), from the places in the tables."""
        ...

    def expect(self, num_decisions: int) -> None:
        """Reject a batch that the rest of the bytes cannot hold, before work is done for it."""

    def answer(self, weighed: np.ndarray, truth: np.ndarray | None) -> np.ndarray:
        """Return the decisions (n,) bool; `truth` is what they are, known to encoders."""
        ...


class PlaneCoder:
    """Walks through the planes of the bands."""

    def __init__(
        self,
        bands: list[Band],
        decider: Decider,
        weights: np.ndarray,
        truth: list[np.ndarray] | None,
        find_lows: Callable[[list[Band]], list[np.ndarray]],
        *,
        copies: bool = False,
    ) -> None:
        """Set up.

        Args:
            bands: that are refined in place.
            decider: who answers.
            weights: (8, 4, 4, 10) uint8 of the features, by channel, orientation and turn.
            truth: phases (4, …) int16 of the true coefficients of each band, or None in a decoder.
            find_lows: who returns Co and Cg at even rows and columns, (h, w) int16 each, from what is known.
            copies: whether the arrays of the bands belong to others too and are copied before they change.
        """
        self._order, self._decider, self._weights = bands, decider, weights
        self._bands = {(band.channel, band.scale, band.orientation): band for band in bands}
        self._find_lows, self._copies = find_lows, copies
        self._truth = truth or [None] * len(bands)
        self._threads = ThreadPoolExecutor(_NUM_THREADS)  # none is started for a small picture

    def code_level(self, level: int, num_bands: int | None = None) -> None:
        """Take every band, or the first ones, to the target planes of a level."""
        self._lows: list[np.ndarray] | None = None
        for band, truth in zip(self._order[:num_bands], self._truth[:num_bands], strict=True):
            targets = band.target_planes(level)
            if band.rows and band.columns and any(map(operator.gt, band.planes, targets)):
                if self._copies:
                    band.unshare()
                for plane in range(band.plane - 1, min(targets) - 1, -1):
                    is_due = [target <= plane < own for own, target in zip(band.planes, targets, strict=True)]
                    if any(is_due):
                        self._code_plane(band, plane, is_due, truth)

    def _code_plane(self, band: Band, plane: int, is_due: list[bool], truth: np.ndarray | None) -> None:
        """Code a plane of the coefficients of some classes."""
        planes = tuple(plane if due else own for own, due in zip(band.planes, is_due, strict=True))
        sizes_true = None if truth is None else np.abs(truth) >> plane
        if sizes_true is not None and not all(is_due):
            sizes_true *= band.by_class(is_due)
        if band.values is None:
            if not self._starts(band, plane, sizes_true):
                band.planes = planes
                return
            self._decider.expect(band.num_blocks[0] * band.num_blocks[1])  # before arrays of that size are made
            band.start()
        due = None if all(is_due) else band.by_class(is_due).astype(bool)
        around = context.find_surroundings(band, self._bands, plane)
        if band.channel and band.scale == 1 and band.orientation != LOW and not plane and band.kind != SMOOTH:
            if self._lows is None:
                self._lows = self._find_lows(self._order)
            low = self._lows[band.channel - 1]
            around.slope = context.find_slopes(low, band.orientation, band.rows, band.columns)
        self._code_blocks(band, plane, around, sizes_true, due)
        known = band.known_planes()
        sizes = context.sizes_of(band.values, known, plane)
        for turn, phase in enumerate(TURNS):
            mask = cells_of(band, phase)
            after: int | np.ndarray = plane
            if due is not None:
                mask &= due[phase, 1:-1, 1:-1]
                after = np.where(due[phase], np.uint8(plane), known if isinstance(known, int) else known[phase])
            if mask.any():
                self._code_cells(band, plane, around, sizes, turn, mask, truth)
                sizes[phase] = context.sizes_of(band.values[phase], after, plane)
        band.planes = planes

    def _starts(self, band: Band, plane: int, sizes_true: np.ndarray | None) -> bool:
        parent = self._bands.get((band.channel, band.scale + 1, band.orientation))
        luma = self._bands[0, band.scale, band.orientation] if band.channel else None
        place = sum(bit for bit, other in ((1, parent), (2, luma)) if other is not None and other.values is not None)
        constants = table_plane(band, plane), band.table_channel, _scale(band), int(band.orientation == LOW)
        truth = None if sizes_true is None else np.array([sizes_true.any()])
        return bool(self._ask([([("start", constants)], np.array([place]))], truth)[0])

    def _ask(self, groups: Groups, truth: np.ndarray | None) -> np.ndarray:
        self._decider.expect(len(groups[0][1]))
        return self._decider.answer(self._decider.weigh(groups), truth)

    def _code_blocks(
        self,
        band: Band,
        plane: int,
        around: Surroundings,
        sizes_true: np.ndarray | None,
        due: np.ndarray | None,
    ) -> None:
        """Code which blocks become active by a coefficient of those that are due; None is all of them."""
        rows, columns = band.num_blocks
        third = around.orange if band.channel == 2 else around.cousin
        other = np.zeros((rows, columns), dtype=np.intp)
        for sizes in (around.parent, around.luma, third):
            other *= 8
            if sizes is not None:
                other += context.block_steps(_block_sums(sizes, rows, columns))
        truth = None if sizes_true is None else _block_sums(sizes_true != 0, rows, columns) > 0
        near = np.pad(_block_sums(context.sizes_of(band.values, band.known_planes(), plane), rows, columns), 1)
        energy = context.block_steps(sum(_beside(near)))
        parity = np.add.outer(np.arange(rows), np.arange(columns)) & 1
        is_open = ~band.active
        if due is not None:
            is_open &= _block_sums(due, rows, columns) > 0
        for half in range(2):
            chosen = is_open & (parity == half)
            if chosen.any():
                active = np.pad(band.active.astype(np.intp), 1)
                corners = active[:-2, :-2] + active[:-2, 2:] + active[2:, :-2] + active[2:, 2:]
                place = (sum(_beside(active)) * 5 + corners) * 8 + energy
                kind = band.table_channel, band.orientation
                groups = [
                    (
                        [("block_place", (table_plane(band, plane), kind[0], _scale(band), kind[1]))],
                        np.full(int(chosen.sum()), half),
                    ),
                    ([("block_near", (*kind, half))], place[chosen]),
                    ([("block_other", kind)], other[chosen]),
                ]
                band.active[chosen] = self._ask(groups, None if truth is None else truth[chosen])

    def _code_cells(
        self,
        band: Band,
        plane: int,
        around: Surroundings,
        sizes: np.ndarray,
        turn: int,
        mask: np.ndarray,
        truth: np.ndarray | None,
    ) -> None:
        """Code bit `plane` of the cells of one turn in `mask` (4·m, 4·n), and the signs of those that are new."""
        self._decider.expect(int(mask.sum()))
        height = max(_CELLS_AT_A_TIME // mask.shape[1], 4)
        strips = [slice(top, min(top + height, len(mask))) for top in range(0, len(mask), height)]
        strips = [rows for rows in strips if mask[rows].any()]

        def weigh(rows: slice) -> np.ndarray:
            return self._weigh_cells(band, plane, around.rows(rows), sizes, turn, rows, mask[rows])

        weighed = list((map if len(strips) == 1 else self._threads.map)(weigh, strips))
        inner = band.values[TURNS[turn], 1:-1, 1:-1]
        true_values = None if truth is None else truth[TURNS[turn], 1:-1, 1:-1][mask]
        true_bits = None if truth is None else (np.abs(true_values) >> plane & 1).astype(bool)
        bits = self._decider.answer(np.concatenate(weighed), true_bits)
        is_whole = mask.all()
        known = inner.ravel() if is_whole else inner[mask]
        is_new = bits & (known == 0)
        signs = np.sign(known)
        if is_new.any():
            fresh = mask.copy()
            fresh[mask] = is_new
            groups = self._sign_groups(band, plane, around, turn, *np.nonzero(fresh))
            negative = self._ask(groups, None if truth is None else true_values[is_new] < 0)
            signs[is_new] = 1 - 2 * negative.astype(np.int16)
        refined = known + (signs * bits << plane)
        if is_whole:
            inner[...] = refined.reshape(inner.shape)
        else:
            inner[mask] = refined

    def _weigh_cells(
        self,
        band: Band,
        plane: int,
        around: Surroundings,
        sizes: np.ndarray,
        turn: int,
        rows: slice,
        mask: np.ndarray,
    ) -> np.ndarray:
        padded, phase, shape = slice(rows.start, rows.stop + 2), TURNS[turn], mask.shape
        features = context.find_features(sizes[:, padded], phase, around)
        values = band.values[:, padded]
        mine = context.neighbor(values, phase, 0, 0)
        start = np.minimum(context.neighbor(sizes, phase, 0, 0)[rows] >> 3, 3).astype(np.uint8)
        is_old = (start > 0).astype(np.uint16)
        energy = context.energies(features, self._weights[band.table_channel, band.orientation, turn]) * 4 + start
        limits = context.NEAR_LIMITS, context.NEAR_LIMITS, context.CORNER_LIMITS
        shape_place = _mixed(
            is_old, [context.steps(part, limit, shape) for part, limit in zip(features[:3], limits, strict=True)]
        )
        limits = context.PARENT_LIMITS, *[context.PLACE_LIMITS] * 3
        cross_place = _mixed(
            is_old, [context.steps(part, limit, shape) for part, limit in zip(features[5:9], limits, strict=True)]
        )
        level, upright, _ = context.neighbor_sums(values, phase)
        sign = np.sign(mine)
        agree = (context.tilt(level * sign, plane) * 7 + context.tilt(upright * sign, plane)) * 4 + start
        pick = _picker(mask)
        kind, late = (band.table_channel, band.orientation), turn >> 1
        energy_tables = [("energy_phase", (*kind, turn)), ("energy_plane", (table_plane(band, plane), kind[0]))]
        energy_tables.append(("energy_scale", (_scale(band), kind[1])))
        groups = [
            (energy_tables, pick(energy)),
            ([("shape", (*kind, late))], pick(shape_place)),
            ([("cross", kind)], pick(cross_place)),
            ([("agree", (*kind, late))], pick(agree)),
        ]
        if around.slope is not None:
            slope = context.neighbor(around.slope, phase, 0, 0) * 32 + start * np.uint8(8) + (energy >> 4)
            groups.append(([("slope", (kind[0] - 1, kind[1] - 1))], pick(slope)))
        return self._decider.weigh(groups)

    def _sign_groups(
        self, band: Band, plane: int, around: Surroundings, turn: int, rows: np.ndarray, columns: np.ndarray
    ) -> Groups:
        phase, num = TURNS[turn], len(rows)
        at = lambda array: array[rows, columns]  # noqa: E731
        level, upright, corners = (
            context.tilt(sum(_neighbors_at(band.values, phase, place, rows, columns) for place in places), plane)
            for places in (((0, -1), (0, 1)), ((-1, 0), (1, 0)), ((-1, -1), (-1, 1), (1, -1), (1, 1)))
        )
        near = level.astype(np.intp) * 7 + upright
        middle = np.sign(corners.astype(np.int8) - 3) + np.int8(1)
        parent = np.ones(num, np.intp) if around.parent_values is None else np.sign(at(around.parent_values)) + 1
        cross = np.zeros(num, dtype=np.intp)
        for values, sizes in ((around.luma_values, around.luma), (around.orange_values, around.orange)):
            cross = cross * 9 + 3
            if values is not None:
                cross += np.sign(at(context.neighbor(values, phase, 0, 0))) * np.intp(3)
                size = at(context.neighbor(sizes, phase, 0, 0))
                cross += context.steps(size, context.SIGN_SIZE_LIMITS, size.shape)
        kind = band.table_channel, band.orientation
        groups = [
            ([("sign_near", (*kind, turn >> 1))], (near * 3 + middle) * 3 + parent),
            ([("sign_scale", (_scale(band), kind[1]))], near),
            ([("sign_cross", kind)], cross),
        ]
        if around.slope is not None:
            slope = at(context.neighbor(around.slope, phase, 0, 0))
            groups.append(([("sign_slope", (kind[0] - 1, kind[1] - 1))], slope))
        return groups


def cells_of(band: Band, phase: int) -> np.ndarray:
    """Return which cells of a phase belong to active blocks and to the band, (4·m, 4·n) bool."""
    mask = band.active.repeat(4, axis=0).repeat(4, axis=1)
    mask[(band.rows - (phase >> 1) + 1) // 2 :] = False
    mask[:, (band.columns - (phase & 1) + 1) // 2 :] = False
    return mask


def _picker(mask: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return what takes the cells of a mask from an array, row by row."""
    return np.ravel if mask.all() else lambda array: array[mask]


def table_plane(band: Band, plane: int) -> int:
    """Return the number of a plane in tables by plane: coefficients of 9/7 are in quarters."""
    return max(plane - 2, 0) if band.kind == SMOOTH else plane


def _scale(band: Band) -> int:
    return min(band.scale, context.NUM_SCALES - 1)


def _block_sums(phases: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return (m, n) int64: sums over blocks of phases with margins (4, …), or of one array (4·m, 4·n)."""
    cells = phases if phases.ndim == 2 else phases[:, 1:-1, 1:-1].sum(axis=0, dtype=np.uint16)
    return cells.reshape(rows, 4, columns, 4).sum(axis=(1, 3), dtype=np.int64)


def _beside(padded: np.ndarray) -> list[np.ndarray]:
    """Return the four neighbors of every block of an array with a margin of one."""
    return [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]


def _mixed(first: np.ndarray, digits: list[np.ndarray]) -> np.ndarray:
    """Return the number that the digits, 0 … 4, make after a first one; uint16."""
    for digit in digits:
        first = first * np.uint16(5) + digit
    return first


def _neighbors_at(
    phases: np.ndarray, phase: int, place: tuple[int, int], rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Return the neighbors, so many rows down and columns right, of some cells of a phase; (n,) int16."""
    return context.neighbor(phases, phase, *place)[rows, columns]
