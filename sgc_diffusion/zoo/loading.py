"""Where a pipeline's name leads, what is wrong there, and the class that draws it.

name ──▶ embedded, folder or Hub id ──▶ folder with model_index.json ──checked──▶ pipeline, segmenter
base + controlnet ────────────────────▶ Stable Diffusion's components ──────────▶ pipeline, segmenter
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, DiffusionPipeline, StableDiffusionPipeline
from huggingface_hub import errors as hub_errors
from huggingface_hub import hf_hub_download, snapshot_download
from safetensors import SafetensorError
from torch import nn

from sgc_diffusion.analysis.segmenters import load_image_processor, load_segmenter
from sgc_diffusion.families.controlnet import DEFAULT_NAME, ControlNetCompressionPipeline
from sgc_diffusion.zoo.known import DEFAULT_BASE, DEFAULT_CONTROLNET, DEFAULT_SEGMENTER
from sgc_diffusion.zoo.names import check_place, hash_weights, resolve_name

HUB_ARGUMENTS = ("revision", "cache_dir", "token", "local_files_only", "force_download")
PROCESSOR_FILES = ["segmenter/*.json", "segmenter/*.txt"]
STABLE_DIFFUSION = {"StableDiffusionPipeline", "StableDiffusionControlNetPipeline", "StableDiffusionImg2ImgPipeline"}
WEIGHTS_SUFFIXES = (".safetensors", ".bin")
HUB_MESSAGES: list[tuple[type[Exception], str]] = [  # the first that is in the chain of causes tells what happened
    (hub_errors.GatedRepoError, "is gated; accept its terms on the Hub and log in with `hf auth login`"),
    (hub_errors.RepositoryNotFoundError, "is no repository on the Hub that you may read; check the spelling"),
    (hub_errors.RevisionNotFoundError, "has no such revision; check `revision`"),
    (
        hub_errors.LocalEntryNotFoundError,
        "is no folder here and not in the local cache, and the Hub cannot be reached; connect, unset HF_HUB_OFFLINE, "
        "or give a local folder (`hf download` fetches it elsewhere)",
    ),
    (
        hub_errors.OfflineModeIsEnabled,
        "is no folder here and not whole in the local cache, and HF_HUB_OFFLINE forbids to fetch it; unset that, or "
        "give a local folder (`hf download` fetches it elsewhere)",
    ),
    (
        hub_errors.EntryNotFoundError,
        "lacks a file, such as model_index.json or config.json, that each of its kind has; it holds something else",
    ),
]


def load_pipeline(cls: Any, name: str, segmenter: str | Path | nn.Module | None, kwargs: dict[str, Any]) -> Any:
    """Load a pipeline; see `SemanticCompressionPipeline.from_pretrained`."""
    hub = {key: kwargs[key] for key in HUB_ARGUMENTS if key in kwargs}
    if "torch_dtype" not in kwargs and "dtype" not in kwargs:
        kwargs["dtype"] = torch.float32  # embedded weights are fp16 on disk, which CPUs compute slowly
    if "controlnet" in kwargs or name == DEFAULT_NAME:
        pipeline = _load_stable_diffusion(name, hub, **kwargs)
        segmenter = DEFAULT_SEGMENTER if name == DEFAULT_NAME and segmenter is None else segmenter
    else:
        given = {key for key in kwargs if key not in HUB_ARGUMENTS}
        if segmenter is not None:
            given, kwargs = given | {"segmenter"}, kwargs | {"segmenter": None}
        pipeline = _load_saved(cls, name, given, kwargs, hub)
    if isinstance(segmenter, nn.Module):
        pipeline.use_segmenter(segmenter)
    elif segmenter is not None:
        hub.pop("revision", None)  # the pipeline's, not the segmenter's
        with readable_hub_errors(str(segmenter)):
            model, processor = load_segmenter(str(segmenter), **hub)
        pipeline.use_segmenter(model, processor)
    return pipeline


def _load_saved(cls: Any, name: str, given: set[str], kwargs: dict[str, Any], hub: dict[str, Any]) -> Any:
    """Load what `save_pretrained` wrote, from a folder or the Hub."""
    path = resolve_name(name)
    with readable_hub_errors(path):
        index = _read_index(path, hub)
        family = _class_of(cls, index, name)
        if not Path(path).is_dir():
            variant = {key: kwargs[key] for key in ("variant", "use_safetensors") if key in kwargs}
            path = family.download(path, **hub, **variant)
            snapshot_download(name, allow_patterns=PROCESSOR_FILES, **hub)  # diffusers leaves these out
    folder = Path(path)
    check_parts(folder, index, family, name, given)
    try:
        pipeline = DiffusionPipeline.from_pretrained.__func__(family, str(folder), **kwargs)  # type: ignore[attr-defined]
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].strip(" .")
        raise ValueError(
            f"{name}: a component cannot be loaded ({reason}); download or convert it again if its files are damaged "
            "or do not fit its config.json"
        ) from error
    pipeline.weights_hash = hash_weights(folder)
    if pipeline.segmenter is not None:
        pipeline._image_processor = load_image_processor(folder / "segmenter")
    return pipeline


def _load_stable_diffusion(
    name: str, hub: dict[str, Any], *, base: str = DEFAULT_BASE, controlnet: str = DEFAULT_CONTROLNET, **kwargs: Any
) -> ControlNetCompressionPipeline:
    """Make a pipeline of a Stable Diffusion 1.x model and a ControlNet.

    Args:
        name: Hub id or folder of the base model, or `controlnet-seg` for `base`.
        hub: those of `kwargs` that are for the Hub; the revision is the base's.
        base: taken where `name` is `controlnet-seg`.
        controlnet: Hub id or folder of the ControlNet.
        **kwargs: what diffusers' `from_pretrained` takes.
    """
    name, controlnet = str(base) if name == DEFAULT_NAME else name, str(controlnet)
    source = resolve_name(name)
    check_place("controlnet", controlnet)
    with readable_hub_errors(name):
        family = _class_name(_read_index(source, hub))
        if family not in STABLE_DIFFUSION:
            raise ValueError(
                f"{name} holds a {family}, but `controlnet` goes with a Stable Diffusion 1.x pipeline as its base"
            )
        found = StableDiffusionPipeline.from_pretrained(source, safety_checker=None, feature_extractor=None, **kwargs)
    hub = {key: value for key, value in hub.items() if key != "revision"}
    kwargs.pop("revision", None)
    with readable_hub_errors(controlnet):
        has_config = not Path(controlnet).is_dir() or (Path(controlnet) / "config.json").is_file()
        config: Any = ControlNetModel.load_config(controlnet, **hub) if has_config else {}
        kind = _class_name(config)
        if kind != ControlNetModel.__name__:
            raise ValueError(f"`controlnet` {controlnet} holds a {kind}, not a ControlNetModel")
        network = ControlNetModel.from_pretrained(controlnet, **kwargs)
    return ControlNetCompressionPipeline(
        vae=found.vae,
        unet=found.unet,
        scheduler=found.scheduler,
        controlnet=network,
        text_encoder=found.text_encoder,
        tokenizer=found.tokenizer,
    )


@contextmanager
def readable_hub_errors(name: str) -> Iterator[None]:
    """Turn the errors of the Hub's clients into one line that says what to do.

    Args:
        name: what is being loaded.

    Raises:
        OSError: instead of theirs, which may be wrapped several times.
    """
    try:
        yield
    except Exception as error:
        causes: list[BaseException] = [error]
        while cause := causes[-1].__cause__ or causes[-1].__context__:
            causes.append(cause)
        for kind, text in HUB_MESSAGES:
            if any(isinstance(one, kind) for one in causes):
                raise OSError(f"{name} {text}") from error
        raise


def _read_index(path: str, hub: dict[str, Any]) -> dict[str, Any]:
    """Return the content of model_index.json of a folder or Hub id.

    Raises:
        ValueError: a file that is no dictionary.
    """
    folder = Path(path)
    place = folder / "model_index.json" if folder.is_dir() else Path(hf_hub_download(path, "model_index.json", **hub))
    try:
        return dict(json.loads(place.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: model_index.json cannot be read ({error}); save the pipeline again") from error


def _class_name(config: dict[str, Any]) -> str:
    return config.get("_class_name", "model of an unknown class")


def _class_of(cls: Any, index: dict[str, Any], name: str) -> Any:
    """Return the class that draws the pipeline of a model_index.json.

    Raises:
        ValueError: another pipeline's.
    """
    family = _class_name(index)
    if family == ControlNetCompressionPipeline.__name__:
        return ControlNetCompressionPipeline
    if family == "SemanticCompressionPipeline":
        return cls
    if family in STABLE_DIFFUSION:
        raise ValueError(
            f"{name} is a {family}, which is not made for label maps alone; give a ControlNet for segmentation maps "
            f'too: from_pretrained(..., controlnet="{DEFAULT_CONTROLNET}")'
        )
    raise ValueError(f"{name} holds a {family}, not a pipeline of sgc_diffusion; load it with diffusers")


def check_parts(folder: Path, index: dict[str, Any], family: Any, name: str, given: set[str]) -> None:
    """Check that a pipeline's folder has all its parts.

    Args:
        folder: to look at.
        index: content of its model_index.json.
        family: class of the pipeline.
        name: what the user called it, for messages.
        given: components that the caller gives himself.

    Raises:
        ValueError: a part is missing.
    """
    needed, _ = family._get_signature_keys(family)
    for part in sorted(set(needed) - given):
        library, kind = index.get(part) or (None, None)
        if library is None and part in family._optional_components:
            continue
        missing = "model_index.json does not name it" if library is None else _missing_file(folder / part)
        if missing:
            raise ValueError(
                f"{name}: the component `{part}` ({kind or 'any'}) is incomplete: {missing}; download or save the "
                "pipeline again" + (', or give another with segmenter="owner/name"' if part == "segmenter" else "")
            )


def _missing_file(part: Path) -> str | None:
    if not part.is_dir():
        return f"the folder {part.name}/ is missing"
    if part.name in ("scheduler", "tokenizer"):
        return None if any(part.glob("*.json")) else f"the folder {part.name}/ is empty"
    if not (part / "config.json").is_file():
        return f"{part.name}/config.json is missing"
    if not any(one.suffix in WEIGHTS_SUFFIXES for one in part.iterdir()):
        return f"{part.name}/ holds no weights (*.safetensors)"
    return None
