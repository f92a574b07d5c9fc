"""The command `sgc`: compress, decompress, thin, inspect, verify, convert, doctor; one file each.

`thin`, `inspect`, `verify` and every `--help` work without torch. Options are checked while the command line is read,
names of files and results before a network is loaded. Each file that fails gives one line on standard error; the others
go on.
Exit codes: 0 all went well, 1 a file failed, 2 the command line was wrong, 130 interrupted.
"""

from __future__ import annotations

from sgc_diffusion.cli.errors import UsageError, describe_error
from sgc_diffusion.cli.messages import telling
from sgc_diffusion.cli.parser import build_parser
from sgc_diffusion.cli.streams import close_quietly, write_line


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Args:
        argv: words after the command's name; default: those of the process.
    """
    code = 1
    try:
        arguments = build_parser().parse_args(argv)
        with telling(arguments.verbosity):
            code = arguments.run(arguments)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:  # before the first file: a traceback would tell the user nothing
        write_line(f"sgc: {describe_error(error)}", to_stderr=True)
        code = 2 if isinstance(error, UsageError) else 1
    finally:
        arrived = close_quietly()
    return code if arrived else code or 1
