"""A folder of photographs → the shards that the recipes learn from, labeled by a segmenter.

    python pipelines/own-photographs/shards.py --images PHOTOS --output shards

Writes `train-000.tar`, `val-000.tar`, … with `KEY.webp`, of 288 pixels on the short side, and `KEY.png`, its map of
ADE20K labels (0 = other, k = class k of the 150). Look at some maps: a network learns what they say. Where you have
better ones, made by hand, put them in their place.
"""

import argparse
import io
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.analysis.image_input import open_image, readable_suffixes
from sgc_diffusion.analysis.labels import segment_images
from sgc_diffusion.taxonomy import class_table, load_taxonomy
from sgc_diffusion.zoo.segmenters import segmenter_table

SHORT_SIDE = 288  # pixels: crops of 256 have room to move
LABEL_CELLS = 128**2  # of a map, about
SHARD_PICTURES = 1000
VALIDATION_EVERY = 10  # pictures


def shard_ids(taxonomy_name: str) -> np.ndarray:
    """Return (K,) uint8: class of a taxonomy → label in the shards, the first ADE20K class that is merged into it."""
    merged = class_table("ade20k-150", taxonomy_name)
    ids = np.zeros(load_taxonomy(taxonomy_name).num_classes, dtype=np.uint8)
    for number in range(len(merged), 0, -1):
        ids[merged[number - 1]] = number
    return ids


def scaled(image: Image.Image) -> Image.Image:
    """Return a picture whose short side is `SHORT_SIDE`."""
    scale = SHORT_SIDE / min(image.size)
    size = tuple(max(SHORT_SIDE, round(side * scale)) for side in image.size)
    return image.resize(size, Image.Resampling.LANCZOS)


def label(pipe: SemanticCompressionPipeline, image: Image.Image) -> Image.Image:
    """Return the map of ADE20K labels of a picture."""
    (label_map,) = segment_images(
        pipe.segmenter,
        [image],
        short_side=pipe.config.segmenter_short_side,
        num_cells=LABEL_CELLS,
        image_processor=pipe.image_processor,
        class_ids=segmenter_table(pipe.segmenter, pipe.config.taxonomy),
    )
    return Image.fromarray(shard_ids(pipe.config.taxonomy)[label_map])


def labeled(pipe: SemanticCompressionPipeline, paths: Sequence[Path]) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield key, WebP and PNG of each picture that is large enough; name the others."""
    for index, path in enumerate(paths):
        image = open_image(path)
        if min(image.size) < SHORT_SIDE:
            print(f"{path}: left out, it is smaller than {SHORT_SIDE} pixels", file=sys.stderr)
            continue
        photo, labels = io.BytesIO(), io.BytesIO()
        image = scaled(image)
        image.save(photo, "WEBP", quality=90)
        label(pipe, image).save(labels, "PNG")
        yield f"{index:06d}", photo.getvalue(), labels.getvalue()


def write_shards(pictures: Sequence[tuple[str, bytes, bytes]], output: Path, split: str) -> None:
    """Write pictures to `SPLIT-000.tar` and on."""
    for start in range(0, len(pictures), SHARD_PICTURES):
        with tarfile.open(output / f"{split}-{start // SHARD_PICTURES:03d}.tar", "w") as tar:
            for key, photo, labels in pictures[start : start + SHARD_PICTURES]:
                for name, content in ((f"{key}.webp", photo), (f"{key}.png", labels)):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def main() -> None:
    """Read the arguments and write the shards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--output", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--segmenter", help="that labels them: a Hub id or folder; default: that of landscape-256")
    arguments = parser.parse_args()
    pipe = SemanticCompressionPipeline.from_pretrained("landscape-256", segmenter=arguments.segmenter)
    suffixes = readable_suffixes()
    paths = sorted(path for path in arguments.images.rglob("*") if path.suffix.lower() in suffixes)
    pictures = list(labeled(pipe, paths))
    if len(pictures) < 2:
        parser.error(f"{arguments.images} holds {len(pictures)} pictures that are large enough; two are the least")
    arguments.output.mkdir(parents=True, exist_ok=True)
    held_out = pictures[::VALIDATION_EVERY]
    write_shards([picture for picture in pictures if picture not in held_out], arguments.output, "train")
    write_shards(held_out, arguments.output, "val")
    print(f"{len(pictures)} pictures, {len(held_out)} of them held out, in {arguments.output}")


if __name__ == "__main__":
    main()
