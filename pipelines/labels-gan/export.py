"""Turn the checkpoint of a configuration into a pipeline folder that `from_pretrained` loads.

    python pipelines/labels-gan/export.py [--configuration ours|dsslic] [--segmenter FOLDER] [--output FOLDER]

Averaged weights, fp16, files of at most 14 MB. Without the folder of a transformers segmenter it only draws, what other
pipelines encoded: their labels are mapped to its own.
"""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import torch
from train_gan import CONFIGURATIONS, RECIPE, build_networks

from sgc_diffusion.families.gan import GanCompressionPipeline
from sgc_diffusion.training.loops import load_averaged, recipe_parser
from sgc_diffusion.zoo.checksums import write_checksums


def main() -> None:
    """Export the pipeline."""
    parser = recipe_parser(__doc__, RECIPE)
    parser.add_argument("--configuration", choices=CONFIGURATIONS, default=CONFIGURATIONS[0])
    parser.add_argument("--output", type=Path, help="folder; `export` among the configuration's runs if not given")
    parser.add_argument("--segmenter", type=Path, help="folder of a transformers model")
    arguments = parser.parse_args()
    everything, runs = tomllib.loads(arguments.recipe.read_text()), arguments.runs / arguments.configuration
    model = load_averaged(build_networks(everything), runs / "checkpoint.pt")
    segmenter = None
    if arguments.segmenter is not None:
        from transformers import UperNetForSemanticSegmentation

        segmenter = UperNetForSemanticSegmentation.from_pretrained(arguments.segmenter)
    pipeline = GanCompressionPipeline(
        generator=model["generator"],  # pyright: ignore[reportArgumentType]
        compact_network=model["compact"],  # pyright: ignore[reportArgumentType]
        segmenter=segmenter,
        taxonomy=everything["taxonomy"],
        profile="labels-gan",
    )
    output = arguments.output or runs / "export"
    temporary = output.with_suffix(".tmp")
    pipeline.to(dtype=torch.float16).save_pretrained(temporary, max_shard_size="14MB")
    write_checksums(temporary)
    shutil.copy(RECIPE.with_name("card.md"), temporary / "README.md")
    shutil.rmtree(output, ignore_errors=True)
    temporary.rename(output)


if __name__ == "__main__":
    main()
