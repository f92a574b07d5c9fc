"""`sgc decompress --decoder likeness`: .sgc files → pictures without any network and without torch."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.batch import Report, Result, run_each
from sgc_diffusion.cli.errors import CommandError
from sgc_diffusion.cli.inputs import read_source
from sgc_diffusion.cli.outputs import Job, Naming, check_still_free, writing


def decode_likenesses(
    jobs: Sequence[Job], arguments: argparse.Namespace, key: Any, naming: Naming, report: Report
) -> None:
    """Decode each file as it is and tell the report.

    Args:
        jobs: files with their targets.
        arguments: of `sgc decompress`.
        key: of sealed files, None for plain ones.
        naming: how results are called.
        report: is told.
    """
    from sgc_diffusion.synthesis.likeness_image import likeness_image, save_likeness

    def handle(job: Job) -> Result:
        check_still_free(job, overwrite=arguments.force, skip_existing=arguments.skip_existing)
        started = time.perf_counter()
        data = read_source(job.source)
        summary = bitstream.inspect(data)
        if summary.is_encrypted and key is None:
            raise CommandError(f"{job.source.name}: is encrypted; give its --key-file or --passphrase-file")
        check_size(job.source.name, summary.width, summary.height, arguments.max_pixels)
        image = likeness_image(bitstream.decode(data, key=key), len(data), max_pixels=arguments.max_pixels)
        seconds = time.perf_counter() - started
        with writing(job, naming, overwrite=arguments.force) as temporary:
            save_likeness(image, temporary)
        return {
            "input": job.source.name,
            "output": job.output,
            "bytes": len(data),
            "width": image.width,
            "height": image.height,
            "seconds": seconds,
            "decoder": "likeness",
        }

    run_each(jobs, handle, report)


def check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture that is too large to be made unasked.

    Raises:
        CommandError: it has more than `max_pixels`.
    """
    if width * height > max_pixels:
        raise CommandError(
            f"{name}: declares {width}x{height} = {width * height} pixels, more than the {max_pixels} that are drawn "
            "unasked; if it is to be trusted, allow it by --max-pixels"
        )
