"""A codec with one quality parameter, and coding at a fixed setting of it."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from sgc_diffusion.evaluation.codecs.codec import Codec, write_file


class Anchor(ABC):
    """A codec of others, reduced to what is varied here: one number.

    Attributes:
        name: of its family.
        title: for tables.
        suffix: of its files.
        parameter: what its quality is called, such as `qp`.
        qualities: every setting that is searched, the smallest file first; a range where it codes whole numbers alone.
        presets: settings that stand for its curve.
        smallest_side: in pixels; it codes nothing smaller.
    """

    name: str
    title: str
    suffix: str
    parameter: str
    qualities: Sequence[float]
    presets: Sequence[float]
    smallest_side: int = 1

    @abstractmethod
    def require(self) -> None:
        """Raise ImportError or OSError if the codec cannot run here; see `Codec.require`."""

    def load(self) -> None:
        """As `Codec.load`."""
        return

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """As `Codec.versions`."""

    @abstractmethod
    def encode(self, image: Image.Image, quality: float) -> bytes:
        """Return the file of an RGB picture."""

    @abstractmethod
    def decode(self, data: bytes) -> Image.Image:
        """Return the RGB picture of a file."""


def require_package(module: str, package: str, extra: str, what: str) -> None:
    """Raise ImportError, saying what to install, where a module is not there."""
    if importlib.util.find_spec(module) is None:
        raise ImportError(f"{what} needs {package}: pip install 'sgc-diffusion[{extra}]'")


def check_side(anchor: Anchor, image: Image.Image) -> None:
    """Raise ValueError where a picture is smaller than an anchor codes."""
    if min(image.size) < anchor.smallest_side:
        side = anchor.smallest_side
        raise ValueError(f"`image` must have at least {side} pixels a side for {anchor.title}, got {image.size}")


class AnchorCodec(Codec):
    """A codec that is an anchor in some way or other.

    Args:
        anchor: the codec.
    """

    def __init__(self, anchor: Anchor) -> None:
        self.anchor = anchor
        self.family, self.suffix = anchor.name, anchor.suffix

    def require(self) -> None:
        """See the base class."""
        self.anchor.require()

    def load(self) -> None:
        """See the base class."""
        self.anchor.load()

    def versions(self) -> dict[str, str]:
        """See the base class."""
        return self.anchor.versions()


class FixedCodec(AnchorCodec):
    """An anchor at one setting.

    Args:
        anchor: the codec.
        quality: a value of its parameter.

    Raises:
        ValueError: a value outside the parameter's range, or between two of its settings.
    """

    def __init__(self, anchor: Anchor, quality: float) -> None:
        lowest, highest = min(anchor.qualities), max(anchor.qualities)
        is_whole = isinstance(anchor.qualities, range)
        if not lowest <= quality <= highest or (is_whole and quality != int(quality)):
            raise ValueError(
                f"`{anchor.parameter}` of {anchor.name} must be a {'whole ' if is_whole else ''}number from {lowest:g} "
                f"to {highest:g}, got {quality!r}"
            )
        super().__init__(anchor)
        self.quality = int(quality) if quality == int(quality) else quality
        self.setting = f"{anchor.parameter} {self.quality}"
        self.spec = f"{anchor.name}:{anchor.parameter}={self.quality}"
        self.name = f"{anchor.name}-{anchor.parameter}{self.quality}".replace(".", "-")
        self.title = f"{anchor.title}, {'QP' if anchor.parameter == 'qp' else anchor.parameter} {self.quality}"

    def encode(self, image: Image.Image, path: Path) -> dict[str, Any]:
        """See the base class."""
        check_side(self.anchor, image)
        write_file(self.anchor.encode(image, self.quality), path)
        return {"setting": self.setting, "scale": 1.0}

    def decode_image(self, path: Path, *, seed: int = 0) -> Image.Image:
        """See the base class; no seed matters."""
        return self.anchor.decode(path.read_bytes())
