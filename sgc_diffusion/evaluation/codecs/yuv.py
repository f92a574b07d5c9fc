"""RGB ↔ 10-bit 4:2:0 in BT.709, limited range: what video codecs take.

RGB 8 bit ──BT.709──▶ Y′CbCr float ──Lanczos, chroma halved──▶ ──round──▶ Y 64 … 940, Cb and Cr 64 … 960
          ◀──BT.709── Y′CbCr float ◀──Lanczos, chroma doubled─ ◀──────── planes

Matrix and ranges: Rec. ITU-R BT.709-6, items 3.2 to 3.5 and 4 (https://www.itu.int/rec/R-REC-BT.709). Chroma sits in
the middle of its 2×2 pixels, in both directions. Nothing is rounded in between: the round trip of a photograph loses
what halved chroma loses. The streams do not say which conversion they hold, since that takes bytes: both ends know it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

RED, BLUE = 0.2126, 0.0722  # weights in the luma, BT.709 item 3.2
GREEN = 1 - RED - BLUE
BLACK, LUMA_RANGE, CHROMA_RANGE = 16, 219, 224  # at 8 bits; four times that at 10
STEPS = 4  # 10-bit values in an 8-bit one
LANCZOS = Image.Resampling.LANCZOS


def rgb_to_planes(image: Image.Image) -> np.ndarray:
    """Convert a picture to video planes; odd sizes are padded to even ones by repeating the last row and column.

    Args:
        image: RGB, (H, W).

    Returns:
        (h · 3/2, w) uint16, 0 … 1023, h and w even: Y (h, w), then Cb (h/2, w/2), then Cr, one after another.
    """
    array = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    array = np.pad(array, ((0, array.shape[0] % 2), (0, array.shape[1] % 2), (0, 0)), mode="edge")
    red, green, blue = np.moveaxis(array, -1, 0)
    luma = RED * red + GREEN * green + BLUE * blue
    chroma = (blue - luma) / (2 * (1 - BLUE)), (red - luma) / (2 * (1 - RED))
    height, width = luma.shape
    half = [np.asarray(Image.fromarray(plane).resize((width // 2, height // 2), LANCZOS)) for plane in chroma]
    values = [luma * LUMA_RANGE + BLACK, *(plane * CHROMA_RANGE + 128 for plane in half)]
    flat = np.concatenate([plane.ravel() for plane in values])
    return np.clip(np.rint(flat * STEPS), 0, 1023).astype(np.uint16).reshape(height * 3 // 2, width)


def planes_to_rgb(planes: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Convert video planes to a picture.

    Args:
        planes: as `rgb_to_planes` returns them.
        size: width and height of the picture, to which padding is cropped.
    """
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    flat = planes.ravel().astype(np.float32) / STEPS
    luma, blue_difference, red_difference = np.split(flat, [height * width, height * width * 5 // 4])
    luma = (luma.reshape(height, width) - BLACK) / LUMA_RANGE
    half = [(part.reshape(height // 2, width // 2) - 128) / CHROMA_RANGE for part in (blue_difference, red_difference)]
    cb, cr = (np.asarray(Image.fromarray(plane).resize((width, height), LANCZOS)) for plane in half)
    red, blue = luma + 2 * (1 - RED) * cr, luma + 2 * (1 - BLUE) * cb
    green = (luma - RED * red - BLUE * blue) / GREEN
    array = np.clip(np.rint(np.stack([red, green, blue], axis=-1) * 255), 0, 255).astype(np.uint8)
    return Image.fromarray(array[: size[1], : size[0]])
