"""Several archives → one, every picture once; shards in which nothing is left out are copied as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sgc_diffusion.archive.contents import read_shard
from sgc_diffusion.archive.durable import durable_path
from sgc_diffusion.archive.encoding import commit_unit
from sgc_diffusion.archive.layout import Archive, ArchiveError, UnitName
from sgc_diffusion.archive.manifest import BATCH, list_units, read_unit
from sgc_diffusion.archive.schema import DEAD_LETTERS, MANIFEST, encodings


def merge(archives: Sequence[Archive], folder: str | Path) -> Iterator[UnitName]:
    """Write an archive that holds all pictures of several.

    Where two hold the same picture, that of the first is kept. If all were encoded alike, more can be packed into the
    result. A run that was interrupted is begun again in another folder.

    Args:
        archives: whose units are all done.
        folder: of the result; must be missing or empty.

    Yields:
        The units of the result, as they are written.

    Raises:
        ArchiveError: an archive is not packed to its end or damaged, or the folder holds something.
        OSError: the folder cannot be written.
    """
    folder = Path(folder).absolute()
    if folder.exists() and any(folder.iterdir()):
        raise ArchiveError(f"{folder} is not empty; give another place")
    for archive in archives:
        missing = len(list_units(archive)) - len(archive.committed())
        if missing:
            raise ArchiveError(f"{archive.folder} has {missing} units that are not done; run `sgc archive pack` on it")
    first = archives[0]
    is_alike = all((other.options, other.encoder) == (first.options, first.encoder) for other in archives)
    folder.mkdir(parents=True, exist_ok=True)
    merged = Archive.create(folder, first.options if is_alike else None, first.encoder if is_alike else None)
    with merged.writing(), duckdb.connect() as connection:
        connection.execute("CREATE TABLE seen (image_id BLOB PRIMARY KEY)")
        numbers = count()
        for archive in archives:
            for old in archive.manifest_numbers():
                yield from _merge_manifest(archive, old, merged, next(numbers), connection)


def _merge_manifest(
    archive: Archive, old: int, merged: Archive, new: int, connection: duckdb.DuckDBPyConnection
) -> Iterator[UnitName]:
    """Copy the units of one manifest, without pictures that were seen; then write the manifest that they are of."""
    groups: list[pa.Table] = []
    units = [unit for unit, _ in list_units(archive) if unit.manifest == old]
    with durable_path(merged.manifest(new)) as temporary:
        with pq.ParquetWriter(temporary, MANIFEST, **encodings(MANIFEST)) as writer:
            for unit in units:
                listed = pa.Table.from_pylist(read_unit(archive, unit), MANIFEST)
                keep = _unseen(connection, listed.column("image_id"))
                if not keep.num_rows:
                    continue
                target = UnitName(new, len(groups))
                writer.write_table(_those(listed, keep), row_group_size=max(1, keep.num_rows))
                groups.append(keep)
                dead_path = archive.dead_letters(unit)
                dead = read_shard(dead_path) if dead_path.exists() else DEAD_LETTERS.empty_table()
                shard = _those(read_shard(archive.shard(unit)), keep)
                _remember(connection, shard.column("image_id"))
                commit_unit(merged, target, shard, _those(dead, keep))
                yield target
    if not groups:
        merged.manifest(new).unlink()


def _unseen(connection: duckdb.DuckDBPyConnection, ids: pa.ChunkedArray) -> pa.Table:
    """Return those of (N,) ids that no earlier shard has, as a table; one that was a dead letter there may come."""
    connection.register("batch", pa.table({"image_id": ids.cast(pa.binary())}))
    fresh = connection.sql("SELECT DISTINCT image_id FROM batch ANTI JOIN seen USING (image_id)").to_arrow_table(BATCH)
    connection.unregister("batch")
    return fresh


def _remember(connection: duckdb.DuckDBPyConnection, ids: pa.ChunkedArray) -> None:
    connection.register("batch", pa.table({"image_id": ids.cast(pa.binary())}))
    connection.execute("INSERT INTO seen SELECT image_id FROM batch")
    connection.unregister("batch")


def _those(table: pa.Table, ids: pa.Table) -> pa.Table:
    """Return the rows of a table whose `image_id` is among ids, in their order."""
    wanted = ids.column("image_id").combine_chunks()
    inside = pa.compute.is_in(table.column("image_id").cast(pa.binary()), value_set=wanted)  # type: ignore[attr-defined]
    return table.filter(inside)
