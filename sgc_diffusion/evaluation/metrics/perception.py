"""How different two pictures look: LPIPS and DISTS of torchmetrics, a distance on a small VGG19, and ColorVideoVDP.

torchmetrics ships what LPIPS and DISTS learned; the ImageNet networks they stand on come from a file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from sgc_diffusion.features.pixels import to_tensor
from sgc_diffusion.features.weights import load_features, replaced

Distance = Callable[[np.ndarray, np.ndarray], float]


def load_lpips(path: Path, device: str = "cpu") -> Distance:
    """Return LPIPS (Zhang et al., https://arxiv.org/abs/1801.03924), version 0.1 on AlexNet.

    Args:
        path: of torchvision's `alexnet-owt-7be5be79.pth`.
        device: to compute on.

    Returns:
        A function of two pictures (H, W, 3) uint8.
    """
    from torchmetrics.functional.image import lpips

    backbone = load_features("alexnet", path)
    with replaced(lpips, _get_tv_model_features=lambda name, pretrained: backbone):
        network = lpips._NoTrainLpips(net="alex").to(device)
    return _distance(lambda first, second: network(first, second, normalize=True), device)


def load_dists(path: Path, device: str = "cpu") -> Distance:
    """Return DISTS (Ding et al., https://arxiv.org/abs/2004.07728).

    Args:
        path: of torchvision's `vgg16-397923af.pth`.
        device: to compute on.

    Returns:
        A function of two pictures (H, W, 3) uint8.
    """
    from torchmetrics.functional.image import dists

    backbone = SimpleNamespace(features=load_features("vgg16", path))
    with replaced(dists, vgg16=lambda weights: backbone):
        network = dists.DISTSNetwork().to(device).eval()
    return _distance(network, device)


def load_vgg_distance(path: Path, device: str = "cpu") -> Distance:
    """Return the VGG distance: LPIPS without its learned weights, on a small VGG19.

    After the last convolution of each of the five groups, at every place, the features of both pictures are scaled to
    length 1 over the channels; their squared Euclidean distance is averaged over the places, and the five averages are
    averaged. Features are not negative, so it lies in 0 … 2. It orders pictures much as LPIPS does, but is not LPIPS:
    compare it only with itself.

    Args:
        path: safetensors of a VGG19, see `features.vgg19`.
        device: to compute on.

    Returns:
        A function of two pictures (H, W, 3) uint8.
    """
    from sgc_diffusion.features.vgg19 import NUM_MAPS, Vgg19

    network = Vgg19(path).to(device)

    def distance(first: Any, second: Any) -> Any:
        pairs = zip(network(first), network(second), strict=True)
        return sum(_unit_distance(ours, theirs) for ours, theirs in pairs) / NUM_MAPS

    return _distance(distance, device)


def load_cvvdp(device: str = "cpu") -> Distance:
    """Return ColorVideoVDP's quality in just-objectionable differences, by a model of the eye and no deep features.

    Mantiuk et al., https://arxiv.org/abs/2401.11485; for the viewing conditions that its package calls `standard_4k`.
    10 is no visible difference; a picture of something else is near 4.

    Args:
        device: to compute on.

    Returns:
        A function of two pictures (H, W, 3) uint8.
    """
    import pycvvdp
    import torch

    model = pycvvdp.cvvdp(display_name="standard_4k", device=torch.device(device), quiet=True)

    @torch.no_grad()
    def measure(original: np.ndarray, decoded: np.ndarray) -> float:
        return float(model.predict(decoded, original, dim_order="HWC")[0])

    return measure


def _unit_distance(first: Any, second: Any) -> Any:
    """Return the mean over places of the squared distance of features (1, C, h, w) scaled to length 1."""
    from torch.nn.functional import normalize

    return (normalize(first, eps=1e-10) - normalize(second, eps=1e-10)).pow(2).sum(dim=1).mean()


def _distance(network: Callable[[Any, Any], Any], device: str) -> Distance:
    """Return a function of pictures (H, W, 3) uint8 for one of tensors (1, 3, H, W) in [0, 1]."""
    import torch

    @torch.no_grad()
    def measure(original: np.ndarray, decoded: np.ndarray) -> float:
        return float(network(to_tensor(decoded, device), to_tensor(original, device)))

    return measure
