"""What is asked of an encoder, checked as a whole before any picture is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from sgc_diffusion.analysis.detail import HANDOVER_BYTES, MAX_QUALITY
from sgc_diffusion.analysis.steering import SteeringOptions
from sgc_diffusion.payload import DecoderRecipe
from sgc_diffusion.payload.color_transform import DEFAULT_QUALITY, STEPS
from sgc_diffusion.payload.scalars import plain_integer
from sgc_diffusion.taxonomy import load_taxonomy

MAX_CANDIDATES = 65536  # seeds that a file can name
MAX_BUDGET = 2**53  # bytes; more than any file has


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
