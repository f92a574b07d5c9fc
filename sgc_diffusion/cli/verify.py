"""`sgc verify`: whether files are whole, undamaged, and what an encoder writes; without torch."""

from __future__ import annotations

import argparse
from typing import Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.arguments import add_command, add_inputs
from sgc_diffusion.cli.batch import Report, Result, file_command, find_sources, run_each
from sgc_diffusion.cli.errors import CommandError
from sgc_diffusion.cli.inputs import FILE_SUFFIX, read_source
from sgc_diffusion.cli.keys import read_key
from sgc_diffusion.cli.outputs import Job


def add_verify(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    run = file_command(verify, describe)
    parser = add_command(commands, "verify", "Check that .sgc files are whole and undamaged.", run)
    add_inputs(parser, "FILE")


def verify(arguments: argparse.Namespace, report: Report) -> None:
    """Check each file and tell the report."""
    key = read_key(arguments)

    def handle(job: Job) -> Result:
        data = read_source(job.source)
        payload = bitstream.decode(data, key=key, strict=True)
        # A sealed file has another nonce each time, and its bytes are vouched for by the key.
        if key is None and bitstream.encode(payload) != data:
            raise CommandError(
                f"{job.source.name}: decodes, but to a payload that an encoder of this version writes otherwise"
            )
        return {
            "input": job.source.name,
            "output": None,
            "bytes": len(data),
            "width": payload.width,
            "height": payload.height,
            "encrypted": key is not None,
            "intact": True,
        }

    sources = find_sources(arguments, report, {FILE_SUFFIX}, f"{FILE_SUFFIX} files")
    run_each([Job(source, None) for source in sources], handle, report)


def describe(result: Result) -> str:
    """Return the line for a file."""
    return f"{result['input']}: intact" + (", sealed" if result["encrypted"] else "")
