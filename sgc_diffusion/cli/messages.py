"""What the command tells beside its results, on standard error: through `logging`, less or more of it as wished.

quiet ── errors alone      otherwise ── notes and summaries too      verbose ── what libraries and this one log, too
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sgc_diffusion.cli.streams import write_line

PACKAGE = __name__.partition(".")[0]
QUIET, NORMAL, VERBOSE = logging.ERROR, logging.INFO, logging.DEBUG

logger = logging.getLogger("sgc")  # of the command; apart from the package's, whose warnings belong to a file


class _LineHandler(logging.Handler):
    """Writes each message as a line that begins with the command's name."""

    def emit(self, record: logging.LogRecord) -> None:
        name = "" if record.name == logger.name else f"{record.name}: "
        write_line(f"sgc: {name}{record.getMessage()}", to_stderr=True)
        if record.exc_info:
            write_line(logging.Formatter().formatException(record.exc_info), to_stderr=True)


def add_verbosity(parser: argparse.ArgumentParser, default: Any = argparse.SUPPRESS) -> None:
    """Add `--quiet` and `--verbose`, which may stand before and after the command's name.

    Args:
        parser: of the whole command or of one.
        default: of the whole command; one that is not given leaves what stood before its name.
    """
    amount = parser.add_mutually_exclusive_group()
    options = {"action": "store_const", "dest": "verbosity", "default": default}
    amount.add_argument("--quiet", const=QUIET, help="tell errors alone", **options)
    amount.add_argument("-v", "--verbose", const=VERBOSE, help="tell more, and where errors come from", **options)


@contextmanager
def telling(level: int) -> Iterator[None]:
    """Write the messages of a level and above to standard error while the block runs."""
    handler, package = _LineHandler(level), logging.getLogger(PACKAGE)
    before = logger.level, logger.propagate, package.level
    logger.setLevel(level)
    logger.propagate = False
    logger.addHandler(handler)
    if level == VERBOSE:
        package.setLevel(level)
        package.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        package.removeHandler(handler)
        logger.level, logger.propagate, package.level = before


@contextmanager
def progress_bar(num_files: int) -> Iterator[Any]:
    """Give what is to be called after each file: a bar with rate and time left, if somebody watches and tqdm is there.

    Args:
        num_files: that there are to be done; a single one gets no bar.
    """
    is_watched = sys.stderr is not None and sys.stderr.isatty() and logger.isEnabledFor(NORMAL)
    try:
        from tqdm import tqdm
    except ImportError:
        tqdm = None
    if num_files < 2 or not is_watched or tqdm is None:
        yield lambda: None
        return
    with tqdm(total=num_files, unit="file", leave=False, dynamic_ncols=True) as bar:
        yield bar.update
