"""The feature maps of a VGG19 against torch's own layers, and what is no such file."""

import pytest
import torch
from safetensors.torch import save_file

from sgc_diffusion.features.vgg19 import NUM_MAPS, Vgg19
from sgc_diffusion.features.weights import WeightsError
from sgc_diffusion.training.losses import PerceptualLoss


@pytest.fixture()
def networks(tmp_path, small_vgg19):
    """Groups of layers, and the path of a file with their weights in half precision and auxiliary ones."""
    torch.manual_seed(0)
    groups, state = small_vgg19()
    state = {key: value.half() for key, value in state.items()}
    for group in groups:
        group.half().float()
    save_file(state | {"conv11_aux.weight": torch.ones(3)}, tmp_path / "vgg.safetensors")
    return groups, state, tmp_path / "vgg.safetensors"


def test_maps_are_those_of_torchs_layers(networks):
    groups, _, path = networks
    pixels, hidden = torch.rand(2, 3, 48, 40), None
    maps = Vgg19(path)(pixels)
    assert len(maps) == NUM_MAPS == 5
    for group, features in zip(groups, maps, strict=True):
        hidden = group(pixels if hidden is None else hidden)
        torch.testing.assert_close(features, hidden)
    assert [features.shape[2:] for features in maps] == [(48, 40), (24, 20), (12, 10), (6, 5), (3, 2)]


def test_weights_are_frozen_but_gradients_pass(networks):
    network, pixels = Vgg19(networks[2]), torch.rand(1, 3, 32, 32, requires_grad=True)
    network(pixels)[4].sum().backward()
    assert pixels.grad.abs().sum() > 0 and not any(weight.requires_grad for weight in network.parameters())


def test_the_loss_is_the_mean_difference_of_scaled_maps(networks):
    groups, _, path = networks
    images, targets = torch.rand(2, 2, 3, 32, 48) * 2 - 1
    ours, theirs, distances = images / 2 + 0.5, targets / 2 + 0.5, []
    with torch.no_grad():
        for group in groups:
            ours, theirs = group(ours), group(theirs)
            sizes = theirs.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
            distances.append(((ours - theirs).abs() / sizes).mean())
    loss = PerceptualLoss(path)
    assert float(loss(images, targets)) == pytest.approx(float(torch.stack(distances).mean()), rel=1e-4)
    assert float(loss(images, images)) == 0


@pytest.mark.parametrize("name", ["conv0.weight", "conv33.weight", "conv51.bias"])
def test_a_file_without_a_layer_is_refused(networks, name):
    _, state, path = networks
    del state[name]
    save_file(state, path)
    with pytest.raises(WeightsError, match=rf"(?s)holds no weights of (a VGG19: {name} is missing|Vgg19: .*{name})"):
        Vgg19(path)
