"""Lists are drawn in batches of bounded size, and each picture as it is drawn alone."""

import dataclasses

import numpy as np
import pytest
import torch

from sgc_diffusion import ColorLayer, LabelLayer, SemanticPayload
from sgc_diffusion.synthesis import batches
from sgc_diffusion.synthesis.batches import BATCH_PIXELS, group_pictures


def make_payload(seed, width, height):
    numbers = np.random.default_rng(seed)
    labels = LabelLayer(numbers.integers(0, 24, (6, 8)).astype(np.uint8), "landscape-24")
    colors = ColorLayer.from_color_map(numbers.integers(0, 255, (4, 4, 3), dtype=np.uint8), 16)
    payload = SemanticPayload(width, height, labels, colors)
    return dataclasses.replace(payload, recipe=dataclasses.replace(payload.recipe, profile="custom", seed=seed))


@pytest.fixture()
def shapes(tiny_pipeline):
    """The shapes of all that the denoiser is asked for."""
    seen = []
    tiny_pipeline.unet.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    return seen


def test_no_batch_is_larger_than_the_limit_and_pictures_are_those_drawn_alone(tiny_pipeline, shapes, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_PIXELS", 2 * 64 * 64)
    sizes = [(64, 64)] * 5 + [(200, 40)] + [(61, 50)] * 2
    payloads = [make_payload(seed, *size) for seed, size in enumerate(sizes)]
    options = {"num_inference_steps": 2, "guidance_scale": 1.0, "output_type": "np"}
    together = tiny_pipeline(payloads, **options).images
    pixels = [count * height * width * 64 for count, _, height, width in shapes]
    assert max(pixels) <= 2 * 64 * 64 and max(count for count, *_ in shapes) == 2
    assert [image.shape[:2][::-1] for image in together] == sizes
    for payload, image in zip(payloads, together, strict=True):
        assert np.abs(tiny_pipeline(payload, **options).images[0] - image).max() < 1e-4


def test_a_picture_that_is_larger_than_the_limit_is_drawn_alone(tiny_pipeline, shapes, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_PIXELS", 1)
    images = tiny_pipeline([make_payload(seed, 64, 64) for seed in range(3)], num_inference_steps=2).images
    assert len(images) == 3 and {count for count, *_ in shapes} == {2}  # with and without labels


def test_groups_hold_pictures_of_one_kind_in_order():
    side = BATCH_PIXELS // 4
    assert group_pictures(["a", "b", "a", "a", "a", "a", "b"], [side] * 7) == [[0, 2, 3, 4], [5], [1, 6]]
    assert group_pictures(["a", "a"], [BATCH_PIXELS + 1] * 2) == [[0], [1]]
    assert group_pictures([], []) == []


@pytest.mark.parametrize("output_type", ["np", "pt", "latent"])
def test_arrays_of_one_shape_come_as_a_batch_as_in_diffusers(tiny_pipeline, output_type):
    options = {"num_inference_steps": 2, "output_type": output_type}
    expected = {"np": (64, 64, 3), "pt": (3, 64, 64), "latent": (4, 8, 8)}[output_type]
    payload = make_payload(0, 64, 64)
    kind = np.ndarray if output_type == "np" else torch.Tensor
    for count in (1, 3):
        images = tiny_pipeline([payload] * count, **options).images
        assert isinstance(images, kind) and images.shape == (count, *expected)
    assert tiny_pipeline(payload, **options, return_dict=False)[0].shape == (1, *expected)
    images = tiny_pipeline([payload, make_payload(1, 200, 64)], **options).images
    assert isinstance(images, list) and images[0].shape == expected
