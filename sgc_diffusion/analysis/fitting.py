"""What fits: labels and colors within a budget, and the detail that a quality or the rest of a budget asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from PIL import Image

from sgc_diffusion.analysis.color import extract_color_map
from sgc_diffusion.analysis.detail import HANDOVER_BYTES, add_detail, fit_detail, level_of_file, level_of_quality
from sgc_diffusion.analysis.image_input import LoadedPicture
from sgc_diffusion.analysis.importance import make_importance
from sgc_diffusion.analysis.labels import NUM_LABEL_CELLS
from sgc_diffusion.analysis.rate_control import choose_payload
from sgc_diffusion.analysis.settings import EncoderSettings
from sgc_diffusion.analysis.steering import pixel_importance, steering_of
from sgc_diffusion.payload import ColorLayer, LabelLayer, Layer, SemanticPayload
from sgc_diffusion.taxonomy import reductions

FINE_LABEL_CELLS, FINE_COLOR_CELLS = 125 * 128, 64 * 64  # of the maps that rate control reduces

# RGB pictures, number of cells → for each its (h, w) uint8 map of about as many cells
Segment = Callable[[Sequence[Image.Image], int], list[np.ndarray]]
# → (H, W, 3) uint8, the whole picture, read only where it is needed
ReadPixels = Callable[[], np.ndarray]


class CountBytes(Protocol):
    """`bitstream.size_bytes`: the size of a payload's file, sealed or not."""

    def __call__(self, payload: SemanticPayload, *, sealed: bool = False) -> int:
        """Return the number of bytes."""
        ...


@dataclass(frozen=True)
class ByteCounts:
    """What counts the bytes of files and layers.

    Attributes:
        count_file: of the file of a payload.
        count_layer: that a label or color layer adds to a file, up to a constant; None tells it from whole files.
        count_last: that the last layer of a payload adds to its file; None tells it from whole files.
    """

    count_file: CountBytes
    count_layer: Callable[[Layer], int] | None = None
    count_last: Callable[[SemanticPayload], int] | None = None

    def count_last_layer(self, payload: SemanticPayload) -> int:
        """Return what the last layer of a payload adds to its file, bytes."""
        if self.count_last is not None:
            return self.count_last(payload)
        return self.count_file(payload) - self.count_file(replace(payload, layers=payload.layers[:-1]))


def has_detail(settings: EncoderSettings, budget: int | None) -> bool:
    """Return whether there will be detail, which importance and regions steer.

    Args:
        settings: what is asked of the file.
        budget: bytes that it may take; None without a budget.
    """
    if budget is not None:
        return budget > HANDOVER_BYTES
    asked = settings.quality is not None and level_of_quality(settings.quality) is not None
    return asked or (settings.steering is not None and settings.steering.has_regions)


def usual_payload(picture: LoadedPicture, settings: EncoderSettings, segment: Segment) -> SemanticPayload:
    """Return the payload of labels and colors on the usual grids.

    Args:
        picture: whole or reduced.
        settings: what is asked of the file.
        segment: gives the label map.
    """
    (label_map,) = segment([picture.image], NUM_LABEL_CELLS)
    return SemanticPayload(
        width=picture.width,
        height=picture.height,
        labels=LabelLayer(label_map, settings.taxonomy_name),
        color=ColorLayer.from_color_map(extract_color_map(picture.image), settings.color_quality),
        recipe=settings.recipe,
    )


def fit_budget(
    picture: LoadedPicture,
    settings: EncoderSettings,
    max_bytes: int,
    read_pixels: ReadPixels,
    segment: Segment,
    counts: ByteCounts,
) -> SemanticPayload:
    """Return the best payload of labels and colors that fits, whichever seed will be chosen.

    Args:
        picture: whole or reduced.
        settings: what is asked of the file.
        max_bytes: that labels and colors may take; of a larger budget they leave the rest to detail.
        read_pixels: asked only where importance is to be found.
        segment: gives the label map.
        counts: of the bytes of files and layers.

    Raises:
        ValueError: no payload fits; the message says how many bytes the smallest takes.
    """
    (label_map,) = segment([picture.image], FINE_LABEL_CELLS)
    last_seed = replace(settings.recipe, seed=settings.num_candidates - 1)  # the bytes of the seed count
    return choose_payload(
        label_map,
        extract_color_map(picture.image, FINE_COLOR_CELLS),
        taxonomy_name=settings.taxonomy_name,
        size=(picture.width, picture.height),
        max_bytes=min(max_bytes, HANDOVER_BYTES),
        count_bytes=partial(counts.count_file, sealed=settings.sealed),
        count_layer_bytes=counts.count_layer,
        recipe=last_seed if settings.num_candidates > 1 else settings.recipe,
        class_weights=settings.weights,
        merged=reductions(settings.taxonomy_name),
        importance=_importance(picture, label_map, settings, read_pixels),
    ).payload


def add_wanted_detail(
    payload: SemanticPayload,
    read_pixels: ReadPixels,
    settings: EncoderSettings,
    budget: int | None,
    reserved_bytes: int,
    counts: ByteCounts,
) -> SemanticPayload:
    """Return the payload with the detail that quality or budget ask for; only then is the picture read whole.

    Args:
        payload: of labels, colors and layers that come before detail.
        read_pixels: gives the whole picture.
        settings: what is asked of the file.
        budget: bytes that it may take; None without a budget.
        reserved_bytes: for layers that come after detail.
        counts: of the bytes of files and layers.
    """
    if budget is None:
        finest = None if settings.quality is None else level_of_quality(settings.quality)
        finest = level_of_file(finest, steering_of(payload))
        return payload if finest is None else add_detail(payload, read_pixels(), finest)
    if budget <= HANDOVER_BYTES:
        return payload
    left = budget - reserved_bytes - counts.count_file(payload, sealed=settings.sealed)
    return fit_detail(payload, read_pixels(), left, counts.count_last_layer)


def _importance(
    picture: LoadedPicture, label_map: np.ndarray, settings: EncoderSettings, read_pixels: ReadPixels
) -> np.ndarray | None:
    """Return how much each place of a picture counts, (h, w) float64; None if all count alike."""
    if settings.steering is None or not settings.steering.has_importance:
        return None
    labels = LabelLayer(label_map, settings.taxonomy_name)
    color = ColorLayer.from_color_map(extract_color_map(picture.image), settings.color_quality)
    payload = SemanticPayload(picture.width, picture.height, labels, color)
    return make_importance(pixel_importance(payload, read_pixels(), settings.steering)).weights
