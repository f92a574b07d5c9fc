"""What a pipeline is made of, as its users meet it: loaded by name, shared, saved, replaced, identified."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal, Self

import torch
from diffusers import DiffusionPipeline
from torch import nn

from sgc_diffusion.zoo.hub import HubOptions
from sgc_diffusion.zoo.identity import hash_components
from sgc_diffusion.zoo.loading import LoadingOptions, check_dtype, load_pipeline, quiet_libraries, share_components
from sgc_diffusion.zoo.segmenters import segmenter_table

logger = logging.getLogger(__name__)

# Their weights do not show in a drawn picture.
ENCODER_COMPONENTS = {"segmenter", "image_processor", "latent_encoder", "compact_network"}


class ComponentsMixin:
    """What `SemanticCompressionPipeline` has of diffusers' interface to the components of a pipeline, and more.

    It is mixed into a `DiffusionPipeline`, whose attributes it uses.
    """

    segmenter: Any
    image_processor: Any
    config: Any
    components: Any
    register_modules: Any

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        segmenter: str | Path | nn.Module | Literal[False] | None = None,
        controlnet: str | Path | nn.Module | None = None,
        dtype: torch.dtype | dict[str, torch.dtype] | None = None,
        torch_dtype: torch.dtype | dict[str, torch.dtype] | None = None,
        variant: str | None = None,
        use_safetensors: bool | None = None,
        device_map: str | dict[str, Any] | None = None,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        local_files_only: bool | None = None,
        force_download: bool | None = None,
        **components: Any,
    ) -> Self:
        """Load a pipeline by the name of an embedded one, from a local folder, or from the Hub.

        Args:
            pretrained_model_name_or_path: such as `landscape-256`, `./my-pipeline` or `owner/name`.
            segmenter: another one than the pipeline's own, or one for a pipeline that has none: a Hub id or folder of a
                transformers model, a torchvision name such as `torchvision/deeplabv3_resnet101`, or a model. False
                leaves it out: such a pipeline only draws, and is loaded faster.
            controlnet: Hub id or folder of a ControlNet for segmentation maps, or the model; the name is then that of a
                Stable Diffusion 1.x model.
            dtype: of the weights in memory, for all or by component with a `default`; float32 if None.
            torch_dtype: the older name of `dtype`.
            variant: such as `fp16`: files of that name.
            use_safetensors: False allows pickled weights of the Hub, which can run code.
            device_map: as in diffusers.
            revision: branch, tag or commit of the pipeline on the Hub.
            cache_dir: where downloads are kept.
            token: for gated and private repositories.
            local_files_only: never ask the Hub.
            force_download: fetch again what the cache holds.
            **components: parts and settings of the family by name that replace the saved ones, such as `unet=…` or
                `preset="fast"`. A `scheduler=…` draws instead of the sampler that a file names.

        Returns:
            A pipeline of the family that its decoder needs.

        Raises:
            ValueError: a name that leads nowhere, a folder of something else, a component that is missing or does not
                fit.
            OSError: a Hub id that cannot be reached.
        """
        options = LoadingOptions(
            hub=HubOptions(revision, cache_dir, token, local_files_only, force_download),
            dtype=dtype or torch_dtype or torch.float32,  # embedded weights are fp16 on disk, which CPUs compute slowly
            variant=variant,
            use_safetensors=use_safetensors,
            device_map=device_map,
            components=components,
        )
        return load_pipeline(str(pretrained_model_name_or_path), segmenter, controlnet, options)

    @classmethod
    def from_pipe(cls, pipeline: DiffusionPipeline, *, dtype: torch.dtype | None = None, **components: Any) -> Self:
        """Return a pipeline that shares the components of another, which stay where they are and of their dtype.

        Args:
            pipeline: of the same family, or of any if called on the base class; a family takes any diffusers pipeline
                that has the parts it needs.
            dtype: convert the components, which changes `pipeline` too, as they are shared; None leaves them.
            **components: parts and settings by name that replace those of `pipeline`. A new `segmenter` comes with the
                `image_processor` that is given beside it, or without.

        Raises:
            ValueError: a pipeline that lacks a part which this family needs, or a name that is none of its parts.
        """
        if dtype is not None:
            check_dtype(dtype)
        family = type(pipeline) if isinstance(pipeline, cls) else cls
        shared = share_components(family, pipeline, components)
        return shared if dtype is None else shared.to(dtype=dtype)

    def save_pretrained(self, save_directory: str | Path, *arguments: Any, **options: Any) -> None:
        """Save as diffusers does; a segmenter that cannot be saved, such as torchvision's, is left out."""
        segmenter = self.segmenter
        if segmenter is not None and not hasattr(segmenter, "save_pretrained"):
            logger.warning(
                "The segmenter is a %s, which is not saved; give it again to load.", type(segmenter).__name__
            )
            self.register_modules(segmenter=None)
        try:
            with quiet_libraries():
                super().save_pretrained(  # pyright: ignore[reportAttributeAccessIssue]
                    save_directory, *arguments, **options
                )
        finally:
            self.register_modules(segmenter=segmenter)

    @property
    def weights_hash(self) -> int:
        """What identifies the weights that draw, 1 … 65535; 0 for a pipeline without. See `zoo.identity`."""
        return hash_components({k: part for k, part in self.components.items() if k not in ENCODER_COMPONENTS})

    def use_segmenter(self, segmenter: nn.Module, image_processor: Any = None) -> None:
        """Segment with another model; its labels are mapped to the pipeline's taxonomy by their names.

        Args:
            segmenter: transformers or torchvision model for semantic segmentation.
            image_processor: the transformers processor that belongs to it; None feeds RGB in [−1, 1].

        Raises:
            ValueError: labels that are of no known taxonomy, or of one that leads not to the pipeline's.
        """
        segmenter_table(segmenter, self.config.taxonomy)
        self.register_modules(segmenter=segmenter.eval(), image_processor=image_processor)
