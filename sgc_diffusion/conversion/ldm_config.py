"""The configuration of a latent diffusion model that draws from label maps, as its authors wrote it down.

config.yaml (OmegaConf, targets `ldm.…`) ──read──▶ LdmConfig ──▶ arguments of diffusers' VQModel, UNet2DModel, scheduler

Rombach et al., https://arxiv.org/abs/2112.10752; the published files are `models/ldm/semantic_synthesis256` and
`…512` of https://github.com/CompVis/latent-diffusion. What stock diffusers classes cannot express is refused here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class LdmConfig:
    """What conversion needs to know; the defaults are the published `semantic_synthesis512`.

    Attributes:
        image_size: side of the latents that the denoiser was trained on.
        latent_channels: of the first stage, channels that the denoiser cleans.
        model_channels: channels of the denoiser's first level.
        channel_mult: channels of each level over `model_channels`.
        num_res_blocks: of each level of the denoiser.
        attention_levels: levels of the denoiser with attention; besides them the middle block always has it.
        head_channels: channels of an attention head.
        num_embeddings: entries of the first stage's codebook.
        stage_channels: channels of the first stage's first level.
        stage_mult: channels of each of its levels over `stage_channels`.
        stage_res_blocks: of each level of the first stage.
        num_planes: one-hot label planes that the rescaler takes.
        num_halvings: bilinear halvings of the rescaler.
        rescaled_channels: what its 1×1 convolution makes of the planes.
        beta_start: first β; the schedule is linear in √β.
        beta_end: last β.
        num_timesteps: of the schedule.
        scale_factor: what latents are multiplied by.
    """

    image_size: int = 128
    latent_channels: int = 3
    model_channels: int = 128
    channel_mult: tuple[int, ...] = (1, 4, 8)
    num_res_blocks: int = 2
    attention_levels: tuple[int, ...] = ()
    head_channels: int = 128
    num_embeddings: int = 8192
    stage_channels: int = 128
    stage_mult: tuple[int, ...] = (1, 2, 4)
    stage_res_blocks: int = 2
    num_planes: int = 182
    num_halvings: int = 2
    rescaled_channels: int = 3
    beta_start: float = 0.0015
    beta_end: float = 0.0205
    num_timesteps: int = 1000
    scale_factor: float = 1.0


PUBLISHED = {
    "semantic_synthesis512": LdmConfig(),
    "semantic_synthesis256": replace(LdmConfig(), image_size=64),
}


def read_config(path: str | Path) -> LdmConfig:
    """Return the configuration in a published `config.yaml`.

    Raises:
        ValueError: no configuration of a label-conditioned latent diffusion model, or one that stock diffusers classes
            cannot express.
        OSError: a file that cannot be read.
    """
    try:
        params = yaml.safe_load(Path(path).read_text("utf-8"))["model"]["params"]
        unet = params["unet_config"]["params"]
        stage = params["first_stage_config"]["params"]
        rescaler = params["cond_stage_config"]["params"]
        targets = [params[key]["target"] for key in ("unet_config", "first_stage_config", "cond_stage_config")]
        _check_supported(params, unet, stage, rescaler, targets)
        return _from_sections(params, unet, stage, rescaler)
    except (KeyError, TypeError, AttributeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(
            f"`config` {path} is no configuration of a latent diffusion model ({type(error).__name__}: {error}); "
            "give the config.yaml that lies beside the published checkpoint"
        ) from error


def _from_sections(params: dict, unet: dict, stage: dict, rescaler: dict) -> LdmConfig:
    factors = [2**level for level in range(len(unet["channel_mult"]))]
    levels = tuple(level for level, factor in enumerate(factors) if factor in unet["attention_resolutions"])
    channels = unet["model_channels"] * unet["channel_mult"][-1]
    fixed = unet.get("num_head_channels", -1)
    head_channels = channels // unet["num_heads"] if fixed == -1 else fixed
    if fixed == -1 and any(unet["channel_mult"][level] != unet["channel_mult"][-1] for level in levels):
        _refuse("unet_config", "a fixed number of heads on levels of different width")
    return LdmConfig(
        image_size=unet["image_size"],
        latent_channels=stage["embed_dim"],
        model_channels=unet["model_channels"],
        channel_mult=tuple(unet["channel_mult"]),
        num_res_blocks=unet["num_res_blocks"],
        attention_levels=levels,
        head_channels=head_channels,
        num_embeddings=stage["n_embed"],
        stage_channels=stage["ddconfig"]["ch"],
        stage_mult=tuple(stage["ddconfig"]["ch_mult"]),
        stage_res_blocks=stage["ddconfig"]["num_res_blocks"],
        num_planes=rescaler["in_channels"],
        num_halvings=rescaler["n_stages"],
        rescaled_channels=rescaler["out_channels"],
        beta_start=float(params.get("linear_start", 1e-4)),
        beta_end=float(params.get("linear_end", 2e-2)),
        num_timesteps=int(params.get("timesteps", 1000)),
        scale_factor=float(params.get("scale_factor", 1.0)),
    )


def _check_supported(params: dict, unet: dict, stage: dict, rescaler: dict, targets: list[str]) -> None:
    """Raise ValueError for what the converted classes would compute differently."""
    wanted = ("UNetModel", "VQModelInterface", "SpatialRescaler")
    for target, name in zip(targets, wanted, strict=True):
        if target.rsplit(".", 1)[-1] != name:
            _refuse("target", f"{target} where {name} is expected")
    inner, dd = unet["in_channels"], stage["ddconfig"]
    unsupported: dict[str, Any] = {
        "conditioning other than by concatenation": not params.get("concat_mode", True)
        or params.get("conditioning_key") not in (None, "concat"),
        "a parameterisation other than eps": params.get("parameterization", "eps") != "eps",
        "a beta_schedule other than linear": params.get("beta_schedule", "linear") != "linear",
        "use_scale_shift_norm": unet.get("use_scale_shift_norm"),
        "resblock_updown": unet.get("resblock_updown"),
        "use_spatial_transformer": unet.get("use_spatial_transformer"),
        "use_new_attention_order": unet.get("use_new_attention_order"),
        "num_classes": unet.get("num_classes"),
        "attention between the first stage's levels": dd["attn_resolutions"],
        "a first stage of other latent channels": dd["z_channels"] != stage["embed_dim"] or dd.get("double_z"),
        "a rescaler other than bilinear halving": rescaler.get("method", "bilinear") != "bilinear"
        or rescaler.get("multiplier", 0.5) != 0.5
        or not rescaler.get("out_channels"),
        "a rescaler with bias, which a folded convolution cannot have at the border": rescaler.get("bias"),
        "in_channels that are not latents and rescaled planes": inner
        != stage["embed_dim"] + (rescaler.get("out_channels") or 0),
        "a rescaler that does not reach the latents' size": rescaler["n_stages"] != len(dd["ch_mult"]) - 1,
    }
    for reason, present in unsupported.items():
        if present:
            _refuse("config", reason)


def _refuse(part: str, reason: str) -> None:
    raise ValueError(f"`config` cannot be converted to stock diffusers classes: {part} has {reason}")
