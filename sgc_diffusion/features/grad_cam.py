"""Where a classifier looks: Grad-CAM (Selvaraju et al., https://arxiv.org/abs/1610.02391), S3's semantic importance.

picture ──network up to a layer──▶ F_k ──the rest──▶ y, the score of the likeliest class or p-weighted of several
                                    └──α_k = GAP(∂y/∂F_k)──▶ H = ReLU(Σ_k α_k F_k) ──enlarged──▶ (H, W)

Where the head is linear on the mean of F_k, as in most networks, α_k is a weight of the head over the number of places:
class activation maps (Zhou et al., https://arxiv.org/abs/1512.04150), which need no backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sgc_diffusion.features.classifier import Classifier
from sgc_diffusion.features.layer_output import watching
from sgc_diffusion.features.pixels import imagenet_normalized, to_tensor
from sgc_diffusion.features.weights import fill, load_state

SHORT_SIDE = 224  # pixels that VGG16 sees, as in its training; the other side follows
LAST_LAYER = -1  # VGG's last pooling is behind the features that are weighed


def grad_cam(
    network: Callable[[torch.Tensor], torch.Tensor], layer: nn.Module, pixels: torch.Tensor, num_classes: int = 1
) -> torch.Tensor:
    """Return Grad-CAM for any network and layer.

    Args:
        network: pixels → scores (B, C).
        layer: of the network, with an output of shape (B, K, h, w).
        pixels: (B, 3, H, W), as the network takes them.
        num_classes: 1 for the likeliest class; of more, the scores are weighted by their probabilities.

    Returns:
        (B, h, w), at least 0.
    """
    kept: list[torch.Tensor] = []

    def keep(output: torch.Tensor) -> torch.Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1].clone()  # what follows may work in place

    with watching(layer, keep), torch.enable_grad():
        scores = network(pixels)
        wanted = (_class_weights(scores.detach(), num_classes) * scores).sum()
        (gradient,) = torch.autograd.grad(wanted, kept[-1])
    return _weighed(kept[-1].detach(), gradient.mean(dim=(2, 3)))


@torch.no_grad()
def class_activation(
    network: Callable[[torch.Tensor], torch.Tensor],
    layer: nn.Module,
    head: nn.Linear,
    pixels: torch.Tensor,
    num_classes: int = 1,
) -> torch.Tensor:
    """Return what `grad_cam` does for a layer whose mean over all places a linear head takes, without gradients.

    Args:
        network: pixels → scores (B, C).
        layer: of the network, the last one before the mean.
        head: the last layer of the network.
        pixels: (B, 3, H, W), as the network takes them.
        num_classes: as of `grad_cam`.

    Returns:
        (B, h, w), at least 0.
    """
    kept: list[Any] = []
    with watching(layer, kept.append):
        scores = network(pixels)
    maps = kept[-1]
    return _weighed(maps, _class_weights(scores, num_classes) @ head.weight / (maps.shape[2] * maps.shape[3]))


def importance_of(classifier: Classifier, picture: np.ndarray, num_classes: int = 1) -> np.ndarray:
    """Return how much each pixel speaks for what a classifier sees.

    Args:
        classifier: of `load_classifier`.
        picture: (H, W, 3) uint8.
        num_classes: 1 for the likeliest class; of more, each counts by its probability.

    Returns:
        (H, W) float32, at least 0; all 0 if nothing speaks for it.
    """
    pixels = classifier.pixels(picture)
    if classifier.head is not None:
        heat = class_activation(classifier.scores, classifier.layer, classifier.head, pixels, num_classes)
    else:
        heat = grad_cam(classifier.scores, classifier.layer, pixels, num_classes)
    heat = functional.interpolate(heat[:, None], picture.shape[:2], mode="bilinear", align_corners=False)
    return heat[0, 0].cpu().numpy()


def load_grad_cam(path: Path, device: str = "cpu") -> Callable[[np.ndarray], np.ndarray]:
    """Return what gives the importance of pictures by torchvision's VGG16, a classifier of five conv groups as S3's.

    Args:
        path: of `vgg16-397923af.pth`.
        device: to compute on.

    Returns:
        A function: (H, W, 3) uint8 → (H, W) float32, at least 0.

    Raises:
        WeightsError: a file of other weights.
    """
    import torchvision

    with torch.device("meta"):
        network = torchvision.models.vgg16()
    network = fill(network, load_state(path), path, assign=True).to(device)

    def importance(picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        scale = SHORT_SIDE / min(height, width)
        size = (round(height * scale), round(width * scale))
        pixels = functional.interpolate(to_tensor(picture, device), size, mode="bilinear", antialias=True)
        heat = grad_cam(network, network.features[LAST_LAYER - 1], imagenet_normalized(pixels))[:, None]
        return functional.interpolate(heat, (height, width), mode="bilinear", align_corners=False)[0, 0].cpu().numpy()

    return importance


def _class_weights(scores: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Return the weight of each class, (B, C): the probability of the likeliest ones, or 1 for one alone."""
    if num_classes == 1:
        return functional.one_hot(scores.argmax(dim=1), scores.shape[1]).to(scores.dtype)
    probabilities = scores.softmax(dim=1)
    least = probabilities.topk(min(num_classes, scores.shape[1]), dim=1).values[:, -1:]
    return probabilities * (probabilities >= least)


def _weighed(maps: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return ReLU of the sum of maps (B, K, h, w) by weights (B, K), (B, h, w)."""
    return torch.einsum("bkhw,bk->bhw", maps, weights).relu()
