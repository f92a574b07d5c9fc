"""The losses of DSSLIC (Akbari, Liang & Han, https://arxiv.org/abs/1806.03348), as published; S4 of this project.

    ℒ_G = −Σ_d log D_d(s, c′, x′) + 2λ‖x − x′‖₁ − SSIM(x, x′) + λ Σ_d Σ_i ‖D_d⁽ⁱ⁾(s, c′, x) − D_d⁽ⁱ⁾(s, c′, x′)‖₁ / N_i
          + λ Σ_j ‖V⁽ʲ⁾(x) − V⁽ʲ⁾(x′)‖₁ / M_j
    ℒ_D = −Σ_d (log D_d(s, c′, x) + log(1 − D_d(s, c′, x′)))

s is the label map, c′ the enlarged compact image, x the photograph, x′ what is drawn, d one of two scales. What the
poster leaves open is taken from pix2pixHD (Wang et al., https://arxiv.org/abs/1711.11585), on which it builds: the
layers of the discriminators, and λ = 10. Its SSIM has windows of 8×8 pixels here, every 4.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sgc_diffusion.features.vgg19 import Vgg19
from sgc_diffusion.training.si_ssim import block_ssim

NUM_SCALES = 2
SSIM_STRIDE = 4  # pixels from window to window


class ConditionalDiscriminator(nn.ModuleList):
    """The discriminator of 70-pixel patches of pix2pixHD, whose inner maps are compared too.

    Args:
        channels: planes that it sees.
        width: of its first map.
    """

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        previous = channels
        for index, stride in enumerate((2, 2, 2, 1)):
            layers = [nn.Conv2d(previous, width << index, 4, stride, 2), nn.LeakyReLU(0.2)]
            if index:
                layers.insert(1, nn.InstanceNorm2d(width << index))
            self.append(nn.Sequential(*layers))
            previous = width << index
        self.append(nn.Conv2d(previous, 1, 4, 1, 2))

    def forward(self, planes: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps of each layer, the logits last."""
        maps = []
        for layer in self:
            planes = layer(planes)
            maps.append(planes)
        return maps


class DsslicLosses:
    """What judges drawn pictures in the way of DSSLIC.

    Args:
        features: file of a VGG19.
        recipe: `loss_weight`, the poster's λ; `critic_width`; `critic_learning_rate`.
        num_classes: of the labels.
        device: of the networks.
    """

    def __init__(self, features: Path, recipe: dict, num_classes: int, device: torch.device) -> None:
        self._weight = recipe["loss_weight"]
        self._vgg = Vgg19(features).to(device)
        self.discriminators = nn.ModuleList(
            ConditionalDiscriminator(num_classes + 6, recipe["critic_width"]) for _ in range(NUM_SCALES)
        ).to(device)
        parameters = self.discriminators.parameters()
        self.optimizer = torch.optim.Adam(parameters, lr=recipe["critic_learning_rate"], betas=(0.5, 0.999))

    def gradient(
        self, drawn: torch.Tensor, photos: torch.Tensor, labels: torch.Tensor, likeness: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the gradient at drawn pictures, and the terms of the loss; the discriminators take a step.

        Args:
            drawn: (N, 3, H, W) floats, about in [−1, 1].
            photos: what they are to look like.
            labels: (N, K, h, w) floats, one-hot.
            likeness: (N, 3, H, W) floats in [−1, 1], c′.
        """
        drawn, weight = drawn.detach().float().contiguous(memory_format=torch.channels_last), self._weight
        drawn.requires_grad_()
        given = torch.cat([functional.interpolate(labels, photos.shape[-2:], mode="nearest"), likeness], dim=1)
        self.discriminators.requires_grad_(False)
        with torch.no_grad():
            real_maps = self._look(given, photos)
        drawn_maps = self._look(given, drawn)
        real_inner, drawn_inner = ([maps[:-1] for maps in scales] for scales in (real_maps, drawn_maps))
        terms: dict[str, Any] = {
            "pixel": 2 * weight * (drawn - photos).abs().mean(),
            "ssim": -block_ssim(drawn, photos, SSIM_STRIDE).mean(),
            "matching": weight * sum(_distance(*maps) for maps in zip(real_inner, drawn_inner, strict=True)),
            "vgg": weight * _distance(self._vgg(photos / 2 + 0.5), self._vgg(drawn / 2 + 0.5)),
            "adversarial": sum(functional.softplus(-maps[-1].float()).mean() for maps in drawn_maps),
        }
        (gradient,) = torch.autograd.grad(torch.stack(list(terms.values())).sum(), drawn)
        terms["critic"] = self._learn(given, photos, drawn.detach())
        return gradient, terms

    def _look(self, given: torch.Tensor, pictures: torch.Tensor) -> list[list[torch.Tensor]]:
        """Return the maps of each scale: full size, and half of it."""
        planes, maps = torch.cat([given, pictures], dim=1).contiguous(memory_format=torch.channels_last), []
        for discriminator in self.discriminators:
            maps.append(discriminator(planes))
            planes = functional.avg_pool2d(planes, 2)
        return maps

    def _learn(self, given: torch.Tensor, photos: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        self.discriminators.requires_grad_(True)
        pairs = zip(self._look(given, photos), self._look(given, drawn), strict=True)
        losses = [
            functional.softplus(-real[-1].float()).mean() + functional.softplus(fake[-1].float()).mean()
            for real, fake in pairs
        ]
        loss = torch.stack(losses).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def _distance(theirs: list[torch.Tensor], ours: list[torch.Tensor]) -> torch.Tensor:
    """Return the sum over maps of the mean absolute difference."""
    pairs = zip(theirs, ours, strict=True)
    return torch.stack([(their.detach().float() - our.float()).abs().mean() for their, our in pairs]).sum()
