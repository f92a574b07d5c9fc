"""Image → color map: what the picture looks like from afar (S1's σ_c).

RGB (H, W) ──mean of each cell──▶ (h, w), about 256 cells in the picture's aspect
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from sgc_diffusion.analysis.grid import grid_size

NUM_COLOR_CELLS = 256  # 16×16 for a square picture
MAX_COLOR_SIDE = 64  # cells; what the color coder takes


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
