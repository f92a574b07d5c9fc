"""Which decoder a file is read with, asked of the pipeline itself."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from sgc_diffusion import bitstream
from sgc_diffusion.payload import DetailLevel
from sgc_diffusion.payload.detail import FIRST_KIND, LOSSLESS, exact_state
from sgc_diffusion.synthesis.decoders import NEARLY_EXACT, pipeline_of
from sgc_diffusion.synthesis.noise_seed import noise_seed
from sgc_diffusion.synthesis.preview import preview
from sgc_diffusion.synthesis.provenance import GeneratedImage


@pytest.fixture()
def picture(landscape):
    return np.asarray(landscape(64, 48))


@pytest.fixture()
def with_level(tiny_pipeline, picture):
    """Level → payload with the detail down to it; None for none."""
    plain = tiny_pipeline.analyze(picture)
    state = exact_state(picture, plain.color_map)

    def make(level, **recipe):
        layers = () if level is None else (DetailLevel(FIRST_KIND + level, state),)
        return replace(plain, layers=layers, recipe=replace(plain.recipe, **recipe))

    return make


@pytest.fixture()
def count_steps(tiny_pipeline):
    """Decode a payload and count the steps of the denoiser."""

    def count(payload, **options):
        steps = []
        image = tiny_pipeline(payload, callback_on_step_end=lambda *_: steps.append(1) or {}, **options).images[0]
        return len(steps), image

    return count


def test_an_exact_file_comes_back_to_the_bit_and_nothing_is_drawn(tiny_pipeline, picture, with_level, count_steps):
    for decoder in (None, "likeness", "diffusion"):
        num_steps, image = count_steps(with_level(LOSSLESS), decoder=decoder, strength=1.0)
        assert num_steps == 0 and np.array_equal(np.asarray(image), picture)
    data = tiny_pipeline.compress(picture, quality=100)
    image = tiny_pipeline.decompress(data).images[0]
    assert np.array_equal(np.asarray(image), picture) and not isinstance(image, GeneratedImage)
    assert image.info["Description"] == f"Decoded by sgc_diffusion from {len(data)} bytes. Exact in every pixel."
    array = tiny_pipeline.decompress(data, output_type="np").images[0]
    assert np.array_equal(np.rint(array * 255).astype(np.uint8), picture)


def test_what_is_nearly_exact_or_not_to_be_drawn_is_the_likeness(tiny_pipeline, with_level, count_steps):
    payloads = [with_level(NEARLY_EXACT), with_level(None, strength=0), with_level(3, strength=0)]
    for payload in payloads:
        num_steps, image = count_steps(payload)
        assert num_steps == 0 and image.tobytes() == tiny_pipeline.likeness(payload).tobytes()
        assert count_steps(payload, decoder="diffusion", num_inference_steps=4)[0] > 0
    assert count_steps(with_level(3), strength=0)[0] == 0
    assert isinstance(count_steps(with_level(NEARLY_EXACT - 1), num_inference_steps=4)[1], GeneratedImage)


def test_a_better_likeness_is_lifted_less(tiny_pipeline, with_level, count_steps):
    tiny_pipeline.register_to_config(likeness_strengths=(0.6, 0.4, 0.2))
    levels = (None, 0, 1, 2, 3)
    assert [count_steps(with_level(level), num_inference_steps=10)[0] for level in levels] == [7, 6, 4, 2, 2]
    assert count_steps(with_level(2), num_inference_steps=10, strength=0.9)[0] == 9


def test_a_drawing_over_detail_starts_from_it_and_stays_near(tiny_pipeline, picture, with_level):
    errors = []
    for level in (None, 2, 5, 8):
        drawn = np.asarray(tiny_pipeline(with_level(level), num_inference_steps=4).images[0], dtype=float)
        errors.append(np.mean((drawn - picture) ** 2))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.2 * errors[0]
    array, tensor = (
        tiny_pipeline(with_level(5), num_inference_steps=4, output_type=kind).images for kind in ("np", "pt")
    )
    assert np.array_equal(array, tensor.permute(0, 2, 3, 1).numpy())


def test_a_list_may_hold_files_of_every_kind(tiny_pipeline, with_level):
    payloads = [with_level(LOSSLESS), with_level(None), with_level(4), with_level(None, strength=0)]
    together = tiny_pipeline(payloads, num_inference_steps=2).images
    kinds = [isinstance(image, GeneratedImage) for image in together]
    assert kinds == [False, True, True, False]
    for payload, image in zip(payloads, together, strict=True):
        alone = np.asarray(tiny_pipeline(payload, num_inference_steps=2).images[0], dtype=int)
        assert np.abs(alone - np.asarray(image, dtype=int)).max() <= 2  # batched arithmetic rounds differently


def test_previews_come_without_a_network(tiny_pipeline, with_level, count_steps):
    num_steps, image = count_steps(with_level(None), decoder="preview")
    assert num_steps == 0 and image.tobytes() == preview(with_level(None)).tobytes()
    data = bitstream.encode(with_level(None))
    assert f"of {len(data)} bytes" in tiny_pipeline.decompress(data, decoder="preview").images[0].info["Description"]


def test_pictures_that_say_something_else_share_no_noise(with_level):
    plain = with_level(None)
    other_labels = type(plain.labels)((plain.label_map + 1) % 24, "landscape-24")
    changed = [
        replace(plain, recipe=replace(plain.recipe, seed=1)),
        replace(plain, labels=other_labels),
        replace(plain, color=replace(plain.color, quality=plain.color.quality + 1)),
    ]
    assert len({noise_seed(payload) for payload in [plain, *changed]}) == 4
    assert noise_seed(with_level(3)) == noise_seed(replace(plain, width=999)) == noise_seed(plain)
    assert noise_seed(bitstream.decode(bitstream.encode(plain))) == noise_seed(plain) < 2**63


def test_a_set_scheduler_draws_in_place_of_the_leaps_that_a_file_names(tiny_pipeline, with_level, caplog):
    """The pipeline has no few-step head here, so that leaps would be refused."""
    payload = with_level(None, scheduler="lcm", num_inference_steps=2)
    with pytest.raises(ValueError, match="few-step head"):
        tiny_pipeline(payload)
    tiny_pipeline.scheduler = type(tiny_pipeline.scheduler).from_config(tiny_pipeline.scheduler.config)
    with caplog.at_level(logging.WARNING):
        expected = tiny_pipeline(payload, num_inference_steps=20, scheduler="ddim", guidance_scale=3.0).images[0]
        assert tiny_pipeline(payload).images[0].tobytes() == expected.tobytes()
    with pytest.raises(ValueError, match="few-step head"):
        tiny_pipeline(payload, preset="standard")


def test_the_same_file_has_the_same_noise_in_a_list(tiny_pipeline, with_level):
    latents = tiny_pipeline([with_level(None)] * 2, num_inference_steps=2, output_type="latent").images
    assert torch.allclose(latents[0], latents[1], atol=1e-4)


def test_a_file_is_drawn_by_its_own_pipeline_or_by_one_that_draws_as_is_wanted():
    for decoder in (None, "preview", "likeness", "diffusion"):
        assert pipeline_of("general-256", decoder) == "general-256"
    assert pipeline_of("general-256", "gan") == pipeline_of("custom", "gan") == "labels-gan"
    assert pipeline_of("labels-gan", None) == pipeline_of("labels-gan", "gan") == "labels-gan"
    assert pipeline_of("labels-gan", "diffusion") == "landscape-256"
