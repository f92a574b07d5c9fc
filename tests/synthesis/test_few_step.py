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
    assert sum(one.numel() for one in head.parameters()) < sum(one.numel() for one in unet.parameters())


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
    few_step_pipeline(payload, num_inference_steps=steps, strength=strength, callback_on_step_end=note)
    assert seen == timesteps


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
    for one, data in zip(together, files, strict=True):
        alone = few_step_pipeline.decompress(data).images[0]
        assert np.abs(np.asarray(one, dtype=int) - np.asarray(alone, dtype=int)).max() <= 2


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
