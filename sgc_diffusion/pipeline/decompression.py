"""Files → pictures, in every pipeline: `decompress`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack, overload

import torch
from diffusers import ImagePipelineOutput
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream import Passphrase
from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.pipeline.drawing import StepCallback
from sgc_diffusion.synthesis.invented import describe_kept
from sgc_diffusion.synthesis.likeness import MAX_PIXELS
from sgc_diffusion.synthesis.provenance import GeneratedImage, mark_generated
from sgc_diffusion.synthesis.request import ReadingOptions, check_files

Files = bytes | bytearray | memoryview | Sequence[bytes | bytearray | memoryview]


class DecompressionMixin:
    """What `SemanticCompressionPipeline` makes of files: it decodes them and calls itself with their payloads."""

    config: Any
    __call__: Any

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
        max_side: int | None = None,
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
            max_side=max_side,
            max_pixels=max_pixels,
        )
        if output_type == "pil":
            self._name_sizes(output.images, payloads, files)
        return output if return_dict else (output.images,)

    def _name_sizes(
        self, images: list[Image.Image], payloads: Sequence[SemanticPayload], files: Sequence[bytes]
    ) -> None:
        """Let what pictures tell of themselves say how many bytes they were made from."""
        for index, (image, content) in enumerate(zip(images, files, strict=True)):
            if isinstance(image, GeneratedImage):
                kept = describe_kept(payloads[index])
                images[index] = mark_generated(image, len(content), self.config.profile, kept)
            else:
                words = image.info["Description"]
                image.info["Description"] = words.replace("a semantic payload", f"{len(content)} bytes")
