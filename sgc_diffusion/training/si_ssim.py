"""SI-SSIM as a loss (Song et al., S3): blocks of 8×8 pixels count as much as a classifier looks at them.

    pictures ──EfficientNet-Lite0──▶ features ──weights of the likeliest class──▶ importance ──per block──▶ L_i
    Σ_i L_i · SSIM(x_i, x̂_i), subtracted from 1

The classifier is linear on pooled features, so Grad-CAM on its last features is a weighted sum of them: no backward
pass. `evaluation.metrics.distortion.si_ssim` is the same as a metric, in NumPy.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from sgc_diffusion.features.efficientnet_lite import EfficientNetLite

BLOCK = 8  # pixels
C1, C2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # SSIM's constants for pixels in [−1, 1]


def block_ssim(first: torch.Tensor, second: torch.Tensor, stride: int = BLOCK) -> torch.Tensor:
    """Return the SSIM of 8×8 blocks, the mean of the three channels.

    Args:
        first: (B, 3, H, W) floats in [−1, 1]; H and W divisible by 8.
        second: the same.
        stride: pixels from block to block.

    Returns:
        (B, h, w) floats in [−1, 1]; (B, H / 8, W / 8) of blocks side by side.
    """
    shifted = first + 1, second + 1  # SSIM is about light, which black has none of
    x, y = (functional.avg_pool2d(planes, BLOCK, stride) for planes in shifted)
    xx, yy = (functional.avg_pool2d(planes.pow(2), BLOCK, stride) for planes in shifted)
    xy = functional.avg_pool2d(shifted[0] * shifted[1], BLOCK, stride)
    luminance = (2 * x * y + C1) / (x.pow(2) + y.pow(2) + C1)
    structure = (2 * (xy - x * y) + C2) / ((xx - x.pow(2)) + (yy - y.pow(2)) + C2)
    return (luminance * structure).mean(dim=1)


def si_ssim_loss(decoded: torch.Tensor, pictures: torch.Tensor, importance: torch.Tensor) -> torch.Tensor:
    """Return 1 − SI-SSIM of each picture, (B,).

    Args:
        decoded: (B, 3, H, W) floats in [−1, 1]; H and W divisible by 8.
        pictures: the originals.
        importance: (B, H / 8, W / 8) floats, at least 0. All zero: every block counts alike.
    """
    sums = importance.sum(dim=(1, 2), keepdim=True)
    levels = torch.where(sums > 0, importance / sums.clamp(min=1e-12), 1 / importance[0].numel())
    return 1 - (levels * block_ssim(decoded, pictures)).sum(dim=(1, 2))


@torch.no_grad()
def block_importance(classifier: EfficientNetLite, pictures: torch.Tensor) -> torch.Tensor:
    """Return where a classifier looks, (B, H / 8, W / 8) floats, at least 0.

    Args:
        classifier: on the pictures' device.
        pictures: (B, 3, H, W) floats in [−1, 1].
    """
    with torch.autocast(pictures.device.type, enabled=False):  # depthwise convolutions are slow in bfloat16
        maps = classifier(pictures.float() / 2 + 0.5)
    best = classifier.scores(classifier.pool(maps)).argmax(dim=1)
    weights = classifier.network.get_classifier().weight[best]
    heat = (maps * weights[..., None, None]).sum(dim=1, keepdim=True).relu()
    size = [side // BLOCK for side in pictures.shape[-2:]]
    return functional.interpolate(heat, size, mode="bilinear", align_corners=False)[:, 0]
