"""Tiny real components, and pictures that are made here: nothing is fetched and nothing is mocked."""

import io
import json
import os
import tarfile

os.environ["HF_HUB_OFFLINE"] = "1"  # before any Hugging Face library is imported

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

import sgc_diffusion  # noqa: F401 - first, as in a user's program: it mends a torchvision that cannot be imported


@pytest.fixture(scope="session")
def tiny_pipeline_folder(tmp_path_factory):
    """A saved pipeline of the real classes with random weights, small enough for milliseconds."""
    from diffusers import AutoencoderDC, DDIMScheduler, UNet2DModel
    from transformers import MobileNetV2Config, MobileNetV2ForSemanticSegmentation

    from sgc_diffusion.families.latent_diffusion import LatentDiffusionCompressionPipeline

    torch.manual_seed(0)
    channels, plain = (8, 8, 8, 8), ((),) * 4
    vae = AutoencoderDC(
        latent_channels=4,
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        encoder_layers_per_block=(0, 1, 1, 1),
        decoder_layers_per_block=(0, 1, 1, 1),
        encoder_qkv_multiscales=plain,
        decoder_qkv_multiscales=plain,
    )
    unet = UNet2DModel(
        sample_size=8,
        in_channels=4 + 24 + 4,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    segmenter = MobileNetV2ForSemanticSegmentation(
        MobileNetV2Config(depth_multiplier=0.1, image_size=64, num_labels=24, output_stride=8)
    ).eval()
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False)
    pipeline = LatentDiffusionCompressionPipeline(
        vae, unet, scheduler, segmenter, segmenter_short_side=64, variance_fill=3.0, noise_gain=1.15, redraw_gain=1.1
    )
    folder = tmp_path_factory.mktemp("tiny")
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture()
def tiny_pipeline(tiny_pipeline_folder):
    from sgc_diffusion import SemanticCompressionPipeline

    pipeline = SemanticCompressionPipeline.from_pretrained(tiny_pipeline_folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="session")
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


def draw_landscape(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return a picture of sky over hills over grass, with texture."""
    rng = np.random.default_rng(seed)
    x, y = np.arange(width) / max(1, width), np.arange(height)[:, None] / max(1, height)
    ridge = 0.45 + 0.12 * np.sin(2 * np.pi * (x * 1.5 + rng.random())) + 0.05 * np.sin(2 * np.pi * 5 * x)
    sky = np.stack([120 + 100 * y, 160 + 70 * y, 235 + 10 * y], axis=-1) + np.zeros((height, width, 3))
    picture = np.where((y > ridge)[..., None], [95, 90, 100], sky)
    picture = np.where((y > 0.7 + 0 * x)[..., None], [80, 130, 50], picture)
    texture = rng.normal(0, 14, (height, width, 1)) * (y > ridge)[..., None]
    image = Image.fromarray(np.clip(picture + texture, 0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(0.7))


@pytest.fixture(scope="session")
def landscape():
    return draw_landscape


@pytest.fixture(scope="session")
def write_shard():
    """Write a WebDataset tar shard of lossless pictures: name → image."""

    def write(path, pictures):
        with tarfile.open(path, "w") as tar:
            for name, image in pictures.items():
                data = io.BytesIO()
                image.save(data, "PNG" if name.endswith("png") else "WEBP", lossless=True)
                member = tarfile.TarInfo(name)
                member.size = len(data.getvalue())
                tar.addfile(member, io.BytesIO(data.getvalue()))

    return write


@pytest.fixture(scope="session")
def small_vgg19():
    return build_small_vgg19


def build_small_vgg19():
    """Five groups of convolutions of four channels, and the state of a file of them."""
    state, groups, previous = {}, [], 3
    first = torch.nn.Conv2d(3, 3, 1)
    state |= {f"conv0.{key}": value for key, value in first.state_dict().items()}
    for group, count in enumerate((2, 2, 4, 4, 1), start=1):
        layers = [first] if group == 1 else [torch.nn.MaxPool2d(2)]
        for index in range(1, count + 1):
            layer = torch.nn.Conv2d(previous, 4, 3, padding=1, padding_mode="reflect")
            state |= {f"conv{group}{index}.{key}": value for key, value in layer.state_dict().items()}
            layers += [layer, torch.nn.ReLU()]
            previous = 4
        groups.append(torch.nn.Sequential(*layers))
    return groups, state
