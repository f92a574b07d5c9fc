"""Stable Diffusion with a ControlNet as decoder: tiny components of the real classes."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from sgc_diffusion import ColorLayer, LabelLayer, SemanticCompressionPipeline, SemanticPayload
from sgc_diffusion.controlnet_pipeline import ControlNetCompressionPipeline
from sgc_diffusion.synthesis.controlnet import MAX_NAMES, draw_labels, write_prompt
from sgc_diffusion.taxonomy import load_taxonomy


@pytest.fixture(scope="module")
def base_and_controlnet(tmp_path_factory):
    """A saved Stable Diffusion 1.x pipeline and a ControlNet, with few narrow layers."""
    from diffusers import AutoencoderKL, ControlNetModel, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("sd")
    words = place / "words"
    words.mkdir()
    letters = [chr(code) for code in range(33, 127)]
    entries = letters + [f"{letter}</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    (words / "vocab.json").write_text(json.dumps({entry: index for index, entry in enumerate(entries)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    (words / "tokenizer_config.json").write_text(
        json.dumps({"model_max_length": 77, "tokenizer_class": "CLIPTokenizer"})
    )
    text = CLIPTextConfig(
        vocab_size=len(entries), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        eos_token_id=len(entries) - 1, bos_token_id=len(entries) - 2, pad_token_id=len(entries) - 1,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
    )
    StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=CLIPTextModel(text),
        tokenizer=CLIPTokenizer.from_pretrained(words),
        scheduler=PNDMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, skip_prk_steps=True),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(place / "base")
    controlnet = ControlNetModel.from_unet(unet)
    for parameter in controlnet.parameters():  # its last layers begin at zero, which would hide the labels
        torch.nn.init.normal_(parameter, std=0.1)
    controlnet.save_pretrained(place / "controlnet")
    return place / "base", place / "controlnet"


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


def test_a_payload_of_another_taxonomy_is_drawn_in_the_palette_it_maps_to(pipeline, payload):
    landscape = LabelLayer(np.where(payload.label_map == 2, 1, 19).astype(np.uint8), "landscape-24")  # sky, wall
    assert torch.equal(draw(pipeline, payload), draw(pipeline, dataclasses.replace(payload, labels=landscape)))


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
    with pytest.raises((ValueError, OSError), match="controlnet"):
        SemanticCompressionPipeline.from_pretrained(base_and_controlnet[1], controlnet=str(base_and_controlnet[1]))


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
