"""`sgc convert`: published weights → pipeline folders."""

from __future__ import annotations

import argparse
from typing import Any

from sgc_diffusion.cli.arguments import add_command, not_empty
from sgc_diffusion.cli.streams import write_line

CONVERT_EXAMPLES = """examples:
  sgc convert ldm models/ldm/semantic_synthesis512/model.ckpt semantic-synthesis-512
  sgc convert ldm model.ckpt my-pipeline --config config.yaml --dtype float16
  sgc compress photo.jpg --pipeline ./semantic-synthesis-512 --segmenter openmmlab/upernet-convnext-small"""


def add_convert(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    summary = "Convert published weights to a pipeline folder."
    parser = add_command(commands, "convert", summary, convert, examples=CONVERT_EXAMPLES)
    parser.add_argument("kind", choices=["ldm"], help="ldm: CompVis latent diffusion drawing from label maps")
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", type=not_empty, help="the published model.ckpt; nothing in it is executed"
    )
    parser.add_argument("folder", metavar="OUT_DIR", type=not_empty, help="to write")
    parser.add_argument("--config", help="its config.yaml, or semantic_synthesis256 or semantic_synthesis512")
    parser.add_argument("--taxonomy", help="label set of its planes; default: from their number")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"], help="on disk")
    parser.add_argument("--no-ema", action="store_true", help="take the last weights, not their moving average")


def convert(arguments: argparse.Namespace) -> int:
    """Convert a checkpoint; return the exit code."""
    from sgc_diffusion.conversion.ldm import convert_checkpoint

    folder = convert_checkpoint(
        arguments.checkpoint,
        arguments.folder,
        config=arguments.config,
        taxonomy=arguments.taxonomy,
        dtype=arguments.dtype,
        use_ema=not arguments.no_ema,
    )
    size_mb = sum(path.stat().st_size for path in folder.rglob("*.safetensors")) / 2**20
    write_line(f'{folder}: {size_mb:.0f} MB; load it with SemanticCompressionPipeline.from_pretrained("{folder}")')
    return 0
