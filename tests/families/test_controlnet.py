"""Stable Diffusion with a ControlNet as decoder: tiny components of the real classes."""

import dataclasses

import numpy as np
import pytest
import torch

from sgc_diffusion import ColorLayer, LabelLayer, SemanticCompressionPipeline, SemanticPayload
from sgc_diffusion.families.controlnet import ControlNetCompressionPipeline
from sgc_diffusion.synthesis.controlnet import MAX_NAMES, draw_labels, write_prompt
from sgc_diffusion.synthesis.latent_diffusion import build_scheduler, denoise, select_timesteps
from sgc_diffusion.taxonomy import load_taxonomy


@pytest.fixture(scope="module")
def pipeline(base_and_controlnet):
    base, controlnet = base_and_controlnet
    pipeline = SemanticCompressionPipeline.from_pretrained(base, controlnet=str(controlnet))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture()
def payload():
    label_map = np.zeros((8, 8), np.uint8)
    label_map[:4] = 2  # sky above a wall
    colors = np.random.default_rng(0).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return SemanticPayload(64, 48, LabelLayer(label_map, "ade20k-150"), ColorLayer.from_color_map(colors, 16))


def draw(pipeline, payload, **changes):
    return pipeline(payload, num_inference_steps=4, scheduler="ddim", output_type="latent", **changes).images[0]


def test_labels_prompt_and_colors_all_steer_the_picture(pipeline, payload):
    assert isinstance(pipeline, ControlNetCompressionPipeline)
    image = pipeline(payload, num_inference_steps=4).images[0]
    assert image.size == (64, 48)
    drawn = draw(pipeline, payload)
    assert torch.equal(drawn, draw(pipeline, payload))
    other = LabelLayer(payload.label_map[::-1].copy(), "ade20k-150")  # the same prompt, another map
    assert not torch.allclose(drawn, draw(pipeline, dataclasses.replace(payload, labels=other)))
    plain = ColorLayer.from_color_map(np.full((4, 4, 3), 128, np.uint8), 16)
    assert not torch.allclose(drawn, draw(pipeline, dataclasses.replace(payload, color=plain)))
    assert not torch.allclose(drawn, draw(pipeline, payload, guidance_scale=1.0))


@pytest.mark.parametrize("name", ["ddim", "dpm-solver++", "unipc"])
def test_no_sampler_clips_latents_as_if_they_were_pixels(pipeline, name):
    assert "clip_sample" not in pipeline.scheduler.config  # as many a base model's, where DDIM's default is to clip
    scheduler = build_scheduler(name, pipeline.scheduler)
    timesteps = select_timesteps(scheduler, 4, 0.5, torch.device("cpu"))
    start, noise = torch.full((1, 4, 8, 8), 3.0), torch.zeros(1, 4, 8, 8)
    clean = denoise(lambda z, t, _: torch.zeros_like(z), scheduler, start, noise, timesteps, lambda i, t, z: z)
    assert torch.allclose(clean, start, rtol=0.05)


def test_a_payload_of_another_taxonomy_is_drawn_in_the_palette_it_maps_to(pipeline, payload):
    landscape = LabelLayer(np.where(payload.label_map == 2, 1, 19).astype(np.uint8), "landscape-24")  # sky, wall
    other = dataclasses.replace(payload, labels=landscape)
    drawn = [draw(pipeline, each, generator=torch.Generator().manual_seed(7)) for each in (payload, other)]
    assert torch.equal(*drawn)


def test_tiled_drawing_takes_the_same_labels(pipeline, payload):
    larger = dataclasses.replace(payload, width=128, height=128)
    whole = draw(pipeline, larger)
    pipeline.enable_tiling()
    try:
        tiled = draw(pipeline, larger)
    finally:
        pipeline.disable_tiling()
    assert tiled.shape == whole.shape and not torch.equal(tiled, whole)


def test_it_is_saved_and_found_again_by_the_general_class(pipeline, payload, tmp_path):
    pipeline.save_pretrained(tmp_path / "pipe")
    again = SemanticCompressionPipeline.from_pretrained(tmp_path / "pipe")
    again.set_progress_bar_config(disable=True)
    assert isinstance(again, ControlNetCompressionPipeline)
    assert torch.equal(draw(again, payload), draw(pipeline, payload))


def test_parts_of_different_models_are_refused(pipeline, base_and_controlnet):
    from diffusers import ControlNetModel

    config = {**pipeline.controlnet.config, "cross_attention_dim": 32}
    components = {**pipeline.components, "controlnet": ControlNetModel.from_config(config)}
    with pytest.raises(ValueError, match="must be equal"):
        ControlNetCompressionPipeline(**components)
    base, controlnet = base_and_controlnet
    cases = [
        (controlnet, controlnet, r"is a folder without model_index\.json"),
        (base, base, "holds a model of an unknown class, not a ControlNetModel"),
        (base, base / "unet", "holds a UNet2DConditionModel, not a ControlNetModel"),
    ]
    for first, second, message in cases:
        with pytest.raises(ValueError, match=message):
            SemanticCompressionPipeline.from_pretrained(first, controlnet=second)


def test_label_pictures_are_in_the_palette():
    palette = load_taxonomy("ade20k-150").palette
    picture = draw_labels(np.array([[2, 4]], np.uint8), palette, 4, 8)
    assert picture.shape == (3, 4, 8)
    colors = (picture * 255).round().to(torch.uint8)
    assert colors[:, 0, 0].tolist() == [6, 230, 230] and colors[:, 3, 7].tolist() == [4, 200, 3]


def test_prompts_name_the_large_areas_first():
    names = load_taxonomy("ade20k-150").names
    label_map = np.full((20, 20), 2, np.uint8)
    label_map[12:] = 26
    label_map[19, :8] = 46
    label_map[0, 0] = 12  # a quarter of a percent: drawn, but not named
    assert write_prompt(label_map, names).startswith("a photo of sky, with sea, sand, ")
    many = np.arange(100, dtype=np.uint8).reshape(10, 10)
    assert len(write_prompt(many, names).split(", ")) <= MAX_NAMES + 5
