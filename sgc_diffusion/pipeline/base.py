"""The base class of all decoder families: what a family registers, configures and writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from diffusers import DiffusionPipeline, SchedulerMixin

from sgc_diffusion.payload import DecoderRecipe, SemanticPayload
from sgc_diffusion.payload.recipe import PROFILES, preset_values
from sgc_diffusion.pipeline.compression import CompressionMixin
from sgc_diffusion.pipeline.decompression import DecompressionMixin
from sgc_diffusion.pipeline.drawing import DrawingMixin
from sgc_diffusion.synthesis.passes import tile_latents
from sgc_diffusion.synthesis.request import DrawingRecipe
from sgc_diffusion.synthesis.steps import InterruptionMixin, StepObserver
from sgc_diffusion.taxonomy import NUMBERS
from sgc_diffusion.zoo.components import ComponentsMixin
from sgc_diffusion.zoo.segmenters import segmenter_table


class SemanticCompressionPipeline(
    CompressionMixin, DecompressionMixin, DrawingMixin, ComponentsMixin, InterruptionMixin, DiffusionPipeline
):
    """Compress pictures to a few hundred bytes of meaning and draw them back.

    This is the base class, and what one loads pipelines with: `from_pretrained` returns the family that a name needs.
    The mixins hold what it does with pictures, files and payloads, and what diffusers' users know: loading, saving and
    sharing of components, and interruption.
    A family registers its components in `__init__`, calls `configure`, and writes `draw`. Its `__init__` takes
    `segmenter`, `image_processor` and the four settings of `configure` beside what it draws with.

    Example:
        >>> pipe = SemanticCompressionPipeline.from_pretrained("landscape-256")
        >>> data = pipe.compress(image)
        >>> picture = pipe.decompress(data).images[0]
    """

    _optional_components = ["segmenter", "image_processor"]  # noqa: RUF012 - diffusers wants a list
    _callback_tensor_inputs = ["latents"]  # noqa: RUF012 - diffusers wants a list
    generators: ClassVar[tuple[str, ...]] = ("diffusion",)
    """What the family draws with, names of `synthesis.decoders`; the first is its default."""

    def draw(
        self,
        payloads: Sequence[SemanticPayload],
        recipe: DrawingRecipe,
        generators: Sequence[torch.Generator],
        observer: StepObserver,
    ) -> torch.Tensor:
        """Draw a batch: what a family has to write.

        Args:
            payloads: whose `drawing_sizes` are the same, with labels of the pipeline's taxonomy.
            recipe: how they are drawn; its seed is that of the first payload and to be left alone.
            generators: of the noise, one a payload.
            observer: to be told of each step; a family without steps or latents may leave it alone.

        Returns:
            (B, 3, H, W) floats in [−1, 1], H and W the last of `drawing_sizes`. Colors are matched to the color map and
            the picture is brought to its size by the caller.
        """
        raise TypeError(f"{type(self).__name__} draws nothing; load a pipeline with `from_pretrained`")

    def drawing_sizes(self, payload: SemanticPayload) -> list[tuple[int, int]]:
        """Return (height, width) in pixels of what is drawn of a payload, smallest first; its own size by default."""
        return [(payload.height, payload.width)]

    def check_recipe(self, recipe: DecoderRecipe) -> None:
        """Raise ValueError for a recipe that needs what this pipeline has not; by default there is none."""

    def check_components(self) -> None:
        """Raise ValueError where components do not fit each other or the settings; by default nothing is asked."""

    def configure(self, taxonomy: str, profile: str, preset: str, segmenter_short_side: int) -> None:
        """Keep the settings that all families have; to be called at the end of `__init__`.

        Args:
            taxonomy: name of the label set that is drawn from.
            profile: name of the pipeline in the bitstream, a key of `payload.PROFILES`.
            preset: name in `payload.recipe.PRESETS` of how its files are drawn unless told otherwise.
            segmenter_short_side: of the segmenter's input where it has no image processor, pixels.

        Raises:
            ValueError: an unknown name, parts that do not fit each other, or a segmenter whose labels cannot be mapped
                to the taxonomy.
        """
        if not isinstance(taxonomy, str) or taxonomy not in NUMBERS:
            raise ValueError(f"`taxonomy` must be one of {', '.join(NUMBERS)}, got {taxonomy!r}")
        if not isinstance(profile, str) or profile not in PROFILES:
            raise ValueError(f"`profile` must be one of {', '.join(PROFILES)}, got {profile!r}")
        preset_values(preset)
        self.register_to_config(
            taxonomy=taxonomy, profile=profile, preset=preset, segmenter_short_side=segmenter_short_side
        )
        self.tile_side: int | None = None
        self.check_components()
        if self.segmenter is not None:
            segmenter_table(self.segmenter, taxonomy)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a component as diffusers does; a scheduler that replaces another draws, whatever a file names."""
        if name == "scheduler" and name in self.__dict__:
            if not isinstance(value, SchedulerMixin):
                raise ValueError(
                    f"`scheduler` of a pipeline must be a diffusers scheduler, got {value!r}; a sampler that files can "
                    "name is given when they are drawn: pipe.decompress(data, scheduler=...)"
                )
            self.register_to_config(scheduler_draws=True)
        super().__setattr__(name, value)

    def enable_tiling(self, tile_side: int | None = None) -> None:
        """Draw pictures larger than a tile in overlapping tiles, which bounds memory.

        Args:
            tile_side: in pixels; the size that the denoiser was trained at if None.

        Raises:
            ValueError: a side that the denoiser cannot take, or a family that draws without a denoiser.
        """
        if not hasattr(self, "unet"):
            raise ValueError(f"`enable_tiling` is for pipelines with a denoiser; {type(self).__name__} has none")
        self.tile_side = tile_latents(self.vae, self.unet, tile_side)

    def disable_tiling(self) -> None:
        """Draw pictures of any size whole again."""
        self.tile_side = None

    def _recipe(self, preset: str | None) -> DecoderRecipe:
        """Return the recipe of a preset, or of the pipeline's own, for its profile and weights."""
        name = self.config.preset if preset is None else preset
        return DecoderRecipe.from_preset(name, profile=self.config.profile, weights_hash=self.weights_hash)
