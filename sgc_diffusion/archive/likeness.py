"""Pictures that look like another: by what is where, by colors from afar, and by where objects are kept.

    labels   share of the 16 cells of the layout that show another class
    colors   mean absolute difference of the 48 values of the color layout, divided by 255
    regions  the same of the 16 values of the region layout; a picture without regions has zeros

    distance = (labels + colors) / 2, or, to a picture with regions, (labels + colors + regions) / 3

All are columns of the shards (`schema`), so a million pictures are compared in a second, and nothing is decoded.
"""

from __future__ import annotations

import heapq
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from sgc_diffusion.archive.description import LAYOUT_SIDE, color_layout, label_layout, region_layout
from sgc_diffusion.archive.layout import Archive, ArchiveError
from sgc_diffusion.archive.search import ALL, SHOWN, first_line, opened
from sgc_diffusion.payload import RegionsLayer, SemanticPayload
from sgc_diffusion.taxonomy import class_table

LAYOUT_CELLS = LAYOUT_SIDE**2
BATCH = 65536  # rows compared at a time


def search_like(
    archive: Archive,
    payload: SemanticPayload,
    where: str = ALL,
    *,
    limit: int = 20,
    num_threads: int | None = None,
) -> list[dict[str, Any]]:
    """Return the pictures nearest to one, each with its `distance`, 0 … 1.

    Args:
        archive: to be asked.
        payload: of the picture that they are to look like.
        where: as of `search`: pictures that it is not true of are left out.
        limit: how many at most.
        num_threads: of DuckDB; None takes all processors.

    Raises:
        ArchiveError: an expression that DuckDB does not understand.
    """
    layouts: dict[str, np.ndarray] = {}
    colors, regions = color_layout(payload.color_map).ravel(), payload.layer(RegionsLayer)
    kept = None if regions is None else region_layout(regions, payload.height, payload.width).ravel()
    nearest: list[tuple[float, int, bytes]] = []  # as a heap: the farthest of the best first, by negative distance
    with opened(archive, num_threads=num_threads) as connection:
        query = f"SELECT image_id, taxonomy, layout, colors, regions FROM pictures WHERE ({where})"
        try:
            reader = connection.sql(query).to_arrow_reader(BATCH)
        except duckdb.Error as error:
            raise ArchiveError(first_line(error)) from error
        number = 0
        for batch in reader:
            distances = _distances(batch, payload, layouts, colors)
            if kept is not None:
                distances = (2 * distances + _region_distances(batch.column("regions"), kept)) / 3
            best = np.argsort(distances, kind="stable")[:limit]
            ids = batch.column("image_id")
            for place in best.tolist():
                item = (-float(distances[place]), -(number + place), ids[place].as_py())
                (heapq.heappush if len(nearest) < limit else heapq.heappushpop)(nearest, item)
            number += batch.num_rows
        return _rows(connection, sorted(nearest, reverse=True))


def _distances(
    batch: pa.RecordBatch, payload: SemanticPayload, layouts: dict[str, np.ndarray], colors: np.ndarray
) -> np.ndarray:
    """Return (N,) float32, how far each row of a batch is.

    Args:
        batch: with `taxonomy`, `layout` and `colors`.
        payload: of the picture that is looked for.
        layouts: taxonomy → (16,) uint8 layout of the picture in it; gets those that are asked for.
        colors: (48,) uint8, its color layout.
    """
    num_rows = batch.num_rows
    if not num_rows:
        return np.zeros(0, np.float32)
    theirs = _bytes(batch.column("colors"), colors.size)
    far = np.abs(theirs.astype(np.int16) - colors).sum(axis=1, dtype=np.int32) / np.float32(2 * 255 * colors.size)
    labels = _bytes(batch.column("layout"), LAYOUT_CELLS)
    taxonomy = batch.column("taxonomy").dictionary_encode()
    for code, name in enumerate(taxonomy.dictionary.to_pylist()):
        rows = slice(None) if len(taxonomy.dictionary) == 1 else np.asarray(taxonomy.indices) == code
        if name not in layouts:
            layouts[name] = _layout_in(payload, name)
        far[rows] += (labels[rows] != layouts[name]).sum(axis=1, dtype=np.uint8) / np.float32(2 * LAYOUT_CELLS)
    return far.astype(np.float32)


def _region_distances(column: pa.Array, kept: np.ndarray) -> np.ndarray:
    """Return (N,) float32, how far the regions of each row are from those of a region layout (16,) uint8."""
    theirs = np.zeros((len(column), LAYOUT_CELLS), np.int16)
    values = column.drop_null()
    if len(values):
        theirs[np.asarray(column.is_valid())] = _bytes(values, LAYOUT_CELLS)
    return np.abs(theirs - kept).mean(axis=1, dtype=np.float32) / np.float32(255)


def _layout_in(payload: SemanticPayload, taxonomy: str) -> np.ndarray:
    """Return (16,) uint8, or int16 −1 that no label is, of a picture in a taxonomy; −1 if no map leads to it."""
    try:
        table = class_table(payload.labels.taxonomy_name, taxonomy)
    except ValueError:
        return np.full(LAYOUT_CELLS, -1, np.int16)
    return label_layout(table[payload.label_map]).ravel()


def _bytes(column: pa.Array, size: int) -> np.ndarray:
    """Return (N, size) uint8 of a column of blobs of that size, without copying."""
    offsets = np.frombuffer(column.buffers()[1], np.int32, len(column) + 1, offset=4 * column.offset)
    return np.frombuffer(column.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].reshape(-1, size)


def _rows(connection: duckdb.DuckDBPyConnection, nearest: list[tuple[float, int, bytes]]) -> list[dict[str, Any]]:
    """Return the rows of ids in their order, with their distances."""
    ids = [image_id for _, _, image_id in nearest]
    if not ids:
        return []
    query = f"SELECT {', '.join(SHOWN)} FROM pictures WHERE image_id IN ({', '.join('?' * len(ids))})"
    found = {row["image_id"]: row for row in connection.sql(query, params=ids).to_arrow_table().to_pylist()}
    return [found[key] | {"image_id": key.hex(), "distance": -distance} for distance, _, key in nearest]
