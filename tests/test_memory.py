"""Half precision, offloading, tiles, slices and batches, through the whole pipeline of each decoder family."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from sgc_diffusion import ColorLayer, LabelLayer, SemanticCompressionPipeline, SemanticPayload
from sgc_diffusion.synthesis.tiling import OVERLAP, seam_energy, tile_windows

HALF = [torch.float16, torch.bfloat16]


@pytest.fixture(params=["labels", "controlnet"])
def load(request, tiny_pipeline_folder, base_and_controlnet):
    """Return a function that loads a pipeline of one family."""

    def load_one(**arguments):
        name = tiny_pipeline_folder
        if request.param == "controlnet":
            name, arguments["controlnet"] = base_and_controlnet
        pipeline = SemanticCompressionPipeline.from_pretrained(name, **arguments)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    return load_one


def make_payload(seed=0, width=64, height=48):
    numbers = np.random.default_rng(seed)
    label_map = numbers.integers(0, 150, (6, 8)).astype(np.uint8)
    colors = numbers.integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return SemanticPayload(width, height, LabelLayer(label_map, "ade20k-150"), ColorLayer.from_color_map(colors, 16))


def draw(pipeline, payload, **arguments):
    images = pipeline(payload, num_inference_steps=4, output_type="np", **arguments).images
    return images if isinstance(payload, list) else images[0]


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("scheduler", ["ddim", "dpm-solver++", "unipc"])
def test_half_precision_draws_nearly_the_same_picture(load, dtype, scheduler):
    pipeline = load(dtype=dtype)
    modules = [component for component in pipeline.components.values() if isinstance(component, torch.nn.Module)]
    assert len(modules) >= 3 and {parameter.dtype for module in modules for parameter in module.parameters()} == {dtype}
    half = draw(pipeline, make_payload(), scheduler=scheduler)
    whole = draw(load(), make_payload(), scheduler=scheduler)
    assert half.dtype == np.float32 and np.abs(half - whole).mean() < 0.01


def test_offloading_needs_an_accelerator_and_draws_the_same_picture(load):
    expected = draw(load(), make_payload())
    pipeline = load()
    if torch.accelerator.is_available():
        pipeline.enable_model_cpu_offload()
        assert np.abs(draw(pipeline, make_payload()) - expected).mean() < 0.01
        pipeline = load()
        pipeline.enable_sequential_cpu_offload()
        assert np.abs(draw(pipeline, make_payload()) - expected).mean() < 0.01
        if pipeline.segmenter is not None:
            assert pipeline.analyze(Image.new("RGB", (64, 48))) == load().analyze(Image.new("RGB", (64, 48)))
    else:
        for enable in (pipeline.enable_model_cpu_offload, pipeline.enable_sequential_cpu_offload):
            with pytest.raises(RuntimeError, match="requires accelerator, but not found"):
                enable()
    pipeline = load()
    pipeline.enable_model_cpu_offload(device="cpu")  # the same hooks, moving nothing
    assert hasattr(pipeline.unet, "_hf_hook")
    assert np.array_equal(draw(pipeline, make_payload()), expected)


def test_a_list_is_drawn_as_its_members_are(load):
    pipeline = load()
    payloads = [make_payload(seed, *size) for seed, size in enumerate([(64, 48), (40, 90), (64, 48)])]
    payloads[2] = dataclasses.replace(payloads[2], recipe=dataclasses.replace(payloads[2].recipe, seed=9))
    together = draw(pipeline, payloads)
    assert [image.shape for image in together] == [(48, 64, 3), (90, 40, 3), (48, 64, 3)]
    for image, payload in zip(together, payloads, strict=True):
        assert np.abs(image - draw(pipeline, payload)).max() < 0.01
    assert np.abs(together[0] - together[2]).mean() > 0.01


def test_slices_change_nothing(load):
    payloads = [make_payload(0), make_payload(1)]
    expected = draw(load(), payloads)
    pipeline = load()
    pipeline.vae.enable_slicing()
    pipeline.enable_attention_slicing()
    assert np.abs(np.stack(draw(pipeline, payloads)) - np.stack(expected)).max() < 0.01


def test_tiles_leave_no_seam(load):
    pipeline = load()
    payload = make_payload(width=160, height=128)
    whole = pipeline(payload, num_inference_steps=4, output_type="pt").images[0]
    pipeline.enable_tiling()
    tiled = pipeline(payload, num_inference_steps=4, output_type="pt").images[0]
    assert tiled.shape == whole.shape == (3, 128, 160) and not torch.equal(tiled, whole)
    windows = tile_windows(16, 20, pipeline.tile_side, OVERLAP)
    for axis, dim in enumerate((-2, -1)):
        seams = [8 * start for start in sorted({window[axis].start for window in windows} - {0})]
        assert seams and seam_energy(tiled, seams, dim) < 1.5


def test_trained_weights_show_no_more_seam_in_tiles_than_there_is_edge_in_the_picture(landscape):
    pipeline = SemanticCompressionPipeline.from_pretrained("landscape-256")
    pipeline.set_progress_bar_config(disable=True)
    payload = pipeline.analyze(landscape(512, 320))
    whole = pipeline(payload, num_inference_steps=6, output_type="pt").images[0]
    pipeline.enable_tiling()
    tiled = pipeline(payload, num_inference_steps=6, output_type="pt").images[0]
    for axis, dim, side in ((0, -2, 320), (1, -1, 512)):
        windows = tile_windows(320 // 8, 512 // 8, pipeline.tile_side, OVERLAP)
        edges = {8 * edge for window in windows for edge in (window[axis].start, window[axis].stop)} - {0, side}
        assert seam_energy(tiled, sorted(edges), dim) < 1.2 * seam_energy(whole, sorted(edges), dim)
