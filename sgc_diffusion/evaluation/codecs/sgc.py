"""This project's codec, as a user of `SemanticCompressionPipeline` has it.

image ──compress──▶ .sgc file ──decompress, seed──▶ image
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.evaluation.codecs.codec import Codec, installed_versions, write_file
from sgc_diffusion.payload.recipe import SCHEDULERS, preset_values
from sgc_diffusion.zoo.known import KNOWN_PIPELINES
from sgc_diffusion.zoo.names import resolve_name

PACKAGE = Path(__file__).parents[2]
DEFAULT_PIPELINE = "landscape-256"
FROM_HUB = {pipeline.name for pipeline in KNOWN_PIPELINES if pipeline.sources and "://" not in pipeline.sources[0]}
PIPELINE_SUFFIXES = {".safetensors", ".bin", ".json"}
NUM_SEEDS = 2**16  # of a file
NUMBERS = {  # option → what the pipeline calls it, its type, and the range that the pipeline takes
    "steps": ("num_inference_steps", int, 1, 1000),
    "strength": ("strength", float, 0.01, 1.0),
    "guidance": ("guidance_scale", float, 0.0, math.inf),
    "max_bytes": ("max_bytes", int, 1, math.inf),
}
OPTIONS = ("pipeline", "segmenter", "preset", "device", "scheduler", *NUMBERS)
NEXT_OPTION = re.compile(rf":(?=(?:{'|'.join(OPTIONS)})=)")  # values may hold colons: `C:\m`, `torchvision/…:FILE`


def parse_options(text: str) -> dict[str, str]:
    """Return the options of a spec.

    Args:
        text: `:option=value…`, what follows `sgc`. A value ends before the next colon with the name of an option.

    Raises:
        ValueError: an unknown option, or one that is given twice.
    """
    options: dict[str, str] = {}
    if not text:
        return options
    for pair in NEXT_OPTION.split(text)[1:] if NEXT_OPTION.match(text) else [text.removeprefix(":")]:
        key, is_given, value = pair.partition("=")
        if key not in OPTIONS or not is_given:
            raise ValueError(f"`{key}` is no option of sgc; it has {', '.join(OPTIONS)}")
        if key in options:
            raise ValueError(f"`{key}` of sgc must be given once, got {options[key]!r} and {value!r}")
        options[key] = value
    return options


class SgcCodec(Codec):
    """SGC with one pipeline and one way to draw.

    Args:
        options: `pipeline` (embedded name, folder or Hub id), `segmenter`, `preset`, `device`; `max_bytes` of a file;
            for the decoder `scheduler`, `steps`, `strength`, `guidance`; text, as in a spec.

    Raises:
        ValueError: an unknown preset or scheduler, or a number that is none or out of range.
    """

    is_generative = True
    family, suffix = "sgc", ".sgc"

    def __init__(self, options: dict[str, str]) -> None:
        if "preset" in options:
            preset_values(options["preset"])
        if options.get("scheduler", "ddim") not in SCHEDULERS:
            raise ValueError(f"`scheduler` of sgc must be one of {', '.join(SCHEDULERS)}, got {options['scheduler']!r}")
        self.options = dict(options)
        self.pipeline_name = options.get("pipeline", DEFAULT_PIPELINE)
        self._drawing: dict[str, Any] = {
            NUMBERS[key][0]: _number(key, options[key]) for key in NUMBERS if key in options
        }
        self._max_bytes = self._drawing.pop("max_bytes", None)
        if "scheduler" in options:
            self._drawing["scheduler"] = options["scheduler"]
        self.spec = ":".join(["sgc", *(f"{key}={value}" for key, value in options.items())])
        shown = {key: Path(value).name for key, value in options.items()}
        name = "-".join(["sgc", *(f"{key}-{value}" for key, value in shown.items())])
        self.name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        parts = [f"{key} {value}" for key, value in shown.items() if key not in ("pipeline", "device", "max_bytes")]
        parts += [f"≤ {self._max_bytes} B"] if self._max_bytes is not None else []
        self.title = ", ".join([f"SGC ({shown.get('pipeline', DEFAULT_PIPELINE)})", *parts])

    def require(self) -> None:
        """See the base class; a pipeline that leads nowhere is found here, before any picture is opened."""
        if self.pipeline_name not in FROM_HUB:
            resolve_name(self.pipeline_name)

    def load(self) -> None:
        """See the base class; loads the pipeline."""
        _ = self._pipeline

    @cached_property
    def _pipeline(self) -> Any:
        from sgc_diffusion.pipeline import SemanticCompressionPipeline  # torch, which anchors do without

        segmenter = self.options.get("segmenter")
        pipeline = SemanticCompressionPipeline.from_pretrained(self.pipeline_name, segmenter=segmenter)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline.to(self.options["device"]) if "device" in self.options else pipeline

    def versions(self) -> dict[str, str]:
        """See the base class; this package's sources and the pipeline's weights and settings count as versions."""
        sources = [path for path in PACKAGE.rglob("*.py") if "evaluation" not in path.relative_to(PACKAGE).parts]
        versions = {"sgc_diffusion sources": _digest(sources)}
        if self.pipeline_name not in FROM_HUB:
            folder = Path(resolve_name(self.pipeline_name))
            if folder.is_dir():
                versions["pipeline"] = _digest(path for path in folder.rglob("*") if path.suffix in PIPELINE_SUFFIXES)
        return versions | installed_versions("torch", "diffusers", "transformers", "numpy", "pillow")

    def encode(self, image: Image.Image, path: Path) -> dict[str, Any]:
        """See the base class."""
        data = self._pipeline.compress(image, preset=self.options.get("preset"), max_bytes=self._max_bytes)
        write_file(data, path)
        parts = [f"{key} {value}" for key, value in self.options.items()]
        return {"setting": ", ".join(parts) or "as shipped", "scale": 1.0}

    def decode_image(self, path: Path, *, seed: int = 0) -> Image.Image:
        """See the base class. Seed 0 is what the file draws for everybody; others are the files of other seeds."""
        payload = bitstream.decode(path.read_bytes())
        recipe = replace(payload.recipe, seed=(payload.recipe.seed + seed) % NUM_SEEDS)
        return self._pipeline(replace(payload, recipe=recipe), **self._drawing).images[0]


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def _number(key: str, text: str) -> float:
    _, kind, lowest, highest = NUMBERS[key]
    try:
        value = kind(text)
    except ValueError as error:
        raise ValueError(f"`{key}` of sgc must be a {'whole ' if kind is int else ''}number, got {text!r}") from error
    if not lowest <= value <= highest or value == math.inf:
        bounds = f"from {lowest:g}" + (f" to {highest:g}" if highest < math.inf else "")
        raise ValueError(f"`{key}` of sgc must be {bounds}, got {text}")
    return value
