"""Pictures side by side at about equal bytes, inlined into the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sgc_diffusion.evaluation.coding import decoded_path
from sgc_diffusion.evaluation.report.results import ORIGINAL, CodecResult
from sgc_diffusion.evaluation.report.verdict import has_equal_bytes

MAX_PICTURES = 12
MAX_SIDE = 512  # pixels; larger ones are reduced
WEBP_QUALITY = 95  # for the page alone; nothing is measured on these


@dataclass(frozen=True)
class Panel:
    """One picture of a grid with what stands under it."""

    title: str
    caption: str
    source: str


def picture_grids(
    results: Sequence[CodecResult], field: Sequence[CodecResult], pictures: Path
) -> dict[str, list[Panel]]:
    """Return a row of panels for each picture: the input, then each codec with its bytes.

    Args:
        results: all of the set; codecs that cannot go as low as the field are shown at their floor.
        field: codecs of about equal bytes, or all if no two are.
        pictures: working folder of `measurement`, with `original/<image>.png` and the decoded pictures of each codec.

    Raises:
        ValueError: the folder holds none of the originals.
    """
    floors = [
        result
        for result in results
        if result.floor_share and result not in field and not has_equal_bytes(result, field[0])
    ]
    shown = [*field, *floors]
    images = [name for name in field[0].images if (pictures / ORIGINAL / f"{name}.png").is_file()]
    if not images:
        raise ValueError(
            f"`pictures` must hold original/<image>.png for the pictures of the results, got {pictures} without any; "
            "give the folder that eval/run.py names as that of the decoded pictures"
        )
    return {name: list(_panels(name, shown, pictures)) for name in images[:MAX_PICTURES]}


def _panels(image: str, shown: Sequence[CodecResult], pictures: Path) -> list[Panel]:
    panels = [Panel("Input", "", _data_uri(pictures / ORIGINAL / f"{image}.png"))]
    for result in shown:
        row = next((row for row in result.rows if row["image"] == image), None)
        if row is None:
            continue
        path = decoded_path(pictures / result.name, image, row["seed"])
        if path.is_file():
            floor = ", its floor" if row.get("is_floor") else ""
            panels.append(
                Panel(result.short_title, f"{row['bytes']} bytes, {row['bpp']:.4f} bpp{floor}", _data_uri(path))
            )
    return panels


def _data_uri(path: Path) -> str:
    with Image.open(path) as image:
        reduced = image.convert("RGB")
    reduced.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    reduced.save(stream, "WEBP", quality=WEBP_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
