"""The hash of a pipeline's weights: the same for copies of whatever form, another for whatever draws otherwise."""

import shutil
import time

import pytest
import torch
from transformers import MobileNetV2ImageProcessor

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.synthesis.few_step import FewStepHead

load = SemanticCompressionPipeline.from_pretrained


def test_copies_of_every_form_have_one_hash(tiny_pipeline, tiny_pipeline_folder, tmp_path):
    expected = tiny_pipeline.weights_hash
    assert 1 <= expected <= 65535
    tiny_pipeline.save_pretrained(tmp_path / "plain")
    tiny_pipeline.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    tiny_pipeline.save_pretrained(tmp_path / "pickled", safe_serialization=False)
    assert len(list((tmp_path / "sharded" / "unet").glob("*.safetensors"))) > 1
    load(tiny_pipeline_folder, dtype=torch.float16).save_pretrained(tmp_path / "half", variant="fp16")
    assert load(tmp_path / "plain").weights_hash == expected
    assert load(tmp_path / "sharded").weights_hash == expected
    assert load(tmp_path / "pickled").weights_hash == expected
    assert load(tmp_path / "half", variant="fp16", dtype=torch.float16).weights_hash == expected
    assert load(tmp_path / "half", variant="fp16").weights_hash == expected  # in float32
    load(tmp_path / "half", variant="fp16").save_pretrained(tmp_path / "float32")
    assert load(tmp_path / "float32").weights_hash == expected


def test_a_file_that_is_not_used_changes_nothing(tiny_pipeline, tiny_pipeline_folder, tmp_path):
    folder = shutil.copytree(tiny_pipeline_folder, tmp_path / "pipe")
    other = type(tiny_pipeline.unet).from_config(tiny_pipeline.unet.config)
    other.half().save_pretrained(folder / "unet", variant="fp16")
    assert load(folder).weights_hash == tiny_pipeline.weights_hash
    assert load(folder, variant="fp16").weights_hash != tiny_pipeline.weights_hash


def test_a_copy_in_bfloat16_has_another(tiny_pipeline, tiny_pipeline_folder):
    assert load(tiny_pipeline_folder, dtype=torch.bfloat16).weights_hash != tiny_pipeline.weights_hash


@pytest.mark.parametrize("name", ["unet", "vae"])
@pytest.mark.parametrize("is_registered", [False, True])
def test_a_replaced_component_that_draws_changes_it(tiny_pipeline, name, is_registered):
    before, own = tiny_pipeline.weights_hash, getattr(tiny_pipeline, name)
    other = type(own).from_config(own.config)
    for part, expected in ((other, False), (own, True)):
        if is_registered:
            tiny_pipeline.register_modules(**{name: part})
        else:
            setattr(tiny_pipeline, name, part)
        assert (tiny_pipeline.weights_hash == before) is expected


def test_a_few_step_head_changes_it_and_a_segmenter_does_not(tiny_pipeline):
    before = tiny_pipeline.weights_hash
    tiny_pipeline.few_step_head = FewStepHead.from_denoiser(tiny_pipeline.unet)
    assert tiny_pipeline.weights_hash != before
    tiny_pipeline.few_step_head = None
    tiny_pipeline.segmenter = type(tiny_pipeline.segmenter)(tiny_pipeline.segmenter.config)
    assert tiny_pipeline.weights_hash == before
    tiny_pipeline.use_segmenter(tiny_pipeline.segmenter, MobileNetV2ImageProcessor())
    assert tiny_pipeline.weights_hash == before
    tiny_pipeline.segmenter = None
    assert tiny_pipeline.weights_hash == before


def step_of_an_optimizer(unet):
    unet.conv_in.weight.grad = torch.ones_like(unet.conv_in.weight)
    torch.optim.SGD([unet.conv_in.weight], lr=0.5).step()


def loaded_weights(unet):
    unet.load_state_dict({name: value + 0.5 for name, value in unet.state_dict().items()})


def moving_average(unet):  # as diffusers' EMAModel.copy_to
    for parameter in unet.parameters():
        parameter.data.copy_(parameter.data * 0.5)


def merged_adapter(unet):
    unet.conv_in.weight.data = unet.conv_in.weight.data + 0.5


@torch.no_grad()
def changed_value(unet):
    unet.conv_in.weight[-1, -1, -1, -1] += 0.5


@pytest.mark.parametrize(
    "change", [step_of_an_optimizer, loaded_weights, moving_average, merged_adapter, changed_value]
)
def test_weights_that_are_changed_in_place_are_noticed(tiny_pipeline, change):
    unet = tiny_pipeline.unet
    before, values = tiny_pipeline.weights_hash, {name: value.clone() for name, value in unet.state_dict().items()}
    change(unet)
    assert tiny_pipeline.weights_hash != before
    unet.load_state_dict(values)
    assert tiny_pipeline.weights_hash == before


@pytest.mark.parametrize("is_known", [False, True])
def test_neither_offloading_nor_compiling_nor_inference_mode_changes_it(tiny_pipeline_folder, is_known):
    expected = load(tiny_pipeline_folder).weights_hash
    for change in ("models", "layers", "compiled", "channels last"):
        pipeline = load(tiny_pipeline_folder)
        if is_known:
            assert pipeline.weights_hash == expected
        if change == "models":
            pipeline.enable_model_cpu_offload(device="cpu")
        elif change == "layers":
            pipeline.enable_sequential_cpu_offload(device="cpu")
            assert pipeline.unet.conv_in.weight.is_meta
        elif change == "compiled":
            pipeline.unet = torch.compile(pipeline.unet)
        else:
            pipeline.unet.to(memory_format=torch.channels_last)
        assert pipeline.weights_hash == expected, change
    with torch.inference_mode():
        assert load(tiny_pipeline_folder).weights_hash == expected


def test_it_is_quick():
    pipeline = load("landscape-256")
    pipeline.weights_hash  # noqa: B018 - the first time it is computed
    started = time.process_time()
    for _ in range(5):
        pipeline.weights_hash  # noqa: B018
    assert (time.process_time() - started) / 5 < 0.03  # to compute it anew takes twice as long
