"""Image ⇄ latents of unit scale, for every first stage that diffusers has.

image [−1, 1] ──encode──▶ latents · scaling_factor          latents ──decode──▶ image
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
        images: (B, 3, H, W) in [−1, 1].
        tile_side: in latents; encode larger pictures in overlapping tiles of this side. None encodes them whole.
    """
    factor = downsampling_factor(vae)
    height, width = (side // factor for side in images.shape[-2:])

    def encode_window(window: Window) -> torch.Tensor:
        rows, columns = (slice(one.start * factor, one.stop * factor) for one in window)
        return _latents_of(vae.encode(images[..., rows, columns]))

    latents = blend_tiles(encode_window, height, width, tile_side or max(height, width), STAGE_OVERLAP)
    return latents * getattr(vae.config, "scaling_factor", 1.0)


def _latents_of(output: Any) -> torch.Tensor:
    if hasattr(output, "latent_dist"):
        return output.latent_dist.mode()
    return output.latent if hasattr(output, "latent") else output.latents


def decode_latents(vae: FirstStage, latents: torch.Tensor, *, tile_side: int | None = None) -> torch.Tensor:
    """Return images (B, 3, H, W) in [−1, 1], clipped.

    Args:
        vae: diffusers autoencoder.
        latents: (B, C, h, w) of about unit scale.
        tile_side: in latents; decode larger pictures in overlapping tiles of this side. None decodes them whole.
    """
    scaled = latents / getattr(vae.config, "scaling_factor", 1.0)
    height, width = latents.shape[-2:]

    def decode_window(window: Window) -> torch.Tensor:
        return vae.decode(scaled[..., *window]).sample.clamp(-1, 1)

    factor = downsampling_factor(vae)
    return blend_tiles(decode_window, height, width, tile_side or max(height, width), STAGE_OVERLAP, factor)
