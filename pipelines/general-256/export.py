"""Turn the training checkpoints into a pipeline folder that `from_pretrained` loads.

    python pipelines/general-256/export.py [--output sgc_diffusion/weights/general-256]

Averaged weights, fp16, files of at most 14 MB. The first stage is also written as fp32 to
`runs/general-256/export/vae`, for the trainings on its latents; with `--only-first-stage`, that alone.
"""

import argparse
import shutil
import tomllib
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderDC
from train_denoiser import build_denoiser, build_scheduler
from train_first_stage import build_first_stage, center_crops
from train_segmenter import build_segmenter

from sgc_diffusion.families.latent_diffusion import LatentDiffusionCompressionPipeline
from sgc_diffusion.synthesis.few_step import FewStepHead
from sgc_diffusion.training.data import PhotoCache
from sgc_diffusion.training.loops import load_averaged
from sgc_diffusion.zoo.checksums import write_checksums

HERE = Path(__file__).parent
NAME = "general-256"


@torch.no_grad()
def export_first_stage(recipe: dict, runs: Path) -> AutoencoderDC:
    """Write and return the first stage, with a scale that makes its latents of unit variance."""
    vae = load_averaged(build_first_stage(recipe["first_stage"]), runs / "first_stage" / "checkpoint.pt")
    cache = PhotoCache(runs / "train")
    latents = vae.encode(center_crops(cache, np.arange(0, len(cache), max(1, len(cache) // 64)))).latent
    vae.register_to_config(scaling_factor=round(float(1 / latents.std()), 4))
    vae.save_pretrained(runs / "export" / "vae")
    return vae


def build_pipeline(recipe: dict, runs: Path, vae: AutoencoderDC) -> LatentDiffusionCompressionPipeline:
    """Return the pipeline of all trainings; the few-step head is None before its own."""
    unet = build_denoiser(recipe["denoiser"], vae.config["latent_channels"])
    load_averaged(unet, runs / "denoiser" / "checkpoint.pt")
    checkpoint, head = runs / "few_step" / "checkpoint.pt", FewStepHead.from_denoiser(unet)
    segmenter = build_segmenter(recipe["segmenter"])
    return LatentDiffusionCompressionPipeline(
        vae=vae,
        unet=unet,
        scheduler=build_scheduler(),
        segmenter=load_averaged(segmenter, runs / "segmenter" / "checkpoint.pt"),
        few_step_head=load_averaged(head, checkpoint) if checkpoint.exists() else None,
        taxonomy=recipe["denoiser"]["taxonomy"],
        profile=NAME,
        preset="standard" if checkpoint.exists() else "fine",
        segmenter_short_side=recipe["segmenter"]["short_side"],
        **recipe["drawing"],
    )


def main() -> None:
    """Export the first stage, or the whole pipeline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs") / NAME)
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml")
    parser.add_argument("--output", type=Path, default=HERE.parents[1] / "sgc_diffusion" / "weights" / NAME)
    parser.add_argument("--only-first-stage", action="store_true", help="for the trainings on its latents")
    arguments = parser.parse_args()
    recipe, runs = tomllib.loads(arguments.recipe.read_text()), arguments.runs
    vae = export_first_stage(recipe, runs)
    if arguments.only_first_stage:
        return
    pipeline = build_pipeline(recipe, runs, vae)
    temporary = arguments.output.with_suffix(".tmp")
    pipeline.to(dtype=torch.float16).save_pretrained(temporary, max_shard_size="14MB")
    write_checksums(temporary)
    for card in arguments.output.glob("README.md"):
        shutil.copy(card, temporary)
    shutil.rmtree(arguments.output, ignore_errors=True)
    temporary.rename(arguments.output)


if __name__ == "__main__":
    main()
