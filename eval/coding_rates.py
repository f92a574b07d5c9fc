"""Measure what label maps, color maps and whole files cost, beside general codecs.

    python eval/coding_rates.py --data DIR --output eval/results/coding_rates.json

DIR holds `sflckr` and `coco` (NAME.jpg with NAME.png of COCO-Stuff ids minus one, 255 unlabeled) and `ade20k`
(NAME.png of ADE20K ids, 0 unlabeled). A picture's center square is taken at 512×512 and each cell of a grid takes
the label that most of its pixels have. General codecs get the labels renumbered from 0 and are charged one byte for
each label's name.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import platform
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pillow_jxl  # noqa: F401 - registers JPEG XL with Pillow
from PIL import Image
from scipy.ndimage import distance_transform_edt

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.grid import vote
from sgc_diffusion.analysis.simplification import drop_islands
from sgc_diffusion.bitstream.color_stream import encode_color, write_color
from sgc_diffusion.bitstream.label_stream import encode_labels, write_labels
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.evaluation.metrics.distortion import psnr
from sgc_diffusion.evaluation.pictures import center_square
from sgc_diffusion.payload import ColorLayer, LabelLayer, SemanticPayload, color_transform
from sgc_diffusion.payload.grid import enlarge

SIDE, COLOR_SIDE, GRIDS = 512, 16, (32, 64, 128)
SETS = {"sflckr": ("coco-stuff-182", 255, 0), "coco": ("coco-stuff-182", 255, 0), "ade20k": ("ade20k-150", 0, 1)}


class CodeLength:
    """Stands in for a range encoder and adds up the ideal code length."""

    def __init__(self) -> None:
        self.bits = 0.0

    def encode(self, bit: int, probability: int) -> None:
        """Add one decision."""
        self.bits -= math.log2((probability if bit else 65536 - probability) / 65536)

    def encode_many(self, bits: list[int], probabilities: list[int]) -> None:
        """Add several."""
        for bit, probability in zip(bits, probabilities, strict=True):
            self.encode(bit, probability)

    def narrow(self, start: int, size: int, total: int) -> None:
        """Add a symbol."""
        self.bits -= math.log2(size / total)


def majority(labels: np.ndarray, grid: int, void: int) -> np.ndarray:
    """Return (grid, grid): the label of most pixels of each cell; cells without any take that of the nearest."""
    weights = np.ones(256)
    weights[void] = 0
    voted = vote(labels, grid, grid, weights)
    _, nearest = distance_transform_edt(voted == void, return_indices=True)
    return voted[tuple(nearest)]


def saved_bytes(array: np.ndarray, codec: str, **options: object) -> int:
    """Return the size of an array as a file of a general codec."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, codec, **options)
    return len(stream.getvalue())


LOSSLESS: dict[str, Callable[[np.ndarray], int]] = {
    "png": lambda array: saved_bytes(array, "PNG", optimize=True),
    "zlib": lambda array: len(zlib.compress(array.tobytes(), 9)),
    "webp": lambda array: saved_bytes(array, "WEBP", lossless=True, quality=100, method=6),
    "jxl": lambda array: saved_bytes(array, "JXL", lossless=True, effort=9),
    "avif": lambda array: saved_bytes(array, "AVIF", quality=100, speed=0, subsampling="4:4:4"),
}


def label_rates(labels: np.ndarray, name: str, void: int, first: int) -> dict[str, dict[str, float]]:
    """Return bytes by grid and codec; `ideal` is the code length of our own model."""
    rates = {}
    for grid in GRIDS:
        label_map = (majority(labels, grid, void) - first).astype(np.uint8)
        present, dense = np.unique(label_map, return_inverse=True)
        dense = dense.reshape(label_map.shape).astype(np.uint8)
        counter = CodeLength()
        write_labels(counter, label_map, name)  # type: ignore[arg-type]
        sizes = {codec: float(len(present) + measure(dense)) for codec, measure in LOSSLESS.items()}
        rates[str(grid)] = {"ours": len(encode_labels(label_map, name)), "ideal": counter.bits / 8} | sizes
    return rates


def color_rates(color_map: np.ndarray) -> dict[str, dict[str, float]]:
    """Return bytes and PSNR at several of our qualities, and of general codecs: lossless, and lossy at 31 dB."""
    rates = {}
    for quality in (24, 28, color_transform.DEFAULT_QUALITY, 36, 40, 48):
        levels = color_transform.quantize(color_map, quality)
        counter = CodeLength()
        write_color(counter, levels, quality)  # type: ignore[arg-type]
        restored = color_transform.dequantize(levels, quality)
        rates[f"ours quality {quality}"] = {
            "bytes": len(encode_color(levels, quality)),
            "ideal": counter.bits / 8,
            "psnr_db": psnr(color_map, restored),
        }
    rates |= {f"{codec} lossless": {"bytes": float(measure(color_map))} for codec, measure in LOSSLESS.items()}
    for codec in ("JPEG", "WEBP", "JXL", "AVIF"):
        rates[f"{codec.lower()} at 31 dB"] = _cheapest(color_map, codec)
    return rates


def _cheapest(color_map: np.ndarray, codec: str) -> dict[str, float]:
    for quality in range(10, 100, 2):
        stream = io.BytesIO()
        Image.fromarray(color_map).save(stream, codec, quality=quality)
        reached = psnr(color_map, np.asarray(Image.open(io.BytesIO(stream.getvalue())).convert("RGB")))
        if reached >= 31:
            return {"bytes": len(stream.getvalue()), "psnr_db": reached}
    return {"bytes": math.nan, "psnr_db": math.nan}


def file_rates(labels: np.ndarray, color_map: np.ndarray, name: str, void: int) -> dict[str, float]:
    """Return bytes of each part of a whole file of a 32×32 and a 16×16 map, and the time to write and read it.

    WebP's time is that for both maps, losslessly.
    """
    label_layer = LabelLayer(majority(labels, 32, void), name)
    color = ColorLayer.from_color_map(color_map, color_transform.DEFAULT_QUALITY)
    payload = SemanticPayload(SIDE, SIDE, label_layer, color)
    data = bitstream.encode(payload)
    summary, streams = bitstream.inspect(data), webp([label_layer.label_map, color_map])
    return {
        "file": len(data),
        "header": summary.header_bytes,
        **summary.layer_bytes,
        "bpp": 8 * len(data) / SIDE**2,
        "encode_ms": _best_ms(lambda: bitstream.encode(payload)),
        "decode_ms": _best_ms(lambda: bitstream.decode(data)),
        "webp_lossless_encode_ms": _best_ms(lambda: webp([label_layer.label_map, color_map])),
        "webp_lossless_decode_ms": _best_ms(lambda: [np.asarray(Image.open(stream)) for stream in streams]),
    }


def webp(maps: list[np.ndarray]) -> list[io.BytesIO]:
    """Return maps as lossless WebP files."""
    streams = [io.BytesIO() for _ in maps]
    for array, stream in zip(maps, streams, strict=True):
        Image.fromarray(array).save(stream, "WEBP", lossless=True, quality=100, method=6)
    return streams


def _best_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(7):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


def island_rates(labels: np.ndarray, name: str, void: int) -> dict[str, dict[str, float]]:
    """Return bytes of the 32×32 labels and share of pixels that they tell rightly, by the size of dropped islands."""
    coarse, rates = majority(labels, 32, void), {}
    for min_cells in (0, 2, 3, 4, 6, 8):
        label_map = drop_islands(coarse, min_cells)
        agreement = float((enlarge(label_map, SIDE, SIDE) == labels)[labels != void].mean())
        rates[f"under {min_cells} cells"] = {"bytes": len(encode_labels(label_map, name)), "agreement": agreement}
    return rates


def read_pictures(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield label map (512, 512) and color map (16, 16, 3) of every picture of a set."""
    for path in sorted(folder.glob("*.png")):
        photo = Image.open(path.with_suffix(".jpg")).convert("RGB")
        photo = center_square(photo, SIDE, Image.Resampling.BICUBIC)
        color_map = np.asarray(photo.resize((COLOR_SIDE, COLOR_SIDE), Image.Resampling.BOX))
        yield np.asarray(center_square(Image.open(path), SIDE, Image.Resampling.NEAREST)), color_map


def mean(records: list) -> object:
    """Return the mean of equal nested dictionaries of numbers."""
    if isinstance(records[0], dict):
        return {key: mean([record[key] for record in records]) for key in records[0]}
    return round(float(np.nanmean(records)), 3)


def markdown(result: dict) -> str:
    """Return the result as tables."""
    lines = [f"`{result['command']}` at commit {result['commit']}, {result['platform']}. Mean bytes a picture.", ""]
    codecs = ["ours", "ideal", *LOSSLESS]
    lines += ["| label maps | grid | " + " | ".join(codecs) + " | ours / better of webp and jxl |"]
    lines += ["|---" * (len(codecs) + 3) + "|"]
    for folder in SETS:
        for grid, sizes in result[folder]["labels"].items():
            ratio = sizes["ours"] / min(sizes["webp"], sizes["jxl"])
            cells = [*(f"{sizes[codec]:.1f}" for codec in codecs), f"{ratio:.3f}"]
            lines.append(f"| {folder} | {grid} | " + " | ".join(cells) + " |")
    columns = " | ".join(f"{folder} bytes | dB" for folder in SETS)
    lines += ["", f"| color map 16×16 | {columns} |", "|---" * 7 + "|"]
    for codec in result["sflckr"]["color"]:
        entries = [result[folder]["color"][codec] for folder in SETS]
        cells = [f"{entry['bytes']:.1f} | {entry.get('psnr_db', math.inf):.2f}" for entry in entries]
        lines.append(f"| {codec} | " + " | ".join(cells) + " |")
    lines += ["", "| islands dropped, sflckr 32×32 | bytes | pixels told rightly |", "|---|---|---|"]
    for size, entry in result["sflckr"]["islands"].items():
        lines.append(f"| {size} | {entry['bytes']:.1f} | {entry['agreement']:.4f} |")
    whole = ", ".join(f"{name} {value:g}" for name, value in result["sflckr"]["file"].items())
    return "\n".join([*lines, "", f"Whole file on sflckr, labels 32×32 and colors 16×16: {whole}.", ""])


def main() -> None:
    """Read the arguments, measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("eval/results/coding_rates.json"))
    arguments = parser.parse_args()
    result: dict[str, object] = {
        "command": "python eval/coding_rates.py --data DIR",
        "commit": commit(),
        "platform": f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}",
    }
    for folder, (name, void, first) in SETS.items():
        pictures = list(read_pictures(arguments.data / folder))
        entry = {"num_pictures": len(pictures)}
        entry["labels"] = mean([label_rates(labels, name, void, first) for labels, _ in pictures])
        entry["color"] = mean([color_rates(color_map) for _, color_map in pictures])
        if folder == "sflckr":
            files = [file_rates(labels, color_map, name, void) for labels, color_map in pictures]
            entry["islands"] = mean([island_rates(labels, name, void) for labels, _ in pictures])
            entry["file"] = mean(files) | {"largest_file": max(rates["file"] for rates in files)}
        result[folder] = entry
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    arguments.output.with_suffix(".md").write_text(markdown(result), encoding="utf-8")
    json.dump(result, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
