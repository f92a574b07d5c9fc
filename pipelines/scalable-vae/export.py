"""Turn the checkpoint into a pipeline folder that `from_pretrained` loads.

    python pipelines/scalable-vae/export.py [--segmenter FOLDER] [--output runs/scalable-vae/export]

Averaged weights, fp16. With the folder of a transformers segmenter of the recipe's label set it can encode as well.
"""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import torch
from train_vae import RECIPE, build_vae

from sgc_diffusion.families.vae import VaeCompressionPipeline
from sgc_diffusion.training.loops import load_averaged, recipe_parser

CARD = RECIPE.with_name("card.md")


def main() -> None:
    """Export the pipeline."""
    parser = recipe_parser(__doc__, RECIPE)
    parser.add_argument("--output", type=Path, help="folder; `export` among the runs if not given")
    parser.add_argument("--segmenter", type=Path, help="folder of a transformers model")
    arguments = parser.parse_args()
    everything = tomllib.loads(arguments.recipe.read_text())
    model = load_averaged(build_vae(everything["vae"]), arguments.runs / "vae" / "checkpoint.pt")
    segmenter = None
    if arguments.segmenter is not None:
        from transformers import UperNetForSemanticSegmentation

        segmenter = UperNetForSemanticSegmentation.from_pretrained(arguments.segmenter)
    pipeline = VaeCompressionPipeline(
        vae=model.decoder,
        latent_encoder=model.encoder,
        segmenter=segmenter,
        taxonomy=everything["vae"]["taxonomy"],
        profile="custom",
        preset="sdedit",
    )
    output = arguments.output or arguments.runs / "export"
    temporary = output.with_suffix(".tmp")
    pipeline.to(dtype=torch.float16).save_pretrained(temporary)
    shutil.copy(CARD, temporary / "README.md")
    shutil.rmtree(output, ignore_errors=True)
    temporary.rename(output)


if __name__ == "__main__":
    main()
