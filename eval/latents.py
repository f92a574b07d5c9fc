"""Measure the latents: S3's table, S5's base, and the bar: are they worth more than detail levels of equal bytes?

    python eval/latents.py table --pipeline FOLDER --images KODAK --output eval/results/latents-table.json
    python eval/latents.py base  --pipeline FOLDER --images KODAK --output eval/results/latents-base.json
    python eval/latents.py bar   --pipeline FOLDER --images DIR … --vgg FILE --output eval/results/latents-bar.json

The pipeline is what `pipelines/scalable-vae/export.py` writes; bytes are those of whole files, but in `bar`, where they
are those beyond labels and colors. Without a segmenter in the pipeline every picture is one label, "other", and the
results say so. `table` takes whole pictures, `base` and `bar` middle squares of `--size` pixels.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, bitstream
from sgc_diffusion.analysis.color import extract_color_map
from sgc_diffusion.analysis.detail import fit_detail
from sgc_diffusion.analysis.latents import LatentNetworks, fit_latents
from sgc_diffusion.evaluation.codecs.budget import find_quality
from sgc_diffusion.evaluation.codecs.specs import ANCHORS
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.evaluation.metrics.distortion import ms_ssim, psnr, ssim
from sgc_diffusion.evaluation.metrics.perception import load_vgg_distance
from sgc_diffusion.payload import ColorLayer, DecoderRecipe, LabelLayer, SemanticPayload
from sgc_diffusion.payload.latents import gamma_log2
from sgc_diffusion.synthesis.vae import conditions_of

logger = logging.getLogger(__name__)
TABLE_GAMMAS = range(24, 49, 4)  # indices of 32, 64 … 2048
LOW_GAMMAS = range(0, 24, 4)
BUDGETS = (150, 250, 400, 600, 800)  # bytes beyond labels and colors
RUN_HERE = {  # codec → settings whose rates lie around those of the table
    "jpeg": (5, 15, 30, 50, 70, 85),
    "webp": (0, 20, 50, 75, 90),
    "av1": (10, 25, 40, 60, 75),
    "vvc": (47, 39, 33, 27, 22),
}
PUBLISHED = {  # Kodak: bits per pixel, PSNR in dB, as the papers and the codecs' own results give them
    "QARV (93 M parameters)": [[0.208, 30.3]],
    "mbt2018-mean": [[0.136, 27.8], [0.245, 30.0]],
    "VTM 18": [[0.029, 24.9], [0.048, 26.2], [0.113, 28.5], [0.213, 30.7]],
}
Row = dict[str, float]


def read_pictures(folders: list[Path], side: int | None, count: int | None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and picture (H, W, 3) uint8: whole, or the middle square of those that are large enough."""
    for folder in folders:
        paths = [path for path in sorted(folder.iterdir()) if path.suffix in (".png", ".jpg", ".webp")]
        photos = [path for path in paths if path.suffix != ".png" or not path.with_suffix(".jpg").exists()]
        for path in photos[:count]:
            image = Image.open(path).convert("RGB")
            if side is not None and min(image.size) < side:
                scale = side / min(image.size)
                image = image.resize([max(side, round(extent * scale)) for extent in image.size])
            if side is not None:
                left, top = (image.width - side) // 2, (image.height - side) // 2
                image = image.crop((left, top, left + side, top + side))
            yield f"{folder.name}/{path.stem}", np.asarray(image)


def base_payload(pipeline: SemanticCompressionPipeline, picture: np.ndarray) -> SemanticPayload:
    """Return labels and colors of a picture, the labels of the pipeline's set."""
    if pipeline.segmenter is not None:
        return pipeline.analyze(picture)
    image = Image.fromarray(picture)
    return SemanticPayload(
        width=image.width,
        height=image.height,
        labels=LabelLayer(np.zeros((1, 1), np.uint8), pipeline.config.taxonomy),
        color=ColorLayer.from_color_map(extract_color_map(image), 32),
        recipe=DecoderRecipe(profile=pipeline.config.profile),
    )


def drawn(pipeline: SemanticCompressionPipeline, payload: SemanticPayload) -> np.ndarray:
    """Return what the decoder draws, (H, W, 3) uint8."""
    return np.asarray(pipeline(payload).images[0])


def measured_row(picture: np.ndarray, decoded: np.ndarray, size_bytes: int) -> Row:
    """Return rate and distortions of one coded picture."""
    height, width = picture.shape[:2]
    row = {"bytes": size_bytes, "bpp": 8 * size_bytes / (height * width), "psnr": psnr(picture, decoded)}
    row["ssim"] = ssim(picture, decoded)
    return row | ({"ms_ssim": ms_ssim(picture, decoded)} if min(height, width) >= 176 else {})


def measure_table(pipeline: SemanticCompressionPipeline, picture: np.ndarray) -> dict[str, Row]:
    """S3's table: every γ, and what codecs that run here give."""
    payload, rows = base_payload(pipeline, picture), {}
    for index in (*LOW_GAMMAS, *TABLE_GAMMAS):
        data = bitstream.encode(pipeline.add_latents(payload, picture, index))
        decoded = drawn(pipeline, bitstream.decode(data, strict=True))
        rows[f"gamma {2 ** gamma_log2(index):g}"] = measured_row(picture, decoded, len(data))
    for name, qualities in RUN_HERE.items():
        anchor = ANCHORS[name]
        try:
            anchor.require()
        except (ImportError, OSError) as error:
            logger.warning("%s does not run here: %s", name, error)
            continue
        for quality in qualities:
            data = anchor.encode(Image.fromarray(picture), quality)
            decoded = np.asarray(anchor.decode(data).convert("RGB"))
            rows[f"{name} {anchor.parameter} {quality:g}"] = measured_row(picture, decoded, len(data))
    return rows


def measure_base(pipeline: SemanticCompressionPipeline, picture: np.ndarray) -> dict[str, Row]:
    """S5's base: each level alone, and the JPEG file of no worse a PSNR."""
    payload = base_payload(pipeline, picture)
    whole = pipeline.add_latents(payload, picture, gamma_index=8)
    jpeg, image, rows = ANCHORS["jpeg"], Image.fromarray(picture), {}
    files = [jpeg.encode(image, quality) for quality in jpeg.qualities]
    curve = [(psnr(picture, np.asarray(jpeg.decode(data).convert("RGB"))), len(data)) for data in files]
    for count in range(len(whole.layers) + 1):
        cut = replace(whole, layers=whole.layers[:count])
        row = measured_row(picture, drawn(pipeline, cut), bitstream.size_bytes(cut))
        equal = [size for quality, size in curve if quality >= row["psnr"]]
        row["jpeg_bytes"] = min(equal, default=float("nan"))
        row["times_smaller"] = row["jpeg_bytes"] / row["bytes"]
        row["jpeg_at_its_floor"] = float(min(equal, default=0) == min(size for _, size in curve))
        rows[f"{count} levels"] = row
    return rows


def measure_bar(
    pipeline: SemanticCompressionPipeline, picture: np.ndarray, distance: Callable[[np.ndarray, np.ndarray], float]
) -> dict[str, Row]:
    """The bar: latents, detail levels and other codecs at equal bytes, where they make a file that small."""
    payload, rows = base_payload(pipeline, picture), {}
    networks = LatentNetworks(pipeline.latent_encoder, pipeline.vae, conditions_of)
    start = bitstream.size_bytes(payload)
    for budget in BUDGETS:
        shown = {}
        fitting = fit_latents(payload, picture, budget, networks, bitstream.size_bytes, reductions=(0, 1))
        candidates = [(drawn(pipeline, larger), bitstream.size_bytes(larger) - start) for larger in fitting]
        if candidates:
            shown["latents"] = max(candidates, key=lambda pair: psnr(picture, pair[0]))
        detail = fit_detail(payload, picture, budget, bitstream.last_layer_size_bytes)
        shown["detail"] = np.asarray(pipeline.likeness(detail)), bitstream.size_bytes(detail) - start
        for name in RUN_HERE:
            anchor = ANCHORS[name]
            fitted = find_quality(anchor, partial(anchor.encode, Image.fromarray(picture)), budget)
            if not fitted.is_floor:
                shown[name] = np.asarray(anchor.decode(fitted.data).convert("RGB")), len(fitted.data)
        for name, (decoded, size_bytes) in shown.items():
            row = measured_row(picture, decoded, size_bytes)
            rows[f"{name} {budget} B"] = row | {"vgg_distance": float(distance(picture, decoded))}
    return rows


def means(measured: dict[str, dict[str, Row]]) -> dict[str, Row]:
    """Return the mean over pictures of every row, with the number of pictures that have it."""
    rows: dict[str, dict[str, list[float]]] = {}
    for entry in measured.values():
        for name, row in entry.items():
            for key, value in row.items():
                rows.setdefault(name, {}).setdefault(key, []).append(value)
    return {
        name: {key: float(np.nanmean(values)) for key, values in row.items()} | {"pictures": len(row["bytes"])}
        for name, row in rows.items()
    }


def markdown(summary: dict[str, Row]) -> str:
    """Return a summary as a table."""
    columns = list(dict.fromkeys(key for row in summary.values() for key in row))
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for name, row in summary.items():
        cells = [f"{row[key]:.4g}" if key in row else "" for key in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, measure, and write JSON with a table beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("table", "base", "bar"))
    parser.add_argument("--pipeline", required=True, help="folder that export.py wrote")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders of photographs")
    parser.add_argument("--vgg", type=Path, help="vgg19_distilled_16x.safetensors, for the bar")
    parser.add_argument("--size", type=int, default=256, help="of the squares, pixels")
    parser.add_argument("--count", type=int, help="pictures of each folder, the first ones; all if not given")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.what == "bar" and arguments.vgg is None:
        parser.error("--vgg is missing: the bar is measured with VGG distance too")
    pipeline = SemanticCompressionPipeline.from_pretrained(arguments.pipeline)
    distance = load_vgg_distance(arguments.vgg) if arguments.vgg else None
    side, measured = None if arguments.what == "table" else arguments.size, {}
    for name, picture in read_pictures(arguments.images, side, arguments.count):
        if arguments.what == "bar":
            measured[name] = measure_bar(pipeline, picture, distance)
        else:
            measured[name] = (measure_table if arguments.what == "table" else measure_base)(pipeline, picture)
        logger.info("%s", name)
    summary = means(measured)
    result = {
        "command": " ".join(["python", *sys.argv]),
        "commit": commit(),
        "labels": "segmenter" if pipeline.segmenter is not None else 'none: every picture is one label, "other"',
        "published": PUBLISHED if arguments.what == "table" else {},
        "means": summary,
        "pictures": measured,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    arguments.output.with_suffix(".md").write_text(markdown(summary) + "\n")


if __name__ == "__main__":
    main()
