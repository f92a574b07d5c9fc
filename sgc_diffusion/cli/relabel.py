"""`sgc relabel`: what a file shows becomes something else, without drawing it, without torch."""

from __future__ import annotations

import argparse
from typing import Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.arguments import add_command, add_inputs, add_targets
from sgc_diffusion.cli.batch import Report, Result, file_command, find_jobs, run_each
from sgc_diffusion.cli.errors import CommandError
from sgc_diffusion.cli.inputs import FILE_SUFFIX, read_source
from sgc_diffusion.cli.keys import read_key
from sgc_diffusion.cli.outputs import Job, Naming, check_still_free, writing

BESIDE_SUFFIX = ".relabeled.sgc"  # of results that go beside their sources


def add_relabel(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    summary = "Rename classes in .sgc files, so that they are drawn as something else; nothing is drawn here."
    parser = add_command(commands, "relabel", summary, file_command(relabel, describe))
    add_inputs(parser, "FILE")
    add_targets(parser)
    parser.add_argument(
        "--map",
        type=class_pair,
        action="append",
        required=True,
        metavar="OLD=NEW",
        help="such as sea=field; repeatable",
    )


def class_pair(text: str) -> tuple[str, str]:
    """Return the two names of `OLD=NEW`.

    Raises:
        argparse.ArgumentTypeError: it is not of this form.
    """
    old, separator, new = (part.strip() for part in text.partition("="))
    if not (old and separator and new):
        raise argparse.ArgumentTypeError(f"must be OLD=NEW, such as sea=field, got {text!r}")
    return old, new


def relabel(arguments: argparse.Namespace, report: Report) -> None:
    """Rename in each file and tell the report."""
    from sgc_diffusion.analysis.editing import rename_classes

    key, renamed = read_key(arguments), dict(arguments.map)
    suffix = BESIDE_SUFFIX if arguments.output is None else FILE_SUFFIX
    naming = Naming({FILE_SUFFIX}, suffix, {FILE_SUFFIX}, FILE_SUFFIX)

    def handle(job: Job) -> Result:
        check_still_free(job, overwrite=arguments.force, skip_existing=arguments.skip_existing)
        data = read_source(job.source)
        payload = bitstream.decode(data, key=key)
        try:
            changed = rename_classes(payload, renamed)
        except ValueError as error:
            raise CommandError(f"{job.source.name}: {str(error).replace('`renamed`', '--map')}") from error
        with writing(job, naming, overwrite=arguments.force) as temporary:
            temporary.write_bytes(bitstream.encode(changed, key=key))
        cells = int((changed.label_map != payload.label_map).sum())
        return {"input": job.source.name, "output": job.output, "share": cells / payload.label_map.size}

    run_each(find_jobs(arguments, report, {FILE_SUFFIX}, f"{FILE_SUFFIX} files", naming), handle, report)


def describe(result: Result) -> str:
    """Return the line for a file."""
    return "{output}: {share:.1%} of the area renamed".format(**result)
