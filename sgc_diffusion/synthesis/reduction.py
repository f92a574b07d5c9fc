"""A smaller picture than the file's: drawn small at once where its labels and colors are all there is to it.

labels, colors ──payload of the smaller size──▶ drawn small
detail, latents ──drawn whole──▶ reduced, for they are of the size of the picture
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sgc_diffusion.payload import MAX_IMAGE_SIDE, DetailLevel, LatentLevel, SemanticPayload
from sgc_diffusion.payload.scalars import plain_integer

if TYPE_CHECKING:
    from PIL import Image


def reduced_size(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """Return (width, height) of a picture whose longer side is reduced to `max_side` if it is longer; None keeps it."""
    longer = max(width, height)
    if max_side is None or longer <= max_side:
        return width, height
    return max(1, round(width * max_side / longer)), max(1, round(height * max_side / longer))


def reduced_payload(payload: SemanticPayload, max_side: int | None) -> SemanticPayload:
    """Return a payload of a smaller picture with the same labels and colors; the same where it holds more than these.

    Args:
        payload: with or without optional layers.
        max_side: of the smaller picture, pixels; None for the payload's own size.

    Raises:
        ValueError: no integer, or one below 1.

    Example:
        >>> reduced_payload(payload, 64).width
        64
    """
    if max_side is None:
        return payload
    width, height = reduced_size(payload.width, payload.height, plain_integer("max_side", max_side, 1, MAX_IMAGE_SIDE))
    is_whole = (width, height) == (payload.width, payload.height)
    if is_whole or any(isinstance(layer, (DetailLevel, LatentLevel)) for layer in payload.layers):
        return payload
    return replace(payload, width=width, height=height, layers=())


def reduce_image(image: Image.Image, max_side: int | None) -> Image.Image:
    """Return a picture whose longer side is at most `max_side` pixels, of the same class and with the same `info`."""
    size = reduced_size(*image.size, max_side)
    if size == image.size:
        return image
    info = image.info
    from PIL import Image as pillow  # `sgc thin` works without it

    image = image.resize(size, pillow.Resampling.LANCZOS)
    image.info |= info
    return image
