"""`sgc doctor`: which weights, libraries and devices are here, and how to get what is missing."""

from __future__ import annotations

import argparse
from typing import Any

from sgc_diffusion.cli.arguments import add_command
from sgc_diffusion.cli.diagnosis import CORE_LIBRARIES, OPTIONAL_LIBRARIES, diagnose
from sgc_diffusion.cli.streams import write_json, write_line


def add_doctor(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    summary = "Say which weights, libraries and devices are here, and how to get what is missing."
    parser = add_command(commands, "doctor", summary, doctor)
    parser.add_argument("--verify", action="store_true", help="read all weights and compare their checksums")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")


def doctor(arguments: argparse.Namespace) -> int:
    """Show what `diagnose` finds; return 1 if a library that is needed is missing, or weights were changed."""
    diagnosis = diagnose(verify=arguments.verify)
    if arguments.json:
        write_json(diagnosis)
    else:
        for line in describe(diagnosis):
            write_line(line)
    is_whole = not any(pipeline.get("changes") for pipeline in diagnosis["pipelines"])
    return 0 if is_whole and all(diagnosis["libraries"][name] for name in CORE_LIBRARIES) else 1


def describe(diagnosis: dict[str, Any]) -> list[str]:
    """Return a diagnosis as lines to read."""
    lines = [f"Python {diagnosis['python']} on {diagnosis['platform']}", "", "pipelines:"]
    for pipeline in diagnosis["pipelines"]:
        state = "present" if pipeline["present"] else "missing"
        lines.append(f"  {pipeline['name']}: {state}, {pipeline['size_mb']} MB")
        lines.append(f"    from {', '.join(pipeline['from'])}; license: {pipeline['license']}")
        if "changes" in pipeline:
            checked = "no checksums to compare with" if pipeline["changes"] is None else "checksums compared"
            lines += [f"    {checked}", *(f"    CHANGED: {text}" for text in pipeline["changes"] or ())]
        lines += [f"    missing: {place}" for place in pipeline["missing"]]
        lines += [f"    to get it: {command}" for command in pipeline["commands"]]
    lines += ["", "libraries:"]
    for name, version in diagnosis["libraries"].items():
        absent = "MISSING, needed" if name in CORE_LIBRARIES else f"not installed (for {OPTIONAL_LIBRARIES[name]})"
        lines.append(f"  {name}: {version or absent}")
    lines += ["", "devices:"]
    for device in diagnosis["devices"]:
        memory = f", {device['memory_mb']} MB" if device["memory_mb"] else ""
        lines.append(f"  {device['device']}: {device['name']}{memory}")
    lines += ["", "evaluation:"]
    vvc = diagnosis["tools"]["vvc"]
    lines.append(f"  VVC: {vvc['version'] or 'missing (optional): ' + vvc['missing']}")
    for weights in diagnosis["tools"]["metric_weights"].values():
        state = "present" if weights["present"] else f"missing: {weights['command']}"
        lines.append(f"  weights of {', '.join(weights['metrics'])}: {state}")
    return lines
