"""Label map ↔ bytes: is a cell like one of its neighbors, and if not, what is it?

The encoder knows the whole map and finds all contexts at once with numpy; the decoder finds them cell by cell. Both give
the same integers, which the tests compare.
"""

from __future__ import annotations

import numpy as np

from sgc_diffusion.bitstream import label_context as context
from sgc_diffusion.bitstream.class_model import ClassModel
from sgc_diffusion.bitstream.range_coder import RangeDecoder, RangeEncoder
from sgc_diffusion.bitstream.tables import LIMIT, load_tables, probabilities, table_list


def encode_labels(label_map: np.ndarray, taxonomy_name: str) -> bytes:
    """Write a label map.

    Args:
        label_map: (h, w) uint8, ids of the taxonomy.
        taxonomy_name: the label set.

    Returns:
        The stream; it does not hold the size of the map.
    """
    height, width = label_map.shape
    tables = load_tables()
    shape = (context.NUM_CANDIDATES, height, width)
    is_asked, answers, chances = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape, np.int32)
    for rank, (asked, answer, mask, pattern, setting) in enumerate(context.questions(label_map[None])):
        odds = tables["label_mask"][mask].astype(np.int32) + tables["label_pattern"][pattern] + tables["label_setting"][setting]
        is_asked[rank], answers[rank][asked[0]], chances[rank][asked[0]] = asked[0], answer, probabilities(odds)
    order = np.moveaxis(is_asked, 0, -1)
    bits, chances = np.moveaxis(answers, 0, -1)[order].tolist(), np.moveaxis(chances, 0, -1)[order].tolist()
    ends = np.cumsum(order.sum(axis=-1).ravel()).tolist()
    encoder = RangeEncoder()
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
    return encoder.finish()


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
    above = [[first] * (width + 2 * context.PAD)] * context.PAD  # rows y − 1, y − 2, y − 3, padded on both sides
    num_surprises = num_edges = 0
    rows = []
    for row in range(height):
        band = context.row_band(row, height)
        scale = context.grid_scale(height, width)
        setting = ((band * 4 + scale) * 7 + context.roughness(num_surprises, num_edges)) * 10
        current = [above[0][context.PAD]] * context.PAD
        if row == 0:
            current.append(first)
        _decode_row(decoder, model, above, current, width, setting, band)
        cells = current[context.PAD :]
        surprises, edges = _count_surprises(above[0], current, width)
        num_surprises, num_edges = num_surprises + surprises, num_edges + edges
        rows.append(cells)
        padded = [cells[0]] * context.PAD + cells + [cells[-1]] * context.PAD
        above = [padded] * context.PAD if row == 0 else [padded, above[0], above[1]]
    decoder.finish()
    return np.array(rows, dtype=np.uint8)


def _decode_row(
    decoder: RangeDecoder,
    model: ClassModel,
    above: list[list[int]],
    current: list[int],
    width: int,
    setting: int,
    band: int,
) -> None:
    """Append the cells of a row to `current`, which holds its padding."""
    masks, patterns, settings = table_list("label_mask"), table_list("label_pattern"), table_list("label_setting")
    squash, decode = table_list("squash"), decoder.decode
    up, up2, up3 = above
    for x in range(len(current), width + context.PAD):
        w, n, ne, nw, ww, nn, nee = current[x - 1], up[x], up[x + 1], up[x - 1], current[x - 2], up2[x], up[x + 2]
        far = (up2[x + 1], up2[x - 1], up[x - 2], up2[x + 2], up2[x - 2], current[x - 3], up3[x], up[x + 3])
        near = (w, n, ne, nw, ww, nn, nee)
        around = near + far
        is_flat = w == n == ne == nw == ww == nn == nee
        pattern = 0 if is_flat else _pattern(near) * 5
        asked: list[int] = []
        for rank, label in enumerate((n, w, ne, nw, ww, nn, nee) if nw == w else near):
            if label in asked:
                continue
            asked.append(label)
            mask = 0
            for index, other in enumerate(around):
                if other == label:
                    mask |= 1 << index
            depth = rank if rank < 4 else 4
            odds = masks[mask * 3 + (rank if rank < 2 else 2)] + patterns[pattern + depth]
            odds += settings[setting + is_flat + 2 * depth]
            if decode(squash[(-LIMIT if odds < -LIMIT else LIMIT if odds > LIMIT else odds) + LIMIT]):
                current.append(label)
                break
        else:
            current.append(model.code(None, n, near, band))


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
