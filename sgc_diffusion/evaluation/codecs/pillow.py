"""The codecs that Pillow writes and reads: AVIF (AV1), JPEG 2000, JPEG, WebP, and JPEG XL by its plug-in.

Their decoders are the libraries' own, in another process; AVIF is coded by libaom and decoded by dav1d. Metadata that
holds nothing of the picture is left out where the format allows it: JPEG 2000 is the bare code stream, its comment one
blank. An AVIF file keeps its boxes, some 270 bytes, because that is what users have.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, features

from sgc_diffusion.evaluation.codecs.anchor import Anchor, require_package
from sgc_diffusion.evaluation.codecs.codec import installed_versions


@dataclass(eq=False)
class PillowAnchor(Anchor):
    """A codec of Pillow's; see the base class for what is not listed.

    Attributes:
        format_name: as Pillow calls it.
        options: picture and quality → what `Image.save` is given.
        feature: what Pillow must have been built with; None for JPEG XL, which comes by a plug-in.
    """

    name: str
    title: str
    suffix: str
    parameter: str
    qualities: Sequence[float]
    presets: Sequence[float]
    format_name: str
    options: Callable[[Image.Image, float], dict[str, Any]]
    feature: str | None

    def require(self) -> None:
        """See the base class."""
        if self.feature is None:
            require_package("pillow_jxl", "pillow-jxl-plugin", "eval", self.title)
        elif not features.check(self.feature):
            raise ImportError(f"{self.title} needs a Pillow built with {self.feature}: pip install -U pillow")

    def load(self) -> None:
        """See the base class."""
        if self.feature is None:
            import pillow_jxl  # noqa: F401 - registers JPEG XL with Pillow
        Image.init()

    def versions(self) -> dict[str, str]:
        """See the base class."""
        if self.feature is None:
            return installed_versions("pillow", "pillow-jxl-plugin")
        library = features.version(self.feature)
        return installed_versions("pillow") | ({self.feature: library} if library else {})

    def encode(self, image: Image.Image, quality: float) -> bytes:
        """See the base class."""
        self.load()
        stream = io.BytesIO()
        Image.fromarray(_pixels(image)).save(stream, self.format_name, **self.options(image, quality))
        return stream.getvalue()

    def decode(self, data: bytes) -> Image.Image:
        """See the base class."""
        self.load()
        return Image.open(io.BytesIO(data), formats=[self.format_name]).convert("RGB")


def _pixels(image: Image.Image) -> np.ndarray:
    """Return the bare pixels (H, W, 3) uint8: no profile, comment or EXIF of the source goes into a file."""
    return np.asarray(image.convert("RGB"))


def _jpeg2000_options(image: Image.Image, ratio: float) -> dict[str, Any]:
    resolutions = max(1, min(6, int(math.log2(min(image.size)))))  # six unless the picture is too small for them
    return {
        "irreversible": True,
        "mct": 1,  # Pillow's default codes red, green and blue as three pictures
        "quality_mode": "rates",
        "quality_layers": [ratio],
        "num_resolutions": resolutions,
        "no_jp2": True,
        "comment": " ",
    }


def _ratios() -> list[float]:
    """Return compression ratios from 20000 to 2, each 2 % below the one before."""
    steps = math.ceil(math.log(10000) / math.log(1.02))
    return [round(20000 / 1.02**step, 2) for step in range(steps)] + [2.0]


PILLOW_ANCHORS = (
    PillowAnchor(
        name="av1",
        title="AV1 (AVIF, libaom)",
        format_name="AVIF",
        suffix=".avif",
        parameter="quality",
        qualities=range(101),
        presets=(0, 10, 25, 40),
        options=lambda image, quality: {"quality": quality, "speed": 4, "subsampling": "4:2:0", "max_threads": 1},
        feature="avif",
    ),
    PillowAnchor(
        name="jpeg2000",
        title="JPEG 2000 (OpenJPEG)",
        format_name="JPEG2000",
        suffix=".j2k",
        parameter="ratio",
        qualities=_ratios(),
        presets=(2000, 800, 400, 200),
        options=_jpeg2000_options,
        feature="jpg_2000",
    ),
    PillowAnchor(
        name="jpeg",
        title="JPEG (libjpeg-turbo)",
        format_name="JPEG",
        suffix=".jpg",
        parameter="quality",
        qualities=range(1, 101),
        presets=(1, 5, 15, 30),
        options=lambda image, quality: {"quality": quality, "optimize": True, "subsampling": "4:2:0"},
        feature="libjpeg_turbo",
    ),
    PillowAnchor(
        name="webp",
        title="WebP (libwebp)",
        format_name="WEBP",
        suffix=".webp",
        parameter="quality",
        qualities=range(101),
        presets=(0, 5, 20, 40),
        options=lambda image, quality: {"quality": quality, "method": 6},
        feature="webp",
    ),
    PillowAnchor(
        name="jxl",
        title="JPEG XL (libjxl)",
        format_name="JXL",
        suffix=".jxl",
        parameter="quality",
        qualities=range(101),
        presets=(0, 10, 30, 50),
        options=lambda image, quality: {"quality": quality, "effort": 9, "num_threads": 1},
        feature=None,
    ),
)
