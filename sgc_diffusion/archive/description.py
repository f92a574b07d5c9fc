"""A file → its row of a shard: what search asks about, counted from labels and colors, never drawn.

.sgc bytes, payload ──describe──▶ row        source bytes ──read_exif──▶ time and position
"""

from __future__ import annotations

import io
import math
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from sgc_diffusion import bitstream
from sgc_diffusion.archive.schema import area_column
from sgc_diffusion.payload import DetailLevel, RegionsLayer, SemanticPayload
from sgc_diffusion.payload.detail import likeness, nothing_known
from sgc_diffusion.taxonomy import load_taxonomy

LAYOUT_SIDE = 4  # cells of the layout, and of its colors
COLOR_STEP = 8  # of the colors of the layout
HASH_ROWS, HASH_COLUMNS = 8, 9
LUMA = np.array([299, 587, 114])  # ITU-R BT.601, in thousandths


def describe(data: bytes, payload: SemanticPayload, picture: np.ndarray | None = None) -> dict[str, Any]:
    """Return the columns of a shard that follow from a file.

    Args:
        data: the bytes of the `.sgc` file.
        payload: that they hold.
        picture: (H, W, 3) uint8, what was encoded, to measure what each layer brings; None to leave that out.
    """
    label_map, color_map, regions = payload.label_map, payload.color_map, payload.layer(RegionsLayer)
    counts = np.bincount(label_map.ravel(), minlength=payload.labels.taxonomy.num_classes)
    red, green, blue = (color_map.reshape(-1, 3).mean(axis=0) + 0.5).astype(int).tolist()
    return {
        "width": payload.width,
        "height": payload.height,
        "sgc": data,
        "num_bytes": len(data),
        "profile": payload.recipe.profile,
        "taxonomy": payload.labels.taxonomy_name,
        "weights_hash": payload.recipe.weights_hash,
        "label_cells": label_map.size,
        **dict(zip(area_columns(payload.labels.taxonomy_name), counts.tolist(), strict=True)),
        "red": red,
        "green": green,
        "blue": blue,
        "color_hash": color_hash(color_map),
        "layout": label_layout(label_map).tobytes(),
        "colors": color_layout(color_map).tobytes(),
        "regions": None if regions is None else region_layout(regions, payload.height, payload.width).tobytes(),
        "layers": describe_layers(data, payload, picture),
    }


@cache
def area_columns(taxonomy_name: str) -> tuple[str, ...]:
    """Return the columns of the classes of a taxonomy, in id order."""
    return tuple(area_column(name) for name in load_taxonomy(taxonomy_name).names)


def label_layout(label_map: np.ndarray) -> np.ndarray:
    """Return (4, 4) uint8: the class that most of each sixteenth of a label map (h, w) shows."""
    rows, columns = (np.linspace(0, side, LAYOUT_SIDE + 1).astype(int) for side in label_map.shape)
    layout = np.empty((LAYOUT_SIDE, LAYOUT_SIDE), np.uint8)
    for row in range(LAYOUT_SIDE):
        for column in range(LAYOUT_SIDE):
            cells = label_map[
                rows[row] : max(rows[row] + 1, rows[row + 1]),
                columns[column] : max(columns[column] + 1, columns[column + 1]),
            ]
            layout[row, column] = np.bincount(cells.ravel()).argmax()
    return layout


def color_layout(color_map: np.ndarray) -> np.ndarray:
    """Return (4, 4, 3) uint8: means of a color map (h, w, 3) uint8, rounded to multiples of 8."""
    means = _box_means(color_map, LAYOUT_SIDE, LAYOUT_SIDE)
    return np.minimum((means + COLOR_STEP / 2) // COLOR_STEP * COLOR_STEP, 255).astype(np.uint8)


def region_layout(regions: RegionsLayer, height: int, width: int) -> np.ndarray:
    """Return (4, 4) uint8: how much of each sixteenth of a picture its regions cover, 255 is all."""
    inside = regions.pixels(height, width)[..., None] * 255.0
    return _box_means(inside, LAYOUT_SIDE, LAYOUT_SIDE)[..., 0].round().astype(np.uint8)


def color_hash(color_map: np.ndarray) -> int:
    """Return 64 bits that hardly change with size, brightness or compression of a picture.

    Args:
        color_map: (h, w, 3) uint8 sRGB.
    """
    luma = _box_means(color_map, HASH_ROWS, HASH_COLUMNS) @ LUMA
    bits = (luma[:, :-1] < luma[:, 1:]).ravel()
    return int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")


def _box_means(color_map: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return (rows, columns, C) float64 means of a map (h, w, C), by the share of each cell in each box."""
    down, across = _shares(color_map.shape[0], rows), _shares(color_map.shape[1], columns)
    return np.einsum("ra,abk,cb->rck", down, color_map.astype(np.float64), across).round(6)


@cache
def _shares(num_cells: int, num_boxes: int) -> np.ndarray:
    """Return (boxes, cells) float64: how much of each box each cell is, of sum 1."""
    edges, cells = np.arange(num_boxes + 1) * num_cells / num_boxes, np.arange(num_cells)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    shares = overlap.clip(0)
    return shares / shares.sum(axis=1, keepdims=True)


def describe_layers(data: bytes, payload: SemanticPayload, picture: np.ndarray | None) -> list[dict[str, Any]]:
    """Return name, bytes and remaining error of each layer; see `schema`.

    Args:
        data: the bytes of the file.
        payload: that they hold.
        picture: (H, W, 3) uint8, what was encoded; None leaves the errors out, as for a file without detail.
    """
    sizes = bitstream.inspect(data).layer_bytes
    errors: list[float | None] = [None] * len(sizes)
    if picture is not None and any(isinstance(layer, DetailLevel) for layer in payload.layers):
        state = nothing_known(payload.height, payload.width, payload.color_map)
        error = mean_square_error(likeness(state), picture)
        errors = [None, error]
        for layer in payload.layers:
            if isinstance(layer, DetailLevel):
                error = mean_square_error(likeness(layer.state), picture)
            errors.append(error)
    return [
        {"name": name, "num_bytes": size, "mse": error}
        for (name, size), error in zip(sizes.items(), errors, strict=True)
    ]


def mean_square_error(decoded: np.ndarray, picture: np.ndarray) -> float:
    """Return the mean square error of two (H, W, 3) uint8 pictures."""
    difference = decoded.astype(np.int32) - picture
    return float(np.square(difference).sum(dtype=np.int64) / difference.size)


def read_exif(data: bytes) -> dict[str, Any]:
    """Return `captured_at`, `latitude` and `longitude` of a picture file; None where it does not say them.

    Args:
        data: the bytes of the file.
    """
    empty = {"captured_at": None, "latitude": None, "longitude": None}
    try:
        with Image.open(io.BytesIO(data)) as image:
            exif = image.getexif()
            time = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal) or exif.get(
                ExifTags.Base.DateTime
            )
            place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    except Exception:  # damaged EXIF makes Pillow raise anything
        return empty
    latitude = _degrees(place.get(ExifTags.GPS.GPSLatitude), place.get(ExifTags.GPS.GPSLatitudeRef), "S", 90)
    longitude = _degrees(place.get(ExifTags.GPS.GPSLongitude), place.get(ExifTags.GPS.GPSLongitudeRef), "W", 180)
    if latitude is None or longitude is None:
        latitude = longitude = None
    return {"captured_at": _time(time), "latitude": latitude, "longitude": longitude}


def _time(text: Any) -> datetime | None:
    try:
        return datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def _degrees(parts: Any, reference: Any, negative: str, limit: float) -> float | None:
    """Return degrees of degrees, minutes and seconds; None if they are none."""
    try:
        degrees, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not (math.isfinite(value) and abs(value) <= limit):
        return None
    return -value if str(reference).strip("\0 ").upper() == negative else value
