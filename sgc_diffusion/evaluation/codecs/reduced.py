"""Reduce, code, enlarge: what a codec that was made for higher rates does best at very low ones.

image ──Lanczos──▶ 1/n ──anchor──▶ its file + 2 bytes ──anchor──▶ 1/n ──Lanczos or bicubic──▶ image

The two bytes, counted as the rest, hold what the anchor's own file cannot: bits 0-2 index of the scale, bit 3 the
enlarging filter, bits 4-8 and 9-13 by how many pixels n times the coded width and height exceed the picture's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from sgc_diffusion.evaluation.codecs.anchor import Anchor, FixedCodec, check_side
from sgc_diffusion.evaluation.codecs.codec import write_file

SCALES = (1, 2, 3, 4, 6, 8, 12, 16)  # part of the two bytes
FILTERS = {"lanczos": Image.Resampling.LANCZOS, "bicubic": Image.Resampling.BICUBIC}  # their order too
TRAILER_BYTES = 2
SMALLEST_SIDE = 16  # pixels of a reduced picture


def reduced_size(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """Return width and height at 1/`scale`, rounded up to even numbers, which 4:2:0 codecs take as they are."""
    if scale == 1:
        return size
    return 2 * -(-size[0] // (2 * scale)), 2 * -(-size[1] // (2 * scale))


def possible_scales(anchor: Anchor, size: tuple[int, int]) -> list[int]:
    """Return 1, and the n of 1/n at which a picture keeps at least 16 pixels a side, which all anchors code."""
    sides = {scale: min(reduced_size(size, scale)) for scale in SCALES}
    return [scale for scale, side in sides.items() if scale == 1 or side >= max(SMALLEST_SIDE, anchor.smallest_side)]


class ReducedCodec(FixedCodec):
    """An anchor at one setting, on a reduced picture.

    Args:
        anchor: the codec.
        quality: a value of its parameter.
        scale: n of 1/n, one of `SCALES`.
        enlarging: filter of the way back, a key of `FILTERS`.

    Raises:
        ValueError: a value that is not to be had.
    """

    def __init__(self, anchor: Anchor, quality: float, scale: int, enlarging: str = "lanczos") -> None:
        super().__init__(anchor, quality)
        if scale not in SCALES:
            raise ValueError(f"`scale` must be one of {', '.join(map(str, SCALES))} (n of 1/n), got {scale}")
        if enlarging not in FILTERS:
            raise ValueError(f"`filter` must be one of {', '.join(FILTERS)}, got {enlarging!r}")
        self.scale, self.enlarging = scale, enlarging
        self.spec = f"{anchor.name}-down:{anchor.parameter}={self.quality}:scale={scale}:filter={enlarging}"
        self.name = f"{anchor.name}-down{scale}-{anchor.parameter}{self.quality}".replace(".", "-")
        self.title = f"{self.title} at 1/{scale}"
        self.setting = f"{self.setting} at 1/{scale}, Lanczos down, {enlarging} up"

    def reduce(self, image: Image.Image) -> Image.Image:
        """Return the picture that is coded."""
        size = reduced_size(image.size, self.scale)
        return image if size == image.size else image.resize(size, FILTERS["lanczos"])

    def enlarge(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        """Return a decoded picture at the size of the original."""
        return image if size == image.size else image.resize(size, FILTERS[self.enlarging])

    def encode(self, image: Image.Image, path: Path) -> dict[str, Any]:
        """See the base class."""
        small = self.reduce(image)
        check_side(self.anchor, small)
        excess = [self.scale * part - whole for part, whole in zip(small.size, image.size, strict=True)]
        index, enlarging = SCALES.index(self.scale), list(FILTERS).index(self.enlarging)
        trailer = index | enlarging << 3 | excess[0] << 4 | excess[1] << 9
        write_file(self.anchor.encode(small, self.quality) + trailer.to_bytes(TRAILER_BYTES, "little"), path)
        return {"setting": self.setting, "scale": 1 / self.scale}

    def decode_image(self, path: Path, *, seed: int = 0) -> Image.Image:
        """See the base class; scale and filter are read from the file."""
        data = path.read_bytes()
        trailer = int.from_bytes(data[-TRAILER_BYTES:], "little")
        scale, enlarging = SCALES[trailer & 7], FILTERS[list(FILTERS)[trailer >> 3 & 1]]
        small = self.anchor.decode(data[:-TRAILER_BYTES])
        size = small.width * scale - (trailer >> 4 & 31), small.height * scale - (trailer >> 9 & 31)
        return small if size == small.size else small.resize(size, enlarging)
