"""`sgc recode`: .sgc files → the same with another recipe or under another key, without drawing them, without torch."""

from __future__ import annotations

import argparse
from typing import Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.arguments import add_command, add_inputs, add_targets, not_empty, recipe_field
from sgc_diffusion.cli.batch import Report, Result, file_command, find_jobs, run_each
from sgc_diffusion.cli.errors import CommandError, UsageError
from sgc_diffusion.cli.inputs import FILE_SUFFIX, read_source
from sgc_diffusion.cli.keys import load_key, read_key
from sgc_diffusion.cli.outputs import Job, Naming, check_still_free, writing
from sgc_diffusion.payload.recipe import PRESETS, SCHEDULERS, preset_values

BESIDE_SUFFIX = ".recoded.sgc"  # of results that go beside their sources


def add_recode(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    summary = "Change how .sgc files are to be drawn, or the key that seals them, without drawing them."
    parser = add_command(commands, "recode", summary, file_command(recode, describe))
    add_inputs(parser, "FILE")
    add_targets(parser)
    add = parser.add_argument
    add("--preset", choices=list(PRESETS), help="how to draw: fast is 1 step, paper 200 DDIM steps")
    add("--seed", type=recipe_field("seed", int), help="of the noise, 0 to 65535; other seeds give other details")
    add("--steps", type=recipe_field("num_inference_steps", int), help="of the whole schedule")
    add("--strength", type=recipe_field("strength", float), help="how freely to redraw, 0.01 to 1")
    add("--guidance", type=recipe_field("guidance_scale", float), help="how strictly to follow the labels; 1 is plain")
    add("--scheduler", choices=list(SCHEDULERS), help="lcm draws in one to four steps")
    seal = parser.add_mutually_exclusive_group()
    seal.add_argument("--new-key-file", type=not_empty, help="holds the key of the results; default: the old one")
    seal.add_argument("--new-passphrase-file", type=not_empty, help="holds words instead; its first line counts")
    seal.add_argument("--unseal", action="store_true", help="write plain files; the key that opens them is needed")


def recode(arguments: argparse.Namespace, report: Report) -> None:
    """Recode each file and tell the report.

    Raises:
        UsageError: nothing is to be changed.
    """
    fields = {"seed": arguments.seed, "num_inference_steps": arguments.steps, "strength": arguments.strength}
    fields |= {"guidance_scale": arguments.guidance, "scheduler": arguments.scheduler}
    changes = preset_values(arguments.preset) if arguments.preset else {}
    changes |= {name: value for name, value in fields.items() if value is not None}
    key, new_key = read_key(arguments), load_key(arguments.new_key_file, arguments.new_passphrase_file)
    if not changes and new_key is None and not arguments.unseal:
        raise UsageError("recode: nothing to change; give --seed, --preset, --new-key-file, --unseal or another option")
    if arguments.unseal and key is None:
        raise UsageError("recode: --unseal needs the --key-file or --passphrase-file that the files are sealed with")
    new_key = None if arguments.unseal else new_key or key
    suffix = BESIDE_SUFFIX if arguments.output is None else FILE_SUFFIX
    naming = Naming({FILE_SUFFIX}, suffix, {FILE_SUFFIX}, FILE_SUFFIX)

    def handle(job: Job) -> Result:
        check_still_free(job, overwrite=arguments.force, skip_existing=arguments.skip_existing)
        data = read_source(job.source)
        if bitstream.inspect(data).is_encrypted and key is None:
            raise CommandError(f"{job.source.name}: is encrypted; give its --key-file or --passphrase-file")
        recoded = bitstream.recode(data, key=key, new_key=new_key, recipe=changes)
        with writing(job, naming, overwrite=arguments.force) as temporary:
            temporary.write_bytes(recoded)
        sizes = {"bytes_before": len(data), "bytes": len(recoded)}
        return {"input": job.source.name, "output": job.output, **sizes, "encrypted": new_key is not None}

    run_each(find_jobs(arguments, report, {FILE_SUFFIX}, f"{FILE_SUFFIX} files", naming), handle, report)


def describe(result: Result) -> str:
    """Return the line for a recoded file."""
    return "{output}: {bytes} bytes, before {bytes_before}".format(**result) + (", sealed" * result["encrypted"])
