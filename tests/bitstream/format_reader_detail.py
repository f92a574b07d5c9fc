"""The part of the second reader that reads detail levels: from docs/format.md alone, slow, in Python's integers.

`Detail` knows what the levels gave so far; `read` takes the body of the next one, `picture` is what is known then.
"""

import io
from importlib import resources

import numpy as np

STEPS = (76, 68, 61, 54, 48, 43, 38, 34, 30, 26, 22, 18, 13, 8, 3, -64)
NEAR, CORNER, PARENT, PLACE = (1, 5, 11, 27), (1, 7, 15, 40), (1, 7, 14, 32), (1, 5, 10, 24)
TILT, SIGN_SIZE, BLOCK = (-3, -1, 0, 1, 2, 4), (5, 14), (1, 3, 8, 20, 50, 120, 300)
ENERGY = tuple(int(8 * 2 ** (i / 2.4)) for i in range(31))
FILTERS = ((0, 0), (4, 4), (10, 0), (0, 10), (8, 3), (3, 8), (6, 6), (2, 2))
LOW, HL, LH, HH = range(4)
LEFT_RIGHT, UP_DOWN = ((0, -1), (0, 1)), ((-1, 0), (1, 0))
CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def read_tables():
    tables = {}
    for name in ("shared", "detail_tables"):
        data = (resources.files("sgc_diffusion.bitstream") / f"{name}.npz").read_bytes()
        with np.load(io.BytesIO(data)) as archive:
            tables |= {key: archive[key].astype(int) for key in archive.files}
    return tables


TABLES = read_tables()


def reached(limits, value):
    return sum(value >= limit for limit in limits)


def sign(value):
    return (value > 0) - (value < 0)


class Band:
    def __init__(self, channel, scale, orientation, rows, columns):
        self.channel, self.scale, self.orientation = channel, scale, orientation
        self.rows, self.columns, self.plane, self.values, self.active = rows, columns, 13, None, None
        self.kind = 0

    def target(self, level):
        place = self.scale - (self.orientation != LOW)
        gains = {LOW: (0, 5, 12, 19, 27), HH: (-4, -1, 5, 13)}.get(self.orientation, (0, 5, 12, 20))
        if self.kind == 2:
            gains = {LOW: (0, 3, 7, 10, 14), HH: (-3, 0, 4, 7)}.get(self.orientation, (0, 3, 7, 10))
        gain = ((6, -4, -2), (6, 5, 5), (-10, -20, -18), (6, 5, 5))[self.kind][self.channel]
        gain += gains[place] if place < len(gains) else gains[-1]
        gain += (3 if self.kind == 2 else 8) * max(place - len(gains) + 1, 0)
        return min(max((STEPS[level] - gain + 4) // 8, 0), 13)

    def value(self, row, column):
        inside = 0 <= row < self.rows and 0 <= column < self.columns
        return self.values[row][column] if inside and self.values is not None else 0

    def size(self, row, column, plane, finer=None):
        """The size for a plane; `finer` tells which cells are known down to that plane already."""
        value = abs(self.value(row, column))
        known = plane if finer is not None and (row % 2, column % 2) in finer else self.plane
        return min((4 * value + 2 * 2**known - 2) // 2**plane, 255) if value else 0


class Detail:
    def __init__(self, height, width, color_map):
        self.height, self.width, self.color_map, self.choices = height, width, color_map, None
        sides = [(height, width)]
        while min(sides[-1]) >= 16:
            sides.append(tuple((side + 1) // 2 for side in sides[-1]))
        self.depth, self.sides = len(sides) - 1, sides
        shapes = [(self.depth, LOW, *sides[-1])]
        for scale in range(self.depth, 0, -1):
            (rows, columns), (above, wide) = sides[scale], sides[scale - 1]
            shapes.append((scale, HL, rows, wide - columns))
            shapes += [(scale, LH, above - rows, columns), (scale, HH, above - rows, wide - columns)]
        self.order = [Band(channel, *shape) for shape in shapes for channel in range(3)]
        self.bands = {(band.channel, band.scale, band.orientation): band for band in self.order}

    def read(self, level, body, rans_class):
        """Read the next level; returns PSNR and number of bands where it tells them."""
        flags, psnr, num_bands, stream = 0, None, None, bytes([body[0] & 15]) + body[1:]
        if body[0] & 15 == 15:
            flags, rest = body[1], body[2:]
            assert 0 < flags < 16 and not flags & 3  # nothing steers here
            if flags & 4:
                psnr, rest = rest[0] / 2, rest[1:]
            if flags & 8:
                num_bands, rest = rest[0], rest[1:]
            stream = rest
        self.coder, self.slopes = rans_class(stream), None
        if self.choices is None:
            self.choices = self.read_choices()
            for band in self.order:
                band.kind = self.choices[2]
        for band in self.order[:num_bands]:
            if band.rows and band.columns:
                for plane in range(band.plane - 1, band.target(level) - 1, -1):
                    self.read_plane(band, plane)
                    band.plane = plane
        self.coder.end()
        assert self.coder.at == len(self.coder.data)
        return psnr, num_bands

    def ask(self, asked):
        """Each of a batch: a list of (table, constants, place)."""
        odds = [sum(int(TABLES[name][(*constants, place)]) for name, constants, place in groups) for groups in asked]
        squash = [int(TABLES["squash"][min(max(z, -352), 352) + 352]) for z in odds]
        return self.coder.batch([min(max((p + 8) >> 4, 3), 4093) for p in squash])

    def number(self, table, place, bits):
        node = 1
        for _ in range(bits):
            node = 2 * node + self.ask([[(table, place, node)]])[0]
        return node - 2**bits

    def read_choices(self):
        kind = self.number("kind", (0,), 2)
        filters = {} if kind == 2 else {place: self.number("filters", place, 3) for place in np.ndindex(3, 2, 2)}
        return filters, {place: self.number("mixes", place, 4) - 8 for place in np.ndindex(2, 3)}, kind

    def read_plane(self, band, plane):
        channel = (band.channel, (0, 3, 4)[band.channel], band.channel + 5, band.channel)[band.kind]  # in the tables
        kind, scale = (channel, band.orientation), min(band.scale, 8)
        parent = self.bands.get((band.channel, band.scale + 1, band.orientation)) if band.orientation else None
        others = [self.bands[k, band.scale, band.orientation] for k in range(band.channel)]
        if band.values is None:
            place = (parent is not None and parent.values is not None) + 2 * bool(others and others[0].values)
            constants = (numbered(band, plane), channel, scale, int(band.orientation == LOW))
            if not self.ask([[("start", constants, place)]])[0]:
                return
            band.values = [[0] * band.columns for _ in range(band.rows)]
            band.active = {(r, c): False for r in range(-(-band.rows // 8)) for c in range(-(-band.columns // 8))}
        cousins = [self.bands[band.channel, band.scale, o] for o in range(1, band.orientation)]
        cousins = [cousin for cousin in cousins if cousin.values is not None]

        def cousin_size(row, column):
            return sum(cousin.size(row, column, plane) for cousin in cousins) // max(len(cousins), 1)

        around = {
            "parent": parent,
            "cousin": cousin_size,
            "others": others,
            "slope": band.channel and band.scale == 1 and band.orientation != LOW and plane == 0 and band.kind != 2,
        }
        self.read_blocks(band, plane, around, kind, scale)
        done = set()
        for turn, phase in enumerate(((0, 0), (1, 1), (0, 1), (1, 0))):
            cells = [
                (r, c)
                for r in range(phase[0], band.rows, 2)
                for c in range(phase[1], band.columns, 2)
                if band.active[r // 8, c // 8]
            ]
            if cells:
                self.read_cells(band, plane, around, kind, scale, turn, cells, done)
            done.add(phase)

    def read_blocks(self, band, plane, around, kind, scale):
        def total(size, row, column, side=8):
            return sum(size(side * row + y, side * column + x) for y in range(side) for x in range(side))

        sums = {place: total(lambda r, c: band.size(r, c, plane), *place) for place in band.active}
        others = [lambda r, c, o=other: o.size(r, c, plane) for other in around["others"]]
        third = others[1] if band.channel == 2 else around["cousin"]
        for half in (0, 1):
            chosen = [place for place in sorted(band.active) if not band.active[place] and sum(place) % 2 == half]
            asked = []
            for row, column in chosen:
                beside = [(row + y, column + x) for y, x in (*LEFT_RIGHT, *UP_DOWN)]
                corners = sum(band.active.get((row + y, column + x), False) for y, x in CORNERS)
                near = 5 * sum(band.active.get(place, False) for place in beside) + corners
                near = 8 * near + reached(BLOCK, sum(sums.get(place, 0) for place in beside))
                steps = []
                if around["parent"] is not None:
                    steps.append(total(lambda r, c: around["parent"].size(r, c, plane), row, column, 4))
                else:
                    steps.append(0)
                steps.append(total(others[0], row, column) if others else 0)
                steps.append(total(third, row, column))
                other = sum(reached(BLOCK, step) * weight for step, weight in zip(steps, (64, 8, 1), strict=True))
                place = ("block_place", (numbered(band, plane), kind[0], scale, kind[1]), half)
                asked.append([place, ("block_near", (*kind, half), near), ("block_other", kind, other)])
            if chosen:
                for place, answer in zip(chosen, self.ask(asked), strict=True):
                    band.active[place] = bool(answer)

    def read_cells(self, band, plane, around, kind, scale, turn, cells, done):
        late, parent, others = turn // 2, around["parent"], around["others"]
        size = lambda r, c: band.size(r, c, plane, done)  # noqa: E731

        def tilt(cell, places, times=1):
            total = times * sum(band.value(cell[0] + y, cell[1] + x) for y, x in places)
            return reached(TILT, total >> plane)

        asked = []
        for r, c in cells:
            at = lambda places, r=r, c=c: sum(size(r + y, c + x) for y, x in places)  # noqa: E731
            features = [at(LEFT_RIGHT), at(UP_DOWN), at(CORNERS), at(((0, -2), (0, 2))), at(((-2, 0), (2, 0)))]
            features.append(0 if parent is None else parent.size(r // 2, c // 2, plane))
            features.append(around["cousin"](r, c))
            features += [others[k].size(r, c, plane) if k < len(others) else 0 for k in (0, 1)]
            y_near = [others[0].size(r + y, c + x, plane) for y, x in (*LEFT_RIGHT, *UP_DOWN)] if others else [0]
            features.append(sum(y_near))
            start = min(size(r, c) // 8, 3)
            weighted = sum(int(w) * f for w, f in zip(TABLES["weights"][(*kind, turn)], features, strict=True))
            step = reached(ENERGY, weighted)
            shape = cross = int(start > 0)
            for limits, feature in zip((NEAR, NEAR, CORNER), features[:3], strict=True):
                shape = 5 * shape + reached(limits, feature)
            for limits, feature in zip((PARENT, PLACE, PLACE, PLACE), features[5:9], strict=True):
                cross = 5 * cross + reached(limits, feature)
            own = sign(band.value(r, c))
            agree = 28 * tilt((r, c), LEFT_RIGHT, own) + 4 * tilt((r, c), UP_DOWN, own) + start
            groups = [("energy_phase", (*kind, turn), 4 * step + start)]
            groups.append(("energy_plane", (numbered(band, plane), kind[0]), 4 * step + start))
            groups.append(("energy_scale", (scale, kind[1]), 4 * step + start))
            groups += [("shape", (*kind, late), shape), ("cross", kind, cross), ("agree", (*kind, late), agree)]
            if around["slope"]:
                place = 32 * self.slope(band, r, c) + 8 * start + step // 4
                groups.append(("slope", (kind[0] - 1, kind[1] - 1), place))
            asked.append(groups)
        bits = self.ask(asked)
        new = [cell for cell, bit in zip(cells, bits, strict=True) if bit and not band.value(*cell)]
        asked = []
        for cell in new:
            near = 7 * tilt(cell, LEFT_RIGHT) + tilt(cell, UP_DOWN)
            up = 1 + sign(tilt(cell, CORNERS) - 3)
            above = 1 + (0 if parent is None else sign(parent.value(cell[0] // 2, cell[1] // 2)))
            numbers = [3, 3]
            for k, other in enumerate(others):
                if other.values is not None:
                    steps = reached(SIGN_SIZE, other.size(*cell, plane))
                    numbers[k] = 3 * (sign(other.value(*cell)) + 1) + steps
            groups = [("sign_near", (*kind, late), 9 * near + 3 * up + above), ("sign_scale", (scale, kind[1]), near)]
            groups.append(("sign_cross", kind, 9 * numbers[0] + numbers[1]))
            if around["slope"]:
                groups.append(("sign_slope", (kind[0] - 1, kind[1] - 1), self.slope(band, *cell)))
            asked.append(groups)
        signs = dict(zip(new, self.ask(asked) if new else [], strict=True))
        for (r, c), bit in zip(cells, bits, strict=True):
            if bit:
                own = sign(band.value(r, c)) or (-1 if signs[r, c] else 1)
                band.values[r][c] += own * 2**plane

    def slope(self, band, row, column):
        if self.slopes is None:
            self.slopes = [None, *(self.merged(channel, self.unmixed(), until=1) for channel in (1, 2))]
        low, total = self.slopes[band.channel], 0
        if band.orientation != LH and column + 1 < len(low[0]):
            total += abs(low[row][column + 1] - low[row][column])
        if band.orientation != HL and row + 1 < len(low):
            total += abs(low[row + 1][column] - low[row][column])
        return min(total, 4)

    def middle(self, band, row, column):
        value = band.value(row, column)
        if not value:
            return 0
        size = lambda places: sum(band.size(row + y, column + x, band.plane) for y, x in places)  # noqa: E731
        step = reached((4, 9, 17, 33), size((*LEFT_RIGHT, *UP_DOWN)) + size(CORNERS) // 2)
        return value + sign(value) * ((18, 22, 25, 28, 30)[step] * 2**band.plane // 64)

    def unmixed(self):
        known = {
            key: np.array(
                [[self.middle(band, r, c) for c in range(band.columns)] for r in range(band.rows)], dtype=int
            ).reshape(band.rows, band.columns)
            for key, band in self.bands.items()
        }
        for channel, scale, orientation in known:
            if channel == 0:
                group = int(scale != 1 or orientation == LOW)
                y, co, cg = (known[k, scale, orientation] for k in range(3))
                mixes = self.choices[1]
                co += (mixes[group, 0] * y + 8) >> 4
                cg += (mixes[group, 1] * y + mixes[group, 2] * co + 8) >> 4
        return known

    def merged(self, channel, known, until=0):
        """The channel, or the low band of scale `until`."""
        step = 2 ** min(2, self.depth)
        convert = to_ycrcb if self.choices[2] in (1, 3) else to_ycocg
        base = convert(smooth_base(self.color_map, self.height, self.width)[::step, ::step])[channel]
        smooth = self.choices[2] == 2
        if smooth:
            base = (base * (1024, 1550, 2345)[min(2, self.depth)] + 128) >> 8
        low = known[channel, self.depth, LOW] + (base if self.depth <= 2 else 0)
        for scale in range(self.depth, until, -1):
            hl, lh, hh = (known[channel, scale, orientation] for orientation in (HL, LH, HH))
            if scale <= 2 and not smooth:
                filters = self.choices[0]
                hl = hl - bent(low.T, hl.shape[1], FILTERS[filters[channel, scale - 1, 0]]).T
                lh = lh - bent(low, lh.shape[0], FILTERS[filters[channel, scale - 1, 1]])
            plain = channel > 0 and scale == 1
            if smooth:
                low = rejoined(rejoined(low, lh).T, rejoined(hl, hh).T).T
            else:
                low = joined(joined(low, lh, plain).T, joined(hl, hh, plain).T, plain).T
            if scale == 3:
                low = low + base
        return low

    def picture(self):
        """The picture that is known, (H, W, 3)."""
        if self.choices is None:
            return smooth_base(self.color_map, self.height, self.width)
        known = self.unmixed()
        y, co, cg = (self.merged(channel, known) for channel in range(3))
        if self.choices[2] in (1, 3):
            cr, cb = np.clip(co, -256, 255), np.clip(cg, -256, 255)
            green = (-22554 * cb - 46802 * cr + 32768) >> 16
            red, blue = (91881 * cr + 32768) >> 16, (116130 * cb + 32768) >> 16
            y = y - ((59 * cr + 122 * cb + 128) >> 8)
            return np.clip(np.stack([y + red, y + green, y + blue], axis=-1), 0, 255)
        t = y - (cg >> 1)
        b = t - (co >> 1)
        rgb = np.stack([b + co, cg + t, b], axis=-1)
        return np.clip((rgb + 2) >> 2 if self.choices[2] == 2 else rgb, 0, 255)


def numbered(band, plane):
    """The number of a plane in the tables."""
    return max(plane - 2, 0) if band.kind == 2 else plane


def bent(low, count, weights):
    second = [0] + [low[k - 1] - 2 * low[k] + low[k + 1] for k in range(1, len(low) - 1)] + [0, 0]
    rows = [(weights[0] * second[k] + weights[1] * second[k + 1] + 32) >> 6 for k in range(count)]
    return np.array([row + np.zeros(low.shape[1], int) for row in rows], dtype=int).reshape(count, low.shape[1])


def joined(low, high, plain):
    """Undo one 5/3 step down the columns."""
    if not len(high):
        return low
    even = []
    for k in range(len(low)):
        update = (high[max(k - 1, 0)] + high[min(k, len(high) - 1)] + 2) >> 2
        even.append(low[k] if plain else low[k] - update)
    rows = []
    for k in range(len(low)):
        rows.append(even[k])
        if k < len(high):
            rows.append(high[k] + ((even[k] + even[k + 1 if k + 1 < len(even) else k]) >> 1))
    return np.array(rows)


def rejoined(low, high):
    """Undo one 9/7 step down the columns."""
    if not len(high):
        return low
    s, d = [row.astype(int) for row in low], [row.astype(int) for row in high]

    def beside(k):
        return d[max(k - 1, 0)] + d[min(k, len(d) - 1)]

    def between(k):
        return s[k] + s[k + 1 if k + 1 < len(s) else k]

    for which, factor, added in ((s, 1817, -1), (d, 3616, -1), (s, 217, 1), (d, 6497, 1)):
        around = beside if which is s else between
        which[:] = [row + added * ((factor * around(k) + 2048) >> 12) for k, row in enumerate(which)]
    rows = [row for pair in zip(s, d, strict=False) for row in pair] + s[len(d) :]
    return np.array(rows)


def to_ycocg(rgb):
    r, g, b = (rgb[..., k].astype(int) for k in range(3))
    co = r - b
    t = b + (co >> 1)
    return np.stack([t + ((g - t) >> 1), co, g - t])


def to_ycrcb(rgb):
    r, g, b = (rgb[..., k].astype(int) for k in range(3))
    cr = (32768 * r - 27439 * g - 5329 * b + 32767) >> 16
    cb = (-11059 * r - 21709 * g + 32768 * b + 32767) >> 16
    y = (19595 * r + 38470 * g + 7471 * b + 32768) >> 16
    return np.stack([y + ((59 * cr + 122 * cb + 128) >> 8), cr, cb])


def smooth_base(color_map, height, width):
    def weights(count, side, place):
        n = (2 * place + 1) * count - side
        i, f = n // (2 * side), 256 * (n % (2 * side)) // (2 * side)
        cubes = (-(f**3) + 512 * f**2 - 65536 * f, 0, -3 * f**3 + 4 * 256 * f**2 + 65536 * f, f**3 - 256 * f**2)
        four = [(cube + 2**14) >> 15 for cube in cubes]
        four[1] = 1024 - four[0] - four[2] - four[3]
        return [(min(max(i - 1 + k, 0), count - 1), four[k]) for k in range(4)]

    grid = np.array(color_map, dtype=int)
    columns = np.stack([sum(grid[i] * w for i, w in weights(len(grid), height, y)) for y in range(height)])
    rows = [sum(columns[:, i] * w for i, w in weights(grid.shape[1], width, x)) for x in range(width)]
    return np.clip((np.stack(rows, axis=1) + 2**19) >> 20, 0, 255)
