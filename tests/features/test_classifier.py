"""Classifiers by name; Grad-CAM against captum and against its shortcut."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from sgc_diffusion.features import grad_cam as cam
from sgc_diffusion.features.classifier import last_map_layer, load_classifier, timm_classifier


@pytest.fixture(scope="module")
def lite0():
    return load_classifier()


@pytest.fixture(scope="module")
def photo(request):
    return np.asarray(Image.open(request.config.rootpath / "pipelines/landscape.jpg").convert("RGB"))


def test_the_shortcut_is_grad_cam(lite0, photo):
    pixels = lite0.pixels(photo)
    assert lite0.head is not None
    for num_classes in (1, 3):
        general = cam.grad_cam(lite0.scores, lite0.layer, pixels, num_classes)
        short = cam.class_activation(lite0.scores, lite0.layer, lite0.head, pixels, num_classes)
        assert short.max() > 0 and torch.allclose(general, short, atol=1e-5 * float(short.max()))


def test_grad_cam_is_captums(lite0, photo):
    from captum.attr import LayerGradCam

    pixels = lite0.pixels(photo)
    best = int(lite0.scores(pixels)[0].argmax())
    theirs = LayerGradCam(lite0.scores, lite0.layer).attribute(pixels, best, relu_attributions=True)[:, 0]
    ours = cam.grad_cam(lite0.scores, lite0.layer, pixels)
    assert torch.allclose(ours, theirs.detach(), atol=1e-5 * float(ours.max()))


def test_grad_cam_of_an_inner_layer_is_captums():
    from captum.attr import LayerGradCam

    torch.manual_seed(0)
    network = timm.create_model("resnet18", num_classes=7).eval()
    pixels = torch.randn(2, 3, 64, 64)
    best = network(pixels).argmax(dim=1)
    theirs = LayerGradCam(network, network.layer2).attribute(pixels, best, relu_attributions=True)[:, 0]
    ours = cam.grad_cam(network, network.layer2, pixels)
    assert ours.shape == (2, 8, 8) and torch.allclose(ours, theirs.detach(), atol=1e-5 * float(ours.max()))


def test_lite0_sees_what_is_there(lite0, photo):
    heat = cam.importance_of(lite0, photo, 3)
    assert heat.shape == photo.shape[:2] and heat.dtype == np.float32 and heat.min() >= 0 and heat.max() > 0
    assert len(lite0.names) == 1000 and 0 <= lite0.classify(photo) < 1000


def test_timm_networks_have_maps_and_a_head():
    classifier = timm_classifier(timm.create_model("mobilenetv3_small_050", num_classes=9).eval())
    assert classifier.head is None  # layers lie between its maps and its head
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    assert cam.importance_of(classifier, picture).shape == (40, 60)
    assert timm_classifier(timm.create_model("resnet18", num_classes=9).eval()).head is not None


def test_a_transformers_classifier_from_a_folder(tmp_path):
    from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=4)
    ResNetForImageClassification(config).save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    classifier = load_classifier(str(tmp_path))
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert cam.importance_of(classifier, picture).shape == (64, 64) and len(classifier.names) == 4


def test_unknown_names_are_told():
    with pytest.raises(ValueError, match="`classifier` timm/nosuchnet"):
        load_classifier("timm/nosuchnet")
    with pytest.raises(ValueError, match="`classifier` nosuchnet is not known"):
        load_classifier("nosuchnet")
    with pytest.raises(ValueError, match="no maps of features"):
        last_map_layer(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2)), 2)
