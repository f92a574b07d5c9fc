"""`sgc archive pack`: pictures → an archive, with a bar that tells rate and time left, or lines of JSON."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sgc_diffusion.cli.arguments import integer, not_empty, number_between, positive_number
from sgc_diffusion.cli.batch import INTERRUPTED
from sgc_diffusion.cli.streams import write_json, write_line
from sgc_diffusion.extras import require
from sgc_diffusion.payload.recipe import PRESETS

if TYPE_CHECKING:
    from sgc_diffusion.archive.layout import EncoderOptions
    from sgc_diffusion.archive.packing import PackProgress

SUMMARY = "Pack pictures into an archive; begins it, goes on with it after any interruption, or adds what is new."


def add_pack(actions: Any) -> None:
    """Add the action to those of `sgc archive`."""
    parser = actions.add_parser("pack", help=SUMMARY, description=SUMMARY)
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="folders, patterns, pictures, .tar files (WebDataset), .parquet lists of paths or URLs; none to go on "
        "with what the archive was given before",
    )
    parser.add_argument("archive", metavar="ARCHIVE", help="its folder; made if missing")
    parser.add_argument("--workers", type=integer(1), default=1, help="processes that encode; from 2 on they are Ray's")
    parser.add_argument("--ray-address", type=not_empty, help="of a Ray cluster whose nodes all see ARCHIVE and SOURCE")
    parser.add_argument("--pipeline", type=not_empty, help="that encodes: embedded name, folder or Hub id")
    parser.add_argument("--segmenter", type=not_empty, help="another one than the pipeline's")
    parser.add_argument("--preset", choices=list(PRESETS), help="how the files are to be drawn")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--max-bytes", type=integer(1), help="budget of each file")
    budget.add_argument("--bpp", type=positive_number, help="the same in bits per pixel")
    budget.add_argument("-q", "--quality", type=number_between(0, 100), help="0 to 100; 100 is lossless")
    parser.add_argument(
        "--region-class",
        type=not_empty,
        metavar="NAMES",
        help="such as person,boat: they are kept to the bit",
    )
    parser.add_argument("--unit-size", type=integer(1), help="pictures of a shard; default 256 to 4096 by their number")
    parser.add_argument("--column", type=not_empty, help="of .parquet lists, that holds paths or URLs")
    parser.add_argument("--rehash", action="store_true", help="read all files again, also those that look unchanged")
    parser.add_argument("--json", action="store_true", help="a JSON object after each unit instead of a bar")
    parser.set_defaults(run=run_pack)


def run_pack(arguments: argparse.Namespace) -> int:
    """Pack, and show how far it is; return 1 if something could not be packed."""
    require("scale", "Packing pictures")
    require("torch", "Packing pictures")
    from sgc_diffusion.archive.packing import pack

    shown = Display(as_json=arguments.json)
    events = pack(
        arguments.sources,
        arguments.archive,
        read_options(arguments),
        num_workers=arguments.workers,
        ray_address=arguments.ray_address,
        unit_size=arguments.unit_size,
        column=arguments.column,
        rehash=arguments.rehash,
        on_hashed=shown.hashed,
    )
    progress = None
    try:
        for progress in events:
            shown.update(progress)
    except KeyboardInterrupt:
        write_line("sgc: interrupted; the same command goes on", to_stderr=True)
        return INTERRUPTED
    finally:
        shown.close()
    if progress is None:
        return 1
    scanned = progress.scanned
    write_line(
        f"sgc: {progress.num_pictures} packed, {progress.num_dead} dead letters (`sgc archive ls --dead`), "
        f"{scanned.num_known} known before, {scanned.num_duplicates} duplicates",
        to_stderr=True,
    )
    return 1 if progress.num_dead else 0


def read_options(arguments: argparse.Namespace) -> EncoderOptions | None:
    """Return the options that were given; None if none was, so that those of the archive count."""
    from sgc_diffusion.archive.layout import EncoderOptions

    given: dict[str, Any] = {
        "pipeline": arguments.pipeline,
        "segmenter": arguments.segmenter,
        "preset": arguments.preset,
        "max_bytes": arguments.max_bytes,
        "target_bpp": arguments.bpp,
        "quality": arguments.quality,
        "region_classes": arguments.region_class,
    }
    given = {name: value for name, value in given.items() if value is not None}
    return EncoderOptions(**given) if given else None


class Display:
    """Shows progress: JSON lines, or a bar where standard error is a terminal.

    Args:
        as_json: a line on standard output after each unit.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json, self._bar, self._started = as_json, None, time.monotonic()
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()

    def hashed(self, count: int) -> None:
        """Show how many pictures the scan has read."""
        if self._is_terminal and not self._as_json and count % 100 == 0:
            with suppress(OSError):
                sys.stderr.write(f"\rreading {count} pictures for the manifest")

    def update(self, progress: PackProgress) -> None:
        """Show how far the run is."""
        if self._as_json:
            seconds = time.monotonic() - self._started
            if not progress.unit:
                self._started = time.monotonic()  # the rate is of encoding
            rate = progress.num_done / seconds if progress.unit and seconds else None
            left = (progress.num_total - progress.num_done) / rate if rate else None
            write_json(asdict(progress) | {"pictures_per_second": rate, "seconds_left": left})
        elif self._is_terminal:
            self._show_bar(progress)

    def _show_bar(self, progress: PackProgress) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=progress.num_total, unit="pictures", smoothing=0.1)
        self._bar.update(progress.num_done - self._bar.n)
        self._bar.set_postfix(dead=progress.num_dead, refresh=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.close()
