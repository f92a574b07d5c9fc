"""Distances between all decoded pictures and all originals: FID and KID of torchmetrics.

pictures ──features──▶ (N, d) ┬─ mean, covariance ──Fréchet──▶ FID
                              └─ cubic kernel ──unbiased MMD²──▶ KID

FID is biased upwards by few pictures, far more than codecs differ: the covariance of N pictures has rank N − 1, and
published figures use 10,000 or more. Of two FIDs of the same originals and the same N, the order still says something;
of others nothing does. KID (all pairs are used, one "subset") has no such bias for independent sets, but a variance,
and may be negative. Ours are paired: each decoded picture has its original among the others, which lowers the KID of a
faithful codec below 0, by less the more pictures there are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sgc_diffusion.features.pixels import to_tensor
from sgc_diffusion.features.weights import fill, load_state, replaced

MIN_PICTURES = 2


class FeatureSets:
    """Collects features of originals and decoded pictures.

    Args:
        features: takes (1, 3, H, W) in [0, 1], returns (1, d).
        device: to compute on.
    """

    def __init__(self, features: Callable[[torch.Tensor], torch.Tensor], device: str = "cpu") -> None:
        self._features = features
        self._device = device
        self.start()

    def start(self) -> None:
        """Forget what was added."""
        self._originals: list[torch.Tensor] = []
        self._decoded: list[torch.Tensor] = []

    @torch.no_grad()
    def add(self, original: np.ndarray, decoded: np.ndarray) -> None:
        """Add a pair of pictures (H, W, 3) uint8."""
        self._originals.append(self._features(to_tensor(original, self._device)).cpu().double())
        self._decoded.append(self._features(to_tensor(decoded, self._device)).cpu().double())

    def finish(self) -> tuple[float, float] | None:
        """Return FID and KID, or None of fewer than two pairs."""
        if len(self._originals) < MIN_PICTURES:
            return None
        originals, decoded = torch.cat(self._originals), torch.cat(self._decoded)
        return frechet_distance(originals, decoded), kernel_distance(originals, decoded)


class _Given(nn.Module):
    """Stands where torchmetrics wants a feature network, and returns the features it is given."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def frechet_distance(originals: torch.Tensor, decoded: torch.Tensor) -> float:
    """Return the Fréchet distance of the Gaussians fitted to two sets of features (N, d) and (M, d) float64."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_Given(originals.shape[1]))
    metric.update(originals, real=True)
    metric.update(decoded, real=False)
    return max(0.0, float(metric.compute()))  # rounding


def kernel_distance(originals: torch.Tensor, decoded: torch.Tensor) -> float:
    """Return the unbiased squared maximum mean discrepancy of two sets (N, d) float64, kernel (xᵀy / d + 1)³."""
    from torchmetrics.image.kid import poly_mmd

    return float(poly_mmd(originals, decoded))


def load_inception_features(path: Path, device: str = "cpu") -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the 2048 pooled features of the Inception that FID was defined on, in pytorch-fid's version of pyiqa."""
    from pyiqa.archs import inception

    def load(network: Any, url: str) -> None:
        fill(network, load_state(path), path)

    with replaced(inception, load_pretrained_network=load):
        network = inception.InceptionV3().to(device).eval()
    return lambda pixels: network(pixels)[0].flatten(1)
