"""How a pipeline is loaded, saved and set: the part of it that neither codes nor draws."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Self

from diffusers import DiffusionPipeline
from torch import nn

from sgc_diffusion.analysis.segmenters import segmenter_table
from sgc_diffusion.payload import PROFILES
from sgc_diffusion.payload.recipe import preset_values
from sgc_diffusion.synthesis.first_stage import FirstStage, downsampling_factor
from sgc_diffusion.taxonomy import NUMBERS

logger = logging.getLogger(__name__)

LABEL_RESAMPLINGS = ("nearest", "area")  # see `conditioning.label_planes`


class PipelineSetup(DiffusionPipeline):
    """Base of the pipelines: `from_pretrained`, `save_pretrained`, segmenter and tiling."""

    vae: FirstStage
    unet: Any
    segmenter: Any
    config: Any

    _optional_components = ["segmenter"]  # noqa: RUF012 - diffusers wants a list

    def _check_components(self) -> None:
        """Raise ValueError where components do not fit each other or the settings."""
        raise NotImplementedError

    def _configure(
        self, taxonomy: str, profile: str, segmenter_short_side: int, label_resampling: str, preset: str
    ) -> None:
        """Keep the settings and check that the components fit them."""
        self.register_to_config(
            taxonomy=taxonomy,
            profile=profile,
            segmenter_short_side=segmenter_short_side,
            label_resampling=label_resampling,
            preset=preset,
        )
        self.weights_hash = 0
        self.tile_side: int | None = None
        self._image_processor: Any = None
        if taxonomy not in NUMBERS:
            raise ValueError(f"`taxonomy` must be one of {', '.join(NUMBERS)}, got {taxonomy!r}")
        if profile not in PROFILES:
            raise ValueError(f"`profile` must be one of {', '.join(PROFILES)}, got {profile!r}")
        if label_resampling not in LABEL_RESAMPLINGS:
            raise ValueError(f"`label_resampling` must be one of {LABEL_RESAMPLINGS}, got {label_resampling!r}")
        preset_values(preset)
        self._check_components()
        if self.segmenter is not None:
            segmenter_table(self.segmenter, taxonomy)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        segmenter: str | Path | nn.Module | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load a pipeline by the name of an embedded one, from a local folder, or from the Hub.

        Args:
            pretrained_model_name_or_path: such as `landscape-256`, `./my-pipeline` or `owner/name`.
            segmenter: another one than the pipeline's own, or one for a pipeline that has none: a Hub id or folder of a
                transformers model, a torchvision name such as `torchvision/deeplabv3_resnet101`, or a model.
            **kwargs: what diffusers' `from_pretrained` takes, such as `revision`, `local_files_only` or `variant`;
                `dtype` is float32 unless given. `controlnet`, a Hub id or folder, makes a pipeline of a Stable
                Diffusion 1.x model and that ControlNet for segmentation maps.

        Returns:
            A pipeline of the class that its decoder needs.

        Raises:
            ValueError: a name that leads nowhere, a folder of something else, a component that is missing or does not
                fit.
            OSError: a Hub id that cannot be reached.
        """
        from sgc_diffusion.zoo.loading import load_pipeline  # imports this module

        return load_pipeline(cls, str(pretrained_model_name_or_path), segmenter, kwargs)

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Save as diffusers does, and the segmenter's image processor beside its weights.

        A segmenter that cannot be saved, such as torchvision's, is left out.
        """
        segmenter = self.segmenter
        if segmenter is not None and not hasattr(segmenter, "save_pretrained"):
            logger.warning(
                "The segmenter is a %s, which is not saved; give it again to load.", type(segmenter).__name__
            )
            self.register_modules(segmenter=None)
        try:
            super().save_pretrained(save_directory, **kwargs)
        finally:
            self.register_modules(segmenter=segmenter)
        if self._image_processor is not None and (Path(save_directory) / "segmenter").is_dir():
            self._image_processor.save_pretrained(Path(save_directory) / "segmenter")

    def use_segmenter(self, segmenter: nn.Module, image_processor: Any = None) -> None:
        """Segment with another model; its labels are mapped to the pipeline's taxonomy by their names.

        Args:
            segmenter: transformers or torchvision model for semantic segmentation.
            image_processor: the transformers processor that belongs to it; None feeds RGB in [−1, 1].

        Raises:
            ValueError: labels that are of no known taxonomy, or of one that leads not to the pipeline's.
        """
        segmenter_table(segmenter, self.config.taxonomy)
        self.register_modules(segmenter=segmenter.eval())
        self._image_processor = image_processor

    def enable_tiling(self, tile_side: int | None = None) -> None:
        """Draw pictures larger than a tile in overlapping tiles, which bounds memory.

        Args:
            tile_side: in pixels; the size that the denoiser was trained at if None.
        """
        factor = downsampling_factor(self.vae)
        side = self.unet.config.sample_size * factor if tile_side is None else tile_side
        multiple = factor * 2 ** (len(self.unet.config.block_out_channels) - 1)
        if side < multiple or side % multiple:
            raise ValueError(f"`tile_side` must be a multiple of {multiple} pixels, got {side}")
        self.tile_side = side // factor

    def disable_tiling(self) -> None:
        """Draw pictures of any size whole again."""
        self.tile_side = None
