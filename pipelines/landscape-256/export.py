"""Turn the training checkpoints into a pipeline folder that `from_pretrained` loads.

    python pipelines/landscape-256/export.py [--output sgc_diffusion/weights/landscape-256]

Averaged weights, fp16, files of at most 14 MB. The first stage is also written as fp32 to
`runs/landscape-256/export/vae`, for the trainings on its latents; with `--only-first-stage`, that alone.
"""

import argparse
import shutil
import tomllib
from pathlib import Path

import torch
from diffusers import AutoencoderDC, UNet2DModel
from train_denoiser import build_denoiser, build_scheduler
from train_first_stage import build_first_stage, center_crops
from train_segmenter import build_segmenter

from sgc_diffusion.families.latent_diffusion import LatentDiffusionCompressionPipeline
from sgc_diffusion.synthesis.few_step import FewStepHead
from sgc_diffusion.taxonomy import load_taxonomy
from sgc_diffusion.training.data import PhotoCache
from sgc_diffusion.training.loops import load_averaged
from sgc_diffusion.zoo.checksums import write_checksums

HERE = Path(__file__).parent


@torch.no_grad()
def export_first_stage(recipe: dict, runs: Path) -> AutoencoderDC:
    """Write and return the first stage, with its decoder trained on if it was, and a scale for unit variance."""
    checkpoints = (runs / stage / "checkpoint.pt" for stage in ("decoder", "first_stage"))
    checkpoint = next(path for path in checkpoints if path.exists())
    vae = load_averaged(build_first_stage(recipe["first_stage"]), checkpoint)
    cache = PhotoCache(runs / "train")
    latents = vae.encode(center_crops(cache, range(0, len(cache), max(1, len(cache) // 64)))).latent
    vae.register_to_config(scaling_factor=round(float(1 / latents.std()), 4))
    vae.save_pretrained(runs / "export" / "vae")
    return vae


def export_head(unet: UNet2DModel, runs: Path) -> FewStepHead | None:
    """Return the few-step head, if there is one."""
    checkpoint = runs / "few_step" / "checkpoint.pt"
    head = FewStepHead.from_denoiser(unet)
    return load_averaged(head, checkpoint) if checkpoint.exists() else None


def main() -> None:
    """Export the first stage, or the whole pipeline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/landscape-256"))
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml")
    parser.add_argument("--output", type=Path, default=HERE.parents[1] / "sgc_diffusion" / "weights" / "landscape-256")
    parser.add_argument("--only-first-stage", action="store_true", help="for the trainings on its latents")
    arguments = parser.parse_args()
    recipe, runs = tomllib.loads(arguments.recipe.read_text()), arguments.runs
    vae = export_first_stage(recipe, runs)
    if arguments.only_first_stage:
        return
    num_classes = load_taxonomy(recipe["taxonomy"]).num_classes
    unet = build_denoiser(recipe["denoiser"], vae.config.latent_channels, num_classes)
    segmenter = build_segmenter(recipe["segmenter"], recipe["taxonomy"])
    pipeline = LatentDiffusionCompressionPipeline(
        vae=vae,
        unet=load_averaged(unet, runs / "denoiser" / "checkpoint.pt"),
        scheduler=build_scheduler(),
        segmenter=load_averaged(segmenter, runs / "segmenter" / "checkpoint.pt"),
        taxonomy=recipe["taxonomy"],
        profile="landscape-256",
        preset="standard",
        segmenter_short_side=recipe["segmenter"]["short_side"],
        few_step_head=export_head(unet, runs),
        **recipe["drawing"],
    )
    temporary = arguments.output.with_suffix(".tmp")
    pipeline.to(dtype=torch.float16).save_pretrained(temporary, max_shard_size="14MB")
    write_checksums(temporary)
    for card in arguments.output.glob("README.md"):
        shutil.copy(card, temporary)
    shutil.rmtree(arguments.output, ignore_errors=True)
    temporary.rename(arguments.output)


if __name__ == "__main__":
    main()
