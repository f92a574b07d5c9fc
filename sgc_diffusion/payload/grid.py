"""The one rule which pixel of a picture lies in which cell of a grid that is laid over it.

Votes of pixels for a cell, rate control, conditions of decoders, previews and metrics all go by it, so that what the
encoder judges is what the decoder draws.
"""

from __future__ import annotations

import numpy as np


def cell_indices(num_pixels: int, num_cells: int) -> np.ndarray:
    """Return the cell of every pixel along one side: that which the pixel's center lies in.

    Pixel i has its center at (i + 1/2) / num_pixels of the side; a center on the border of two cells belongs to the
    second. With more cells than pixels, some cells have no pixel.

    Args:
        num_pixels: along the side, at least 1.
        num_cells: along the side, at least 1.

    Returns:
        (num_pixels,) int64, 0 … num_cells − 1, rising.

    Raises:
        ValueError: a number below 1.

    Example:
        >>> cell_indices(5, 2)
        array([0, 0, 1, 1, 1])
    """
    for name, number in (("num_pixels", num_pixels), ("num_cells", num_cells)):
        if number < 1:
            raise ValueError(f"`{name}` must be at least 1, got {number}")
    return (2 * np.arange(num_pixels, dtype=np.int64) + 1) * int(num_cells) // (2 * int(num_pixels))


def enlarge(label_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the map at the size of a picture: each pixel has the value of its cell.

    Args:
        label_map: (h, w) or (h, w, …) of any dtype, one entry for each cell.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Returns:
        (height, width) or (height, width, …) of the same dtype.

    Raises:
        ValueError: a side below 1.
    """
    rows, columns = cell_indices(height, label_map.shape[0]), cell_indices(width, label_map.shape[1])
    return label_map[rows][:, columns]
