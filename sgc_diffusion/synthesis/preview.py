"""Payload → a picture in milliseconds, with NumPy and Pillow alone: the colors, enlarged along the edges of the labels.

    label map ──smooth memberships──▶ what each pixel is ─┐
    color map ──shared out among the labels of a cell─────┴─▶ preview

A cell of the color map that holds sky and meadow has a color between the two. Here each label gets the mean of the
cells around, weighted by how much of them is of that label, and what the cells' means then lack is added the same way.
So the sky ends at the ridge, not a cell further. Where a file holds detail, its likeness is nearer, and taken instead,
unless a small preview of a picture is wanted that is too large to be made whole.

Floats, not part of the file format: two machines agree up to rounding.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.payload.grid import cell_indices
from sgc_diffusion.synthesis.dressing import dress
from sgc_diffusion.synthesis.likeness import MAX_PIXELS, highest_level
from sgc_diffusion.synthesis.likeness_image import likeness_image
from sgc_diffusion.synthesis.reduction import reduced_size

WORKING_SIDE = 256  # pixels of the longer side at which labels and colors are joined; enlarged from there
MAX_LABELS = 24  # with an area of their own; rarer ones share one, so that no file costs more than milliseconds
SHARPNESS = 6  # power of the memberships: an edge is then about a fifth of a label cell wide
PURITY = 2  # power of a label's share of a color cell: nearly pure cells tell its color best
CORRECTIONS = 2  # how often what the cells' means lack is added


def preview(
    payload: SemanticPayload,
    num_bytes: int | None = None,
    *,
    max_side: int | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Image.Image:
    """Return what a file looks like without any network, at once.

    Args:
        payload: with or without optional layers.
        num_bytes: size of the file that it was read from, None if there was none.
        max_side: make the longer side this long if it is longer, pixels; None for the picture's own size.
        max_pixels: refuse to make a picture with more pixels, whatever a file says; None for no limit.

    Returns:
        RGB picture of the payload's size, or reduced to `max_side`, RGBA if it has alpha; `info["Description"]` says
        what it is.

    Raises:
        ValueError: a `max_side` below 1, or too many pixels in the preview.

    Example:
        >>> preview(payload, max_side=64).size
        (64, 48)
    """
    if max_side is not None and max_side < 1:
        raise ValueError(f"`max_side` must be at least 1 pixel, got {max_side}")
    width, height = reduced_size(payload.width, payload.height, max_side)
    if max_pixels is not None and width * height > max_pixels:
        raise ValueError(
            f"`payload` declares {width}×{height} = {width * height} pixels, more than the {max_pixels} that are made "
            "unasked; give a `max_side`, or a larger `max_pixels` if it is to be trusted"
        )
    is_in_reach = max_pixels is None or payload.width * payload.height <= max_pixels
    if is_in_reach and highest_level(payload) is not None:
        image = likeness_image(payload, num_bytes, max_pixels=max_pixels)
        description = image.info["Description"] if image.size == (width, height) else describe_preview(num_bytes)
    else:
        pixels = _join(payload.label_map, payload.color_map, *_working_size(payload))
        image = Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
        image = dress(image.resize((width, height), Image.Resampling.BICUBIC), payload)
        description = describe_preview(num_bytes)
    if image.size != (width, height):
        info = image.info
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        image.info |= info
    image.info["Description"] = description
    return image


def describe_preview(num_bytes: int | None) -> str:
    """Return the sentence that a preview carries."""
    amount = f"{num_bytes} bytes" if num_bytes is not None else "a semantic payload"
    return f"Preview by sgc_diffusion of {amount}. An approximation; no network has added anything."


def _working_size(payload: SemanticPayload) -> tuple[int, int]:
    """Return (height, width) at which labels and colors are joined: with a pixel for each cell of both grids."""
    width, height = reduced_size(payload.width, payload.height, WORKING_SIDE)
    grids = payload.label_map.shape, payload.color_map.shape
    return max(height, *(grid[0] for grid in grids)), max(width, *(grid[1] for grid in grids))


def _join(label_map: np.ndarray, color_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the colors enlarged along the labels' edges.

    Args:
        label_map: (h, w) uint8 class ids.
        color_map: (a, b, 3) uint8 sRGB.
        height: H, at least h and a.
        width: W, at least w and b.

    Returns:
        (H, W, 3) float32, about 0 … 255; its mean over a cell of the color map is nearly that cell's color.
    """
    members = _memberships(label_map, height, width)
    rows, columns = _cell_means(height, color_map.shape[0]), _cell_means(width, color_map.shape[1])
    shares = (rows @ members @ columns.T).clip(1e-6) ** PURITY  # (K, a, b)
    enlarge_rows, enlarge_columns = _linear(color_map.shape[0], height), _linear(color_map.shape[1], width).T
    weights = members / (enlarge_rows @ shares @ enlarge_columns)  # (K, H, W)
    wanted = np.moveaxis(color_map.astype(np.float32), -1, 0)  # (3, a, b)
    picture = np.zeros((3, height, width), np.float32)
    for _ in range(1 + CORRECTIONS):
        lacking = wanted - rows @ picture @ columns.T
        for share, weight in zip(shares, weights, strict=True):
            picture += weight * (enlarge_rows @ (share * lacking) @ enlarge_columns)
    return np.moveaxis(picture, 0, -1)


def _memberships(label_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return (K, H, W) float32: how much each pixel is of each label, of sum 1; edges are curves, not steps."""
    labels, counts = np.unique(label_map, return_counts=True)
    common = labels[np.argsort(-counts, kind="stable")][:MAX_LABELS]
    planes = [label_map == label for label in common]
    if len(labels) > MAX_LABELS:
        planes.append(~np.isin(label_map, common))
    rows, columns = _cubic(label_map.shape[0], height), _cubic(label_map.shape[1], width).T
    members = (rows @ np.stack(planes).astype(np.float32) @ columns) ** SHARPNESS
    return members / members.sum(axis=0)


def _cubic(num_cells: int, num_pixels: int) -> np.ndarray:
    """Return (pixels, cells) float32: the weights of a cubic B-spline, which rounds the corners of cells off."""
    place = (np.arange(num_pixels) + 0.5) * num_cells / num_pixels - 0.5
    far = np.abs(place[:, None] - np.arange(-1, num_cells + 1))  # with a cell beyond each border, like the last inside
    weights = np.where(far < 1, 2 / 3 - far**2 + far**3 / 2, np.maximum(0, 2 - far) ** 3 / 6)
    weights[:, 1] += weights[:, 0]
    weights[:, -2] += weights[:, -1]
    return weights[:, 1:-1].astype(np.float32)


def _linear(num_cells: int, num_pixels: int) -> np.ndarray:
    """Return (pixels, cells) float32: the weights of linear interpolation between the centers of cells."""
    place = ((np.arange(num_pixels) + 0.5) * num_cells / num_pixels - 0.5).clip(0, num_cells - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(num_cells))).astype(np.float32)


def _cell_means(num_pixels: int, num_cells: int) -> np.ndarray:
    """Return (cells, pixels) float32, which takes pixels to the means of the cells that they lie in."""
    inside = cell_indices(num_pixels, num_cells) == np.arange(num_cells)[:, None]
    return (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)
