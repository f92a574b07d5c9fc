"""The command line of `sgc`, all commands together; to build it loads no network."""

from __future__ import annotations

import argparse

from sgc_diffusion import __version__
from sgc_diffusion.cli.app import add_app
from sgc_diffusion.cli.archive import add_archive
from sgc_diffusion.cli.arguments import EXAMPLES
from sgc_diffusion.cli.compare import add_compare
from sgc_diffusion.cli.completion import add_completion
from sgc_diffusion.cli.compress import add_compress
from sgc_diffusion.cli.convert import add_convert
from sgc_diffusion.cli.crop import add_crop
from sgc_diffusion.cli.decompress import add_decompress
from sgc_diffusion.cli.doctor import add_doctor
from sgc_diffusion.cli.inspect import add_inspect
from sgc_diffusion.cli.messages import NORMAL, add_verbosity
from sgc_diffusion.cli.preview import add_preview
from sgc_diffusion.cli.recode import add_recode
from sgc_diffusion.cli.relabel import add_relabel
from sgc_diffusion.cli.thin import add_thin
from sgc_diffusion.cli.verify import add_verify

COMMANDS = (
    *(add_compress, add_decompress, add_preview, add_thin, add_recode, add_relabel, add_crop),
    *(add_inspect, add_compare, add_verify, add_archive, add_convert, add_app, add_doctor),
)
EXIT_CODES = "exit codes: 0 all went well, 1 a file failed, 2 the command line was wrong, 130 interrupted"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog="sgc",
        description="Generative image codec.",
        epilog=f"{EXAMPLES}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sgc {__version__}")
    add_completion(parser)
    add_verbosity(parser, default=NORMAL)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    return parser
