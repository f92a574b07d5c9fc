"""Label map → what Stable Diffusion with a ControlNet for segmentation is told.

label_map ──palette, nearest──▶ picture (3, H, W)        label_map ──names by area──▶ "a photo of sky, sea, sand"
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from sgc_diffusion.payload.grid import enlarge
from sgc_diffusion.synthesis.latent_diffusion import Predictor, guide
from sgc_diffusion.synthesis.tiling import Window

MIN_AREA = 0.01  # of the picture; smaller regions are drawn by the ControlNet but not named
MAX_NAMES = 12  # the text encoder reads 77 tokens
MOST_OF_IT = 0.4  # of the picture; a label this large is named as what the picture is of
PROMPT_ENDING = "photograph, natural light, detailed, sharp"


def draw_labels(label_map: np.ndarray, palette: np.ndarray, height: int, width: int) -> torch.Tensor:
    """Return a picture of a label map.

    Args:
        label_map: (h, w) uint8 ids.
        palette: (K, 3) uint8 sRGB.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Returns:
        (3, height, width) float32 in [0, 1], as ControlNets take it.
    """
    colors = np.asarray(palette)[enlarge(label_map, height, width)]
    return torch.from_numpy(colors).permute(2, 0, 1).float() / 255


def write_prompt(label_map: np.ndarray, names: Sequence[str]) -> str:
    """Return a prompt that names what a label map shows, the largest first.

    Args:
        label_map: (h, w) uint8 ids.
        names: of the ids.

    Example:
        >>> write_prompt(np.array([[0, 0, 1]], np.uint8), ["sky", "sea"])
        'a photo of sky, with sea, photograph, natural light, detailed, sharp'
    """
    areas = np.bincount(label_map.ravel(), minlength=len(names)) / label_map.size
    order = [int(label) for label in np.argsort(-areas, kind="stable") if areas[label] >= MIN_AREA][:MAX_NAMES]
    main = [names[label] for label in order if areas[label] >= MOST_OF_IT] or [names[order[0]]]
    rest = [names[label] for label in order if names[label] not in main]
    parts = [f"a photo of {' and '.join(main)}", *([f"with {', '.join(rest)}"] if rest else []), PROMPT_ENDING]
    return ", ".join(parts)


@torch.no_grad()
def embed_prompts(
    tokenizer: Any, text_encoder: nn.Module, prompts: Sequence[str], device: torch.device
) -> torch.Tensor:
    """Return embeddings (B, tokens, channels) of prompts, cut at what the encoder reads."""
    length = tokenizer.model_max_length
    tokens = tokenizer(list(prompts), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return text_encoder(tokens.input_ids.to(device))[0]


def control_predictor(
    unet: nn.Module,
    controlnet: nn.Module,
    embeddings: torch.Tensor,
    pictures: torch.Tensor,
    factor: int,
    guidance_scale: float,
    conditioning_scale: float,
) -> Predictor:
    """Return the prediction of a text-conditioned denoiser under a ControlNet.

    Args:
        unet: diffusers `UNet2DConditionModel`.
        controlnet: diffusers `ControlNetModel`.
        embeddings: (B, tokens, channels) of the prompts; with guidance (2B, …), those of the negative prompt first.
        pictures: (B or 2B, 3, H, W) in [0, 1] of the label maps.
        factor: pixels a latent is wide.
        guidance_scale: 1 is no guidance and costs half.
        conditioning_scale: weight of the ControlNet's residuals.
    """
    guided = guidance_scale != 1.0

    def predict(latents: torch.Tensor, timestep: torch.Tensor, window: Window) -> torch.Tensor:
        doubled = torch.cat([latents, latents]) if guided else latents
        rows, columns = (slice(side.start * factor, side.stop * factor) for side in window)
        down, middle = controlnet(
            doubled,
            timestep,
            encoder_hidden_states=embeddings,
            controlnet_cond=pictures[..., rows, columns],
            conditioning_scale=conditioning_scale,
            return_dict=False,
        )
        prediction = unet(
            doubled,
            timestep,
            encoder_hidden_states=embeddings,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample
        return guide(prediction, guidance_scale) if guided else prediction

    return predict
