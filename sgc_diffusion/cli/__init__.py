"""The command `sgc`: compress, decompress, inspect and verify files.

`inspect` and `verify` read files without torch. Each file that fails gives one line on standard error; the others go
on. Exit codes: 0 all went well, 1 a file failed, 2 the command line was wrong.
"""

from __future__ import annotations

import argparse
import glob
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from sgc_diffusion import __version__, bitstream
from sgc_diffusion.atomic_file import atomic_path
from sgc_diffusion.cli.models import add_model_commands
from sgc_diffusion.payload.recipe import preset_values
from sgc_diffusion.taxonomy import load_taxonomy

if TYPE_CHECKING:
    from sgc_diffusion.pipeline import SemanticCompressionPipeline

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".jp2", ".ppm"}
FILE_SUFFIX = ".sgc"

EXAMPLES = """examples:
  sgc compress photo.jpg                      writes photo.sgc beside it
  sgc compress photos/ -o archive/            every picture of a folder
  sgc compress photo.jpg --max-bytes 80       the best that fits into 80 bytes
  sgc decompress photo.sgc -o picture.png     draws it
  sgc decompress photo.sgc --seed 7           draws it with other details
  sgc inspect photo.sgc                       what the file says, without drawing it
  sgc verify archive/ --json                  checks every file"""


class FileError(Exception):
    """A file that cannot be handled, with the one line that the user reads."""


def expand_inputs(patterns: Iterable[str], suffixes: set[str]) -> list[Path]:
    """Return the files that names, folders and glob patterns stand for, each once, in order.

    Args:
        patterns: file names, folders (searched for files with one of `suffixes`), or patterns such as `a/*.jpg`.
        suffixes: lower case, with the dot.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in suffixes and one.is_file())
            if not inside:
                raise FileError(f"{pattern}: the folder holds no {', '.join(sorted(suffixes))}")
            found.update(dict.fromkeys(inside))
        elif not path.exists() and glob.has_magic(pattern):
            found.update(dict.fromkeys(Path(one) for one in sorted(glob.glob(pattern, recursive=True))))
            if not glob.glob(pattern, recursive=True):
                raise FileError(f"{pattern}: no file matches")
        else:
            found[path] = None
    return list(found)


def output_path(source: Path, output: str | None, several: bool, suffix: str) -> Path:
    """Return where the result for `source` goes: beside it, into the folder `output`, or to the file `output`."""
    if output is None:
        return source.with_suffix(suffix)
    target = Path(output)
    if several or target.is_dir() or output.endswith(("/", os.sep)):
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{output}: cannot be made a folder: {error.strerror}") from error
        return target / source.with_suffix(suffix).name
    return target


def check_free(path: Path, force: bool) -> None:
    """Raise FileError where writing `path` would overwrite something unasked."""
    if path.exists() and not force:
        raise FileError(f"{path}: exists already; give --force to overwrite it, or -o another place")


def read_key(path: str | None) -> bytes | None:
    """Return the key that a file holds, None for no file."""
    return None if path is None else bitstream.parse_key(Path(path).read_bytes())


def load_pipeline(name: str, device: str | None, segmenter: str | None = None) -> SemanticCompressionPipeline:
    """Load a pipeline without its progress bars."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()  # it tells every user without torchvision about image processors
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it misses kernels that are not used here
    from sgc_diffusion.pipeline import SemanticCompressionPipeline

    pipeline = SemanticCompressionPipeline.from_pretrained(name, segmenter=segmenter)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device) if device else pipeline


def compress_command(arguments: argparse.Namespace) -> int:
    """`sgc compress`."""
    from sgc_diffusion.analysis.image_input import open_image

    inputs, key = expand_inputs(arguments.inputs, IMAGE_SUFFIXES), read_key(arguments.key_file)
    pipeline = load_pipeline(arguments.pipeline, arguments.device, arguments.segmenter)

    def compress_one(source: Path) -> dict[str, Any]:
        target = output_path(source, arguments.output, len(inputs) > 1, FILE_SUFFIX)
        check_free(target, arguments.force)
        image = open_image(source)
        started = time.perf_counter()
        budget = {"max_bytes": arguments.max_bytes, "target_bpp": arguments.bpp}
        options = {"preset": arguments.preset, "key": key, "num_candidates": arguments.candidates}
        data = pipeline.compress(image, **options, **budget)
        seconds = time.perf_counter() - started
        with atomic_path(target) as temporary:
            temporary.write_bytes(data)
        rate_bpp = 8 * len(data) / (image.width * image.height)
        return {"input": str(source), "output": str(target), "bytes": len(data), "bpp": rate_bpp, "seconds": seconds}

    return run_each(inputs, compress_one, "{output}: {bytes} bytes, {bpp:.5f} bpp, {seconds:.2f} s", arguments.json)


def decompress_command(arguments: argparse.Namespace) -> int:
    """`sgc decompress`."""
    inputs, key = expand_inputs(arguments.inputs, {FILE_SUFFIX}), read_key(arguments.key_file)
    import torch

    from sgc_diffusion.synthesis.provenance import save_image

    pipeline = load_pipeline(arguments.pipeline, arguments.device)
    given = {"num_inference_steps": arguments.steps, "strength": arguments.strength}
    given |= {"guidance_scale": arguments.guidance, "scheduler": arguments.scheduler}
    options = preset_values(arguments.preset) if arguments.preset else {}
    options |= {name: value for name, value in given.items() if value is not None}

    def decompress_one(source: Path) -> dict[str, Any]:
        target = output_path(source, arguments.output, len(inputs) > 1, ".decoded.png")
        check_free(target, arguments.force)
        data = source.read_bytes()
        generator = None if arguments.seed is None else torch.Generator("cpu").manual_seed(arguments.seed)
        started = time.perf_counter()
        image = pipeline.decompress(data, key=key, generator=generator, **options)[0][0]
        seconds = time.perf_counter() - started
        save_image(image, target)
        size = {"width": image.width, "height": image.height}
        return {"input": str(source), "output": str(target), "bytes": len(data), **size, "seconds": seconds}

    line = "{output}: {width}×{height} drawn from {bytes} bytes in {seconds:.2f} s"
    return run_each(inputs, decompress_one, line, arguments.json)


def inspect_command(arguments: argparse.Namespace) -> int:
    """`sgc inspect`."""
    key = read_key(arguments.key_file)

    def inspect_one(source: Path) -> dict[str, Any]:
        data = source.read_bytes()
        summary = bitstream.inspect(data, key=key)
        recipe = summary.recipe
        found: dict[str, Any] = {
            "file": str(source),
            "bytes": len(data),
            "bpp": 8 * len(data) / (summary.width * summary.height),
            "size": f"{summary.width}×{summary.height}",
            "format": summary.format_version,
            "encrypted": summary.is_encrypted,
            "layers": {"header": summary.header_bytes, **summary.layer_bytes},
            "recipe": {name: getattr(recipe, name) for name in recipe.__dataclass_fields__},
            "intact": summary.is_intact,
        }
        if summary.is_intact:
            payload = bitstream.decode(data, key=key)
            label_set = load_taxonomy(payload.labels.taxonomy_name)
            shares = np.bincount(payload.label_map.ravel(), minlength=label_set.num_classes) / payload.label_map.size
            order = [int(label) for label in np.argsort(-shares, kind="stable") if shares[label]]
            found["taxonomy"] = label_set.name
            found["labels"] = {label_set.names[label]: round(float(shares[label]), 4) for label in order}
            found["grids"] = {"labels": payload.label_map.shape, "color": payload.color_map.shape[:2]}
        return found

    return run_each(expand_inputs(arguments.inputs, {FILE_SUFFIX}), inspect_one, None, arguments.json)


def verify_command(arguments: argparse.Namespace) -> int:
    """`sgc verify`."""
    key = read_key(arguments.key_file)

    def verify_one(source: Path) -> dict[str, Any]:
        data = source.read_bytes()
        payload = bitstream.decode(data, key=key)
        if key is None and bitstream.encode(payload) != data:  # a sealed file has another nonce each time
            raise FileError("decodes, but not to what an encoder of this version would write")
        return {"file": str(source), "bytes": len(data), "intact": True}

    return run_each(expand_inputs(arguments.inputs, {FILE_SUFFIX}), verify_one, "{file}: intact", arguments.json)


def run_each(inputs: list[Path], handle: Callable[[Path], dict], line: str | None, as_json: bool) -> int:
    """Handle files one by one; print a line, an indented block or JSON each; return the exit code."""
    failures, results = 0, []
    for source in tqdm(inputs, disable=len(inputs) < 2 or not sys.stderr.isatty(), unit="file"):
        try:
            result = handle(source)
        except (FileError, ValueError, OSError, MemoryError) as error:
            failures += 1
            message = _one_line(error, source)
            results.append({"input": str(source), "error": message})
            tqdm.write(f"sgc: {message}", file=sys.stderr)
            continue
        results.append(result)
        if not as_json:
            tqdm.write(line.format(**result) if line else "\n".join(_block(result)))
    if as_json:
        print(json.dumps(results, indent=1, ensure_ascii=False))
    return 1 if failures else 0


def _one_line(error: Exception, source: Path) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    text = " ".join(text.split())
    return text if str(source) in text else f"{source}: {text}"


def _block(values: dict[str, Any], indent: str = "") -> Iterable[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _block(value, indent + "  ")
        else:
            yield f"{indent}{name}: {f'{value:.5f}' if name == 'bpp' else value}"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="sgc", description="Generative image codec.", epilog=EXAMPLES, formatter_class=raw
    )
    parser.add_argument("--version", action="version", version=f"sgc {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str, inputs: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, epilog=EXAMPLES, formatter_class=raw)
        command.add_argument("inputs", nargs="+", metavar=inputs, help="files, folders or patterns")
        command.add_argument("--json", action="store_true", help="print one JSON list instead of lines")
        command.add_argument("--key-file", help="32 bytes or 64 hexadecimal digits that seal the files (AES-256-GCM)")
        command.set_defaults(run=run)
        return command

    coders = [
        add("compress", compress_command, "Compress pictures to .sgc files.", "IMAGE"),
        add("decompress", decompress_command, "Draw pictures from .sgc files.", "FILE"),
    ]
    for command in coders:
        command.add_argument("-o", "--output", help="file, or folder for several inputs; default: beside the input")
        command.add_argument("--force", action="store_true", help="overwrite what exists")
        command.add_argument("--pipeline", default="landscape-256", help="embedded name, folder or Hub id")
        command.add_argument("--device", help="such as cuda or mps; default cpu")
    coders[1].add_argument("--steps", type=int, help="solver steps of the whole schedule; default: as the file says")
    coders[1].add_argument("--strength", type=float, help="how freely to redraw, 0.01 to 1")
    coders[1].add_argument("--guidance", type=float, help="how strictly to follow the labels; 1 is plain")
    coders[1].add_argument("--scheduler", help="dpm-solver++, ddim, unipc, or lcm (one to four steps)")
    coders[1].add_argument("--seed", type=int, help="of the noise; other seeds give other details")
    add("inspect", inspect_command, "Show what .sgc files hold, without drawing them.", "FILE")
    for command in coders:
        command.add_argument("--preset", help="how to draw: landscape-256, fast (1 step), sdedit, or paper (200 DDIM)")
    coders[0].add_argument("--segmenter", help="another one than the pipeline's: Hub id, folder or torchvision/NAME")
    coders[0].add_argument("--max-bytes", type=int, help="budget of each file; grids and precision follow")
    coders[0].add_argument("--bpp", type=float, help="the same in bits per pixel, such as 0.004")
    coders[0].add_argument("--candidates", type=int, default=1, help="seeds to try; the best is kept in the file")
    add("verify", verify_command, "Check that .sgc files are whole and undamaged.", "FILE")
    add_model_commands(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except (FileError, ValueError, OSError, ImportError) as error:  # before the first file: the pipeline, or the inputs
        print(f"sgc: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
