"""Pictures as the networks take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def to_tensor(picture: np.ndarray, device: str = "cpu") -> torch.Tensor:
    """Return (H, W, 3) uint8 as (1, 3, H, W) float32 in [0, 1]."""
    import torch

    return torch.from_numpy(np.array(picture)).to(device).permute(2, 0, 1)[None].float() / 255


def imagenet_normalized(pixels: torch.Tensor) -> torch.Tensor:
    """Return (B, 3, H, W) in [0, 1] with the mean and deviation that torchvision's classifiers were trained with."""
    mean, deviation = pixels.new_tensor([0.485, 0.456, 0.406]), pixels.new_tensor([0.229, 0.224, 0.225])
    return (pixels - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
