"""`sgc crop`: a part of .sgc files, without drawing them, without torch."""

from __future__ import annotations

import argparse
import re
from typing import Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.arguments import add_command, add_inputs, add_targets
from sgc_diffusion.cli.batch import Report, Result, file_command, find_jobs, run_each
from sgc_diffusion.cli.errors import CommandError
from sgc_diffusion.cli.inputs import FILE_SUFFIX, read_source
from sgc_diffusion.cli.keys import read_key
from sgc_diffusion.cli.outputs import Job, Naming, check_still_free, writing

BESIDE_SUFFIX = ".cropped.sgc"  # of results that go beside their sources


def add_crop(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    summary = "Cut a part out of .sgc files; nothing is drawn. Exact detail stays exact."
    parser = add_command(commands, "crop", summary, file_command(crop, describe))
    add_inputs(parser, "FILE")
    add_targets(parser)
    parser.add_argument("--box", type=box, required=True, metavar="X,Y,WxH", help="left, top and size in pixels")


def box(text: str) -> tuple[int, int, int, int]:
    """Return left, top, width and height of `X,Y,WxH`.

    Raises:
        argparse.ArgumentTypeError: it is not of this form.
    """
    match = re.fullmatch(r"\s*(\d{1,7})\s*,\s*(\d{1,7})\s*,\s*(\d{1,7})\s*[x×,]\s*(\d{1,7})\s*", text)
    if not match:
        raise argparse.ArgumentTypeError(f"must be X,Y,WxH in pixels, such as 10,20,300x200, got {text!r}")
    left, top, width, height = map(int, match.groups())
    return left, top, width, height


def crop(arguments: argparse.Namespace, report: Report) -> None:
    """Crop each file and tell the report."""
    from sgc_diffusion.analysis import editing

    key = read_key(arguments)
    suffix = BESIDE_SUFFIX if arguments.output is None else FILE_SUFFIX
    naming = Naming({FILE_SUFFIX}, suffix, {FILE_SUFFIX}, FILE_SUFFIX)

    def handle(job: Job) -> Result:
        check_still_free(job, overwrite=arguments.force, skip_existing=arguments.skip_existing)
        payload = bitstream.decode(read_source(job.source), key=key)
        try:
            part = editing.crop(payload, *arguments.box)
        except ValueError as error:
            raise CommandError(f"{job.source.name}: --box: {error}") from error
        data = bitstream.encode(part, key=key)
        with writing(job, naming, overwrite=arguments.force) as temporary:
            temporary.write_bytes(data)
        sizes = {"bytes": len(data), "width": part.width, "height": part.height}
        return {"input": job.source.name, "output": job.output, **sizes, "left_out": editing.left_out(payload)}

    run_each(find_jobs(arguments, report, {FILE_SUFFIX}, f"{FILE_SUFFIX} files", naming), handle, report)


def describe(result: Result) -> str:
    """Return the line for a file."""
    lost = f"; left out: {', '.join(result['left_out'])}" if result["left_out"] else ""
    return "{output}: {width}x{height}, {bytes} bytes".format(**result) + lost
