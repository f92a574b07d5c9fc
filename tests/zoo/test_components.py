"""Components of a pipeline as diffusers' users handle them: shared, replaced, left out, of mixed types."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, EulerDiscreteScheduler, StableDiffusionPipeline
from torch import nn
from transformers import MobileNetV2ImageProcessor

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.families.controlnet import ControlNetCompressionPipeline
from sgc_diffusion.families.latent_diffusion import LatentDiffusionCompressionPipeline
from sgc_diffusion.taxonomy import load_taxonomy

load = SemanticCompressionPipeline.from_pretrained


@pytest.fixture()
def other_segmenter(tiny_pipeline):
    return type(tiny_pipeline.segmenter)(tiny_pipeline.segmenter.config).train()


@pytest.fixture()
def processor():
    return MobileNetV2ImageProcessor(size={"shortest_edge": 64}, do_center_crop=False)


def networks(pipeline):
    return {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}


@pytest.mark.parametrize("kind", [SemanticCompressionPipeline, LatentDiffusionCompressionPipeline])
def test_a_pipeline_of_another_shares_what_it_is_made_of(kind, tiny_pipeline_folder, landscape):
    pipeline = load(tiny_pipeline_folder, dtype=torch.float16)
    pipeline.vae.float()
    shared = kind.from_pipe(pipeline, redraw_strength=0.25)
    assert type(shared) is LatentDiffusionCompressionPipeline
    assert all(part is getattr(pipeline, name) for name, part in shared.components.items())
    assert (shared.unet.dtype, shared.vae.dtype) == (torch.float16, torch.float32)
    assert (shared.config.redraw_strength, shared.config.noise_gain) == (0.25, pipeline.config.noise_gain)
    assert shared.weights_hash == pipeline.weights_hash
    kind.from_pipe(pipeline, dtype=torch.float32)
    assert {part.dtype for part in networks(pipeline).values()} == {torch.float32}
    data = pipeline.compress(landscape(64, 48))
    images = [pipe.decompress(data).images[0].tobytes() for pipe in (pipeline, kind.from_pipe(pipeline))]
    assert images[0] == images[1]


def test_a_base_model_becomes_a_decoder_and_a_base_model_again(base_and_controlnet):
    base = StableDiffusionPipeline.from_pretrained(base_and_controlnet[0], safety_checker=None)
    controlnet = ControlNetModel.from_pretrained(base_and_controlnet[1])
    decoder = ControlNetCompressionPipeline.from_pipe(base, controlnet=controlnet)
    assert decoder.unet is base.unet and decoder.controlnet is controlnet
    again = StableDiffusionPipeline.from_pipe(decoder, safety_checker=None, feature_extractor=None, image_encoder=None)
    assert again.unet is base.unet
    assert again.config.requires_safety_checker == base.config.requires_safety_checker
    with pytest.raises(ValueError, match="`controlnet` is needed by ControlNetCompressionPipeline"):
        ControlNetCompressionPipeline.from_pipe(base)
    with pytest.raises(ValueError, match="`pipeline` is a StableDiffusionPipeline, of no family of sgc_diffusion"):
        SemanticCompressionPipeline.from_pipe(base)


def test_another_segmenter_comes_with_its_own_processor_or_none(
    tiny_pipeline, tiny_pipeline_folder, other_segmenter, processor
):
    tiny_pipeline.use_segmenter(tiny_pipeline.segmenter, processor)
    shared = SemanticCompressionPipeline.from_pipe(tiny_pipeline)
    assert shared.image_processor is processor
    assert SemanticCompressionPipeline.from_pipe(tiny_pipeline, segmenter=other_segmenter).image_processor is None
    loaded = load(tiny_pipeline_folder, segmenter=other_segmenter, image_processor=processor)
    assert loaded.segmenter is other_segmenter and loaded.image_processor is processor
    assert not other_segmenter.training
    assert load(tiny_pipeline_folder, image_processor=processor).image_processor is processor
    loaded.use_segmenter(tiny_pipeline.segmenter)
    assert loaded.image_processor is None


def test_a_segmenter_that_is_loaded_has_the_type_of_the_others(
    tiny_pipeline, tiny_pipeline_folder, processor, tmp_path
):
    segmenter = tiny_pipeline.segmenter
    segmenter.config.id2label = dict(enumerate(load_taxonomy("landscape-24").names))
    segmenter.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = load(tiny_pipeline_folder, segmenter=tmp_path, dtype={"unet": torch.float32, "default": torch.bfloat16})
    types = {name: part.dtype for name, part in networks(loaded).items()}
    assert types == {"unet": torch.float32, "vae": torch.bfloat16, "segmenter": torch.bfloat16}


def test_a_pipeline_without_a_segmenter_draws_and_is_saved_and_loaded(tiny_pipeline, landscape, tmp_path):
    payload = tiny_pipeline.analyze(landscape(64, 48))
    expected = tiny_pipeline(payload).images[0].tobytes()
    tiny_pipeline.segmenter = None
    tiny_pipeline.save_pretrained(tmp_path)
    assert not (tmp_path / "segmenter").exists()
    loaded = load(tmp_path)
    assert loaded.segmenter is None and loaded.image_processor is None
    assert loaded(payload).images[0].tobytes() == expected
    with pytest.raises(ValueError, match="`segmenter` is missing"):
        loaded.compress(landscape(64, 48))


def test_a_control_network_can_be_given_itself(base_and_controlnet):
    controlnet = ControlNetModel.from_pretrained(base_and_controlnet[1])
    pipeline = load(base_and_controlnet[0], controlnet=controlnet)
    assert pipeline.controlnet is controlnet


@pytest.mark.parametrize("family", ["labels", "controlnet"])
def test_names_that_are_no_part_are_refused(tiny_pipeline, tiny_pipeline_folder, base_and_controlnet, family):
    name, arguments = tiny_pipeline_folder, {}
    if family == "controlnet":
        name, arguments = base_and_controlnet[0], {"controlnet": base_and_controlnet[1]}
    with pytest.raises(ValueError, match=r"`safety_checker` is no part or setting of .*; it has .*unet, vae, "):
        load(name, **arguments, safety_checker=None)
    with pytest.raises(ValueError, match="`steps` is no part or setting"):
        SemanticCompressionPipeline.from_pipe(load(name, **arguments), steps=3)


def test_a_replaced_denoiser_is_asked_what_it_takes(tiny_pipeline, landscape):
    payload = tiny_pipeline.analyze(landscape(64, 48))
    config = {**tiny_pipeline.unet.config, "in_channels": 4 + 24}  # labels alone
    tiny_pipeline.unet = type(tiny_pipeline.unet).from_config(config)
    assert tiny_pipeline(payload, num_inference_steps=2).images[0].size == (64, 48)


def test_a_scheduler_that_was_set_is_saved_shared_and_given_too(
    tiny_pipeline, tiny_pipeline_folder, landscape, tmp_path
):
    payload = tiny_pipeline.analyze(landscape(64, 48))

    def draw(pipeline, **arguments):
        pipeline.set_progress_bar_config(disable=True)
        return pipeline(payload, num_inference_steps=4, output_type="np", **arguments).images

    plain, few_named = draw(tiny_pipeline), draw(tiny_pipeline, scheduler="ddim")
    euler = EulerDiscreteScheduler.from_config(tiny_pipeline.scheduler.config)
    given = load(tiny_pipeline_folder, scheduler=euler)
    tiny_pipeline.scheduler = euler
    expected = draw(tiny_pipeline)
    assert not np.array_equal(expected, plain)
    assert np.array_equal(draw(given), expected)
    assert np.array_equal(draw(SemanticCompressionPipeline.from_pipe(tiny_pipeline)), expected)
    assert np.array_equal(
        draw(SemanticCompressionPipeline.from_pipe(load(tiny_pipeline_folder), scheduler=euler)), expected
    )
    tiny_pipeline.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert isinstance(again.scheduler, EulerDiscreteScheduler)
    assert np.array_equal(draw(again), expected)
    assert np.array_equal(draw(tiny_pipeline, scheduler="ddim"), few_named)


def test_neither_loading_nor_saving_prints_anything(tmp_path):
    code = (
        "from sgc_diffusion import SemanticCompressionPipeline as pipeline\n"
        "pipe = pipeline.from_pretrained('landscape-256')\n"
        "pipeline.from_pipe(pipe)\n"
        f"pipe.save_pretrained({str(tmp_path)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"dtype": "float16"}, "dtype"),
        ({"dtype": {"unet": 16}}, "dtype"),
        ({"scheduler": "ddim"}, "scheduler"),
        ({"segmenter": 7}, "segmenter"),
        ({"segmenter": nn.Linear(1, 1)}, "segmenter"),
        ({"controlnet": 7}, "controlnet"),
        ({"preset": 7}, "preset"),
        ({"profile": "landscape"}, "profile"),
        ({"label_resampling": "linear"}, "label_resampling"),
    ],
)
def test_what_cannot_be_loaded_is_refused_by_the_name_of_the_argument(tiny_pipeline_folder, arguments, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        load(tiny_pipeline_folder, **arguments)


def test_what_cannot_be_set_is_refused_by_name(tiny_pipeline):
    with pytest.raises(ValueError, match="`scheduler` of a pipeline must be a diffusers scheduler, got 'ddim'"):
        tiny_pipeline.scheduler = "ddim"
    with pytest.raises(ValueError, match="`dtype`"):
        SemanticCompressionPipeline.from_pipe(tiny_pipeline, dtype="float16")
    with pytest.raises(ValueError, match="`pipeline` is a int"):
        SemanticCompressionPipeline.from_pipe(7)
    with pytest.raises(ValueError, match="`segmenter`"):
        tiny_pipeline.use_segmenter(None)
    for side in ("64", 0, -16, 24, 64.5):
        with pytest.raises(ValueError, match="`tile_side`"):
            tiny_pipeline.enable_tiling(side)
    tiny_pipeline.enable_tiling(np.int64(64))
    assert tiny_pipeline.tile_side == 8
