"""`sgc decompress`: .sgc files → pictures. The profile in each file chooses the pipeline that draws it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.arguments import (
    add_command,
    add_inputs,
    add_jobs,
    add_outputs,
    integer,
    not_empty,
    number_between,
    recipe_field,
)
from sgc_diffusion.cli.batch import Report, Result, file_command, find_jobs
from sgc_diffusion.cli.errors import describe_error
from sgc_diffusion.cli.inputs import FILE_SUFFIX
from sgc_diffusion.cli.keys import read_key
from sgc_diffusion.cli.likeness import Drawing, prepare_plainly
from sgc_diffusion.cli.outputs import Naming, check_still_free, writing
from sgc_diffusion.cli.parallel import picklable, run_at_once
from sgc_diffusion.cli.pipelines import load_decoder
from sgc_diffusion.payload.recipe import SCHEDULERS
from sgc_diffusion.synthesis.decoders import DECODERS, GENERATORS, pipeline_of
from sgc_diffusion.synthesis.likeness import MAX_PIXELS
from sgc_diffusion.zoo.names import embedded_names

if TYPE_CHECKING:
    from PIL import Image

    from sgc_diffusion.pipeline import SemanticCompressionPipeline

DRAWN_SUFFIX = ".decoded.png"


def add_decompress(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    run = file_command(decompress, describe)
    parser = add_command(commands, "decompress", "Draw pictures from .sgc files.", run)
    add_inputs(parser, "FILE")
    add_outputs(parser)
    add_jobs(parser)
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
        "at once; diffusion, gan, vae: drawn so, whatever it was made for; default: the likeness if it is exact or "
        "nearly so, or if the file says so, else drawn",
    )
    add("--detail-fill", type=number_between(0, 1), help="part of what the file leaves open that is drawn, 0 to 1")
    add("--show-invented", action="store_true", help="tint and stripe what is drawn and not known from the file")
    add("--steps", type=recipe_field("num_inference_steps", int), help="of the whole schedule; default: as in the file")
    add("--strength", type=recipe_field("strength", float), help="how freely to redraw, 0 to 1; 0 draws nothing")
    add("--guidance", type=recipe_field("guidance_scale", float), help="how strictly to follow the labels; 1 is plain")
    add("--scheduler", choices=list(SCHEDULERS), help="lcm draws in one to four steps")
    add("--seed", type=recipe_field("seed", int), help="of the noise, 0 to 65535; other seeds give other details")
    add(
        "--max-side",
        type=integer(1),
        help="reduce the longer side to this, pixels: what a file of labels and colors is drawn at, however large",
    )
    add("--max-pixels", type=integer(1), default=MAX_PIXELS, help="refuse larger pictures; default %(default)s")


def decompress(arguments: argparse.Namespace, report: Report) -> None:
    """Draw each file and tell the report: first what needs no network, then the others, pipeline by pipeline."""
    key = read_key(arguments)
    naming = Naming({FILE_SUFFIX}, DRAWN_SUFFIX, _picture_suffixes(), ".png")
    jobs = find_jobs(arguments, report, {FILE_SUFFIX}, f"{FILE_SUFFIX} files", naming)
    shared = picklable(arguments), key, naming
    drawings = run_at_once(jobs, partial(prepare_plainly, *shared), report, arguments.jobs)
    by_pipeline: dict[str, list[Drawing]] = {}
    for drawing in drawings:
        by_pipeline.setdefault(arguments.pipeline or pipeline_of(drawing.profile, arguments.decoder), []).append(
            drawing
        )
    for name, members in by_pipeline.items():
        prepare = partial(prepare_drawing, *shared, name, tuple(by_pipeline))
        run_at_once(
            members,
            prepare,
            report,
            arguments.jobs,
            partial(_load_error, shared[0], [member.job.source.name for member in members]),
        )


def _picture_suffixes() -> set[str]:
    """Return the suffixes of formats that can say that a picture is generated."""
    from PIL import Image

    from sgc_diffusion.analysis.image_input import readable_suffixes
    from sgc_diffusion.synthesis.provenance import XMP_FORMATS

    known = readable_suffixes()  # which makes the plug-ins known, too
    formats = {"PNG", "TIFF", "JPEG2000", *XMP_FORMATS} & set(Image.SAVE)
    return {suffix for suffix, name in Image.registered_extensions().items() if suffix in known and name in formats}


def _load_error(arguments: argparse.Namespace, names: Sequence[str], error: Exception) -> str:
    """Return the line for files whose pipeline cannot be loaded."""
    if arguments.pipeline or isinstance(error, ImportError):  # without torch no other one draws either
        return describe_error(error)
    text = describe_error(error, names[0])
    if arguments.decoder in GENERATORS:
        return f"{text}; give the folder of a pipeline that draws with {arguments.decoder} as --pipeline"
    more = f"; {len(names) - 1} more files need it as well" if len(names) > 1 else ""
    return f"{text}; --pipeline landscape-256 draws with another one{more}"


def prepare_drawing(
    arguments: argparse.Namespace, key: Any, naming: Naming, name: str, others: Sequence[str]
) -> Callable[[Drawing], Result]:
    """Load a pipeline; return what draws a file with it.

    Args:
        arguments: of `sgc decompress`.
        key: of sealed files, None for plain ones.
        naming: how results are called.
        name: of the pipeline.
        others: of all that this command draws with.

    Raises:
        CommandError, ImportError, ValueError, OSError: the pipeline cannot be loaded.
    """
    from sgc_diffusion.synthesis.provenance import save_image

    pipeline = load_decoder(name, arguments.device, others)

    def handle(drawing: Drawing) -> Result:
        job = drawing.job
        check_still_free(job, overwrite=arguments.force, skip_existing=arguments.skip_existing)
        started = time.perf_counter()
        image = _draw(drawing, pipeline, arguments, key)
        seconds = time.perf_counter() - started
        with writing(job, naming, overwrite=arguments.force) as temporary:
            save_image(image, temporary)
        sizes = {"bytes": len(drawing.data), "width": image.width, "height": image.height}
        return {"input": job.source.name, "output": job.output, **sizes, "seconds": seconds}

    return handle


def _draw(
    drawing: Drawing, pipeline: SemanticCompressionPipeline, arguments: argparse.Namespace, key: Any
) -> Image.Image:
    """Return the picture of a file."""
    import torch

    from sgc_diffusion.synthesis.invented import show_invented
    from sgc_diffusion.synthesis.precision import drawing_precision
    from sgc_diffusion.synthesis.reduction import reduce_image

    seed = drawing.noise_seed
    is_embedded = pipeline.config.profile in embedded_names()
    with drawing_precision(pipeline.device, pipeline.dtype) if is_embedded else nullcontext():
        drawn = pipeline.decompress(
            drawing.data,
            key=key,
            decoder=arguments.decoder,
            detail_fill=arguments.detail_fill,
            preset=arguments.preset,
            num_inference_steps=arguments.steps,
            strength=arguments.strength,
            guidance_scale=arguments.guidance,
            scheduler=arguments.scheduler,
            generator=None if seed is None else torch.Generator("cpu").manual_seed(seed),
            max_side=None if arguments.show_invented else arguments.max_side,
            max_pixels=arguments.max_pixels,
        )
    if not arguments.show_invented:
        return drawn.images[0]
    shown = show_invented(drawn.images[0], bitstream.decode(drawing.data, key=key))
    return reduce_image(shown, arguments.max_side)


def describe(result: Result) -> str:
    """Return the line for a picture."""
    verb = "decoded" if "decoder" in result else "drawn"
    return f"{{output}}: {{width}}x{{height}} {verb} from {{bytes}} bytes in {{seconds:.2f}} s".format(**result)
