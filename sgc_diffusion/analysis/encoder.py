"""Pictures → payloads: the encoder half of every pipeline.

picture ──image_input──▶ RGB ──┬──segmenter──▶ labels ─┬──▶ [rate control] ──▶ payload ──[best of k seeds]──▶ payload
    │                          └─────────────▶ colors ─┘        │
    └──▶ alpha, ICC profile, EXIF (`extras`)  ──────────────────┘

What a pipeline has comes in as callables: what segments, what counts the bytes of a file, what draws a candidate.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

from sgc_diffusion.analysis.alpha import fill_invisible
from sgc_diffusion.analysis.by_synthesis import choose_seed
from sgc_diffusion.analysis.detail import MAX_QUALITY, is_lossless, level_of_quality
from sgc_diffusion.analysis.extras import Extras, collect_extras
from sgc_diffusion.analysis.fitting import (
    ByteCounts,
    CountBytes,
    ReadPixels,
    Segment,
    add_wanted_detail,
    fit_budget,
    has_detail,
    usual_payload,
)
from sgc_diffusion.analysis.honesty import judge, reach_distance
from sgc_diffusion.analysis.image_input import ImageInput, LoadedPicture, load_picture
from sgc_diffusion.analysis.sample_range import RoundedSamplesWarning
from sgc_diffusion.analysis.settings import EncoderSettings
from sgc_diffusion.analysis.steering import add_steering
from sgc_diffusion.features.deep_distance import load_deep_distance
from sgc_diffusion.payload import Layer, SemanticPayload

RAW_BYTES = 3  # a pixel; a larger budget holds the exact picture

Draw = Callable[[SemanticPayload], Image.Image]


def encode_pictures(
    images: Sequence[ImageInput],
    settings: EncoderSettings,
    segment: Segment,
    count_bytes: CountBytes,
    draw: Draw,
    count_layer_bytes: Callable[[Layer], int] | None = None,
    count_last_layer: Callable[[SemanticPayload], int] | None = None,
) -> list[SemanticPayload]:
    """Encode pictures one after another, so that memory does not grow with their number.

    Args:
        images: what `load_picture` takes.
        settings: how.
        segment: (RGB pictures, number of cells) → for each its (h, w) uint8 map of about as many cells, with ids of the
            settings' taxonomy.
        count_bytes: size of the file of a payload.
        draw: payload → the picture that it gives, RGB; asked only if there are several candidates, or where a drawing
            is to be compared with the original.
        count_layer_bytes: what a label or color layer adds to a file; if None, it is told from whole files, which takes
            a little longer.
        count_last_layer: what the last layer of a payload adds to its file; if None, it is told from whole files.

    Returns:
        One payload for each picture.

    Raises:
        ValueError: something that is no picture, or a budget that no file of a picture fits into; the message says how
            many bytes the smallest takes.
        OSError: a file that is missing or may not be read.
    """
    counts = ByteCounts(count_bytes, count_layer_bytes, count_last_layer)
    payloads = []
    for image in images:
        payloads.append(_encode_picture(image, settings, segment, counts, draw))
    return payloads


def _encode_picture(
    image: ImageInput, settings: EncoderSettings, segment: Segment, counts: ByteCounts, draw: Draw
) -> SemanticPayload:
    """Return the payload of one picture; `encode_pictures` says what the arguments are."""
    picture = load_picture(image, keep_alpha=settings.keep_alpha, keep_profile=settings.keep_metadata)
    budget = settings.budget_bytes(picture.width, picture.height) if settings.has_budget else None
    extras = collect_extras(
        picture,
        lambda: load_picture(image, None, keep_alpha=True).alpha,
        has_detail=settings.quality is not None and level_of_quality(settings.quality) is not None,
        max_bytes=budget,
        count_bytes=counts.count_file,
        keep_metadata=settings.keep_metadata,
    )
    if picture.alpha is not None and extras.alpha is None:  # not even the coarsest fits
        settings = replace(settings, keep_alpha=False)
        picture = load_picture(image, keep_profile=settings.keep_metadata)
    if picture.alpha is not None:
        picture = replace(picture, image=fill_invisible(picture.image, picture.alpha))
    read_pixels = partial(_read_pixels, image, settings, budget)
    payload = _add_layers(picture, read_pixels, settings, budget, extras, segment, counts)
    if picture.is_rounded and is_lossless(payload):
        text = "The picture has samples of more than 8 bits; its file holds them rounded to 8, exact from there on"
        warnings.warn(text, RoundedSamplesWarning, stacklevel=4)
    return _look_at_drawing(payload, picture, read_pixels, settings, draw)


def _add_layers(
    picture: LoadedPicture,
    read_pixels: ReadPixels,
    settings: EncoderSettings,
    budget: int | None,
    extras: Extras,
    segment: Segment,
    counts: ByteCounts,
) -> SemanticPayload:
    """Return the payload of one picture before anything of it was drawn."""
    if budget is None:
        payload = usual_payload(picture, settings, segment)
    else:
        payload = fit_budget(picture, settings, budget - extras.size_bytes, read_pixels, segment, counts)
    payload = payload.with_layers(*extras.before_detail)
    if settings.steering is not None and has_detail(settings, budget):
        payload = add_steering(payload, read_pixels(), settings.steering)
    payload = add_wanted_detail(payload, read_pixels, settings, budget, extras.metadata_bytes, counts)
    return payload.with_layers(*extras.after_detail)


def _look_at_drawing(
    payload: SemanticPayload, picture: LoadedPicture, read_pixels: ReadPixels, settings: EncoderSettings, draw: Draw
) -> SemanticPayload:
    """Return the payload with what only a drawing tells: the best seed, whether to draw at all, how much detail."""
    if settings.num_candidates > 1:
        payload = choose_seed(picture.image, payload, draw, int(settings.num_candidates))
    if settings.target_distance is not None:
        return reach_distance(payload, read_pixels(), settings.target_distance, draw, load_deep_distance())
    return judge(payload, read_pixels(), draw, load_deep_distance()).payload if settings.honest else payload


def _read_pixels(image: ImageInput, settings: EncoderSettings, budget: int | None) -> np.ndarray:
    """Return the whole picture, (H, W, 3) uint8, as its detail levels are to give it.

    What lies under pixels that nobody sees is kept only where the file is to be lossless.
    """
    whole = load_picture(image, None, keep_alpha=settings.keep_alpha, keep_profile=settings.keep_metadata)
    is_whole = settings.quality == MAX_QUALITY or (budget or 0) > RAW_BYTES * whole.width * whole.height
    return np.asarray(whole.image if whole.alpha is None or is_whole else fill_invisible(whole.image, whole.alpha))
