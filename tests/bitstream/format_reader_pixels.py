"""The part of the second reader that goes on to pixels: alpha; written from docs/format.md alone, slow and short."""

import numpy as np


class Rans:
    """Section "Many yes-or-no decisions at once": batches of probabilities in 1/4096 → decisions."""

    def __init__(self, data):
        self.data, self.at = data, 0
        self.begin()

    def begin(self):
        lanes = 1 << self.data[self.at]
        self.at += 1
        self.states = [int.from_bytes(self.data[self.at + 4 * k : self.at + 4 * k + 4], "big") for k in range(lanes)]
        self.at, self.count = self.at + 4 * lanes, 0

    def batch(self, probabilities):
        if self.count >= 2**23:
            self.end()
            self.begin()
        self.count += len(probabilities)
        return [self.decide(place % len(self.states), p) for place, p in enumerate(probabilities)]

    def decide(self, lane, p):
        high, low = divmod(self.states[lane], 4096)
        answer = low < p
        x = p * high + low if answer else self.states[lane] - p * high - p
        if x < 2**16:
            x = x * 2**16 + int.from_bytes(self.data[self.at : self.at + 2], "big")
            self.at += 2
        self.states[lane] = x
        return int(answer)

    def end(self):
        assert all(state == 2**16 for state in self.states)
        assert len(self.states) == 2 ** min(max(int(np.log2(max(self.count / 3072, 1))), 0), 14)


class Alpha:
    """Section "The alpha layer"."""

    NEAR = ([(0, -1), (0, 1)], [(-1, 0), (1, 0)], [(-1, 0), (1, 0), (0, -1), (0, 1)])
    FAR = ([(-2, -1), (-2, 1), (2, -1), (2, 1)], *[[(-1, -1), (-1, 1), (1, -1), (1, 1)]] * 2)

    def __init__(self, body):
        self.levels = body[0] + 1
        at, numbers = 1, []
        while len(numbers) < 2:
            value = shift = 0
            while True:
                value |= (body[at] & 127) << shift
                at, shift = at + 1, shift + 7
                if body[at - 1] < 128:
                    break
            numbers.append(value)
            if len(numbers) == 1 and not value & 1:
                numbers.append(value >> 1)
        self.rows, self.columns = numbers[0] >> 1, numbers[1]
        self.coder, self.counts = Rans(body[at:]), {}

    def read(self):
        value = 0
        for bit in self.coder.batch([2048] * int(np.ceil(np.log2(self.levels)))):
            value = 2 * value + bit
        cells, step = {(0, 0): value}, 1
        while step < max(self.rows, self.columns):
            step *= 2
        while step > 1:
            step //= 2
            height, width = -(-self.rows // step), -(-self.columns // step)
            cells = {(2 * row, 2 * column): value for (row, column), value in cells.items()}
            for turn in range(3):
                self.turn(cells, turn, height, width)
        self.coder.end()
        assert self.coder.at == len(self.coder.data)
        return [[cells[row, column] for column in range(self.columns)] for row in range(self.rows)]

    def turn(self, cells, turn, height, width):
        rows, columns = range(turn > 0, height, 2), range(turn != 1, width, 2)
        q = 256
        while rows and columns:
            strip, rows = rows[: max(1, q // len(columns))], rows[max(1, q // len(columns)) :]
            q = min(2 * q, 65536)
            self.strip(cells, turn, [(row, column) for row in strip for column in columns], height, width)

    def strip(self, cells, turn, places, height, width):
        def beyond(place, offset, end):
            return next(x for x in (place + offset, place - offset, place) if 0 <= x < end)

        asked = []
        for row, column in places:
            near, far = (
                [cells[beyond(row, y, height), beyond(column, x, width)] for y, x in part]
                for part in (self.NEAR[turn], self.FAR[turn])
            )
            asked.append({"place": (row, column), "near": near, "far": far, "lo": min(near), "hi": max(near)})
        for cell in asked:
            lo, hi = cell["lo"], cell["hi"]
            ups = [int(2 * level > lo + hi if lo < hi else level != lo) for level in cell["near"] + cell["far"]]
            kind = (turn * 2 + (lo < hi)) * 4 + (lo == 0) + 2 * (hi == self.levels - 1)
            u = int("".join(map(str, ups)), 2)
            cell["fine"], cell["coarse"] = kind * 256 + u, kind * 256 + sum(ups)
        rest = self.split(cells, "low", asked, "lo")
        high = [cell for cell in rest if cell["lo"] < cell["hi"]]
        denied = self.split(cells, "high", high, "hi")
        self.rest(cells, turn, [cell for cell in rest if cell["lo"] == cell["hi"] or cell in denied])

    def split(self, cells, name, asked, wanted):
        places = [
            (cell["fine"], cell["coarse"], 15 if name == "low" and cell["lo"] == cell["hi"] else 8) for cell in asked
        ]
        denied = []
        for cell, answer in zip(asked, self.ask(name, places), strict=True):
            if answer:
                cells[cell["place"]] = cell[wanted]
            else:
                denied.append(cell)
        return denied

    def rest(self, cells, turn, asked):
        for cell in asked:
            n, f = sum(cell["near"]), sum(cell["far"])
            cell["expected"] = (5 * n - f + 8) // 16 if turn == 2 else (n + 1) // 2
            cell["g"], cell["digits"], cell["size"] = (cell["hi"] - cell["lo"]).bit_length(), 0, 1
        going = asked
        for e in range(9):
            answers = self.ask("size", [(10 * cell["g"] + e,) * 2 + (8,) for cell in going])
            going = [cell for cell, answer in zip(going, answers, strict=True) if answer]
            for cell in going:
                cell["digits"] += 1
        signed = [cell for cell in asked if cell["digits"]]
        signs = self.ask("sign", [(cell["g"],) * 2 + (8,) for cell in signed])
        for place in range(7, -1, -1):
            open_cells = [cell for cell in signed if cell["digits"] > place + 1]
            answers = self.ask("digit", [(9 * cell["digits"] + place,) * 2 + (8,) for cell in open_cells])
            for cell, answer in zip(open_cells, answers, strict=True):
                cell["size"] = 2 * cell["size"] + answer
        for cell in asked:
            cells[cell["place"]] = cell["expected"]
        for cell, sign in zip(signed, signs, strict=True):
            cells[cell["place"]] += -cell["size"] if sign else cell["size"]

    def ask(self, name, places):
        if not places:
            return []
        count = lambda *key: self.counts.setdefault((name, *key), [0, 0])  # noqa: E731
        probabilities = []
        for fine, coarse, leaning in places:
            (n, y), (big_n, big_y) = count("fine", fine), count("coarse", coarse)
            c = 4096 * (2 * big_y + leaning) // (2 * big_n + 16)
            probabilities.append(min(max((4096 * y + 2 * c) // (n + 2), 3), 4093))
        answers = self.coder.batch(probabilities)
        for (fine, coarse, _), answer in zip(places, answers, strict=True):
            for key in (("fine", fine), ("coarse", coarse)):
                count(*key)[0] += 1
                count(*key)[1] += answer
        return answers
