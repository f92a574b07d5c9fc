"""Turn the training checkpoints into diffusers and transformers folders.

python pipelines/general-256/export.py --only-first-stage     # fp32, for the trainings on its latents
"""

import argparse
import tomllib
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderDC
from train_first_stage import build_first_stage, center_crops

from sgc_diffusion.training.data import PhotoCache
from sgc_diffusion.training.loops import load_averaged

HERE = Path(__file__).parent


@torch.no_grad()
def export_first_stage(recipe: dict, runs: Path) -> AutoencoderDC:
    """Write and return the first stage, with a scale that makes its latents of unit variance."""
    vae = load_averaged(build_first_stage(recipe["first_stage"]), runs / "first_stage" / "checkpoint.pt")
    cache = PhotoCache(runs / "train")
    latents = vae.encode(center_crops(cache, np.arange(0, len(cache), max(1, len(cache) // 64)))).latent
    vae.register_to_config(scaling_factor=round(float(1 / latents.std()), 4))
    vae.save_pretrained(runs / "export" / "vae")
    return vae


def main() -> None:
    """Export the first stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/general-256"))
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml")
    parser.add_argument("--only-first-stage", action="store_true", help="for the trainings on its latents")
    arguments = parser.parse_args()
    export_first_stage(tomllib.loads(arguments.recipe.read_text()), arguments.runs)


if __name__ == "__main__":
    main()
