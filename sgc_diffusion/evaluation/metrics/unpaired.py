"""Do decoded pictures, as a set, look like photographs? Fréchet distance between pictures that are not each other's.

decoded pictures of one half of the set ──Fréchet──▶ originals of the other half: `lite1_frechet`
    minus what originals of one half are from those of the other: `lite1_frechet_excess`

Where every decoded picture is compared with a set that holds its own original, a codec is rewarded for keeping the
scene, whatever it looks like; other metrics measure that. Here no picture meets its own. The distance of few pictures
is biased upwards; two halves of the originals have the same bias, so the excess over them is what can be read by
itself: 0 is as real as photographs are. Both are means over several random halvings, in both directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sgc_diffusion.features.pixels import to_tensor

NUM_HALVINGS = 8
MIN_PICTURES = 4  # a half of two has a deviation


class UnpairedSets:
    """Collects features of originals and decoded pictures.

    Args:
        features: takes (1, 3, H, W) in [0, 1], returns (1, d).
        device: to compute on.
    """

    def __init__(self, features: Callable[[Any], Any], device: str = "cpu") -> None:
        self._features, self._device = features, device
        self.start()

    def start(self) -> None:
        """Forget what was added."""
        self._originals: list[np.ndarray] = []
        self._decoded: list[np.ndarray] = []

    def add(self, original: np.ndarray, decoded: np.ndarray) -> None:
        """Add a pair of pictures (H, W, 3) uint8."""
        import torch

        with torch.no_grad():
            for kept, picture in ((self._originals, original), (self._decoded, decoded)):
                kept.append(self._features(to_tensor(picture, self._device))[0].double().cpu().numpy())

    def finish(self) -> tuple[float, float] | None:
        """Return the distance and its excess over originals, or None of fewer than `MIN_PICTURES` pairs."""
        if len(self._originals) < MIN_PICTURES:
            return None
        return unpaired_frechet(np.array(self._originals), np.array(self._decoded))


def unpaired_frechet(originals: np.ndarray, decoded: np.ndarray) -> tuple[float, float]:
    """Return the distance of decoded pictures from other originals, and how much farther that is than originals are.

    Args:
        originals: (N, d) float64 features.
        decoded: the same, in the same order.
    """
    half, distances, own = len(originals) // 2, [], []
    for seed in range(NUM_HALVINGS):
        order = np.random.default_rng(seed).permutation(len(originals))
        first, second = order[:half], order[half : 2 * half]
        distances += [frechet(decoded[first], originals[second]), frechet(decoded[second], originals[first])]
        own.append(frechet(originals[first], originals[second]))
    return float(np.mean(distances)), float(np.mean(distances) - np.mean(own))


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Fréchet distance of the Gaussians fitted to two sets of features (N, d) and (M, d) float64.

    |μ₁ − μ₂|² + tr C₁ + tr C₂ − 2 tr (C₁ C₂)^½ (Heusel et al., https://arxiv.org/abs/1706.08500). Of centered features
    X and Y, C₁ C₂ has the eigenvalues of (X Yᵀ)(X Yᵀ)ᵀ / (N − 1)(M − 1), so that the last trace is the sum of the
    singular values of an N×M matrix: exact, and no root of a d×d one is needed.
    """
    gap = first.mean(axis=0) - second.mean(axis=0)
    x, y = first - first.mean(axis=0), second - second.mean(axis=0)
    scale = np.sqrt((len(x) - 1) * (len(y) - 1))
    shared = np.linalg.svd(x @ y.T, compute_uv=False).sum() / scale
    return float(gap @ gap + (x**2).sum() / (len(x) - 1) + (y**2).sum() / (len(y) - 1) - 2 * shared)
