"""`sgc thin`: .sgc files, or an archive → smaller ones, without decoding them, without torch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.archive import add_amounts, thin_archive
from sgc_diffusion.cli.arguments import add_command, add_inputs, add_targets
from sgc_diffusion.cli.batch import Report, Result, file_command, find_jobs, run_each
from sgc_diffusion.cli.errors import CommandError, UsageError
from sgc_diffusion.cli.inputs import FILE_SUFFIX, read_source
from sgc_diffusion.cli.keys import read_key
from sgc_diffusion.cli.outputs import Job, Naming, check_still_free, writing
from sgc_diffusion.payload import MAX_KIND

BESIDE_SUFFIX = ".thin.sgc"  # of results that go beside their sources
COLOR = "color"
ARCHIVE_FILE = "archive.json"  # that a folder with it is an archive is known without what archives need


def add_thin(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    thin_files = file_command(thin, describe)

    def run(arguments: argparse.Namespace) -> int:
        return thin_archive(arguments) if names_an_archive(arguments) else thin_files(arguments)

    parser = add_command(commands, "thin", "Leave out detail of .sgc files or an archive, without decoding them.", run)
    add_inputs(parser, "FILE")
    add_targets(parser)
    add_amounts(parser)


def names_an_archive(arguments: argparse.Namespace) -> bool:
    """Return whether an archive is to be thinned, and not files.

    Raises:
        UsageError: an archive and something else, an archive without a place for the thinner one, or an amount that
            only archives know.
    """
    archives = [name for name in arguments.inputs if (Path(name) / ARCHIVE_FILE).is_file()]
    if archives and (len(arguments.inputs) > 1 or arguments.output is None):
        raise UsageError(f"{archives[0]} is an archive: thin it alone, and say where the thinner one goes: -o FOLDER")
    if not archives and arguments.total_bytes is not None:
        raise UsageError("--total-bytes is for an archive, whose pictures say what their bytes buy; see `sgc archive`")
    return bool(archives)


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
