"""The codec as a diffusers pipeline: the base class of all decoder families.

image ──analyze──▶ SemanticPayload ──encode──▶ bytes ──decode──▶ SemanticPayload ──__call__──▶ image
└───────────────────── compress ─────────────────┘  └────────────── decompress ────────────────┘

Composition only: each stage lives in its own folder, and a family writes `draw`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Unpack, overload

import numpy as np
import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput, SchedulerMixin
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.encoder import AnalysisOptions, CompressionOptions, EncoderSettings, encode_pictures
from sgc_diffusion.analysis.image_input import ImageInput
from sgc_diffusion.analysis.labels import segment_images
from sgc_diffusion.analysis.steering import SteeringOptions
from sgc_diffusion.bitstream import Passphrase
from sgc_diffusion.payload import DecoderRecipe, SemanticPayload
from sgc_diffusion.payload.color_transform import DEFAULT_QUALITY
from sgc_diffusion.payload.recipe import PROFILES, preset_values
from sgc_diffusion.synthesis.batches import draw_batches, stack_pictures
from sgc_diffusion.synthesis.decoders import GENERATORS, LIKENESS, LIKENESS_STRENGTHS, check_decoder, choose_decoder
from sgc_diffusion.synthesis.detail import DETAIL_FILL
from sgc_diffusion.synthesis.dressing import dress
from sgc_diffusion.synthesis.finish import convert_picture
from sgc_diffusion.synthesis.invented import describe_kept
from sgc_diffusion.synthesis.likeness import MAX_PIXELS
from sgc_diffusion.synthesis.likeness_image import likeness_image
from sgc_diffusion.synthesis.noise_seed import noise_seed
from sgc_diffusion.synthesis.passes import tile_latents
from sgc_diffusion.synthesis.preview import preview
from sgc_diffusion.synthesis.provenance import GeneratedImage, mark_generated
from sgc_diffusion.synthesis.request import (
    DrawingOptions,
    DrawingRecipe,
    ReadingOptions,
    check_files,
    check_generator,
    check_outputs,
    check_payloads,
    relabel,
    resolve_fill,
    resolve_recipes,
)
from sgc_diffusion.synthesis.steps import InterruptionMixin, StepObserver, noise_generators
from sgc_diffusion.taxonomy import NUMBERS
from sgc_diffusion.zoo.components import ComponentsMixin
from sgc_diffusion.zoo.segmenters import segmenter_table

Files = bytes | bytearray | memoryview | Sequence[bytes | bytearray | memoryview]
Payloads = SemanticPayload | Sequence[SemanticPayload]

StepCallback = Callable[
    ["SemanticCompressionPipeline", int, torch.Tensor, dict[str, torch.Tensor]], dict[str, Any] | None
]


class SemanticCompressionPipeline(ComponentsMixin, InterruptionMixin, DiffusionPipeline):
    """Compress pictures to a few hundred bytes of meaning and draw them back.

    This is the base class, and what one loads pipelines with: `from_pretrained` returns the family that a name needs.
    The mixins hold what diffusers' users know: loading, saving and sharing of components, and interruption.
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

    @overload
    def analyze(self, image: ImageInput, **options: Unpack[AnalysisOptions]) -> SemanticPayload: ...
    @overload
    def analyze(self, image: Sequence[ImageInput], **options: Unpack[AnalysisOptions]) -> list[SemanticPayload]: ...
    def analyze(
        self,
        image: ImageInput | Sequence[ImageInput],
        *,
        color_quality: int = DEFAULT_QUALITY,
        preset: str | None = None,
        max_bytes: int | None = None,
        target_bpp: float | None = None,
        quality: float | None = None,
        class_weights: Mapping[str, float] | None = None,
        num_candidates: int = 1,
        honest: bool = False,
        target_distance: float | None = None,
        keep_alpha: bool = True,
        keep_metadata: bool = False,
        steering: SteeringOptions | None = None,
        sealed: bool = False,
    ) -> SemanticPayload | list[SemanticPayload]:
        """Reduce pictures to what they mean and what they look like from afar.

        Args:
            image: path of a file, PIL picture of any mode, array as `to_rgb` takes it, or a list of these.
            color_quality: precision of the color map without a budget, see `payload.color_transform`; 0 is the finest.
            preset: how the picture is to be drawn, a name in `payload.recipe.PRESETS`; the pipeline's own if None.
            max_bytes: what each file may take; grids, classes and color precision are chosen by
                `analysis.rate_control`.
            target_bpp: the same in bits per pixel of the picture; give one of the two. What exceeds 300 bytes is spent
                on detail levels, which make the `likeness` better, up to the exact picture.
            quality: of the `likeness`, 0 … 100, instead of a budget: 0 holds labels and colors alone, as None does, 100
                is lossless for 8-bit pixels, turned upright, brought to sRGB unless `keep_metadata` keeps their
                profile; samples of more bits are rounded, with a warning.
            class_weights: class name → how much a wrong label counts where the picture shows that class, for the
                choice under a budget; 1 for classes that are not named.
            num_candidates: how many seeds of the noise are tried, 1 … 65536; the payload holds the best, see
                `analysis.by_synthesis`. Each is drawn in one step by the few-step head, which draws from a seed much
                the same as the denoiser does, or, without one, as the file will be.
            honest: draw the picture once, in one step where there is a head for that, and compare drawing and likeness
                with the original in deep features (`features.deep_distance`, extra `importance`): where the likeness is
                nearer, the file says not to draw.
            target_distance: how far, in these features, the picture of the file may be from the original, instead of a
                budget or a quality: the file gets as many detail levels as that takes. 0 is lossless, 0.1 hard to tell
                apart, 0.3 an ordinary drawing.
            keep_alpha: a picture with transparent pixels keeps its alpha: exactly with a `quality`, else as exactly as
                a quarter of the budget, or 64 bytes without one, allow. False lays it over white.
            keep_metadata: the ICC profile of RGB or gray pixels, which then stay as they are, and the EXIF data, whose
                orientation is set to 1, are kept and come with the decoded picture.
            steering: where the bits go: importance, and regions whose pixels are kept before everything else, to the
                bit unless told less; see `analysis.steering.SteeringOptions`. Importance matters where there is
                detail: with a `quality`, or a budget above 300 bytes.
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
            quality=quality,
            class_weights=class_weights,
            num_candidates=num_candidates,
            honest=honest,
            target_distance=target_distance,
            keep_alpha=keep_alpha,
            keep_metadata=keep_metadata,
            steering=steering,
            sealed=sealed,
        )
        is_list = isinstance(image, (list, tuple))
        images: Any = image if is_list else [image]
        payloads = encode_pictures(
            images,
            settings,
            self._segment,
            bitstream.size_bytes,
            self._draw_candidate,
            count_layer_bytes=partial(bitstream.layer_size_bytes, before=bitstream.DecodedLayers(1, 1)),
            count_last_layer=bitstream.last_layer_size_bytes,
        )
        return payloads if is_list else payloads[0]

    @overload
    def compress(self, image: ImageInput, **options: Unpack[CompressionOptions]) -> bytes: ...
    @overload
    def compress(self, image: Sequence[ImageInput], **options: Unpack[CompressionOptions]) -> list[bytes]: ...
    def compress(
        self,
        image: ImageInput | Sequence[ImageInput],
        *,
        color_quality: int = DEFAULT_QUALITY,
        preset: str | None = None,
        max_bytes: int | None = None,
        target_bpp: float | None = None,
        quality: float | None = None,
        class_weights: Mapping[str, float] | None = None,
        num_candidates: int = 1,
        honest: bool = False,
        target_distance: float | None = None,
        keep_alpha: bool = True,
        keep_metadata: bool = False,
        steering: SteeringOptions | None = None,
        key: bytes | Passphrase | None = None,
    ) -> bytes | list[bytes]:
        """Compress pictures: `analyze`, whose arguments this takes, then `bitstream.encode`.

        A `key` of 32 bytes, or a `bitstream.Passphrase`, seals the files with AES-256-GCM; a budget is then that of the
        sealed file.

        Returns:
            The content of one `.sgc` file, or a list for a list.

        Raises:
            ValueError: as for `analyze`, or a key of another length.
        """
        payload = self.analyze(
            image,
            color_quality=color_quality,
            preset=preset,
            max_bytes=max_bytes,
            target_bpp=target_bpp,
            quality=quality,
            class_weights=class_weights,
            num_candidates=num_candidates,
            honest=honest,
            target_distance=target_distance,
            keep_alpha=keep_alpha,
            keep_metadata=keep_metadata,
            steering=steering,
            sealed=key is not None,
        )
        if isinstance(payload, SemanticPayload):
            return bitstream.encode(payload, key=key)
        return [bitstream.encode(member, key=key) for member in payload]

    @overload
    def decompress(
        self, data: Files, *, return_dict: Literal[True] = ..., **options: Unpack[ReadingOptions]
    ) -> ImagePipelineOutput: ...
    @overload
    def decompress(
        self, data: Files, *, return_dict: Literal[False], **options: Unpack[ReadingOptions]
    ) -> tuple[Any]: ...
    def decompress(
        self,
        data: Files,
        *,
        key: bytes | Passphrase | None = None,
        decoder: str | None = None,
        detail_fill: float | None = None,
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
    ) -> ImagePipelineOutput | tuple[Any]:
        """Draw compressed pictures: `bitstream.decode`, then `__call__`, whose arguments this takes.

        In place of a payload it takes `data`, the content of one `.sgc` file or a list of such, and `key`, the 32 bytes
        or the passphrase that the files were sealed with.

        Returns:
            `.images`, as of `__call__`.

        Raises:
            BitstreamError: data that is not a whole, undamaged file of a known version, or that needs another key.
            ValueError: as for `__call__`, or data that is not bytes, such as the path of a file.
        """
        files = check_files(data)
        payloads = [bitstream.decode(content, key=key) for content in files]
        output = self(
            payloads,
            decoder=decoder,
            detail_fill=detail_fill,
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
            for index, (image, content) in enumerate(zip(output.images, files, strict=True)):
                if isinstance(image, GeneratedImage):
                    kept = describe_kept(payloads[index])
                    output.images[index] = mark_generated(image, len(content), self.config.profile, kept)
                else:
                    words = image.info["Description"]
                    image.info["Description"] = words.replace("a semantic payload", f"{len(content)} bytes")
        return output if return_dict else (output.images,)

    @overload
    def __call__(
        self, payload: Payloads, *, return_dict: Literal[True] = ..., **options: Unpack[DrawingOptions]
    ) -> ImagePipelineOutput: ...
    @overload
    def __call__(
        self, payload: Payloads, *, return_dict: Literal[False], **options: Unpack[DrawingOptions]
    ) -> tuple[Any]: ...
    @torch.no_grad()
    def __call__(
        self,
        payload: Payloads,
        *,
        decoder: str | None = None,
        detail_fill: float | None = None,
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
    ) -> ImagePipelineOutput | tuple[Any]:
        """Draw payloads, or give them as they are.

        Args:
            payload: one or a list, of any sizes.
            decoder: `preview`, `likeness`, or what the pipeline draws with, such as `diffusion`. None is the file's
                default: the likeness, without any network, if it is exact or nearly so or the recipe's strength is 0,
                else a drawing (`synthesis.decoders`).
            detail_fill: part of what detail levels quantized to zero that the drawing may fill, 0 … 1; what they coded
                stays as it is. None is the pipeline's own.
            preset: how to draw, a name in `payload.recipe.PRESETS`; what is given beside it changes its values.
            num_inference_steps: steps of the whole schedule, of which the last `strength` part is run. From noise, a
                picture of the trained size takes half of them for each of two passes, a larger one all for each pass.
                More than four are the denoiser's, where the file asks for leaps and no scheduler is named.
            strength: how far up the noise schedule the likeness is lifted, 0 … 1; 0 draws nothing. Files with detail
                are lifted less, the better their likeness is.
            guidance_scale: classifier-free guidance on the labels; 1 is none.
            scheduler: `dpm-solver++`, `ddim`, `unipc`, or `lcm`, which draws with the few-step head, without guidance
                and in at most four steps. Given here, it goes before one that was set as `pipe.scheduler`, which goes
                before the file's.
            generator: of the noise, one or a list; CPU generators give the same picture on every device.
            output_type: `pil`, `np` (H, W, 3) in [0, 1], `pt` (3, H, W) in [0, 1], or `latent`, the latents (C, h, w)
                of the last step.
            return_dict: False returns a tuple.
            callback_on_step_end: called as in diffusers after each step, a function or a `PipelineCallback`; may return
                changed `latents`.
            callback_on_step_end_tensor_inputs: names of the tensors that the callback gets; only `latents`.
            max_pixels: refuse to draw a picture with more pixels, whatever a file says; None for no limit.

        What is None is taken from each payload's recipe, the seed of the noise as well; for a payload that was made for
        another profile, from this pipeline's own preset.

        Returns:
            `.images`: a list of PIL pictures, each of its payload's size, also for one payload; RGBA where the payload
            has alpha. Arrays and tensors of
            one shape come as one with a batch dimension, as in diffusers, of several shapes as a list. A long list is
            drawn in parts of at most `BATCH_PIXELS`, so memory does not grow with it.

        Raises:
            ValueError: an argument out of range, a picture that is too large, or a payload of a taxonomy from which no
                map leads to the pipeline's.
        """
        payloads = [payload] if isinstance(payload, SemanticPayload) else payload
        check_payloads(payloads, max_pixels)
        check_generator(generator, len(payloads))
        tensor_inputs = getattr(callback_on_step_end, "tensor_inputs", callback_on_step_end_tensor_inputs)
        check_outputs(output_type, callback_on_step_end, tensor_inputs, self._callback_tensor_inputs)
        check_decoder(decoder, self.generators)
        fill = resolve_fill(detail_fill, self.config.get("detail_fill", DETAIL_FILL))
        wishes = {"num_inference_steps": num_inference_steps, "strength": strength}
        wishes |= {"guidance_scale": guidance_scale, "scheduler": scheduler}
        must_draw = decoder in GENERATORS or output_type == "latent"
        recipes = resolve_recipes(
            payloads,
            self._recipe(None),
            preset,
            wishes,
            must_draw=must_draw,
            has_own_sampler=self.config.get("scheduler_draws", False),
            likeness_strengths=self.config.get("likeness_strengths", LIKENESS_STRENGTHS),
        )
        names = [
            choose_decoder(payload, decoder, recipe.strength, self.generators[0])
            for payload, recipe in zip(payloads, recipes, strict=True)
        ]
        drawn = [index for index, name in enumerate(names) if name in GENERATORS]
        for index in drawn:
            self.check_recipe(recipes[index])
        noise = noise_generators([noise_seed(payload) for payload in payloads], generator)
        callback = None if callback_on_step_end is None else partial(callback_on_step_end, self)
        with self._running_call() as state:
            pictures = draw_batches(
                [relabel(payloads[index], self.config.taxonomy) for index in drawn],
                [recipes[index] for index in drawn],
                [noise[index] for index in drawn],
                [self.drawing_sizes(payloads[index]) for index in drawn],
                self.draw,
                StepObserver(partial(self.progress_bar, None), callback, tensor_inputs, state),
                output_type,
                fill,
            )
        self.maybe_free_model_hooks()
        if output_type == "pil":
            dressed = [dress(picture, payloads[index]) for index, picture in zip(drawn, pictures, strict=True)]
            kept = [describe_kept(payloads[index]) for index in drawn]
            pictures = [
                mark_generated(picture, None, self.config.profile, words)
                for picture, words in zip(dressed, kept, strict=True)
            ]
        pairs = zip(payloads, names, strict=True)
        images: Any = [self._plain_picture(*pair, output_type, max_pixels) for pair in pairs]
        for index, picture in zip(drawn, pictures, strict=True):
            images[index] = picture
        images = stack_pictures(images)
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def likeness(self, payload: SemanticPayload, *, max_pixels: int | None = MAX_PIXELS) -> Image.Image:
        """Return the picture that a payload gives without any network, the same on every machine.

        Without detail levels it is the enlarged color map; with the last one it is the original picture to the bit.
        It is not marked as generated, because it is not. Files need no pipeline for it:
        `sgc_diffusion.synthesis.likeness` works without torch.

        Args:
            payload: of any pipeline.
            max_pixels: refuse a picture with more pixels, whatever a file says; None for no limit.

        Returns:
            RGB picture of the payload's size, RGBA with the payload's alpha; `info["Description"]` says what it is.

        Raises:
            ValueError: too many pixels, or a detail level of a picture of another size.
        """
        return likeness_image(payload, max_pixels=max_pixels)

    def _plain_picture(self, payload: SemanticPayload, name: str, output_type: str, max_pixels: int | None) -> Any:
        """Return what a decoder that needs no network makes of a payload; None for one that is drawn."""
        if name in GENERATORS:
            return None
        if output_type == "latent":
            raise ValueError(f"`output_type` latent: {name} has none; give pt, or `decoder` {self.generators[0]}")
        decode = likeness_image if name == LIKENESS else preview
        image = decode(payload, max_pixels=max_pixels)
        return image if output_type == "pil" else convert_picture(np.asarray(image.convert("RGB")), output_type)

    def _recipe(self, preset: str | None) -> DecoderRecipe:
        """Return the recipe of a preset, or of the pipeline's own, for its profile and weights."""
        name = self.config.preset if preset is None else preset
        return DecoderRecipe.from_preset(name, profile=self.config.profile, weights_hash=self.weights_hash)

    def _segment(self, pictures: Sequence[Image.Image], num_cells: int) -> list[np.ndarray]:
        """Return the maps (h, w) uint8 of RGB pictures, of about `num_cells` cells, with ids of the taxonomy."""
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
        """Draw a candidate of `analyze`, in RGB: in one step where there is a head for that."""
        if getattr(self, "few_step_head", None) is None:
            return self(payload).images[0].convert("RGB")
        return self(payload, scheduler="lcm", num_inference_steps=1).images[0].convert("RGB")
