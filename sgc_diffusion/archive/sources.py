"""What is to be packed: folders, patterns, tar files and Parquet lists → entries; and the bytes of an entry.

An entry says where a picture's bytes are; they are read when they are hashed, and again when they are encoded.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from glob import has_magic, iglob
from pathlib import Path
from typing import Any

from sgc_diffusion.archive.layout import DESCRIPTION, ArchiveError

FILE, MEMBER, ADDRESS = "file", "member", "address"
COLUMNS = ("url", "path", "image_url", "image_path")  # of a Parquet list, the first that is there
LIST_BATCH = 4096  # rows that are read of a Parquet list at a time


@dataclass(frozen=True)
class Entry:
    """Where a picture's bytes are.

    Attributes:
        kind: `file`, `member` of a tar file, or `address` that fsspec opens.
        source: folder, tar file, or beginning of an address; empty where `path` says it all.
        path: below it, as the file system has it: bytes that are no UTF-8 are surrogates.
        offset: of a member, bytes from the beginning of the tar file.
        size: bytes, as far as it is known before reading; -1 where it is not.
        modified_ns: time of the last change of the file, None for an address.
    """

    kind: str
    source: str
    path: str
    offset: int | None
    size: int
    modified_ns: int | None

    @property
    def location(self) -> str:
        """Name for a message."""
        return os.path.join(self.source, self.path) if self.kind == FILE else f"{self.source}/{self.path}".strip("/")


def list_entries(
    sources: Iterable[str], suffixes: Iterable[str], complain: Callable[[str, str], None], column: str | None = None
) -> Iterator[Entry]:
    """Yield the pictures that sources stand for, in an order that is the same each time.

    Args:
        sources: folders (with all below them but for hidden files), patterns, picture files, `.tar` files, `.parquet`
            lists of paths or addresses, and archives' own addresses such as `s3://bucket/list.parquet`.
        suffixes: of pictures, lower case, with the dot.
        complain: told the place and what is wrong with it, for what cannot be listed.
        column: of the lists, that holds paths or addresses; the first of `COLUMNS` if None.

    Raises:
        ArchiveError: a source that leads nowhere at all.
    """
    suffixes = frozenset(suffixes)
    for source in sources:
        yield from _list_source(source, suffixes, complain, column)


def _list_source(
    source: str, suffixes: frozenset[str], complain: Callable[[str, str], None], column: str | None
) -> Iterator[Entry]:
    if os.path.isdir(source):
        yield from _list_folder(os.path.abspath(source), suffixes, complain)
    elif source.endswith(".parquet"):
        yield from _list_parquet(source, column, complain)
    elif os.path.lexists(source):
        yield from _list_file(os.path.abspath(source), suffixes, complain)
    elif has_magic(source):
        yield from _list_pattern(source, suffixes, complain)
    elif "://" in source:
        yield Entry(ADDRESS, *_split_address(source), None, -1, None)
    else:
        raise ArchiveError(f"{source}: no such file or folder")


def _list_pattern(pattern: str, suffixes: frozenset[str], complain: Callable[[str, str], None]) -> Iterator[Entry]:
    matches = sorted(iglob(pattern, recursive=True), key=os.fsencode)
    if not matches:
        raise ArchiveError(f"{pattern}: no file matches")
    for match in matches:
        if not os.path.isdir(match):  # what is in a folder that `**` passes through matches by itself
            yield from _list_source(match, suffixes, complain, None)
        elif "**" not in pattern:
            yield from _list_folder(os.path.abspath(match), suffixes, complain)


def _list_folder(folder: str, suffixes: frozenset[str], complain: Callable[[str, str], None]) -> Iterator[Entry]:
    def report(error: OSError) -> None:
        complain(str(error.filename), error.strerror or str(error))

    for place, folders, names in os.walk(folder, onerror=report):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=os.fsencode)
        if DESCRIPTION in names:  # an archive is no source of pictures
            folders.clear()
            continue
        for name in sorted(names, key=os.fsencode):
            path = os.path.join(place, name)
            if name.startswith("."):
                continue
            if name.lower().endswith(".tar"):
                yield from _list_tar(path, suffixes, complain)
            elif os.path.splitext(name)[1].lower() in suffixes:
                yield from _list_plain(folder, os.path.relpath(path, folder), complain)


def _list_file(path: str, suffixes: frozenset[str], complain: Callable[[str, str], None]) -> Iterator[Entry]:
    if path.lower().endswith(".tar"):
        yield from _list_tar(path, suffixes, complain)
    elif path.lower().endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")):
        complain(path, "is a compressed tar file, of which no member can be read by itself; decompress it")
    else:
        yield from _list_plain(os.path.dirname(path), os.path.basename(path), complain)


def _list_plain(folder: str, path: str, complain: Callable[[str, str], None]) -> Iterator[Entry]:
    place = os.path.join(folder, path)
    try:
        status = os.stat(place)
    except OSError as error:
        complain(place, error.strerror or str(error))
        return
    yield Entry(FILE, folder, path, None, status.st_size, status.st_mtime_ns)


def _list_tar(path: str, suffixes: frozenset[str], complain: Callable[[str, str], None]) -> Iterator[Entry]:
    """Yield the pictures of a tar file, a WebDataset shard or any other."""
    try:
        modified_ns = os.stat(path).st_mtime_ns
        with tarfile.open(path, "r:", errors="surrogateescape") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined] - the list would grow with the file
                if member.isfile() and os.path.splitext(member.name)[1].lower() in suffixes:
                    yield Entry(MEMBER, path, member.name, member.offset_data, member.size, modified_ns)
    except (OSError, tarfile.TarError) as error:
        complain(path, f"cannot be read as a tar file: {error}")


def _list_parquet(place: str, column: str | None, complain: Callable[[str, str], None]) -> Iterator[Entry]:
    """Yield what a column of a Parquet file names; relative paths are below the file's folder."""
    import fsspec
    import pyarrow.parquet as pq

    base = "" if "://" in place else os.path.dirname(os.path.abspath(place))
    try:
        with fsspec.open(place, "rb") as stream:
            table = pq.ParquetFile(stream)
            names = table.schema_arrow.names
            chosen = column or next((name for name in COLUMNS if name in names), None)
            if chosen not in names:
                expected = column or ", ".join(COLUMNS)
                raise ArchiveError(
                    f"{place} must have a column {expected}, it has {', '.join(names)}; name it: --column"
                )
            for batch in table.iter_batches(LIST_BATCH, columns=[chosen]):
                for value in batch.column(0).to_pylist():
                    yield from _list_value(value, base, complain)
    except (OSError, ImportError, ValueError) as error:
        if isinstance(error, ArchiveError):
            raise
        raise ArchiveError(f"{place} cannot be read as a Parquet file: {error}") from error


def _list_value(value: Any, base: str, complain: Callable[[str, str], None]) -> Iterator[Entry]:
    if not isinstance(value, (str, bytes)) or not value:
        complain(repr(value), "is no path and no address")
        return
    text = os.fsdecode(value)
    if "://" in text:
        yield Entry(ADDRESS, *_split_address(text), None, -1, None)
    else:
        folder, name = os.path.split(os.path.join(base, text))
        yield from _list_plain(folder, name, complain)


def _split_address(address: str) -> tuple[str, str]:
    """Return the part of an address up to its last slash, and what is behind."""
    head, _, tail = address.rpartition("/")
    return head, tail


def read_entry(entry: Entry) -> bytes:
    """Return the bytes of an entry.

    Raises:
        OSError: they cannot be read.
    """
    if entry.kind == ADDRESS:
        import fsspec

        try:
            with fsspec.open(f"{entry.source}/{entry.path}", "rb") as stream:
                return stream.read()  # type: ignore[union-attr]
        except OSError:
            raise
        except Exception as error:  # a client of a store raises anything
            raise OSError(f"{type(error).__name__}: {error}") from error
    place = Path(entry.source) if entry.kind == MEMBER else Path(entry.source, entry.path)
    with open(place, "rb") as file:
        if entry.offset is None:
            return file.read()
        file.seek(entry.offset)
        return file.read(entry.size)
