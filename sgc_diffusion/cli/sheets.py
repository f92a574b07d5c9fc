"""Pictures where people look rather than read: panels with captions, and what a file holds; with Pillow alone."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from sgc_diffusion.payload import ImportanceLayer, RegionsLayer, SemanticPayload
from sgc_diffusion.synthesis.preview import preview
from sgc_diffusion.synthesis.reduction import reduced_size

PANEL_SIDE = 384  # pixels of the longer side
GAP, LINE, TEXT_SIZE, COLUMNS = 12, 20, 15, 4
PAPER, INK, FAINT = (255, 255, 255), (30, 30, 30), (120, 120, 120)
EDGE = (255, 40, 40)  # of regions


@dataclass(frozen=True)
class Panel:
    """A picture of a sheet.

    Attributes:
        image: of any size; shown with a longer side of `PANEL_SIDE`.
        lines: below it, the first in black.
        is_grid: enlarge it in squares, as a map of cells.
    """

    image: Image.Image
    lines: Sequence[str]
    is_grid: bool = False


def contact_sheet(panels: Sequence[Panel]) -> Image.Image:
    """Return panels in rows of `COLUMNS`, each with its lines below it, RGB."""
    shown = [_fit(panel) for panel in panels]
    cell = max(image.width for image in shown), max(image.height for image in shown)
    num_columns, num_rows = min(COLUMNS, len(panels)), -(-len(panels) // COLUMNS)
    row_height = cell[1] + LINE * max(len(panel.lines) for panel in panels) + 2 * GAP
    sheet = Image.new("RGB", (GAP + num_columns * (cell[0] + GAP), GAP + num_rows * row_height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (panel, image) in enumerate(zip(panels, shown, strict=True)):
        left, top = GAP + index % COLUMNS * (cell[0] + GAP), GAP + index // COLUMNS * row_height
        sheet.paste(image, (left, top))
        for number, line in enumerate(panel.lines):
            place = (left, top + cell[1] + GAP // 2 + number * LINE)
            draw.text(place, _cut(draw, line, cell[0]), FAINT if number else INK, font_size=TEXT_SIZE)
    return sheet


def file_sheet(payload: SemanticPayload, layer_bytes: Mapping[str, int]) -> Image.Image:
    """Return what a file holds: its label map with a legend, its color map, its preview, and its bytes by layer.

    Args:
        payload: what the file says.
        layer_bytes: name of each part of the file → its bytes.
    """
    num_bytes = sum(layer_bytes.values())
    labels = Image.fromarray(payload.labels.taxonomy.palette[payload.label_map])
    height, width = payload.label_map.shape
    rows, columns = payload.color_map.shape[:2]
    size = payload.width, payload.height
    panels = [
        Panel(_in_shape(labels, size), [f"labels, {width} x {height} of {payload.labels.taxonomy_name}"], True),
        Panel(_in_shape(Image.fromarray(payload.color_map), size), [f"colors, {columns} x {rows}"], True),
        Panel(preview(payload, max_side=PANEL_SIDE), [f"preview; the picture has {size[0]} x {size[1]}"]),
    ]
    if (steering := steering_panel(payload)) is not None:
        panels.append(steering)
    parts = [contact_sheet(panels), _legend(payload), _bar(layer_bytes, num_bytes)]
    sheet = Image.new("RGB", (max(part.width for part in parts), sum(part.height for part in parts) + GAP), PAPER)
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    return sheet


def steering_panel(payload: SemanticPayload) -> Panel | None:
    """Return where the bits of a file go: importance from dark to light over the preview, regions outlined; or None."""
    importance, regions = payload.layer(ImportanceLayer), payload.layer(RegionsLayer)
    if importance is None and regions is None:
        return None
    image = preview(payload, max_side=PANEL_SIDE)
    lines = []
    if importance is not None:
        heat = Image.fromarray((importance.levels * 85).astype(np.uint8)).resize(image.size, Image.Resampling.NEAREST)
        image = Image.blend(image.convert("RGB"), heat.convert("RGB"), 0.6)
        lines.append(f"importance, {' x '.join(map(str, importance.levels.shape[::-1]))}")
    if regions is not None:
        inside = regions.pixels(image.height, image.width)
        edge = inside & ~_eroded(inside)
        pixels = np.array(image.convert("RGB"))
        pixels[edge] = EDGE
        image = Image.fromarray(pixels)
        lines.append(f"{len(regions.regions)} regions")
    return Panel(image, lines)


def _eroded(mask: np.ndarray) -> np.ndarray:
    """Return the cells of a mask (h, w) bool whose four neighbors two cells away are in it too."""
    padded = np.pad(mask, 2)
    return padded[:-4, 2:-2] & padded[4:, 2:-2] & padded[2:-2, :-4] & padded[2:-2, 4:]


def _fit(panel: Panel) -> Image.Image:
    """Return a panel's picture at its size on the sheet."""
    image = panel.image.convert("RGB")
    longer = max(image.size)
    size = max(1, round(image.width * PANEL_SIDE / longer)), max(1, round(image.height * PANEL_SIDE / longer))
    return image.resize(size, Image.Resampling.NEAREST if panel.is_grid else Image.Resampling.LANCZOS)


def _in_shape(grid: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a map of cells in the shape of its picture."""
    longer = max(size)
    shape = reduced_size(*size, PANEL_SIDE) if longer > PANEL_SIDE else [side * PANEL_SIDE // longer for side in size]
    return grid.resize((max(1, shape[0]), max(1, shape[1])), Image.Resampling.NEAREST)


def _legend(payload: SemanticPayload) -> Image.Image:
    """Return a square of color, the name and the share of each label that is there, in three columns."""
    taxonomy, shares = payload.labels.taxonomy, payload.labels.shares
    width, num_columns = 3 * (PANEL_SIDE + GAP) + GAP, 3
    image = Image.new("RGB", (width, LINE * -(-len(shares) // num_columns) + GAP), PAPER)
    draw = ImageDraw.Draw(image)
    for index, (name, share) in enumerate(shares.items()):
        left, top = GAP + index % num_columns * (PANEL_SIDE + GAP), index // num_columns * LINE
        color = tuple(int(part) for part in taxonomy.palette[taxonomy.names.index(name)])
        draw.rectangle((left, top + 3, left + 13, top + 16), fill=color)
        draw.text((left + 20, top), f"{name}  {share:.1%}", INK, font_size=TEXT_SIZE)
    return image


def _bar(layer_bytes: Mapping[str, int], num_bytes: int) -> Image.Image:
    """Return the bytes of a file as a bar, a part for each layer, with the layers' names below it."""
    width = 3 * (PANEL_SIDE + GAP) - GAP
    names = [name for name, size in layer_bytes.items() if size]
    image = Image.new("RGB", (width + 2 * GAP, 3 * LINE + LINE * -(-len(names) // 3) + GAP), PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((GAP, 0), f"{num_bytes} bytes", INK, font_size=TEXT_SIZE)
    edges = np.cumsum([0, *(layer_bytes[name] for name in names)]) * width // num_bytes
    for index, name in enumerate(names):
        color = _bar_color(index)
        start, end = GAP + int(edges[index]), GAP + int(edges[index + 1])
        draw.rectangle((start, LINE, max(end - 1, start), 2 * LINE), fill=color)
        left, top = GAP + index % 3 * (PANEL_SIDE + GAP), 2 * LINE + GAP + index // 3 * LINE
        draw.rectangle((left, top + 3, left + 13, top + 16), fill=color)
        draw.text((left + 20, top), f"{name}  {layer_bytes[name]} bytes", INK, font_size=TEXT_SIZE)
    return image


def _bar_color(index: int) -> tuple[int, int, int]:
    """Return the color of a part of the bar: hues a golden section apart, so that neighbors differ."""
    red, green, blue = colorsys.hls_to_rgb(index * 0.618 % 1, 0.45 + 0.1 * (index % 2), 0.55)
    return round(255 * red), round(255 * green), round(255 * blue)


def _cut(draw: ImageDraw.ImageDraw, line: str, width: int) -> str:
    """Return a line that fits into a width, its end left out if it must be."""
    if draw.textlength(line, font_size=TEXT_SIZE) <= width:
        return line
    while line and draw.textlength(f"{line}...", font_size=TEXT_SIZE) > width:
        line = line[:-1]
    return f"{line}..."
