"""Measure time and memory of lossless files of large pictures, each step in a process of its own.

    python eval/ladder_speed.py --images DIR --size 4000 3000 --output eval/results/ladder_speed.json

The picture is a mosaic of the photographs of a folder, cut to the size. Encoding is pixels → bytes of all sixteen
detail levels and of the last one alone, decoding bytes → pixels; reading and writing picture files is not counted.
Memory is the peak of the process, less what it held before the step, per pixel.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.detail import add_detail
from sgc_diffusion.payload import ColorLayer, DetailLevel, LabelLayer, SemanticPayload
from sgc_diffusion.payload.detail import FIRST_KIND, LOSSLESS, exact_state
from sgc_diffusion.synthesis.likeness import likeness

STEPS = ("encode", "decode", "encode-one", "decode-one")


def make_mosaic(folder: Path, width: int, height: int) -> np.ndarray:
    """Return (H, W, 3) uint8: the photographs of a folder in rows, repeated until they fill the size."""
    paths = sorted([*folder.rglob("*.png"), *folder.rglob("*.jpg")])
    if not paths:
        raise SystemExit(f"{folder} holds no .png or .jpg")
    mosaic, photos, top = np.empty((height, width, 3), np.uint8), cycle(paths), 0
    while top < height:
        left, lowest = 0, height
        while left < width:
            photo = np.asarray(Image.open(next(photos)).convert("RGB"))[: height - top, : width - left]
            mosaic[top : top + photo.shape[0], left : left + photo.shape[1]] = photo
            left, lowest = left + photo.shape[1], min(lowest, photo.shape[0])
        top += lowest
    return mosaic


def held_bytes() -> int:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def peak_bytes() -> int:
    """Return the most memory that this process has held."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def run_step(step: str, folder: Path) -> dict[str, float]:
    """Do one step on the files of a folder; return its seconds and its memory."""
    data_path = folder / ("one.sgc" if step.endswith("-one") else "all.sgc")
    picture = np.load(folder / "picture.npy")
    height, width = picture.shape[:2]
    if step.startswith("encode"):
        small = np.asarray(Image.fromarray(picture).resize((16, 16), Image.Resampling.BOX))
        labels = LabelLayer(np.zeros((1, 1), np.uint8), "landscape-24")
        plain = SemanticPayload(width, height, labels, ColorLayer.from_color_map(small, 32))
        held, started, spent = held_bytes(), time.perf_counter(), time.process_time()
        if step == "encode":
            payload = add_detail(plain, picture, LOSSLESS)
        else:
            state = exact_state(picture, plain.color_map, is_for_lossless=True)
            payload = plain.with_layers(DetailLevel(FIRST_KIND + LOSSLESS, state))
        data = bitstream.encode(payload)
        result = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - spent}
        peak = peak_bytes()
        data_path.write_bytes(data)
    else:
        data = data_path.read_bytes()
        held, started, spent = held_bytes(), time.perf_counter(), time.process_time()
        decoded = likeness(bitstream.decode(data, strict=True))
        result = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - spent}
        peak = peak_bytes()
        if not np.array_equal(decoded, picture):
            raise SystemExit("the file is not lossless")
    return {**result, "bytes": len(data), "bytes_per_pixel": (peak - held) / (width * height)}


def main() -> None:
    """Read the arguments, measure, and write the result."""
    if sys.argv[1:2] == ["--step"]:
        print(json.dumps(run_step(sys.argv[2], Path(sys.argv[3]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--size", type=int, nargs=2, default=(4000, 3000), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False)
    result: dict[str, object] = {
        "command": "python " + " ".join(sys.argv),
        "commit": commit.stdout.strip(),
        "platform": f"Python {platform.python_version()}, {platform.machine()}",
        "megapixels": arguments.size[0] * arguments.size[1] / 1e6,
    }
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "picture.npy", make_mosaic(arguments.images, *arguments.size))
        for step in STEPS:
            child = subprocess.run(
                [sys.executable, __file__, "--step", step, folder], capture_output=True, text=True, check=True
            )
            result[step] = {name: round(value, 2) for name, value in json.loads(child.stdout).items()}
    text = json.dumps(result, indent=1) + "\n"
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
