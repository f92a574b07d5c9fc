"""The decoders that this package knows by name: what they are made of, from where, and under which licence."""

from __future__ import annotations

from dataclasses import dataclass

LDM_FILES = "https://ommer-lab.com/files/latent-diffusion"
LDM_LICENSE = "MIT (CompVis/latent-diffusion); none is stated for the weights themselves"


@dataclass(frozen=True)
class KnownPipeline:
    """One decoder.

    Attributes:
        name: what `from_pretrained` takes; for a converted one also the folder that its commands write.
        sources: where the weights come from: Hub ids or addresses; empty for an embedded pipeline.
        size_mb: of the weights in all, about; for one that is converted, of the folder in float32.
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
    return KnownPipeline(name, (f"{LDM_FILES}/{archive}.zip",), 1083, LDM_LICENSE, commands)


KNOWN_PIPELINES = (
    KnownPipeline("landscape-256", (), 40, "research use, see its model card", ("pip install --force-reinstall .",)),
    _converted("semantic-synthesis-512", "semantic_synthesis", "semantic_synthesis512"),
    _converted("semantic-synthesis-256", "semantic_synthesis256", "semantic_synthesis256"),
    KnownPipeline(
        "controlnet-seg",
        (
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "lllyasviel/control_v11p_sd15_seg",
            "openmmlab/upernet-convnext-small",
        ),
        5400,
        "CreativeML OpenRAIL-M (base and ControlNet), MIT (segmenter)",
        (
            "hf download stable-diffusion-v1-5/stable-diffusion-v1-5",
            "hf download lllyasviel/control_v11p_sd15_seg",
            "hf download openmmlab/upernet-convnext-small",
        ),
    ),
)
