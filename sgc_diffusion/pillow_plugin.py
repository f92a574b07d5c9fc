"""Pillow reads and writes `.sgc` files once this module is imported: `import sgc_diffusion.pillow_plugin`.

    with Image.open("photo.sgc") as image:         # at once: no network, no torch
        image.info["labels"]                       # {"sky": 0.41, "mountain": 0.33, …}
        image.save("preview.png")                  # the preview, or the detail that the file holds
        image.draw().save("picture.png")           # what the decoder draws; needs sgc-diffusion[torch]
    Image.open("photo.jpg").save("photo.sgc", max_bytes=100)     # compresses; needs sgc-diffusion[torch]

Pillow asks no entry point for plug-ins, so the import is what registers this one. Paths, file objects, `thumbnail`,
`verify` and the MIME type work as for every format.
"""

from __future__ import annotations

import math
import warnings
from functools import cache
from typing import IO, Any

from PIL import Image, ImageFile

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream import BitstreamError
from sgc_diffusion.bitstream.header import MAGIC
from sgc_diffusion.extras import require
from sgc_diffusion.synthesis.preview import preview, reduced_size

FORMAT, SUFFIX, MIME = "SGC", ".sgc", "image/x-sgc"
DEFAULT_PIPELINE = "landscape-256"
SAVE_OPTIONS = (  # of `save`, as of `SemanticCompressionPipeline.compress`
    *(
        "max_bytes",
        "target_bpp",
        "quality",
        "preset",
        "color_quality",
        "num_candidates",
        "class_weights",
        "keep_alpha",
        "keep_metadata",
        "key",
    ),
)
KEPT_INFO = ("Description", "icc_profile", "exif")  # of the preview
BYTES_PER_PIXEL = 1 / 8  # of a reduced picture, at most; more detail does not show


class SgcImageFile(ImageFile.ImageFile):
    """A `.sgc` file as Pillow opens it: its preview, RGB or with alpha RGBA, of the original's size.

    `info` holds `labels` (name → share), `taxonomy`, `recipe` (field → value), `layers` (name → bytes), `bytes`, and
    once the pixels are loaded `Description`, which says what they are.
    """

    format = FORMAT
    format_description = "Semantic generative compression"

    def _open(self) -> None:
        if self.fp is None:
            raise OSError("the file is closed")
        data = self.fp.read()
        try:
            summary = bitstream.inspect(data)
            if summary.is_encrypted:
                raise OSError("the file is sealed; read it with its key: sgc_diffusion.decode(data, key=...)")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", bitstream.DamagedLayerWarning)  # they come with the pixels
                labels = bitstream.decode_coarsely(data, 0).labels
        except BitstreamError as error:
            raise OSError(f"the .sgc file cannot be read: {error}") from error
        self._data = data
        self._mode = "RGBA" if "alpha" in summary.layer_bytes else "RGB"
        self._size = (summary.width, summary.height)
        self.info |= {
            "labels": labels.shares,
            "taxonomy": labels.taxonomy_name,
            "recipe": {name: getattr(summary.recipe, name) for name in summary.recipe.__dataclass_fields__},
            "layers": {"header": summary.header_bytes, **summary.layer_bytes},
            "bytes": len(data),
        }

    def load(self) -> Any:
        """Make the preview, when the pixels are first asked for."""
        if self._im is None and hasattr(self, "_data"):
            limit = None if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS  # as `Image.open` has it
            summary = bitstream.inspect(self._data)
            is_reduced = self.size != (summary.width, summary.height)
            max_bytes = math.ceil(self.width * self.height * BYTES_PER_PIXEL) if is_reduced else len(self._data)
            payload = bitstream.decode_coarsely(self._data, max_bytes)
            image = preview(payload, len(self._data), max_side=max(self.size), max_pixels=limit)
            self.info |= {name: image.info[name] for name in KEPT_INFO if name in image.info}
            image = image.convert(self.mode)
            self.im, self._size = image.im, image.size
            if self._exclusive_fp and self.fp:
                self.fp.close()
            self.fp = None
        return super().load()

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> Any:
        """Have the preview made no larger than needed; `thumbnail` calls this."""
        if self._im is not None or size is None:
            return None
        factor = max(size[0] / self.width, size[1] / self.height)
        if factor >= 1:
            return None
        self._size = reduced_size(*self.size, max(1, math.ceil(max(self.size) * factor)))
        return self.mode, (0, 0, *self.size)

    def verify(self) -> None:
        """Check the whole file.

        Raises:
            OSError: it is damaged.
        """
        try:
            bitstream.decode(self._data, strict=True)
        except BitstreamError as error:
            raise OSError(f"the .sgc file is damaged: {error}") from error
        super().verify()

    def draw(self, pipeline: Any = None, **options: Any) -> Image.Image:
        """Return the picture that a decoder draws of the file.

        Args:
            pipeline: a loaded `SemanticCompressionPipeline`, or the name of one; None for that which the file names.
            **options: of its `decompress`: `preset="fast"`, `num_inference_steps`, …

        Raises:
            ImportError: the extra torch is not installed.
            ValueError: the pipeline cannot be loaded, or an option is out of range.
        """
        if pipeline is None or isinstance(pipeline, str):
            pipeline = _load_pipeline(pipeline or bitstream.inspect(self._data).recipe.profile)
        return pipeline.decompress(self._data, **options).images[0]


@cache
def _load_pipeline(name: str) -> Any:
    require("torch", "Analyzing and drawing pictures")
    from sgc_diffusion.pipeline import SemanticCompressionPipeline

    return SemanticCompressionPipeline.from_pretrained(name)


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(image: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    """Compress a picture; `Image.save` takes the options in `SAVE_OPTIONS`, and `pipeline`, a name or a loaded one."""
    options: dict[str, Any] = getattr(image, "encoderinfo", {})
    pipeline = options.get("pipeline", DEFAULT_PIPELINE)
    if isinstance(pipeline, str):
        pipeline = _load_pipeline(pipeline)
    fp.write(pipeline.compress(image, **{name: options[name] for name in SAVE_OPTIONS if name in options}))


def register() -> None:
    """Make the format known to Pillow; importing this module does."""
    Image.register_open(FORMAT, SgcImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, SUFFIX)
    Image.register_mime(FORMAT, MIME)


register()
