"""`sgc decompress`: .sgc files → pictures. The profile in each file chooses the pipeline that draws it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.arguments import (
    add_command,
    add_inputs,
    add_outputs,
    integer,
    not_empty,
    number_between,
    recipe_field,
)
from sgc_diffusion.cli.batch import Report, Result, file_command, find_jobs, notices, run_each
from sgc_diffusion.cli.errors import CommandError, describe_error
from sgc_diffusion.cli.inputs import FILE_SUFFIX, read_source
from sgc_diffusion.cli.keys import read_key
from sgc_diffusion.cli.likeness import Decoded, check_size, decode_plainly
from sgc_diffusion.cli.outputs import Job, Naming, check_still_free, writing
from sgc_diffusion.cli.pipelines import load_decoder
from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.payload.recipe import SCHEDULERS
from sgc_diffusion.synthesis.decoders import DECODERS, GENERATORS, LIKENESS, PREVIEW, choose_decoder
from sgc_diffusion.synthesis.likeness import MAX_PIXELS
from sgc_diffusion.synthesis.noise_seed import noise_seed
from sgc_diffusion.zoo.names import embedded_names

if TYPE_CHECKING:
    from sgc_diffusion.pipeline import SemanticCompressionPipeline

DRAWN_SUFFIX = ".decoded.png"
CUSTOM_PROFILE = "custom"  # of pipelines that have no number in the format


@dataclass(frozen=True)
class Drawing:
    """A file that was read and can be drawn."""

    job: Job
    data: bytes
    profile: str
    noise_seed: int | None = None  # where the user gave a seed


def add_decompress(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    run = file_command(decompress, describe)
    parser = add_command(commands, "decompress", "Draw pictures from .sgc files.", run)
    add_inputs(parser, "FILE")
    add_outputs(parser)
    parser.add_argument(
        "--pipeline",
        type=not_empty,
        help="embedded name, folder or Hub id; default: the one that the file names. Another one draws with its own "
        "defaults and the file's seed",
    )
    add = parser.add_argument
    add(
        "--decoder",
        choices=DECODERS,
        help="likeness: what the file gives without a network, exact if it is lossless; preview: the same of any file, "
        "at once; diffusion: drawn; default: the likeness if it is exact or nearly so, or if the file says so, else "
        "drawn",
    )
    add("--detail-fill", type=number_between(0, 1), help="part of what the file leaves open that is drawn, 0 to 1")
    add("--show-invented", action="store_true", help="tint and stripe what is drawn and not known from the file")
    add("--steps", type=recipe_field("num_inference_steps", int), help="of the whole schedule; default: as in the file")
    add("--strength", type=recipe_field("strength", float), help="how freely to redraw, 0 to 1; 0 draws nothing")
    add("--guidance", type=recipe_field("guidance_scale", float), help="how strictly to follow the labels; 1 is plain")
    add("--scheduler", choices=list(SCHEDULERS), help="lcm draws in one to four steps")
    add("--seed", type=recipe_field("seed", int), help="of the noise, 0 to 65535; other seeds give other details")
    add("--max-pixels", type=integer(1), default=MAX_PIXELS, help="refuse larger pictures; default %(default)s")


def decompress(arguments: argparse.Namespace, report: Report) -> None:
    """Draw each file and tell the report."""
    key = read_key(arguments)
    naming = Naming({FILE_SUFFIX}, DRAWN_SUFFIX, _picture_suffixes(), ".png")
    jobs = find_jobs(arguments, report, {FILE_SUFFIX}, f"{FILE_SUFFIX} files", naming)
    if arguments.decoder in (PREVIEW, LIKENESS):
        decode_plainly(jobs, arguments, key, naming, report)
        return
    drawings = _read(jobs, arguments, key, naming, report)
    by_pipeline: dict[str, list[Drawing]] = {}
    for drawing in drawings:
        by_pipeline.setdefault(arguments.pipeline or drawing.profile, []).append(drawing)
    for name, members in by_pipeline.items():
        try:
            pipeline = load_decoder(name, arguments.device, by_pipeline)
        except Exception as error:  # whatever a library raises, it is one line
            report.all_failed([member.job for member in members], _load_error(error, arguments, members))
            continue
        _draw(members, pipeline, arguments, key, naming, report)


def _picture_suffixes() -> set[str]:
    """Return the suffixes of formats that can say that a picture is generated."""
    from PIL import Image

    from sgc_diffusion.analysis.image_input import readable_suffixes
    from sgc_diffusion.synthesis.provenance import XMP_FORMATS

    known = readable_suffixes()  # which makes the plug-ins known, too
    formats = {"PNG", "TIFF", "JPEG2000", *XMP_FORMATS} & set(Image.SAVE)
    return {suffix for suffix, name in Image.registered_extensions().items() if suffix in known and name in formats}


def _read(
    jobs: Sequence[Job], arguments: argparse.Namespace, key: Any, naming: Naming, report: Report
) -> list[Drawing]:
    """Return what is to be drawn; decode what needs no network, and report what cannot be, before one is loaded."""
    drawings = []
    for job in jobs:
        try:
            data = read_source(job.source)
            summary = bitstream.inspect(data)  # without the key, for the header
            if summary.is_encrypted and key is None:
                raise CommandError(f"{job.source.name}: is encrypted; give its --key-file or --passphrase-file")
            check_size(job.source.name, summary.width, summary.height, arguments.max_pixels)
            with notices():  # they come when it is decoded
                payload = bitstream.decode(data, key=key)
            if _needs_no_network(payload, arguments):
                decode_plainly([Decoded(job, payload, len(data))], arguments, key, naming, report)
                continue
            if summary.recipe.profile == CUSTOM_PROFILE and arguments.pipeline is None:
                raise CommandError(
                    f"{job.source.name}: was made by a pipeline without a name of its own; give that as --pipeline"
                )
        except Exception as error:
            report.failed(job.source.name, describe_error(error, job.source.name), job.output)
        else:
            drawings.append(Drawing(job, data, summary.recipe.profile, _noise_seed(payload, arguments.seed)))
    return drawings


def _needs_no_network(payload: SemanticPayload, arguments: argparse.Namespace) -> bool:
    strength = payload.recipe.strength if arguments.strength is None else arguments.strength
    return choose_decoder(payload, arguments.decoder, strength, GENERATORS[-1]) == LIKENESS


def _noise_seed(payload: SemanticPayload, seed: int | None) -> int | None:
    """Return the seed of the noise of a picture for the seed that the user gave, so that no two pictures share it."""
    return None if seed is None else noise_seed(replace(payload, recipe=replace(payload.recipe, seed=seed)))


def _load_error(error: Exception, arguments: argparse.Namespace, members: Sequence[Drawing]) -> str:
    if arguments.pipeline:
        return describe_error(error)
    first = members[0].job.source.name
    text = describe_error(error, first)
    more = f"; {len(members) - 1} more files need it as well" if len(members) > 1 else ""
    return f"{text}; --pipeline landscape-256 draws with another one{more}"


def _draw(
    drawings: Sequence[Drawing],
    pipeline: SemanticCompressionPipeline,
    arguments: argparse.Namespace,
    key: Any,
    naming: Naming,
    report: Report,
) -> None:
    """Draw files with one pipeline."""
    import torch

    from sgc_diffusion.synthesis.invented import show_invented
    from sgc_diffusion.synthesis.precision import drawing_precision
    from sgc_diffusion.synthesis.provenance import save_image

    is_embedded = pipeline.config.profile in embedded_names()
    options = {
        "decoder": arguments.decoder,
        "detail_fill": arguments.detail_fill,
        "preset": arguments.preset,
        "num_inference_steps": arguments.steps,
        "strength": arguments.strength,
        "guidance_scale": arguments.guidance,
        "scheduler": arguments.scheduler,
    }

    def handle(drawing: Drawing) -> Result:
        job = drawing.job
        check_still_free(job, overwrite=arguments.force, skip_existing=arguments.skip_existing)
        seed = drawing.noise_seed
        generator = None if seed is None else torch.Generator("cpu").manual_seed(seed)
        started = time.perf_counter()
        with drawing_precision(pipeline.device, pipeline.dtype) if is_embedded else nullcontext():
            drawn = pipeline.decompress(
                drawing.data, key=key, generator=generator, max_pixels=arguments.max_pixels, **options
            )
        image = drawn.images[0]
        if arguments.show_invented:
            image = show_invented(image, bitstream.decode(drawing.data, key=key))
        seconds = time.perf_counter() - started
        with writing(job, naming, overwrite=arguments.force) as temporary:
            save_image(image, temporary)
        return {
            "input": job.source.name,
            "output": job.output,
            "bytes": len(drawing.data),
            "width": image.width,
            "height": image.height,
            "seconds": seconds,
        }

    run_each(drawings, handle, report)


def describe(result: Result) -> str:
    """Return the line for a picture."""
    verb = "decoded" if "decoder" in result else "drawn"
    return f"{{output}}: {{width}}x{{height}} {verb} from {{bytes}} bytes in {{seconds:.2f}} s".format(**result)
