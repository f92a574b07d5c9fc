"""The critic on ImageNet features: the features are real, the heads learn, the mixing does not."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from sgc_diffusion.training.critics import (
    STRIDES,
    WIDTHS,
    ClassifierFeatures,
    ProjectedCritic,
    feature_distance,
    generator_loss,
    hinge_losses,
)


@pytest.fixture(scope="module")
def photographs():
    from sklearn.datasets import load_sample_images

    crops = [
        image[y : y + 96, x : x + 96] for image in load_sample_images().images for y in (20, 200) for x in (50, 300)
    ]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_features_have_the_stated_shapes_and_stay_frozen(photographs):
    features = ClassifierFeatures()
    maps = features(photographs)
    assert [tuple(values.shape[1:]) for values in maps] == [
        (width, 96 // stride, 96 // stride) for width, stride in zip(WIDTHS, STRIDES, strict=True)
    ]
    assert not features.train().training
    assert torch.equal(features(photographs)[3], maps[3])


def test_feature_distance_grows_with_blur(photographs):
    features = ClassifierFeatures()
    sharp = features(photographs)
    distances = []
    for side in (72, 48, 24):
        small = functional.interpolate(photographs, (side, side), mode="area")
        distances.append(
            float(feature_distance(features(functional.interpolate(small, (96, 96), mode="bicubic")), sharp))
        )
    assert float(feature_distance(sharp, sharp)) == 0
    assert distances == sorted(distances) and distances[0] > 0.05


def test_critic_learns_to_tell_blurred_pictures_and_its_gradient_sharpens_them(photographs):
    torch.manual_seed(0)
    features, critic = ClassifierFeatures(), ProjectedCritic(width=16)
    mixing = copy.deepcopy([critic.across_channels.state_dict(), critic.across_scales.state_dict()])
    optimizer = torch.optim.Adam([p for p in critic.parameters() if p.requires_grad], lr=2e-3)
    blurred = functional.interpolate(functional.avg_pool2d(photographs, 4), scale_factor=4, mode="bicubic")
    real, drawn = features(photographs), features(blurred)
    losses = []
    for _ in range(40):
        loss = hinge_losses(critic(real), critic(drawn))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1.8 and losses[-1] < 0.8
    assert all(
        torch.equal(after[name], before[name])
        for before, after in zip(
            mixing, [critic.across_channels.state_dict(), critic.across_scales.state_dict()], strict=True
        )
        for name in before
    )
    between = (0.5 * (photographs + blurred)).requires_grad_()
    (wish,) = torch.autograd.grad(generator_loss(critic(features(between))), between)
    assert (-wish * (photographs - blurred)).sum() > 0  # downhill is towards the photographs


def test_condition_is_seen(photographs):
    torch.manual_seed(0)
    critic, maps = ProjectedCritic(width=8, num_conditions=2), ClassifierFeatures()(photographs[:1])
    first, second = torch.eye(2)[:, :, None, None].expand(2, 2, 4, 4).split(1)
    assert not torch.allclose(critic(maps, first)[0], critic(maps, second)[0])
