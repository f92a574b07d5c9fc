"""Image ⇄ latents of unit scale, for every first stage that diffusers has.

    image [−1, 1] ──encode──▶ z ──(z − shift) · scale──▶ latents ──latents / scale + shift──▶ z ──decode──▶ image

Shift and scale are numbers (`shift_factor` of Stable Diffusion 3 and FLUX, `scaling_factor`) or, for some of
Stable Diffusion XL's descendants, one a channel (`latents_mean`, `latents_std`).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from sgc_diffusion.synthesis.tiling import STAGE_OVERLAP, Window, blend_tiles

FirstStage: TypeAlias = Any  # a diffusers autoencoder; they share no class that has `encode`, `decode` and `config`


def downsampling_factor(vae: FirstStage) -> int:
    """Return how many pixels a latent is wide."""
    ratio = getattr(vae, "spatial_compression_ratio", None)
    if ratio is not None:
        return int(ratio)
    channels = getattr(vae.config, "block_out_channels", None) or vae.config.encoder_block_out_channels
    return 2 ** (len(channels) - 1)


def latent_channels(vae: FirstStage) -> int:
    """Return the number of channels of the latents."""
    return int(vae.config.latent_channels)


def encode_image(vae: FirstStage, images: torch.Tensor, *, tile_side: int | None = None) -> torch.Tensor:
    """Return latents (B, C, h, w) of about unit scale, without sampling noise.

    Args:
        vae: diffusers autoencoder: `AutoencoderDC`, `AutoencoderTiny`, `VQModel` or `AutoencoderKL`.
        images: (B, 3, H, W) floats in [−1, 1].
        tile_side: in latents; encode larger pictures in overlapping tiles of this side. None encodes them whole.
    """
    factor = downsampling_factor(vae)
    height, width = (side // factor for side in images.shape[-2:])

    def encode_window(window: Window) -> torch.Tensor:
        rows, columns = (slice(side.start * factor, side.stop * factor) for side in window)
        return _latents_of(vae.encode(images[..., rows, columns]))

    latents = blend_tiles(encode_window, height, width, tile_side or max(height, width), STAGE_OVERLAP)
    shift, scale = _shift_and_scale(vae, latents)
    return (latents - shift) * scale


def _shift_and_scale(vae: FirstStage, latents: torch.Tensor) -> tuple[Any, Any]:
    """Return what is subtracted from a first stage's own latents and what they are multiplied with then.

    Each is a number or (1, C, 1, 1) floats.
    """
    scale = getattr(vae.config, "scaling_factor", None) or 1.0
    mean = getattr(vae.config, "latents_mean", None)
    if mean is None:
        return getattr(vae.config, "shift_factor", None) or 0.0, scale
    deviation = getattr(vae.config, "latents_std", None) or [1.0] * len(mean)
    mean, deviation = (latents.new_tensor(values).reshape(1, -1, 1, 1) for values in (mean, deviation))
    return mean, scale / deviation


def _latents_of(output: Any) -> torch.Tensor:
    if hasattr(output, "latent_dist"):
        return output.latent_dist.mode()
    return output.latent if hasattr(output, "latent") else output.latents


def decode_latents(vae: FirstStage, latents: torch.Tensor, *, tile_side: int | None = None) -> torch.Tensor:
    """Return images (B, 3, H, W) in [−1, 1], clipped.

    Args:
        vae: diffusers autoencoder.
        latents: (B, C, h, w) floats of about unit scale.
        tile_side: in latents; decode larger pictures in overlapping tiles of this side. None decodes them whole.

    Raises:
        ValueError: pixels that are not finite, which would be a black picture.
    """
    shift, scale = _shift_and_scale(vae, latents)
    scaled = latents / scale + shift
    height, width = latents.shape[-2:]

    def decode_window(window: Window) -> torch.Tensor:
        return vae.decode(scaled[..., *window]).sample.clamp(-1, 1)

    factor = downsampling_factor(vae)
    pixels = blend_tiles(decode_window, height, width, tile_side or max(height, width), STAGE_OVERLAP, factor)
    if not torch.isfinite(pixels).all():
        raise ValueError(
            f"`vae` must decode to finite pixels, got infinite or undefined values in {latents.dtype}; load the "
            "pipeline with `dtype` float32 or bfloat16"
        )
    return pixels
