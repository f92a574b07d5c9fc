"""Conditions and noise → latents: the denoising loop (S1's decoder).

    color map ──first stage──▶ z ──noise to strength·T──▶ z_t ──denoise, guided by the labels──▶ z_0

SDEdit (Meng et al., https://arxiv.org/abs/2108.01073) starts from the noised color map instead of pure noise, so the
colors need no conditioning network; classifier-free guidance (Ho & Salimans, https://arxiv.org/abs/2207.12598)
sharpens the labels.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, LCMScheduler, UniPCMultistepScheduler
from torch import nn

from sgc_diffusion.synthesis.tiling import OVERLAP, Window, blend_tiles

SCHEDULER_CLASSES = {
    "ddim": DDIMScheduler,
    "dpm-solver++": DPMSolverMultistepScheduler,  # Lu et al., https://arxiv.org/abs/2211.01095
    "unipc": UniPCMultistepScheduler,  # Zhao et al., https://arxiv.org/abs/2302.04867
    "lcm": LCMScheduler,  # Luo et al., https://arxiv.org/abs/2310.04378; for denoisers distilled to few steps
}
FEW_STEPS = 4  # noise levels that such denoisers were distilled at: 999, 749, 499, 249

Sampler: TypeAlias = Any  # a diffusers scheduler; their common class declares no `step`
StepFunction = Callable[[int, torch.Tensor, torch.Tensor], torch.Tensor]
# noisy latents of a window (B, C, h, w), timestep, window → guided prediction (B, C, h, w)
Predictor = Callable[[torch.Tensor, torch.Tensor, Window], torch.Tensor]


def build_scheduler(name: str, trained: Sampler) -> Sampler:
    """Return the named sampler on the noise schedule that a denoiser was trained with.

    Args:
        name: `ddim`, `dpm-solver++`, `unipc` or `lcm`.
        trained: the pipeline's registered scheduler; left as it is.

    Raises:
        ValueError: an unknown name.
    """
    if name not in SCHEDULER_CLASSES:
        raise ValueError(f"`scheduler` must be one of {', '.join(SCHEDULER_CLASSES)}, got {name!r}")
    # Clipping, DDIM's default where the trained scheduler says nothing of it, is for pixels, not for latents.
    options = {"original_inference_steps": FEW_STEPS} if name == "lcm" else {}
    return SCHEDULER_CLASSES[name].from_config(trained.config, clip_sample=False, **options)


def select_timesteps(
    scheduler: Sampler, num_inference_steps: int, strength: float, device: torch.device
) -> torch.Tensor:
    """Return the timesteps that are run: the last `strength` part of the whole schedule, at least one."""
    scheduler.set_timesteps(num_inference_steps, device=device)
    num_run = max(1, min(num_inference_steps, round(num_inference_steps * strength)))
    first = len(scheduler.timesteps) - num_run * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    return scheduler.timesteps[first:]


def label_predictor(
    unet: nn.Module, condition: torch.Tensor, num_label_planes: int, guidance_scale: float
) -> Predictor:
    """Return the prediction of a denoiser that takes its condition concatenated to the latents.

    Args:
        unet: diffusers `UNet2DModel` on (B, C + P, h, w).
        condition: (B, P, h, w): label planes, then color planes if the denoiser takes them.
        num_label_planes: how many of the P are label planes; guidance compares with these at zero.
        guidance_scale: 1 is no guidance and costs half.
    """
    guided = guidance_scale != 1.0
    if guided:
        unlabeled = condition.clone()
        unlabeled[:, :num_label_planes] = 0
        condition = torch.cat([unlabeled, condition])

    def predict(latents: torch.Tensor, timestep: torch.Tensor, window: Window) -> torch.Tensor:
        doubled = torch.cat([latents, latents]) if guided else latents
        prediction = unet(torch.cat([doubled, condition[..., *window]], dim=1), timestep).sample
        return guide(prediction, guidance_scale) if guided else prediction

    return predict


def guide(prediction: torch.Tensor, guidance_scale: float) -> torch.Tensor:
    """Return (B, C, h, w) from predictions (2B, C, h, w) without and with the condition."""
    without, with_condition = prediction.chunk(2)
    return without + guidance_scale * (with_condition - without)


def denoise(
    predict: Predictor,
    scheduler: Sampler,
    start: torch.Tensor,
    noise: torch.Tensor,
    timesteps: torch.Tensor,
    on_step: StepFunction,
    *,
    generators: Sequence[torch.Generator] | None = None,
    tile_side: int | None = None,
    detail_fill: float = 0.0,
    noise_gain: float = 1.0,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> torch.Tensor:
    """Noise `start` to the first timestep and denoise it from there.

    Args:
        predict: see `label_predictor`.
        scheduler: prepared by `select_timesteps`.
        start: (B, C, h, w) latents of the color map, unit scale.
        noise: likewise, standard normal.
        timesteps: from `select_timesteps`.
        on_step: called with step index, timestep and latents after each step; returns the latents to go on with.
        generators: one a picture, for samplers that add noise between steps; None takes torch's own.
        tile_side: in latents; predict larger pictures in overlapping tiles of this side. None predicts them whole.
        detail_fill: how much of the variance that a smooth start lacks is made up with noise; 0 is plain SDEdit.
        noise_gain: of the noise, beside that; a little more than 1 gives more texture.
        is_interrupted: asked after each step; True ends the loop with what is there.

    Returns:
        (B, C, h, w) latents of unit scale.
    """
    gain = noise_gain * _detail_gain(scheduler, start, timesteps[0], detail_fill)
    latents = scheduler.add_noise(start, noise * gain, timesteps[:1])
    height, width = latents.shape[-2:]
    takes_generator = "generator" in inspect.signature(scheduler.step).parameters
    options = {"generator": list(generators)} if generators and takes_generator else {}
    for index, timestep in enumerate(timesteps):
        scaled = scheduler.scale_model_input(latents, timestep)
        prediction = blend_tiles(
            lambda window, z=scaled, t=timestep: predict(z[..., *window], t, window),
            height,
            width,
            tile_side or max(height, width),
            OVERLAP,
        )
        latents = scheduler.step(prediction, timestep, latents, **options, return_dict=False)[0]
        latents = on_step(index, timestep, latents)
        if is_interrupted():
            break
    return latents


def _detail_gain(scheduler: Sampler, start: torch.Tensor, timestep: torch.Tensor, detail_fill: float) -> torch.Tensor:
    """Return the factor (B, 1, 1, 1) of the noise.

    A denoiser was trained on noised latents of unit variance. A color map or an enlarged picture has less, and what it
    lacks, the denoiser takes for smoothness that it has to keep: plain SDEdit from there comes out soft.
    """
    alpha = scheduler.alphas_cumprod[int(timestep)].to(start.device)
    missing = (1 - start.float().var(dim=(1, 2, 3), keepdim=True)).clamp(0, 1)
    return ((1 - alpha + alpha * missing * detail_fill) / (1 - alpha)).sqrt().to(start.dtype)
