"""Image ⇄ latents of unit scale, for every first stage that diffusers has.

image [−1, 1] ──encode──▶ latents · scaling_factor          latents ──decode──▶ image
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

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


def encode_image(vae: FirstStage, images: torch.Tensor) -> torch.Tensor:
    """Return latents (B, C, h, w) of about unit scale, without sampling noise.

    Args:
        vae: diffusers autoencoder: `AutoencoderDC`, `AutoencoderTiny`, `VQModel` or `AutoencoderKL`.
        images: (B, 3, H, W) in [−1, 1].
    """
    output = vae.encode(images)
    if hasattr(output, "latent_dist"):
        latents = output.latent_dist.mode()
    else:
        latents = output.latent if hasattr(output, "latent") else output.latents
    return latents * getattr(vae.config, "scaling_factor", 1.0)


def decode_latents(vae: FirstStage, latents: torch.Tensor) -> torch.Tensor:
    """Return images (B, 3, H, W) in [−1, 1], clipped."""
    return vae.decode(latents / getattr(vae.config, "scaling_factor", 1.0)).sample.clamp(-1, 1)
