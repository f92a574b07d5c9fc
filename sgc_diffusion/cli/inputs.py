"""Which files a command reads: names, folders and patterns → sources, and what was left out.

An argument that leads nowhere is a problem of its own; the others go on.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sgc_diffusion.atomic_file import is_stream
from sgc_diffusion.cli.streams import read_bytes

STANDARD_STREAM = "-"
FILE_SUFFIX = ".sgc"


@dataclass(frozen=True)
class Source:
    """A file to be read.

    Attributes:
        name: as the user knows it.
        path: where it is; None is standard input.
        relative: where it lies below the folder that was given, or below the folder at which the pattern begins; its
            bare name if the file itself was given.
    """

    name: str
    path: Path | None
    relative: Path


def read_source(source: Source) -> bytes:
    """Return the content of a source.

    Raises:
        OSError: it cannot be read.
    """
    return read_bytes() if source.path is None else source.path.read_bytes()


@contextmanager
def readable(source: Source) -> Iterator[Path]:
    """Give a file with the content of a source: a copy of what comes from standard input or a pipe.

    Raises:
        OSError: it cannot be read.
    """
    if source.path is not None and not is_stream(source.path):
        yield source.path
        return
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "content")
        copy.write_bytes(read_source(source))
        yield copy


@dataclass
class Inputs:
    """What the arguments of a command stand for.

    Attributes:
        sources: each file once, in order.
        problems: argument and what is wrong with it.
        notes: lines that say what was left out.
    """

    sources: list[Source] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def gather_inputs(arguments: Iterable[str], suffixes: Collection[str], kind: str) -> Inputs:
    """Return the files that names, folders and patterns stand for.

    Args:
        arguments: file names, `-` for standard input, folders (searched with all below them, but for hidden ones, for
            files with one of `suffixes`), or patterns such as `a/*.jpg` and `a/**/*.jpg`.
        suffixes: lower case, with the dot.
        kind: what such files are called in messages: `pictures`.
    """
    inputs = Inputs()
    for argument in arguments:
        path = Path(argument)
        if not argument.strip():
            inputs.problems.append((argument, f"{argument!r} names no file; leave it out, or give . for this folder"))
        elif argument == STANDARD_STREAM:
            inputs.sources.append(Source(argument, None, Path("stdin")))
        elif path.is_dir():
            _add_folder(inputs, path, path, suffixes, kind)
        elif os.path.lexists(path) or not glob.has_magic(argument):
            _add_file(inputs, path, path.parent)
        else:
            _add_matches(inputs, argument, suffixes, kind)
    unique = {os.path.abspath(source.path) if source.path else source.name: source for source in inputs.sources[::-1]}
    inputs.sources = list(unique.values())[::-1]
    return inputs


def _add_file(inputs: Inputs, path: Path, root: Path) -> None:
    if path.exists():
        inputs.sources.append(Source(str(path), path, path.relative_to(root)))
    else:
        inputs.problems.append((str(path), f"{path}: No such file or directory"))


def _add_matches(inputs: Inputs, pattern: str, suffixes: Collection[str], kind: str) -> None:
    root, parts = _split_pattern(pattern)
    matches = list(dict.fromkeys(_match(root, parts)))
    if not matches:
        inputs.problems.append((pattern, f"{pattern}: no file matches"))
    for path in matches:
        if path.is_dir():
            _add_folder(inputs, path, root, suffixes, kind)
        else:
            _add_file(inputs, path, root)


def _split_pattern(pattern: str) -> tuple[Path, tuple[str, ...]]:
    """Return the folder at which a pattern begins and its parts from there; what exists as written is no pattern."""
    parts = Path(pattern).parts
    root = Path()
    for index, part in enumerate(parts):
        if glob.has_magic(part) and not os.path.lexists(root / part):
            return root, parts[index:]
        root = root / part
    return root, ()


def _match(base: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yield what matches below a folder, hidden names only where the pattern says so."""
    if not parts:
        yield base
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _match(base, rest)
        for child in _children(base):
            if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
                yield from _match(child, parts)
    elif os.path.lexists(base / part):
        yield from _match(base / part, rest)
    elif glob.has_magic(part):
        for child in _children(base):
            if fnmatch.fnmatch(child.name, part) and (part.startswith(".") or not child.name.startswith(".")):
                yield from _match(child, rest)


def _children(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder))]
    except OSError:  # no folder, or one that may not be read
        return []


def _add_folder(inputs: Inputs, folder: Path, root: Path, suffixes: Collection[str], kind: str) -> None:
    """Add the files of a folder and of all below it, but not of links to folders, for these may lead in circles."""
    left_out: Counter[str] = Counter()
    num_before = len(inputs.sources) + len(inputs.problems)

    def report(error: OSError) -> None:
        inputs.problems.append((str(error.filename), f"{error.filename}: {error.strerror}"))

    for place, folders, names in os.walk(folder, onerror=report):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        left_out["links to folders"] += sum(Path(place, name).is_symlink() for name in folders)
        for path in (Path(place, name) for name in sorted(names) if not name.startswith(".")):
            if path.suffix.lower() in suffixes and (path.is_file() or not path.exists()):
                _add_file(inputs, path, root)
            elif path.suffix.lower() != FILE_SUFFIX:  # what is beside pictures are their results
                left_out[path.suffix.lower() or "without a suffix"] += 1
    counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(left_out.items()) if count)
    if len(inputs.sources) + len(inputs.problems) == num_before:
        text = f"{folder}: the folder holds no {kind}" + (f"; it holds {counts}" if counts else "")
        inputs.problems.append((str(folder), text))
    elif counts:
        inputs.notes.append(f"{folder}: left out, as they are no {kind}: {counts}")
