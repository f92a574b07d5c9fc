"""What the published latent diffusion checkpoints hold: every name and shape, listed from their configuration.

The lists were compared once with `state_dict()` of the authors' own `LatentDiffusion`, built from the authors' config
(github.com/CompVis/latent-diffusion, commit a506df5): 652 tensors, SHA-256 over the sorted lines "name shape" as
`PUBLISHED_DIGEST` in test_ldm.py.
"""

import zlib

import numpy as np
import pytest
import torch
import yaml

SCHEDULE = (
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
)


def _conv(name, outputs, inputs, side):
    return {f"{name}.weight": (outputs, inputs, *(side,) * 2), f"{name}.bias": (outputs,)}


def _vector(name, channels):
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def _linear(name, outputs, inputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _unet(params):
    width, mults, blocks = params["model_channels"], params["channel_mult"], params["num_res_blocks"]

    def residual(name, inputs, outputs):
        shapes = _vector(f"{name}.in_layers.0", inputs) | _conv(f"{name}.in_layers.2", outputs, inputs, 3)
        shapes |= _linear(f"{name}.emb_layers.1", outputs, 4 * width) | _vector(f"{name}.out_layers.0", outputs)
        shapes |= _conv(f"{name}.out_layers.3", outputs, outputs, 3)
        return shapes | (_conv(f"{name}.skip_connection", outputs, inputs, 1) if inputs != outputs else {})

    shapes = _linear("time_embed.0", 4 * width, width) | _linear("time_embed.2", 4 * width, 4 * width)
    shapes |= _conv("input_blocks.0.0", width, params["in_channels"], 3)
    channels, skips, index = width, [width], 1
    for level, mult in enumerate(mults):
        for _ in range(blocks):
            shapes |= residual(f"input_blocks.{index}.0", channels, mult * width)
            channels, index = mult * width, index + 1
            skips.append(channels)
        if level < len(mults) - 1:
            shapes |= _conv(f"input_blocks.{index}.0.op", channels, channels, 3)
            skips.append(channels)
            index += 1
    shapes |= residual("middle_block.0", channels, channels) | residual("middle_block.2", channels, channels)
    shapes |= _vector("middle_block.1.norm", channels)
    for part, outputs in (("qkv", 3 * channels), ("proj_out", channels)):
        shapes |= {f"middle_block.1.{part}.weight": (outputs, channels, 1), f"middle_block.1.{part}.bias": (outputs,)}
    index = 0
    for level, mult in reversed(list(enumerate(mults))):
        for block in range(blocks + 1):
            shapes |= residual(f"output_blocks.{index}.0", channels + skips.pop(), mult * width)
            channels = mult * width
            if level and block == blocks:
                shapes |= _conv(f"output_blocks.{index}.1.conv", channels, channels, 3)
            index += 1
    return shapes | _vector("out.0", width) | _conv("out.2", params["out_channels"], width, 3)


def _first_stage(params):
    dd = params["ddconfig"]
    width, mults, blocks, latents = dd["ch"], dd["ch_mult"], dd["num_res_blocks"], dd["z_channels"]

    def residual(name, inputs, outputs):
        shapes = _vector(f"{name}.norm1", inputs) | _conv(f"{name}.conv1", outputs, inputs, 3)
        shapes |= _vector(f"{name}.norm2", outputs) | _conv(f"{name}.conv2", outputs, outputs, 3)
        return shapes | (_conv(f"{name}.nin_shortcut", outputs, inputs, 1) if inputs != outputs else {})

    def middle(name, channels):
        shapes = residual(f"{name}.block_1", channels, channels) | residual(f"{name}.block_2", channels, channels)
        shapes |= _vector(f"{name}.attn_1.norm", channels)
        for part in ("q", "k", "v", "proj_out"):
            shapes |= _conv(f"{name}.attn_1.{part}", channels, channels, 1)
        return shapes

    top = width * mults[-1]
    shapes = {"quantize.embedding.weight": (params["n_embed"], params["embed_dim"])}
    shapes |= _conv("quant_conv", params["embed_dim"], latents, 1)
    shapes |= _conv("post_quant_conv", latents, params["embed_dim"], 1)
    shapes |= _conv("encoder.conv_in", width, dd["in_channels"], 3) | middle("encoder.mid", top)
    shapes |= _vector("encoder.norm_out", top) | _conv("encoder.conv_out", latents, top, 3)
    shapes |= _conv("decoder.conv_in", top, latents, 3) | middle("decoder.mid", top)
    shapes |= _vector("decoder.norm_out", width) | _conv("decoder.conv_out", dd["out_ch"], width, 3)
    channels = width
    for level, mult in enumerate(mults):
        for block in range(blocks):
            shapes |= residual(f"encoder.down.{level}.block.{block}", channels, mult * width)
            channels = mult * width
        if level < len(mults) - 1:
            shapes |= _conv(f"encoder.down.{level}.downsample.conv", channels, channels, 3)
    for level, mult in reversed(list(enumerate(mults))):
        for block in range(blocks + 1):
            shapes |= residual(f"decoder.up.{level}.block.{block}", channels, mult * width)
            channels = mult * width
        if level:
            shapes |= _conv(f"decoder.up.{level}.upsample.conv", channels, channels, 3)
    return shapes


def list_shapes(params):
    """Return name → shape of every tensor in a checkpoint of a configuration's `model.params`."""
    unet = {f"diffusion_model.{name}": shape for name, shape in _unet(params["unet_config"]["params"]).items()}
    rescaler = params["cond_stage_config"]["params"]
    shapes = {f"model.{name}": shape for name, shape in unet.items()}
    shapes |= {f"model_ema.{name.replace('.', '')}": shape for name, shape in unet.items()}
    shapes |= {"model_ema.decay": (), "model_ema.num_updates": ()}
    stage = _first_stage(params["first_stage_config"]["params"])
    shapes |= {f"first_stage_model.{name}": shape for name, shape in stage.items()}
    shapes["cond_stage_model.channel_mapper.weight"] = (rescaler["out_channels"], rescaler["in_channels"], 1, 1)
    return shapes | dict.fromkeys(SCHEDULE, (params["timesteps"],))


def published_params(image_size):
    """Return `model.params` of the published config.yaml files, which differ in `image_size` alone."""
    unet = {"image_size": image_size, "in_channels": 6, "out_channels": 3, "model_channels": 128}
    unet |= {"attention_resolutions": [32, 16, 8], "num_res_blocks": 2, "channel_mult": [1, 4, 8], "num_heads": 8}
    dd = {"double_z": False, "z_channels": 3, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128}
    dd |= {"ch_mult": [1, 2, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0}
    return {
        "linear_start": 0.0015,
        "linear_end": 0.0205,
        "timesteps": 1000,
        "image_size": image_size,
        "channels": 3,
        "concat_mode": True,
        "cond_stage_trainable": True,
        "unet_config": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": unet},
        "first_stage_config": {
            "target": "ldm.models.autoencoder.VQModelInterface",
            "params": {"embed_dim": 3, "n_embed": 8192, "ddconfig": dd, "lossconfig": {"target": "torch.nn.Identity"}},
        },
        "cond_stage_config": {
            "target": "ldm.modules.encoders.modules.SpatialRescaler",
            "params": {"n_stages": 2, "in_channels": 182, "out_channels": 3},
        },
    }


def tiny_params():
    """Return the published configuration with narrow layers."""
    params = published_params(8)
    params["unet_config"]["params"] |= {"model_channels": 32, "channel_mult": [1, 2, 2], "num_heads": 4}
    params["first_stage_config"]["params"]["ddconfig"] |= {"ch": 32, "ch_mult": [1, 1, 2]}
    params["first_stage_config"]["params"]["n_embed"] = 64
    return params


def random_tensor(name, shape):
    """Return numbers that depend on the name alone: norms about 1, biases about 0, the rest of unit gain."""
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) < 2:
        return torch.tensor(0.1 * values + name.endswith("weight"), dtype=torch.float32)
    return torch.tensor(values / np.sqrt(np.prod(shape[1:])), dtype=torch.float32)


@pytest.fixture(scope="session")
def shapes_of():
    return list_shapes


@pytest.fixture(scope="session")
def published():
    return published_params


@pytest.fixture(scope="session")
def tiny_tensors():
    return {name: random_tensor(name, shape) for name, shape in list_shapes(tiny_params()).items()}


@pytest.fixture()
def tiny_config():
    return {"model": {"target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": tiny_params()}}


@pytest.fixture()
def tiny_checkpoint(tmp_path, tiny_tensors, tiny_config):
    """A checkpoint and config.yaml of the original's layout, with narrow layers."""
    torch.save({"state_dict": tiny_tensors, "epoch": 3, "global_step": 12}, tmp_path / "model.ckpt")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny_config))
    return tmp_path / "model.ckpt"
