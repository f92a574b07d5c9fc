"""The semantic payload: everything that crosses from the encoder to the decoder.

    image ──analyze──▶ SemanticPayload ──encode──▶ bytes ──decode──▶ SemanticPayload ──synthesize──▶ image

Frozen, validated, numpy only. What is here is exactly what the file holds: `encode` and `decode` are lossless for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sgc_diffusion import color_transform
from sgc_diffusion.taxonomy import Taxonomy, load_taxonomy

MAX_IMAGE_SIDE = 2**20  # pixels; a sane cap that a reader can check before it allocates
MAX_GRID_SIDE = 1024  # cells of a label map
MAX_GRID_CELLS = 2**14  # of a label map, so that no few bytes can keep a reader busy


def _frozen(array: np.ndarray) -> np.ndarray:
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy


@dataclass(frozen=True, eq=False)
class LabelLayer:
    """What each part of the picture is.

    Attributes:
        label_map: (h, w) uint8 class ids below the taxonomy's number of classes; 1 ≤ h, w ≤ 1024, h · w ≤ 16384.
        taxonomy_name: the label set of the ids, such as `landscape-24`.

    Raises:
        ValueError: wrong shape or dtype, an id outside the taxonomy, or an unknown taxonomy.
    """

    label_map: np.ndarray
    taxonomy_name: str

    def __post_init__(self) -> None:
        label_map = np.asarray(self.label_map)
        if label_map.ndim != 2 or label_map.dtype != np.uint8:
            raise ValueError(f"`label_map` must be uint8 of shape (h, w), got {label_map.dtype} {label_map.shape}")
        if not all(1 <= side <= MAX_GRID_SIDE for side in label_map.shape):
            raise ValueError(f"`label_map` must have 1 to {MAX_GRID_SIDE} cells a side, got {label_map.shape}")
        if label_map.size > MAX_GRID_CELLS:
            raise ValueError(f"`label_map` must have at most {MAX_GRID_CELLS} cells, got {label_map.shape}; reduce it")
        if label_map.max() >= self.taxonomy.num_classes:
            raise ValueError(
                f"`label_map` holds id {label_map.max()}, but {self.taxonomy_name} has only "
                f"{self.taxonomy.num_classes} classes; map the ids with `taxonomy.class_table`"
            )
        object.__setattr__(self, "label_map", _frozen(label_map))

    @property
    def taxonomy(self) -> Taxonomy:
        """The label set, with names and palette."""
        return load_taxonomy(self.taxonomy_name)


@dataclass(frozen=True, eq=False)
class ColorLayer:
    """What the picture looks like from afar, as quantized transform coefficients.

    Attributes:
        levels: (h, w, 3) int16, see `sgc_diffusion.color_transform`; 1 ≤ h, w ≤ 64.
        quality: index of the quantizer, see `color_transform.STEPS`.

    Raises:
        ValueError: wrong shape, dtype or range.
    """

    levels: np.ndarray
    quality: int

    def __post_init__(self) -> None:
        levels = np.asarray(self.levels)
        if levels.ndim != 3 or levels.shape[-1] != 3 or levels.dtype != np.int16:
            raise ValueError(f"`levels` must be int16 of shape (h, w, 3), got {levels.dtype} {levels.shape}")
        color_transform.check(levels.shape[0], levels.shape[1], self.quality)
        object.__setattr__(self, "levels", _frozen(levels))

    @classmethod
    def from_color_map(cls, color_map: np.ndarray, quality: int) -> ColorLayer:
        """Quantize a color map (h, w, 3) uint8 sRGB; the only lossy step of the layer."""
        return cls(color_transform.forward(color_map, quality), quality)

    @property
    def color_map(self) -> np.ndarray:
        """The color map that the decoder sees, (h, w, 3) uint8 sRGB, the same on every machine."""
        return color_transform.inverse(self.levels, self.quality)


@dataclass(frozen=True)
class DecoderRecipe:
    """How the encoder meant the picture to be drawn; a decoder may be told otherwise.

    Attributes:
        profile: name of the pipeline, a key of `PROFILES`.
        weights_hash: first two bytes of the SHA-256 over the pipeline's weights, 0 … 65535; 0 is unknown.
        scheduler: name of the sampler, one of `SCHEDULERS`.
        num_inference_steps: steps of the whole schedule, 1 … 1000; `strength` of them are run.
        strength: how far up the noise schedule the color map is lifted, 0.01 … 1 in hundredths.
        guidance_scale: classifier-free guidance on the labels, 0 … 25.5 in tenths; 1 is none.
        seed: of the noise, 0 … 65535.

    Raises:
        ValueError: a value outside its range or off its grid.
    """

    profile: str = "landscape-256"
    weights_hash: int = 0
    scheduler: str = "dpm-solver++"
    num_inference_steps: int = 20
    strength: float = 1.0
    guidance_scale: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ValueError(f"`profile` must be one of {', '.join(PROFILES)}, got {self.profile!r}")
        if self.scheduler not in SCHEDULERS:
            raise ValueError(f"`scheduler` must be one of {', '.join(SCHEDULERS)}, got {self.scheduler!r}")
        _check_integer("weights_hash", self.weights_hash, 0, 65535)
        _check_integer("num_inference_steps", self.num_inference_steps, 1, 1000)
        _check_integer("seed", self.seed, 0, 65535)
        _check_grid("strength", self.strength, 100, 1, 100)
        _check_grid("guidance_scale", self.guidance_scale, 10, 0, 255)


PROFILES = {  # Part of the file format: append, never renumber.
    "custom": 0,
    "landscape-256": 1,
    "semantic-synthesis-512": 2,
    "semantic-synthesis-256": 3,
    "controlnet-seg": 4,
}
SCHEDULERS = {"dpm-solver++": 0, "ddim": 1, "unipc": 2, "lcm": 3}  # Part of the file format: append, never renumber.


def _check_integer(name: str, value: int, lowest: int, highest: int) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ValueError(f"`{name}` must be an integer from {lowest} to {highest}, got {value!r}")


def _check_grid(name: str, value: float, parts: int, lowest: int, highest: int) -> None:
    if not (isinstance(value, (int, float)) and lowest <= value * parts <= highest + 1e-9):
        raise ValueError(f"`{name}` must be from {lowest / parts} to {highest / parts}, got {value!r}")
    if abs(value * parts - round(value * parts)) > 1e-6:
        raise ValueError(f"`{name}` must be a multiple of {1 / parts}, got {value!r}; round it")


@dataclass(frozen=True, eq=False)
class SemanticPayload:
    """A whole compressed picture.

    Attributes:
        width: of the original picture and of the drawn one, pixels.
        height: likewise.
        labels: what each part is.
        color: what it looks like from afar.
        recipe: how it is to be drawn.

    Raises:
        ValueError: a size outside 1 … 2²⁰.

    Example:
        >>> labels = LabelLayer(np.zeros((4, 4), np.uint8), "landscape-24")
        >>> color = ColorLayer.from_color_map(np.full((4, 4, 3), 128, np.uint8), quality=20)
        >>> SemanticPayload(width=64, height=64, labels=labels, color=color).label_map.shape
        (4, 4)
    """

    width: int
    height: int
    labels: LabelLayer
    color: ColorLayer
    recipe: DecoderRecipe = field(default_factory=DecoderRecipe)

    def __post_init__(self) -> None:
        _check_integer("width", self.width, 1, MAX_IMAGE_SIDE)
        _check_integer("height", self.height, 1, MAX_IMAGE_SIDE)

    @property
    def label_map(self) -> np.ndarray:
        """(h, w) uint8 class ids."""
        return self.labels.label_map

    @property
    def color_map(self) -> np.ndarray:
        """(h, w, 3) uint8 sRGB."""
        return self.color.color_map

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SemanticPayload):
            return NotImplemented
        return (
            (self.width, self.height, self.recipe) == (other.width, other.height, other.recipe)
            and self.labels.taxonomy_name == other.labels.taxonomy_name
            and np.array_equal(self.label_map, other.label_map)
            and self.color.quality == other.color.quality
            and np.array_equal(self.color.levels, other.color.levels)
        )

    __hash__ = None  # type: ignore[assignment] - holds arrays
