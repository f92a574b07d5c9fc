from concurrent.futures import ThreadPoolExecutor

import accelerate
import numpy as np
import pytest
import torch

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.synthesis.few_step import FewStepHead


@pytest.fixture()
def few_step_pipeline(tiny_pipeline):
    torch.manual_seed(1)
    head = FewStepHead.from_denoiser(tiny_pipeline.unet)
    for parameter in head.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    tiny_pipeline.register_modules(few_step_head=head)
    return tiny_pipeline


def test_an_untrained_head_does_what_its_denoiser_does(tiny_pipeline):
    unet = tiny_pipeline.unet
    sample, timestep = torch.randn(2, unet.config.in_channels, 8, 8), torch.tensor(500)
    with torch.no_grad():
        assert torch.equal(FewStepHead.from_denoiser(unet)(unet, sample, timestep), unet(sample, timestep).sample)


def test_a_head_is_trained_and_its_denoiser_is_not(tiny_pipeline):
    unet = tiny_pipeline.unet.requires_grad_(False)
    head = FewStepHead.from_denoiser(unet).requires_grad_(True)
    head(unet, torch.randn(1, unet.config.in_channels, 8, 8), torch.tensor(999)).pow(2).mean().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
    assert all(parameter.grad is None for parameter in unet.parameters())
    assert head.num_parameters() < unet.num_parameters()


@torch.no_grad()
def test_nothing_of_the_denoiser_changes_while_a_head_draws(few_step_pipeline):
    """Whoever looks at the denoiser meanwhile, as another thread does, sees its own tensors with their own values."""
    unet, head = few_step_pipeline.unet, few_step_pipeline.few_step_head
    attributes, modules = dict(vars(unet)), dict(unet.named_modules())
    tensors = {name: (value.data_ptr(), value.clone()) for name, value in unet.state_dict(keep_vars=True).items()}
    looked_at = []

    def look(module, *_):
        now = unet.state_dict(keep_vars=True)
        assert all(now[name].data_ptr() == at for name, (at, _) in tensors.items())
        assert all(torch.equal(now[name], value) for name, (_, value) in tensors.items())
        looked_at.append(module)

    watched = [unet, *unet.children(), *head.children()]
    handles = [module.register_forward_hook(look) for module in watched]
    handles += [module.register_forward_pre_hook(look) for module in watched]
    sample, timestep = torch.randn(1, unet.config.in_channels, 8, 8), torch.tensor(999)
    first = head(unet, sample, timestep)
    assert unet in looked_at and unet.conv_in in looked_at and head.conv_out in looked_at
    assert unet.conv_out not in looked_at
    for handle in handles:
        handle.remove()
    look(unet)
    assert dict(vars(unet)) == attributes and dict(unet.named_modules()) == modules
    assert not torch.equal(first, unet(sample, timestep).sample)
    assert torch.equal(first, head(unet, sample, timestep))


def test_threads_draw_what_one_after_the_other_draws(few_step_pipeline, landscape):
    payload = few_step_pipeline.analyze(landscape(64, 64), preset="fast")
    jobs = [{"scheduler": "lcm", "num_inference_steps": 4}, {"scheduler": "ddim", "num_inference_steps": 6}] * 2

    def draw(job):
        return [few_step_pipeline(payload, **job).images[0].tobytes() for _ in range(3)]

    expected = [draw(job) for job in jobs]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(draw, jobs)) == expected


class Recorder(accelerate.hooks.ModelHook):
    """Notes the module that was made ready, and looks at what came out, as offloading does."""

    def __init__(self):
        self.calls = []

    def pre_forward(self, module, *args, **kwargs):
        self.calls.append(("before", module))
        return args, kwargs

    def post_forward(self, module, output):
        self.calls.append(("after", module))
        return output


@pytest.mark.parametrize("kind", ["models", "layers", "groups", "compiled", "recorded"])
@torch.no_grad()
def test_a_head_draws_with_a_denoiser_that_is_brought_to_the_device(few_step_pipeline, kind):
    unet, head = few_step_pipeline.unet, few_step_pipeline.few_step_head
    sample, timestep = torch.randn(1, unet.config.in_channels, 8, 8), torch.tensor(999)
    expected, plain = head(unet, sample, timestep), unet(sample, timestep).sample
    recorder, denoiser = Recorder(), unet
    if kind == "models":
        few_step_pipeline.enable_model_cpu_offload(device="cpu")
    elif kind == "layers":
        accelerate.cpu_offload(unet, torch.device("cpu"))
        accelerate.cpu_offload(head, torch.device("cpu"))
        assert unet.conv_in.weight.device.type == "meta"
    elif kind == "groups":
        place = torch.device("cpu")
        unet.enable_group_offload(place, place, offload_type="block_level", num_blocks_per_group=1)
    elif kind == "compiled":
        denoiser = torch.compile(unet, backend="eager")
    else:
        accelerate.hooks.add_hook_to_module(unet, recorder)
    assert torch.equal(head(denoiser, sample, timestep), expected)
    assert recorder.calls == ([("before", unet), ("after", unet)] if kind == "recorded" else [])
    assert torch.equal(denoiser(sample, timestep).sample, plain)


@pytest.mark.parametrize(
    ("steps", "strength", "timesteps"),
    [(1, 1.0, [999]), (3, 1.0, [999] * 3), (20, 1.0, [999] * 4), (4, 0.75, [749, 499, 249])],
)
def test_leaps_start_from_the_trained_timesteps(few_step_pipeline, landscape, steps, strength, timesteps):
    seen = []

    def note(pipeline, index, timestep, tensors):
        seen.append(int(timestep))
        return tensors

    payload = few_step_pipeline.analyze(landscape(64, 64), preset="fast")
    options = {"num_inference_steps": steps, "strength": strength, "callback_on_step_end": note}
    few_step_pipeline(payload, scheduler="lcm", **options)
    assert seen == timesteps
    if steps > 4:  # of a file that asks for leaps, more than the head can take are the denoiser's
        seen.clear()
        few_step_pipeline(payload, **options)
        assert len(seen) == steps


def test_a_file_decides_the_noise_between_leaps(few_step_pipeline, landscape):
    data = few_step_pipeline.compress(landscape(64, 48), preset="fast")
    torch.manual_seed(1)
    first = few_step_pipeline.decompress(data).images[0].tobytes()
    torch.manual_seed(2)
    assert few_step_pipeline.decompress(data).images[0].tobytes() == first
    other = few_step_pipeline.decompress(data, generator=torch.Generator().manual_seed(5)).images[0]
    assert other.tobytes() != first


def test_a_batch_draws_what_single_files_draw(few_step_pipeline, landscape):
    files = few_step_pipeline.compress([landscape(64, 64, seed=seed) for seed in range(2)], preset="fast")
    together = few_step_pipeline.decompress(files).images
    for image, data in zip(together, files, strict=True):
        alone = few_step_pipeline.decompress(data).images[0]
        assert np.abs(np.asarray(image, dtype=int) - np.asarray(alone, dtype=int)).max() <= 2


def test_a_head_is_saved_and_loaded(few_step_pipeline, landscape, tmp_path):
    few_step_pipeline.save_pretrained(tmp_path)
    again = SemanticCompressionPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    data = few_step_pipeline.compress(landscape(64, 64), preset="fast")
    first, second = (np.asarray(pipe.decompress(data).images[0], dtype=int) for pipe in (few_step_pipeline, again))
    assert np.abs(first - second).max() <= 1


def test_a_pipeline_without_a_head_says_what_to_do(tiny_pipeline, landscape):
    payload = tiny_pipeline.analyze(landscape(64, 64), preset="fast")
    with pytest.raises(ValueError, match="`scheduler` lcm draws with a few-step head"):
        tiny_pipeline(payload)
    assert tiny_pipeline(payload, scheduler="ddim", num_inference_steps=2).images[0].size == (64, 64)
