"""Where a classifier looks: Grad-CAM (Selvaraju et al., https://arxiv.org/abs/1610.02391), S3's semantic importance.

picture ──features──▶ F_k ──classifier──▶ y_C of the likeliest class C
                       └──α_k = GAP(∂y_C/∂F_k)──▶ H = ReLU(Σ_k α_k F_k) ──enlarged──▶ (H, W)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sgc_diffusion.features.pixels import imagenet_normalized, to_tensor
from sgc_diffusion.features.weights import fill, load_state

SHORT_SIDE = 224  # pixels that the classifier sees, as in its training; the other side follows
LAST_LAYER = -1  # VGG's last pooling is behind the features that are weighed


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
    import torch
    import torchvision

    with torch.device("meta"):
        classifier = torchvision.models.vgg16()
    classifier = fill(classifier, load_state(path), path, assign=True).to(device)
    return lambda picture: grad_cam(classifier, picture, device)


def grad_cam(classifier: Any, picture: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Return the importance of each pixel for the class that the classifier finds likeliest.

    Args:
        classifier: with `features`, `avgpool` and `classifier`, as torchvision's VGGs have.
        picture: (H, W, 3) uint8.
        device: that the classifier is on.

    Returns:
        (H, W) float32, at least 0.
    """
    import torch
    from torch.nn import functional

    height, width = picture.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    size = (round(height * scale), round(width * scale))
    pixels = functional.interpolate(to_tensor(picture, device), size, mode="bilinear", antialias=True)
    with torch.enable_grad():
        maps = classifier.features[:LAST_LAYER](imagenet_normalized(pixels)).detach().requires_grad_()
        scores = classifier.classifier(classifier.avgpool(classifier.features[LAST_LAYER:](maps)).flatten(1))
        (gradient,) = torch.autograd.grad(scores[0, scores[0].argmax()], maps)
    heat = (gradient.mean(dim=(2, 3), keepdim=True) * maps.detach()).sum(dim=1, keepdim=True).relu()
    heat = functional.interpolate(heat, (height, width), mode="bilinear", align_corners=False)
    return heat[0, 0].cpu().numpy()
