"""`sgc preview`: .sgc files → pictures at once, without any network and without torch."""

from __future__ import annotations

import argparse
import time
from typing import Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.arguments import add_command, add_inputs, add_targets, integer
from sgc_diffusion.cli.batch import Report, Result, file_command, find_jobs, run_each
from sgc_diffusion.cli.errors import CommandError
from sgc_diffusion.cli.inputs import FILE_SUFFIX, read_source
from sgc_diffusion.cli.keys import read_key
from sgc_diffusion.cli.likeness import check_size
from sgc_diffusion.cli.outputs import Job, Naming, check_still_free, writing
from sgc_diffusion.synthesis.likeness import MAX_PIXELS

PREVIEW_SUFFIX = ".preview.png"
PIXELS_PER_BYTE = 8  # of a reduced preview, at least; more detail does not show


def add_preview(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    summary = "Show .sgc files as pictures at once: colors enlarged along labels, or the detail that a file holds."
    parser = add_command(commands, "preview", summary, file_command(preview, describe))
    add_inputs(parser, "FILE")
    add_targets(parser)
    parser.add_argument("--max-side", type=integer(1), help="reduce the longer side to this, pixels")
    parser.add_argument("--max-pixels", type=integer(1), default=MAX_PIXELS, help="of a preview; default %(default)s")


def preview(arguments: argparse.Namespace, report: Report) -> None:
    """Make a preview of each file and tell the report."""
    from sgc_diffusion.synthesis.likeness_image import save_likeness
    from sgc_diffusion.synthesis.preview import preview as make_preview
    from sgc_diffusion.synthesis.reduction import reduced_size

    key = read_key(arguments)
    naming = Naming({FILE_SUFFIX}, PREVIEW_SUFFIX, _picture_suffixes(), ".png")
    jobs = find_jobs(arguments, report, {FILE_SUFFIX}, f"{FILE_SUFFIX} files", naming)
    limits = {"max_side": arguments.max_side, "max_pixels": arguments.max_pixels}

    def handle(job: Job) -> Result:
        check_still_free(job, overwrite=arguments.force, skip_existing=arguments.skip_existing)
        started = time.perf_counter()
        data = read_source(job.source)
        summary = bitstream.inspect(data)
        if summary.is_encrypted and key is None:
            raise CommandError(f"{job.source.name}: is encrypted; give its --key-file or --passphrase-file")
        size = reduced_size(summary.width, summary.height, arguments.max_side)
        check_size(job.source.name, *size, arguments.max_pixels)
        max_bytes = len(data) if arguments.max_side is None else size[0] * size[1] // PIXELS_PER_BYTE
        image = make_preview(bitstream.decode_coarsely(data, max_bytes, key=key), len(data), **limits)
        seconds = time.perf_counter() - started
        with writing(job, naming, overwrite=arguments.force) as temporary:
            save_likeness(image, temporary)
        sizes = {"bytes": len(data), "width": image.width, "height": image.height}
        return {"input": job.source.name, "output": job.output, **sizes, "seconds": seconds}

    run_each(jobs, handle, report)


def _picture_suffixes() -> set[str]:
    """Return the suffixes of the picture formats that Pillow and its installed plug-ins write."""
    from PIL import Image

    from sgc_diffusion.analysis.image_input import readable_suffixes

    known = readable_suffixes()  # which makes the plug-ins known, too
    return {suffix for suffix, name in Image.registered_extensions().items() if suffix in known and name in Image.SAVE}


def describe(result: Result) -> str:
    """Return the line for a preview."""
    return "{output}: {width}x{height}, preview of {bytes} bytes in {seconds:.3f} s".format(**result)
