"""Conditions and noise → latents: the denoising loop (S1's decoder).

    color map ──first stage──▶ z ──noise to strength·T──▶ z_t ──denoise, guided by the labels──▶ z_0

SDEdit (Meng et al., https://arxiv.org/abs/2108.01073) starts from the noised color map instead of pure noise, so the
colors need no conditioning network; classifier-free guidance (Ho & Salimans, https://arxiv.org/abs/2207.12598)
sharpens the labels.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import torch
from torch import nn

from sgc_diffusion.synthesis.samplers import FEW_STEPS, Sampler, build_scheduler, select_timesteps
from sgc_diffusion.synthesis.tiling import OVERLAP, Window, blend_tiles

__all__ = ["FEW_STEPS", "Sampler", "build_scheduler", "denoise", "guide", "label_predictor", "select_timesteps"]

# Power of start to noise up to which `variance_fill` counts in full: that of strength 0.45 on the usual schedule, from
# which enlarged pictures are drawn over.
FULL_FILL_RATIO = 0.54
StepFunction = Callable[[int, torch.Tensor, torch.Tensor], torch.Tensor]
# noisy latents of a window (B, C, h, w), timestep, window → guided prediction (B, C, h, w)
Predictor = Callable[[torch.Tensor, torch.Tensor, Window], torch.Tensor]


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
    variance_fill: float = 0.0,
    noise_gain: float = 1.0,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> torch.Tensor:
    """Noise `start` to the first timestep and denoise it from there.

    Args:
        predict: see `label_predictor`.
        scheduler: prepared by `select_timesteps`; its state changes, so it must not be shared.
        start: (B, C, h, w) floats of about unit scale: latents of the color map.
        noise: (B, C, h, w) floats, standard normal.
        timesteps: from `select_timesteps`.
        on_step: called with step index, timestep and latents after each step; returns the latents to go on with.
        generators: one a picture, for samplers that add noise between steps; None takes torch's own.
        tile_side: in latents; predict larger pictures in overlapping tiles of this side. None predicts them whole.
        variance_fill: how much of the variance that a smooth start lacks is made up with noise; 0 is plain SDEdit.
        noise_gain: of the noise, beside that; a little more than 1 gives more texture.
        is_interrupted: asked after each step; True ends the loop with what is there.

    Returns:
        (B, C, h, w) latents of unit scale.

    Raises:
        ValueError: latents that are not finite at the end, which would be drawn as a black picture.
    """
    gain = noise_gain * _detail_gain(scheduler, start, timesteps[:1], variance_fill)
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
    if not torch.isfinite(latents).all():
        raise ValueError(
            f"the latents must be finite, got infinite or undefined values in {latents.dtype} after {len(timesteps)} "
            f"timesteps of {type(scheduler).__name__}; give another `scheduler`, `dtype` float32 or fewer steps"
        )
    return latents


def _detail_gain(
    scheduler: Sampler, start: torch.Tensor, first_timestep: torch.Tensor, variance_fill: float
) -> torch.Tensor:
    """Return the factor (B, 1, 1, 1) of the noise.

    A denoiser was trained on noised latents of unit variance. A color map or an enlarged picture has less, and what it
    lacks, the denoiser takes for smoothness that it has to keep: plain SDEdit from there comes out soft. Where the
    start outweighs the noise, though, the denoiser can no more turn an addition into detail, and noise would be left;
    there the addition falls faster than the noise does.
    """
    ones, zeros = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)  # what a scheduler of any kind makes of each
    signal = float(scheduler.add_noise(ones, zeros, first_timestep)) ** 2
    noise = float(scheduler.add_noise(zeros, ones, first_timestep)) ** 2
    alpha = torch.tensor(signal / (signal + noise), device=start.device)
    fade = min(1.0, FULL_FILL_RATIO * noise / signal) ** 2 if signal > 0 else 1.0
    missing = (1 - start.float().var(dim=(1, 2, 3), keepdim=True)).clamp(0, 1)
    return ((1 - alpha + alpha * missing * variance_fill * fade) / (1 - alpha)).sqrt().to(start.dtype)
