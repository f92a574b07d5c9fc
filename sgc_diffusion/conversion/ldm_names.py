"""Which tensor of a latent diffusion checkpoint becomes which of diffusers' UNet2DModel and VQModel.

    input_blocks.4.0.in_layers.0.weight ──▶ down_blocks.1.resnets.0.norm1.weight
    decoder.up.2.block.0.nin_shortcut.bias ──▶ decoder.up_blocks.0.resnets.0.conv_shortcut.bias

Both sides are written down here as prefixes of modules; the parts inside a module have the names of `RESNET`,
`STAGE_RESNET` and `STAGE_ATTENTION`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sgc_diffusion.conversion.ldm_config import LdmConfig

Pair = tuple[str, str]  # name in the checkpoint, name in diffusers

RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
STAGE_RESNET = {
    "norm1": "norm1",
    "conv1": "conv1",
    "norm2": "norm2",
    "conv2": "conv2",
    "nin_shortcut": "conv_shortcut",
}
STAGE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def unet_modules(config: LdmConfig) -> Iterator[Pair]:
    """Yield the denoiser's modules with parameters, but for `conv_in` and the attention blocks' qkv."""
    yield "time_embed.0", "time_embedding.linear_1"
    yield "time_embed.2", "time_embedding.linear_2"
    num_levels, num_blocks = len(config.channel_mult), config.num_res_blocks
    for level in range(num_levels):
        for block in range(num_blocks):
            theirs = f"input_blocks.{1 + level * (num_blocks + 1) + block}"
            yield from _parts(f"{theirs}.0", f"down_blocks.{level}.resnets.{block}", RESNET)
        if level < num_levels - 1:
            theirs = f"input_blocks.{(level + 1) * (num_blocks + 1)}.0.op"
            yield theirs, f"down_blocks.{level}.downsamplers.0.conv"
    yield from _parts("middle_block.0", "mid_block.resnets.0", RESNET)
    yield from _parts("middle_block.2", "mid_block.resnets.1", RESNET)
    for step, level in enumerate(reversed(range(num_levels))):
        for block in range(num_blocks + 1):
            theirs = f"output_blocks.{step * (num_blocks + 1) + block}"
            yield from _parts(f"{theirs}.0", f"up_blocks.{step}.resnets.{block}", RESNET)
        if level:
            place = 2 if level in config.attention_levels else 1
            theirs = f"output_blocks.{step * (num_blocks + 1) + num_blocks}.{place}.conv"
            yield theirs, f"up_blocks.{step}.upsamplers.0.conv"
    yield "out.0", "conv_norm_out"
    yield "out.2", "conv_out"


def unet_attentions(config: LdmConfig) -> Iterator[Pair]:
    """Yield the denoiser's attention blocks."""
    num_blocks, last = config.num_res_blocks, len(config.channel_mult) - 1
    for level in config.attention_levels:
        for block in range(num_blocks):
            theirs = f"input_blocks.{1 + level * (num_blocks + 1) + block}.1"
            yield theirs, f"down_blocks.{level}.attentions.{block}"
        for block in range(num_blocks + 1):
            theirs = f"output_blocks.{(last - level) * (num_blocks + 1) + block}.1"
            yield theirs, f"up_blocks.{last - level}.attentions.{block}"
    yield "middle_block.1", "mid_block.attentions.0"


def first_stage_modules(config: LdmConfig) -> Iterator[Pair]:
    """Yield the first stage's modules with parameters."""
    num_levels, num_blocks = len(config.stage_mult), config.stage_res_blocks
    yield from ((name, name) for name in ("quant_conv", "post_quant_conv", "quantize.embedding"))
    for half in ("encoder", "decoder"):
        yield f"{half}.conv_in", f"{half}.conv_in"
        yield f"{half}.norm_out", f"{half}.conv_norm_out"
        yield f"{half}.conv_out", f"{half}.conv_out"
        yield from _parts(f"{half}.mid.block_1", f"{half}.mid_block.resnets.0", STAGE_RESNET)
        yield from _parts(f"{half}.mid.block_2", f"{half}.mid_block.resnets.1", STAGE_RESNET)
        yield from _parts(f"{half}.mid.attn_1", f"{half}.mid_block.attentions.0", STAGE_ATTENTION)
    for level in range(num_levels):
        above = num_levels - 1 - level  # diffusers counts the decoder's levels from the smallest one
        for block in range(num_blocks):
            names = f"encoder.down.{level}.block.{block}", f"encoder.down_blocks.{level}.resnets.{block}"
            yield from _parts(*names, STAGE_RESNET)
        for block in range(num_blocks + 1):
            names = f"decoder.up.{above}.block.{block}", f"decoder.up_blocks.{level}.resnets.{block}"
            yield from _parts(*names, STAGE_RESNET)
        if above:
            yield f"encoder.down.{level}.downsample.conv", f"encoder.down_blocks.{level}.downsamplers.0.conv"
            yield f"decoder.up.{above}.upsample.conv", f"decoder.up_blocks.{level}.upsamplers.0.conv"


def _parts(theirs: str, ours: str, names: dict[str, str]) -> Iterator[Pair]:
    yield from ((f"{theirs}.{left}", f"{ours}.{right}") for left, right in names.items())
