"""Which pictures are measured, and as which pixels.

folder or pattern ──find──▶ files ──prepare──▶ 8-bit sRGB, upright, whole or center square ──▶ WORK/original/NAME.png
"""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sgc_diffusion.analysis.image_input import open_image, readable_suffixes
from sgc_diffusion.evaluation.codecs.codec import save_png

DERIVED = re.compile(r"\.(seed\d+|metrics)$")  # ends of the names of what is made from a picture, without suffix


@dataclass(frozen=True)
class Picture:
    """What every codec gets.

    Attributes:
        name: of the file that it came from, without suffix.
        path: PNG with its pixels.
        width: in pixels.
        height: in pixels.
        digest: of its pixels.
    """

    name: str
    path: Path
    width: int
    height: int
    digest: str


def find_pictures(patterns: Iterable[str | Path], limit: int | None = None) -> dict[str, Path]:
    """Return name → file of the pictures that folders, files and patterns stand for, in the order of their names.

    Args:
        patterns: folders (not searched below themselves), files, or patterns such as `photos/*.jpg`.
        limit: take the first so many.

    Raises:
        ValueError: nothing there, no picture there, or two pictures whose results would have one name.
    """
    paths = dict.fromkeys(path for pattern in map(str, patterns) for path in _matches(pattern))
    pictures: dict[str, Path] = {}
    names: dict[str, Path] = {}  # as a disk that ignores case sees them
    for path in sorted(paths, key=lambda path: (path.name, path)):
        other = names.setdefault(path.stem.casefold(), path)
        if other is not path:
            raise ValueError(
                f"`images` has two pictures called {path.stem}: {other} and {path}; give a pattern that takes one, "
                "such as 'FOLDER/*.jpg'"
            )
        pictures[path.stem] = path
    for name, path in pictures.items():
        base = DERIVED.sub("", name)
        if base != name and base.casefold() in names:
            raise ValueError(f"`images`: {path} is called as a result of {names[base.casefold()]} will be; rename it")
    return dict(list(pictures.items())[:limit])


def _matches(pattern: str) -> list[Path]:
    """Return the files that a folder, file or pattern stands for."""
    path = Path(pattern)
    if path.is_file():
        return [path]
    if path.is_dir():
        suffixes = readable_suffixes()
        files = [file for file in path.iterdir() if file.suffix.lower() in suffixes and file.is_file()]
        files = [file for file in files if not file.name.startswith("._")]  # what macOS keeps beside a file
        if not files:
            raise ValueError(f"`images`: the folder {pattern} holds no picture that Pillow reads; give another")
        return files
    files = [Path(name) for name in glob.glob(pattern, recursive=True) if Path(name).is_file()]
    if not files:
        raise ValueError(f"`images`: {pattern} is no file or folder, and no file matches it; check the path")
    return files


def center_square(
    image: Image.Image, size: int, resampling: Image.Resampling = Image.Resampling.LANCZOS
) -> Image.Image:
    """Return the largest square in the middle of a picture.

    Args:
        image: of any mode.
        size: of the square that is returned, pixels a side.
        resampling: where that is another size.
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((size, size), resampling)


def prepare_picture(source: Path, target: Path, size: int | None = None) -> Picture:
    """Write the pixels that every codec gets as a PNG.

    Args:
        source: picture file.
        target: PNG to write.
        size: side of the center square that is taken and resized (Lanczos); None takes the whole picture as it is.

    Raises:
        ValueError: the file is no picture or is damaged.
        OSError: it is missing or may not be read.
    """
    image = open_image(source)
    if size is not None:
        image = center_square(image, size)
    save_png(image, target)
    digest = hashlib.sha256(f"{image.width}x{image.height}".encode() + image.tobytes()).hexdigest()[:16]
    return Picture(source.stem, target, image.width, image.height, digest)
