"""The decoders that this package knows by name: what they are made of, from where, and under which license."""

from __future__ import annotations

from dataclasses import dataclass

LDM_FILES = "https://ommer-lab.com/files/latent-diffusion"
DEFAULT_BASE = "stable-diffusion-v1-5/stable-diffusion-v1-5"
DEFAULT_CONTROLNET = "lllyasviel/control_v11p_sd15_seg"
DEFAULT_SEGMENTER = "openmmlab/upernet-convnext-small"  # ADE20K, what the ControlNet's maps were made with
LDM_LICENSE = "MIT (CompVis/latent-diffusion); none is stated for the weights themselves"


@dataclass(frozen=True)
class KnownPipeline:
    """One decoder.

    Attributes:
        name: what `from_pretrained` takes; for a converted one also the folder that its commands write.
        sources: where the weights come from: Hub ids or addresses; empty for an embedded pipeline.
        size_mb: of the weights in all, about, in 2²⁰ bytes; for one that is converted, of the folder in float32.
        license: of the weights, as far as their authors say.
        commands: what gets them, in order; the words after `sgc` or the shell's.
    """

    name: str
    sources: tuple[str, ...]
    size_mb: int
    license: str
    commands: tuple[str, ...]


def _converted(name: str, archive: str, config: str) -> KnownPipeline:
    commands = (
        f"curl -LO {LDM_FILES}/{archive}.zip",
        f"unzip {archive}.zip -d {archive}",
        f"sgc convert ldm {archive}/model.ckpt {name} --config {config}",
    )
    return KnownPipeline(name, (f"{LDM_FILES}/{archive}.zip",), 1033, LDM_LICENSE, commands)


def _from_hub(hub_id: str, *patterns: str) -> str:
    return " ".join(["hf download", hub_id, *(f'--include "{pattern}"' for pattern in patterns)])


KNOWN_PIPELINES = (
    KnownPipeline("landscape-256", (), 41, "research use, see its model card", ("pip install --force-reinstall .",)),
    _converted("semantic-synthesis-512", "semantic_synthesis", "semantic_synthesis512"),
    _converted("semantic-synthesis-256", "semantic_synthesis256", "semantic_synthesis256"),
    KnownPipeline(
        "controlnet-seg",
        (DEFAULT_BASE, DEFAULT_CONTROLNET, DEFAULT_SEGMENTER),
        5760,
        "CreativeML OpenRAIL-M (base and ControlNet), MIT (segmenter)",
        (  # the repositories hold the same weights several times over
            _from_hub(
                DEFAULT_BASE,
                "*.json",
                "tokenizer/*",
                "text_encoder/model.safetensors",
                "*/diffusion_pytorch_model.safetensors",
            ),
            _from_hub(DEFAULT_CONTROLNET, "config.json", "diffusion_pytorch_model.*"),
            _from_hub(DEFAULT_SEGMENTER),
        ),
    ),
)
