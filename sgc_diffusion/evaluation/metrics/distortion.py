"""How far the pixels are from the original's: PSNR, SSIM, MS-SSIM and S3's SI-SSIM; and how sharp they are.

All on 8-bit RGB, without a conversion to luma: figures of papers that measure luma are a little higher.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sgc_diffusion.features.pixels import to_tensor

if TYPE_CHECKING:
    import torch

MAX_PSNR_DB = 100.0  # of equal pictures, whose true value no JSON file and no mean can hold
BLOCK = 8  # pixels, S3's
HALF_WINDOW = 5  # pixels on either side of the middle of SSIM's window
SCALE_POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM, finest first (Wang et al. 2003)
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # SSIM's constants for 8 bits


def psnr(original: np.ndarray | Image.Image, decoded: np.ndarray | Image.Image) -> float:
    """Return the peak signal-to-noise ratio in dB of two pictures or maps of one size, 0 … 255, at most `MAX_PSNR_DB`.

    Args:
        original: (H, W, 3) uint8, or an RGB picture.
        decoded: of the same size; floats in 0 … 255 will do.
    """
    error = np.mean((np.asarray(original, dtype=np.float64) - np.asarray(decoded, dtype=np.float64)) ** 2)
    return float(min(MAX_PSNR_DB, 20 * np.log10(255) - 10 * np.log10(max(error, np.finfo(float).tiny))))


def gradient_magnitude(image: Image.Image) -> float:
    """Return the mean gradient magnitude of a picture's luma, gray levels a pixel: what a blurred picture has less of.

    Args:
        image: of any mode, at least 2 pixels a side.
    """
    luma = np.asarray(image.convert("L"), dtype=np.float64)
    return float(np.hypot(np.diff(luma, axis=0)[:, :-1], np.diff(luma, axis=1)[:-1]).mean())


def ssim(original: np.ndarray, decoded: np.ndarray, device: str = "cpu") -> float:
    """Return the structural similarity of two pictures (H, W, 3) uint8: 11×11 Gaussian window of deviation 1.5."""
    return float(_channel_ssim(_channels(original, device), _channels(decoded, device)).mean())


def ms_ssim(original: np.ndarray, decoded: np.ndarray, device: str = "cpu") -> float:
    """Return the multi-scale structural similarity of two pictures (H, W, 3) uint8 of at least 176 pixels a side."""
    from torch.nn.functional import avg_pool2d
    from torchmetrics.functional.image import structural_similarity_index_measure

    first, second = _channels(original, device), _channels(decoded, device)
    product = first.new_ones(3)
    for power in SCALE_POWERS[:-1]:
        _, contrast = structural_similarity_index_measure(
            second, first, data_range=1.0, return_contrast_sensitivity=True, reduction="none"
        )
        product = product * contrast.relu() ** power
        first, second = avg_pool2d(first, 2), avg_pool2d(second, 2)
    return float((product * _channel_ssim(first, second).relu() ** SCALE_POWERS[-1]).mean())


def _channels(picture: np.ndarray, device: str) -> torch.Tensor:
    """Return (H, W, 3) uint8 as three pictures of one channel, (3, 1, H, W) in [0, 1]."""
    return to_tensor(picture, device).transpose(0, 1)


def _channel_ssim(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return (B,) SSIM of (B, 1, H, W), averaged over the places where the window lies inside the picture.

    So do its authors; torchmetrics averages over reflected borders too, which on small pictures is another figure.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _, image = structural_similarity_index_measure(second, first, data_range=1.0, return_full_image=True)
    inside = slice(HALF_WINDOW, -HALF_WINDOW)
    return image[..., inside, inside].mean(dim=(1, 2, 3))


def block_ssim(original: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Return the SSIM of each 8×8 block from the means, variances and covariance of its 64 pixels.

    Args:
        original: (H, W, 3) uint8. Up to 7 rows and columns at the lower and right edge that fill no block are left out.
        decoded: the same.

    Returns:
        (H // 8, W // 8) float64 in [−1, 1], the mean of R, G and B.
    """
    x, y = _blocks(original), _blocks(decoded)
    mean_x, mean_y = x.mean(axis=(1, 3)), y.mean(axis=(1, 3))
    var_x, var_y = x.var(axis=(1, 3)), y.var(axis=(1, 3))
    covariance = (x * y).mean(axis=(1, 3)) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return (luminance * (2 * covariance + C2) / (var_x + var_y + C2)).mean(axis=2)


def si_ssim(original: np.ndarray, decoded: np.ndarray, importance: np.ndarray) -> float:
    """Return S3's semantic-importance SSIM: Σ_i L_i · SSIM(x_i, x̂_i) over 8×8 blocks, L_i = V_i / Σ V.

    Args:
        original: (H, W, 3) uint8.
        decoded: the same.
        importance: (H, W) float, at least 0, V_i its sum over block i. All zero: every block counts alike.

    Raises:
        ValueError: an importance of another size, or a negative one.
    """
    if importance.shape != original.shape[:2] or not np.all(importance >= 0):
        raise ValueError(
            f"`importance` must be {original.shape[:2]} and at least 0, got {importance.shape} with minimum "
            f"{importance.min()}; give one number a pixel"
        )
    values = _blocks(importance[..., None].astype(np.float64)).sum(axis=(1, 3, 4))
    levels = values / values.sum() if values.sum() > 0 else np.full(values.shape, 1 / values.size)
    return float((levels * block_ssim(original, decoded)).sum())


def _blocks(picture: np.ndarray) -> np.ndarray:
    """Return (H, W, C) as (H // 8, 8, W // 8, 8, C) float64."""
    rows, columns = picture.shape[0] // BLOCK, picture.shape[1] // BLOCK
    whole = picture[: rows * BLOCK, : columns * BLOCK].astype(np.float64)
    return whole.reshape(rows, BLOCK, columns, BLOCK, -1)
