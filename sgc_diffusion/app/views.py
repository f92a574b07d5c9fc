"""Pieces of HTML and masks that the app shows."""

from __future__ import annotations

import colorsys
from html import escape

import numpy as np
from PIL import Image

from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.payload.grid import enlarge
from sgc_diffusion.synthesis.reduction import reduced_size
from sgc_diffusion.taxonomy import Taxonomy

SHOWN_SIDE = 512  # pixels of maps
CSS = """
.sgc-bar {display: flex; height: 28px; border-radius: 6px; overflow: hidden; margin: 4px 0}
.sgc-bar div {min-width: 2px}
.sgc-keys {display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 0.85em}
.sgc-keys i {display: inline-block; width: 12px; height: 12px; margin-right: 5px; border-radius: 2px}
.sgc-left-out {opacity: 0.25}
"""


def color_name(color: np.ndarray) -> str:
    """Return a color (3,) uint8 as `#rrggbb`."""
    return "#" + bytes(color.tolist()).hex()


def label_regions(payload: SemanticPayload) -> tuple[Image.Image, list[tuple[np.ndarray, str]]]:
    """Return the label map as a picture, and for each label its mask (H, W) float32 and its name with its share."""
    width, height = reduced_size(payload.width, payload.height, SHOWN_SIDE)
    label_map = enlarge(payload.label_map, height, width)
    taxonomy = payload.labels.taxonomy
    masks = [
        ((label_map == taxonomy.names.index(name)).astype(np.float32), f"{name} {share:.0%}")
        for name, share in payload.labels.shares.items()
    ]
    return Image.fromarray(taxonomy.palette[label_map]), masks


def region_colors(payload: SemanticPayload) -> dict[str, str]:
    """Return name with share → color of the labels in `label_regions`."""
    taxonomy = payload.labels.taxonomy
    return {
        f"{name} {share:.0%}": color_name(taxonomy.palette[taxonomy.names.index(name)])
        for name, share in payload.labels.shares.items()
    }


def color_picture(payload: SemanticPayload) -> Image.Image:
    """Return the color map in squares, in the shape of the picture."""
    width, height = reduced_size(payload.width, payload.height, SHOWN_SIDE)
    return Image.fromarray(enlarge(payload.color_map, height, width))


def byte_bar(layer_bytes: dict[str, int], num_layers: int, size: tuple[int, int]) -> str:
    """Return the bytes of a file as a bar in HTML, with what is cut off faint.

    Args:
        layer_bytes: name of each part → its bytes, the header, labels and colors first.
        num_layers: how many optional layers count.
        size: of the picture, pixels.
    """
    parts = [(name, count) for name, count in layer_bytes.items() if count]
    kept = 3 + num_layers
    total = sum(count for _, count in parts[:kept])
    bars, keys = [], []
    for index, (name, count) in enumerate(parts):
        red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(index * 0.618 % 1, 0.5, 0.55))
        color, faint = f"rgb({red},{green},{blue})", "" if index < kept else "sgc-left-out"
        title = escape(f"{name}: {count} bytes")
        bars.append(f'<div class="{faint}" title="{title}" style="background:{color};flex:{count}"></div>')
        keys.append(f'<span class="{faint}"><i style="background:{color}"></i>{title}</span>')
    rate = 8 * total / (size[0] * size[1])
    head = f"<b>{total} bytes</b>, {rate:.4f} bits per pixel"
    return f'{head}<div class="sgc-bar">{"".join(bars)}</div><div class="sgc-keys">{"".join(keys)}</div>'


def legend(taxonomy: Taxonomy) -> str:
    """Return the names of all labels with their colors, in HTML."""
    keys = (
        f'<span><i style="background:{color_name(color)}"></i>{escape(name)}</span>'
        for name, color in zip(taxonomy.names, taxonomy.palette, strict=True)
    )
    return f'<div class="sgc-keys">{"".join(keys)}</div>'
