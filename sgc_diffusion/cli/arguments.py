"""Pieces of the command line that several commands share, and values that are checked while it is read."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

from sgc_diffusion.cli.devices import device_name
from sgc_diffusion.cli.messages import add_verbosity
from sgc_diffusion.payload.recipe import PRESETS, DecoderRecipe

EXAMPLES = """examples:
  sgc compress photo.jpg                      writes photo.sgc beside it
  sgc compress photos/ -o archive/            every picture of a folder, in the same folders below archive/
  sgc compress photos/ -o archive/ --skip-existing    those that are not there yet
  sgc compress photo.jpg --max-bytes 80       the best that fits into 80 bytes
  sgc compress photo.jpg -q 100               lossless: the file holds every pixel
  sgc decompress photo.sgc -o picture.png     draws it
  sgc decompress photo.sgc --decoder likeness    what it holds without a network; exact after -q 100
  sgc decompress photo.sgc --seed 7           draws it with other details
  sgc preview photo.sgc                       shows it at once, without a network
  sgc thin archive/ -o small/ --max-bytes 2000    the same pictures with less detail, without decoding them
  sgc recode photo.sgc --seed 7               has it drawn with other details, without drawing it now
  sgc inspect photo.sgc                       what the file says, without drawing it
  sgc inspect photo.sgc --plot photo.png      the same as a picture
  sgc compare photo.jpg photo.sgc --codecs webp,jpeg    beside what these codecs make of as many bytes
  sgc verify archive/ --json                  checks every file"""

MAX_JOBS = 256

OUTPUT_HELP = (
    "where results go. A name that ends in / or has no suffix, and an existing folder, is a folder (made if missing), "
    "in which the folders below a given one are kept; any other name is a file; - is standard output. "
    "Default: beside the input"
)


def add_command(
    commands: Any, name: str, summary: str, run: Callable[[argparse.Namespace], int], *, examples: str = EXAMPLES
) -> argparse.ArgumentParser:
    """Add a command to the sub-parsers of `sgc`."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(name, help=summary, description=summary, epilog=examples, formatter_class=raw)
    parser.set_defaults(run=run)
    add_verbosity(parser)
    return parser


def add_inputs(parser: argparse.ArgumentParser, metavar: str) -> None:
    """Add what every command on files takes."""
    parser.add_argument(
        "inputs", nargs="+", metavar=metavar, help="files, folders (hidden files are left out), patterns, - for stdin"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="one JSON object a line and file, as it is done: input, output (or null), error if there is one",
    )
    keys = parser.add_mutually_exclusive_group()
    keys.add_argument(
        "--key-file",
        type=not_empty,
        help="holds the key that seals the files (AES-256-GCM): 64 hexadecimal digits; - is stdin",
    )
    keys.add_argument("--passphrase-file", type=not_empty, help="holds words instead; its first line counts")


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add what commands take that write files and use a pipeline."""
    add_targets(parser)
    parser.add_argument(
        "--device", type=device_name, default="auto", help="cpu, cuda, cuda:1, mps; default: a GPU if any"
    )
    parser.add_argument(
        "--preset", choices=list(PRESETS), help="how to draw: fast is one leap, standard two, fine 20 steps, paper 200"
    )


def add_targets(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes that writes files."""
    parser.add_argument("-o", "--output", type=not_empty, help=OUTPUT_HELP)
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--force", action="store_true", help="overwrite what was there before this run")
    existing.add_argument("--skip-existing", action="store_true", help="leave out what has a result already")


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add what commands take that work on several files at once."""
    parser.add_argument(
        "--jobs",
        type=integer(1, MAX_JOBS),
        default=1,
        metavar="N",
        help="files at once, each in a process with the networks in its own memory; default: one",
    )


def not_empty(text: str) -> str:
    """Return a text that is not blank.

    Raises:
        argparse.ArgumentTypeError: it is.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def integer(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """Return what reads an integer in a range, of which both ends count.

    Args:
        lowest: that is allowed.
        highest: that is allowed; None for no limit.
    """
    span = f"from {lowest} to {highest}" if highest is not None else f"of {lowest} or more"

    def read(text: str) -> int:
        value = _number(int, text, f"an integer {span}")
        if value < lowest or (highest is not None and value > highest):
            raise argparse.ArgumentTypeError(f"must be an integer {span}, got {text}")
        return value

    return read


def positive_number(text: str) -> float:
    """Return a finite number above 0.

    Raises:
        argparse.ArgumentTypeError: it is not.
    """
    value = _number(float, text, "a number above 0")
    if value <= 0:
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return value


def number_between(lowest: float, highest: float) -> Callable[[str], float]:
    """Return what reads a number from `lowest` to `highest`."""

    def read(text: str) -> float:
        value = _number(float, text, f"a number from {lowest:g} to {highest:g}")
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"must be a number from {lowest:g} to {highest:g}, got {text}")
        return value

    return read


def recipe_field(name: str, kind: type) -> Callable[[str], Any]:
    """Return what reads a field of the recipe; the recipe itself says what is allowed.

    Args:
        name: of the field.
        kind: int or float.
    """

    def read(text: str) -> Any:
        value = _number(kind, text, "an integer" if kind is int else "a number")
        try:
            DecoderRecipe(**{name: value})
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error).replace(f"`{name}` ", "")) from error
        return value

    return read


def _number(kind: type, text: str, expected: str) -> Any:
    try:
        value = kind(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be {expected}, got {text!r}") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be {expected} and finite, got {text!r}")
    return value
