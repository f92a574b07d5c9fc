"""What tells a generator how its pictures should be: features of two networks, and a critic that knows the labels.

drawn, photograph ──VGG19, EfficientNet-Lite0──▶ distances ──────────────▶ gradient at the drawn picture
                                    └──labels──▶ projected critic ──share──▶ (+)
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional

from sgc_diffusion.training.critics import (
    ClassifierFeatures,
    ProjectedCritic,
    feature_distance,
    generator_loss,
    hinge_losses,
    with_share,
)
from sgc_diffusion.training.losses import PerceptualLoss

COLOR_SIDE = 8  # pixels a side of the places whose mean colors are compared


class PictureCritics:
    """What judges drawn pictures: distances in the features of two networks, and a critic that knows the labels.

    Args:
        features: file of a VGG19.
        recipe: `vgg_weight`, `lite_weight`, `color_weight`, `pixel_weight`; `adversarial_share`, the length of the
            critic's gradient relative to theirs; `critic_learning_rate`.
        num_classes: of the labels.
        device: of the networks.
    """

    def __init__(self, features: Path, recipe: dict, num_classes: int, device: torch.device) -> None:
        self.recipe = recipe
        self.perceptual = PerceptualLoss(features).to(device)
        self.features = ClassifierFeatures().to(device)
        self.projected = ProjectedCritic(num_conditions=num_classes).to(device)
        parameters = self.projected.heads.parameters()
        self.optimizer = torch.optim.AdamW(parameters, lr=recipe["critic_learning_rate"], betas=(0.0, 0.9))

    def gradient(
        self, drawn: torch.Tensor, photos: torch.Tensor, labels: torch.Tensor, heard: bool
    ) -> tuple[torch.Tensor, dict]:
        """Return the gradient at drawn pictures, and the terms of the loss; the critic takes a step.

        Args:
            drawn: (N, 3, H, W) floats, about in [−1, 1].
            photos: what they are to look like.
            labels: (N, K, h, w) floats, one-hot, of any resolution.
            heard: whether the critic has a say in the gradient.
        """
        recipe, photos = self.recipe, photos.contiguous(memory_format=torch.channels_last)
        drawn = drawn.detach().float().contiguous(memory_format=torch.channels_last).requires_grad_()
        with torch.no_grad():
            real_maps = self.features(photos)
        drawn_maps = self.features(drawn)
        terms = {"vgg": self.perceptual(drawn, photos), "lite": feature_distance(drawn_maps, real_maps)}
        terms["color"] = functional.avg_pool2d(drawn - photos, COLOR_SIDE).abs().mean()
        terms["pixel"] = (drawn - photos).abs().mean()
        loss = torch.stack([recipe[f"{name}_weight"] * term for name, term in terms.items()]).sum()
        (gradient,) = torch.autograd.grad(loss, drawn, retain_graph=heard)
        if heard:
            (wish,) = torch.autograd.grad(generator_loss(self.projected(drawn_maps, labels)), drawn)
            gradient = with_share(gradient, wish, recipe["adversarial_share"])
        logits = [self.projected([each.detach() for each in maps], labels) for maps in (real_maps, drawn_maps)]
        terms["critic"] = hinge_losses(*logits)
        self.optimizer.zero_grad()
        terms["critic"].backward()
        self.optimizer.step()
        return gradient, terms
