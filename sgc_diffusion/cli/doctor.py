"""What is here and what is missing: weights, libraries, devices. Reads, and fetches nothing.

known pipelines, package metadata, torch ──diagnose──▶ {"pipelines": …, "libraries": …, "devices": …, "tools": …}
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

from sgc_diffusion.zoo.known import KNOWN_PIPELINES, KnownPipeline
from sgc_diffusion.zoo.names import WEIGHTS_FOLDER

LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "huggingface-hub", "safetensors", "numpy", "scipy",
             "pillow", "torchvision", "pyiqa", "open-clip-torch", "torchmetrics", "imageio-ffmpeg", "av", "gradio",
             "ray")  # fmt: skip
CORE_LIBRARIES = LIBRARIES[:9]
WEIGHTS_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth"}
UNUSED_PARTS = {"safety_checker", "feature_extractor", "image_encoder"}  # of a Stable Diffusion base
MEBIBYTE = 2**20


def diagnose() -> dict[str, Any]:
    """Return what is present and missing, as plain values that JSON can hold.

    Returns:
        `pipelines`: one entry each with `name`, `present`, `size_mb`, `license`, `from`, `missing` and `commands`;
        `libraries`: name → version or None; `devices`; `tools`: VVC and the weights of metrics; `python`, `platform`.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "pipelines": [_pipeline(one) for one in KNOWN_PIPELINES],
        "libraries": {name: _version(name) for name in LIBRARIES},
        "devices": _devices(),
        "tools": {"vvc": _find_vvc(), "metric_weights": _metric_weights()},
    }


def _pipeline(known: KnownPipeline) -> dict[str, Any]:
    """Return where a pipeline's weights are, without loading them."""
    embedded = not known.sources
    hub_ids = [source for source in known.sources if "://" not in source]
    if hub_ids:
        found = {source: _cached_bytes(source) for source in hub_ids}
    else:
        folder = WEIGHTS_FOLDER / known.name if embedded else Path(known.name)
        found = {str(folder if embedded else folder.absolute()): _weight_bytes(folder) if _is_whole(folder) else 0}
    missing = [place for place, size_bytes in found.items() if not size_bytes]
    return {
        "name": known.name,
        "present": not missing,
        "size_mb": round(sum(found.values()) / MEBIBYTE) if not missing else known.size_mb,
        "license": known.license,
        "from": list(known.sources) or ["comes with the package"],
        "missing": missing,
        "commands": [one for one in known.commands if missing and (not hub_ids or any(id_ in one for id_ in missing))],
    }


def _is_whole(folder: Path) -> bool:
    """Return whether a model's folder, or each part of a pipeline's that is used, holds what it needs."""
    index = folder / "model_index.json"
    if not index.is_file():
        return any(path.suffix in WEIGHTS_SUFFIXES for path in folder.glob("*"))
    try:
        parts = dict(json.loads(index.read_text("utf-8")))
    except (ValueError, TypeError):  # cut off while it was fetched
        return False
    named = {name for name, value in parts.items() if isinstance(value, list) and value[0]}
    for part in named - UNUSED_PARTS:
        suffixes = {".json"} if part in ("scheduler", "tokenizer") else WEIGHTS_SUFFIXES
        if not any(path.suffix in suffixes for path in (folder / part).glob("*")):
            return False
    return True


def _weight_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in WEIGHTS_SUFFIXES)


def _cached_bytes(hub_id: str) -> int:
    """Return the bytes of weights that the Hub's cache holds of a repository; 0 if no revision of it is whole."""
    try:
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return 0
    snapshots = (Path(HF_HUB_CACHE) / f"models--{hub_id.replace('/', '--')}" / "snapshots").glob("*")
    return max((_weight_bytes(one) for one in snapshots if _is_whole(one)), default=0)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> list[dict[str, Any]]:
    """Return the processors that torch can use, with their memory."""
    memory_mb = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MEBIBYTE
    found = [{"device": "cpu", "name": platform.processor() or platform.machine(), "memory_mb": memory_mb}]
    try:
        import torch
    except (ImportError, OSError):  # missing, or linked to libraries that are
        return found
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        found.append({"device": f"cuda:{index}", "name": device.name, "memory_mb": device.total_memory // MEBIBYTE})
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "name": "Apple GPU", "memory_mb": None})
    return found


def _find_vvc() -> dict[str, str | None]:
    """Return the `version` of what codes the VVC anchor, or what is `missing` for it."""
    from sgc_diffusion.evaluation.codecs import ANCHORS

    try:
        ANCHORS["vvc"].check()
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
    found = {}
    for key, file in FILES.items():
        titles = [metric.title for metric in METRICS.values() if metric.file == key]
        found[file.name] = {
            "metrics": titles,
            "present": locate(file) is not None,
            "command": file.command(folder),
        }
    return found


def describe(found: dict[str, Any]) -> list[str]:
    """Return what `diagnose` found as lines to read."""
    lines = [f"Python {found['python']} on {found['platform']}", "", "pipelines:"]
    for one in found["pipelines"]:
        lines.append(f"  {one['name']}: {'present' if one['present'] else 'missing'}, {one['size_mb']} MB")
        lines.append(f"    from {', '.join(one['from'])}; license: {one['license']}")
        lines += [f"    missing: {place}" for place in one["missing"]]
        lines += [f"    to get it: {command}" for command in one["commands"]]
    lines += ["", "libraries:"]
    for name, version in found["libraries"].items():
        absent = "MISSING, needed" if name in CORE_LIBRARIES else "not installed (optional)"
        lines.append(f"  {name}: {version or absent}")
    lines += ["", "devices:"]
    lines += [f"  {one['device']}: {one['name']}, {one['memory_mb'] or '?'} MB" for one in found["devices"]]
    lines += ["", "evaluation:"]
    vvc = found["tools"]["vvc"]
    lines.append(f"  VVC: {vvc['version'] or 'missing (optional): ' + vvc['missing']}")
    for one in found["tools"]["metric_weights"].values():
        state = "present" if one["present"] else f"missing: {one['command']}"
        lines.append(f"  weights of {', '.join(one['metrics'])}: {state}")
    return lines
