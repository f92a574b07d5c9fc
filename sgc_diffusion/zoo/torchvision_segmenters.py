"""torchvision's DeepLabV3 (Chen et al., https://arxiv.org/abs/1706.05587), the paper's segmenter, made to look alike.

RGB [−1, 1] ──ImageNet normalization──▶ network ──▶ `.logits`, as transformers' models have them; `.config.id2label`
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from sgc_diffusion.taxonomy import NUMBERS, load_taxonomy

NAMES = ("deeplabv3_resnet50", "deeplabv3_resnet101")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SHORT_SIDE = 520  # pixels; what torchvision's weights were evaluated at


class TorchvisionSegmenter(nn.Module):
    """A torchvision segmentation network behind the interface of transformers' models.

    Args:
        network: takes ImageNet-normalized RGB (B, 3, H, W), returns {"out": logits (B, K, H, W)}.
        taxonomy: name of the label set of its K classes.
    """

    short_side = SHORT_SIDE
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, taxonomy: str) -> None:
        super().__init__()
        self.network = network
        names = load_taxonomy(taxonomy).names
        self.config = SimpleNamespace(num_labels=len(names), id2label=dict(enumerate(names)))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights; a pipeline asks its components when it is moved."""
        return self.mean.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.mean.device

    def forward(self, pixels: torch.Tensor) -> Any:
        """Return an object with `logits` (B, K, H, W) for RGB (B, 3, H, W) in [−1, 1]."""
        return SimpleNamespace(logits=self.network(((pixels / 2 + 0.5) - self.mean) / self.std)["out"])


def load_deeplab(name: str) -> TorchvisionSegmenter:
    """Load a DeepLabV3 with torchvision's weights (21 VOC classes) or those of a file.

    Args:
        name: `deeplabv3_resnet50` or `deeplabv3_resnet101`, and optionally `:` and the path of a state_dict, whose
            number of classes tells its taxonomy.

    Raises:
        ValueError: an unknown name, or weights that are none of this network.
        OSError: weights that are not there and cannot be fetched.
        ImportError: torchvision is not installed.
    """
    architecture, _, path = name.partition(":")
    if architecture not in NAMES:
        raise ValueError(f"`segmenter` torchvision/{architecture} is not known; give one of {', '.join(NAMES)}")
    try:
        from torchvision.models import segmentation
    except ImportError as error:
        raise ImportError(
            "torchvision is not installed; `pip install torchvision` beside the torch that is here"
        ) from error
    if not path:
        return TorchvisionSegmenter(_with_published_weights(getattr(segmentation, architecture)), "voc-21").eval()
    from sgc_diffusion.zoo.checkpoint import read_state_dict

    state = read_state_dict(path)
    if "classifier.4.weight" not in state:
        raise ValueError(f"`segmenter` {path} holds no weights of {architecture}: classifier.4.weight is missing")
    num_classes = len(state["classifier.4.weight"])
    fitting = [name for name in NUMBERS if load_taxonomy(name).num_classes == num_classes]
    if not fitting:
        raise ValueError(f"`segmenter` {path} has {num_classes} classes, the number of no known taxonomy")
    network = getattr(segmentation, architecture)(
        weights=None, weights_backbone=None, num_classes=num_classes, aux_loss="aux_classifier.4.weight" in state
    )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"`segmenter` {path} holds no weights of {architecture}: {' '.join(str(error).split())[:200]}"
        ) from error
    return TorchvisionSegmenter(network, fitting[0]).eval()


def _with_published_weights(build: Callable[..., nn.Module]) -> nn.Module:
    """Return a network with torchvision's weights, which torch fetches into its hub folder.

    Raises:
        OSError: weights that are not there and cannot be fetched.
    """
    try:
        return build(weights="DEFAULT")
    except OSError as error:
        raise OSError(
            f"`segmenter` torchvision/{build.__name__}: its weights are not in {torch.hub.get_dir()}/checkpoints and "
            f"cannot be fetched ({error}); connect, copy them there, or give torchvision/{build.__name__}:weights.pth"
        ) from error
