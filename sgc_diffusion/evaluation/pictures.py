"""Which pictures are measured, and as which pixels.

folder or pattern ──find──▶ files ──prepare──▶ 8-bit sRGB, upright, whole or center square ──▶ WORK/original/NAME.png
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sgc_diffusion.analysis.image_input import open_image
from sgc_diffusion.cli import IMAGE_SUFFIXES
from sgc_diffusion.evaluation.codecs.codec import save_png


@dataclass(frozen=True)
class Picture:
    """What every codec gets.

    Attributes:
        name: of the file that it came from, without suffix.
        path: PNG with its pixels.
        width: in pixels.
        height: likewise.
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
        ValueError: nothing there, no picture there, or two pictures of one name.
    """
    found: list[Path] = []
    for pattern in map(str, patterns):
        path = Path(pattern)
        if path.is_dir():
            inside = [one for one in path.iterdir() if one.suffix.lower() in IMAGE_SUFFIXES and one.is_file()]
            if not inside:
                raise ValueError(
                    f"`images`: the folder {pattern} holds no {', '.join(sorted(IMAGE_SUFFIXES))}; give another"
                )
        elif path.is_file():
            inside = [path]
        else:
            inside = [Path(one) for one in glob.glob(pattern, recursive=True) if Path(one).is_file()]
            if not inside:
                raise ValueError(f"`images`: {pattern} is no file or folder, and no file matches it; check the path")
        found += inside
    pictures: dict[str, Path] = {}
    for path in sorted(dict.fromkeys(found), key=lambda one: (one.name, one)):
        if path.stem in pictures:
            raise ValueError(
                f"`images` has two pictures called {path.stem}: {pictures[path.stem]} and {path}; give a pattern that "
                "takes one, such as 'FOLDER/*.jpg'"
            )
        pictures[path.stem] = path
    return dict(list(pictures.items())[:limit])


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
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
        if image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.LANCZOS)
    save_png(image, target)
    digest = hashlib.sha256(f"{image.width}x{image.height}".encode() + image.tobytes()).hexdigest()[:16]
    return Picture(source.stem, target, image.width, image.height, digest)
