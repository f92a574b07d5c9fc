"""What files of random size show of a photograph without a network: what generators learn to draw from.

photograph ──means of cells──▶ color map ──quantized──▶ smooth base ──┬──▶ likeness
    └──exact detail, cut at a random level────────────────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from sgc_diffusion.payload.color_transform import dequantize, quantize
from sgc_diffusion.payload.detail import LOSSLESS, coarsened, exact_state, likeness
from sgc_diffusion.payload.smooth_base import smooth_base

MAX_COLOR_SIDE = 64  # cells


@dataclass(frozen=True)
class FileChoice:
    """How much a file knows of its picture.

    Attributes:
        cell_side: of the color map, pixels.
        color_quality: index of the color coder's quantizer.
        level: its last detail level; None without any.
    """

    cell_side: float
    color_quality: int
    level: int | None

    @property
    def known(self) -> float:
        """Share of the detail levels that the file has, 0 … 1."""
        return 0.0 if self.level is None else (self.level + 1) / (LOSSLESS + 1)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return rows and columns of the color map of a picture of so many pixels."""
        rows, columns = (min(MAX_COLOR_SIDE, max(1, round(extent / self.cell_side))) for extent in (height, width))
        return rows, columns


def random_file(recipe: dict, rng: np.random.Generator) -> FileChoice:
    """Return a file of random size.

    Args:
        recipe: `cell_sides` and their `cell_weights`; the lowest and the highest of `color_qualities`; the
            `detail_share` of files with detail levels, these `detail_levels` and their `detail_weights`.
        rng: of the choices.
    """
    side = float(rng.choice(recipe["cell_sides"], p=recipe["cell_weights"]))
    quality = int(rng.integers(recipe["color_qualities"][0], recipe["color_qualities"][1] + 1))
    level = int(rng.choice(recipe["detail_levels"], p=recipe["detail_weights"]))
    return FileChoice(side, quality, level if rng.random() < recipe["detail_share"] else None)


def likeness_of(photo: np.ndarray, file: FileChoice) -> np.ndarray:
    """Return what a file shows of a photograph without a network, both (H, W, 3) uint8."""
    height, width = photo.shape[:2]
    rows, columns = file.grid(height, width)
    small = np.asarray(Image.fromarray(photo).resize((columns, rows), Image.Resampling.BOX))
    colors = dequantize(quantize(small, file.color_quality), file.color_quality)
    if file.level is None:
        return smooth_base(colors, height, width)
    return likeness(coarsened(exact_state(photo, colors), file.level))


@cache
def enlarging(num_cells: int, side: int) -> np.ndarray:
    """Return the weights of Catmull and Rom, (side, num_cells) float32, that `payload.smooth_base` has as integers."""
    cell, f = np.divmod((np.arange(side) + 0.5) * num_cells / side - 0.5, 1)
    weights = (-(f**3) + 2 * f**2 - f, 3 * f**3 - 5 * f**2 + 2, -3 * f**3 + 4 * f**2 + f, f**3 - f**2)
    matrix = np.zeros((side, num_cells), dtype=np.float32)
    for offset, weight in enumerate(weights):
        places = np.clip(cell.astype(np.int64) + offset - 1, 0, num_cells - 1)
        np.add.at(matrix, (np.arange(side), places), weight / 2)
    return matrix
