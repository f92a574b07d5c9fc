"""The part of the second reader that reads importance and regions; written from docs/format.md alone.

`make` is given what the first part has: its classes for bytes and for the range coder.
"""

import io
from importlib import resources

import numpy as np

OFFSETS = [(0, -1), (-1, 0), (-1, 1), (-1, -1), (0, -2), (-2, 0), (-1, 2), (-1, -2), (-2, 1), (-2, -1)]
with np.load(io.BytesIO((resources.files("sgc_diffusion.bitstream") / "masks.npz").read_bytes())) as archive:
    TABLES = {name: archive[name].astype(int) for name in archive.files}


def mask(coder, rows, columns, table, within):
    cells = {}
    for y in range(rows):
        for x in range(columns):
            if within is None or within[y][x]:
                place = sum(cells.get((y + down, x + right), 0) << i for i, (down, right) in enumerate(OFFSETS))
                cells[y, x] = coder.ask(int(table[place]))
    return [[cells.get((y, x), 0) for x in range(columns)] for y in range(rows)]


def importance(body, reader):
    fields = reader.Bytes(body)
    strength = fields.integer()
    rows, columns = fields.sides()
    coder, within, levels = reader.Range(body[fields.at :]), None, np.zeros((rows, columns), int)
    for table in TABLES["importance"]:
        within = mask(coder, rows, columns, table, within)
        levels += np.array(within)
    return strength, levels.tolist()


def regions(body, reader, size, num_classes):
    coder = reader.Range(body)

    def number(count):
        return coder.symbol([1] * count)

    num_regions = number(32) + 1
    return [number(16) for _ in range(3)], [region(coder, number, size, num_classes) for _ in range(num_regions)]


def region(coder, number, size, num_classes):
    e, longest = number(8) + 3, max(size)
    class_id = number(num_classes) if coder.decision(32768) else 253 + number(3)
    score, box = number(16), []
    for side in (size[1], size[0]):
        cells = max(1, (2 ** (e + 1) * side + longest) // (2 * longest))
        first = number(cells)
        box += [(first, number(cells - first) + 1)]
    (top, rows), (left, columns) = box
    is_full = coder.decision(32768)
    cells = [[1] * columns] * rows if is_full else mask(coder, rows, columns, TABLES["region"], None)
    return e, top, left, cells, class_id, score
