"""What an archive holds: its pictures one after another, one by its id, and counts.

Only what has a commit record is read. A shard that cannot be read costs itself: the others are served, and it is named.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sgc_diffusion import bitstream
from sgc_diffusion.archive.durable import file_digest
from sgc_diffusion.archive.layout import Archive, ArchiveError, UnitName
from sgc_diffusion.archive.manifest import list_units

logger = logging.getLogger(__name__)
MIN_ID_DIGITS = 4


def read_commit(archive: Archive, unit: UnitName) -> dict[str, Any]:
    """Return the commit record of a unit.

    Raises:
        ArchiveError: it is damaged.
        OSError: it cannot be read.
    """
    path = archive.commit(unit)
    try:
        record = json.loads(path.read_text("utf-8"))
        return {name: record[name] for name in ("unit", "num_pictures", "num_dead", "shard_bytes", "shard_sha256")}
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{path} is damaged; `sgc archive verify --repair-index` mends it") from error


def read_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a shard, or some of its columns, checked page by page.

    Raises:
        ArchiveError: it is missing or damaged; the message names it.
    """
    try:
        return pq.read_table(path, columns=columns, page_checksum_verification=True, partitioning=None)  # type: ignore[arg-type]
    except (OSError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArchiveError(f"{path} cannot be read: {reason}") from error


def iterate_shards(archive: Archive, columns: Sequence[str] | None = None) -> Iterator[tuple[UnitName, pa.Table]]:
    """Yield the shards that are committed, one in memory at a time; what cannot be read is warned of and left out."""
    for unit in archive.committed():
        try:
            yield unit, read_shard(archive.shard(unit), columns)
        except ArchiveError as error:
            logger.warning("%s; it is left out, `sgc archive verify` says more", error)


def find_picture(archive: Archive, image_id: str, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the row of a picture.

    Args:
        archive: that holds it.
        image_id: hexadecimal digits, as many as tell it from all others.
        columns: to read; all if None.

    Raises:
        ArchiveError: no picture has this id, or several begin so.
    """
    digits = image_id.lower()
    if not (MIN_ID_DIGITS <= len(digits) <= 64 and set(digits) <= set("0123456789abcdef")):
        raise ArchiveError(f"`image_id` must be {MIN_ID_DIGITS} to 64 hexadecimal digits, got {image_id!r}")
    lowest, highest = bytes.fromhex(digits.ljust(64, "0")), bytes.fromhex(digits.ljust(64, "f"))
    matches: list[tuple[UnitName, int, bytes]] = []
    for unit, table in iterate_shards(archive, ["image_id"]):
        ids = table.column("image_id").cast(pa.binary())
        inside = pc.and_(pc.greater_equal(ids, lowest), pc.less_equal(ids, highest))  # type: ignore[attr-defined]
        places = pc.indices_nonzero(inside).to_pylist()  # type: ignore[attr-defined]
        matches += [(unit, place, ids[place].as_py()) for place in places]
        if len(digits) == 64 and matches:
            break
    if len(matches) != 1:
        count = "no picture" if not matches else f"{len(matches)} pictures"
        raise ArchiveError(f"`image_id` {image_id}: {count} of {archive.folder} begin so; `sgc archive ls` lists them")
    unit, place, _ = matches[0]
    return read_shard(archive.shard(unit), columns).slice(place, 1).to_pylist()[0]


def get_file(archive: Archive, image_id: str) -> bytes:
    """Return the `.sgc` file of a picture.

    Raises:
        ArchiveError: there is none, or it is damaged.
    """
    data = find_picture(archive, image_id, ["sgc"])["sgc"]
    if bitstream.inspect(data).is_intact is False:
        raise ArchiveError(f"`image_id` {image_id}: its file is damaged; `sgc archive verify` says more")
    return data


@dataclass(frozen=True)
class Statistics:
    """Counts of an archive; see `count`.

    Attributes:
        num_units: in the manifests.
        num_committed: units that are done.
        num_listed: pictures in the manifests.
        num_pictures: that are packed.
        num_dead: dead letters of the units that are done.
        num_unread: places that the last scan could not read.
        num_duplicates: places whose contents the archive holds already.
        shard_bytes: of all shards.
        file_bytes: of the `.sgc` files in them.
        layer_bytes: name → bytes of all layers of that name.
    """

    num_units: int
    num_committed: int
    num_listed: int
    num_pictures: int
    num_dead: int
    num_unread: int
    num_duplicates: int
    shard_bytes: int
    file_bytes: int
    layer_bytes: dict[str, int]


def count(archive: Archive) -> Statistics:
    """Return counts of an archive, from commit records, metadata, and the column of layers.

    Raises:
        ArchiveError: a commit record is damaged.
    """
    units, committed = list_units(archive), archive.committed()
    records = [read_commit(archive, unit) for unit in committed]
    layer_bytes: dict[str, int] = {}
    file_bytes = 0
    for _, table in iterate_shards(archive, ["num_bytes", "layers"]):
        file_bytes += pc.sum(table.column("num_bytes")).as_py() or 0  # type: ignore[attr-defined]
        layers = pa.table(pc.list_flatten(table.column("layers")).combine_chunks().flatten(), ["name", "size", "mse"])  # type: ignore[attr-defined]
        for row in layers.group_by("name").aggregate([("size", "sum")]).to_pylist():
            layer_bytes[row["name"]] = layer_bytes.get(row["name"], 0) + row["size_sum"]
    return Statistics(
        num_units=len(units),
        num_committed=len(committed),
        num_listed=sum(size for _, size in units),
        num_pictures=sum(record["num_pictures"] for record in records),
        num_dead=sum(record["num_dead"] for record in records),
        num_unread=_num_rows(archive.folder / "dead" / "scan.parquet"),
        num_duplicates=sum(map(_num_rows, (archive.folder / "duplicates").glob("[0-9]*.parquet"))),
        shard_bytes=sum(record["shard_bytes"] for record in records),
        file_bytes=file_bytes,
        layer_bytes=layer_bytes,
    )


def _num_rows(path: Path) -> int:
    return pq.read_metadata(path).num_rows if path.exists() else 0


def dead_letters(archive: Archive) -> Iterator[dict[str, Any]]:
    """Yield what could not be packed: of the units that are done, then of the last scan."""
    paths = [archive.dead_letters(unit) for unit in archive.committed()]
    for path in [*paths, archive.folder / "dead" / "scan.parquet"]:
        if path.exists():
            yield from read_shard(path).to_pylist()


def is_whole(archive: Archive, unit: UnitName) -> bool:
    """Return whether a shard has the bytes that its commit record says."""
    try:
        return file_digest(archive.shard(unit)) == read_commit(archive, unit)["shard_sha256"]
    except (OSError, ArchiveError):
        return False
