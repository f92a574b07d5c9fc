"""Measure how long everything takes, cold and warm, in one run: commands, loading, segmenting, coding, every drawing.

    python eval/speed.py --image pipelines/landscape.jpg --output eval/results/speed.json

`wall` is what a user waits, `processor` what all threads together took: where other work runs on the machine, the
second tells more. A command is a new process each time, a call runs in one process; `first` is the first of them, the
others are medians. `variants` draw one picture in other ways of computing it, and say by how much it then differs.
Writes OUTPUT and a table beside it, with the suffix `.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, bitstream
from sgc_diffusion.analysis.image_input import open_image
from sgc_diffusion.atomic_file import atomic_path
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.evaluation.metrics.distortion import psnr
from sgc_diffusion.payload.recipe import PRESETS
from sgc_diffusion.synthesis.likeness_image import likeness_image
from sgc_diffusion.synthesis.preview import preview

PIPELINE = "landscape-256"
SIZES = ((256, 256), (512, 512), (720, 480))
DRAWN = tuple(name for name in ("fast", "standard", "fine") if name in PRESETS)
ANCHOR = {  # https://arxiv.org/abs/2604.12525
    "part": "CoD-Lite, decode, as published (AMD EPYC)",
    "size": "720×480",
    "wall": 0.065,
}
LOAD = "from sgc_diffusion import SemanticCompressionPipeline as P; P.from_pretrained({name!r}{options})"
Row = dict[str, Any]


def measure(part: str, size: str, run: Callable[[], object], repetitions: int) -> Row:
    """Return a row: seconds of the first call of a function, and medians of some more."""
    walls, processors = [], []
    for _ in range(repetitions + 1):
        wall, processor = time.perf_counter(), _processor_seconds()
        run()
        walls.append(time.perf_counter() - wall)
        processors.append(_processor_seconds() - processor)
    later = walls[1:] or walls, processors[1:] or processors
    row = {"part": part, "size": size, "first": walls[0], "wall": statistics.median(later[0])}
    return row | {"processor": statistics.median(later[1]), "repetitions": repetitions}


def _processor_seconds() -> float:
    """Return what this process and those that it waited for have used so far."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def measure_commands(picture: Path, folder: Path, repetitions: int) -> Iterator[Row]:
    """Yield rows of whole commands on a picture and its file, and of loading from Python."""
    file, out = folder / "picture.sgc", folder / "out.png"
    sgc = [sys.executable, "-m", "sgc_diffusion"]
    commands = {
        "sgc compress": [*sgc, "compress", picture, "-o", file, "--force"],
        **{
            f"sgc decompress --preset {name}": [*sgc, "decompress", file, "-o", out, "--force", "--preset", name]
            for name in DRAWN
        },
        "sgc decompress --decoder likeness": [*sgc, "decompress", file, "-o", out, "--force", "--decoder", "likeness"],
        "sgc preview": [*sgc, "preview", file, "-o", out, "--force"],
        "from_pretrained in a new process": [sys.executable, "-c", LOAD.format(name=PIPELINE, options="")],
        "the same, segmenter=False": [sys.executable, "-c", LOAD.format(name=PIPELINE, options=", segmenter=False")],
    }
    with Image.open(picture) as image:
        size = f"{image.width}×{image.height}"
    for part, command in commands.items():
        words = [str(word) for word in command]
        yield measure(
            part, size, lambda words=words: subprocess.run(words, check=True, capture_output=True), repetitions
        )


def measure_calls(pipe: Any, image: Image.Image, repetitions: int) -> Iterator[Row]:
    """Yield rows of calls in this process on one picture."""
    size = f"{image.width}×{image.height}"
    data = pipe.compress(image)
    payload = bitstream.decode(data)
    calls: dict[str, Callable[[], object]] = {
        "segmenter": lambda: pipe._segment([image], 1024),
        "compress": lambda: pipe.compress(image),
        "encode": lambda: bitstream.encode(payload),
        "decode": lambda: bitstream.decode(data),
        "likeness": lambda: likeness_image(payload),
        "preview": lambda: preview(payload, len(data)),
    }
    calls |= {f"draw, {name}": lambda name=name: pipe(payload, preset=name) for name in DRAWN}
    for part, run in calls.items():
        yield measure(part, size, run, repetitions)


@contextmanager
def compiled(pipe: Any) -> Iterator[None]:
    """Let torch compile what draws, while the block runs."""
    kept = pipe.unet.forward, pipe.vae.decode
    pipe.unet.forward, pipe.vae.decode = torch.compile(kept[0]), torch.compile(kept[1])
    try:
        yield
    finally:
        pipe.unet.forward, pipe.vae.decode = kept


@contextmanager
def channels_last(pipe: Any) -> Iterator[None]:
    """Lay out weights as maps of pixels with all their channels, while the block runs."""
    networks = pipe.unet, pipe.vae, pipe.few_step_head
    try:
        for network in networks:
            network.to(memory_format=torch.channels_last)
        yield
    finally:
        for network in networks:
            network.to(memory_format=torch.contiguous_format)


def autocast(pipe: Any) -> Any:
    """Compute in bfloat16 where torch thinks that it may."""
    return torch.autocast("cpu", torch.bfloat16)


@contextmanager
def both(pipe: Any) -> Iterator[None]:
    """Compute in bfloat16, channels last."""
    with channels_last(pipe), autocast(pipe):
        yield


VARIANTS = {"channels last": channels_last, "bfloat16": autocast, "bfloat16, channels last": both, "compiled": compiled}


def measure_variants(pipe: Any, image: Image.Image, repetitions: int, names: list[str]) -> Iterator[Row]:
    """Yield rows of one picture drawn in other ways, with how far it is from what is drawn as it is."""
    payload, size = bitstream.decode(pipe.compress(image)), f"{image.width}×{image.height}"
    for preset in DRAWN[:2]:
        plain = pipe(payload, preset=preset).images[0]
        yield measure(f"draw, {preset}, as it is", size, lambda p=preset: pipe(payload, preset=p), repetitions)
        for name in names:
            with VARIANTS[name](pipe):
                row = measure(f"draw, {preset}, {name}", size, lambda p=preset: pipe(payload, preset=p), repetitions)
                drawn = pipe(payload, preset=preset).images[0]
            levels = np.abs(np.asarray(plain, int) - np.asarray(drawn, int)).max()
            yield row | {"most_levels": int(levels), "psnr_db": psnr(plain, drawn)}


def table(result: dict[str, Any]) -> str:
    """Return the rows as Markdown."""
    lines = [f"`{result['command']}`, commit {result['commit']}; {result['platform']}; {result['threads']} thread(s); "
             f"load of the machine {result['load'][0]:.1f}.", "",
             "| | picture | first, s | wall, s | processor, s | differs by |", "|---|---|---|---|---|---|"]  # fmt: skip
    for row in [*result["commands"], *result["calls"], *result["variants"], ANCHOR]:
        seconds = [f"{row[key]:.3g}" if key in row else "–" for key in ("first", "wall", "processor")]
        differs = f"{row['psnr_db']:.1f} dB, {row['most_levels']} levels" if "psnr_db" in row else ""
        lines.append(f"| {row['part']} | {row['size']} | {' | '.join(seconds)} | {differs} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, required=True, help="a photograph; its middle is cut to each size")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--repetitions", type=int, default=5, help="after the first; default %(default)s")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of torch; default: all")
    parser.add_argument("--variants", nargs="*", choices=list(VARIANTS), default=list(VARIANTS), help="default: all")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # of the commands
    torch.set_num_threads(arguments.threads)
    pipe: Any = SemanticCompressionPipeline.from_pretrained(PIPELINE)
    pipe.set_progress_bar_config(disable=True)
    pictures = [_cut(open_image(arguments.image).convert("RGB"), *size) for size in SIZES]
    with tempfile.TemporaryDirectory() as name:
        small = Path(name) / "picture.png"
        pictures[0].save(small)
        result = {
            "command": " ".join(["python", *sys.argv]),
            "commit": commit(),
            "platform": f"{platform.platform()}, {_processor()}, torch {torch.__version__}",
            "threads": arguments.threads,
            "load": os.getloadavg(),
            "commands": list(measure_commands(small, Path(name), arguments.repetitions)),
            "calls": [row for picture in pictures for row in measure_calls(pipe, picture, arguments.repetitions)],
            "variants": [
                row
                for picture in pictures[:2]
                for row in measure_variants(pipe, picture, arguments.repetitions, arguments.variants)
            ],
            "published": ANCHOR,
        }
    for path, text in (
        (arguments.output, json.dumps(result, indent=1, ensure_ascii=False) + "\n"),
        (arguments.output.with_suffix(".md"), table(result)),
    ):
        with atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")
    print(table(result))


def _cut(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return the middle of a picture in the proportions of a size, at that size."""
    scale = min(image.width / width, image.height / height)
    left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
    box = (left, top, left + width * scale, top + height * scale)
    return image.resize((width, height), Image.Resampling.LANCZOS, box=box)


def _processor() -> str:
    """Return what the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    main()
