"""A second reader, written from docs/format.md alone: slow, short, and sharing no code with the package.

It decodes the label stream and the color stream of valid files. Nothing is imported but the tables and the label sets,
which are data.
"""

import io
import json
from importlib import resources

import numpy as np

TAXONOMIES = ("landscape-24", "landscape-8", "coco-stuff-182", "ade20k-150", "cityscapes-19", "voc-21")
TAXONOMIES += ("coco-stuff-171", "mapillary-65", "general-54")
OFFSETS = [(0, -1), (-1, 0), (-1, 1), (-1, -1), (0, -2), (-2, 0), (-1, 2), (-2, 1), (-2, -1), (-1, -2), (-2, 2)]
OFFSETS += [(-2, -2), (0, -3), (-3, 0), (-1, 3), (-1, 4), (-1, 5), (-2, 3), (-2, -3), (-3, 1), (-3, -1), (-3, 2)]
OFFSETS += [(-3, -2), (0, -4), (-4, 0)]


def read_tables():
    tables = {}
    for name in ("shared", "labels", "color"):
        data = (resources.files("sgc_diffusion.bitstream") / f"{name}.npz").read_bytes()
        with np.load(io.BytesIO(data)) as archive:
            tables |= {key: archive[key].astype(int) for key in archive.files}
    return tables


TABLES = read_tables()


def entry(name, index):
    return int(TABLES[name].ravel()[index])


def reached(limits, value):
    return sum(value >= limit for limit in limits)


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x1021 if value & 0x8000 else 0)) & 0xFFFF
    return value


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def integer(self, count=1):
        return sum(byte << 8 * index for index, byte in enumerate(self.take(count)))

    def varint(self):
        byte = self.integer()
        return byte & 127 | (self.varint() << 7 if byte & 128 else 0)

    def sides(self):
        value = self.varint()
        return (value >> 1, self.varint()) if value & 1 else (value >> 1, value >> 1)


class Range:
    def __init__(self, data):
        self.data, self.at, self.span, self.code = data, 0, 2**32 - 1, 0
        for _ in range(4):
            self.shift()

    def shift(self):
        self.code = self.code * 256 + (self.data[self.at] if self.at < len(self.data) else 0)
        self.at += 1

    def refill(self):
        while self.span < 2**24:
            self.shift()
            self.span *= 256

    def decision(self, p):
        bound = (self.span >> 16) * p
        answer = self.code < bound
        if answer:
            self.span = bound
        else:
            self.code, self.span = self.code - bound, self.span - bound
        self.refill()
        return int(answer)

    def ask(self, z):
        return self.decision(entry("squash", min(max(z, -352), 352) + 352))

    def symbol(self, weights):
        unit = self.span // sum(weights)
        place = min(self.code // unit, sum(weights) - 1)
        index, before = 0, 0
        while place >= before + weights[index]:
            before, index = before + weights[index], index + 1
        self.code, self.span = self.code - unit * before, unit * weights[index]
        self.refill()
        return index


class Labels:
    def __init__(self, taxonomy, rows, columns, stream):
        self.rows, self.columns, self.coder, self.cells = rows, columns, Range(stream), {}
        data = json.loads((resources.files("sgc_diffusion.taxonomy") / f"{taxonomy}.json").read_text("utf-8"))
        coarse = json.loads((resources.files("sgc_diffusion.taxonomy") / "landscape-24.json").read_text("utf-8"))
        names, groups = data["names"], data["maps"].get("landscape-24", {})
        self.group = [
            names.index(name)
            if taxonomy == "landscape-24"
            else next((coarse["names"].index(group) for group, merged in groups.items() if name in merged), 24)
            for name in names
        ]
        prior = TABLES.get(f"prior_{taxonomy}")
        self.prior = [8] * len(names) if prior is None else prior.tolist()
        self.named = []

    def neighbor(self, row, column, offset):
        y, x = row + offset[0], column + offset[1]
        if row == 0:
            return self.cells[0, 0] if offset[0] or x < 0 else self.cells[0, x]
        if offset[0] == 0:
            return self.cells[row, x] if x >= 0 else self.cells[row - 1, 0]
        return self.cells[max(y, 0), min(max(x, 0), self.columns - 1)]

    def first_asked(self, row, column):
        w, n, _, nw = (self.neighbor(row, column, offset) for offset in OFFSETS[:4])
        return n if nw == w else w

    def read(self):
        surprises = edges = 0
        for row in range(self.rows):
            a, s = edges, surprises
            for column in range(self.columns):
                if (row, column) == (0, 0):
                    self.cells[0, 0] = self.read_class([], 0)
                    continue
                around = [self.neighbor(row, column, offset) for offset in OFFSETS]
                self.cells[row, column] = self.read_cell(around, row, a, s)
                edges += around[0] != around[1] or around[1] != around[2] or around[0] != around[3]
                surprises += self.cells[row, column] != self.first_asked(row, column)
        return [[self.cells[row, column] for column in range(self.columns)] for row in range(self.rows)]

    def read_cell(self, around, row, a, s):
        band = 0 if row == 0 else 1 + 6 * row // self.rows
        size = reached((512, 2048, 8192), self.rows * self.columns)
        rough = reached((2, 3, 4, 5, 7, 9), (16 * s + 16) // (a + 6))
        identities = [len(set(around[: around.index(label)])) for label in around[:6]]
        pattern = sum(factor * i for factor, i in zip((0, 1, 2, 6, 24, 120), identities, strict=True))
        places = around[:7]
        if around[3] == around[0]:
            places[:2] = around[1], around[0]
        for k, label in enumerate(places):
            if label in places[:k]:
                continue
            e, r = min(k, 4), min(k, 2)
            m = sum((around[i] == label) << i for i in range(15))
            d = sum((around[15 + i] == label) << i for i in range(10))
            z = entry("label_mask", 3 * m + r) + entry("label_distant", 3 * (16 * d + (m & 15)) + r)
            z += entry("label_pattern", 4 * (5 * pattern + e) + size)
            f = len(set(around[:7])) == 1
            z += entry("label_setting", 10 * (7 * (4 * band + size) + rough) + 2 * e + f)
            if self.coder.ask(z):
                return label
        return self.read_class(around[:7], band)

    def read_class(self, seven, b):
        candidates = [label for label in self.named if label not in seven]
        g, h, n = self.group[seven[1]] if seven else 24, len(set(seven)) == 1, len(candidates)
        is_new = not candidates
        if candidates and len(self.named) < len(self.group):
            is_new = self.coder.ask(entry("class_new", 8 * (2 * b + h) + min(n, 8) - 1))
        if is_new:
            follow, bands = TABLES["class_follow"][g], TABLES["class_band"][(b + 1) // 2]
            weights = [
                0 if x in self.named else int(self.prior[x] * follow[group] * bands[group]) // 256 + 1
                for x, group in enumerate(self.group)
            ]
            label = self.coder.symbol(weights)
        else:
            label = candidates[-1]
            for i, candidate in enumerate(candidates[:-1]):
                z = entry("class_rank", 5 * min(i, 4) + min(n - i, 6) - 2)
                if self.coder.ask(z + entry("class_pair", 25 * g + self.group[candidate])):
                    label = candidate
                    break
        self.named = [label, *(other for other in self.named if other != label)]
        return label


class Colors:
    def __init__(self, quality, rows, columns, stream):
        self.quality, self.rows, self.columns, self.coder, self.levels = quality, rows, columns, Range(stream), {}

    def level(self, u, v, c):
        return self.levels.get((u, v, c), 0)

    def scale(self, u, v, c):
        falloff = reached((16, 17, 19, 20, 22, 24, 26, 28, 30, 32, 35, 38, 41, 44, 48, 51, 56, 60), max(u, v))
        area = ((self.rows * self.columns) ** 2).bit_length() - 1
        e = int(TABLES["color_scale"][min(u, 15)][min(v, 15)][c]) + 2 * area - 32 - falloff - 8 - self.quality
        return min(max(e // 2 + 20, 0), 48)

    def read(self):
        last = [self.read_last(c) for c in range(3)]
        x = y = 0
        for t in range(max(last) + 1):
            activity = reached((6, 8, 10, 13, 15, 18, 21, 26, 34), 16 * (x + 48) // (y + 48))
            on_it = [(u, t - u) for u in range(self.rows) if 0 <= t - u < self.columns]
            for u, v in on_it:
                for c in range(3):
                    if last[c] >= t:
                        self.levels[u, v, c] = self.read_level(u, v, c, activity, last[c] - t)
            if t:
                x += sum(16 * min(abs(self.level(u, v, c)), 8) for u, v in on_it for c in range(3))
                y += sum(entry("color_expected", self.scale(u, v, c)) for u, v in on_it for c in range(3))
        grid = [[[self.level(u, v, c) for c in range(3)] for v in range(self.columns)] for u in range(self.rows)]
        return grid

    def read_last(self, c):
        for t in range(self.rows + self.columns - 2):
            u = min((t + 1) // 2, self.rows - 1)
            v = min(t - min(t // 2, self.rows - 1), self.columns - 1)
            if not self.coder.ask(entry("color_last", 3 * self.scale(u, v, c) + c)):
                return t
        return self.rows + self.columns - 2

    def read_level(self, u, v, c, activity, left):
        scale = self.scale(u, v, c)
        near = [
            abs(self.level(*place, c)) for place in ((u - 1, v), (u, v - 1), (u - 1, v - 1), (u - 2, v), (u, v - 2))
        ]
        e = reached(
            (1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 23, 33),
            sum(weight * min(size, 15) for weight, size in zip((2, 2, 1, 1, 1), near, strict=True)),
        )
        up, side, corner = (min(size, 3) for size in near[:3])
        o = 0 if c == 0 else min(abs(self.level(u, v, 0)), 3) + (4 * min(abs(self.level(u, v, 1)), 3) if c == 2 else 0)

        def ask(j):
            z = TABLES["color_energy"][j][3 * (13 * scale + e) + c]
            z += TABLES["color_shape"][j][3 * (16 * (16 * up + 4 * side + corner) + o) + c]
            z += TABLES["color_activity"][j][3 * (49 * activity + scale) + c]
            return self.coder.ask(int(z + TABLES["color_ending"][j][3 * (13 * min(left, 7) + e) + c]))

        if not ask(0):
            return 0
        sign = -1 if self.coder.ask(self.sign_odds(u, v, c)) else 1
        if not ask(1):
            return sign
        return sign * (2 + self.read_rest(scale)) if ask(2) else 2 * sign

    def sign_odds(self, u, v, c):
        def sign(y, x, channel=c):
            return int(np.sign(self.level(y, x, channel)))

        k = 2 * (u == 0) + (v == 0)
        w = 4 + (3 * sign(u, v, 0) if c else 0) + (sign(u, v, 1) if c == 2 else 0)
        z = entry("color_sign_place", 3 * (8 * min(u, 7) + min(v, 7)) + c) + entry(
            "color_sign_other", 3 * (9 * k + w) + c
        )
        near = 27 * sign(u - 1, v) + 9 * sign(u - 2, v) + 3 * sign(u, v - 1) + sign(u, v - 2)
        return z + entry("color_sign_near", 81 * k + 40 + near)

    def read_rest(self, scale):
        x = 0
        while self.coder.ask(entry("color_exponent", 49 * min(x, 9) + scale)):
            x += 1
        n = 1
        for place in range(x):
            bit = self.coder.decision(32768) if place else self.coder.ask(entry("color_mantissa", min(x, 9)))
            n = 2 * n + bit
        return n


def read(data):
    """Return what a plain valid file holds, as plain numbers."""
    source = Bytes(data)
    assert source.take(3) == b"SGC"
    flags = source.integer()
    assert flags & 0xDF == 1
    size, profile, weights_hash = source.sides(), source.integer(), source.integer(2)
    recipe = [1, 200, 70, 20, 0] if profile in (2, 3) else [0, 20, 100, 30, 0]
    mask = source.integer() if flags & 32 else 0
    if mask & 32:
        recipe[:2] = [3, 2]
    for bit, width in enumerate((1, 2, 1, 1, 2)):
        if mask >> bit & 1:
            recipe[bit] = source.integer(width)
    before, checksum, start = data[: source.at], source.integer(2), source.at
    labels, color = Bytes(source.take(source.varint())), Bytes(source.take(source.varint()))
    assert crc(before + data[start : source.at]) == checksum
    taxonomy, label_sides = TAXONOMIES[labels.integer()], labels.sides()
    label_map = Labels(taxonomy, *label_sides, labels.data[labels.at :]).read()
    quality, color_sides = color.integer(), color.sides()
    levels = Colors(quality, *color_sides, color.data[color.at :]).read()
    layers = []
    while source.at < len(data):
        kind, length, checksum = source.integer(), source.varint(), source.integer(2)
        layers.append((kind, source.take(length)))
        assert crc(bytes([kind]) + layers[-1][1]) == checksum
    return {
        "size": size,
        "profile": profile,
        "weights_hash": weights_hash,
        "recipe": recipe,
        "taxonomy": taxonomy,
        "label_map": label_map,
        "quality": quality,
        "levels": levels,
        "layers": layers,
    }


def colors(levels, quality):
    """Return the color map that levels stand for, in Python's integers."""
    h, w, step = len(levels), len(levels[0]), round(16 * 2 ** (quality / 8))

    def basis(n):
        k, i = np.mgrid[:n, :n].astype(np.longdouble)
        values = np.cos(np.pi * (2 * i + 1) * k / (2 * n)) * np.where(k == 0, np.sqrt(1 / n), np.sqrt(2 / n))
        return np.rint(values * 65536).astype(int).tolist()

    def shifted(x, k):
        return (x + 2 ** (k - 1)) // 2**k

    three, rows, columns = basis(3), basis(h), basis(w)
    x = [[[shifted(sum(int(levels[u][v][k]) * step * three[k][c] for k in range(3)), 12) for c in range(3)]
          for v in range(w)] for u in range(h)]  # fmt: skip
    x = [[[shifted(sum(x[u][v][c] * rows[u][i] for u in range(h)), 16) for c in range(3)]
          for v in range(w)] for i in range(h)]  # fmt: skip
    x = [[[shifted(sum(x[i][v][c] * columns[v][j] for v in range(w)), 16) for c in range(3)]
          for j in range(w)] for i in range(h)]  # fmt: skip
    return [[[min(max(shifted(value, 7) + 128, 0), 255) for value in cell] for cell in row] for row in x]
