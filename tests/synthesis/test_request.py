"""What may be asked of a drawing: each argument works, or one ValueError names it."""

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, HeunDiscreteScheduler, LMSDiscreteScheduler, PNDMScheduler

from sgc_diffusion.bitstream import DecryptionError, Passphrase, encode
from sgc_diffusion.synthesis.few_step import FewStepHead


@pytest.fixture()
def payload(tiny_pipeline, landscape):
    return tiny_pipeline.analyze(landscape(64, 48))


def draw(pipeline, payload, **options):
    return pipeline(payload, output_type="np", **{"num_inference_steps": 3} | options).images


def test_what_is_no_file_content_is_refused_by_name(tiny_pipeline):
    for data in ("x.sgc", Path("x.sgc"), None, 7, [b"", "x.sgc"], {"a": b""}, np.zeros(4, np.uint8)):
        with pytest.raises(ValueError, match=r"`data` must be the bytes of a file or a list of them, got \w+; read a"):
            tiny_pipeline.decompress(data)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_bytes_of_other_types_are_read(tiny_pipeline, payload, kind):
    data = encode(payload)
    expected = tiny_pipeline.decompress(data).images[0].tobytes()
    assert tiny_pipeline.decompress(kind(data)).images[0].tobytes() == expected


ARGUMENTS = (
    "preset num_inference_steps strength guidance_scale scheduler generator output_type callback_on_step_end "
    "callback_on_step_end_tensor_inputs max_pixels"
).split()
WRONG = ["", "7", b"7", [7], ["no"], {}, -1, float("nan"), True, object(), np.zeros(3), np.array("ddim")]


@pytest.mark.parametrize("name", ARGUMENTS)
def test_values_of_other_types_are_refused_by_the_name_of_the_argument(tiny_pipeline, payload, name):
    for value in WRONG:
        with pytest.raises(ValueError, match=f"`{name}`"):
            tiny_pipeline(payload, **{"num_inference_steps": 3, name: value})


def test_a_preset_of_another_type_is_refused_by_name(tiny_pipeline, landscape):
    for value in WRONG:
        with pytest.raises(ValueError, match="`preset`"):
            tiny_pipeline.compress(landscape(8, 8), preset=value)


def test_numbers_of_numpy_are_taken(tiny_pipeline, payload, landscape):
    expected = draw(tiny_pipeline, payload, strength=0.5, guidance_scale=1.5)
    given = {"strength": np.float32(0.5), "guidance_scale": np.float16(1.5), "num_inference_steps": np.int64(3)}
    assert np.array_equal(draw(tiny_pipeline, payload, **given, max_pixels=np.int32(64 * 48)), expected)
    data = tiny_pipeline.compress(landscape(64, 48), max_bytes=np.int64(120), num_candidates=np.int8(1))
    assert len(data) <= 120


@pytest.mark.parametrize("name", ["max_bytes", "target_bpp"])
def test_a_budget_of_another_type_is_refused_by_name(tiny_pipeline, landscape, name):
    for value in ("0.004", b"1", [1], -1, float("nan")):
        with pytest.raises(ValueError, match=f"`{name}`"):
            tiny_pipeline.compress(landscape(64, 48), **{name: value})


def test_a_precision_out_of_range_is_refused_by_name(tiny_pipeline, landscape):
    for value in ("20", 64, -1, 20.5, None):
        with pytest.raises(ValueError, match="`color_quality`"):
            tiny_pipeline.compress(landscape(64, 48), color_quality=value)


def test_pictures_are_no_payloads_and_payloads_no_pictures(tiny_pipeline, payload, landscape):
    with pytest.raises(ValueError, match="`payload` must be a SemanticPayload or a list of them, got Image"):
        tiny_pipeline(landscape(8, 8))
    with pytest.raises(ValueError, match="`image`"):
        tiny_pipeline.compress(payload)
    with pytest.raises(ValueError, match="`image`"):
        tiny_pipeline.compress(np.zeros((0, 0, 3), np.uint8))
    assert tiny_pipeline([]).images == [] and tiny_pipeline.compress([]) == []


def test_paths_are_compressed_as_their_pictures_are(tiny_pipeline, landscape, tmp_path):
    image, path = landscape(64, 48), tmp_path / "photo.png"
    image.save(path)
    expected = tiny_pipeline.compress(image)
    assert tiny_pipeline.compress(str(path)) == tiny_pipeline.compress(path) == expected
    assert tiny_pipeline.compress([path, image]) == [expected, expected]
    with pytest.raises(FileNotFoundError):
        tiny_pipeline.compress("no such photo.jpg")


def test_a_passphrase_seals_and_opens(tiny_pipeline, landscape):
    image, words = landscape(64, 48), Passphrase("correct horse battery")
    sealed, plain = tiny_pipeline.compress(image, key=words), tiny_pipeline.compress(image)
    opened, expected = tiny_pipeline.decompress(sealed, key=words).images[0], tiny_pipeline.decompress(plain).images[0]
    assert opened.tobytes() == expected.tobytes() and len(sealed) > len(plain)
    with pytest.raises(DecryptionError):
        tiny_pipeline.decompress(sealed, key=bytes(32))


def test_a_preset_draws_and_what_is_given_beside_it_changes_it(tiny_pipeline, payload):
    tiny_pipeline.few_step_head = FewStepHead.from_denoiser(tiny_pipeline.unet)
    data = encode(payload)
    fast = tiny_pipeline.decompress(data, preset="fast", output_type="np").images
    named = tiny_pipeline.decompress(
        data, scheduler="lcm", num_inference_steps=1, strength=1.0, output_type="np"
    ).images
    assert np.array_equal(fast, named) and not np.array_equal(fast, draw(tiny_pipeline, payload))
    changed = tiny_pipeline.decompress(data, preset="fast", num_inference_steps=2, output_type="np").images
    assert not np.array_equal(fast, changed)


def test_a_file_of_another_profile_is_drawn_by_the_own_preset_with_one_warning(tiny_pipeline, payload, caplog):
    recipe = dataclasses.replace(
        payload.recipe, profile="semantic-synthesis-512", scheduler="ddim", num_inference_steps=9, strength=0.3, seed=5
    )
    other = dataclasses.replace(payload, recipe=recipe)
    own = dataclasses.replace(payload, recipe=dataclasses.replace(payload.recipe, seed=5))
    with caplog.at_level(logging.WARNING):
        drawn = tiny_pipeline([other] * 3, output_type="np").images
    assert [record.name.split(".")[0] for record in caplog.records] == ["sgc_diffusion"]
    assert "made for the pipeline semantic-synthesis-512; it is drawn by custom" in caplog.text
    assert np.array_equal(drawn, tiny_pipeline([own] * 3, output_type="np").images)
    options = {"scheduler": "unipc", "num_inference_steps": 2, "strength": 0.5}
    assert np.array_equal(draw(tiny_pipeline, other, **options), draw(tiny_pipeline, own, **options))
    assert not np.array_equal(draw(tiny_pipeline, own, **options), draw(tiny_pipeline, own))


def test_a_file_of_other_weights_is_told_once_and_drawn_as_it_says(tiny_pipeline, payload, caplog):
    other = dataclasses.replace(
        payload, recipe=dataclasses.replace(payload.recipe, weights_hash=payload.recipe.weights_hash ^ 1)
    )
    with caplog.at_level(logging.WARNING):
        draw(tiny_pipeline, [payload, payload])
        assert not caplog.records
        drawn = draw(tiny_pipeline, [other, other])
    assert len(caplog.records) == 1 and "made for other weights of custom" in caplog.text
    assert np.array_equal(drawn, draw(tiny_pipeline, [payload, payload]))


@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, HeunDiscreteScheduler, LMSDiscreteScheduler, PNDMScheduler])
@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_a_scheduler_that_is_set_draws_unless_the_caller_names_another(tiny_pipeline, payload, kind, strength):
    tiny_pipeline.few_step_head = FewStepHead.from_denoiser(tiny_pipeline.unet)
    options = [{"strength": strength}, {"scheduler": "dpm-solver++", "strength": strength}, {"preset": "fast"}]
    plain = [draw(tiny_pipeline, payload, **option) for option in options]
    assert np.array_equal(plain[0], plain[1])  # what the file names
    tiny_pipeline.scheduler = kind.from_config(tiny_pipeline.scheduler.config)
    own, named, fast = (draw(tiny_pipeline, payload, **option) for option in options)
    assert np.isfinite(own).all() and not np.allclose(own, plain[0], atol=1e-3)
    assert np.array_equal(named, plain[1]) and np.array_equal(fast, plain[2])


def test_generators_of_a_list_are_one_a_picture(tiny_pipeline, payload):
    def generators():
        return [torch.Generator().manual_seed(seed) for seed in (1, 2)]

    together = draw(tiny_pipeline, [payload, payload], generator=generators())
    alone = [draw(tiny_pipeline, payload, generator=generator)[0] for generator in generators()]
    assert np.abs(together - np.stack(alone)).max() < 1e-4
