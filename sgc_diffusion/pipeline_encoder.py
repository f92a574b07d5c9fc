"""The encoder half of the pipelines: pictures → payloads → bytes.

image ──labels, colors──▶ [rate control] ──▶ SemanticPayload ──[best of k seeds]──▶ ──encode──▶ bytes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.by_synthesis import nearest_picture
from sgc_diffusion.analysis.color import extract_color_map
from sgc_diffusion.analysis.image_input import to_rgb
from sgc_diffusion.analysis.labels import NUM_LABEL_CELLS, segment_images
from sgc_diffusion.analysis.rate_control import choose_payload
from sgc_diffusion.analysis.segmenters import segmenter_table
from sgc_diffusion.payload import ColorLayer, DecoderRecipe, LabelLayer, SemanticPayload, color_transform
from sgc_diffusion.payload.recipe import preset_values
from sgc_diffusion.pipeline_setup import PipelineSetup
from sgc_diffusion.taxonomy import load_taxonomy, reductions

ImageInput = Image.Image | np.ndarray

FINE_LABEL_CELLS, FINE_COLOR_CELLS = 125 * 128, 64 * 64  # of the maps that rate control reduces


class PayloadEncoder(PipelineSetup):
    """`analyze` and `compress`."""

    few_step_head: Any

    def __call__(self, payload: Any, **kwargs: Any) -> Any:
        """Draw payloads; see the decoder half."""
        raise NotImplementedError

    def _sizes(self, payload: SemanticPayload) -> list[tuple[int, int]]:
        """Return (height, width) of what is drawn, smallest first."""
        raise NotImplementedError

    @overload
    def analyze(self, image: ImageInput, *, color_quality: int = ..., preset: str | None = ...) -> SemanticPayload: ...

    @overload
    def analyze(
        self, image: Sequence[ImageInput], *, color_quality: int = ..., preset: str | None = ...
    ) -> list[SemanticPayload]: ...

    def analyze(
        self,
        image: ImageInput | Sequence[ImageInput],
        *,
        color_quality: int = color_transform.DEFAULT_QUALITY,
        preset: str | None = None,
    ) -> SemanticPayload | list[SemanticPayload]:
        """Reduce pictures to what they mean and what they look like from afar.

        Args:
            image: PIL picture of any mode, array as `to_rgb` takes it, or a list of these.
            color_quality: precision of the color map, see `color_transform`.
            preset: how the picture is to be drawn, a name in `presets.PRESETS`; the pipeline's own if None.

        Returns:
            One payload, or a list for a list.

        Raises:
            ValueError: something that is no picture, or a pipeline without segmenter.
        """
        pictures, recipe = _pictures(image), self._recipe(preset)
        payloads = [
            SemanticPayload(
                width=picture.width,
                height=picture.height,
                labels=LabelLayer(label_map, self.config.taxonomy),
                color=ColorLayer.from_color_map(extract_color_map(picture), color_quality),
                recipe=recipe,
            )
            for picture, label_map in zip(pictures, self._segment(pictures, NUM_LABEL_CELLS), strict=True)
        ]
        return payloads if isinstance(image, (list, tuple)) else payloads[0]

    @overload
    def compress(
        self,
        image: ImageInput,
        *,
        preset: str | None = ...,
        max_bytes: int | None = ...,
        target_bpp: float | None = ...,
        class_weights: Mapping[str, float] | None = ...,
        key: bytes | None = ...,
        num_candidates: int = ...,
    ) -> bytes: ...

    @overload
    def compress(
        self,
        image: Sequence[ImageInput],
        *,
        preset: str | None = ...,
        max_bytes: int | None = ...,
        target_bpp: float | None = ...,
        class_weights: Mapping[str, float] | None = ...,
        key: bytes | None = ...,
        num_candidates: int = ...,
    ) -> list[bytes]: ...

    def compress(
        self,
        image: ImageInput | Sequence[ImageInput],
        *,
        preset: str | None = None,
        max_bytes: int | None = None,
        target_bpp: float | None = None,
        class_weights: Mapping[str, float] | None = None,
        key: bytes | None = None,
        num_candidates: int = 1,
    ) -> bytes | list[bytes]:
        """Compress pictures: `analyze`, then `bitstream.encode`; with a budget, the best payload that fits into it.

        Args:
            image: as for `analyze`.
            preset: likewise.
            max_bytes: what each file may take; grids, classes and color precision are chosen by
                `analysis.rate_control`.
            target_bpp: the same in bits per pixel of the picture; give one of the two.
            class_weights: class name → how much a wrong label counts where the picture shows that class, for the
                choice under a budget; 1 for classes that are not named.
            key: 32 bytes that seal the file with AES-256-GCM.
            num_candidates: how many seeds of the noise are tried, 1 … 65536; the best is kept in the file, see
                `analysis.by_synthesis`. Each is drawn in one step by the few-step head, which draws from a seed much
                the same as the denoiser does, or, without one, as the file will be.

        Returns:
            The content of one `.sgc` file, or a list for a list.

        Raises:
            ValueError: as for `analyze`, or a budget that no file of the picture fits into; the message says how many
                bytes the smallest takes.
        """
        if not isinstance(num_candidates, int) or not 1 <= num_candidates <= 65536:
            raise ValueError(f"`num_candidates` must be an integer from 1 to 65536, got {num_candidates!r}")
        pictures, recipe = _pictures(image), self._recipe(preset)
        if max_bytes is None and target_bpp is None:
            if class_weights is not None:
                raise ValueError("`class_weights` matter only under a budget; give `max_bytes` or `target_bpp` as well")
            payloads = self.analyze(pictures, preset=preset)
        else:
            budgets = [_budget(picture, max_bytes, target_bpp) for picture in pictures]
            recipe = replace(recipe, seed=num_candidates - 1)  # its bytes count
            payloads = self._fit(pictures, budgets, recipe, class_weights or {}, key)
        if num_candidates > 1:
            payloads = [self._choose_seed(*pair, num_candidates) for pair in zip(pictures, payloads, strict=True)]
        files = [bitstream.encode(one, key=key) for one in payloads]
        return files if isinstance(image, (list, tuple)) else files[0]

    def _choose_seed(self, picture: Image.Image, payload: SemanticPayload, num_candidates: int) -> SemanticPayload:
        """Return the payload with the seed whose picture is nearest to the original."""
        candidates = [replace(payload, recipe=replace(payload.recipe, seed=seed)) for seed in range(num_candidates)]
        options = {} if self.few_step_head is None else {"scheduler": "lcm", "num_inference_steps": 1}
        drawn = [self(one, **options).images[0] for one in candidates]
        return candidates[nearest_picture(picture, drawn, self._sizes(payload)[0])]

    def _fit(
        self,
        pictures: Sequence[Image.Image],
        budgets: Sequence[int],
        recipe: DecoderRecipe,
        class_weights: Mapping[str, float],
        key: bytes | None,
    ) -> list[SemanticPayload]:
        weights = _weights(self.config.taxonomy, class_weights)
        label_maps = self._segment(pictures, FINE_LABEL_CELLS)
        return [
            choose_payload(
                label_map,
                extract_color_map(picture, FINE_COLOR_CELLS),
                taxonomy_name=self.config.taxonomy,
                size=picture.size,
                max_bytes=budget,
                count_bytes=lambda payload: len(bitstream.encode(payload, key=key)),
                recipe=recipe,
                class_weights=weights,
                merged=reductions(self.config.taxonomy),
            ).payload
            for picture, label_map, budget in zip(pictures, label_maps, budgets, strict=True)
        ]

    def _recipe(self, preset: str | None) -> DecoderRecipe:
        values = preset_values(self.config.preset if preset is None else preset)
        return DecoderRecipe(profile=self.config.profile, weights_hash=self.weights_hash, **values)

    def _segment(self, pictures: Sequence[Image.Image], num_cells: int) -> list[np.ndarray]:
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
            image_processor=self._image_processor,
            class_ids=segmenter_table(self.segmenter, self.config.taxonomy),
        )


def _pictures(image: ImageInput | Sequence[ImageInput]) -> list[Image.Image]:
    images: list[Any] = list(image) if isinstance(image, (list, tuple)) else [image]
    return [to_rgb(one) for one in images]


def _budget(picture: Image.Image, max_bytes: int | None, target_bpp: float | None) -> int:
    """Return the bytes that a file may take."""
    if max_bytes is not None and target_bpp is not None:
        raise ValueError("`max_bytes` and `target_bpp` are both given; give one of them")
    if target_bpp is not None:
        if not target_bpp > 0:
            raise ValueError(f"`target_bpp` must be above 0, got {target_bpp!r}")
        return int(target_bpp * picture.width * picture.height / 8)
    if not isinstance(max_bytes, int) or max_bytes < 1:
        raise ValueError(f"`max_bytes` must be an integer above 0, got {max_bytes!r}")
    return max_bytes


def _weights(taxonomy_name: str, class_weights: Mapping[str, float]) -> np.ndarray:
    names = load_taxonomy(taxonomy_name).names
    unknown = sorted(set(class_weights) - set(names))
    if unknown:
        raise ValueError(f"`class_weights` name {unknown}, which {taxonomy_name} has not; it has {', '.join(names)}")
    if any(not 0 <= weight < float("inf") for weight in class_weights.values()):
        raise ValueError(f"`class_weights` must be 0 or more, got {dict(class_weights)}")
    return np.array([float(class_weights.get(name, 1.0)) for name in names])
