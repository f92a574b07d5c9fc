"""The commands `sgc convert` and `sgc doctor`: getting published weights, and saying what is here."""

from __future__ import annotations

import argparse
import json
from typing import Any

CONVERT_EXAMPLES = """examples:
  sgc convert ldm models/ldm/semantic_synthesis512/model.ckpt semantic-synthesis-512
  sgc convert ldm model.ckpt my-pipeline --config config.yaml --dtype float16
  sgc compress photo.jpg --pipeline ./semantic-synthesis-512 --segmenter openmmlab/upernet-convnext-small"""


def convert_command(arguments: argparse.Namespace) -> int:
    """`sgc convert ldm`."""
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
    print(f'{folder}: {size_mb:.0f} MB; load it with SemanticCompressionPipeline.from_pretrained("{folder}")')
    return 0


def doctor_command(arguments: argparse.Namespace) -> int:
    """`sgc doctor`."""
    from sgc_diffusion.cli.doctor import CORE_LIBRARIES, describe, diagnose

    found = diagnose()
    print(json.dumps(found, indent=1, ensure_ascii=False) if arguments.json else "\n".join(describe(found)))
    return 0 if all(found["libraries"][name] for name in CORE_LIBRARIES) else 1


def add_model_commands(commands: Any) -> None:
    """Add both commands to the sub-parsers of `sgc`."""
    raw = argparse.RawDescriptionHelpFormatter
    text = "Convert published weights to a pipeline folder."
    convert = commands.add_parser("convert", help=text, description=text, epilog=CONVERT_EXAMPLES, formatter_class=raw)
    convert.add_argument("kind", choices=["ldm"], help="ldm: CompVis latent diffusion drawing from label maps")
    convert.add_argument("checkpoint", metavar="CHECKPOINT", help="the published model.ckpt; nothing in it is executed")
    convert.add_argument("folder", metavar="OUT_DIR", help="to write")
    convert.add_argument("--config", help="its config.yaml, or semantic_synthesis256 or semantic_synthesis512")
    convert.add_argument("--taxonomy", help="label set of its planes; default: from their number")
    convert.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"], help="on disk")
    convert.add_argument("--no-ema", action="store_true", help="take the last weights, not their moving average")
    convert.set_defaults(run=convert_command)
    text = "Say which weights, libraries and devices are here, and how to get what is missing."
    doctor = commands.add_parser("doctor", help=text, description=text)
    doctor.add_argument("--json", action="store_true", help="print JSON instead of lines")
    doctor.set_defaults(run=doctor_command)
