import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.synthesis.color_matching import limit_chroma, match_color
from sgc_diffusion.synthesis.conditioning import color_planes, label_planes, upsample_color
from sgc_diffusion.synthesis.first_stage import decode_latents, downsampling_factor, encode_image
from sgc_diffusion.synthesis.latent_diffusion import build_scheduler, denoise, label_predictor, select_timesteps
from sgc_diffusion.synthesis.resolution import plan_passes, plan_sizes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((256, 256), [(256, 256)]),
        ((37, 51), [(288, 224)]),
        ((512, 512), [(256, 256), (512, 512)]),
        ((1024, 768), [(224, 288), (416, 544), (768, 1024)]),
        ((300, 300), [(288, 288)]),
    ],
)
def test_sizes_grow_to_the_picture(size, expected):
    assert plan_sizes(*size, 256, 32) == expected


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (100_000, 3), (8000, 6000), (333, 777)])
def test_sizes_stay_drawable(size):
    sizes = plan_sizes(*size, 256, 32)
    assert all(side % 32 == 0 and side >= 32 for pair in sizes for side in pair)
    assert max(height * width for height, width in sizes) < 1.2 * 1024**2


@pytest.mark.parametrize(
    ("num_sizes", "num_steps", "leaps", "expected"),
    [
        (1, 20, False, [(256, 256, 10), (256, 256, 10)]),
        (1, 5, False, [(256, 256, 3), (256, 256, 2)]),
        (1, 1, False, [(256, 256, 1)]),
        (2, 20, False, [(256, 256, 20), (512, 512, 20)]),
        (1, 1, True, [(256, 256, 1)]),
        (2, 2, True, [(256, 256, 1), (256, 256, 1), (512, 512, 1)]),
    ],
)
def test_every_picture_of_several_steps_is_drawn_over(num_sizes, num_steps, leaps, expected):
    assert plan_passes([(256, 256), (512, 512)][:num_sizes], num_steps, leaps) == expected


def test_label_planes_are_one_hot_and_keep_their_place():
    label_map = np.array([[0, 1], [2, 2]], dtype=np.uint8)
    planes = label_planes(label_map, 4, 4, 6)
    assert planes.shape == (4, 4, 6)
    assert torch.equal(planes.sum(0), torch.ones(4, 6))
    assert planes.argmax(0).tolist() == [[0, 0, 0, 1, 1, 1]] * 2 + [[2] * 6] * 2


def test_color_planes_say_that_colors_are_given():
    planes = color_planes(upsample_color(np.full((2, 2, 3), 255, np.uint8), 8, 8))
    assert planes.shape == (4, 8, 8)
    assert torch.equal(planes, torch.ones(4, 8, 8))


def test_match_color_moves_the_means_and_keeps_the_texture():
    generator = torch.Generator().manual_seed(0)
    texture = 0.2 * torch.randn(3, 128, 128, generator=generator)
    color_map = np.random.default_rng(0).integers(90, 170, (8, 8, 3), dtype=np.uint8)
    matched = match_color(texture, color_map)
    means = torch.nn.functional.avg_pool2d(matched, 16)
    wanted = torch.from_numpy(color_map).permute(2, 0, 1).float() / 127.5 - 1
    assert (means - wanted).abs().mean() < 0.02
    detail = matched - upsample_color(color_map, 128, 128)
    assert torch.corrcoef(torch.stack([detail.flatten(), texture.flatten()]))[0, 1] > 0.9


@pytest.mark.parametrize("kind", ["dc", "tiny", "vq", "kl"])
def test_every_first_stage_encodes_to_its_grid_and_back(kind):
    from diffusers import AutoencoderDC, AutoencoderKL, AutoencoderTiny, VQModel

    torch.manual_seed(0)
    levels = {"down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3}
    levels |= {"block_out_channels": (8, 8, 8), "norm_num_groups": 4}
    plain = ((),) * 3
    vae = {
        "dc": lambda: AutoencoderDC(
            latent_channels=4,
            encoder_block_out_channels=(8, 8, 8),
            decoder_block_out_channels=(8, 8, 8),
            encoder_layers_per_block=(0, 1, 1),
            decoder_layers_per_block=(0, 1, 1),
            encoder_qkv_multiscales=plain,
            decoder_qkv_multiscales=plain,
        ),
        "tiny": lambda: AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8),
            decoder_block_out_channels=(8, 8, 8),
            num_encoder_blocks=(1, 1, 1),
            num_decoder_blocks=(1, 1, 1),
        ),
        "vq": lambda: VQModel(latent_channels=3, num_vq_embeddings=16, **levels),
        "kl": lambda: AutoencoderKL(latent_channels=4, **levels),
    }[kind]()
    latents = encode_image(vae, torch.zeros(2, 3, 16, 24))
    assert downsampling_factor(vae) == 4
    assert latents.shape[2:] == (4, 6)
    decoded = decode_latents(vae, latents)
    assert decoded.shape == (2, 3, 16, 24) and decoded.abs().max() <= 1


@pytest.mark.parametrize("name", ["ddim", "dpm-solver++", "unipc"])
def test_samplers_find_the_data_when_the_prediction_is_right(tiny_pipeline, name):
    """With the exact velocity for one known picture every sampler must end at that picture."""
    target = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    trained = type(tiny_pipeline.scheduler).from_config(tiny_pipeline.scheduler.config, prediction_type="v_prediction")

    class Oracle(torch.nn.Module):
        def forward(self, stacked, timestep):
            alpha = trained.alphas_cumprod[int(timestep)]
            noisy = stacked[:, :4]
            noise = (noisy - alpha.sqrt() * target) / (1 - alpha).sqrt()
            sample = alpha.sqrt() * noise - (1 - alpha).sqrt() * target
            return type("Output", (), {"sample": sample})

    scheduler = build_scheduler(name, trained)
    timesteps = select_timesteps(scheduler, 20, 0.7, torch.device("cpu"))
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    condition = torch.zeros(1, 2, 8, 8)
    predict = label_predictor(Oracle(), condition, 2, 2.0)
    drawn = denoise(predict, scheduler, torch.zeros_like(target), noise, timesteps, lambda i, t, z: z)
    assert len(timesteps) == 14
    assert (drawn - target).abs().max() < 0.1


def test_guidance_compares_with_unknown_labels_and_known_colors(tiny_pipeline):
    seen = []

    class Recorder(torch.nn.Module):
        def forward(self, stacked, timestep):
            seen.append(stacked[:, 4:])
            return type("Output", (), {"sample": torch.zeros_like(stacked[:, :4])})

    scheduler = build_scheduler("ddim", tiny_pipeline.scheduler)
    timesteps = select_timesteps(scheduler, 2, 0.5, torch.device("cpu"))
    zeros = torch.zeros(1, 4, 8, 8)
    predict = label_predictor(Recorder(), torch.ones(1, 5, 8, 8), 3, 3.0)
    denoise(predict, scheduler, zeros, zeros, timesteps, lambda i, t, z: z)
    without, with_labels = seen[0]
    assert torch.equal(with_labels, torch.ones(5, 8, 8))
    assert torch.count_nonzero(without[:3]) == 0 and torch.equal(without[3:], torch.ones(2, 8, 8))


@torch.no_grad()
@pytest.mark.parametrize("guidance_scale", [0.0, 1.0, 2.5])
def test_guidance_of_one_is_the_plain_prediction(tiny_pipeline, guidance_scale):
    """One asks the denoiser once; any other scale goes from what it says without labels towards what it says with."""
    unet, num_asked = tiny_pipeline.unet, []
    numbers = torch.Generator().manual_seed(0)
    latents, condition = (torch.randn(2, planes, 8, 8, generator=numbers) for planes in (4, 28))
    unlabeled = torch.cat([torch.zeros(2, 24, 8, 8), condition[:, 24:]], dim=1)
    timestep, window = torch.tensor(400), (slice(0, 8), slice(0, 8))
    plain, without = (unet(torch.cat([latents, part], dim=1), timestep).sample for part in (condition, unlabeled))
    assert (plain - without).abs().max() > 1e-3
    unet.register_forward_hook(lambda module, inputs, output: num_asked.append(len(inputs[0])))
    predicted = label_predictor(unet, condition, 24, guidance_scale)(latents, timestep, window)
    assert num_asked == ([2] if guidance_scale == 1 else [4])
    if guidance_scale == 1:
        assert torch.equal(predicted, plain)
    else:
        assert torch.allclose(predicted, without + guidance_scale * (plain - without), atol=1e-5)


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_noise_makes_up_for_the_variance_that_a_smooth_start_lacks(tiny_pipeline, fill):
    """From a start without any detail, full fill gives the unit variance that the denoiser was trained with."""
    scheduler = build_scheduler("ddim", tiny_pipeline.scheduler)
    timesteps = select_timesteps(scheduler, 20, 0.45, torch.device("cpu"))
    seen = []

    def predict(latents, timestep, window):
        seen.append(latents)
        return torch.zeros_like(latents)

    noise = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    denoise(predict, scheduler, torch.zeros_like(noise), noise, timesteps, lambda i, t, z: z, variance_fill=fill)
    alpha = float(scheduler.alphas_cumprod[int(timesteps[0])])
    assert 0.2 < alpha < 0.8
    assert seen[0].var().item() == pytest.approx(1.0 if fill else 1 - alpha, abs=0.03)


def variance_of_start(trained, strength, fill):
    """Return that of what the denoiser is shown first, of a start without any detail, and that of its noise level."""
    noise, seen = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(0)), []
    scheduler = build_scheduler("dpm-solver++", trained)
    timesteps = select_timesteps(scheduler, 20, strength, torch.device("cpu"))

    def predict(latents, timestep, window):
        seen.append(latents)
        return torch.zeros_like(latents)

    denoise(
        predict, scheduler, torch.zeros_like(noise), noise, timesteps, lambda i, t, z: z,
        variance_fill=fill, is_interrupted=lambda: True,
    )  # fmt: skip
    assert len(seen) == 1
    return seen[0].var().item(), 1 - float(scheduler.alphas_cumprod[int(timesteps[0])])


def test_the_noise_that_makes_up_for_detail_fades_with_the_strength(tiny_pipeline):
    """Where the start outweighs the noise, the denoiser cannot turn the addition into detail any more."""
    strengths = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.7, 1.0)
    variances, levels = np.transpose([variance_of_start(tiny_pipeline.scheduler, s, 3.0) for s in strengths])
    assert variances[0] / levels[0] == pytest.approx(1, abs=0.03)
    assert (np.diff(variances[:7]) > 0).all() and (np.diff((variances / levels)[:6]) > 0).all()
    for variance, level in zip(variances[-3:], levels[-3:], strict=True):  # in full, as before it faded
        assert variance == pytest.approx(level + 3 * (1 - level), rel=0.03)


@pytest.fixture(scope="module")
def embedded():
    pipeline = SemanticCompressionPipeline.from_pretrained("landscape-256")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_a_picture_nears_the_smooth_base_as_the_strength_falls(embedded, landscape):
    payload = embedded.analyze(landscape(256, 256))
    base = (upsample_color(payload.color_map, 256, 256) / 2 + 0.5).permute(1, 2, 0).numpy()
    fill, distances = embedded.config.variance_fill, []
    for strength in (0.01, 0.1, 0.3):
        drawn = embedded(payload, preset="fine", strength=strength, output_type="np").images[0]
        distances.append(255 * np.sqrt(np.mean((drawn - base) ** 2)))
    embedded.register_to_config(variance_fill=0.0)
    plain = embedded(payload, preset="fine", strength=0.01, output_type="np").images[0]
    embedded.register_to_config(variance_fill=fill)
    assert fill > 1 and (np.diff(distances) > 0).all()
    drawn = embedded(payload, preset="fine", strength=0.01, output_type="np").images[0]
    assert 255 * np.sqrt(np.mean((drawn - plain) ** 2)) < 1
    assert distances[0] - 255 * np.sqrt(np.mean((plain - base) ** 2)) < 1


def test_the_gain_scales_the_noise_that_is_started_from():
    seen = []

    def predict(latents, timestep, window):
        seen.append(latents)
        return torch.zeros_like(latents)

    scheduler = build_scheduler("ddim", DDIMScheduler())
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for gain in (1.0, 1.5):
        timesteps = select_timesteps(scheduler, 1, 1.0, torch.device("cpu"))
        denoise(predict, scheduler, torch.zeros_like(noise), noise, timesteps, lambda i, t, z: z, noise_gain=gain)
    assert torch.allclose(seen[1], 1.5 * seen[0])


def mean_chroma(pixels):
    return float((pixels.amax(dim=0) - pixels.amin(dim=0)).mean() * 127.5)


def test_a_grey_picture_is_drawn_grey_and_a_colorful_one_keeps_its_colors():
    numbers = np.random.default_rng(0)
    grey = np.repeat(numbers.integers(40, 220, (8, 8, 1), dtype=np.uint8), 3, axis=2)
    drawn = upsample_color(grey, 64, 64) + 0.1 * torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(0))
    drawn = drawn.clamp(-1, 1)
    limited = limit_chroma(match_color(drawn, grey), grey)
    assert mean_chroma(drawn) > 10 and mean_chroma(limited) <= 1
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert ((limited - match_color(drawn, grey)) * luma).sum(dim=0).abs().max() < 1e-5
    colorful = np.tile(np.array([200, 90, 30], np.uint8), (8, 8, 1))
    drawn = upsample_color(colorful, 64, 64) + 0.1 * torch.randn(3, 64, 64)
    assert torch.allclose(limit_chroma(drawn, colorful), drawn, atol=1e-5)
