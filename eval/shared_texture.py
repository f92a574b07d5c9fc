"""What drawings of different pictures must not share, and grey ones must not have: texture, and chroma.

    python eval/shared_texture.py --images FOLDER --output eval/results/shared_texture.json

Each picture, a center square at `--size`, is compressed and drawn; once with its own noise, once with the noise of seed
0 for all, as files were drawn before the noise came from what they say. `correlation` is the mean over pairs of
different pictures of the correlation of what a Gaussian of 2 pixels takes from their luma. `grey_chroma` is the mean
over pixels of max(R, G, B) − min(R, G, B) in the drawing of the picture made grey, and `grey_chroma_unlimited` the same
without `synthesis.color_matching.limit_chroma`.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
from itertools import combinations
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image, ImageFilter

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.analysis.image_input import open_image
from sgc_diffusion.atomic_file import atomic_path
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.evaluation.pictures import center_square, find_pictures
from sgc_diffusion.synthesis import finish

logger = logging.getLogger(__name__)
RADIUS = 2  # pixels


def high_pass(image: Image.Image) -> np.ndarray:
    """Return what a Gaussian takes from the luma of a picture, (H, W) float64 of mean 0."""
    luma = image.convert("L")
    smooth = luma.filter(ImageFilter.GaussianBlur(RADIUS))
    difference = np.asarray(luma, dtype=np.float64) - np.asarray(smooth)
    return difference - difference.mean()


def mean_correlation(images: list[Image.Image]) -> float:
    """Return the mean correlation of the high-passed lumas of all pairs of pictures of one size."""
    planes = [high_pass(image).ravel() for image in images]
    units = [plane / max(float(np.linalg.norm(plane)), 1e-9) for plane in planes]
    return float(np.mean([first @ second for first, second in combinations(units, 2)]))


def chroma(image: Image.Image) -> float:
    """Return the mean of max(R, G, B) − min(R, G, B), gray levels."""
    return float(np.ptp(np.asarray(image, dtype=np.int16), axis=2).mean())


def measure(pipe: SemanticCompressionPipeline, squares: list[Image.Image], preset: str) -> dict[str, float]:
    """Return the figures of a way of drawing."""
    files = pipe.compress(squares, preset=preset)
    zeros = [torch.Generator().manual_seed(0) for _ in files]
    greys = pipe.compress([square.convert("L").convert("RGB") for square in squares], preset=preset)
    figures = {
        "correlation": mean_correlation(pipe.decompress(files).images),
        "correlation_one_seed": mean_correlation(pipe.decompress(files, generator=zeros).images),
        "grey_chroma": float(np.mean([chroma(image) for image in pipe.decompress(greys).images])),
    }
    with mock.patch.object(finish, "limit_chroma", lambda image, _: image):
        figures["grey_chroma_unlimited"] = float(np.mean([chroma(image) for image in pipe.decompress(greys).images]))
    return {name: round(value, 4) for name, value in figures.items()}


def main() -> None:
    """Draw, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", nargs="+", required=True, help="files, folders or patterns")
    parser.add_argument("--pipeline", default="landscape-256")
    parser.add_argument("--presets", default="standard,fine")
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--output", type=Path, help="JSON file")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pipe = SemanticCompressionPipeline.from_pretrained(arguments.pipeline)
    pipe.set_progress_bar_config(disable=True)
    pictures = find_pictures(arguments.images, arguments.limit).values()
    squares = [center_square(open_image(source), arguments.size, Image.Resampling.BICUBIC) for source in pictures]
    report = {
        "command": " ".join(["python", "eval/shared_texture.py", *sys.argv[1:]]),
        "commit": commit(),
        "platform": platform.platform(),
        "num_images": len(squares),
        "presets": {},
    }
    for preset in arguments.presets.split(","):
        report["presets"][preset] = measure(pipe, squares, preset)
        logger.info("%s %s", preset, report["presets"][preset])
    if arguments.output:
        with atomic_path(arguments.output) as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
