import diffusers
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, PNDMScheduler

from sgc_diffusion.synthesis.latent_diffusion import denoise
from sgc_diffusion.synthesis.samplers import build_scheduler, select_timesteps

CPU = torch.device("cpu")
LDM = {"beta_schedule": "scaled_linear", "beta_start": 0.0015, "beta_end": 0.0205}
LDM |= {"set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading"}
SD = LDM | {"beta_start": 0.00085, "beta_end": 0.012}
EMBEDDED = SD | {"steps_offset": 0, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}
SCHEDULES = {"ldm": LDM, "sd": SD, "embedded": EMBEDDED, "zero snr": EMBEDDED | {"rescale_betas_zero_snr": True}}
NAMES = ["ddim", "dpm-solver++", "unipc", "lcm"]


def make_noise(seed, shape=(1, 2, 4, 4)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def draw_with_oracle(scheduler, timesteps):
    """Draw with a denoiser that knows the picture; return what of the noise is left, and the picture itself."""
    target, ratios = make_noise(0), (1 / scheduler.alphas_cumprod.double().clamp(min=1e-9) - 1).sqrt().numpy()

    def predict(noisy, timestep, window):
        ratio = float(np.interp(float(timestep), np.arange(len(ratios)), ratios))
        signal, level = (1 + ratio**2) ** -0.5, ratio * (1 + ratio**2) ** -0.5
        noise = (noisy - signal * target) / level
        return noise if scheduler.config.prediction_type == "epsilon" else signal * noise - level * target

    drawn = denoise(predict, scheduler, target, make_noise(1), timesteps, lambda i, t, z: z)
    return float((drawn - target).square().mean().sqrt())


@pytest.mark.parametrize("strength", [0.01, 0.7, 1.0])
@pytest.mark.parametrize("schedule", ["sd", "embedded"])
@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_steps_starts_at_the_strength(name, schedule, strength):
    scheduler = build_scheduler(name, DDIMScheduler(**SCHEDULES[schedule]))
    for num_steps in range(1, 1001, 1 if strength == 0.7 else 9):
        timesteps = select_timesteps(scheduler, num_steps, strength, CPU)
        assert (timesteps.diff() < 0).all() and timesteps[-1] >= 0
        if name == "lcm":
            assert timesteps[0] == {0.01: 249, 0.7: 749, 1.0: 999}[strength]
            assert len(timesteps) == max(1, min(round(4 * strength), round(num_steps * strength)))
        else:
            assert len(timesteps) == max(1, round(num_steps * strength))
            leading = name == "ddim" and schedule == "sd" and strength < 1 and num_steps >= 100
            assert abs(int(timesteps[0]) + 1 - 1000 * strength) <= (1000 / num_steps if leading else 0.5)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", NAMES)
def test_no_number_of_steps_leaves_more_noise_than_200(name, schedule):
    scheduler = build_scheduler(name, DDIMScheduler(**SCHEDULES[schedule]))
    for strength, numbers in ((0.7, (1, 7, 1000)), (1.0, (3, 300, 999))):
        usual = draw_with_oracle(scheduler, select_timesteps(scheduler, 200, strength, CPU))
        for num_steps in numbers:
            left = draw_with_oracle(scheduler, select_timesteps(scheduler, num_steps, strength, CPU))
            assert left <= 1.15 * usual + 1e-4, (num_steps, strength)


@pytest.mark.parametrize("num_steps", [10, 20])
@pytest.mark.parametrize("name", ["dpm-solver++", "unipc", "ddim"])
def test_the_embedded_pipeline_keeps_its_timesteps(name, num_steps):
    scheduler = build_scheduler(name, DDIMScheduler(**EMBEDDED))
    expected = list(range(999, 0, -1000 // num_steps))
    assert select_timesteps(scheduler, num_steps, 1.0, CPU).tolist() == expected


def test_the_setting_of_the_paper_keeps_its_timesteps(tmp_path):
    DDIMScheduler(**LDM).save_pretrained(tmp_path)
    scheduler = build_scheduler("ddim", DDIMScheduler.from_pretrained(tmp_path))
    assert select_timesteps(scheduler, 200, 0.7, CPU).tolist() == list(range(696, 0, -5))
    assert scheduler.sigmas[-1] == pytest.approx(((1 / scheduler.alphas_cumprod[0]) - 1).sqrt().item(), rel=1e-5)


@pytest.mark.parametrize("schedule", ["ldm", "embedded"])
def test_ddim_is_the_ddim_of_diffusers_where_the_steps_divide_the_schedule(schedule):
    theirs = DDIMScheduler(**SCHEDULES[schedule], clip_sample=False)
    ours = build_scheduler("ddim", theirs)
    theirs.set_timesteps(50)
    ours.set_timesteps(timesteps=theirs.timesteps.tolist())
    ours.set_begin_index(0)

    def predict(noisy, timestep, window):
        return torch.sin(2 * noisy) + 0.1

    drawn = [
        denoise(predict, sampler, make_noise(0), make_noise(1), theirs.timesteps, lambda i, t, z: z)
        for sampler in (theirs, ours)
    ]
    assert torch.allclose(*drawn, atol=1e-4)


KARRAS = {"use_karras_sigmas": True}


@pytest.mark.parametrize("strength", [0.05, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("EulerDiscreteScheduler", {}),
        ("EulerDiscreteScheduler", KARRAS),
        ("EulerAncestralDiscreteScheduler", {}),
        ("LMSDiscreteScheduler", {}),
        ("PNDMScheduler", {}),
        ("HeunDiscreteScheduler", {}),
        ("KDPM2DiscreteScheduler", {}),
        ("DEISMultistepScheduler", {}),
        ("DPMSolverSinglestepScheduler", {}),
        ("DPMSolverMultistepScheduler", KARRAS),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
        ("UniPCMultistepScheduler", {}),
        ("DDIMScheduler", {}),
        ("DDPMScheduler", {}),
    ],
)
def test_schedulers_of_the_user_draw_too(kind, options, spacing, strength):
    trained = getattr(diffusers, kind).from_config(DDIMScheduler(**SD).config, timestep_spacing=spacing, **options)
    before = {name: repr(value) for name, value in vars(trained).items()}
    scheduler = build_scheduler(None, trained)
    timesteps = select_timesteps(scheduler, 20, strength, CPU)
    assert kind == "DDIMScheduler" or type(scheduler) is type(trained)
    assert timesteps.max() == timesteps[0]
    if not options.get("use_karras_sigmas"):  # whose steps are not even; some leave the topmost of 21 parts out
        assert abs(int(timesteps[0]) + 1 - 1000 * strength) <= 60
    uneven = kind == "PNDMScheduler" and spacing == "linspace"  # it takes even steps on this grid too
    assert draw_with_oracle(scheduler, timesteps) < (0.06 if uneven else 0.03)  # the lowest level of all is 0.0271
    assert {name: repr(value) for name, value in vars(trained).items()} == before


def test_a_picture_of_another_kind_of_denoiser_is_refused():
    with pytest.raises(ValueError, match=r"`scheduler` must be .* got FlowMatchEulerDiscreteScheduler, which cannot"):
        select_timesteps(diffusers.FlowMatchEulerDiscreteScheduler(), 4, 1.0, CPU)
    with pytest.raises(ValueError, match="`skip_prk_steps=True`"):
        select_timesteps(PNDMScheduler(), 20, 0.7, CPU)
    with pytest.raises(ValueError, match=r"`scheduler` must be one of ddim, .* got 'euler'"):
        build_scheduler("euler", DDIMScheduler())


def test_names_mean_the_same_whatever_the_trained_scheduler_was():
    """Fine-tuned models are published with all kinds of grids, thresholds and solvers."""
    odd = DPMSolverMultistepScheduler(
        **{key: SD[key] for key in ("beta_schedule", "beta_start", "beta_end")},
        use_karras_sigmas=True,
        thresholding=True,
        solver_order=3,
        algorithm_type="sde-dpmsolver++",
    )
    plain = DPMSolverMultistepScheduler(**{key: SD[key] for key in ("beta_schedule", "beta_start", "beta_end")})
    for name in ("ddim", "dpm-solver++", "unipc"):
        drawn = []
        for trained in (odd, plain):
            scheduler = build_scheduler(name, trained)
            timesteps = select_timesteps(scheduler, 12, 0.8, CPU)
            drawn.append(
                denoise(lambda z, t, _: z.sin(), scheduler, make_noise(0), make_noise(1), timesteps, lambda i, t, z: z)
            )
        assert torch.equal(*drawn)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_latents_that_are_not_finite_are_an_error_and_not_a_black_picture(value):
    scheduler = build_scheduler("dpm-solver++", DDIMScheduler(**SD))
    timesteps = select_timesteps(scheduler, 4, 1.0, CPU)
    with pytest.raises(ValueError, match=r"latents must be finite, .*float32 .* DPMSolverMultistepScheduler; give"):
        denoise(
            lambda z, t, _: torch.full_like(z, value),
            scheduler,
            make_noise(0),
            make_noise(1),
            timesteps,
            lambda i, t, z: z,
        )
