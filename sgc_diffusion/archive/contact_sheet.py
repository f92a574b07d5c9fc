"""Files → one picture of many small ones, each a preview that no network has drawn, or pictures that were drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from sgc_diffusion import bitstream
from sgc_diffusion.synthesis.preview import preview

SIDE, GAP, CAPTION = 160, 8, 14  # pixels
MAX_CAPTION = 26  # characters below a picture


def contact_sheet(files: Sequence[bytes], captions: Sequence[str]) -> Image.Image:
    """Return a sheet of previews.

    Args:
        files: contents of `.sgc` files.
        captions: what to write below each.

    Raises:
        BitstreamError: a file is damaged.
    """
    previews = [preview(bitstream.decode(data), len(data), max_side=SIDE) for data in files]
    return arrange(previews, captions)


def arrange(pictures: Sequence[Image.Image], captions: Sequence[str]) -> Image.Image:
    """Return pictures on a sheet, in rows; larger ones are reduced.

    Args:
        pictures: of any sizes.
        captions: what to write below each.
    """
    columns = max(1, math.ceil(math.sqrt(len(pictures))))
    rows = max(1, math.ceil(len(pictures) / columns))
    across, down = SIDE + GAP, SIDE + CAPTION + GAP
    sheet = Image.new("RGB", (columns * across + GAP, rows * down + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = GAP + place % columns * across, GAP + place // columns * down
        small = picture.copy()
        small.thumbnail((SIDE, SIDE))
        sheet.paste(small, (left + (SIDE - small.width) // 2, top + (SIDE - small.height) // 2))
        text = caption if len(caption) <= MAX_CAPTION else f"…{caption[1 - MAX_CAPTION :]}"
        pen.text((left, top + SIDE + 1), text, "black")
    return sheet
