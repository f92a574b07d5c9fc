"""A judge that nothing here was trained with: EfficientNet-Lite1's ImageNet features.

picture ──short side to 240──▶ Lite1 ──┬─ 1,280 features ──cosine with the original's──▶ lite1_cosine
                                       └─ 1,000 scores ──shared of the five best───────▶ lite1_top5

Another photograph of the same kind has a cosine of about 0.4 with the original, so that is where "wrong" begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sgc_diffusion.evaluation.metrics.semantic import remembered
from sgc_diffusion.features.efficientnet_lite import JUDGE, EfficientNetLite, load_efficientnet_lite, resized
from sgc_diffusion.features.pixels import to_tensor

NUM_BEST = 5


def load_lite1(device: str = "cpu") -> Callable[[np.ndarray, np.ndarray], dict[str, float]]:
    """Return both metrics of Lite1 as one measure of two pictures (H, W, 3) uint8.

    Raises:
        ImportError: timm or the package of the weights is not installed.
    """
    import torch

    network = load_efficientnet_lite(JUDGE, judging=True, device=device)

    @torch.no_grad()
    def describe(picture: np.ndarray) -> tuple[Any, set[int]]:
        features = lite1_features(network, to_tensor(picture, device))
        best = network.scores(features)[0].topk(NUM_BEST).indices
        return features[0].double(), set(best.tolist())

    describe_original = remembered(describe)

    def measure(original: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
        (first, first_best), (second, second_best) = describe_original(original), describe(decoded)
        cosine = float(torch.cosine_similarity(first, second, dim=0))
        return {"lite1_cosine": cosine, "lite1_top5": len(first_best & second_best) / NUM_BEST}

    return measure


def lite1_features(network: EfficientNetLite, pixels: Any) -> Any:
    """Return the features (B, 1280) of pictures (B, 3, H, W) in [0, 1], each whole at the network's own size."""
    return network.pool(network(resized(pixels, network.side)))
