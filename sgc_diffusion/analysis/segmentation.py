"""Image → label map: what each part of the picture is (S1's σ_s).

RGB ──resize──▶ segmenter ──▶ logits ──argmax──▶ fine labels ──majority of each cell──▶ (h, w)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from sgc_diffusion.analysis.color_map import grid_size

NUM_LABEL_CELLS = 1024  # 32×32 for a square picture: 16 pixels a cell at 512×512
MAX_LABEL_SIDE = 1024
VOTES_PER_SIDE = 4  # fine labels a cell, along each side, that the majority is taken of


@torch.no_grad()
def segment_images(
    segmenter: nn.Module, images: Sequence[Image.Image], *, short_side: int, num_cells: int = NUM_LABEL_CELLS
) -> list[np.ndarray]:
    """Segment pictures and reduce each map to a coarse grid by majority.

    Args:
        segmenter: transformers model whose output has `logits` (B, K, h, w); fed with RGB scaled to [−1, 1].
        images: RGB pictures of any sizes.
        short_side: of the segmenter's input in pixels; the long side follows, up to four times as long.
        num_cells: about how many cells a map has.

    Returns:
        One (h, w) uint8 map of the segmenter's class ids per picture.
    """
    return [_segment_one(segmenter, image, short_side, num_cells) for image in images]


def _segment_one(segmenter: nn.Module, image: Image.Image, short_side: int, num_cells: int) -> np.ndarray:
    rows, columns = grid_size(image.width, image.height, num_cells, MAX_LABEL_SIDE)
    scale = short_side / min(image.size)
    size = [min(4 * short_side, max(32, 32 * round(side * scale / 32))) for side in image.size]
    resized = np.array(image.resize((size[0], size[1]), Image.Resampling.BILINEAR, reducing_gap=2.0))
    parameter = next(segmenter.parameters())
    pixels = torch.from_numpy(resized).permute(2, 0, 1)[None].to(parameter.device)
    logits = segmenter(pixels.to(parameter.dtype) / 127.5 - 1).logits.float()
    fine_size = (rows * VOTES_PER_SIDE, columns * VOTES_PER_SIDE)
    fine = functional.interpolate(logits, fine_size, mode="bilinear", align_corners=False).argmax(dim=1)[0]
    return reduce_by_majority(fine.cpu().numpy().astype(np.uint8), rows, columns)


def reduce_by_majority(label_map: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Give each cell of a coarse grid the label that most of its pixels have.

    Args:
        label_map: (H, W) uint8 ids.
        rows: of the grid, at most H.
        columns: of the grid, at most W.

    Returns:
        (rows, columns) uint8; of equally frequent labels the smallest id.
    """
    height, width = label_map.shape
    if rows > height or columns > width:
        raise ValueError(
            f"`label_map` {label_map.shape} is smaller than the grid ({rows}, {columns}); ask for fewer cells"
        )
    row_of = np.arange(height) * rows // height
    column_of = np.arange(width) * columns // width
    cell_of = row_of[:, None] * columns + column_of
    num_classes = int(label_map.max()) + 1
    votes = np.bincount((cell_of * num_classes + label_map).ravel(), minlength=rows * columns * num_classes)
    return votes.reshape(rows, columns, num_classes).argmax(axis=2).astype(np.uint8)
