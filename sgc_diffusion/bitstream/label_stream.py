"""Label map ↔ bytes: is a cell like one of its neighbors, and if not, what is it?

The encoder knows the whole map and finds all contexts at once with numpy; the decoder finds them cell by cell. Both
give the same integers, which the tests compare.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sgc_diffusion.bitstream import label_context as context
from sgc_diffusion.bitstream.class_model import ClassModel
from sgc_diffusion.bitstream.range_coder import RangeDecoder, RangeEncoder
from sgc_diffusion.bitstream.tables import load_tables, probabilities, probability, table_list

_NEAR_MASK = (1 << context.NUM_NEAR) - 1


def encode_labels(label_map: np.ndarray, taxonomy_name: str) -> bytes:
    """Write a label map.

    Args:
        label_map: (h, w) uint8, ids of the taxonomy.
        taxonomy_name: the label set.

    Returns:
        The stream; it does not hold the size of the map.
    """
    encoder = RangeEncoder()
    write_labels(encoder, label_map, taxonomy_name)
    return encoder.finish()


def write_labels(encoder: RangeEncoder, label_map: np.ndarray, taxonomy_name: str) -> None:
    """Send the decisions of a label map to an encoder; arguments as for `encode_labels`."""
    height, width = label_map.shape
    tables = load_tables("labels")
    shape = (context.NUM_CANDIDATES, height, width)
    is_asked, answers, chances = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape, np.int32)
    for rank, (asked, answer, contexts) in enumerate(context.questions(label_map[None])):
        odds = [tables[f"label_{name}"][index].astype(np.int32) for name, index in contexts.items()]
        chance = probabilities(np.stack(odds).sum(axis=0, dtype=np.int32))
        is_asked[rank], answers[rank][asked[0]], chances[rank][asked[0]] = asked[0], answer, chance
    order = np.moveaxis(is_asked, 0, -1)
    bits, chances = np.moveaxis(answers, 0, -1)[order].tolist(), np.moveaxis(chances, 0, -1)[order].tolist()
    ends = np.cumsum(order.sum(axis=-1).ravel()).tolist()
    model, start = ClassModel(encoder, taxonomy_name), 0
    near = context.neighbors(label_map[None])[: context.NUM_CANDIDATES, 0]
    for cell in np.flatnonzero(~answers.any(axis=0)).tolist():
        encoder.encode_many(bits[start : ends[cell]], chances[start : ends[cell]])
        start = ends[cell]
        row, column = divmod(cell, width)
        around = near[:, row, column].tolist() if cell else []
        above = around[1] if cell else None
        model.code(int(label_map[row, column]), above, around, context.row_band(row, height))
    encoder.encode_many(bits[start:], chances[start:])


def decode_labels(data: bytes, height: int, width: int, taxonomy_name: str) -> np.ndarray:
    """Read a label map.

    Args:
        data: the stream of `encode_labels`.
        height: rows of the map.
        width: columns.
        taxonomy_name: the label set.

    Returns:
        label_map (height, width) uint8.

    Raises:
        CorruptSectionError: no encoder writes this stream.
    """
    decoder = RangeDecoder(data)
    model = ClassModel(decoder, taxonomy_name)
    first = model.code(None, None, (), 0)
    scale = context.grid_scale(height, width)
    above = [_Row([first] * width, None)] * 4  # rows y − 1 to y − 4
    num_surprises = num_edges = 0
    rows = []
    for row in range(height):
        band = context.row_band(row, height)
        setting = ((band * 4 + scale) * 7 + context.roughness(num_surprises, num_edges)) * 10
        current = [above[0].cells[context.PAD]] * context.PAD
        if row == 0:
            current.append(first)
        _decode_row(decoder, model, above, current, setting, band, scale)
        surprises, edges = _count_surprises(above[0].cells, current, width)
        num_surprises, num_edges = num_surprises + surprises, num_edges + edges
        rows.append(current[context.PAD :])
        done = _Row(rows[-1], above[0] if row else None)
        above = [done] * 4 if row == 0 else [done, *above[:3]]
    decoder.finish()
    return np.array(rows, dtype=np.uint8)


class _Row:
    """A finished row: its padded cells, and where it changes, as bits of an integer.

    Args:
        cells: the row.
        above: the row before, None for a row that is taken as a copy of itself.
    """

    def __init__(self, cells: list[int], above: _Row | None) -> None:
        self.cells = [cells[0]] * context.PAD + cells + [cells[-1]] * context.PAD
        self.changes = sum(1 << x for x, (a, b) in enumerate(zip(self.cells, self.cells[1:], strict=False)) if a != b)
        self.differences = 0  # bit x: cell x is not like the one above
        if above is not None and above.cells != self.cells:
            self.differences = sum(
                1 << x for x, (a, b) in enumerate(zip(self.cells, above.cells, strict=True)) if a != b
            )


def _uneven(above: list[_Row]) -> int:
    """Bit x is set where the neighbors in the rows above padded column x are not all alike."""
    uneven = 0
    for row, first, last in zip(above, (-3, -3, -2), (5, 3, 2), strict=False):  # columns of the row that matter
        for step in range(first, last):  # bit x of `changes`: cells x and x + 1 differ
            uneven |= row.changes >> step if step >= 0 else row.changes << -step
    for row, next_row in pairwise(above):
        uneven |= row.differences if row is not next_row else 0
    return uneven


def _decode_row(
    decoder: RangeDecoder,
    model: ClassModel,
    above: list[_Row],
    current: list[int],
    setting: int,
    band: int,
    scale: int,
) -> None:
    """Append the cells of a row to `current`, which holds its padding."""
    up, up2, up3, up4 = (row.cells for row in above)
    width, uneven = len(up) - 2 * context.PAD, _uneven(above)
    even_chance = _even_probability(setting, scale)
    x, end = len(current), width + context.PAD
    while x < end:
        label = up[x]
        if not uneven >> x & 1 and current[x - 1] == current[x - 2] == current[x - 3] == current[x - 4] == label:
            rest = uneven >> x
            limit = min((rest & -rest).bit_length() - 1 if rest else end, end - x)
            count = decoder.decode_run(even_chance, limit)
            current.extend([label] * count)
            x += count
            if count < limit:
                current.append(model.code(None, label, (label,), band))
                x += 1
            continue
        near = (current[x - 1], label, up[x + 1], up[x - 1], current[x - 2], up2[x], up[x + 2])
        far = (
            *(up2[x + 1], up2[x - 1], up[x - 2], up2[x + 2], up2[x - 2], current[x - 3], up3[x], up[x + 3]),
            *(up[x + 4], up[x + 5], up2[x + 3], up2[x - 3], up3[x + 1], up3[x - 1], up3[x + 2], up3[x - 2]),
            *(current[x - 4], up4[x]),
        )
        copied = _decode_cell(decoder, near, far, setting, scale)
        current.append(model.code(None, label, near, band) if copied is None else copied)
        x += 1


def _even_probability(setting: int, scale: int) -> int:
    """The probability that a cell is like its neighbors if they are all alike."""
    places = {
        "label_mask": context.MASK_SIZE - 3,
        "label_distant": context.DISTANT_SIZE - 3,
        "label_pattern": scale,
        "label_setting": setting + 1,
    }
    return probability(sum(table_list("labels", name)[place] for name, place in places.items()))


def _decode_cell(
    decoder: RangeDecoder, near: tuple[int, ...], far: tuple[int, ...], setting: int, scale: int
) -> int | None:
    """Ask for each candidate; returns None if the cell is like none."""
    masks, distants = table_list("labels", "label_mask"), table_list("labels", "label_distant")
    patterns, settings = table_list("labels", "label_pattern"), table_list("labels", "label_setting")
    is_flat = near.count(near[0]) == len(near)
    pattern = 0 if is_flat else _pattern(near) * 5
    around = near + far
    asked: list[int] = []
    for rank, label in enumerate((near[1], near[0], *near[2:]) if near[3] == near[0] else near):
        if label in asked:
            continue
        asked.append(label)
        mask = 0
        for index, other in enumerate(around):
            if other == label:
                mask |= 1 << index
        depth, stage = min(rank, 4), min(rank, 2)
        odds = masks[(mask & _NEAR_MASK) * 3 + stage] + patterns[(pattern + depth) * 4 + scale]
        odds += distants[((mask >> context.NUM_NEAR) * 16 + (mask & 15)) * 3 + stage]
        if decoder.decode(probability(odds + settings[setting + is_flat + 2 * depth])):
            return label
    return None


def _pattern(near: tuple[int, ...]) -> int:
    """The scalar form of `label_context.patterns`."""
    ids: dict[int, int] = {}
    pattern, radix = 0, 1
    for index, label in enumerate(near[:6]):
        identity = ids.setdefault(label, len(ids))
        if index:
            pattern += radix * identity
            radix *= index + 1
    return pattern


def _count_surprises(up: list[int], current: list[int], width: int) -> tuple[int, int]:
    """Count the cells of a finished row that break the simple rule, and those on an edge."""
    surprises = edges = 0
    for x in range(context.PAD, width + context.PAD):
        w, n, nw = current[x - 1], up[x], up[x - 1]
        surprises += current[x] != (n if nw == w else w)
        edges += w != n or n != up[x + 1] or w != nw
    return surprises, edges
