"""`sgc decompress` of files that need no network: .sgc files → likenesses and previews, without torch.

A file that is to be drawn is put off, read and decoded as it is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.batch import Result
from sgc_diffusion.cli.errors import CommandError, PutOff
from sgc_diffusion.cli.inputs import read_source
from sgc_diffusion.cli.outputs import Job, Naming, check_still_free, writing
from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.synthesis.decoders import GENERATORS, PREVIEW, choose_decoder, pipeline_of
from sgc_diffusion.synthesis.noise_seed import noise_seed
from sgc_diffusion.synthesis.reduction import reduced_payload

CUSTOM_PROFILE = "custom"  # of pipelines that have no number in the format


@dataclass(frozen=True)
class Drawing:
    """A file that was read and is to be drawn.

    Attributes:
        job: where it goes.
        data: the bytes of the file.
        profile: the pipeline that it names.
        noise_seed: of the picture where the user gave a seed, so that no two pictures share it; else None.
    """

    job: Job
    data: bytes
    profile: str
    noise_seed: int | None = None


def prepare_plainly(arguments: argparse.Namespace, key: Any, naming: Naming) -> Callable[[Job], Result]:
    """Return what decodes a file that needs no network; it puts off, as a `Drawing`, what is to be drawn.

    Args:
        arguments: of `sgc decompress`.
        key: of sealed files, None for plain ones.
        naming: how results are called.
    """
    from sgc_diffusion.synthesis.likeness_image import likeness_image, save_likeness
    from sgc_diffusion.synthesis.preview import preview

    def handle(job: Job) -> Result:
        check_still_free(job, overwrite=arguments.force, skip_existing=arguments.skip_existing)
        started = time.perf_counter()
        data, payload = _read(job, arguments, key)
        name = _choose(payload, arguments)
        if name in GENERATORS:
            raise PutOff(_put_off(job, data, payload, arguments))
        decode = preview if name == PREVIEW else likeness_image
        image = decode(payload, len(data), max_side=arguments.max_side, max_pixels=arguments.max_pixels)
        seconds = time.perf_counter() - started
        with writing(job, naming, overwrite=arguments.force) as temporary:
            save_likeness(image, temporary)
        sizes = {"bytes": len(data), "width": image.width, "height": image.height}
        return {"input": job.source.name, "output": job.output, **sizes, "seconds": seconds, "decoder": name}

    return handle


def _read(job: Job, arguments: argparse.Namespace, key: Any) -> tuple[bytes, SemanticPayload]:
    """Return a file and what it says, unless it is too large or needs a key."""
    name, data = job.source.name, read_source(job.source)
    summary = bitstream.inspect(data)  # without the key, for the header
    if summary.is_encrypted and key is None:
        raise CommandError(f"{name}: is encrypted; give its --key-file or --passphrase-file")
    if arguments.max_side is None:
        check_size(name, summary.width, summary.height, arguments.max_pixels)
    payload = bitstream.decode(data, key=key)
    if arguments.decoder != PREVIEW:  # which is made small even of what cannot be made whole
        made = payload if arguments.show_invented else reduced_payload(payload, arguments.max_side)
        check_size(name, made.width, made.height, arguments.max_pixels)
    return data, payload


def _choose(payload: SemanticPayload, arguments: argparse.Namespace) -> str:
    """Return the name of the decoder of a file."""
    strength = payload.recipe.strength if arguments.strength is None else arguments.strength
    return choose_decoder(payload, arguments.decoder, strength, GENERATORS[-1])


def _put_off(job: Job, data: bytes, payload: SemanticPayload, arguments: argparse.Namespace) -> Drawing:
    """Return what is left to do with a file that is to be drawn.

    Raises:
        CommandError: nobody says by which pipeline.
    """
    if arguments.pipeline is None and pipeline_of(payload.recipe.profile, arguments.decoder) == CUSTOM_PROFILE:
        raise CommandError(
            f"{job.source.name}: was made by a pipeline without a name of its own; give that as --pipeline"
        )
    seed = None
    if arguments.seed is not None:
        seed = noise_seed(replace(payload, recipe=replace(payload.recipe, seed=arguments.seed)))
    return Drawing(job, data, payload.recipe.profile, seed)


def check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture that is too large to be made unasked.

    Raises:
        CommandError: it has more than `max_pixels`.
    """
    if width * height > max_pixels:
        raise CommandError(
            f"{name}: declares {width}x{height} = {width * height} pixels, more than the {max_pixels} that are drawn "
            "unasked; give a --max-side, or, if it is to be trusted, --max-pixels"
        )
