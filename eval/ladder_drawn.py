"""Measure what bytes buy in a drawn picture, beside VVC and JPEG 2000, and two published ways to code a residual.

    python eval/ladder_drawn.py --images FOLDER --weights-dir WEIGHTS --output eval/results/ladder_drawn.json

Each picture, a center square at `--size`, is coded for budgets from 150 to 3,000 bytes and decoded as its file says;
`likeness` is what the same file gives without a network. VVC and JPEG 2000 code it at settings around these budgets;
their figures at a budget lie on the line between the two settings beside it, over the logarithm of bytes, and are
missing where no setting is so small.

Residuals are measured as PSNR and whole bytes: `base_jpeg` codes the difference to the enlarged color map as JPEG at
qualities 75, 90 and 100, as S5 does over its own base; `drawn_jpeg` the difference to the drawing, as S4 does. `ladder`
beside each are our bytes at the same PSNR, without a drawing, on the line between two levels. `whole_jpeg` is plain
JPEG at these qualities.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, bitstream
from sgc_diffusion.analysis.image_input import open_image
from sgc_diffusion.atomic_file import atomic_path
from sgc_diffusion.evaluation.codecs.pillow import PILLOW_ANCHORS
from sgc_diffusion.evaluation.codecs.vvc import Vvc
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.evaluation.metrics import load_metrics
from sgc_diffusion.evaluation.pictures import center_square, find_pictures

logger = logging.getLogger(__name__)
BUDGETS = (150, 300, 600, 1200, 3000)
METRICS = ("vgg_distance", "label_agreement", "niqe", "psnr")
OTHERS = {
    "vvc": (Vvc(), (63, 57, 51, 45, 39)),
    "jpeg2000": (next(anchor for anchor in PILLOW_ANCHORS if anchor.name == "jpeg2000"), (5000, 1000, 500, 200)),
}
JPEG_QUALITIES = (75, 90, 100)
Row = dict[str, float]


def drawn_rows(pipe: SemanticCompressionPipeline, image: Image.Image, measure: Callable) -> dict[str, list[Row]]:
    """Return the figures of drawings and likenesses for each budget, with bytes and the seconds of the encoder."""
    rows: dict[str, list[Row]] = {"drawn": [], "likeness": []}
    for budget in BUDGETS:
        started = time.process_time()
        data = pipe.compress(image, max_bytes=budget)
        about = {"budget": budget, "bytes": len(data), "encode_cpu_s": time.process_time() - started}
        for name, decoder in (("drawn", None), ("likeness", "likeness")):
            picture = pipe.decompress(data, decoder=decoder).images[0]
            rows[name].append(about | measure(np.asarray(image), np.asarray(picture.convert("RGB"))))
    return rows


def other_rows(image: Image.Image, measure: Callable) -> dict[str, list[Row]]:
    """Return the figures of other codecs at their settings."""
    rows: dict[str, list[Row]] = {}
    for name, (anchor, qualities) in OTHERS.items():
        files = [anchor.encode(image, quality) for quality in qualities]
        rows[name] = [
            {"bytes": len(data)} | measure(np.asarray(image), np.asarray(anchor.decode(data))) for data in files
        ]
    return rows


def residual_rows(pipe: SemanticCompressionPipeline, image: Image.Image) -> dict[str, list[Row]]:
    """Return bytes and PSNR of JPEG residuals over the enlarged color map and over the drawing, and of plain JPEG."""
    data = pipe.compress(image)
    payload, original = bitstream.decode(data), np.asarray(image)
    bases = {"base_jpeg": pipe.likeness(payload), "drawn_jpeg": pipe(payload).images[0]}
    rows: dict[str, list[Row]] = {"base_jpeg": [], "drawn_jpeg": [], "whole_jpeg": []}
    for quality in JPEG_QUALITIES:
        for name, base in bases.items():
            residual = np.clip((original.astype(np.int16) - np.asarray(base)) // 2 + 128, 0, 255).astype(np.uint8)
            size_bytes, decoded = jpeg(residual, quality)
            restored = np.clip((decoded.astype(np.int16) - 128) * 2 + np.asarray(base), 0, 255)
            rows[name].append({"bytes": size_bytes + len(data), "psnr": psnr_db(restored, original)})
        size_bytes, decoded = jpeg(original, quality)
        rows["whole_jpeg"].append({"bytes": size_bytes, "psnr": psnr_db(decoded, original)})
    return rows


def ladder_points(pipe: SemanticCompressionPipeline, image: Image.Image) -> list[tuple[int, float]]:
    """Return bytes and PSNR of the likeness after each detail level but the last, cut from one file."""
    whole = pipe.compress(image, quality=99)
    files = [bitstream.thin(whole, num_levels=count) for count in range(16)]
    original = np.asarray(image)
    return [(len(data), psnr_db(np.asarray(pipe.likeness(bitstream.decode(data))), original)) for data in files]


def jpeg(picture: np.ndarray, quality: int) -> tuple[int, np.ndarray]:
    """Return bytes and pixels of a JPEG file of full chroma."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality, optimize=True, subsampling=0)
    return len(stream.getvalue()), np.asarray(Image.open(stream))


def psnr_db(decoded: np.ndarray, original: np.ndarray) -> float:
    """Return the PSNR over RGB in dB, 99 for equal pictures."""
    error = float(np.mean((decoded.astype(np.float64) - original) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def summarize(pictures: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over pictures: of ours by budget, of others on the line at it, and ratios of bytes at equal PSNR."""
    means: dict[str, Any] = {}
    for place, budget in enumerate(BUDGETS):
        row: dict[str, Any] = {}
        for name in ("drawn", "likeness"):
            rows = [picture[name][place] for picture in pictures]
            row[name] = {key: mean([each[key] for each in rows if key in each]) for key in rows[0]}
        for name in OTHERS:
            row[name] = {
                metric: mean(
                    [at_bytes(picture[name], picture["drawn"][place]["bytes"], metric) for picture in pictures]
                )
                for metric in METRICS
            }
        means[str(budget)] = row
    for name in ("base_jpeg", "drawn_jpeg", "whole_jpeg"):
        means[f"ladder / {name} at equal PSNR"] = {
            str(quality): mean([bytes_at(picture["ladder"], picture[name][place]) for picture in pictures])
            for place, quality in enumerate(JPEG_QUALITIES)
        }
    return means


def at_bytes(rows: list[Row], size_bytes: float, metric: str) -> float:
    """Return a metric of a codec at so many bytes, NaN below its smallest file and above its largest."""
    known = sorted((row["bytes"], row[metric]) for row in rows if metric in row)
    if not known:
        return float("nan")
    sizes, values = zip(*known, strict=True)
    return float(np.interp(np.log(size_bytes), np.log(sizes), values, left=np.nan, right=np.nan))


def bytes_at(points: list[tuple[int, float]], row: Row) -> float:
    """Return our bytes over those of a row at its PSNR, NaN outside of what was measured."""
    sizes, qualities = zip(*points, strict=True)
    ours = np.exp(np.interp(row["psnr"], qualities, np.log(sizes), left=np.nan, right=np.nan))
    return float(ours / row["bytes"])


def mean(values: list[float]) -> float | None:
    """Return the mean of what is a number, None if nothing is."""
    numbers = [value for value in values if value == value]
    return round(statistics.fmean(numbers), 4) if numbers else None


def main() -> None:
    """Read the arguments, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", nargs="+", required=True, help="files, folders or patterns")
    parser.add_argument("--weights-dir", help="local weights of metrics")
    parser.add_argument("--pipeline", default="landscape-256")
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--output", type=Path, help="JSON of everything")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pipe = SemanticCompressionPipeline.from_pretrained(arguments.pipeline)
    pipe.set_progress_bar_config(disable=True)
    metrics = load_metrics(METRICS, weights_dir=arguments.weights_dir)
    report: dict[str, Any] = {
        "command": " ".join(["python", "eval/ladder_drawn.py", *sys.argv[1:]]),
        "commit": commit(),
        "platform": platform.platform(),
        "size": arguments.size,
        "pictures": {},
    }
    for name, source in find_pictures(arguments.images, arguments.limit).items():
        image = center_square(open_image(source), arguments.size, Image.Resampling.BICUBIC)
        rows: dict[str, Any] = drawn_rows(pipe, image, metrics.measure) | other_rows(image, metrics.measure)
        rows |= residual_rows(pipe, image) | {"ladder": ladder_points(pipe, image)}
        report["pictures"][name] = rows
        report["means"] = summarize(list(report["pictures"].values()))
        logger.info("%s", name)
        if arguments.output:
            with atomic_path(arguments.output) as temporary:
                temporary.write_text(json.dumps(report, indent=1) + "\n")
    for name, row in report["means"].items():
        logger.info("%s %s", name, row)


if __name__ == "__main__":
    main()
