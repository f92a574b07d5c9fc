"""Where a pipeline's name leads, what is wrong there, and the class that draws it.

name ──▶ embedded, folder or Hub id ──▶ folder with model_index.json ──checked──▶ pipeline, segmenter
base + controlnet ────────────────────▶ Stable Diffusion's components ──────────▶ pipeline, segmenter
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from huggingface_hub import errors as hub_errors
from huggingface_hub import hf_hub_download, snapshot_download
from safetensors import SafetensorError
from torch import nn

from sgc_diffusion.analysis.segmenters import load_image_processor, load_segmenter
from sgc_diffusion.embedded import hash_weights, resolve_name

HUB_ARGUMENTS = ("revision", "cache_dir", "token", "local_files_only", "force_download")
PROCESSOR_FILES = ["segmenter/*.json", "segmenter/*.txt"]
STABLE_DIFFUSION = {"StableDiffusionPipeline", "StableDiffusionControlNetPipeline", "StableDiffusionImg2ImgPipeline"}
WEIGHTS_SUFFIXES = (".safetensors", ".bin")


def load_pipeline(cls: Any, name: str, segmenter: str | Path | nn.Module | None, kwargs: dict[str, Any]) -> Any:
    """Load a pipeline; see `SemanticCompressionPipeline.from_pretrained`."""
    from sgc_diffusion.controlnet_pipeline import DEFAULT_NAME, DEFAULT_SEGMENTER, load_base

    hub = {key: kwargs[key] for key in HUB_ARGUMENTS if key in kwargs}
    if "torch_dtype" not in kwargs and "dtype" not in kwargs:
        kwargs["dtype"] = torch.float32  # embedded weights are fp16 on disk, which CPUs compute slowly
    if "controlnet" in kwargs or name == DEFAULT_NAME:
        with readable_hub_errors(name):
            pipeline = load_base(name, **kwargs)
        segmenter = DEFAULT_SEGMENTER if name == DEFAULT_NAME and segmenter is None else segmenter
        hub.pop("revision", None)  # the base's
    else:
        given = {key for key in kwargs if key not in HUB_ARGUMENTS} | (
            {"segmenter"} if segmenter is not None else set()
        )
        pipeline = _load_saved(cls, name, given, kwargs | ({} if segmenter is None else {"segmenter": None}), hub)
        hub = {key: value for key, value in hub.items() if key != "revision"}  # the pipeline's, not the segmenter's
    if isinstance(segmenter, nn.Module):
        pipeline.use_segmenter(segmenter)
    elif segmenter is not None:
        with readable_hub_errors(str(segmenter)):
            model, processor = load_segmenter(str(segmenter), **hub)
        pipeline.use_segmenter(model, processor)
    return pipeline


def _load_saved(cls: Any, name: str, given: set[str], kwargs: dict[str, Any], hub: dict[str, Any]) -> Any:
    """Load what `save_pretrained` wrote, from a folder or the Hub."""
    path = resolve_name(name)
    if Path(path).is_dir():
        folder = Path(path)
        family = _class_of(cls, folder / "model_index.json", name)
    else:
        with readable_hub_errors(path):
            family = _class_of(cls, Path(hf_hub_download(path, "model_index.json", **hub)), name)
            variant = {key: kwargs[key] for key in ("variant", "use_safetensors") if key in kwargs}
            folder = Path(family.download(path, **hub, **variant))
            snapshot_download(path, allow_patterns=PROCESSOR_FILES, **hub)  # diffusers leaves these out
    check_parts(folder, name, given)
    try:
        pipeline = DiffusionPipeline.from_pretrained.__func__(family, str(folder), **kwargs)  # type: ignore[attr-defined]
    except SafetensorError as error:
        raise ValueError(f"{name}: a weights file is damaged ({error}); download or convert it again") from error
    pipeline.weights_hash = hash_weights(folder)
    if pipeline.segmenter is not None:
        pipeline._image_processor = load_image_processor(folder / "segmenter")
    return pipeline


class readable_hub_errors:  # used as a statement
    """Turn the errors of the Hub's client into one line that says what to do."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        messages: list[tuple[Any, str]] = [
            (hub_errors.GatedRepoError, "is gated; accept its terms on the Hub and log in with `hf auth login`"),
            (hub_errors.RepositoryNotFoundError, "is no repository on the Hub that you may read; check the spelling"),
            (hub_errors.RevisionNotFoundError, "has no such revision; check `revision`"),
            (hub_errors.LocalEntryNotFoundError, "is not in the local cache and the Hub cannot be reached; connect, "
             "unset HF_HUB_OFFLINE, or give a local folder"),
            (hub_errors.EntryNotFoundError, "lacks a file that every pipeline has (model_index.json); it is a "
             "repository of something else"),
            (hub_errors.OfflineModeIsEnabled, "is not in the local cache and HF_HUB_OFFLINE forbids to fetch it"),
        ]  # fmt: skip
        for error_class, text in messages:
            if isinstance(error, error_class):
                raise OSError(f"{self.name} {text}") from error


def _class_of(cls: Any, index_path: Path, name: str) -> Any:
    """Return the class that draws the pipeline of a model_index.json.

    Raises:
        ValueError: a file that cannot be read, or another pipeline's.
    """
    from sgc_diffusion.controlnet_pipeline import ControlNetCompressionPipeline

    try:
        family = json.loads(index_path.read_text("utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{name}: model_index.json cannot be read ({error}); save the pipeline again") from error
    if family == ControlNetCompressionPipeline.__name__:
        return ControlNetCompressionPipeline
    if family == "SemanticCompressionPipeline":
        return cls
    if family in STABLE_DIFFUSION:
        raise ValueError(
            f"{name} is a {family}, which is not made for label maps alone; give a ControlNet for segmentation maps "
            'too: from_pretrained(..., controlnet="lllyasviel/control_v11p_sd15_seg")'
        )
    raise ValueError(f"{name} holds a {family}, not a pipeline of sgc_diffusion; load it with diffusers")


def check_parts(folder: Path, name: str, given: set[str]) -> None:
    """Check that a pipeline's folder has all its parts.

    Args:
        folder: to look at.
        name: what the user called it, for messages.
        given: components that the caller gives himself.

    Raises:
        ValueError: a part is missing.
    """
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    for part, value in index.items():
        if part.startswith("_") or not isinstance(value, list) or value[0] is None or part in given:
            continue
        missing = _missing_file(folder / part)
        if missing:
            raise ValueError(
                f"{name}: the component `{part}` ({value[1]}) is incomplete: {missing}; download or save the pipeline "
                "again" + (', or give another with segmenter="owner/name"' if part == "segmenter" else "")
            )


def _missing_file(part: Path) -> str | None:
    if not part.is_dir():
        return f"the folder {part.name}/ is missing"
    if part.name in ("scheduler", "tokenizer"):
        return None if any(part.iterdir()) else f"the folder {part.name}/ is empty"
    if not (part / "config.json").is_file():
        return f"{part.name}/config.json is missing"
    if not any(one.suffix in WEIGHTS_SUFFIXES for one in part.iterdir()):
        return f"{part.name}/ holds no weights (*.safetensors)"
    return None
