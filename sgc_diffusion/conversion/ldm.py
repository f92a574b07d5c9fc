"""Latent diffusion checkpoint → VQModel, UNet2DModel and DDIMScheduler, all stock classes of diffusers.

    first_stage_model.*                      ──▶ vae: VQModel
    model.diffusion_model.* (or its EMA) ─┐
    cond_stage_model.channel_mapper.* ────┴──▶ unet: UNet2DModel on latents and label planes
    config.yaml                              ──▶ scheduler: DDIMScheduler

The original conditions the denoiser through a `SpatialRescaler`: halvings of the one-hot label map, then a 1×1
convolution M without bias to three channels, concatenated to the latents. M commutes with zero padding, so it folds
into the 3×3 convolution C that follows: (C ∗ M x) = (C M) ∗ x. The converted denoiser takes the halved planes
themselves; `synthesis.conditioning` halves them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DModel, VQModel
from torch import nn

from sgc_diffusion.atomic_file import atomic_folder
from sgc_diffusion.conversion.ldm_config import PUBLISHED, LdmConfig, read_config
from sgc_diffusion.conversion.ldm_names import Pair, first_stage_modules, unet_attentions, unet_modules
from sgc_diffusion.families.latent_diffusion import LatentDiffusionCompressionPipeline
from sgc_diffusion.taxonomy import NUMBERS, load_taxonomy
from sgc_diffusion.zoo.checkpoint import check_names, read_state_dict, take_prefix

logger = logging.getLogger(__name__)

PLANE_TAXONOMIES = {182: "coco-stuff-182", 150: "ade20k-150"}  # what the authors' data sets were labeled with
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def build_modules(config: LdmConfig, num_classes: int) -> tuple[VQModel, UNet2DModel, DDIMScheduler]:
    """Return modules of a configuration with random weights.

    Args:
        config: of the original model.
        num_classes: label planes that the denoiser is to take.
    """
    num_levels = len(config.stage_mult)
    vae = VQModel(
        down_block_types=("DownEncoderBlock2D",) * num_levels,
        up_block_types=("UpDecoderBlock2D",) * num_levels,
        block_out_channels=tuple(config.stage_channels * mult for mult in config.stage_mult),
        layers_per_block=config.stage_res_blocks,
        latent_channels=config.latent_channels,
        sample_size=config.image_size * 2 ** (num_levels - 1),
        num_vq_embeddings=config.num_embeddings,
        scaling_factor=config.scale_factor,
    )
    attends = [level in config.attention_levels for level in range(len(config.channel_mult))]
    unet = UNet2DModel(
        sample_size=config.image_size,
        in_channels=config.latent_channels + num_classes,
        out_channels=config.latent_channels,
        down_block_types=tuple("AttnDownBlock2D" if attention else "DownBlock2D" for attention in attends),
        up_block_types=tuple("AttnUpBlock2D" if attention else "UpBlock2D" for attention in reversed(attends)),
        block_out_channels=tuple(config.model_channels * mult for mult in config.channel_mult),
        layers_per_block=config.num_res_blocks,
        attention_head_dim=config.head_channels,
    )
    scheduler = DDIMScheduler(
        num_train_timesteps=config.num_timesteps,
        beta_schedule="scaled_linear",
        beta_start=config.beta_start,
        beta_end=config.beta_end,
        clip_sample=False,
        set_alpha_to_one=False,  # the original's DDIM sampler steps to ᾱ of timestep 0 and starts its grid at 1
        steps_offset=1,
        timestep_spacing="leading",
    )
    return vae.eval(), unet.eval(), scheduler


def convert_first_stage(tensors: dict[str, torch.Tensor], config: LdmConfig, vae: VQModel) -> None:
    """Load `first_stage_model.*` into a VQModel.

    Raises:
        ValueError: tensors that do not fit the configuration.
    """
    theirs = take_prefix(tensors, "first_stage_model.")
    theirs = {name: value for name, value in theirs.items() if not name.startswith("loss.")}
    pairs = _parameter_pairs(first_stage_modules(config), vae)
    own = vae.state_dict()
    attention = [ours for _, ours in pairs if ".attentions." in ours and own[ours].ndim == 2]
    shapes = {left: (*own[right].shape, 1, 1) if right in attention else own[right].shape for left, right in pairs}
    check_names(theirs, {name: tuple(shape) for name, shape in shapes.items()}, "first stage")
    vae.load_state_dict({ours: theirs[left].reshape(own[ours].shape) for left, ours in pairs})


def convert_denoiser(
    tensors: dict[str, torch.Tensor], config: LdmConfig, unet: UNet2DModel, *, use_ema: bool = True
) -> None:
    """Load the denoiser and the rescaler's convolution into a UNet2DModel.

    Args:
        tensors: of the whole checkpoint.
        config: of the original model.
        unet: from `build_modules`; takes `config.num_planes` label planes, or one less: then plane 0, which the
            original's data sets give to pixels without label, is left out.
        use_ema: take the moving average of the weights where the checkpoint has it, as the original sampler does.

    Raises:
        ValueError: tensors that do not fit the configuration.
    """
    theirs = take_prefix(tensors, "model.diffusion_model.")
    averaged = take_prefix(tensors, "model_ema.")
    if use_ema and averaged:  # the average's names lack the dots
        theirs = {name: averaged.get(f"diffusion_model{name}".replace(".", ""), theirs[name]) for name in theirs}
    own = unet.state_dict()
    pairs = _parameter_pairs(unet_modules(config), unet)
    expected = {left: tuple(own[right].shape) for left, right in pairs}
    attentions = dict(unet_attentions(config))
    for left, right in attentions.items():
        channels = own[f"{right}.group_norm.weight"].shape[0]
        expected |= {f"{left}.norm.weight": (channels,), f"{left}.norm.bias": (channels,)}
        expected |= {f"{left}.qkv.weight": (3 * channels, channels, 1), f"{left}.qkv.bias": (3 * channels,)}
        expected |= {f"{left}.proj_out.weight": (channels, channels, 1), f"{left}.proj_out.bias": (channels,)}
    inner = config.latent_channels + config.rescaled_channels
    expected |= {"input_blocks.0.0.weight": (config.model_channels, inner, 3, 3)}
    expected |= {"input_blocks.0.0.bias": (config.model_channels,)}
    check_names(theirs, expected, "denoiser")

    state = {ours: theirs[left] for left, ours in pairs}
    for left, right in attentions.items():
        state |= _split_attention(take_prefix(theirs, f"{left}."), right, config.head_channels)
    state["conv_in.weight"] = _fold_rescaler(theirs["input_blocks.0.0.weight"], tensors, config, unet)
    state["conv_in.bias"] = theirs["input_blocks.0.0.bias"]
    unet.load_state_dict(state)


def _parameter_pairs(modules: Iterable[Pair], target: nn.Module) -> list[tuple[str, str]]:
    """Return pairs of parameters for pairs of modules; shortcuts that a block does not have are left out."""
    own = target.state_dict()
    kinds = ("weight", "bias")
    return [(f"{a}.{kind}", f"{b}.{kind}") for a, b in modules for kind in kinds if f"{b}.{kind}" in own]


def _split_attention(theirs: dict[str, torch.Tensor], ours: str, head_channels: int) -> dict[str, torch.Tensor]:
    """Split the fused projection, whose rows are (head, [q, k, v], channel), into diffusers' three."""
    channels = theirs["norm.weight"].shape[0]
    state = {f"{ours}.group_norm.{kind}": theirs[f"norm.{kind}"] for kind in ("weight", "bias")}
    weight = theirs["qkv.weight"].reshape(channels // head_channels, 3, head_channels, channels)
    bias = theirs["qkv.bias"].reshape(channels // head_channels, 3, head_channels)
    for index, name in enumerate(("to_q", "to_k", "to_v")):
        state[f"{ours}.{name}.weight"] = weight[:, index].reshape(channels, channels)
        state[f"{ours}.{name}.bias"] = bias[:, index].reshape(channels)
    state[f"{ours}.to_out.0.weight"] = theirs["proj_out.weight"][..., 0]
    state[f"{ours}.to_out.0.bias"] = theirs["proj_out.bias"]
    return state


def _fold_rescaler(
    weight: torch.Tensor, tensors: dict[str, torch.Tensor], config: LdmConfig, unet: UNet2DModel
) -> torch.Tensor:
    """Return `conv_in`'s weight (C, latents + planes, 3, 3) on the planes instead of their 1×1 convolution."""
    mapper = take_prefix(tensors, "cond_stage_model.channel_mapper.")
    shapes = {"weight": (config.rescaled_channels, config.num_planes, 1, 1)}
    check_names(mapper, shapes, "rescaler")
    on_latents, on_condition = weight.double().split([config.latent_channels, config.rescaled_channels], dim=1)
    folded = torch.einsum("omyx,mp->opyx", on_condition, mapper["weight"][..., 0, 0].double())
    num_classes = unet.config["in_channels"] - config.latent_channels
    return torch.cat([on_latents, folded[:, config.num_planes - num_classes :]], dim=1).to(weight.dtype)


def choose_config(checkpoint: Path, config: str | Path | None) -> tuple[LdmConfig, str]:
    """Return the configuration to convert with, and the name of the profile in the bitstream.

    Args:
        checkpoint: whose path names the published model where `config` is None.
        config: path of a config.yaml, or the name of a published model, a key of `PUBLISHED`.

    Raises:
        ValueError: neither is given, or a configuration that cannot be converted.
    """
    if config is None:
        named = [name for name in PUBLISHED if name in str(checkpoint.absolute())]
        if len(named) != 1:
            raise ValueError(
                f"`config` must be given, because the path {checkpoint} does not say which model it is: the "
                f"config.yaml that was published with the checkpoint, or one of {', '.join(PUBLISHED)}"
            )
        config = named[0]
    chosen = PUBLISHED[str(config)] if str(config) in PUBLISHED else read_config(config)
    known = [name for name, published in PUBLISHED.items() if published == chosen]
    return chosen, known[0].replace("synthesis", "synthesis-").replace("_", "-") if known else "custom"


def choose_taxonomy(config: LdmConfig, taxonomy: str | None) -> str:
    """Return the label set of a model's planes.

    Raises:
        ValueError: one that has not the configuration's number of classes, or no name where the number says nothing.
    """
    if taxonomy is None:
        candidates = [PLANE_TAXONOMIES.get(config.num_planes - extra) for extra in (0, 1)]
        taxonomy = next((name for name in candidates if name), None)
    if taxonomy is None:
        raise ValueError(f"`taxonomy` must be given for {config.num_planes} planes: one of {', '.join(NUMBERS)}")
    num_classes = load_taxonomy(taxonomy).num_classes
    if config.num_planes - num_classes not in (0, 1):
        raise ValueError(f"`taxonomy` {taxonomy} has {num_classes} classes, but the model {config.num_planes} planes")
    return taxonomy


def convert_checkpoint(
    checkpoint: str | Path,
    folder: str | Path,
    *,
    config: str | Path | None = None,
    taxonomy: str | None = None,
    dtype: str = "float32",
    use_ema: bool = True,
) -> Path:
    """Convert a published checkpoint to a pipeline folder.

    Args:
        checkpoint: `model.ckpt` of a label-conditioned latent diffusion model.
        folder: to write, whole or not at all.
        config: path of its config.yaml, or `semantic_synthesis512` or `…256`; read off the checkpoint's path if None.
        taxonomy: name of the label set; from the number of planes if None.
        dtype: `float32`, `float16` or `bfloat16`, of the weights on disk.
        use_ema: take the averaged weights where there are any.

    Returns:
        `folder`, which `SemanticCompressionPipeline.from_pretrained` loads.

    Raises:
        ValueError: a checkpoint or configuration that cannot be converted.
        OSError: a file that cannot be read or written, or a folder that holds something already.
    """
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` must be one of {', '.join(DTYPES)}, got {dtype!r}")
    with atomic_folder(Path(folder)) as temporary:
        settings, profile = choose_config(Path(checkpoint), config)
        label_set = choose_taxonomy(settings, taxonomy)
        tensors = read_state_dict(checkpoint)
        vae, unet, scheduler = build_modules(settings, load_taxonomy(label_set).num_classes)
        convert_first_stage(tensors, settings, vae)
        convert_denoiser(tensors, settings, unet, use_ema=use_ema)
        if "scale_factor" in tensors:  # measured on the first batch of the training run
            vae.register_to_config(scaling_factor=float(tensors["scale_factor"]))
            logger.info("The checkpoint scales its latents by %g.", float(tensors["scale_factor"]))
        for module in (vae, unet):
            nn.Module.to(module, DTYPES[dtype])  # in place; diffusers' own `to` warns
        pipeline = LatentDiffusionCompressionPipeline(
            vae,
            unet,
            scheduler,
            segmenter=None,
            taxonomy=label_set,
            profile=profile,
            label_resampling="area",
            preset="paper",
        )
        pipeline.save_pretrained(temporary)
    return Path(folder)
