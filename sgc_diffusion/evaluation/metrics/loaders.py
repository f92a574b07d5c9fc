"""How each metric is loaded: one function a metric, or a group that shares its work; nothing is imported before.

LOADERS[names](options) ──▶ function(original, decoded) → {name: value}
SET_LOADERS[names](options) ──▶ collector with start, add(original, decoded), finish
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sgc_diffusion.evaluation.metrics import distortion
from sgc_diffusion.evaluation.metrics.registry import FILES, METRICS
from sgc_diffusion.features.weights import find

Measure = Callable[[np.ndarray, np.ndarray], dict[str, float]]
LABEL_METRICS = ("label_bce", "label_miou", "label_agreement")


@dataclass(frozen=True)
class Options:
    """What `load_metrics` was asked for; see there."""

    weights_dir: Path | None
    segmenter: str | None
    device: str
    importance: Callable[[np.ndarray], np.ndarray] | None
    sender: str

    def path(self, key: str) -> Path:
        """Return where a file of `FILES` is; WeightsError if it cannot be had."""
        return find(FILES[key], self.weights_dir)


class LabelMeasure:
    """The three label metrics, which share the maps.

    Attributes:
        segmenter: its name and number of labels.
    """

    def __init__(self, options: Options) -> None:
        from sgc_diffusion.evaluation.metrics.segmenter import open_segmenter
        from sgc_diffusion.evaluation.metrics.semantic import load_labels

        segmenter = open_segmenter(options.segmenter, options.weights_dir, options.device)
        self._measure = load_labels(segmenter)
        self.segmenter = f"{segmenter.name}, {segmenter.num_classes} labels"

    def __call__(self, original: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
        """Return the three values."""
        return self._measure(original, decoded)


def _realism(name: str) -> Callable[[Options], Measure]:
    def load(options: Options) -> Measure:
        from sgc_diffusion.evaluation.metrics.realism import load_realism

        measure = load_realism(name, options.path(name), options.device)
        return lambda original, decoded: {name: measure(decoded)}

    return load


def _sender_bce(options: Options) -> Measure:
    from sgc_diffusion.evaluation.metrics.sender import load_sender_bce

    measure = load_sender_bce(options.sender, options.device)
    return lambda original, decoded: {"sender_bce": measure(original, decoded)}


def _lite1(options: Options) -> Measure:
    from sgc_diffusion.evaluation.metrics.judge import load_lite1

    return load_lite1(options.device)


def _texture(options: Options) -> Measure:
    from sgc_diffusion.evaluation.metrics.texture import texture_ratios

    names = "textured_ratio", "calm_ratio"
    return lambda original, decoded: dict(zip(names, texture_ratios(original, decoded), strict=True))


def _cvvdp(options: Options) -> Measure:
    from sgc_diffusion.evaluation.metrics.perception import load_cvvdp

    quality = load_cvvdp(options.device)
    return lambda original, decoded: {"cvvdp": quality(original, decoded)}


def _psnr(options: Options) -> Measure:
    return lambda original, decoded: {"psnr": distortion.psnr(original, decoded)}


def _pixels(name: str) -> Callable[[Options], Measure]:
    def load(options: Options) -> Measure:
        import torchmetrics.functional.image  # noqa: F401 - a missing package is found here, not at the first picture

        function = getattr(distortion, name)
        return lambda original, decoded: {name: function(original, decoded, options.device)}

    return load


def _perception(name: str, key: str) -> Callable[[Options], Measure]:
    def load(options: Options) -> Measure:
        from sgc_diffusion.evaluation.metrics import perception

        distance = getattr(perception, f"load_{name}")(options.path(key), options.device)
        return lambda original, decoded: {name: distance(original, decoded)}

    return load


def _clip_similarity(options: Options) -> Measure:
    from sgc_diffusion.evaluation.metrics.semantic import load_clip_similarity

    similarity = load_clip_similarity(options.path("clip"), options.device)
    return lambda original, decoded: {"clip_similarity": similarity(original, decoded)}


def _si_ssim(options: Options) -> Measure:
    from sgc_diffusion.features.grad_cam import load_grad_cam

    importance = options.importance or load_grad_cam(options.path("vgg16"), options.device)
    return lambda original, decoded: {"si_ssim": distortion.si_ssim(original, decoded, importance(original))}


def _set(load_features: str, key: str) -> Callable[[Options], Any]:
    def load(options: Options) -> Any:
        from sgc_diffusion.evaluation.metrics import sets

        return sets.FeatureSets(getattr(sets, load_features)(options.path(key), options.device), options.device)

    return load


def _unpaired(options: Options) -> Any:
    from sgc_diffusion.evaluation.metrics.judge import lite1_features
    from sgc_diffusion.evaluation.metrics.unpaired import UnpairedSets
    from sgc_diffusion.features.efficientnet_lite import JUDGE, load_efficientnet_lite

    network = load_efficientnet_lite(JUDGE, judging=True, device=options.device)
    return UnpairedSets(partial(lite1_features, network), options.device)


def _texture_set(options: Options) -> Any:
    from sgc_diffusion.evaluation.metrics.texture import TextureSet

    return TextureSet()


LOADERS: dict[tuple[str, ...], Callable[[Options], Measure]] = {
    **{(name,): _realism(name) for name, metric in METRICS.items() if metric.reference == "none"},
    ("textured_ratio", "calm_ratio"): _texture,
    LABEL_METRICS: LabelMeasure,
    ("sender_bce",): _sender_bce,
    ("lite1_cosine", "lite1_top5"): _lite1,
    ("clip_similarity",): _clip_similarity,
    ("psnr",): _psnr,
    **{(name,): _pixels(name) for name in ("ssim", "ms_ssim")},
    ("si_ssim",): _si_ssim,
    ("lpips",): _perception("lpips", "alexnet"),
    ("dists",): _perception("dists", "vgg16"),
    ("vgg_distance",): _perception("vgg_distance", "vgg19d"),
    ("cvvdp",): _cvvdp,
}
SET_LOADERS: dict[tuple[str, ...], Callable[[Options], Any]] = {
    ("fid", "kid"): _set("load_inception_features", "inception"),
    ("lite1_frechet", "lite1_frechet_excess"): _unpaired,
    ("texture_correlation",): _texture_set,
}
