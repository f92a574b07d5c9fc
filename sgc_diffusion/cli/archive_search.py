"""`sgc archive search` and `sgc archive sql`: questions to an archive; no network is needed, nor torch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgc_diffusion import bitstream
from sgc_diffusion.cli.arguments import integer, not_empty
from sgc_diffusion.cli.batch import notices
from sgc_diffusion.cli.errors import CommandError, UsageError
from sgc_diffusion.cli.inputs import FILE_SUFFIX
from sgc_diffusion.cli.outputs import STDOUT_NAMES, write_sheet
from sgc_diffusion.cli.streams import write_json, write_line
from sgc_diffusion.extras import require

if TYPE_CHECKING:
    from sgc_diffusion.archive.layout import Archive
    from sgc_diffusion.payload import SemanticPayload

SUMMARY = "Find pictures by what they show, their colors, size, time and place, or by likeness to another."
EXAMPLES = """expressions:
  class names are shares of the area, 0 to 1:     tree > 0.3 and sea > 0
  columns: width, height, num_bytes, path, captured_at, latitude, longitude, red, green, blue (0 to 255):
           captured_at >= '2024-06-01' and blue > red + 40
  sgc archive sql ARCHIVE "DESCRIBE SELECT * FROM pictures" lists all of them"""


def add_search(actions: Any) -> None:
    """Add the action to those of `sgc archive`."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = actions.add_parser("search", help=SUMMARY, description=SUMMARY, epilog=EXAMPLES, formatter_class=raw)
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument("expression", nargs="?", default="true", metavar="EXPRESSION", help="default: every picture")
    parser.add_argument(
        "--like", type=not_empty, help="nearest first: a picture, a .sgc file, or the id of one in here"
    )
    parser.add_argument("--limit", type=integer(1), default=20, help="default %(default)s")
    parser.add_argument(
        "--contact-sheet", type=not_empty, metavar="PNG", help="show the matches in one picture; - is stdout"
    )
    parser.add_argument("--draw", action="store_true", help="have the contact sheet's pictures drawn by the pipeline")
    parser.add_argument("--json", action="store_true", help="a JSON object for each match")
    parser.set_defaults(run=_with_notices(run_search))


def add_sql(actions: Any) -> None:
    """Add the action to those of `sgc archive`."""
    summary = "Ask DuckDB about the view `pictures`, in SQL."
    parser = actions.add_parser("sql", help=summary, description=summary)
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument("query", metavar="SELECT")
    parser.add_argument("--json", action="store_true", help="a JSON object for each row")
    parser.set_defaults(run=_with_notices(run_sql))


def _with_notices(run: Any) -> Any:
    def command(arguments: argparse.Namespace) -> int:
        require("scale", "Searching archives")
        with notices() as texts:
            code = run(arguments)
        for text in texts:
            write_line(f"sgc: {text}", to_stderr=True)
        return code or (1 if texts else 0)

    return command


def run_search(arguments: argparse.Namespace) -> int:
    """Show the matches."""
    from sgc_diffusion.archive.layout import Archive
    from sgc_diffusion.archive.likeness import search_like
    from sgc_diffusion.archive.search import search

    if arguments.json and arguments.contact_sheet in STDOUT_NAMES:
        raise UsageError("--json and the contact sheet cannot both go to standard output; give it another place")
    archive = Archive.open(arguments.archive)
    if arguments.like is None:
        matches = search(archive, arguments.expression, limit=arguments.limit)
    else:
        payload = _payload(archive, arguments.like)
        matches = search_like(archive, payload, arguments.expression, limit=arguments.limit)
    to_stdout = arguments.contact_sheet in STDOUT_NAMES
    for row in matches:
        if arguments.json:
            write_json({name: str(value) if name == "captured_at" and value else value for name, value in row.items()})
        else:
            distance = f"  distance {row['distance']:.3f}" if "distance" in row else ""
            write_line(
                "{image_id}  {width}x{height}  {num_bytes} bytes  {path}".format(**row) + distance, to_stderr=to_stdout
            )
    if arguments.contact_sheet:
        _save_sheet(archive, matches, arguments.contact_sheet, draw=arguments.draw)
    return 0


def run_sql(arguments: argparse.Namespace) -> int:
    """Show the answer's rows."""
    from sgc_diffusion.archive.layout import Archive
    from sgc_diffusion.archive.search import ask

    answer = ask(Archive.open(arguments.archive), arguments.query)
    if not arguments.json:
        write_line("\t".join(answer.column_names))
    for row in answer.to_pylist():
        shown = {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}
        if arguments.json:
            write_json({name: value if _is_plain(value) else str(value) for name, value in shown.items()})
        else:
            write_line("\t".join("" if value is None else str(value) for value in shown.values()))
    return 0


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool, list, dict))


def _payload(archive: Archive, like: str) -> SemanticPayload:
    """Return what a picture, a file, or a picture of the archive holds; only a picture needs torch.

    Raises:
        CommandError: it is none of them.
    """
    from sgc_diffusion.archive.contents import get_file

    path = Path(like)
    if not path.exists():
        if path.suffix:
            raise CommandError(f"--like {like}: no such file")
        return bitstream.decode(get_file(archive, like))
    if path.suffix.lower() == FILE_SUFFIX:
        return bitstream.decode(path.read_bytes())
    require("torch", "Analyzing a picture to search by")
    from sgc_diffusion.archive.encoding import load_encoder
    from sgc_diffusion.archive.layout import EncoderOptions

    return load_encoder(archive.options or EncoderOptions()).analyze(path)


def _save_sheet(archive: Archive, matches: list[dict[str, Any]], place: str, *, draw: bool) -> None:
    """Write the contact sheet of matches.

    Raises:
        CommandError: there is no match, or the name is of no kind of picture.
    """
    from PIL import Image

    from sgc_diffusion.archive.contact_sheet import arrange, contact_sheet
    from sgc_diffusion.archive.contents import get_file

    path = Path(place)
    if place not in STDOUT_NAMES and Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise CommandError(f"--contact-sheet {place}: must end in the suffix of a picture format, such as .png")
    if not matches:
        raise CommandError(f"--contact-sheet {place}: not written, for nothing matches")
    files = [get_file(archive, row["image_id"]) for row in matches]
    captions = [row["path"] for row in matches]
    if draw:
        from sgc_diffusion.archive.encoding import load_encoder
        from sgc_diffusion.archive.layout import EncoderOptions

        drawn = load_encoder(archive.options or EncoderOptions()).decompress(files).images
        sheet = arrange(list(drawn), captions)
    else:
        sheet = contact_sheet(files, captions)
    write_sheet(sheet, place)
