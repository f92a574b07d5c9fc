"""Losses of the first stage: perceptual features, a patch discriminator, and what repeats with the latents' grid.

x̂, x ──PerceptualLoss──▶ distance in VGG features        x̂ ──PatchDiscriminator──▶ one logit a patch
x̂ − x ──grid_error──▶ how strong a pattern of the latents' period it holds
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from sgc_diffusion.features.vgg19 import Vgg19


class PerceptualLoss(nn.Module):
    """L1 distance between unit-normalized VGG19 features (Johnson et al., https://arxiv.org/abs/1603.08155).

    Args:
        path: safetensors of a (thin) VGG19, see `features.vgg19`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._network = Vgg19(path)

    def forward(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the scalar distance between two batches (B, 3, H, W) in [−1, 1]."""
        with torch.no_grad():
            target_maps = self._network(targets / 2 + 0.5)
        distances = []
        for ours, theirs in zip(self._network(images / 2 + 0.5), target_maps, strict=True):
            scale = theirs.float().pow(2).mean(dim=(1, 2, 3), keepdim=True).sqrt() + 1e-6
            distances.append(((ours.float() - theirs.float()) / scale).abs().mean())
        return torch.stack(distances).mean()


class PatchDiscriminator(nn.Sequential):
    """Discriminator of 34-pixel patches (Isola et al., https://arxiv.org/abs/1611.07004), spectrally normalized.

    Args:
        channels: width of the first layer.
    """

    def __init__(self, channels: int = 32) -> None:
        widths = (channels, 2 * channels, 4 * channels)
        layers: list[nn.Module] = []
        previous = 3
        for index, width in enumerate(widths):
            stride = 2 if index < 2 else 1
            layers += [spectral_norm(nn.Conv2d(previous, width, 4, stride, 1)), nn.LeakyReLU(0.2)]
            previous = width
        super().__init__(*layers, spectral_norm(nn.Conv2d(previous, 1, 4, 1, 1)))


def hinge_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return the hinge loss of a discriminator (Lim & Ye, https://arxiv.org/abs/1705.02894)."""
    return functional.relu(1 - real_logits).mean() + functional.relu(1 + fake_logits).mean()


def grid_error(residual: torch.Tensor, *, period: int = 8, window: int = 32) -> torch.Tensor:
    """Return how much of a residual repeats from latent to latent: the faint grid that upsampling leaves in skies.

    In each window the residual is averaged over the latents, position by position; what that mean varies is a pattern.

    Args:
        residual: (B, C, H, W), decoded minus true pictures; H and W divisible by `window`.
        period: pixels a latent is wide.
        window: side in pixels of the windows; divisible by `period`.

    Returns:
        The pattern's root mean square, a scalar: the mean over windows and channels, in the residual's units.
    """
    batch, channels, height, width = residual.shape
    split = (batch, channels, height // window, window // period, period, width // window, window // period, period)
    pattern = residual.reshape(split).mean(dim=(3, 6))  # (B, C, rows, period, columns, period)
    pattern = pattern - pattern.mean(dim=(3, 5), keepdim=True)
    return (pattern.pow(2).mean(dim=(3, 5)) + 1e-10).sqrt().mean()
