"""The codec as a diffusers pipeline: the base class of all decoder families.

image ──analyze──▶ SemanticPayload ──encode──▶ bytes ──decode──▶ SemanticPayload ──__call__──▶ image
└───────────────────── compress ─────────────────┘  └────────────── decompress ────────────────┘

Composition only: each stage lives in its own folder, and a family writes `draw`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, Unpack, overload

import numpy as np
import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput
from PIL import Image
from torch import nn

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.encoder import EncoderSettings, EncodingOptions, ImageInput, encode_pictures
from sgc_diffusion.analysis.labels import segment_images
from sgc_diffusion.payload import DecoderRecipe, SemanticPayload
from sgc_diffusion.payload.color_transform import DEFAULT_QUALITY
from sgc_diffusion.payload.recipe import PROFILES, preset_values
from sgc_diffusion.synthesis.finish import finish_picture
from sgc_diffusion.synthesis.passes import tile_latents
from sgc_diffusion.synthesis.provenance import mark_generated
from sgc_diffusion.synthesis.request import (
    MAX_PIXELS,
    OUTPUT_TYPES,
    DrawingOptions,
    check_generator,
    check_payloads,
    group_pictures,
    relabel,
    resolve_recipe,
)
from sgc_diffusion.synthesis.steps import StepObserver, noise_generators
from sgc_diffusion.taxonomy import NUMBERS
from sgc_diffusion.zoo.hub import HubOptions
from sgc_diffusion.zoo.identity import hash_components
from sgc_diffusion.zoo.loading import LoadingOptions, load_pipeline
from sgc_diffusion.zoo.segmenters import segmenter_table

logger = logging.getLogger(__name__)

ENCODER_COMPONENTS = {"segmenter", "image_processor"}  # their weights do not show in a drawn picture

StepCallback = Callable[
    ["SemanticCompressionPipeline", int, torch.Tensor, dict[str, torch.Tensor]], dict[str, Any] | None
]


class SemanticCompressionPipeline(DiffusionPipeline):
    """Compress pictures to a few hundred bytes of meaning and draw them back.

    This is the base class, and what one loads pipelines with: `from_pretrained` returns the family that a name needs.
    A family registers its components in `__init__`, calls `configure`, and writes `draw`. Its `__init__` takes
    `segmenter`, `image_processor` and the four settings of `configure` beside what it draws with.

    Example:
        >>> pipe = SemanticCompressionPipeline.from_pretrained("landscape-256")
        >>> data = pipe.compress(image)
        >>> picture = pipe.decompress(data).images[0]
    """

    segmenter: Any
    image_processor: Any
    config: Any

    _optional_components = ["segmenter", "image_processor"]  # noqa: RUF012 - diffusers wants a list
    _callback_tensor_inputs = ["latents"]  # noqa: RUF012 - diffusers wants a list

    def draw(
        self,
        payloads: Sequence[SemanticPayload],
        recipe: DecoderRecipe,
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
            ValueError: an unknown name, or a segmenter whose labels cannot be mapped to the taxonomy.
        """
        if taxonomy not in NUMBERS:
            raise ValueError(f"`taxonomy` must be one of {', '.join(NUMBERS)}, got {taxonomy!r}")
        if profile not in PROFILES:
            raise ValueError(f"`profile` must be one of {', '.join(PROFILES)}, got {profile!r}")
        preset_values(preset)
        self.register_to_config(
            taxonomy=taxonomy, profile=profile, preset=preset, segmenter_short_side=segmenter_short_side
        )
        self.tile_side: int | None = None
        self._interrupt = False
        self.check_components()
        if self.segmenter is not None:
            segmenter_table(self.segmenter, taxonomy)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        segmenter: str | Path | nn.Module | None = None,
        controlnet: str | Path | None = None,
        dtype: torch.dtype | None = None,
        torch_dtype: torch.dtype | None = None,
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
                transformers model, a torchvision name such as `torchvision/deeplabv3_resnet101`, or a model.
            controlnet: Hub id or folder of a ControlNet for segmentation maps; the name is then that of a Stable
                Diffusion 1.x model.
            dtype: of the weights in memory; float32 if None.
            torch_dtype: the older name of `dtype`.
            variant: such as `fp16`: files of that name.
            use_safetensors: False allows pickled weights of the Hub, which can run code.
            device_map: as in diffusers.
            revision: branch, tag or commit of the pipeline on the Hub.
            cache_dir: where downloads are kept.
            token: for gated and private repositories.
            local_files_only: never ask the Hub.
            force_download: fetch again what the cache holds.
            **components: parts and settings of the family by name that replace the saved ones, such as `unet=…`,
                `scheduler=…` or `preset="fast"`.

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
    def from_pipe(cls, pipeline: SemanticCompressionPipeline, **components: Any) -> Self:
        """Return a pipeline that shares the components of another.

        Args:
            pipeline: of the same family, or of any if called on the base class.
            **components: parts and settings by name that replace those of `pipeline`.

        Raises:
            ValueError: a pipeline that lacks a part which this family needs.
        """
        family: Any = type(pipeline) if cls is SemanticCompressionPipeline else cls
        parts, settings = family._get_signature_keys(family)
        arguments = {name: part for name, part in pipeline.components.items() if name in parts}
        arguments |= {name: value for name, value in pipeline.config.items() if name in settings}
        missing = sorted(set(parts) - set(arguments) - set(components) - set(family._optional_components))
        if missing:
            raise ValueError(f"`{missing[0]}` is needed by {family.__name__} and not part of `pipeline`; give it too")
        return family(**arguments | components)

    def save_pretrained(self, save_directory: str | Path, *arguments: Any, **options: Any) -> None:
        """Save as diffusers does; a segmenter that cannot be saved, such as torchvision's, is left out."""
        segmenter = self.segmenter
        if segmenter is not None and not hasattr(segmenter, "save_pretrained"):
            logger.warning(
                "The segmenter is a %s, which is not saved; give it again to load.", type(segmenter).__name__
            )
            self.register_modules(segmenter=None)
        try:
            super().save_pretrained(save_directory, *arguments, **options)
        finally:
            self.register_modules(segmenter=segmenter)

    @property
    def weights_hash(self) -> int:
        """What identifies the weights that draw, 1 … 65535; 0 for a pipeline without. See `zoo.identity`."""
        return hash_components({k: part for k, part in self.components.items() if k not in ENCODER_COMPONENTS})

    @property
    def interrupt(self) -> bool:
        """Whether the drawing at hand was told to stop, by `pipe._interrupt = True` in a callback, as in diffusers."""
        return self._interrupt

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

    @overload
    def analyze(
        self, image: ImageInput, *, sealed: bool = ..., **options: Unpack[EncodingOptions]
    ) -> SemanticPayload: ...

    @overload
    def analyze(
        self, image: Sequence[ImageInput], *, sealed: bool = ..., **options: Unpack[EncodingOptions]
    ) -> list[SemanticPayload]: ...

    def analyze(
        self,
        image: ImageInput | Sequence[ImageInput],
        *,
        color_quality: int = DEFAULT_QUALITY,
        preset: str | None = None,
        max_bytes: int | None = None,
        target_bpp: float | None = None,
        class_weights: Mapping[str, float] | None = None,
        num_candidates: int = 1,
        sealed: bool = False,
    ) -> SemanticPayload | list[SemanticPayload]:
        """Reduce pictures to what they mean and what they look like from afar.

        Args:
            image: path of a file, PIL picture of any mode, array as `to_rgb` takes it, or a list of these.
            color_quality: precision of the color map without a budget, see `payload.color_transform`; 0 is the finest.
            preset: how the picture is to be drawn, a name in `payload.recipe.PRESETS`; the pipeline's own if None.
            max_bytes: what each file may take; grids, classes and color precision are chosen by
                `analysis.rate_control`.
            target_bpp: the same in bits per pixel of the picture; give one of the two.
            class_weights: class name → how much a wrong label counts where the picture shows that class, for the
                choice under a budget; 1 for classes that are not named.
            num_candidates: how many seeds of the noise are tried, 1 … 65536; the payload holds the best, see
                `analysis.by_synthesis`. Each is drawn in one step by the few-step head, which draws from a seed much
                the same as the denoiser does, or, without one, as the file will be.
            sealed: the budget is that of a file under a key, which takes 26 bytes more.

        Returns:
            One payload, or a list for a list.

        Raises:
            ValueError: something that is no picture, a pipeline without segmenter, an argument out of range, or a
                budget that no file of the picture fits into; the message says how many bytes the smallest takes.
        """
        settings = EncoderSettings(
            recipe=self._recipe(preset),
            taxonomy_name=self.config.taxonomy,
            color_quality=color_quality,
            max_bytes=max_bytes,
            target_bpp=target_bpp,
            class_weights=class_weights,
            num_candidates=num_candidates,
            sealed=sealed,
        )
        images = list(image) if isinstance(image, (list, tuple)) else [image]
        payloads = encode_pictures(images, settings, self._segment, bitstream.size_bytes, self._draw_candidate)
        return payloads if isinstance(image, (list, tuple)) else payloads[0]

    @overload
    def compress(self, image: ImageInput, *, key: bytes | None = ..., **options: Unpack[EncodingOptions]) -> bytes: ...

    @overload
    def compress(
        self, image: Sequence[ImageInput], *, key: bytes | None = ..., **options: Unpack[EncodingOptions]
    ) -> list[bytes]: ...

    def compress(
        self,
        image: ImageInput | Sequence[ImageInput],
        *,
        color_quality: int = DEFAULT_QUALITY,
        preset: str | None = None,
        max_bytes: int | None = None,
        target_bpp: float | None = None,
        class_weights: Mapping[str, float] | None = None,
        num_candidates: int = 1,
        key: bytes | None = None,
    ) -> bytes | list[bytes]:
        """Compress pictures: `analyze`, then `bitstream.encode`.

        Args:
            image: as for `analyze`, as are all arguments but `key`.
            color_quality: precision of the color map without a budget.
            preset: how the picture is to be drawn.
            max_bytes: what each file may take.
            target_bpp: the same in bits per pixel.
            class_weights: how much a wrong label counts, by class name.
            num_candidates: how many seeds are tried.
            key: 32 bytes that seal the file with AES-256-GCM.

        Returns:
            The content of one `.sgc` file, or a list for a list.

        Raises:
            ValueError: as for `analyze`, or a key of another length.
        """
        images = list(image) if isinstance(image, (list, tuple)) else [image]
        payloads = self.analyze(
            images,
            color_quality=color_quality,
            preset=preset,
            max_bytes=max_bytes,
            target_bpp=target_bpp,
            class_weights=class_weights,
            num_candidates=num_candidates,
            sealed=key is not None,
        )
        files = [bitstream.encode(payload, key=key) for payload in payloads]
        return files if isinstance(image, (list, tuple)) else files[0]

    @overload
    def decompress(
        self,
        data: bytes | Sequence[bytes],
        *,
        key: bytes | None = ...,
        return_dict: Literal[True] = ...,
        **options: Unpack[DrawingOptions],
    ) -> ImagePipelineOutput: ...

    @overload
    def decompress(
        self,
        data: bytes | Sequence[bytes],
        *,
        key: bytes | None = ...,
        return_dict: Literal[False],
        **options: Unpack[DrawingOptions],
    ) -> tuple[list[Any]]: ...

    def decompress(
        self,
        data: bytes | Sequence[bytes],
        *,
        key: bytes | None = None,
        preset: str | None = None,
        num_inference_steps: int | None = None,
        strength: float | None = None,
        guidance_scale: float | None = None,
        scheduler: str | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        max_pixels: int | None = MAX_PIXELS,
    ) -> ImagePipelineOutput | tuple[list[Any]]:
        """Draw compressed pictures: `bitstream.decode`, then `__call__`.

        Args:
            data: content of one `.sgc` file, or a list.
            key: the 32 bytes that the files were sealed with.
            preset: how to draw, as for `__call__`, as are all further arguments.
            num_inference_steps: steps of the whole schedule.
            strength: how far up the noise schedule the color map is lifted.
            guidance_scale: classifier-free guidance on the labels.
            scheduler: name of the sampler.
            generator: of the noise.
            output_type: `pil`, `np`, `pt` or `latent`.
            return_dict: False returns a tuple.
            callback_on_step_end: called after each step.
            callback_on_step_end_tensor_inputs: names of the tensors that the callback gets.
            max_pixels: of a picture that is drawn.

        Returns:
            `.images`, a list also for a single file.

        Raises:
            BitstreamError: data that is not a whole, undamaged file of a known version, or that needs another key.
            ValueError: as for `__call__`.
        """
        files = [data] if isinstance(data, (bytes, bytearray, memoryview)) else data
        if not isinstance(files, (list, tuple)) or not all(
            isinstance(f, (bytes, bytearray, memoryview)) for f in files
        ):
            raise ValueError(
                f"`data` must be the bytes of a file or a list of them, got {type(data).__name__}; read a file with "
                "pathlib.Path(...).read_bytes()"
            )
        output = self(
            [bitstream.decode(bytes(content), key=key) for content in files],
            preset=preset,
            num_inference_steps=num_inference_steps,
            strength=strength,
            guidance_scale=guidance_scale,
            scheduler=scheduler,
            generator=generator,
            output_type=output_type,
            callback_on_step_end=callback_on_step_end,
            callback_on_step_end_tensor_inputs=callback_on_step_end_tensor_inputs,
            max_pixels=max_pixels,
        )
        if output_type == "pil":
            name, images = self.config.profile, output.images
            output.images = [mark_generated(*pair, name) for pair in zip(images, map(len, files), strict=True)]
        return output if return_dict else (output.images,)

    @overload
    def __call__(
        self,
        payload: SemanticPayload | Sequence[SemanticPayload],
        *,
        return_dict: Literal[True] = ...,
        **options: Unpack[DrawingOptions],
    ) -> ImagePipelineOutput: ...

    @overload
    def __call__(
        self,
        payload: SemanticPayload | Sequence[SemanticPayload],
        *,
        return_dict: Literal[False],
        **options: Unpack[DrawingOptions],
    ) -> tuple[list[Any]]: ...

    @torch.no_grad()
    def __call__(
        self,
        payload: SemanticPayload | Sequence[SemanticPayload],
        *,
        preset: str | None = None,
        num_inference_steps: int | None = None,
        strength: float | None = None,
        guidance_scale: float | None = None,
        scheduler: str | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        max_pixels: int | None = MAX_PIXELS,
    ) -> ImagePipelineOutput | tuple[list[Any]]:
        """Draw payloads.

        Args:
            payload: one or a list, of any sizes.
            preset: how to draw, a name in `payload.recipe.PRESETS`; what is given beside it changes its values.
            num_inference_steps: steps of the whole schedule, of which the last `strength` part is run. From noise, a
                picture of the trained size takes half of them for each of two passes, a larger one all for each pass.
            strength: how far up the noise schedule the color map is lifted, in (0, 1].
            guidance_scale: classifier-free guidance on the labels; 1 is none.
            scheduler: `dpm-solver++`, `ddim`, `unipc`, or `lcm`, which draws with the few-step head, without guidance
                and in at most four steps.
            generator: of the noise, one or a list; CPU generators give the same picture on every device.
            output_type: `pil`, `np` (H, W, 3) in [0, 1], `pt` (3, H, W) in [0, 1], or `latent`, the latents (C, h, w)
                of the last step.
            return_dict: False returns a tuple.
            callback_on_step_end: called as in diffusers after each step; may return changed `latents`.
            callback_on_step_end_tensor_inputs: names of the tensors that the callback gets; only `latents`.
            max_pixels: refuse to draw a picture with more pixels, whatever a file says; None for no limit.

        What is None is taken from each payload's recipe, the seed of the noise as well; for a payload that was made for
        another profile, from this pipeline's own preset.

        Returns:
            `.images`: a list of PIL pictures, each of its payload's size, or of arrays or tensors. A long list is drawn
            in parts of at most `BATCH_PIXELS`, so memory does not grow with it.

        Raises:
            ValueError: an argument out of range, a picture that is too large, or a payload of a taxonomy from which no
                map leads to the pipeline's.
        """
        payloads = [payload] if isinstance(payload, SemanticPayload) else payload
        check_payloads(payloads, max_pixels)
        check_generator(generator, len(payloads))
        self._check_outputs(output_type, callback_on_step_end_tensor_inputs)
        given = {
            "num_inference_steps": num_inference_steps,
            "strength": strength,
            "guidance_scale": guidance_scale,
            "scheduler": scheduler,
        }
        changes = preset_values(preset) if preset is not None else {}
        changes |= {name: value for name, value in given.items() if value is not None}
        own = self._recipe(None)
        recipes = [resolve_recipe(payload, own, changes) for payload in payloads]
        for recipe in recipes:
            self.check_recipe(recipe)
        images = self._draw_all(
            [relabel(payload, self.config.taxonomy) for payload in payloads],
            recipes,
            noise_generators([recipe.seed for recipe in recipes], generator),
            None if callback_on_step_end is None else partial(callback_on_step_end, self),
            output_type,
        )
        self.maybe_free_model_hooks()
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def _check_outputs(self, output_type: str, tensor_inputs: Sequence[str]) -> None:
        if output_type not in OUTPUT_TYPES:
            raise ValueError(f"`output_type` must be one of {', '.join(OUTPUT_TYPES)}, got {output_type!r}")
        if not set(tensor_inputs) <= set(self._callback_tensor_inputs):
            raise ValueError(f"`callback_on_step_end_tensor_inputs` may hold only {self._callback_tensor_inputs}")

    def _draw_all(
        self,
        payloads: Sequence[SemanticPayload],
        recipes: Sequence[DecoderRecipe],
        generators: Sequence[torch.Generator],
        callback: Any,
        output_type: str,
    ) -> list[Any]:
        """Draw payloads batch by batch; return the finished pictures in their order."""
        sizes = [tuple(self.drawing_sizes(payload)) for payload in payloads]
        kinds = [(size, replace(recipe, seed=0, weights_hash=0)) for size, recipe in zip(sizes, recipes, strict=True)]
        images: list[Any] = [None] * len(payloads)
        self._interrupt = False
        for members in group_pictures(kinds, [size[-1][0] * size[-1][1] for size in sizes]):
            observer = StepObserver(lambda total: self.progress_bar(total=total), callback, lambda: self._interrupt)
            batch = [payloads[index] for index in members]
            pixels = self.draw(batch, recipes[members[0]], [generators[index] for index in members], observer)
            for position, index in enumerate(members):
                if output_type != "latent":
                    images[index] = finish_picture(pixels[position], payloads[index], output_type)
                elif observer.latents is None:
                    raise ValueError(f"`output_type` latent: {type(self).__name__} has no latents; ask for pt")
                else:
                    images[index] = observer.latents[position]
        if output_type == "pil":
            images = [mark_generated(image, None, self.config.profile) for image in images]
        return images

    def _recipe(self, preset: str | None) -> DecoderRecipe:
        """Return the recipe of a preset, or of the pipeline's own, for its profile and weights."""
        name = self.config.preset if preset is None else preset
        return DecoderRecipe.from_preset(name, profile=self.config.profile, weights_hash=self.weights_hash)

    def _segment(self, pictures: Sequence[Image.Image], num_cells: int) -> list[np.ndarray]:
        """Return the label maps (h, w) uint8 of RGB pictures, of about `num_cells` cells, in the pipeline's taxonomy."""
        if self.segmenter is None:
            raise ValueError(
                "`segmenter` is missing: this pipeline only draws; load it with from_pretrained(..., segmenter=...), "
                "in the command --segmenter, a Hub id or folder of a semantic segmentation model"
            )
        return segment_images(
            self.segmenter,
            pictures,
            short_side=self.config.segmenter_short_side,
            num_cells=num_cells,
            image_processor=self.image_processor,
            class_ids=segmenter_table(self.segmenter, self.config.taxonomy),
        )

    def _draw_candidate(self, payload: SemanticPayload) -> Image.Image:
        """Draw a candidate of `analyze`: in one step where there is a head for that."""
        if getattr(self, "few_step_head", None) is None:
            return self(payload).images[0]
        return self(payload, scheduler="lcm", num_inference_steps=1).images[0]
