"""The classifiers know what is on photographs, and the one that judges is kept out of everything else."""

import re
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from sgc_diffusion.features.efficientnet_lite import NUM_CLASSES, NUM_FEATURES, load_efficientnet_lite, resized
from sgc_diffusion.features.pixels import to_tensor

ROOT = Path(__file__).parents[2]
DAISY, ALP = 985, 970  # of ImageNet's 1,000 classes


def photographs():
    _, flower = load_sample_images().images
    with Image.open(ROOT / "pipelines" / "landscape.jpg") as image:
        return {DAISY: flower, ALP: np.asarray(image.convert("RGB"))}


@pytest.mark.parametrize("variant", ["lite0", "lite1"])
@torch.no_grad()
def test_known_photographs_get_their_class(variant):
    classifier = load_efficientnet_lite(variant, judging=True)
    for wanted, picture in photographs().items():
        maps = classifier(resized(to_tensor(picture), classifier.side))
        features = classifier.pool(maps)
        scores = classifier.scores(features)
        assert int(scores.argmax()) == wanted
        assert features.shape == (1, NUM_FEATURES) and scores.shape == (1, NUM_CLASSES)
        assert float(maps.min()) >= 0
        places = classifier.scores(maps.flatten(2).transpose(1, 2))  # the head is linear: scores of places average
        assert torch.allclose(places.mean(dim=1), scores, atol=1e-3)


@torch.no_grad()
def test_features_are_those_of_the_whole_network():
    classifier = load_efficientnet_lite()
    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    whole.load_state_dict(classifier.network.state_dict())
    pixels = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    wanted = whole((pixels * 255 - 127) / 128)
    assert torch.allclose(classifier.scores(classifier.pool(classifier(pixels))), wanted, atol=1e-4)


def test_pictures_keep_their_proportions():
    pixels = torch.rand(1, 3, 100, 250)
    assert resized(pixels, 50).shape == (1, 3, 50, 125)
    assert resized(pixels.transpose(2, 3), 224).shape == (1, 3, 560, 224)


def test_the_judge_is_loaded_for_measuring_alone():
    with pytest.raises(ValueError, match="`variant` lite1 is for measuring alone"):
        load_efficientnet_lite("lite1")
    with pytest.raises(ValueError, match="`variant` must be one of lite0, lite1, got 'lite2'"):
        load_efficientnet_lite("lite2", judging=True)
    users = [
        path.relative_to(ROOT)
        for folder in ("sgc_diffusion", "pipelines", "eval")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"judging|JUDGE|lite1_pytorch|lite2", path.read_text("utf-8"))
    ]
    allowed = {Path("sgc_diffusion/features/efficientnet_lite.py")}
    measuring = {path for path in users if path.parts[0] == "eval" or path.parts[1] == "evaluation"}
    assert set(users) - measuring == allowed and measuring
