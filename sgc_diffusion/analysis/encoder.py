"""Pictures → payloads: the encoder half of every pipeline.

picture ──image_input──▶ RGB ──┬──segmenter──▶ labels ─┬──▶ [rate control] ──▶ payload ──[best of k seeds]──▶ payload
    │                          └─────────────▶ colors ─┘        │
    └──▶ alpha, ICC profile, EXIF (`extras`)  ──────────────────┘

What a pipeline has comes in as callables: what segments, what counts the bytes of a file, what draws a candidate.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypedDict

import numpy as np
from PIL import Image

from sgc_diffusion.analysis.alpha import fill_invisible
from sgc_diffusion.analysis.by_synthesis import choose_seed
from sgc_diffusion.analysis.color import extract_color_map
from sgc_diffusion.analysis.detail import (
    HANDOVER_BYTES,
    MAX_QUALITY,
    add_detail,
    fit_detail,
    is_lossless,
    level_of_file,
    level_of_quality,
)
from sgc_diffusion.analysis.extras import collect_extras
from sgc_diffusion.analysis.honesty import judge, reach_distance
from sgc_diffusion.analysis.image_input import ImageInput, LoadedPicture, load_picture
from sgc_diffusion.analysis.importance import make_importance
from sgc_diffusion.analysis.labels import NUM_LABEL_CELLS
from sgc_diffusion.analysis.rate_control import choose_payload
from sgc_diffusion.analysis.sample_range import RoundedSamplesWarning
from sgc_diffusion.analysis.steering import SteeringOptions, add_steering, pixel_importance, steering_of
from sgc_diffusion.features.deep_distance import load_deep_distance
from sgc_diffusion.payload import ColorLayer, DecoderRecipe, LabelLayer, Layer, SemanticPayload
from sgc_diffusion.payload.color_transform import DEFAULT_QUALITY, STEPS
from sgc_diffusion.payload.scalars import plain_integer
from sgc_diffusion.taxonomy import load_taxonomy, reductions

RAW_BYTES = 3  # a pixel; a larger budget holds the exact picture
FINE_LABEL_CELLS, FINE_COLOR_CELLS = 125 * 128, 64 * 64  # of the maps that rate control reduces
MAX_CANDIDATES = 65536  # seeds that a file can name
MAX_BUDGET = 2**53  # bytes; more than any file has

Segment = Callable[[Sequence[Image.Image], int], list[np.ndarray]]


class CountBytes(Protocol):
    """`bitstream.size_bytes`: the size of a payload's file, sealed or not."""

    def __call__(self, payload: SemanticPayload, *, sealed: bool = False) -> int:
        """Return the number of bytes."""
        ...


class EncodingOptions(TypedDict, total=False):
    """The arguments that `analyze` and `compress` have in common; `EncoderSettings` says what they mean."""

    color_quality: int
    preset: str | None
    max_bytes: int | None
    target_bpp: float | None
    quality: float | None
    class_weights: Mapping[str, float] | None
    num_candidates: int
    honest: bool
    target_distance: float | None
    keep_alpha: bool
    keep_metadata: bool
    steering: SteeringOptions | None


class AnalysisOptions(EncodingOptions, total=False):
    """The arguments of `analyze`."""

    sealed: bool


class CompressionOptions(EncodingOptions, total=False):
    """The arguments of `compress`."""

    key: Any  # bytes or a `bitstream.Passphrase`


@dataclass(frozen=True)
class EncoderSettings:
    """How pictures are encoded; checked as a whole before any picture is read.

    Attributes:
        recipe: how the picture is to be drawn.
        taxonomy_name: the label set of the maps that the segmenter gives.
        color_quality: precision of the color map without a budget, see `payload.color_transform`.
        max_bytes: what each file may take; grids, classes and color precision are then chosen by `rate_control`.
        target_bpp: the same in bits per pixel of the picture; only one of the two may be given.
        quality: of the likeness, 0 … 100: how much detail the file holds beside labels and colors, see
            `analysis.detail`; 100 is lossless, None holds none. It cannot be given with a budget.
        class_weights: class name → how much a wrong label counts where the picture shows that class, for the choice
            under a budget; 1 for classes that are not named.
        num_candidates: how many seeds of the noise are tried, 1 … 65536; see `by_synthesis`.
        honest: the picture is drawn once, and where the likeness is nearer to the original the file says not to draw.
        target_distance: how far the picture of the file may be from the original, see `honesty`, in place of a quality
            or a budget: as many detail levels are written as it takes.
        keep_alpha: a picture with transparent pixels keeps its alpha, see `extras`; else it is laid over white.
        keep_metadata: ICC profile and EXIF data are kept, and the colors stay those of the profile.
        steering: where the bits are to go: importance, and regions that are kept; see `analysis.steering`.
        sealed: the budget is that of a file that a key seals.

    Raises:
        ValueError: a value out of range, or options that do not go together.
    """

    recipe: DecoderRecipe
    taxonomy_name: str
    color_quality: int = DEFAULT_QUALITY
    max_bytes: int | None = None
    target_bpp: float | None = None
    quality: float | None = None
    class_weights: Mapping[str, float] | None = None
    num_candidates: int = 1
    honest: bool = False
    target_distance: float | None = None
    keep_alpha: bool = True
    keep_metadata: bool = False
    steering: SteeringOptions | None = None
    sealed: bool = False

    def __post_init__(self) -> None:
        plain_integer("color_quality", self.color_quality, 0, len(STEPS) - 1)
        if self.max_bytes is not None and self.target_bpp is not None:
            raise ValueError("`max_bytes` and `target_bpp` are both given; give one of them")
        if self.max_bytes is not None and not (_is_integer(self.max_bytes) and self.max_bytes >= 1):
            raise ValueError(f"`max_bytes` must be an integer above 0, got {self.max_bytes!r}")
        if self.target_bpp is not None and not (_is_number(self.target_bpp) and 0 < self.target_bpp < math.inf):
            raise ValueError(f"`target_bpp` must be above 0 and finite, got {self.target_bpp!r}")
        if self.quality is not None:
            if self.has_budget:
                raise ValueError("`quality` and a budget are both given; give one of them")
            if not (_is_number(self.quality) and 0 <= self.quality <= MAX_QUALITY):
                raise ValueError(f"`quality` must be a number from 0 to {MAX_QUALITY}, got {self.quality!r}")
        if self.target_distance is not None:
            if self.has_budget or self.quality is not None:
                raise ValueError("`target_distance` is given beside a budget or a `quality`; give one of them")
            if not (_is_number(self.target_distance) and 0 <= self.target_distance < math.inf):
                raise ValueError(f"`target_distance` must be a number, 0 or more, got {self.target_distance!r}")
        if not (_is_integer(self.num_candidates) and 1 <= self.num_candidates <= MAX_CANDIDATES):
            raise ValueError(
                f"`num_candidates` must be an integer from 1 to {MAX_CANDIDATES}, got {self.num_candidates!r}"
            )
        if self.class_weights is not None and not self.has_budget:
            raise ValueError("`class_weights` matter only under a budget; give `max_bytes` or `target_bpp` as well")
        _weigh(self.taxonomy_name, self.class_weights or {})
        if self.steering is not None:
            self._check_steering(self.steering)

    def _check_steering(self, steering: SteeringOptions) -> None:
        steering.check(self.taxonomy_name)
        if self.max_bytes is not None and self.max_bytes <= HANDOVER_BYTES and steering.has_regions:
            raise ValueError(
                f"`max_bytes` {self.max_bytes} has no room for the pixels of regions; allow more than {HANDOVER_BYTES}"
            )

    @property
    def has_budget(self) -> bool:
        """Whether the size of the files is limited."""
        return self.max_bytes is not None or self.target_bpp is not None

    @property
    def weights(self) -> np.ndarray:
        """(K,) float64, the weight of each class of the taxonomy."""
        return _weigh(self.taxonomy_name, self.class_weights or {})

    def budget_bytes(self, width: int, height: int) -> int:
        """Return the bytes that the file of a picture may take; meant for settings that have a budget."""
        if self.max_bytes is not None:
            return int(self.max_bytes)
        return int(min(float(self.target_bpp or 0) * width * height / 8, MAX_BUDGET))


def encode_pictures(
    images: Sequence[ImageInput],
    settings: EncoderSettings,
    segment: Segment,
    count_bytes: CountBytes,
    draw: Callable[[SemanticPayload], Image.Image],
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
    payloads = []
    for image in images:
        payload = _encode_picture(image, settings, segment, count_bytes, draw, count_layer_bytes, count_last_layer)
        payloads.append(payload)
    return payloads


def _encode_picture(
    image: ImageInput,
    settings: EncoderSettings,
    segment: Segment,
    count_bytes: CountBytes,
    draw: Callable[[SemanticPayload], Image.Image],
    count_layer_bytes: Callable[[Layer], int] | None,
    count_last_layer: Callable[[SemanticPayload], int] | None,
) -> SemanticPayload:
    """Return the payload of one picture; `encode_pictures` says what the arguments are."""
    picture = load_picture(image, keep_alpha=settings.keep_alpha, keep_profile=settings.keep_metadata)
    budget = settings.budget_bytes(picture.width, picture.height) if settings.has_budget else None
    extras = collect_extras(
        picture,
        lambda: load_picture(image, None, keep_alpha=True).alpha,
        has_detail=settings.quality is not None and level_of_quality(settings.quality) is not None,
        max_bytes=budget,
        count_bytes=count_bytes,
        keep_metadata=settings.keep_metadata,
    )
    if picture.alpha is not None and extras.alpha is None:  # not even the coarsest fits
        settings = replace(settings, keep_alpha=False)
        picture = load_picture(image, keep_profile=settings.keep_metadata)
    if picture.alpha is not None:
        picture = replace(picture, image=fill_invisible(picture.image, picture.alpha))
    if budget is not None:
        read_whole = partial(_read_pixels, image, settings, budget)
        left = budget - extras.size_bytes
        payload = _fit_budget(picture, settings, left, read_whole, segment, count_bytes, count_layer_bytes)
    else:
        payload = _analyze(picture, settings, segment)
    payload = payload.with_layers(*extras.before_detail)
    read_pixels = partial(_read_pixels, image, settings, budget)
    if settings.steering is not None and _has_detail(settings, budget):
        payload = add_steering(payload, read_pixels(), settings.steering)
    payload = _add_detail(payload, read_pixels, settings, budget, extras.metadata_bytes, count_bytes, count_last_layer)
    payload = payload.with_layers(*extras.after_detail)
    if picture.is_rounded and is_lossless(payload):
        text = "The picture has samples of more than 8 bits; its file holds them rounded to 8, exact from there on"
        warnings.warn(text, RoundedSamplesWarning, stacklevel=4)
    if settings.num_candidates > 1:
        payload = choose_seed(picture.image, payload, draw, int(settings.num_candidates))
    if settings.target_distance is not None:
        return reach_distance(payload, read_pixels(), settings.target_distance, draw, load_deep_distance())
    return judge(payload, read_pixels(), draw, load_deep_distance()).payload if settings.honest else payload


def _has_detail(settings: EncoderSettings, budget: int | None) -> bool:
    """Return whether there will be detail, which importance and regions steer."""
    if budget is not None:
        return budget > HANDOVER_BYTES
    asked = settings.quality is not None and level_of_quality(settings.quality) is not None
    return asked or (settings.steering is not None and settings.steering.has_regions)


def _read_pixels(image: ImageInput, settings: EncoderSettings, budget: int | None) -> np.ndarray:
    """Return the whole picture, (H, W, 3) uint8, as its detail levels are to give it.

    What lies under pixels that nobody sees is kept only where the file is to be lossless.
    """
    whole = load_picture(image, None, keep_alpha=settings.keep_alpha, keep_profile=settings.keep_metadata)
    is_whole = settings.quality == MAX_QUALITY or (budget or 0) > RAW_BYTES * whole.width * whole.height
    return np.asarray(whole.image if whole.alpha is None or is_whole else fill_invisible(whole.image, whole.alpha))


def _add_detail(
    payload: SemanticPayload,
    pixels: Callable[[], np.ndarray],
    settings: EncoderSettings,
    budget: int | None,
    reserved_bytes: int,
    count_bytes: CountBytes,
    count_last_layer: Callable[[SemanticPayload], int] | None,
) -> SemanticPayload:
    """Return the payload with the detail that quality or budget ask for; only then is the picture read whole."""
    if budget is None:
        finest = None if settings.quality is None else level_of_quality(settings.quality)
        finest = level_of_file(finest, steering_of(payload))
        return payload if finest is None else add_detail(payload, pixels(), finest)
    if budget <= HANDOVER_BYTES:
        return payload

    def count_by_files(larger: SemanticPayload) -> int:
        return count_bytes(larger) - count_bytes(replace(larger, layers=larger.layers[:-1]))

    left = budget - reserved_bytes - count_bytes(payload, sealed=settings.sealed)
    return fit_detail(payload, pixels(), left, count_last_layer or count_by_files)


def _analyze(picture: LoadedPicture, settings: EncoderSettings, segment: Segment) -> SemanticPayload:
    """Return the payload on the usual grids."""
    (label_map,) = segment([picture.image], NUM_LABEL_CELLS)
    return SemanticPayload(
        width=picture.width,
        height=picture.height,
        labels=LabelLayer(label_map, settings.taxonomy_name),
        color=ColorLayer.from_color_map(extract_color_map(picture.image), settings.color_quality),
        recipe=settings.recipe,
    )


def _fit_budget(
    picture: LoadedPicture,
    settings: EncoderSettings,
    max_bytes: int,
    pixels: Callable[[], np.ndarray],
    segment: Segment,
    count_bytes: CountBytes,
    count_layer_bytes: Callable[[Layer], int] | None,
) -> SemanticPayload:
    """Return the best payload of labels and colors that fits, whichever seed will be chosen."""
    (label_map,) = segment([picture.image], FINE_LABEL_CELLS)
    last_seed = replace(settings.recipe, seed=settings.num_candidates - 1)  # the bytes of the seed count
    return choose_payload(
        label_map,
        extract_color_map(picture.image, FINE_COLOR_CELLS),
        taxonomy_name=settings.taxonomy_name,
        size=(picture.width, picture.height),
        max_bytes=min(max_bytes, HANDOVER_BYTES),
        count_bytes=partial(count_bytes, sealed=settings.sealed),
        count_layer_bytes=count_layer_bytes,
        recipe=last_seed if settings.num_candidates > 1 else settings.recipe,
        class_weights=settings.weights,
        merged=reductions(settings.taxonomy_name),
        importance=_importance(picture, label_map, settings, pixels),
    ).payload


def _importance(
    picture: LoadedPicture, label_map: np.ndarray, settings: EncoderSettings, pixels: Callable[[], np.ndarray]
) -> np.ndarray | None:
    """Return how much each place of a picture counts, (h, w) float64; None if all count alike."""
    if settings.steering is None or not settings.steering.has_importance:
        return None
    labels = LabelLayer(label_map, settings.taxonomy_name)
    color = ColorLayer.from_color_map(extract_color_map(picture.image), settings.color_quality)
    payload = SemanticPayload(picture.width, picture.height, labels, color)
    return make_importance(pixel_importance(payload, pixels(), settings.steering)).weights


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, (float, np.floating))


def _weigh(taxonomy_name: str, class_weights: Mapping[str, float]) -> np.ndarray:
    """Return (K,) float64, the weight of each class of a taxonomy."""
    names = load_taxonomy(taxonomy_name).names
    unknown = sorted(map(str, set(class_weights) - set(names)))
    if unknown:
        raise ValueError(f"`class_weights` name {unknown}, which {taxonomy_name} has not; it has {', '.join(names)}")
    if not all(_is_number(weight) and 0 <= weight < math.inf for weight in class_weights.values()):
        raise ValueError(f"`class_weights` must be finite numbers, 0 or more, got {dict(class_weights)}")
    return np.array([float(class_weights.get(name, 1.0)) for name in names])
