"""`sgc --print-completion SHELL`: the lines that make a shell complete the command."""

from __future__ import annotations

import argparse
from typing import Any

from sgc_diffusion.cli.streams import write_line
from sgc_diffusion.extras import require

SHELLS = ("bash", "zsh", "tcsh")  # those of shtab
FILES = {"inputs", "output", "key_file", "passphrase_file", "pipeline", "segmenter"}  # arguments that can name a file


class PrintCompletion(argparse.Action):
    """Prints the lines for a shell and ends, as `--version` does."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None) -> None:
        """Print the lines for the shell `values`.

        Raises:
            ImportError: shtab is not installed.
        """
        require("completion", option_string or "Completion")
        import shtab

        _complete_files(parser, shtab.FILE)
        write_line(shtab.complete(parser, shell=values))
        parser.exit()


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Add the option to the parser of `sgc`."""
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=SHELLS,
        help='print what makes a shell complete this command: eval "$(sgc --print-completion bash)"',
    )


def _complete_files(parser: argparse.ArgumentParser, files: Any) -> None:
    """Have the arguments of a parser and of its commands that name files completed by the names of files."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_files(command, files)
        elif action.dest in FILES or action.dest.endswith("_file"):
            action.complete = files  # type: ignore[attr-defined] - where shtab looks for it
