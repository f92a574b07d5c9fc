"""What a round trip keeps: sizes, colors, labels, sharpness and time, on files that another process decoded.

    python eval/round_trip_quality.py --images FOLDER [--limit 100] [--output eval/results/round_trip/NAME.json]

Each picture is compressed to a file; one `sgc decompress` process draws all files; then, per picture:
size_bytes and rate_bpp (file on disk over the original's pixels); color_psnr_db (drawn picture averaged to the grid of
the color map that was sent, against that map); label_agreement (share of cells where the pipeline's segmenter finds in
the drawn picture what was sent); gradient_ratio (mean gradient magnitude of the luma, drawn over original).
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, decode
from sgc_diffusion.analysis.image_input import open_image
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.evaluation.metrics.distortion import gradient_magnitude, psnr
from sgc_diffusion.evaluation.pictures import find_pictures


def measure(pipe: SemanticCompressionPipeline, original: Image.Image, drawn: Image.Image, data: bytes) -> dict:
    """Return the figures of one picture."""
    sent, again = decode(data), pipe.analyze(drawn)
    rows, columns = sent.color_map.shape[:2]
    return {
        "size_bytes": len(data),
        "rate_bpp": 8 * len(data) / (original.width * original.height),
        "color_psnr_db": psnr(sent.color_map, drawn.resize((columns, rows), Image.Resampling.BOX)),
        "label_agreement": float((again.label_map == sent.label_map).mean()),
        "gradient_ratio": gradient_magnitude(drawn) / max(1e-9, gradient_magnitude(original)),
        "same_size": drawn.size == original.size,
    }


def time_decode(pipe: SemanticCompressionPipeline, image: Image.Image) -> float:
    """Return the median seconds of three 256×256 decodes with 20 steps, once loaded."""
    data = pipe.compress(image.resize((256, 256)))
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        pipe.decompress(data, num_inference_steps=20)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def summarize(rows: list[dict]) -> dict:
    """Return mean, lowest and highest of every figure, and the shares that meet the round trip's bounds."""
    summary = {}
    for name in ("size_bytes", "rate_bpp", "color_psnr_db", "label_agreement", "gradient_ratio"):
        values = [row[name] for row in rows]
        summary[name] = {"mean": statistics.fmean(values), "min": min(values), "max": max(values)}
    bounds = {
        "same_size": lambda row: row["same_size"],
        "color_psnr_db >= 22": lambda row: row["color_psnr_db"] >= 22,
        "label_agreement >= 0.65": lambda row: row["label_agreement"] >= 0.65,
        "0.5 <= gradient_ratio <= 2": lambda row: 0.5 <= row["gradient_ratio"] <= 2,
    }
    summary["share_within"] = {name: statistics.fmean(map(is_within, rows)) for name, is_within in bounds.items()}
    return summary


def main() -> None:
    """Compress, decode elsewhere, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", nargs="+", required=True, help="files, folders or patterns")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--pipeline", default="landscape-256")
    parser.add_argument("--output", type=Path, help="JSON with every row")
    parser.add_argument("--keep", type=Path, help="folder for the files and the drawn pictures")
    arguments = parser.parse_args()
    sources = find_pictures(arguments.images, arguments.limit)
    pipe = SemanticCompressionPipeline.from_pretrained(arguments.pipeline)
    pipe.set_progress_bar_config(disable=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        originals = {name: open_image(source) for name, source in sources.items()}
        for name, image in originals.items():
            (folder / f"{name}.sgc").write_bytes(pipe.compress(image))
        command = [sys.executable, "-m", "sgc_diffusion.cli", "decompress", str(folder), "-o", str(folder), "--force"]
        subprocess.run([*command, "--pipeline", arguments.pipeline], check=True, stdout=subprocess.DEVNULL)
        rows = []
        for name, image in originals.items():
            with Image.open(folder / f"{name}.decoded.png") as drawn:
                figures = measure(pipe, image, drawn.convert("RGB"), (folder / f"{name}.sgc").read_bytes())
            rows.append({"image": name, "width": image.width, "height": image.height, **figures})
    report = {
        "command": " ".join(["python", *sys.argv]),
        "commit": commit(),
        "platform": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "num_images": len(rows),
        "summary": summarize(rows),
        "seconds_decode_256_20_steps": time_decode(pipe, next(iter(originals.values()))),
    }
    print(json.dumps(report, indent=1))
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps({**report, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
