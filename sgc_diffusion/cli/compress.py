"""`sgc compress`: pictures → .sgc files."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.arguments import (
    add_command,
    add_inputs,
    add_jobs,
    add_outputs,
    integer,
    not_empty,
    number_between,
    positive_number,
)
from sgc_diffusion.cli.batch import Report, Result, file_command, find_jobs
from sgc_diffusion.cli.inputs import FILE_SUFFIX, readable
from sgc_diffusion.cli.keys import read_key
from sgc_diffusion.cli.outputs import Job, Naming, check_still_free, writing
from sgc_diffusion.cli.parallel import picklable, run_at_once
from sgc_diffusion.cli.pipelines import load_pipeline
from sgc_diffusion.cli.steering import add_steering_arguments, steering_options

DEFAULT_PIPELINE = "landscape-256"
MAX_CANDIDATES = 65536  # seeds that a file can hold


def add_compress(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    run = file_command(compress, describe)
    parser = add_command(commands, "compress", "Compress pictures to .sgc files.", run)
    add_inputs(parser, "IMAGE")
    add_outputs(parser)
    add_jobs(parser)
    parser.add_argument(
        "--pipeline", type=not_empty, default=DEFAULT_PIPELINE, help="embedded name, folder or Hub id; %(default)s"
    )
    parser.add_argument(
        "--segmenter", type=not_empty, help="another one than the pipeline's: Hub id, folder or torchvision/NAME"
    )
    _add_amount(parser)
    parser.add_argument(
        "--honest",
        action="store_true",
        help="draw once and compare: the file says not to draw what is nearer to the original undrawn",
    )
    parser.add_argument(
        "--candidates",
        type=integer(1, MAX_CANDIDATES),
        default=1,
        help="seeds to try; the best is kept in the file",
    )
    parser.add_argument("--no-alpha", action="store_true", help="lay transparent pictures over white")
    parser.add_argument(
        "--keep-metadata", action="store_true", help="keep the ICC profile, with the colors as they are in it, and EXIF"
    )
    add_steering_arguments(parser)


def _add_amount(parser: argparse.ArgumentParser) -> None:
    """Add what says how large the files are to be, or how good."""
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--max-bytes", type=integer(1), help="budget of each file; grids and precision follow")
    budget.add_argument("--bpp", type=positive_number, help="the same in bits per pixel, such as 0.004")
    budget.add_argument(
        "-q",
        "--quality",
        type=number_between(0, 100),
        help="0 to 100: how near the picture is that the file gives without a network; 100 is lossless",
    )
    budget.add_argument(
        "--target-distance",
        type=number_between(0, 10),
        help="how far the picture may be from the original in what a network sees; detail follows. 0 is lossless",
    )


def compress(arguments: argparse.Namespace, report: Report) -> None:
    """Compress each picture and tell the report."""
    from sgc_diffusion.analysis.image_input import readable_suffixes

    key, suffixes = read_key(arguments), readable_suffixes()
    naming = Naming(suffixes, FILE_SUFFIX, {FILE_SUFFIX}, FILE_SUFFIX)
    jobs = find_jobs(arguments, report, suffixes, "pictures", naming)
    run_at_once(jobs, partial(prepare, picklable(arguments), key, naming), report, arguments.jobs)


def prepare(arguments: argparse.Namespace, key: Any, naming: Naming) -> Callable[[Job], Result]:
    """Load the pipeline; return what compresses a picture with it.

    Args:
        arguments: of `sgc compress`.
        key: that seals the files, None for plain ones.
        naming: how results are called.

    Raises:
        CommandError, ValueError, OSError, ImportError: what the arguments ask for cannot be loaded.
    """
    steering = steering_options(arguments)
    pipeline = load_pipeline(arguments.pipeline, arguments.device, arguments.segmenter)
    options = {"preset": arguments.preset, "key": key, "num_candidates": arguments.candidates}
    options |= {"max_bytes": arguments.max_bytes, "target_bpp": arguments.bpp, "quality": arguments.quality}
    options |= {"honest": arguments.honest, "target_distance": arguments.target_distance}
    options |= {"keep_alpha": not arguments.no_alpha, "keep_metadata": arguments.keep_metadata, "steering": steering}

    def handle(job: Job) -> Result:
        check_still_free(job, overwrite=arguments.force, skip_existing=arguments.skip_existing)
        started = time.perf_counter()
        with readable(job.source) as path:
            data = pipeline.compress(path, **options)
        seconds = time.perf_counter() - started
        with writing(job, naming, overwrite=arguments.force) as temporary:
            temporary.write_bytes(data)
        header = bitstream.inspect(data)
        return {
            "input": job.source.name,
            "output": job.output,
            "bytes": len(data),
            "width": header.width,
            "height": header.height,
            "bpp": 8 * len(data) / (header.width * header.height),
            "seconds": seconds,
        }

    return handle


def describe(result: Result) -> str:
    """Return the line for a compressed picture."""
    return "{output}: {bytes} bytes, {bpp:.5f} bpp, {seconds:.2f} s".format(**result)
