"""Loads the metrics that are asked for, and measures pictures with those that could be loaded.

names ──load_metrics──▶ Evaluator ┬ unavailable: name → what is missing and the command that gets it
                                  ├ measure(original, decoded) ──▶ {name: value}
                                  └ start_set, add, finish_set ──▶ {name: value}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sgc_diffusion.evaluation.metrics.loaders import LABEL_METRICS, LOADERS, SET_LOADERS, Measure, Options
from sgc_diffusion.evaluation.metrics.registry import DEFAULT_SENDER, METRICS, SEGMENTER_HINT


@dataclass(frozen=True)
class Evaluator:
    """The metrics that could be loaded.

    Attributes:
        available: the metrics that are measured, in the order of `METRICS`.
        unavailable: metric → what is missing, and the command that gets it.
        segmenter: the label metrics' one, with its number of labels; empty without them.
    """

    available: tuple[str, ...]
    unavailable: dict[str, str]
    segmenter: str
    _measures: dict[tuple[str, ...], Measure]
    _sets: dict[tuple[str, ...], Any]

    def measure(self, original: np.ndarray | None, decoded: np.ndarray) -> dict[str, float]:
        """Measure one picture.

        Args:
            original: (H, W, 3) uint8; None measures what needs no reference, such as the original itself.
            decoded: (H, W, 3) uint8 of the same size.

        Returns:
            Metric → finite value. The metrics of sets are not among them, nor those that the picture is too small for
            (`METRICS[name].min_side`) or that are undefined for it.

        Raises:
            ValueError: arrays of another type, or of different sizes.
        """
        _check(original, decoded)
        values: dict[str, float] = {}
        for names, function in self._measures.items():
            needs_original = METRICS[names[0]].reference == "full"
            if _is_large_enough(decoded, names[0]) and (original is not None or not needs_original):
                values |= function(decoded if original is None else original, decoded)
        return self._wanted(values)

    def start_set(self) -> None:
        """Begin a new set of pictures."""
        for collector in self._sets.values():
            collector.start()

    def add(self, original: np.ndarray, decoded: np.ndarray) -> None:
        """Add a picture and its decoded version, (H, W, 3) uint8 of one size, to the set."""
        _check(original, decoded)
        for names, collector in self._sets.items():
            if _is_large_enough(decoded, names[0]):
                collector.add(original, decoded)

    def finish_set(self) -> dict[str, float]:
        """Return the metrics of the set; none of fewer than two pictures."""
        values: dict[str, float] = {}
        for names, collector in self._sets.items():
            values |= dict(zip(names, collector.finish() or (), strict=False))
        return self._wanted(values)

    def _wanted(self, values: dict[str, float]) -> dict[str, float]:
        return {name: values[name] for name in self.available if math.isfinite(values.get(name, math.nan))}


def load_metrics(
    names: str | Sequence[str] = "all",
    weights_dir: Path | str | None = None,
    segmenter: str | None = None,
    device: str = "cpu",
    importance: Callable[[np.ndarray], np.ndarray] | None = None,
    sender: str = DEFAULT_SENDER,
) -> Evaluator:
    """Load metrics; what is missing becomes an entry of `unavailable`, not an error.

    Args:
        names: of `METRICS`, or `all`.
        weights_dir: local weights, named as `eval/README.md` lists them; searched before the libraries' caches. What
            is in neither is fetched, unless `HF_HUB_OFFLINE` is set.
        segmenter: of the label metrics: Hub id, folder, `torchvision/deeplabv3_resnet101:FILE` or .tflite file; by
            default the one in `weights_dir`, else a Hub id that knows ADE20K's labels.
        device: such as `cpu` or `cuda`.
        importance: for SI-SSIM: (H, W, 3) uint8 → (H, W) at least 0; by default Grad-CAM of VGG16.
        sender: the pipeline whose segmenter judges for `sender_bce`.

    Raises:
        ValueError: an unknown name, or a `weights_dir` that is no folder.
    """
    wanted = set(METRICS) if names == "all" else {names} if isinstance(names, str) else set(names)
    if unknown := sorted(wanted - set(METRICS)):
        raise ValueError(f"`names` has unknown metrics {', '.join(unknown)}; known are {', '.join(METRICS)}")
    if weights_dir is not None and not Path(weights_dir).is_dir():
        raise ValueError(f"`weights_dir` {weights_dir} is no folder; give one with files of weights")
    options = Options(None if weights_dir is None else Path(weights_dir), segmenter, device, importance, sender)
    unavailable: dict[str, str] = {}
    loaded: list[dict[tuple[str, ...], Any]] = [{}, {}]
    for kind, loaders in enumerate((LOADERS, SET_LOADERS)):
        for provided, load in loaders.items():
            if wanted.isdisjoint(provided):
                continue
            try:
                loaded[kind][provided] = load(options)
            except Exception as error:  # a damaged file of weights raises whatever its library pleases
                unavailable |= {name: _explain(error, name) for name in provided if name in wanted}
    available = tuple(name for name in METRICS if name in wanted and name not in unavailable)
    described = getattr(loaded[0].get(LABEL_METRICS), "segmenter", "")
    return Evaluator(available, unavailable, described, *loaded)


def _explain(error: Exception, name: str) -> str:
    """Return what is missing and what to do about it, on one line."""
    if isinstance(error, ImportError):
        package = "ai-edge-litert" if "ai_edge_litert" in str(error) else "'sgc-diffusion[eval]'"
        return f"{error.name or error} is not installed: pip install {package}"
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"no segmenter ({reason}): {SEGMENTER_HINT}" if name in LABEL_METRICS else reason


def _is_large_enough(picture: np.ndarray, name: str) -> bool:
    return min(picture.shape[:2]) >= METRICS[name].min_side


def _check(original: np.ndarray | None, decoded: np.ndarray) -> None:
    for name, picture in (("original", original), ("decoded", decoded)):
        if picture is not None and (picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3):
            raise ValueError(f"`{name}` must be uint8 of shape (H, W, 3), got {picture.dtype} {picture.shape}")
    if original is not None and original.shape != decoded.shape:
        raise ValueError(f"`decoded` must have the original's shape {original.shape}, got {decoded.shape}; resize it")
