"""`sgc thin`: .sgc files → smaller .sgc files, without decoding them, without torch."""

from __future__ import annotations

import argparse
from typing import Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.arguments import add_command, add_inputs, add_targets, integer
from sgc_diffusion.cli.batch import Report, Result, file_command, find_jobs, run_each
from sgc_diffusion.cli.errors import CommandError
from sgc_diffusion.cli.inputs import FILE_SUFFIX, read_source
from sgc_diffusion.cli.keys import read_key
from sgc_diffusion.cli.outputs import Job, Naming, check_still_free, writing
from sgc_diffusion.payload import MAX_KIND

BESIDE_SUFFIX = ".thin.sgc"  # of results that go beside their sources
COLOR = "color"


def add_thin(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    run = file_command(thin, describe)
    parser = add_command(commands, "thin", "Leave out detail of .sgc files, without decoding them.", run)
    add_inputs(parser, "FILE")
    add_targets(parser)
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--max-bytes", type=integer(1), help="of each file; what is finest goes first")
    amount.add_argument("--keep", choices=[COLOR], help="color: labels and colors alone")
    amount.add_argument("--levels", type=integer(0, 16), help="how many detail levels to keep, the coarsest ones")


def thin(arguments: argparse.Namespace, report: Report) -> None:
    """Thin each file and tell the report."""
    key = read_key(arguments)
    suffix = BESIDE_SUFFIX if arguments.output is None else FILE_SUFFIX
    naming = Naming({FILE_SUFFIX}, suffix, {FILE_SUFFIX}, FILE_SUFFIX)
    jobs = find_jobs(arguments, report, {FILE_SUFFIX}, f"{FILE_SUFFIX} files", naming)
    drop = range(1, MAX_KIND + 1) if arguments.keep == COLOR else ()

    def handle(job: Job) -> Result:
        check_still_free(job, overwrite=arguments.force, skip_existing=arguments.skip_existing)
        data = read_source(job.source)
        try:
            smaller = bitstream.thin(
                data, drop=drop, num_levels=arguments.levels, max_bytes=arguments.max_bytes, key=key
            )
        except bitstream.BitstreamError:
            raise
        except ValueError as error:
            raise CommandError(f"{job.source.name}: {str(error).replace('`max_bytes`', '--max-bytes')}") from error
        with writing(job, naming, overwrite=arguments.force) as temporary:
            temporary.write_bytes(smaller)
        layers = list(bitstream.inspect(smaller, key=key).layer_bytes)
        sizes = {"bytes_before": len(data), "bytes": len(smaller)}
        return {"input": job.source.name, "output": job.output, **sizes, "layers": layers}

    run_each(jobs, handle, report)


def describe(result: Result) -> str:
    """Return the line for a thinned file."""
    return "{output}: {bytes} of {bytes_before} bytes".format(**result)
