"""The converted modules compute what the authors' code computes.

`ldm_outputs.npz` holds outputs of the authors' own LatentDiffusion (CompVis/latent-diffusion, commit a506df5; its
quantizer from CompVis/taming-transformers) for the narrow configuration and the weights of conftest.py.
"""

import hashlib
import json
import os
import pathlib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, decode
from sgc_diffusion.cli import main
from sgc_diffusion.conversion.ldm import build_modules, choose_config, convert_checkpoint
from sgc_diffusion.conversion.ldm_config import PUBLISHED, read_config
from sgc_diffusion.conversion.ldm_names import first_stage_modules, unet_attentions, unet_modules
from sgc_diffusion.synthesis.conditioning import label_planes
from sgc_diffusion.zoo.checkpoint import check_names, read_state_dict, take_prefix

PUBLISHED_DIGEST = "494d4a79bfa2336cb599e8188963c8ad192d8a081d8c178677dcab954c82ce43"
TOLERANCE = 1e-4


@pytest.fixture()
def converted(tiny_checkpoint):
    folder = convert_checkpoint(
        tiny_checkpoint, tiny_checkpoint.parent / "out", config=tiny_checkpoint.parent / "config.yaml"
    )
    pipeline = SemanticCompressionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def originals():
    with np.load(Path(__file__).with_name("ldm_outputs.npz")) as arrays:
        outputs = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    numbers = np.random.RandomState(7)  # the inputs of these outputs, drawn in this order
    outputs["image"] = torch.from_numpy(numbers.uniform(-1, 1, (1, 3, 32, 32)).astype(np.float32))
    outputs["latents"] = torch.from_numpy(numbers.standard_normal((1, 3, 8, 8)).astype(np.float32))
    planes = label_planes(numbers.randint(0, 182, (5, 6)).astype(np.uint8), 182, 8, 8, samples_per_side=4)
    outputs["planes"] = planes[None]
    return outputs


def difference(found, expected):
    return (found - expected).abs().max().item()


@torch.no_grad()
def test_first_stage_is_the_original_with_and_without_quantization(converted, originals):
    assert difference(converted.vae.encode(originals["image"]).latents, originals["encoded"]) < TOLERANCE
    quantized = converted.vae.decode(originals["latents"]).sample
    plain = converted.vae.decode(originals["latents"], force_not_quantize=True).sample
    assert difference(quantized, originals["decoded_quantized"]) < TOLERANCE
    assert difference(plain, originals["decoded_plain"]) < TOLERANCE
    assert difference(quantized, plain) > 0.1


@torch.no_grad()
@pytest.mark.parametrize("timestep", [1, 500, 999])
def test_predicted_noise_is_the_original_under_labels(converted, originals, timestep):
    stacked = torch.cat([originals["latents"], originals["planes"]], dim=1)
    found = converted.unet(stacked, torch.tensor([timestep])).sample
    assert difference(found, originals[f"noise_{timestep}"]) < TOLERANCE
    without = torch.cat([originals["latents"], torch.zeros_like(originals["planes"])], dim=1)
    assert difference(converted.unet(without, torch.tensor([timestep])).sample, found) > 1e-2  # the labels matter


@torch.no_grad()
def test_averaged_weights_are_taken_unless_told_otherwise(tiny_checkpoint, originals):
    config = tiny_checkpoint.parent / "config.yaml"
    folder = convert_checkpoint(tiny_checkpoint, tiny_checkpoint.parent / "out", config=config, use_ema=False)
    unet = SemanticCompressionPipeline.from_pretrained(folder).unet
    stacked = torch.cat([originals["latents"], originals["planes"]], dim=1)
    found = unet(stacked, torch.tensor([500])).sample
    assert difference(found, originals["noise_500_without_ema"]) < TOLERANCE
    assert difference(found, originals["noise_500"]) > 1e-2


def test_label_planes_are_the_bilinear_halvings_of_the_full_map():
    label_map = np.random.RandomState(0).randint(0, 9, (7, 11)).astype(np.uint8)
    rows, columns = ((np.arange(side) + 0.5) * cells / side for side, cells in ((48, 7), (64, 11)))
    full = label_map[rows.astype(int)][:, columns.astype(int)].astype(np.int64)
    halved = torch.nn.functional.one_hot(torch.from_numpy(full), 9).permute(2, 0, 1)[None].float()
    for _ in range(2):
        halved = torch.nn.functional.interpolate(halved, scale_factor=0.5, mode="bilinear")
    assert difference(label_planes(label_map, 9, 12, 16, samples_per_side=4), halved[0]) < 1e-6


def test_noise_schedule_and_steps_are_those_of_the_original_sampler(converted):
    scheduler = converted.scheduler
    betas = torch.linspace(0.0015**0.5, 0.0205**0.5, 1000, dtype=torch.float64) ** 2
    alphas = torch.cumprod(1 - betas, dim=0)
    assert difference(scheduler.alphas_cumprod.double(), alphas) < 1e-6
    scheduler.set_timesteps(200)
    assert scheduler.timesteps.tolist() == list(range(996, 0, -5))
    assert scheduler.final_alpha_cumprod == scheduler.alphas_cumprod[0]
    assert not scheduler.config.clip_sample


@pytest.mark.parametrize(("name", "image_size"), [("semantic_synthesis256", 64), ("semantic_synthesis512", 128)])
def test_every_published_tensor_has_its_place(shapes_of, published, name, image_size):
    shapes = shapes_of(published(image_size))
    lines = sorted(f"{key} {tuple(shape)}" for key, shape in shapes.items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == PUBLISHED_DIGEST
    config = PUBLISHED[name]
    with torch.device("meta"):
        vae, unet, _ = build_modules(config, 182)
    kinds = ("weight", "bias")
    stage = {f"first_stage_model.{left}.{kind}" for left, _ in first_stage_modules(config) for kind in kinds}
    modules = [left for left, _ in unet_modules(config)] + ["input_blocks.0.0"]
    modules += [f"{left}.{part}" for left, _ in unet_attentions(config) for part in ("norm", "qkv", "proj_out")]
    denoiser = {f"model.diffusion_model.{module}.{kind}" for module in modules for kind in kinds}
    rest = {key for key in shapes if key not in stage | denoiser and not key.startswith("model_ema.")}
    assert {key for key in rest if "." in key} == {"cond_stage_model.channel_mapper.weight"}  # schedules have no dots
    assert (unet.config.in_channels, unet.config.sample_size, vae.config.num_vq_embeddings) == (185, image_size, 8192)
    own = {right for _, right in unet_modules(config)} | {"conv_in"}
    left_over = {key.rpartition(".")[0] for key in unet.state_dict()} - own
    assert all(key.startswith("mid_block.attentions.0.") for key in left_over)


def test_published_configurations_are_read_from_their_yaml(tmp_path, published):
    for name, config in PUBLISHED.items():
        params = published(config.image_size)
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": {"params": params}}))
        assert read_config(tmp_path / "config.yaml") == config
        assert choose_config(tmp_path / name / "model.ckpt", None)[0] == config
        assert choose_config(tmp_path / "model.ckpt", tmp_path / "config.yaml")[1] == name.replace(
            "semantic_synthesis", "semantic-synthesis-"
        )


def test_a_null_class_is_left_out(tmp_path, tiny_tensors, tiny_config, originals):
    mapper = tiny_tensors["cond_stage_model.channel_mapper.weight"]
    wider = {**tiny_tensors, "cond_stage_model.channel_mapper.weight": torch.cat([mapper[:, :1] + 9, mapper], dim=1)}
    torch.save({"state_dict": wider}, tmp_path / "model.ckpt")
    tiny_config["model"]["params"]["cond_stage_config"]["params"]["in_channels"] = 183
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny_config))
    folder = convert_checkpoint(tmp_path / "model.ckpt", tmp_path / "out", config=tmp_path / "config.yaml")
    unet = SemanticCompressionPipeline.from_pretrained(folder).unet
    stacked = torch.cat([originals["latents"], originals["planes"]], dim=1)
    with torch.no_grad():
        assert difference(unet(stacked, torch.tensor([500])).sample, originals["noise_500"]) < TOLERANCE


def test_the_folder_is_stock_and_draws_in_the_setting_of_the_paper(converted, tiny_checkpoint, landscape):
    index = json.loads((tiny_checkpoint.parent / "out" / "model_index.json").read_text())
    classes = {name: value for name, value in index.items() if isinstance(value, list) and isinstance(value[0], str)}
    assert classes == {
        "vae": ["diffusers", "VQModel"],
        "unet": ["diffusers", "UNet2DModel"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    with pytest.raises(ValueError, match="`segmenter` is missing"):
        converted.analyze(landscape(32, 32))
    from transformers import MobileNetV2Config, MobileNetV2ForSemanticSegmentation

    config = MobileNetV2Config(depth_multiplier=0.1, image_size=64, num_labels=182, output_stride=8)
    converted.use_segmenter(MobileNetV2ForSemanticSegmentation(config))
    payload = decode(converted.compress(landscape(32, 32)))
    recipe = payload.recipe
    assert payload.labels.taxonomy_name == "coco-stuff-182"
    assert (recipe.scheduler, recipe.num_inference_steps, recipe.strength, recipe.guidance_scale) == (
        "ddim",
        200,
        0.7,
        2.0,
    )
    seen = []
    image = converted(payload, callback_on_step_end=lambda pipe, i, t, tensors: seen.append(int(t)) or tensors).images[
        0
    ]
    assert isinstance(image, Image.Image) and image.size == (32, 32)
    assert len(seen) == 140 and seen[0] == 696


def test_half_precision_is_written_and_drawn(tiny_checkpoint, tmp_path, capsys):
    arguments = ["convert", "ldm", tiny_checkpoint, tmp_path / "half", "--config", tmp_path / "config.yaml"]
    assert main([str(one) for one in [*arguments, "--dtype", "float16"]]) == 0
    assert "from_pretrained" in capsys.readouterr().out
    from safetensors.torch import load_file

    weights = load_file(next((tmp_path / "half" / "unet").glob("*.safetensors")))
    assert {value.dtype for value in weights.values()} == {torch.float16}


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 1e-2), (torch.bfloat16, 1e-1)])
def test_half_precision_computes_nearly_the_original(tiny_checkpoint, originals, dtype, tolerance):
    config = tiny_checkpoint.parent / "config.yaml"
    folder = convert_checkpoint(tiny_checkpoint, tiny_checkpoint.parent / "half", config=config, dtype="float16")
    pipeline = SemanticCompressionPipeline.from_pretrained(folder, dtype=dtype)
    image, latents, planes = (originals[name].to(dtype) for name in ("image", "latents", "planes"))
    assert difference(pipeline.vae.encode(image).latents, originals["encoded"]) < tolerance
    assert (
        difference(pipeline.vae.decode(latents, force_not_quantize=True).sample, originals["decoded_plain"]) < tolerance
    )
    predicted = pipeline.unet(torch.cat([latents, planes], dim=1), torch.tensor([500])).sample
    assert difference(predicted, originals["noise_500"]) < tolerance


RAN = []


def rebuild(*arguments):
    """What a foreign object's pickle calls when it is loaded as usual."""
    RAN.append(arguments)
    return Foreign()


class Foreign:
    """Like a callback of the training library: an object with state, rebuilt by a call."""

    def __reduce__(self):
        return (rebuild, ("monitor",), {"best": torch.ones(2), "folder": "logs"})

    def __setstate__(self, state):
        RAN.append(state)


def test_objects_in_a_checkpoint_are_skipped_and_never_run(tmp_path, tiny_tensors):
    content = {"callbacks": {Foreign: Foreign()}, "state_dict": tiny_tensors, "path": pathlib.PurePosixPath("a/b")}
    torch.save(content, tmp_path / "model.ckpt")
    found = read_state_dict(tmp_path / "model.ckpt")
    assert not RAN
    assert found.keys() == tiny_tensors.keys()
    assert all(torch.equal(found[name], tiny_tensors[name]) for name in found)


def test_a_checkpoint_that_calls_the_system_is_refused(tmp_path, tiny_tensors):
    class Hostile:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'owned'}",))

    torch.save({"state_dict": tiny_tensors, "x": Hostile()}, tmp_path / "model.ckpt")
    with pytest.raises(ValueError, match="cannot be read safely"):
        read_state_dict(tmp_path / "model.ckpt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04" + b"\0" * 50])
def test_something_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "model.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match="`checkpoint`"):
        read_state_dict(tmp_path / "model.ckpt")


def test_a_cut_checkpoint_and_one_without_tensors_are_refused(tiny_checkpoint, tmp_path):
    (tmp_path / "cut.ckpt").write_bytes(tiny_checkpoint.read_bytes()[:-5000])
    torch.save({"epoch": 3}, tmp_path / "none.ckpt")
    for name in ("cut.ckpt", "none.ckpt"):
        with pytest.raises(ValueError, match="`checkpoint`"):
            read_state_dict(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="`checkpoint`"):
        read_state_dict(tmp_path / "missing.ckpt")


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("unet_config", "use_spatial_transformer", True, "use_spatial_transformer"),
        ("unet_config", "resblock_updown", True, "resblock_updown"),
        ("unet_config", "in_channels", 7, "in_channels"),
        ("unet_config", "attention_resolutions", [2, 4, 1], "number of heads"),
        ("cond_stage_config", "bias", True, "bias"),
        ("cond_stage_config", "method", "bicubic", "bilinear"),
        ("cond_stage_config", "n_stages", 1, "latents' size"),
        ("first_stage_config", "embed_dim", 4, "`config`"),
    ],
)
def test_what_stock_classes_cannot_express_is_refused(tmp_path, tiny_config, section, key, value, message):
    tiny_config["model"]["params"][section]["params"][key] = value
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny_config))
    with pytest.raises(ValueError, match=message):
        read_config(tmp_path / "config.yaml")


def test_wrong_arguments_of_convert_give_one_line(tiny_checkpoint, tmp_path, capsys):
    config = str(tmp_path / "config.yaml")
    cases = [
        ([], "`config` must be given"),
        (["--config", "semantic_synthesis512"], "does not fit the configuration"),
        (["--config", str(tiny_checkpoint)], "`config`"),
        (["--config", config, "--taxonomy", "ade20k-150"], "`taxonomy`"),
    ]
    for options, message in cases:
        assert main(["convert", "ldm", str(tiny_checkpoint), str(tmp_path / "out"), *options]) == 1
        error = capsys.readouterr().err
        assert message in error and len(error.strip().splitlines()) == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "model.ckpt"]


def test_a_folder_that_holds_something_is_left_alone(tiny_checkpoint, tmp_path, capsys):
    command = ["convert", "ldm", str(tiny_checkpoint), "--config", str(tmp_path / "config.yaml")]
    assert main([*command, str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "config.yaml")]) == 1
    assert "exists already" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main([*command, str(tmp_path / "empty")]) == 0
    assert main([*command, str(tmp_path / "new" / "deep")]) == 0
    assert sorted(path.name for path in (tmp_path / "new" / "deep").iterdir()) == sorted(
        path.name for path in (tmp_path / "empty").iterdir()
    )


def test_names_and_shapes_are_compared():
    found = take_prefix({"a.x": torch.ones(2), "a.y": torch.ones(3), "b.x": torch.ones(1)}, "a.")
    check_names(found, {"x": (2,), "y": (3,)}, "part")
    for expected, message in (({"x": (2,)}, "unexpected y"), ({"x": (2,), "y": (4,)}, "another shape y")):
        with pytest.raises(ValueError, match=message):
            check_names(found, expected, "part")
    with pytest.raises(ValueError, match="lacks z"):
        check_names(found, {"x": (2,), "y": (3,), "z": (1,)}, "part")
