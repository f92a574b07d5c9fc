"""`sgc decompress` of files that need no network: .sgc files → likenesses and previews, without torch."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.batch import Report, Result, run_each
from sgc_diffusion.cli.errors import CommandError
from sgc_diffusion.cli.inputs import read_source
from sgc_diffusion.cli.outputs import Job, Naming, check_still_free, writing
from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.synthesis.decoders import LIKENESS, PREVIEW


@dataclass(frozen=True)
class Decoded:
    """A file that was read already, as from a stream that cannot be read twice."""

    job: Job
    payload: SemanticPayload
    num_bytes: int


def decode_plainly(
    jobs: Sequence[Job | Decoded], arguments: argparse.Namespace, key: Any, naming: Naming, report: Report
) -> None:
    """Decode each file as it is and tell the report.

    Args:
        jobs: files with their targets, read already or not.
        arguments: of `sgc decompress`.
        key: of sealed files, None for plain ones.
        naming: how results are called.
        report: is told.
    """
    from sgc_diffusion.synthesis.likeness_image import likeness_image, save_likeness
    from sgc_diffusion.synthesis.preview import preview

    name = PREVIEW if arguments.decoder == PREVIEW else LIKENESS
    decode = preview if name == PREVIEW else likeness_image

    def handle(item: Job | Decoded) -> Result:
        job = item if isinstance(item, Job) else item.job
        check_still_free(job, overwrite=arguments.force, skip_existing=arguments.skip_existing)
        started = time.perf_counter()
        decoded = _read(item, arguments, key) if isinstance(item, Job) else item
        image = decode(decoded.payload, decoded.num_bytes, max_pixels=arguments.max_pixels)
        seconds = time.perf_counter() - started
        with writing(job, naming, overwrite=arguments.force) as temporary:
            save_likeness(image, temporary)
        return {
            "input": job.source.name,
            "output": job.output,
            "bytes": decoded.num_bytes,
            "width": image.width,
            "height": image.height,
            "seconds": seconds,
            "decoder": name,
        }

    run_each(jobs, handle, report)


def _read(job: Job, arguments: argparse.Namespace, key: Any) -> Decoded:
    """Return a file as it is decoded, unless it is too large or needs a key."""
    data = read_source(job.source)
    summary = bitstream.inspect(data)
    if summary.is_encrypted and key is None:
        raise CommandError(f"{job.source.name}: is encrypted; give its --key-file or --passphrase-file")
    check_size(job.source.name, summary.width, summary.height, arguments.max_pixels)
    return Decoded(job, bitstream.decode(data, key=key), len(data))


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
