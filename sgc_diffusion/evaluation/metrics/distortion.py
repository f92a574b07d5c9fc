"""How far the pixels are from the original's: PSNR, SSIM and MS-SSIM of torchmetrics, and S3's SI-SSIM.

All on 8-bit RGB, without a conversion to luma: figures of papers that measure luma are a little higher.
"""

from __future__ import annotations

import numpy as np

from sgc_diffusion.evaluation.metrics.pixels import to_tensor

MAX_PSNR_DB = 100.0  # of equal pictures, whose true value no JSON file and no mean can hold
BLOCK = 8  # pixels, S3's
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # SSIM's constants for 8 bits


def psnr(original: np.ndarray, decoded: np.ndarray, device: str = "cpu") -> float:
    """Return the peak signal-to-noise ratio in dB of two pictures (H, W, 3) uint8, at most `MAX_PSNR_DB`."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    first, second = to_tensor(original, device), to_tensor(decoded, device)
    return min(MAX_PSNR_DB, float(peak_signal_noise_ratio(second, first, data_range=1.0)))


def ssim(original: np.ndarray, decoded: np.ndarray, device: str = "cpu") -> float:
    """Return the structural similarity of two pictures (H, W, 3) uint8: 11×11 Gaussian window of deviation 1.5."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    first, second = to_tensor(original, device), to_tensor(decoded, device)
    return float(structural_similarity_index_measure(second, first, data_range=1.0))  # type: ignore[arg-type]


def ms_ssim(original: np.ndarray, decoded: np.ndarray, device: str = "cpu") -> float:
    """Return the multi-scale structural similarity of two pictures (H, W, 3) uint8 of at least 176 pixels a side."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    first, second = to_tensor(original, device), to_tensor(decoded, device)
    return float(multiscale_structural_similarity_index_measure(second, first, data_range=1.0))


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
