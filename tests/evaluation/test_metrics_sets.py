"""FID and KID against their closed forms, on features and through the networks."""

import numpy as np
import pytest
import torch
from pyiqa.archs import inception
from scipy.linalg import sqrtm

from sgc_diffusion.evaluation.metrics import load_metrics
from sgc_diffusion.evaluation.metrics.sets import (
    FeatureSets,
    frechet_distance,
    kernel_distance,
    load_inception_features,
)
from sgc_diffusion.features.weights import replaced


def frechet(first, second):
    root = sqrtm(np.cov(first.T) @ np.cov(second.T)).real
    gap = first.mean(axis=0) - second.mean(axis=0)
    return gap @ gap + np.trace(np.cov(first.T) + np.cov(second.T) - 2 * root)


def kernel(first, second):
    n, m, d = len(first), len(second), first.shape[1]
    total = 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                total += ((first[i] @ first[j] / d + 1) ** 3 + (second[i] @ second[j] / d + 1) ** 3) / (n * (n - 1))
            total -= 2 * (first[i] @ second[j] / d + 1) ** 3 / (n * m)
    return total


def test_distances_of_features_are_those_of_the_formulas():
    rng = np.random.default_rng(0)
    first = rng.normal(0, 1, (40, 5)) @ rng.normal(0, 1, (5, 5))
    second = rng.normal(0.5, 1.2, (40, 5)) @ rng.normal(0, 1, (5, 5))
    tensors = torch.from_numpy(first), torch.from_numpy(second)
    assert frechet_distance(*tensors) == pytest.approx(frechet(first, second), rel=1e-6)
    assert kernel_distance(*tensors) == pytest.approx(kernel(first, second), rel=1e-6)
    for seed in range(12):  # rounding leaves some of them a little below
        same = torch.from_numpy(np.random.default_rng(seed).normal(3, 1, (4 + seed, 20)))
        assert 0 <= frechet_distance(same, same) < 1e-5


def test_few_pictures_have_a_singular_covariance_and_still_a_distance():
    first, second = (torch.from_numpy(np.random.default_rng(seed).normal(0, 1, (4, 20))) for seed in (0, 1))
    assert frechet_distance(first, second) == pytest.approx(frechet(first.numpy(), second.numpy()), rel=1e-2)


def test_a_set_begins_anew_and_one_picture_is_none():
    sets = FeatureSets(lambda pixels: pixels.mean(dim=(2, 3)))
    for _ in range(2):
        sets.start()
        for value in (10, 80):
            assert sets.finish() is None
            sets.add(np.full((8, 8, 3), value, np.uint8), np.full((8, 8, 3), value + 51, np.uint8))
        fid, kid = sets.finish()
        assert fid == pytest.approx(3 * 0.2**2, rel=1e-3)  # the mean moved by 0.2 in three features
        assert np.isfinite(kid)


def test_inception_takes_every_weight_from_the_file(tmp_path):
    torch.manual_seed(0)
    with replaced(inception, load_pretrained_network=lambda network, url: None):
        network = inception.fid_inception_v3()
    path = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(network.state_dict(), path)
    pixels, found = torch.rand(1, 3, 80, 80), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.no_grad():
            found.append(load_inception_features(path)(pixels))
    assert found[0].shape == (1, 2048) and torch.equal(*found) and found[0].std() > 0
    state = network.state_dict()
    state.pop("Mixed_7c.branch1x1.conv.weight")
    torch.save(state, path)
    assert set(load_metrics(["fid", "kid"], weights_dir=tmp_path).unavailable) == {"fid", "kid"}
