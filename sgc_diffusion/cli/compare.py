"""`sgc compare`: a picture beside what files of it show, with bytes and metrics; other codecs at the same bytes."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream.header import MAGIC
from sgc_diffusion.cli.arguments import add_command, not_empty
from sgc_diffusion.cli.batch import notices
from sgc_diffusion.cli.devices import device_name
from sgc_diffusion.cli.errors import CommandError, UsageError
from sgc_diffusion.cli.inputs import FILE_SUFFIX, STANDARD_STREAM, Source, readable
from sgc_diffusion.cli.messages import NORMAL, logger
from sgc_diffusion.cli.outputs import STDOUT_NAMES, write_sheet
from sgc_diffusion.cli.streams import write_json, write_line

if TYPE_CHECKING:
    from PIL import Image

DRAWN, PREVIEW, LIKENESS = "drawn", "preview", "likeness"
SHEET_SUFFIX = ".compare.png"
SMALLEST_FOR_SSIM = 11  # pixels, its window


def add_compare(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    summary = "Show a picture beside what files of it show, with bytes and metrics."
    parser = add_command(commands, "compare", summary, compare)
    add = parser.add_argument
    add("original", metavar="ORIGINAL", type=not_empty, help="the picture before it was compressed; - is stdin")
    add(
        "files",
        metavar="FILE",
        nargs="+",
        type=not_empty,
        help=".sgc files of it, pictures of other codecs, - for stdin",
    )
    add(
        "-o",
        "--output",
        type=not_empty,
        help="the sheet; - is standard output, the default if ORIGINAL is -; else ORIGINAL.compare.png",
    )
    add(
        "--codecs",
        type=not_empty,
        help="such as webp,jpeg: each at the bytes of the first FILE, reduced as is best",
    )
    add("--decoder", choices=[DRAWN, PREVIEW, LIKENESS], default=DRAWN, help="of .sgc files; default: %(default)s")
    add("--pipeline", type=not_empty, help="that draws; default: the one that the file names")
    add("--device", type=device_name, default="auto", help="cpu, cuda, cuda:1, mps; default: a GPU if any")
    add("--json", action="store_true", help="one JSON object a line and panel")


def compare(arguments: argparse.Namespace) -> int:
    """Write the sheet and tell the metrics; return 0.

    Raises:
        CommandError, ValueError, OSError: a file cannot be read, or the sheet cannot be written.
    """
    from sgc_diffusion.analysis.image_input import open_image
    from sgc_diffusion.cli.sheets import Panel, contact_sheet

    target = _target(arguments)
    with readable(_source(arguments.original)) as path:
        original = open_image(path)
    name = "stdin" if arguments.original == STANDARD_STREAM else Path(arguments.original).name
    panels, results = [Panel(original, [name, f"{original.width} x {original.height}"])], []
    for name, image, num_bytes in _candidates(arguments, original):
        metrics = measure(original, image)
        texts = [f"{metric} {value:.3g}{' dB' * (metric == 'PSNR')}" for metric, value in metrics.items()]
        rate_bpp = 8 * num_bytes / (original.width * original.height)
        panels.append(Panel(image, [name, f"{num_bytes} bytes, {rate_bpp:.4f} bpp", ", ".join(texts)]))
        results.append({"input": name, "output": target, "bytes": num_bytes, "bpp": rate_bpp, **metrics})
    write_sheet(contact_sheet(panels), target)
    for result, panel in zip(results, panels[1:], strict=True):
        if arguments.json:
            write_json(result)
        elif logger.isEnabledFor(NORMAL):
            write_line(": ".join((panel.lines[0], ", ".join(panel.lines[1:]))), to_stderr=target in STDOUT_NAMES)
    return 0


def _target(arguments: argparse.Namespace) -> str:
    """Return where the sheet goes.

    Raises:
        UsageError: two things are to come from standard input, or to go to standard output.
    """
    if [arguments.original, *arguments.files].count(STANDARD_STREAM) > 1:
        raise UsageError("standard input holds one picture or file; give the others names")
    default = f"{Path(arguments.original).with_suffix('')}{SHEET_SUFFIX}"
    target = arguments.output or (STANDARD_STREAM if arguments.original == STANDARD_STREAM else default)
    if arguments.json and target in STDOUT_NAMES:
        raise UsageError("--json and the sheet cannot both go to standard output; give -o another place")
    if target in STDOUT_NAMES and sys.stdout.isatty():
        raise UsageError("the sheet would go to the terminal; redirect standard output, or give -o another place")
    return target


def _source(name: str) -> Source:
    """Return a file that the user named, or standard input."""
    return Source(name, None if name == STANDARD_STREAM else Path(name), Path(name))


def _candidates(arguments: argparse.Namespace, original: Image.Image) -> Any:
    """Yield name, picture of the original's size, and bytes, of each file and codec."""
    from sgc_diffusion.analysis.image_input import open_image

    first_bytes = None
    for name in arguments.files:
        with readable(_source(name)) as path:
            data = path.read_bytes()
            is_sgc = path.suffix.lower() == FILE_SUFFIX or (name == STANDARD_STREAM and data.startswith(MAGIC))
            image = _decode(name, data, arguments) if is_sgc else open_image(path)
        first_bytes = first_bytes or len(data)
        if image.size != original.size:
            image = image.resize(original.size)  # bicubic
        yield "stdin" if name == STANDARD_STREAM else path.name, image, len(data)
    for name in arguments.codecs.split(",") if arguments.codecs else ():
        yield _code(name.strip(), original, first_bytes or 1)


def _decode(name: str, data: bytes, arguments: argparse.Namespace) -> Image.Image:
    """Return what a .sgc file shows by the chosen decoder."""
    from sgc_diffusion.cli.pipelines import load_pipeline
    from sgc_diffusion.synthesis.likeness_image import likeness_image
    from sgc_diffusion.synthesis.preview import preview

    summary = bitstream.inspect(data)
    if summary.is_encrypted:
        raise CommandError(f"{name}: is encrypted; unseal it first: sgc recode --unseal")
    if arguments.decoder != DRAWN:
        payload = bitstream.decode(data)
        return preview(payload) if arguments.decoder == PREVIEW else likeness_image(payload)
    pipeline = load_pipeline(arguments.pipeline or summary.recipe.profile, arguments.device)
    with notices() as texts:
        image = pipeline.decompress(data).images[0]
    for text in texts:
        logger.info("%s: %s", name, text)
    return image


def _code(name: str, original: Image.Image, budget_bytes: int) -> tuple[str, Image.Image, int]:
    """Return name, picture and bytes of a codec's best file of so many bytes, reduced if that is better."""
    from sgc_diffusion.evaluation.codecs import ANCHORS, make_codec

    if name not in ANCHORS:
        raise UsageError(f"--codecs: {name!r} is none of {', '.join(ANCHORS)}")
    codec = make_codec(f"{name}-down@{budget_bytes}")
    codec.require()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "file")
        codec.encode(original, path)
        return f"{name}, reduced", codec.decode_image(path), path.stat().st_size


def measure(original: Image.Image, decoded: Image.Image) -> dict[str, float]:
    """Return metric → value of two RGB pictures of one size: PSNR in dB, `sharpness`, the gradients' share of the
    original's, and SSIM where the extra eval is installed.
    """
    from sgc_diffusion.evaluation.metrics.distortion import gradient_magnitude, psnr, ssim

    first, second = np.asarray(original), np.asarray(decoded.convert("RGB"))
    metrics = {"PSNR": psnr(first, second)}
    if min(original.size) >= SMALLEST_FOR_SSIM and importlib.util.find_spec("torchmetrics") is not None:
        metrics["SSIM"] = ssim(first, second)
    if min(original.size) > 1:
        metrics["sharpness"] = gradient_magnitude(decoded) / max(gradient_magnitude(original), 1e-6)
    return metrics
