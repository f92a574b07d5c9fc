"""Where a pipeline's name leads, and how it is loaded without a word to the terminal.

name ──▶ embedded, folder or Hub id ──▶ folder with model_index.json ──checked──▶ pipeline of the family it names
base + controlnet ────────────────────▶ Stable Diffusion's components ──────────▶ pipeline
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from torch import nn

from sgc_diffusion.zoo.checksums import check_checksums
from sgc_diffusion.zoo.families import FAMILIES, family_class
from sgc_diffusion.zoo.hub import HubOptions, readable_hub_errors
from sgc_diffusion.zoo.known import DEFAULT_BASE, DEFAULT_CONTROLNET, DEFAULT_SEGMENTER
from sgc_diffusion.zoo.model_index import check_parts, class_name, read_index
from sgc_diffusion.zoo.names import resolve_name
from sgc_diffusion.zoo.segmenters import load_image_processor, load_segmenter
from sgc_diffusion.zoo.stable_diffusion import STABLE_DIFFUSION, load_components

CONTROLNET_NAME = "controlnet-seg"
CONTROLNET_FAMILY = "ControlNetCompressionPipeline"
PROCESSOR_FILES = ["image_processor/*.json", "image_processor/*.txt"]


@dataclass(frozen=True)
class LoadingOptions:
    """What `from_pretrained` was told beside the name.

    Attributes:
        hub: how things are fetched.
        dtype: of the weights in memory, for all or by component with a `default`.
        variant: such as `fp16`: files of that name.
        use_safetensors: False allows pickled weights.
        device_map: as in diffusers.
        components: parts and settings that replace the saved ones, by name.

    Raises:
        ValueError: a dtype of another type.
    """

    hub: HubOptions = field(default_factory=HubOptions)
    dtype: torch.dtype | dict[str, torch.dtype] = torch.float32
    variant: str | None = None
    use_safetensors: bool | None = None
    device_map: str | dict[str, Any] | None = None
    components: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for dtype in self.dtype.values() if isinstance(self.dtype, dict) else [self.dtype]:
            check_dtype(dtype)

    def arguments(self) -> dict[str, Any]:
        """Return what diffusers is told, without what the Hub is and without components."""
        told = {"variant": self.variant, "use_safetensors": self.use_safetensors, "device_map": self.device_map}
        return {"dtype": self.dtype} | {name: value for name, value in told.items() if value is not None}

    def dtype_of(self, component: str) -> torch.dtype:
        """Return the type of one component's weights."""
        if not isinstance(self.dtype, dict):
            return self.dtype
        return self.dtype.get(component, self.dtype.get("default", torch.float32))


def load_pipeline(
    name: str,
    segmenter: str | Path | nn.Module | Literal[False] | None,
    controlnet: str | Path | nn.Module | None,
    options: LoadingOptions,
) -> Any:
    """Load a pipeline; see `SemanticCompressionPipeline.from_pretrained`."""
    components = dict(options.components)
    scheduler, processor = components.pop("scheduler", None), components.pop("image_processor", None)
    options = replace(options, components=components)
    with quiet_libraries():
        if controlnet is not None or name == CONTROLNET_NAME:
            pipeline = _load_controlnet(name, controlnet, options)
            segmenter = DEFAULT_SEGMENTER if name == CONTROLNET_NAME and segmenter is None else segmenter
        else:
            pipeline = _load_saved(name, options, takes_segmenter=segmenter is None)
        if isinstance(segmenter, nn.Module):
            pipeline.use_segmenter(segmenter, processor)
        elif segmenter:
            with readable_hub_errors(str(segmenter)):
                model, its_processor = load_segmenter(str(segmenter), options.hub.of_another_repository())
            pipeline.use_segmenter(model.to(options.dtype_of("segmenter")), processor or its_processor)
        elif processor is not None:
            pipeline.register_modules(image_processor=processor)
    if scheduler is not None:
        pipeline.scheduler = scheduler  # chosen by the caller, so it draws, whatever a file says
    return pipeline


def share_components(family: Any, pipeline: DiffusionPipeline, components: dict[str, Any]) -> Any:
    """Make a pipeline of the parts of another; see `SemanticCompressionPipeline.from_pipe`."""
    parts, settings = family._get_signature_keys(family)
    if "segmenter" not in parts:
        raise ValueError(
            f"`pipeline` is a {type(pipeline).__name__}, of no family of sgc_diffusion; call from_pipe on the family "
            "that it becomes part of: ControlNetCompressionPipeline.from_pipe(pipeline, controlnet=...)"
        )
    check_names(family, components)
    taken = {name: part for name, part in pipeline.components.items() if name in parts}
    taken |= {name: value for name, value in pipeline.config.items() if name in settings}
    if "segmenter" in components:
        taken.pop("image_processor", None)  # it belongs to the other segmenter
    missing = sorted(set(parts) - set(taken) - set(components) - set(family._optional_components))
    if missing:
        raise ValueError(f"`{missing[0]}` is needed by {family.__name__} and not part of `pipeline`; give it too")
    replacing = dict(components)
    scheduler = replacing.pop("scheduler", None) if "scheduler" in taken else None
    shared = family(**taken | replacing)
    if scheduler is not None:
        shared.scheduler = scheduler  # chosen by the caller, as in `load_pipeline`
    others = {name: value for name, value in pipeline.config.items() if name not in (*parts, *settings)}
    shared.register_to_config(**{f"_{name.lstrip('_')}": value for name, value in others.items()})  # as in diffusers
    return shared


def check_dtype(dtype: object) -> None:
    """Raise ValueError for something that is no type of weights."""
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"`dtype` must be a torch.dtype such as torch.float16, got {dtype!r}")


def check_names(family: Any, names: Iterable[str]) -> None:
    """Raise ValueError for a name that is neither a part nor a setting of a family."""
    parts, settings = family._get_signature_keys(family)
    unknown = sorted(set(names) - set(parts) - set(settings))
    if unknown:
        raise ValueError(
            f"`{unknown[0]}` is no part or setting of {family.__name__}; it has {', '.join((*parts, *settings))}"
        )


def _load_saved(name: str, options: LoadingOptions, *, takes_segmenter: bool) -> Any:
    """Load what `save_pretrained` wrote, from a folder or the Hub."""
    path, components = resolve_name(name), dict(options.components)
    if not takes_segmenter:
        components |= {"segmenter": None, "image_processor": None}
    with readable_hub_errors(path):
        index = read_index(path, options.hub)
        family = _family_of(index, name)
        if not Path(path).is_dir():
            told = {key: value for key, value in options.arguments().items() if key in ("variant", "use_safetensors")}
            path = family.download(path, **options.hub.arguments(), **told)
            snapshot_download(name, allow_patterns=PROCESSOR_FILES, **options.hub.arguments())
    folder = Path(path)
    check_names(family, components)
    needed, _ = family._get_signature_keys(family)
    check_checksums(folder)
    check_parts(folder, index, set(needed), set(family._optional_components), name, set(components))
    if "image_processor" not in components and index.get("image_processor"):
        components["image_processor"] = load_image_processor(folder)
    try:
        return DiffusionPipeline.from_pretrained.__func__(  # type: ignore[attr-defined]
            family, str(folder), **options.arguments(), **components
        )
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].strip(" .")
        raise ValueError(
            f"{name}: a component cannot be loaded ({reason}); download or convert it again if its files are damaged "
            "or do not fit its config.json"
        ) from error


def _load_controlnet(name: str, controlnet: str | Path | nn.Module | None, options: LoadingOptions) -> Any:
    """Make a pipeline of a Stable Diffusion 1.x model and a ControlNet."""
    base = DEFAULT_BASE if name == CONTROLNET_NAME else name
    family = family_class(CONTROLNET_FAMILY)
    check_names(family, options.components)
    parts, settings = family._get_signature_keys(family)
    given = {key: value for key, value in options.components.items() if key in parts}
    components = load_components(base, controlnet or DEFAULT_CONTROLNET, options.hub, options.arguments(), given)
    return family(**components, **{key: value for key, value in options.components.items() if key in settings})


def _family_of(index: dict[str, Any], name: str) -> Any:
    """Return the class that draws the pipeline of a model_index.json.

    Raises:
        ValueError: another pipeline's.
    """
    family = class_name(index)
    if family in FAMILIES:
        return family_class(family)
    if family in STABLE_DIFFUSION:
        raise ValueError(
            f"{name} is a {family}, which is not made for label maps alone; give a ControlNet for segmentation maps "
            f'too: from_pretrained(..., controlnet="{DEFAULT_CONTROLNET}")'
        )
    raise ValueError(f"{name} holds a {family}, not a pipeline of sgc_diffusion; load it with diffusers")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the progress bars and warnings of the libraries to themselves while something is loaded or saved.

    Downloads keep their progress bar: those can take minutes.
    """
    # Who draws without a segmenter has not imported transformers, which takes a second, and is not to do so here.
    transformers_logging: Any = None
    if sys.modules.get("transformers") is not None:
        from transformers.utils import logging as transformers_logging
    libraries = [library for library in (diffusers_logging, transformers_logging) if library is not None]
    bars = [library.is_progress_bar_enabled() for library in libraries]
    for library in libraries:
        library.disable_progress_bar()
    if transformers_logging is not None:  # it tells every user without torchvision about image processors
        verbosity = transformers_logging.get_verbosity()
        transformers_logging.set_verbosity_error()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it misses kernels that are not used here
    try:
        yield
    finally:
        for library, was_enabled in zip(libraries, bars, strict=True):
            if was_enabled:
                library.enable_progress_bar()
        if transformers_logging is not None:
            transformers_logging.set_verbosity(verbosity)
