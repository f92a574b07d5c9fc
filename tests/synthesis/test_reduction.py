"""`max_side`: a thumbnail is drawn small where that is possible, and is never larger than asked."""

import dataclasses

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.payload import AlphaLayer
from sgc_diffusion.synthesis.likeness_image import likeness_image
from sgc_diffusion.synthesis.preview import preview
from sgc_diffusion.synthesis.reduction import reduce_image, reduced_payload, reduced_size


def test_sizes():
    assert reduced_size(12000, 9000, 256) == (256, 192)
    assert reduced_size(9, 12000, 256) == (1, 256)
    assert reduced_size(100, 80, 100) == reduced_size(100, 80, None) == (100, 80)


def test_a_huge_picture_of_labels_and_colors_is_drawn_small(tiny_pipeline, landscape):
    payload = tiny_pipeline.analyze(landscape(96, 72))
    huge = dataclasses.replace(payload, width=12000, height=9000)
    small = dataclasses.replace(payload, width=64, height=48)
    with pytest.raises(ValueError, match="`max_side`"):
        tiny_pipeline(huge)
    options = {"num_inference_steps": 2, "max_side": 64}
    image = tiny_pipeline(huge, **options).images[0]
    assert image.size == (64, 48)
    assert np.array_equal(np.asarray(image), np.asarray(tiny_pipeline(small, num_inference_steps=2).images[0]))
    assert tiny_pipeline(huge, output_type="np", **options).images.shape == (1, 48, 64, 3)
    assert tiny_pipeline(huge, output_type="pt", **options).images.shape == (1, 3, 48, 64)
    for decoder in ("likeness", "preview"):
        assert tiny_pipeline(huge, decoder=decoder, max_side=64).images[0].size == (64, 48)
    assert tiny_pipeline.decompress(bitstream.encode(huge), **options).images[0].size == (64, 48)


def test_detail_is_decoded_whole_and_then_reduced(tiny_pipeline, landscape):
    payload = tiny_pipeline.analyze(landscape(96, 72), quality=50)
    assert reduced_payload(payload, 48) is payload
    whole = tiny_pipeline(payload, num_inference_steps=2).images[0]
    image = tiny_pipeline(payload, num_inference_steps=2, max_side=48).images[0]
    assert np.array_equal(np.asarray(image), np.asarray(reduce_image(whole, 48)))
    values = tiny_pipeline(payload, num_inference_steps=2, max_side=48, output_type="np").images[0]
    assert values.shape == (36, 48, 3) and values.min() >= 0 and values.max() <= 1
    assert np.abs(values * 255 - np.asarray(image)).mean() < 0.5  # Pillow rounds and clips between its two passes
    assert likeness_image(payload, max_side=48).size == (48, 36)


def test_only_a_whole_likeness_is_called_exact(tiny_pipeline, landscape):
    payload = tiny_pipeline.analyze(landscape(48, 40), quality=100)
    assert "Exact" in likeness_image(payload, max_side=48).info["Description"]
    assert "Exact" not in likeness_image(payload, max_side=24).info["Description"]


def test_alpha_comes_with_the_thumbnail(tiny_pipeline, landscape):
    payload = tiny_pipeline.analyze(landscape(96, 72))
    levels = np.zeros((72, 96), np.uint8)
    levels[:, 48:] = 255
    clear = payload.with_layers(AlphaLayer(levels))
    for image in (
        tiny_pipeline(clear, num_inference_steps=2, max_side=32).images[0],
        likeness_image(clear, max_side=32),
        preview(clear, max_side=32),
    ):
        alpha = np.asarray(image.getchannel("A"))
        assert image.size == (32, 24) and alpha[:, :14].max() == 0 and alpha[:, 18:].min() == 255


@pytest.mark.parametrize("max_side", [0, -3, 1.5, "64"])
def test_sides_that_are_none(tiny_pipeline, landscape, max_side):
    payload = tiny_pipeline.analyze(landscape(48, 40))
    with pytest.raises(ValueError, match="`max_side`"):
        tiny_pipeline(payload, num_inference_steps=2, max_side=max_side)
