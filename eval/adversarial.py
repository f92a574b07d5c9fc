"""How far an attacker moves labels, bytes and drawn pictures with changes that nobody sees, and what the defences cost.

    python eval/adversarial.py --images DIR [DIR …] --limit 30 --draw --output eval/results/adversarial.json

Projected gradient descent (Madry et al., https://arxiv.org/abs/1706.06083) against the embedded segmenter: ten steps of
ε/4 within ε = 4/255 and 8/255 in each pixel, from a random start; the attacker knows the weights and not the defence.
Two aims: wrong labels, whatever they are, by lowering the scores of the right ones; and many bytes, by raising those of
a random class in each cell. Both pictures, then, are compressed alike. Reported: the share of label cells that change,
the bytes of the files, with and without a budget, processor seconds of encoding, and, with `--draw`, how near the drawn
picture is to the original (PSNR). Beside them stands the most that any file can take: a random class in every cell.
Defences, before the segmenter alone: none; a Gaussian blur of one pixel; re-quantisation, JPEG of
quality 50. What a defence costs is the share of cells that it changes of pictures that nobody attacked.
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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch.nn import functional

from sgc_diffusion import SemanticCompressionPipeline, bitstream
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.payload import LabelLayer, SemanticPayload

logger = logging.getLogger(__name__)
EPSILONS = (4 / 255, 8 / 255)
STEPS = 10
SIDE = 256  # of the pictures
BUDGET = 120  # bytes, for the files under a budget


def blur(image: Image.Image) -> Image.Image:
    """Return a picture smoothed by a Gaussian of one pixel."""
    return image.filter(ImageFilter.GaussianBlur(1))


def requantise(image: Image.Image) -> Image.Image:
    """Return a picture after JPEG of quality 50."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=50)
    return Image.open(io.BytesIO(stream.getvalue())).convert("RGB")


DEFENCES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "none": lambda image: image,
    "blur": blur,
    "jpeg": requantise,
}


def attack(pipeline: Any, image: Image.Image, epsilon: float, aim: str) -> Image.Image:
    """Return a picture within ε of one, whose labels the segmenter gets wrong, or makes as costly as it can be made to.

    Args:
        pipeline: whose segmenter is attacked.
        image: square.
        epsilon: of a pixel, 0 … 1.
        aim: `labels` or `bytes`.
    """
    segmenter, side = pipeline.segmenter, pipeline.config.segmenter_short_side
    clean = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255

    def logits(pixels: torch.Tensor) -> torch.Tensor:
        return segmenter(functional.interpolate(pixels, (side, side), mode="bilinear", antialias=True) * 2 - 1).logits

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        scores = logits(clean)
    target, sign = scores.argmax(dim=1), 1.0
    if aim == "bytes":
        target, sign = torch.randint(scores.shape[1], target.shape, generator=generator), -1.0
    moved = (clean + epsilon * (2 * torch.rand(clean.shape, generator=generator) - 1)).clamp(0, 1)
    for _ in range(STEPS):
        moved.requires_grad_(True)
        loss = sign * functional.cross_entropy(logits(moved), target)
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = moved.detach() + epsilon / 4 * gradient.sign()
        moved = torch.minimum(torch.maximum(moved, clean - epsilon), clean + epsilon).clamp(0, 1)
    pixels = (moved[0].permute(1, 2, 0) * 255).round().byte().numpy()
    return Image.fromarray(pixels)


def encode(pipeline: Any, image: Image.Image, defence: str) -> dict[str, Any]:
    """Return label map, bytes and seconds of a picture, whose labels come from what a defence leaves of it."""
    started = time.process_time()
    payload = pipeline.analyze(image)
    if defence != "none":
        labels = pipeline.analyze(DEFENCES[defence](image)).label_map
        payload = replace(payload, labels=LabelLayer(labels, payload.labels.taxonomy_name))
    num_bytes = len(bitstream.encode(payload))
    return {"payload": payload, "bytes": num_bytes, "seconds": time.process_time() - started}


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Return the PSNR of two RGB pictures in dB."""
    error = np.mean((np.asarray(first, np.float64) - np.asarray(second, np.float64)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def measure(pipeline: Any, image: Image.Image, *, draw: bool) -> list[dict[str, Any]]:
    """Return what each attack does under each defence to one picture; ε = 0 is the defence alone."""
    reference = encode(pipeline, image, "none")
    before_db = psnr(drawn(pipeline, reference["payload"]), image) if draw else None
    results = []
    for epsilon, aim in ((0.0, "labels"), *((epsilon, "labels") for epsilon in EPSILONS), (EPSILONS[-1], "bytes")):
        attacked = attack(pipeline, image, epsilon, aim) if epsilon else image
        budgeted = len(pipeline.compress(attacked, max_bytes=BUDGET))
        for defence in DEFENCES:
            encoded = encode(pipeline, attacked, defence)
            entry = {
                "epsilon_255": round(255 * epsilon),
                "aim": aim,
                "defence": defence,
                "changed_cells": float(np.mean(encoded["payload"].label_map != reference["payload"].label_map)),
                "bytes": encoded["bytes"],
                "bytes_before": reference["bytes"],
                "bytes_under_budget": budgeted,
                "seconds": encoded["seconds"],
                "seconds_before": reference["seconds"],
            }
            if draw:
                entry |= {"psnr_db": psnr(drawn(pipeline, encoded["payload"]), image), "psnr_before_db": before_db}
            results.append(entry)
    return results


def drawn(pipeline: Any, payload: SemanticPayload) -> Image.Image:
    """Return what is drawn of a payload in one step."""
    return pipeline([payload], preset="fast").images[0]


def most_bytes(pipeline: Any, image: Image.Image) -> int:
    """Return the bytes of a file like that of a picture whose cells each show a class at random."""
    payload = pipeline.analyze(image)
    classes = payload.labels.taxonomy.num_classes
    labels = np.random.default_rng(0).integers(0, classes, payload.label_map.shape).astype(np.uint8)
    return len(bitstream.encode(replace(payload, labels=LabelLayer(labels, payload.labels.taxonomy_name))))


def summarize(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return means, and the most, over pictures, for each attack and defence."""
    rows, names = [], ("epsilon_255", "aim", "defence")
    for key in dict.fromkeys(tuple(entry[name] for name in names) for entry in results):
        group = [entry for entry in results if tuple(entry[name] for name in names) == key]
        row: dict[str, Any] = {**dict(zip(names, key, strict=True)), "pictures": len(group)}
        for name in [name for name in group[0] if name not in names]:
            row[name] = round(statistics.fmean(entry[name] for entry in group), 4)
        row["most_bytes"] = max(entry["bytes"] for entry in group)
        row["most_bytes_under_budget"] = max(entry["bytes_under_budget"] for entry in group)
        rows.append(row)
    return rows


def main() -> None:
    """Read the arguments, attack, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders of photographs")
    parser.add_argument("--limit", type=int, default=30, help="pictures in all")
    parser.add_argument("--pipeline", default="landscape-256")
    parser.add_argument("--draw", action="store_true", help="draw the pictures too, in one step")
    parser.add_argument("--output", type=Path, help="JSON file")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    pipeline = SemanticCompressionPipeline.from_pretrained(arguments.pipeline)
    pipeline.set_progress_bar_config(disable=True)
    paths = [
        path for folder in arguments.images for path in sorted(folder.rglob("*")) if path.suffix in (".jpg", ".png")
    ]
    results = []
    for path in paths[: arguments.limit]:
        image = Image.open(path).convert("RGB")
        side = min(image.size)
        square = image.crop((0, 0, side, side)).resize((SIDE, SIDE))
        results += measure(pipeline, square, draw=arguments.draw)
        report = {
            "command": " ".join(["python", "eval/adversarial.py", *sys.argv[1:]]),
            "commit": commit(),
            "platform": platform.platform(),
            "bytes_of_random_classes": most_bytes(pipeline, square),
            "means": summarize(results),
        }
        if arguments.output:  # after each picture, so that a run may be ended early
            arguments.output.write_text(json.dumps(report, indent=1) + "\n")
        logger.info("%s", path.name)
    for row in summarize(results):
        logger.info("%s", row)


if __name__ == "__main__":
    main()
