"""`sgc archive`: very many pictures in one folder, and what can be done with it.

Packing is in `archive_pack`, searching in `archive_search`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgc_diffusion.cli.archive_pack import add_pack
from sgc_diffusion.cli.archive_search import add_search, add_sql
from sgc_diffusion.cli.arguments import integer, not_empty
from sgc_diffusion.cli.batch import notices
from sgc_diffusion.cli.errors import CommandError
from sgc_diffusion.cli.outputs import STDOUT_NAMES
from sgc_diffusion.cli.streams import write_bytes, write_json, write_line
from sgc_diffusion.extras import require
from sgc_diffusion.payload import MAX_KIND

if TYPE_CHECKING:
    from sgc_diffusion.archive.layout import Archive

EXAMPLES = """examples:
  sgc archive pack photos/ album/ --workers 2         begins the archive album/, goes on with it, or adds what is new
  sgc archive search album/ "tree > 0.3 and sea > 0"  pictures that are more than 30 % trees and show the sea
  sgc archive search album/ --like photo.jpg --contact-sheet out.png
  sgc archive verify album/                           reads every checksum, counts against the manifest
  sgc archive get album/ 3fa41c > photo.sgc           one file, by the beginning of its id
  sgc archive thin album/ small/ --total-bytes 1GB    spends a gigabyte where it buys most"""
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def add_archive(commands: Any) -> None:
    """Add the command to the sub-parsers of `sgc`."""
    summary = "Pack, search, thin and check very many pictures in one folder."
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("archive", help=summary, description=summary, epilog=EXAMPLES, formatter_class=raw)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add_pack(actions)
    add_search(actions)
    add_sql(actions)
    _add(
        actions,
        "ls",
        "List the pictures, or what could not be packed.",
        ls,
        ("--dead", "list the dead letters instead"),
    )
    _add(actions, "stat", "Count pictures, units and bytes.", stat)
    repair = ("--repair-index", "write lost commit records anew, set damaged shards aside")
    _add(actions, "verify", "Read every checksum and count against the manifest.", verify, repair)
    get_parser = _add(actions, "get", "Give the .sgc file of one picture.", get)
    get_parser.add_argument("image_id", metavar="ID", help="of the picture, or how it begins")
    get_parser.add_argument("-o", "--output", type=not_empty, help="a file; default: -, standard output")
    unpack_parser = _add(actions, "unpack", "Write all .sgc files, in the folders of their sources.", unpack)
    unpack_parser.add_argument("output", metavar="FOLDER")
    unpack_parser.add_argument("--force", action="store_true", help="write again what is there already")
    export_parser = _add(actions, "export-webdataset", "Write tar files that WebDataset reads.", export)
    export_parser.add_argument("output", metavar="FOLDER")
    merge_parser = actions.add_parser("merge", help="Make one archive of several.")
    merge_parser.add_argument("archives", nargs="+", metavar="ARCHIVE")
    merge_parser.add_argument("output", metavar="RESULT")
    merge_parser.set_defaults(run=_command(merge), json=False)
    thin_parser = _add(actions, "thin", "Write a smaller archive, without originals and networks.", thin)
    thin_parser.add_argument("output", metavar="RESULT")
    add_amounts(thin_parser)


def add_amounts(parser: argparse.ArgumentParser) -> None:
    """Add what says how thin an archive is to become."""
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--max-bytes", type=integer(1), help="of each file; what is finest goes first")
    amount.add_argument("--keep", choices=["color"], help="color: labels and colors alone")
    amount.add_argument("--levels", type=integer(0, 16), help="how many detail levels to keep, the coarsest ones")
    amount.add_argument("--total-bytes", type=size_bytes, help="of all files, such as 1GB; spent where they buy most")


def size_bytes(text: str) -> int:
    """Return a number of bytes, such as `2000`, `1.5MB` or `1GB`.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip().lower())
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"must be a number of bytes, such as 2000, 1.5MB or 1GB, got {text!r}")
    return int(float(match[1]) * UNITS[match[2]])


def _add(
    actions: Any, name: str, summary: str, run: Callable[..., int], *flags: tuple[str, str]
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=summary)
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument("--json", action="store_true", help="JSON instead of lines")
    for flag, text in flags:
        parser.add_argument(flag, action="store_true", help=text)
    parser.set_defaults(run=_command(run))
    return parser


def _command(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Return a command that asks for its extra first and shows what the package warns of."""

    def command(arguments: argparse.Namespace) -> int:
        require("scale", "Working on archives")
        with notices() as texts:
            try:
                return run(arguments) or (1 if texts else 0)
            finally:
                for text in texts:
                    write_line(f"sgc: {text}", to_stderr=True)

    return command


def thin_archive(arguments: argparse.Namespace) -> int:
    """Thin the archive that is the only input of a command on files."""
    arguments.archive = arguments.inputs[0]
    return _command(thin)(arguments)


def _open(arguments: argparse.Namespace) -> Archive:
    from sgc_diffusion.archive.layout import Archive

    return Archive.open(arguments.archive)


def ls(arguments: argparse.Namespace) -> int:
    """List pictures or dead letters."""
    from sgc_diffusion.archive import contents

    archive = _open(arguments)
    if arguments.dead:
        for row in contents.dead_letters(archive):
            image_id = row["image_id"].hex() if row["image_id"] else None
            shown = {"image_id": image_id, "path": row["path"], "reason": row["reason"], "is_final": row["is_final"]}
            write_json(shown) if arguments.json else write_line(f"{row['path']}: {row['reason']}")
        return 0
    columns = ["image_id", "path", "width", "height", "num_bytes"]
    for _, table in contents.iterate_shards(archive, columns):
        for row in table.to_pylist():
            row["image_id"] = row["image_id"].hex()
            line = "{image_id}  {width}x{height}  {num_bytes} bytes  {path}"
            write_json(row) if arguments.json else write_line(line.format(**row))
    return 0


def stat(arguments: argparse.Namespace) -> int:
    """Show counts."""
    from sgc_diffusion.archive.contents import count

    counts = asdict(count(_open(arguments)))
    if arguments.json:
        write_json(counts)
        return 0
    pictures = max(1, counts["num_pictures"])
    lines = [
        "{num_pictures} pictures, {num_dead} dead letters, {num_listed} listed",
        "{num_committed} of {num_units} units done",
        "{num_duplicates} places hold a picture that is packed already; {num_unread} places could not be read",
        f"{{shard_bytes}} bytes in shards, {counts['shard_bytes'] / pictures:.1f} a picture; "
        f"{{file_bytes}} in .sgc files, {counts['file_bytes'] / pictures:.1f} a picture",
    ]
    for line in lines:
        write_line(line.format(**counts))
    for name, size in counts["layer_bytes"].items():
        write_line(f"  {name}: {size} bytes, {size / pictures:.1f} a picture")
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Check the archive, after it was mended where that is asked for."""
    from sgc_diffusion.archive import verification

    archive = _open(arguments)
    if arguments.repair_index:
        with archive.writing():
            for line in verification.repair(archive):
                write_line(line, to_stderr=True)
    verdict = verification.verify(archive)
    if arguments.json:
        write_json(asdict(verdict) | {"damaged": [str(unit) for unit in verdict.damaged]})
    else:
        for line in verdict.problems:
            write_line(line)
        state = "intact" if not verdict.problems else f"{len(verdict.problems)} problems"
        state += f"; {verdict.num_open} pictures are still to be packed" if verdict.num_open else ""
        counts = (
            f"{verdict.num_listed} listed, {verdict.num_pictures} packed and whole, {verdict.num_dead} dead letters"
        )
        write_line(f"{archive.folder}: {counts}: {state}")
    return 1 if verdict.problems else 0


def get(arguments: argparse.Namespace) -> int:
    """Give one file."""
    from sgc_diffusion.archive.contents import get_file
    from sgc_diffusion.atomic_file import atomic_path

    data = get_file(_open(arguments), arguments.image_id)
    if arguments.output is None or arguments.output in STDOUT_NAMES:
        write_bytes(data)
        return 0
    with atomic_path(Path(arguments.output)) as temporary:
        temporary.write_bytes(data)
    return 0


def unpack(arguments: argparse.Namespace) -> int:
    """Write all files."""
    from sgc_diffusion.archive.exporting import unpack as write_files

    num_written = num_left = 0
    for path, is_new in write_files(_open(arguments), arguments.output, overwrite=arguments.force):
        num_written, num_left = num_written + is_new, num_left + (not is_new)
        if arguments.json:
            write_json({"output": str(path), "skipped": not is_new})
    write_line(f"{num_written} files written, {num_left} were there already", to_stderr=arguments.json)
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Write tar files."""
    from sgc_diffusion.archive.exporting import export_webdataset

    num_files = sum(1 for _ in export_webdataset(_open(arguments), arguments.output))
    write_json({"files": num_files}) if arguments.json else write_line(f"{num_files} files written")
    return 0


def merge(arguments: argparse.Namespace) -> int:
    """Make one archive of several."""
    from sgc_diffusion.archive.layout import Archive
    from sgc_diffusion.archive.merging import merge as write_merged

    num_units = sum(1 for _ in write_merged([Archive.open(name) for name in arguments.archives], arguments.output))
    write_line(f"{arguments.output}: {num_units} units of {len(arguments.archives)} archives")
    return 0


def thin(arguments: argparse.Namespace) -> int:
    """Write a smaller archive."""
    from sgc_diffusion.archive.contents import count
    from sgc_diffusion.archive.layout import Archive
    from sgc_diffusion.archive.thinning import ThinOptions, thin_archive

    archive = _open(arguments)
    drop = range(1, MAX_KIND + 1) if arguments.keep else ()
    options = ThinOptions(drop, arguments.levels, arguments.max_bytes, arguments.total_bytes)
    for _ in thin_archive(archive, arguments.output, options):
        pass
    before, after = count(archive), count(Archive.open(arguments.output))
    sizes = {"bytes_before": before.file_bytes, "bytes": after.file_bytes, "pictures": after.num_pictures}
    text = "{pictures} pictures: {bytes} of {bytes_before} bytes"
    write_json(sizes) if arguments.json else write_line(text.format(**sizes))
    if arguments.max_bytes and after.file_bytes > arguments.max_bytes * after.num_pictures:
        raise CommandError(f"--max-bytes {arguments.max_bytes}: labels and colors of some pictures take more; kept")
    return 0
