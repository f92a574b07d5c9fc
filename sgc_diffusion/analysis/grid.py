"""How many cells a map of a picture has, and which label each gets.

picture's size ──grid_size──▶ rows, columns        fine label map ──vote of the pixels of each cell──▶ coarse label map

Which pixel is in which cell is `payload.grid.cell_indices`, the rule by which the decoder enlarges a map again: a map
that a grid can hold comes back from its vote unchanged.
"""

from __future__ import annotations

import numpy as np

from sgc_diffusion.payload.grid import cell_indices


def grid_size(width: int, height: int, num_cells: int, max_side: int) -> tuple[int, int]:
    """Return rows and columns of a grid of about `num_cells` cells with the aspect of a picture.

    Args:
        width: of the picture, pixels.
        height: of the picture, pixels.
        num_cells: wanted product of rows and columns; fewer where the picture has fewer pixels.
        max_side: largest number of rows or columns.
    """
    rows = max(1, round((num_cells * height / width) ** 0.5))
    columns = max(1, round(num_cells / rows))
    return min(rows, max_side, height), min(columns, max_side, width)


def vote(label_map: np.ndarray, rows: int, columns: int, class_weights: np.ndarray | None = None) -> np.ndarray:
    """Give each cell of a coarse grid the label that leaves the least weighted disagreement among its pixels.

    Args:
        label_map: (H, W) ids of any integer dtype, 0 or more.
        rows: of the grid, 1 … H.
        columns: of the grid, 1 … W.
        class_weights: (K,) float, how much a pixel of each class counts, 0 or more; all alike if None.

    Returns:
        (rows, columns) ids of the same dtype. Each cell has a label that one of its pixels has; of equally weighty
        labels the smallest id.

    Raises:
        ValueError: a grid with more rows or columns than the map, or with none; ids that are no integers, are below 0
            or have no weight.

    Example:
        >>> vote(np.array([[5, 5, 2, 7], [5, 1, 7, 2]], np.uint8), 1, 2)
        array([[5, 2]], dtype=uint8)
    """
    height, width = label_map.shape
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise ValueError(
            f"`label_map` {label_map.shape} is smaller than the grid ({rows}, {columns}); ask for fewer cells"
        )
    present, dense = _dense_ids(label_map)
    cell_of = cell_indices(height, rows)[:, None] * columns + cell_indices(width, columns)
    counts = np.bincount((cell_of * len(present) + dense).ravel(), minlength=rows * columns * len(present))
    votes = counts.reshape(rows, columns, len(present))
    if class_weights is not None:
        if present[-1] >= len(class_weights):
            raise ValueError(f"`label_map` holds id {present[-1]}, but there are only {len(class_weights)} weights")
        votes = np.where(votes > 0, votes * np.asarray(class_weights, dtype=np.float64)[present], -1.0)
    return present[votes.argmax(axis=2)].astype(label_map.dtype)


def _dense_ids(label_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the (N,) int64 ids that a map holds, rising, and its (H, W) int64 map of places in them."""
    if label_map.dtype.kind not in "iu" or label_map.min() < 0:
        raise ValueError(f"`label_map` must hold integers from 0 on, got {label_map.dtype} from {label_map.min()}")
    present = np.flatnonzero(np.bincount(label_map.ravel().astype(np.int64, copy=False)))
    table = np.zeros(present[-1] + 1, dtype=np.int64)
    table[present] = np.arange(len(present))
    return present, table[label_map]
