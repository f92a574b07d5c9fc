"""`sgc inspect`: what files say, without drawing them and without torch."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.arguments import add_command, add_inputs, not_empty
from sgc_diffusion.cli.batch import Report, Result, file_command, find_sources, notices, run_each
from sgc_diffusion.cli.errors import UsageError, describe_error
from sgc_diffusion.cli.inputs import FILE_SUFFIX, read_source
from sgc_diffusion.cli.keys import read_key
from sgc_diffusion.cli.outputs import Job, write_sheet
from sgc_diffusion.cli.steering_report import describe_steering

HIDDEN_FROM_TEXT = {"output", "error"}  # nothing is written, and errors have their own line


def add_inspect(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    run = file_command(inspect, describe, is_question=True)
    parser = add_command(commands, "inspect", "Show what .sgc files hold, without drawing them.", run)
    add_inputs(parser, "FILE")
    parser.add_argument(
        "--plot",
        type=not_empty,
        metavar="PICTURE",
        help="of one FILE: write its label map with a legend, its color map and its bytes by layer to this picture",
    )


def inspect(arguments: argparse.Namespace, report: Report) -> None:
    """Show each file through the report."""
    key = read_key(arguments)

    def handle(job: Job) -> Result:
        data = read_source(job.source)
        result = inspect_bytes(data, job.source.name, key)
        if arguments.plot:
            plot(data, key, arguments.plot)
        return result

    sources = find_sources(arguments, report, {FILE_SUFFIX}, f"{FILE_SUFFIX} files")
    if arguments.plot and len(sources) > 1:
        raise UsageError(f"--plot {arguments.plot}: shows one file, got {len(sources)}; give them one by one")
    run_each([Job(source, None) for source in sources], handle, report)


def plot(data: bytes, key: Any, target: str) -> None:
    """Write a picture of what a file holds.

    Args:
        data: content of the file.
        key: of an encrypted file.
        target: name of the picture; - is standard output.

    Raises:
        BitstreamError: the file cannot be read, or is sealed and there is no key.
        CommandError: the picture cannot be written.
    """
    from sgc_diffusion.cli.sheets import file_sheet

    summary = bitstream.inspect(data, key=key)
    sheet = file_sheet(bitstream.decode(data, key=key), {"header": summary.header_bytes, **summary.layer_bytes})
    write_sheet(sheet, target)


def inspect_bytes(data: bytes, name: str, key: Any = None) -> Result:
    """Return what a file says, and under `error` what is wrong with it.

    Args:
        data: content of the file.
        name: of the file.
        key: of an encrypted file, if its layers are to be shown.

    Raises:
        BitstreamError: nothing of it can be read.
    """
    summary = bitstream.inspect(data, key=key)
    recipe = summary.recipe
    result: Result = {
        "input": name,
        "output": None,
        "bytes": len(data),
        "width": summary.width,
        "height": summary.height,
        "bpp": 8 * len(data) / (summary.width * summary.height),
        "format": summary.format_version,
        "encrypted": summary.is_encrypted,
        "intact": summary.is_intact,
        "layers": {"header": summary.header_bytes, **summary.layer_bytes},
        **({"psnr_db": summary.level_psnr_db} if summary.level_psnr_db else {}),
        "unknown": list(summary.unknown_layers),
        "recipe": {field: getattr(recipe, field) for field in recipe.__dataclass_fields__},
    }
    if summary.is_encrypted and key is None:
        return result
    try:
        with notices():  # of damaged layers, for which there is an error of their own
            result |= _describe_maps(bitstream.decode(data, key=key))
        bitstream.decode(data, key=key, strict=True)
    except bitstream.BitstreamError as error:
        result |= {"intact": False, "error": describe_error(error, name)}
    return result


def _describe_maps(payload: Any) -> dict[str, Any]:
    """Return the label set, the share of each label that is there, and the grids."""
    return {
        "taxonomy": payload.labels.taxonomy_name,
        "labels": {name: round(share, 4) for name, share in payload.labels.shares.items()},
        "grids": {"labels": list(payload.label_map.shape), "color": list(payload.color_map.shape[:2])},
        **describe_steering(payload),
    }


def describe(result: Result) -> str:
    """Return the block of lines for a file."""
    return "\n".join(_block({name: value for name, value in result.items() if name not in HIDDEN_FROM_TEXT}))


def _block(values: dict[str, Any], indent: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _block(value, indent + "  ")
        else:
            yield f"{indent}{name}: {_text(name, value)}"


def _text(name: str, value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ("x" if name in ("labels", "color") else ", ").join(map(str, value)) or "none"
    if name == "intact" and value is None:
        return "sealed, cannot be told without the key"
    return f"{value:.5f}" if name == "bpp" else str(value)
