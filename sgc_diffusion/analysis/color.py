"""Image → color map: what the picture looks like from afar (S1's σ_c).

RGB (H, W) ──blur and downsample──▶ (h, w), about 256 cells in the picture's aspect
"""

from __future__ import annotations

import numpy as np
from PIL import Image

NUM_COLOR_CELLS = 256  # 16×16 for a square picture
MAX_COLOR_SIDE = 64  # cells; what the color coder takes


def grid_size(width: int, height: int, num_cells: int, max_side: int) -> tuple[int, int]:
    """Return rows and columns of a grid of about `num_cells` cells with the aspect of a picture.

    Args:
        width: of the picture in pixels.
        height: likewise.
        num_cells: wanted product of rows and columns; fewer where the picture has fewer pixels.
        max_side: largest number of rows or columns.
    """
    rows = max(1, round((num_cells * height / width) ** 0.5))
    columns = max(1, round(num_cells / rows))
    if columns > max_side or rows > max_side:
        rows, columns = min(rows, max_side), min(columns, max_side)
    return min(rows, height), min(columns, width)


def extract_color_map(image: Image.Image, num_cells: int = NUM_COLOR_CELLS) -> np.ndarray:
    """Average an RGB picture over a coarse grid.

    Args:
        image: RGB picture.
        num_cells: about how many cells; 256 gives 16×16 for a square picture.

    Returns:
        (h, w, 3) uint8 sRGB, each cell the mean of the pixels it covers.
    """
    rows, columns = grid_size(image.width, image.height, num_cells, MAX_COLOR_SIDE)
    return np.asarray(image.resize((columns, rows), Image.Resampling.BOX))
