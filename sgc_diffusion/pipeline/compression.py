"""The encoder half of every pipeline: `analyze` and `compress`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Unpack, overload

import numpy as np
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.encoder import encode_pictures
from sgc_diffusion.analysis.image_input import ImageInput
from sgc_diffusion.analysis.labels import segment_images
from sgc_diffusion.analysis.settings import AnalysisOptions, CompressionOptions, EncoderSettings
from sgc_diffusion.analysis.steering import SteeringOptions
from sgc_diffusion.bitstream import Passphrase
from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.payload.color_transform import DEFAULT_QUALITY
from sgc_diffusion.zoo.segmenters import segmenter_table


class CompressionMixin:
    """What `SemanticCompressionPipeline` makes of pictures.

    It is mixed into a `DiffusionPipeline`, whose components and settings it uses.
    """

    segmenter: Any
    image_processor: Any
    config: Any
    _recipe: Any
    __call__: Any

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
