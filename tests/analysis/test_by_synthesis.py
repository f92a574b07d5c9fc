import dataclasses
import gc
import weakref

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from sgc_diffusion import decode
from sgc_diffusion.analysis.by_synthesis import choose_seed, comparison_size, nearest_picture
from sgc_diffusion.synthesis.few_step import FewStepHead


def test_the_picture_with_the_same_texture_everywhere_is_nearest(landscape):
    original = landscape(64, 64)
    blurred = original.filter(ImageFilter.GaussianBlur(2))
    noise = np.random.default_rng(0).normal(0, 40, (64, 64, 3))
    noisy = Image.fromarray((np.asarray(original) + noise).clip(0, 255).astype(np.uint8))
    upside_down = original.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    brighter = Image.fromarray((np.asarray(original) * 0.9 + 20).astype(np.uint8))
    assert nearest_picture(original, [upside_down, blurred, brighter, noisy], (64, 64)) == 2


def test_the_seed_of_the_file_draws_the_nearest_candidate(tiny_pipeline, landscape):
    image = landscape(64, 64)
    payload = decode(tiny_pipeline.compress(image, num_candidates=5))
    drawn = [
        tiny_pipeline(dataclasses.replace(payload, recipe=dataclasses.replace(payload.recipe, seed=seed))).images[0]
        for seed in range(5)
    ]
    assert payload.recipe.seed == nearest_picture(image, drawn, (64, 64))
    plain = decode(tiny_pipeline.compress(image))
    assert dataclasses.replace(payload, recipe=plain.recipe) == plain


def test_candidates_cost_three_bytes_and_keep_the_budget(tiny_pipeline, landscape):
    images = [landscape(64, 64, seed=seed) for seed in range(4)]
    plain, best = tiny_pipeline.compress(images), tiny_pipeline.compress(images, num_candidates=4)
    assert any(decode(data).recipe.seed for data in best)
    assert all(len(data) <= len(other) + 3 for data, other in zip(best, plain, strict=True))
    for budget in (50, 70):
        assert len(tiny_pipeline.compress(images[0], max_bytes=budget, num_candidates=4)) <= budget


def test_candidates_are_drawn_by_the_few_step_head(tiny_pipeline, landscape):
    torch.manual_seed(1)
    head, count = FewStepHead.from_denoiser(tiny_pipeline.unet), 0

    def note(*_):
        nonlocal count
        count += 1

    head.register_forward_hook(note)
    tiny_pipeline.register_modules(few_step_head=head)
    tiny_pipeline.compress(landscape(64, 64), num_candidates=3)
    assert count == 3


def test_candidates_are_drawn_one_by_one_and_not_kept(tiny_pipeline, landscape):
    image, drawn, most = landscape(64, 64), [], 0

    def draw(payload):
        nonlocal most
        picture = landscape(64, 64, seed=payload.recipe.seed)
        drawn.append(weakref.ref(picture))
        gc.collect()
        most = max(most, sum(reference() is not None for reference in drawn))
        return picture

    chosen = choose_seed(image, tiny_pipeline.analyze(image), draw, 6)
    assert len(drawn) == 6 and most == 1
    pictures = [landscape(64, 64, seed=seed) for seed in range(6)]
    assert chosen.recipe.seed == nearest_picture(image, pictures, (64, 64)) == 0


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 64), (64, 64)), ((1024, 256), (128, 512)), ((3, 9000), (9000, 8))]
)
def test_large_pictures_are_compared_smaller(size, expected):
    assert comparison_size(*size) == expected


@pytest.mark.parametrize("value", [0, -1, 65537, 1.5, None, True, "2"])
def test_a_number_of_candidates_that_cannot_be_is_refused(tiny_pipeline, landscape, value):
    with pytest.raises(ValueError, match="`num_candidates` must be an integer from 1 to 65536"):
        tiny_pipeline.compress(landscape(32, 32), num_candidates=value)
