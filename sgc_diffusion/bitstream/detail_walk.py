"""prototype walk"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sgc_diffusion.bitstream import detail_context as context
from sgc_diffusion.bitstream.detail_bands import Band

# groups: [( [(table, consts)], index array )], truth → bits
Ask = Callable[[list, "np.ndarray | None"], np.ndarray]
ENERGY_LIMITS = tuple(int(8 * 2 ** (k / 2.4)) for k in range(31))
_ENERGY_CLASSES = np.searchsorted(ENERGY_LIMITS, np.arange(65536), side="right").astype(np.uint8)
_SUM_CLASSES = np.searchsorted((1, 3, 8, 20, 50, 120, 300), np.arange(65536), side="right").astype(np.uint8)


class Walk:
    """Codes the planes of bands through `ask`, which answers batches of decisions."""

    def __init__(self, bands: list[Band], ask: Ask, weights: np.ndarray, truth: dict | None, on_features=None) -> None:
        self.bands = {(b.channel, b.scale, b.orientation): b for b in bands}
        self.order = bands
        self.ask, self.weights, self.truth = ask, weights, truth
        self.on_features = on_features

    def code_level(self, level: int) -> None:
        for band in self.order:
            if band.rows and band.columns:
                for plane in range(band.plane - 1, band.target_plane(level) - 1, -1):
                    self.code_plane(band, plane)

    def code_plane(self, band: Band, plane: int) -> None:
        key = band.channel, band.scale, band.orientation
        truth = None if self.truth is None else self.truth[key]
        if band.values is None and not self._starts(band, plane, truth):
            band.plane = plane
            return
        if band.values is None:
            band.start()
        around = context.find_surroundings(band, self.bands, plane)
        self._code_blocks(band, plane, around, truth)
        sizes = context.scaled(band.values, band.plane, plane)
        for step, phase in enumerate(context.PHASE_ORDER):
            self._code_phase(band, plane, around, sizes, step, phase, truth)
            sizes[phase] = context.scaled(band.values[phase], plane, plane)
        band.plane = plane

    def _starts(self, band: Band, plane: int, truth) -> bool:
        parent = self.bands.get((band.channel, band.scale + 1, band.orientation))
        other = self.bands[0, band.scale, band.orientation] if band.channel else None
        index = (parent is not None and parent.values is not None) + 2 * (other is not None and other.values is not None)
        place = (plane, band.channel, min(band.scale, 8), int(band.orientation == 0))
        bit = None if truth is None else np.array([bool((np.abs(truth) >> plane).any())])
        return bool(self.ask([([("start", place)], np.array([index]))], bit)[0])

    def _code_blocks(self, band: Band, plane: int, around, truth) -> None:
        rows, columns = band.num_blocks
        blocked = lambda a: a.reshape(rows, 4, columns, 4).sum(axis=(1, 3), dtype=np.uint32)
        inner = lambda a: a[:, 1:-1, 1:-1].sum(axis=0, dtype=np.uint32)
        total = lambda a: np.zeros((rows, columns), np.uint8) if a is None else context_class(blocked(a))
        parent = total(around.parent)
        luma = total(None if around.luma is None else inner(around.luma))
        third = around.orange if band.channel == 2 else around.cousin
        third = total(None if third is None else inner(third))
        other = ((parent.astype(np.intp) * 8 + luma) * 8) + third
        want = None
        if truth is not None:
            big = ((np.abs(truth) >> plane) != 0)[:, 1:-1, 1:-1].any(axis=0)
            want = big.reshape(rows, 4, columns, 4).any(axis=(1, 3))
        own = np.zeros((rows + 2, columns + 2), np.uint32)
        own[1:-1, 1:-1] = blocked(inner(context.scaled(band.values, band.plane, plane)))
        parity = np.add.outer(np.arange(rows), np.arange(columns)) & 1
        before = band.active.copy()
        for half in range(2):
            act = np.zeros((rows + 2, columns + 2), np.uint8)
            act[1:-1, 1:-1] = band.active
            cross = act[:-2, 1:-1] + act[2:, 1:-1] + act[1:-1, :-2] + act[1:-1, 2:]
            diagonal = act[:-2, :-2] + act[2:, :-2] + act[:-2, 2:] + act[2:, 2:]
            energy = own[:-2, 1:-1] + own[2:, 1:-1] + own[1:-1, :-2] + own[1:-1, 2:]
            near = (cross.astype(np.intp) * 5 + diagonal) * 8 + context_class(energy)
            chosen = ~before & (parity == half)
            if chosen.any():
                c, o = band.channel, band.orientation
                groups = [
                    ([("block_place", (plane, c, min(band.scale, 8), o))], np.full(int(chosen.sum()), half)),
                    ([("block_near", (c, o, half))], near[chosen]),
                    ([("block_other", (c, o))], other[chosen]),
                ]
                band.active[chosen] = self.ask(groups, None if want is None else want[chosen])

    def _code_phase(self, band, plane, around, sizes, step, phase, truth) -> None:
        mask = band.active.repeat(4, axis=0).repeat(4, axis=1)
        if band.rows % 8 or band.columns % 8:
            mask[max((band.rows - (phase >> 1) + 1) // 2, 0) :] = False
            mask[:, max((band.columns - (phase & 1) + 1) // 2, 0) :] = False
        cells = np.flatnonzero(mask)
        if not len(cells):
            return
        shape = mask.shape
        c, o, s = band.channel, band.orientation, min(band.scale, 8)
        values = context.features(sizes, phase, around)
        own = np.minimum(sizes[phase, 1:-1, 1:-1] >> 3, 3).astype(np.uint8)  # quotient at the plane above
        if self.on_features:
            self.on_features(band, plane, step, phase, values, own, cells, truth)
        energy = _ENERGY_CLASSES[context.combine(self.weights[c, o, step], values)]
        h, v, d = values[:3]
        shp = context.steps(h, (1, 5, 11, 27), shape) * 25 + context.steps(v, (1, 5, 11, 27), shape) * 5 + context.steps(d, (1, 7, 15, 40), shape)
        shp = shp + 125 * (own > 0)
        crs = context.steps(values[5], (1, 7, 14, 32), shape) * 5 + context.steps(values[6], (1, 5, 10, 24), shape)
        crs = (crs.astype(np.uint16) * 5 + context.steps(values[7], (1, 5, 10, 24), shape)) * 5 + context.steps(values[8], (1, 5, 10, 24), shape)
        crs = crs + np.uint16(625) * (own > 0)
        pick = lambda a: a.ravel()[cells].astype(np.intp)
        groups = [
            ([("energy_phase", (c, o, step)), ("energy_plane", (plane, c)), ("energy_scale", (s, o))], pick(energy * 4 + own)),
            ([("shape", (c, o, int(step > 1)))], pick(shp)),
            ([("cross", (c, o))], pick(crs)),
        ]
        true_cells = None
        if truth is not None:
            true_cells = truth[phase, 1:-1, 1:-1].ravel()[cells]
        bits = self.ask(groups, None if truth is None else (np.abs(true_cells) >> plane & 1).astype(bool))
        target = band.values[phase, 1:-1, 1:-1]
        flat = target.ravel()
        known = flat[cells]
        is_new = bits & (known == 0)
        signs = np.sign(known)
        if is_new.any():
            signs[is_new] = self._code_signs(band, plane, around, phase, cells[is_new], None if truth is None else true_cells[is_new] < 0, shape)
        flat[cells] = known + (signs * bits << plane).astype(np.int16)
        target[...] = flat.reshape(shape)

    def _code_signs(self, band, plane, around, phase, cells, want, shape):
        def at(array, *places):
            return sum(np.sign(np.ascontiguousarray(context.neighbor(array, phase, *p)).ravel()[cells]).astype(np.intp) for p in places)
        h = at(band.values, (0, -1), (0, 1)) + 2
        v = at(band.values, (-1, 0), (1, 0)) + 2
        par = 1 if around.parent_values is None else np.sign(around.parent_values.ravel()[cells]).astype(np.intp) + 1
        near = (h * 5 + v) * 3 + par
        y = 0 if around.luma_values is None else np.ascontiguousarray(context.neighbor(around.luma_values, phase, 0, 0)).ravel()[cells]
        size = 0 if around.luma is None else context.steps(np.ascontiguousarray(context.neighbor(around.luma, phase, 0, 0)).ravel()[cells], (5, 14), cells.shape).astype(np.intp)
        g = 0 if around.orange_values is None else at(around.orange_values, (0, 0))
        crs = np.zeros(len(cells), np.intp) + ((np.sign(y) + 1) * 3 + g + 1) * 3 + size
        c, o, s = band.channel, band.orientation, min(band.scale, 8)
        bits = self.ask([([("sign_near", (c, s, o))], near), ([("sign_cross", (c, o))], crs)], want)
        return np.where(bits, -1, 1).astype(np.int16)


def context_class(sums):
    return _SUM_CLASSES[np.minimum(sums, 65535)]
