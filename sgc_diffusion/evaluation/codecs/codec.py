"""The interface of every codec that is compared."""

from __future__ import annotations

import importlib.metadata
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from PIL import Image

from sgc_diffusion.atomic_file import atomic_path


class Codec(ABC):
    """Codes a picture to a file and back. The file holds all that the decoder is told, the true size included.

    Attributes:
        spec: text from which `make_codec` makes this codec again, in another process.
        name: of its result file, [a-z0-9-]+.
        title: for tables and plots.
        family: sgc, vvc, hevc, av1, jpeg2000, jpeg, webp or jxl.
        suffix: of its files.
        is_generative: its decoder draws with a seed.
        budget_bytes: what a file may take, if it is the same for every picture.
        needs_budget: the run has to say how many bytes each picture gets, see `fit`.
    """

    spec: str
    name: str
    title: str
    family: str
    suffix: str
    is_generative: bool = False
    budget_bytes: int | None = None
    needs_budget: bool = False

    @abstractmethod
    def require(self) -> None:
        """Raise ImportError or OSError, saying what to install, where a tool is missing. Imports nothing heavy."""

    def load(self) -> None:
        """Import and load what coding needs and what is not to be charged to a picture."""
        return

    def versions(self) -> dict[str, str]:
        """Return name → version of the libraries that decide the result."""
        return {}

    def fit(self, image: Image.Image, budget_bytes: int | None = None) -> tuple[Codec, bool]:
        """Return the codec at the setting that a picture gets, and whether that is its floor: no file is as small.

        Args:
            image: RGB.
            budget_bytes: for codecs with `needs_budget`.
        """
        return self, False

    @abstractmethod
    def encode(self, image: Image.Image, path: Path) -> dict[str, Any]:
        """Write the file of an RGB picture.

        Returns:
            `setting` in words, `scale` at which it was coded, 0 … 1.
        """

    @abstractmethod
    def decode_image(self, path: Path, *, seed: int = 0) -> Image.Image:
        """Return the RGB picture of a file; `seed` matters to generative decoders."""


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG whole or not at all."""
    with atomic_path(path) as temporary:
        image.save(temporary, "PNG", compress_level=1)


def write_file(data: bytes, path: Path) -> None:
    """Write a file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def installed_versions(*packages: str) -> dict[str, str]:
    """Return the versions of those distributions that are installed."""
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
