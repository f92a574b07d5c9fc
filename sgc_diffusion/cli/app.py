"""`sgc app`: the codec in a browser."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sgc_diffusion.cli.arguments import add_command, integer, not_empty
from sgc_diffusion.cli.devices import device_name
from sgc_diffusion.cli.errors import CommandError
from sgc_diffusion.cli.pipelines import load_pipeline
from sgc_diffusion.extras import require

DEFAULT_PIPELINE = "landscape-256"


def add_app(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    summary = "Serve an app for a browser: drop a photograph, see what is sent and what comes back."
    parser = add_command(commands, "app", summary, serve)
    add = parser.add_argument
    add("--pipeline", type=not_empty, default=DEFAULT_PIPELINE, help="embedded name, folder or Hub id; %(default)s")
    add("--device", type=device_name, default="auto", help="cpu, cuda, cuda:1, mps; default: a GPU if any")
    add("--host", type=not_empty, default="127.0.0.1", help="0.0.0.0 lets other machines in; default: %(default)s")
    add("--port", type=integer(1, 65535), default=7860, help="default: %(default)s")
    add("--example", type=not_empty, action="append", default=[], help="a photograph to try; may be given again")
    add("--browser", action="store_true", help="open it in the browser")


def serve(arguments: argparse.Namespace) -> int:
    """Serve the app until it is interrupted; return 0.

    Raises:
        ImportError: an extra is not installed.
        CommandError: an example is missing, or the port is taken.
    """
    require("demo", "The app")
    missing = [name for name in arguments.example if not Path(name).is_file()]
    if missing:
        raise CommandError(f"--example {missing[0]}: No such file")
    pipeline = load_pipeline(arguments.pipeline, arguments.device)
    from sgc_diffusion.app import LAUNCH_OPTIONS, build_app

    address = {"server_name": arguments.host, "server_port": arguments.port, "inbrowser": arguments.browser}
    try:
        build_app(pipeline, arguments.example).launch(**LAUNCH_OPTIONS, **address)
    except OSError as error:
        raise CommandError(f"--port {arguments.port}: cannot be served at {arguments.host}: {error}") from error
    return 0
