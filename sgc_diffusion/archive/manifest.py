"""Sources → manifest: every new picture once, in units that never change again.

entries ──known places out──▶ ──hash──▶ ──known and repeated contents out──▶ manifest, a row group a unit; duplicates

The lists may be longer than memory: DuckDB keeps them, on the disk where they do not fit.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sgc_diffusion.archive.durable import durable_path
from sgc_diffusion.archive.layout import Archive, UnitName
from sgc_diffusion.archive.schema import DEAD_LETTERS, MANIFEST, encodings, write_table
from sgc_diffusion.archive.sources import ADDRESS, FILE, Entry, read_entry

MIN_UNIT, MAX_UNIT = 256, 4096  # pictures of a unit, unless it is said otherwise
WANTED_UNITS = 16  # of a small manifest, so that several workers have their part
BATCH = 2048  # rows that are in memory at a time
MEMORY = "64MB"  # of DuckDB, which fills it before it goes to the disk
WORK_FOLDER = ".scan"


@dataclass(frozen=True)
class ScanResult:
    """What a scan came to.

    Attributes:
        manifest: number of the new manifest, None if no picture is new.
        num_new: pictures in it.
        num_known: places that were packed, or found to be unreadable, before.
        num_duplicates: new places of contents that the archive has.
        num_failed: places that could not be read.
    """

    manifest: int | None
    num_new: int
    num_known: int
    num_duplicates: int
    num_failed: int


def scan(
    archive: Archive,
    entries: Iterable[Entry],
    failures: list[tuple[str, str]],
    *,
    unit_size: int | None = None,
    rehash: bool = False,
    progress: Callable[[int], None] = lambda count: None,
) -> ScanResult:
    """Write the manifest of the pictures that an archive has not; meant for the process that is its writer.

    Args:
        archive: that gets the manifest.
        entries: of the sources; read once.
        failures: place and reason, filled by who lists the entries and by this function; written as dead letters.
        unit_size: pictures of a unit; None takes a sixteenth of them, within 256 … 4096.
        rehash: read again what has the size and the time of change that it had when it was packed.
        progress: told how many pictures were hashed so far.

    Raises:
        OSError: the archive cannot be written.
    """
    work = archive.folder / WORK_FOLDER
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        with duckdb.connect(str(work / "scan.duckdb")) as connection:
            connection.execute(f"SET memory_limit='{MEMORY}'; SET threads=1; SET preserve_insertion_order=true")
            _read_known(connection, archive)
            _insert(connection, "listed", _rows(entries))
            fresh = (
                "SELECT * FROM listed" if rehash else f"SELECT listed.* FROM listed ANTI JOIN known ON {_SAME_PLACE}"
            )
            _hash(connection, fresh, failures, progress)
            result = _write(connection, archive, unit_size, failures)
        _write_failures(archive, failures)
        return result
    except duckdb.Error as error:  # of the disk: what is asked here is never wrong
        raise OSError(f"{work}: {str(error).splitlines()[0]}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


_SAME_PLACE = " AND ".join(
    f"listed.{name} IS NOT DISTINCT FROM known.{name}" for name in ("source", "path", "kind", "size", "modified_ns")
)
_DUCK_TYPES = (
    "image_id BLOB, source VARCHAR, path VARCHAR, path_bytes BLOB, kind VARCHAR, "
    '"offset" BIGINT, size BIGINT, modified_ns BIGINT, number BIGINT'
)
_ARROW = pa.schema([field.with_nullable(True) for field in MANIFEST]).append(pa.field("number", pa.int64()))
_ARROW = _ARROW.set(0, pa.field("image_id", pa.binary()))


def _read_known(connection: duckdb.DuckDBPyConnection, archive: Archive) -> None:
    """Make the tables of what earlier manifests hold; what was not there when it was to be encoded may come again."""
    connection.execute(f"CREATE TABLE listed ({_DUCK_TYPES}); CREATE TABLE hashed ({_DUCK_TYPES})")
    connection.execute(f"CREATE TABLE known ({_DUCK_TYPES.rpartition(',')[0]})")
    connection.execute("CREATE TABLE lost (image_id BLOB)")
    for pattern in ("manifests/[0-9]*.parquet", "duplicates/[0-9]*.parquet"):
        if any(archive.folder.glob(pattern)):
            connection.execute("INSERT INTO known SELECT * FROM read_parquet(?)", [str(archive.folder / pattern)])
    if any(archive.folder.glob("dead/[0-9]*.parquet")):
        query = "INSERT INTO lost SELECT image_id FROM read_parquet(?) WHERE NOT is_final"
        connection.execute(query, [str(archive.folder / "dead/[0-9]*.parquet")])
        if any(archive.folder.glob("shards/[0-9]*.parquet")):
            shards = str(archive.folder / "shards/[0-9]*.parquet")
            query = "DELETE FROM lost WHERE image_id IN (SELECT image_id FROM read_parquet(?, union_by_name=true))"
            connection.execute(query, [shards])
        connection.execute("DELETE FROM known WHERE image_id IN (SELECT image_id FROM lost)")


def _rows(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    for number, entry in enumerate(entries):
        yield {"image_id": None, **entry_columns(entry), "number": number}


def entry_columns(entry: Entry) -> dict[str, Any]:
    """Return the columns of a manifest that say where an entry is."""
    source, path = entry.source, entry.path
    if entry.kind == FILE and not _is_text(source):
        source, path = "", os.path.join(source, path)
    return {
        "source": source,
        **path_columns(path),
        "kind": entry.kind,
        "offset": entry.offset,
        "size": -1 if entry.kind == ADDRESS else entry.size,
        "modified_ns": entry.modified_ns,
    }


def path_columns(path: str) -> dict[str, Any]:
    """Return `path` as text, and `path_bytes` where the text is not all."""
    raw = os.fsencode(path)
    return {"path": raw.decode("utf-8", "backslashreplace"), "path_bytes": None if _is_text(path) else raw}


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def entry_of(row: dict[str, Any]) -> Entry:
    """Return the entry of a row of a manifest."""
    path = row["path"] if row["path_bytes"] is None else os.fsdecode(row["path_bytes"])
    return Entry(row["kind"], row["source"], path, row["offset"], row["size"], row["modified_ns"])


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterator[dict[str, Any]]) -> None:
    while batch := list(islice(rows, BATCH)):
        connection.register("batch", pa.Table.from_pylist(batch, _ARROW))
        connection.execute(f"INSERT INTO {table} SELECT * FROM batch")
        connection.unregister("batch")


def _stream(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a query, a batch in memory at a time."""
    cursor = connection.cursor()
    for batch in cursor.sql(query).to_arrow_reader(BATCH):
        yield from batch.to_pylist()


def _hash(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    failures: list[tuple[str, str]],
    progress: Callable[[int], None],
) -> None:
    def hashed() -> Iterator[dict[str, Any]]:
        for count, row in enumerate(_stream(connection, f"{query} ORDER BY number"), start=1):
            entry = entry_of(row)
            try:
                data = read_entry(entry)
            except OSError as error:
                failures.append((entry.location, error.strerror or str(error)))
                continue
            yield row | {"image_id": hashlib.sha256(data).digest(), "size": _size(entry, len(data))}
            progress(count)

    _insert(connection, "hashed", hashed())


def _size(entry: Entry, num_bytes: int) -> int:
    return entry.size if entry.kind == ADDRESS else num_bytes  # an address is known again before it is read


def _write(
    connection: duckdb.DuckDBPyConnection, archive: Archive, unit_size: int | None, failures: list[tuple[str, str]]
) -> ScanResult:
    """Write the new manifest and its duplicates; see `scan`."""
    connection.execute(
        "CREATE TABLE firsts AS SELECT min(number) AS number FROM hashed "
        "ANTI JOIN (SELECT DISTINCT image_id FROM known) USING (image_id) GROUP BY image_id"
    )
    columns = _DUCK_TYPES.replace(" BLOB", "").replace(" VARCHAR", "").replace(" BIGINT", "").removesuffix(", number")
    count = _number(connection, "SELECT count(*) FROM firsts")
    num_hashed = _number(connection, "SELECT count(*) FROM hashed")
    num_known = _number(connection, f"SELECT count(*) FROM listed SEMI JOIN known ON {_SAME_PLACE}")
    number = max(archive.manifest_numbers(), default=-1) + 1
    repeated = f"SELECT {columns} FROM hashed ANTI JOIN firsts USING (number) ORDER BY number"
    if num_hashed > count:
        place = archive.folder / "duplicates"
        place.mkdir(exist_ok=True)
        name = f"{max((int(path.stem) for path in place.glob('[0-9]*.parquet')), default=-1) + 1:06}.parquet"
        _write_groups(connection, repeated, place / name, MAX_UNIT)
    if count:
        size = unit_size or min(MAX_UNIT, max(MIN_UNIT, -(-count // WANTED_UNITS)))
        query = f"SELECT {columns} FROM hashed SEMI JOIN firsts USING (number) ORDER BY number"
        _write_groups(connection, query, archive.manifest(number), size)
    return ScanResult(number if count else None, count, num_known, num_hashed - count, len(failures))


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _write_groups(connection: duckdb.DuckDBPyConnection, query: str, path: Path, group_size: int) -> None:
    """Write the rows of a query as a file of the manifest's columns, so many in a row group."""
    waiting: list[pa.RecordBatch] = []
    with durable_path(path) as temporary, pq.ParquetWriter(temporary, MANIFEST, **encodings(MANIFEST)) as writer:

        def write(size: int) -> None:
            table = pa.Table.from_batches(waiting)
            group = table.slice(0, size).combine_chunks().cast(MANIFEST)
            writer.write_table(group, row_group_size=group_size)
            waiting[:] = table.slice(size).to_batches()

        for batch in connection.cursor().sql(query).to_arrow_reader(BATCH):
            waiting.append(batch)
            while sum(part.num_rows for part in waiting) >= group_size:
                write(group_size)
        if sum(part.num_rows for part in waiting):
            write(group_size)


def _write_failures(archive: Archive, failures: list[tuple[str, str]]) -> None:
    """Write what could not be listed or hashed in the last scan, in place of what could not in the one before."""
    rows = [
        {"image_id": None, "source": "", **path_columns(place), "reason": text, "is_final": False}
        for place, text in failures
    ]
    path = archive.folder / "dead" / "scan.parquet"
    if rows or path.exists():
        with durable_path(path) as temporary:
            write_table(pa.Table.from_pylist(rows, DEAD_LETTERS), temporary)


def list_units(archive: Archive) -> list[tuple[UnitName, int]]:
    """Return the units of all manifests and how many pictures each is to have."""
    units = []
    for number in archive.manifest_numbers():
        metadata = pq.read_metadata(archive.manifest(number))
        groups = range(metadata.num_row_groups)
        units += [(UnitName(number, group), metadata.row_group(group).num_rows) for group in groups]
    return units


def read_unit(archive: Archive, unit: UnitName) -> list[dict[str, Any]]:
    """Return the rows of a unit of the manifest.

    Raises:
        OSError, ValueError: the manifest is missing or damaged.
    """
    return pq.ParquetFile(archive.manifest(unit.manifest)).read_row_group(unit.group).to_pylist()
