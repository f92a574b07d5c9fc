"""Latents drawn in passes: at the size that the denoiser knows first, then enlarged and drawn over.

    color map ──first stage──▶ denoise at 256² ──decode──▶ enlarge ──first stage──▶ denoise at 512² ──decode──▶ image

Every family of latent diffusion draws so; they differ in what predicts the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch.nn import functional

from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.payload.scalars import plain_integer
from sgc_diffusion.synthesis.first_stage import FirstStage, decode_latents, downsampling_factor, encode_image
from sgc_diffusion.synthesis.latent_diffusion import Predictor, Sampler, build_scheduler, denoise, select_timesteps
from sgc_diffusion.synthesis.likeness import highest_level
from sgc_diffusion.synthesis.request import DrawingRecipe
from sgc_diffusion.synthesis.resolution import native_side, plan_sizes
from sgc_diffusion.synthesis.steps import StepObserver


@dataclass(frozen=True)
class Pass:
    """One run of the denoiser over a picture.

    Attributes:
        height: of the picture, pixels.
        width: of the picture, pixels.
        num_steps: of the whole schedule.
        strength: part of the schedule that is run, from its end: how far up the start is lifted.
        noise_gain: of the noise that the start is lifted with.
    """

    height: int
    width: int
    num_steps: int
    strength: float
    noise_gain: float = 1.0


def draw_in_passes(
    passes: Sequence[Pass],
    start: torch.Tensor,
    vae: FirstStage,
    make_predictor: Callable[[int, int], Predictor],
    make_sampler: Callable[[], Sampler],
    generators: Sequence[torch.Generator],
    observer: StepObserver,
    *,
    tile_side: int | None = None,
    variance_fill: float = 0.0,
) -> torch.Tensor:
    """Draw a batch.

    Args:
        passes: smallest first.
        start: (B, 3, H, W) in [−1, 1]: the picture that is lifted into noise, of any size.
        vae: diffusers autoencoder; its device and dtype are those of the drawing.
        make_predictor: height and width in pixels → prediction of the denoiser.
        make_sampler: a sampler of its own for each pass; samplers keep state.
        generators: of the noise, one a picture.
        observer: is told of each step.
        tile_side: in latents; draw larger pictures in overlapping tiles.
        variance_fill: see `denoise`.

    Returns:
        (B, 3, H, W) float32 in [−1, 1], of the last pass.
    """
    device, dtype = start.device, start.dtype
    pixels = start.float()
    for step in passes:
        pixels = functional.interpolate(pixels, (step.height, step.width), mode="bicubic").clamp(-1, 1)
        latents = encode_image(vae, pixels.to(device, dtype), tile_side=tile_side)
        shape = (1, *latents.shape[1:])
        noise = [randn_tensor(shape, generator=generator, device=device, dtype=dtype) for generator in generators]
        sampler = make_sampler()
        timesteps = select_timesteps(sampler, step.num_steps, step.strength, device)
        with observer.counting(len(timesteps)):
            latents = denoise(
                make_predictor(step.height, step.width),
                sampler,
                latents,
                torch.cat(noise),
                timesteps,
                observer.on_step,
                generators=generators,
                tile_side=tile_side,
                variance_fill=variance_fill,
                noise_gain=step.noise_gain,
                is_interrupted=observer.is_interrupted,
            )
        pixels = decode_latents(vae, latents, tile_side=tile_side).float()
        if observer.is_interrupted():
            break
    return pixels


def choose_sampler(recipe: DrawingRecipe, scheduler: Sampler, *, is_chosen: bool) -> Sampler:
    """Return a sampler of its own for one pass, so that drawings in several threads share none.

    Args:
        recipe: how the picture is drawn.
        scheduler: the pipeline's, with the noise schedule that its denoiser was trained with.
        is_chosen: whether the pipeline's user set that scheduler. It then draws, unless the caller named another, or
            the recipe is for the few-step head, which knows no other sampler than `lcm`.
    """
    draws_itself = is_chosen and not recipe.is_scheduler_given and recipe.scheduler != "lcm"
    return build_scheduler(None if draws_itself else recipe.scheduler, scheduler)


def passes_from(payload: SemanticPayload, sizes: list[tuple[int, int]], recipe: DrawingRecipe) -> list[tuple[int, int]]:
    """Return the sizes that a picture is drawn at: the last alone where its detail is drawn over.

    The smaller sizes find out what is where. A likeness with detail shows that, and would lose its detail there.

    Args:
        payload: with or without detail.
        sizes: from `plan_sizes`.
        recipe: how it is drawn; of strength 1, from noise alone, so that the likeness shows nothing.
    """
    return sizes[-1:] if highest_level(payload) is not None and recipe.strength < 1 else sizes


def latent_sizes(vae: FirstStage, unet: Any, width: int, height: int) -> list[tuple[int, int]]:
    """Return (height, width) in pixels of the passes of a picture, smallest first; see `plan_sizes`."""
    factor = downsampling_factor(vae)
    return plan_sizes(width, height, native_side(unet) * factor, _multiple(vae, unet))


def tile_latents(vae: FirstStage, unet: Any, tile_side: int | None) -> int:
    """Return the side of a tile in latents.

    Args:
        vae: diffusers autoencoder.
        unet: denoiser.
        tile_side: in pixels; the size that the denoiser was trained at if None.

    Raises:
        ValueError: a side that is no multiple of what the denoiser halves.
    """
    factor, multiple = downsampling_factor(vae), _multiple(vae, unet)
    side = native_side(unet) * factor if tile_side is None else tile_side
    if plain_integer("tile_side", side, 1, 2**31) % multiple:
        raise ValueError(f"`tile_side` must be a multiple of {multiple} pixels, got {side}")
    return int(side) // factor


def _multiple(vae: FirstStage, unet: Any) -> int:
    """Return what the sides of a picture must be divisible by, in pixels."""
    return downsampling_factor(vae) * 2 ** (len(unet.config.block_out_channels) - 1)
