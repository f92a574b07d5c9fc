"""Work on pictures larger than memory or training allow: in overlapping tiles, blended without a seam.

┌─────┬─┬─────┐      each tile is worked on alone; where tiles overlap their results are averaged with
│  1  │ │  2  │      weights that fall linearly to each tile's edge. Noise predictions are blended at every step
└─────┴─┴─────┘      (Bar-Tal et al., https://arxiv.org/abs/2302.08113), so neighbors agree before they diverge.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

OVERLAP = 0.5  # of a tile's side, shared with the next tile when denoising
STAGE_OVERLAP = 0.25  # of a tile of the first stage, whose output depends less on what is far away

Window = tuple[slice, slice]  # rows and columns


def tile_windows(height: int, width: int, tile_side: int, overlap: float) -> list[Window]:
    """Return the windows of tiles that cover a picture.

    Args:
        height: of the picture, in latents or pixels.
        width: of the picture, in the same.
        tile_side: of the tiles, at most; a picture no larger than a tile has one window.
        overlap: at least this part of a tile's side is shared with the next.

    Returns:
        (rows, columns) of each tile, all of one size, from top left to bottom right.
    """
    rows, columns = (_starts(side, tile_side, overlap) for side in (height, width))
    tall, wide = min(tile_side, height), min(tile_side, width)
    return [(slice(y, y + tall), slice(x, x + wide)) for y in rows for x in columns]


def _starts(side: int, tile_side: int, overlap: float) -> list[int]:
    if side <= tile_side:
        return [0]
    stride = max(1, int(tile_side * (1 - overlap)))
    count = 1 + -(-(side - tile_side) // stride)
    return [round(index * (side - tile_side) / (count - 1)) for index in range(count)]


def blend_tiles(
    compute: Callable[[Window], torch.Tensor], height: int, width: int, tile_side: int, overlap: float, scale: float = 1
) -> torch.Tensor:
    """Compute a picture tile by tile and blend the tiles.

    Args:
        compute: window of the input → result for it, (B, C, rows · scale, columns · scale).
        height: of the input, in its own units.
        width: of the input, in the same.
        tile_side: of the tiles, in the input's units.
        overlap: see `tile_windows`.
        scale: how much larger the output is than the input, such as 8 for a decoder and 1/8 for an encoder.

    Returns:
        (B, C, height · scale, width · scale).
    """
    windows = tile_windows(height, width, tile_side, overlap)
    if len(windows) == 1:
        return compute(windows[0])
    total = weights = torch.zeros(())
    for index, (rows, columns) in enumerate(windows):
        tile = compute((rows, columns))
        if index == 0:
            total = tile.new_zeros((*tile.shape[:2], round(height * scale), round(width * scale)), dtype=torch.float32)
            weights = torch.zeros_like(total[:1, :1])
        ramp = torch.outer(*(_ramp(side).to(total.device) for side in tile.shape[-2:]))
        top, left = round(rows.start * scale), round(columns.start * scale)
        place = (..., slice(top, top + tile.shape[-2]), slice(left, left + tile.shape[-1]))
        total[place] += tile.float() * ramp
        weights[place] += ramp
    return (total / weights).to(tile.dtype)


def _ramp(side: int) -> torch.Tensor:
    """Return weights (side,) that fall linearly from the middle to both edges, never to zero."""
    position = torch.arange(side) + 0.5
    return torch.minimum(position, side - position) / (side / 2)


def seam_energy(image: torch.Tensor, seams: list[int], dim: int) -> float:
    """Return the mean squared gradient across seams over that elsewhere: 1 is invisible.

    Args:
        image: (…, H, W).
        seams: indices n such that a seam lies between n − 1 and n along `dim`.
        dim: −2 for horizontal seams, −1 for vertical ones.
    """
    gradient = image.float().diff(dim=dim).square().transpose(dim, -1)
    at_seam = torch.zeros(gradient.shape[-1], dtype=torch.bool)
    at_seam[[seam - 1 for seam in seams]] = True
    return float(gradient[..., at_seam].mean() / gradient[..., ~at_seam].mean())
