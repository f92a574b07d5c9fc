"""S4's compact image: color maps that are learned together with what draws from them, against means, at equal bytes.

    python eval/compact_image.py --encoder landscape-256 --pipeline runs/labels-gan/ours/export --images FOLDER
        --output eval/results/compact_image.json

Each picture, a center square at `--size`, is encoded once; its color map is then stored at each of `QUALITIES`, as
means of its cells and as `make_compact` makes it, and drawn by the pipeline. A picture's scores of learned maps are
read off between qualities at the bytes of the files with means. The difference is positive where learned maps win.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sgc_diffusion import ColorLayer, SemanticCompressionPipeline, SemanticPayload, bitstream
from sgc_diffusion.analysis.color import extract_color_map
from sgc_diffusion.analysis.image_input import open_image
from sgc_diffusion.atomic_file import atomic_path
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.evaluation.metrics.judge import load_lite1
from sgc_diffusion.evaluation.pictures import center_square, find_pictures
from sgc_diffusion.evaluation.statistics import paired_difference

logger = logging.getLogger(__name__)
QUALITIES = (20, 24, 28, 32, 36, 40)  # of the color coder, fine to coarse
Curve = list[dict[str, float]]  # a row a quality: bytes, scores


def psnr_db(original: np.ndarray, decoded: np.ndarray) -> float:
    """Return the PSNR of two pictures (H, W, 3) uint8."""
    error = np.mean((original.astype(np.float64) - decoded) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def curves(pipe: Any, payload: SemanticPayload, square: Any, judge: Any) -> tuple[Curve, Curve]:
    """Return bytes and scores of a picture at every quality, with means and with learned maps."""
    pixels, means = np.asarray(square), extract_color_map(square)
    rows: tuple[Curve, Curve] = ([], [])
    for quality in QUALITIES:
        plain = replace(payload, color=ColorLayer.from_color_map(means, quality))
        for curve, each in zip(rows, (plain, pipe.make_compact(plain, pixels)), strict=True):
            drawn = np.asarray(pipe(each, decoder="gan").images[0])
            scores = {"lite1_cosine": judge(pixels, drawn)["lite1_cosine"], "psnr_db": psnr_db(pixels, drawn)}
            curve.append({"bytes": float(bitstream.size_bytes(each)), **scores})
    return rows


def at_equal_bytes(plain: Curve, learned: Curve, name: str) -> tuple[float, float] | None:
    """Return the mean scores of both where their bytes overlap; None where they do not."""
    reach = [row["bytes"] for row in learned]
    order = np.argsort(reach)
    inside = [row for row in plain if min(reach) <= row["bytes"] <= max(reach)]
    if not inside:
        return None
    scores = [learned[index][name] for index in order]
    theirs = np.interp([row["bytes"] for row in inside], np.array(reach)[order], scores)
    return float(np.mean([row[name] for row in inside])), float(np.mean(theirs))


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="landscape-256", help="pipeline whose segmenter makes the labels")
    parser.add_argument("--pipeline", required=True, help="folder of the GAN pipeline with its compact network")
    parser.add_argument("--images", nargs="+", required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    encoder = SemanticCompressionPipeline.from_pretrained(arguments.encoder)
    pipe: Any = SemanticCompressionPipeline.from_pretrained(arguments.pipeline, segmenter=False)
    judge, pictures = load_lite1(), {}
    for name, path in find_pictures(arguments.images, arguments.limit).items():
        square = center_square(open_image(path), arguments.size)
        pictures[name] = curves(pipe, encoder.analyze(square), square, judge)
        logger.info("%s", name)
    differences = {}
    for score in ("lite1_cosine", "psnr_db"):
        pairs = [pair for both in pictures.values() if (pair := at_equal_bytes(*both, score)) is not None]
        plain, learned = zip(*pairs, strict=True)
        differences[score] = [round(value, 4) for value in paired_difference(learned, plain)]
    result = {
        "command": " ".join(["python", *sys.argv]),
        "commit": commit(),
        "platform": platform.platform(),
        "learned_minus_means_at_equal_bytes": differences,
        "pictures": {name: {"means": plain, "learned": learned} for name, (plain, learned) in pictures.items()},
    }
    with atomic_path(arguments.output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
