import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from sgc_diffusion import BitstreamError, SemanticCompressionPipeline
from sgc_diffusion.payload import DetailLevel
from sgc_diffusion.payload.detail import FIRST_KIND, LOSSLESS, exact_state
from sgc_diffusion.synthesis.noise_seed import noise_seed


@pytest.fixture()
def payload(tiny_pipeline, landscape):
    return tiny_pipeline.analyze(landscape(64, 48))


def test_round_trip_gives_a_picture_of_the_same_size(tiny_pipeline, landscape):
    data = tiny_pipeline.compress(landscape(61, 43))
    assert isinstance(data, bytes)
    image = tiny_pipeline.decompress(data).images[0]
    assert (image.size, image.mode) == ((61, 43), "RGB")


def test_two_decodes_of_one_file_are_equal_to_the_byte(tiny_pipeline, landscape):
    data = tiny_pipeline.compress(landscape(64, 64))
    first, second = (tiny_pipeline.decompress(data).images[0].tobytes() for _ in range(2))
    assert first == second


def test_lists_of_different_sizes_keep_their_order(tiny_pipeline, landscape):
    sizes = [(64, 64), (200, 100), (64, 64), (33, 150)]
    files = tiny_pipeline.compress([landscape(*size, seed=index) for index, size in enumerate(sizes)])
    images = tiny_pipeline.decompress(files).images
    assert [image.size for image in images] == sizes
    alone = tiny_pipeline.decompress(files[2]).images[0]
    difference = np.asarray(alone, dtype=int) - np.asarray(images[2], dtype=int)
    assert np.abs(difference).max() <= 2  # batched arithmetic rounds differently


def test_larger_pictures_are_drawn_over_at_their_own_scale(tiny_pipeline, landscape):
    payload = tiny_pipeline.analyze(landscape(192, 192))
    timesteps = []
    tiny_pipeline(payload, callback_on_step_end=lambda pipe, step, timestep, tensors: timesteps.append(step) or tensors)
    assert timesteps.count(0) == 3  # 64, then twice enlarged


@pytest.mark.parametrize("scheduler", ["ddim", "dpm-solver++", "unipc"])
@pytest.mark.parametrize(("steps", "strength", "expected"), [(10, 0.7, 7), (10, 0.9, 9), (1, 0.01, 1)])
def test_strength_decides_how_many_steps_run(tiny_pipeline, payload, scheduler, steps, strength, expected):
    seen = []

    def callback(pipe, step, timestep, tensors):
        assert set(tensors) == {"latents"}
        seen.append(int(timestep))
        return tensors

    tiny_pipeline(
        payload, num_inference_steps=steps, strength=strength, scheduler=scheduler, callback_on_step_end=callback
    )
    assert len(seen) == expected
    assert seen == sorted(seen, reverse=True)
    if steps > 1:  # a single step starts wherever the sampler puts it
        assert seen[0] <= 1000 * strength


def test_callback_can_change_the_latents(tiny_pipeline, payload):
    def stop(pipe, step, timestep, tensors):
        return {"latents": torch.zeros_like(tensors["latents"])}

    latents = tiny_pipeline(payload, output_type="latent", callback_on_step_end=stop).images[0]
    assert torch.count_nonzero(latents) == 0


def test_seed_of_the_file_decides_the_noise_unless_a_generator_is_given(tiny_pipeline, payload):
    other = dataclasses.replace(payload, recipe=dataclasses.replace(payload.recipe, seed=5))
    drawn = [tiny_pipeline(one, output_type="latent").images[0] for one in (payload, other)]
    assert not torch.equal(*drawn)
    seed = noise_seed(other)
    given = tiny_pipeline(payload, generator=torch.Generator().manual_seed(seed), output_type="latent").images[0]
    assert torch.equal(given, drawn[1])


def test_guidance_of_one_is_the_plain_prediction(tiny_pipeline, payload):
    asked = []

    def double_what_has_no_labels(unet, inputs, output):
        planes = inputs[0][:, 4 : 4 + 24]
        has_labels = planes.sum(dim=(1, 2, 3)) > 0
        asked.append(has_labels.tolist())
        output.sample[~has_labels] *= 2

    def draw(guidance_scale):
        return tiny_pipeline(payload, guidance_scale=guidance_scale, output_type="latent").images

    plain, guided = draw(1.0), draw(4.0)
    tiny_pipeline.unet.register_forward_hook(double_what_has_no_labels)
    assert torch.equal(draw(1.0), plain) and set(map(tuple, asked)) == {(True,)}
    asked.clear()
    assert not torch.allclose(draw(4.0), guided) and set(map(tuple, asked)) == {(False, True)}


def test_output_types_agree(tiny_pipeline, payload):
    picture = tiny_pipeline(payload).images[0]
    array = tiny_pipeline(payload, output_type="np").images[0]
    tensor, *_ = tiny_pipeline(payload, output_type="pt", return_dict=False)[0]
    assert array.shape == (48, 64, 3) and tensor.shape == (3, 48, 64)
    assert np.array_equal(np.rint(array * 255).astype(np.uint8), np.asarray(picture))
    assert np.array_equal(tensor.permute(1, 2, 0).numpy(), array)


def test_save_and_load_give_the_same_picture(tiny_pipeline, payload, tmp_path):
    expected = tiny_pipeline(payload).images[0].tobytes()
    tiny_pipeline.save_pretrained(tmp_path / "again")
    again = SemanticCompressionPipeline.from_pretrained(tmp_path / "again")
    again.set_progress_bar_config(disable=True)
    assert again(payload).images[0].tobytes() == expected
    assert again.config.segmenter_short_side == 64
    assert again.weights_hash == tiny_pipeline.weights_hash != 0


def test_colors_of_the_file_are_kept(tiny_pipeline, landscape):
    payload = tiny_pipeline.analyze(landscape(128, 128))
    drawn = np.asarray(tiny_pipeline(payload).images[0].resize((16, 16), Image.Resampling.BOX), dtype=float)
    error = np.mean((drawn - payload.color_map) ** 2)
    assert 10 * np.log10(255**2 / error) >= 22  # although the tiny denoiser draws noise


def test_half_precision_draws(tiny_pipeline_folder, payload):
    pipeline = SemanticCompressionPipeline.from_pretrained(tiny_pipeline_folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline(payload).images[0].size == (64, 48)
    assert pipeline.unet.dtype == torch.bfloat16
    assert pipeline.analyze(Image.new("RGB", (20, 20))).label_map.shape == (20, 20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strength": -0.1}, "`strength`"),
        ({"decoder": "gan"}, "`decoder` gan: this pipeline has none; it draws with diffusion"),
        ({"decoder": "jpeg"}, "`decoder` must be one of"),
        ({"detail_fill": 1.1}, "`detail_fill`"),
        ({"decoder": "likeness", "output_type": "latent"}, "`output_type` latent: likeness has none"),
        ({"strength": 1.5}, "`strength`"),
        ({"num_inference_steps": 0}, "`num_inference_steps`"),
        ({"guidance_scale": -1}, "`guidance_scale`"),
        ({"scheduler": "euler"}, "`scheduler`"),
        ({"output_type": "jpeg"}, "`output_type`"),
        ({"generator": [torch.Generator(), torch.Generator()]}, "`generator`"),
        ({"callback_on_step_end_tensor_inputs": ["noise"]}, "callback_on_step_end_tensor_inputs"),
    ],
)
def test_wrong_arguments_are_named(tiny_pipeline, payload, arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny_pipeline(payload, **arguments)


def test_something_that_is_no_payload_or_picture_or_file_is_refused(tiny_pipeline):
    with pytest.raises(ValueError, match="`payload`"):
        tiny_pipeline(b"bytes")
    with pytest.raises(ValueError, match="`image`"):
        tiny_pipeline.analyze(7)
    with pytest.raises(BitstreamError):
        tiny_pipeline.decompress(b"GIF89a")


@pytest.mark.parametrize("name", ["landscap-256", "no such folder", "a/b/c"])
def test_a_name_that_leads_nowhere_lists_what_there_is(name):
    with pytest.raises(ValueError, match="landscape-256"):
        SemanticCompressionPipeline.from_pretrained(name)


def test_a_folder_without_a_pipeline_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"model_index\.json"):
        SemanticCompressionPipeline.from_pretrained(tmp_path)


def test_components_that_do_not_fit_are_refused(tiny_pipeline):
    components = tiny_pipeline.components
    with pytest.raises(ValueError, match="`unet` takes 28 condition planes"):
        type(tiny_pipeline)(**components, taxonomy="landscape-8")
    unet = type(tiny_pipeline.unet).from_config({**tiny_pipeline.unet.config, "in_channels": 12})
    with pytest.raises(ValueError, match="`segmenter` knows 24 classes"):
        type(tiny_pipeline)(**{**components, "unet": unet}, taxonomy="landscape-8")


def test_a_payload_of_another_taxonomy_is_mapped(tiny_pipeline, payload):
    labels = type(payload.labels)(np.full((4, 4), 2, np.uint8), "ade20k-150")  # sky
    sky = type(payload.labels)(np.full((4, 4), 1, np.uint8), "landscape-24")
    payloads = [dataclasses.replace(payload, labels=each) for each in (labels, sky)]
    noise = [torch.Generator().manual_seed(7) for _ in payloads]  # their own differs, as what they say does
    drawn = tiny_pipeline(payloads, generator=noise, output_type="latent").images
    assert torch.equal(*drawn)


def test_the_likeness_needs_no_drawing(tiny_pipeline, landscape):
    picture = np.asarray(landscape(40, 32))
    payload = tiny_pipeline.analyze(picture)
    state = exact_state(picture, payload.color_map)
    exact = dataclasses.replace(payload, layers=(DetailLevel(FIRST_KIND + LOSSLESS, state),))
    image = tiny_pipeline.likeness(exact)
    assert np.array_equal(np.asarray(image), picture) and "Exact" in image.info["Description"]
    with pytest.raises(ValueError, match="`max_pixels`"):
        tiny_pipeline.likeness(payload, max_pixels=40 * 32 - 1)
