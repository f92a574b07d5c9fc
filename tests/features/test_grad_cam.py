"""Grad-CAM of a classifier whose maps and weights are known."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torchvision

from sgc_diffusion.features.grad_cam import class_activation, grad_cam, load_grad_cam


class TinyClassifier(torch.nn.Module):
    """Two feature maps, red and green, and one class for each."""

    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1, bias=False), torch.nn.Identity())
        self.avgpool = torch.nn.AdaptiveAvgPool2d(1)
        self.classifier = torch.nn.Linear(2, 2)

    def forward(self, pixels):
        return self.classifier(self.avgpool(self.features(pixels)).flatten(1))


def test_grad_cam_weighs_the_maps_that_speak_for_the_class(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.models, "vgg16", TinyClassifier)
    state = TinyClassifier().state_dict()
    state["features.0.weight"] = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]).view(2, 3, 1, 1)
    state["classifier.weight"], state["classifier.bias"] = torch.tensor([[2.0, -1.0], [0, 0]]), torch.tensor([9.0, 0])
    torch.save(state, tmp_path / "vgg16.pth")
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    red = (picture[..., 0] / 255 - 0.485) / 0.229
    green = (picture[..., 1] / 255 - 0.456) / 0.224
    wanted = np.maximum(0, 2 * red - green) / 224**2  # the class is a mean over places: every place has its share
    assert load_grad_cam(tmp_path / "vgg16.pth")(picture) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("way", [grad_cam, class_activation])
def test_threads_share_a_classifier(way):
    """Each sees its own maps, also when another thread looks at the same layer of the same network meanwhile."""
    torch.manual_seed(0)
    shared = TinyClassifier()
    pictures = [torch.rand(1, 3, 6, 5) for _ in range(2)]
    heads = [shared.classifier] if way is class_activation else []
    expected = [way(shared, shared.features, *heads, picture) for picture in pictures]
    meet = threading.Barrier(2, timeout=60)

    def network(pixels):
        meet.wait()  # both look at the layer before either runs
        scores = shared(pixels)
        meet.wait()  # and both have run before either takes what it saw
        return scores

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda picture: way(network, shared.features, *heads, picture), pictures))
    assert all(torch.equal(*pair) for pair in zip(results, expected, strict=True))
