"""Whether an archive holds what it should: every checksum read, every picture counted against the manifest.

    manifest, commit record, shard, dead letters ──check_unit──▶ problems, by unit

Repairing never invents: a shard that holds all of its unit gets its commit record back; one that does not is set aside
in `quarantine/`, its unit open again, and the next packing makes it anew from the sources.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from sgc_diffusion import bitstream
from sgc_diffusion.archive.contents import is_whole, read_commit, read_shard
from sgc_diffusion.archive.durable import durable_path, file_digest
from sgc_diffusion.archive.layout import Archive, ArchiveError, UnitName
from sgc_diffusion.archive.manifest import list_units, read_unit

QUARANTINE = "quarantine"
MAX_NAMED = 5  # pictures in a message


@dataclass
class Verdict:
    """What verifying came to.

    Attributes:
        num_listed: pictures in the manifests.
        num_pictures: intact ones in shards.
        num_dead: dead letters.
        num_open: pictures of units that are not done.
        problems: lines that name what is wrong.
        damaged: units with a problem.
    """

    num_listed: int = 0
    num_pictures: int = 0
    num_dead: int = 0
    num_open: int = 0
    problems: list[str] = field(default_factory=list)
    damaged: list[UnitName] = field(default_factory=list)


def verify(archive: Archive, on_unit: Callable[[UnitName], None] = lambda unit: None) -> Verdict:
    """Check all of an archive.

    Args:
        archive: to be read.
        on_unit: told each unit after it was checked.

    Returns:
        The verdict; `problems` is empty if every unit that is done is whole and no picture is there twice.
    """
    verdict = Verdict()
    units = _units(archive, verdict)
    committed = set(archive.committed())
    for unit in sorted(committed - units.keys(), key=str):
        verdict.problems.append(f"{archive.commit(unit)}: no manifest has this unit")
        verdict.damaged.append(unit)
    for unit, size in units.items():
        verdict.num_listed += size
        if unit not in committed:
            verdict.num_open += size
            continue
        num_pictures, num_dead, problems = check_unit(archive, unit)
        verdict.num_pictures += num_pictures
        verdict.num_dead += num_dead
        if problems:
            verdict.problems += problems
            verdict.damaged.append(unit)
        on_unit(unit)
    verdict.problems += _repeated(archive)
    return verdict


def _lacks_only_its_record(archive: Archive, unit: UnitName) -> bool:
    """Return whether a shard is whole in every page and holds its unit, and no readable record says otherwise."""
    with suppress(OSError, ArchiveError):
        read_commit(archive, unit)
        return False  # and the shard is not what it says, or the unit would not be looked at
    try:
        read_shard(archive.shard(unit))
    except ArchiveError:
        return False
    return not _intact(archive.shard(unit))[1] and not _compare(archive, unit)[1]


def _units(archive: Archive, verdict: Verdict) -> dict[UnitName, int]:
    """Return unit → number of pictures; a manifest that cannot be read is a problem of its own."""
    try:
        return dict(list_units(archive))
    except (OSError, ValueError):
        units: dict[UnitName, int] = {}
    for number in archive.manifest_numbers():
        try:
            metadata = pq.read_metadata(archive.manifest(number))
        except (OSError, ValueError) as error:
            verdict.problems.append(f"{archive.manifest(number)} cannot be read: {error}")
            continue
        units |= {UnitName(number, i): metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)}
    return units


def check_unit(archive: Archive, unit: UnitName) -> tuple[int, int, list[str]]:
    """Return intact pictures, dead letters, and problems of a unit that has a commit record."""
    path = archive.shard(unit)
    try:
        record = read_commit(archive, unit)
        if file_digest(path) != record["shard_sha256"]:
            raise ArchiveError(f"{path}: its SHA-256 is not that of its commit record")
    except FileNotFoundError:
        return 0, 0, [f"{path} is missing"]
    except (OSError, ArchiveError) as error:
        num_intact, _ = _intact(path)
        return num_intact, 0, [str(error)]
    num_intact, problems = _intact(path)
    num_dead, differences = _compare(archive, unit)
    return num_intact, num_dead, problems + differences


def _intact(path: Path) -> tuple[int, list[str]]:
    """Return how many files of a shard have right checksums, and what is wrong with the others."""
    try:
        table = read_shard(path, ["image_id", "sgc"])
    except ArchiveError as error:
        return 0, [str(error)]
    damaged = []
    for batch in table.to_batches():
        for image_id, data in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            try:
                is_intact = bitstream.inspect(data).is_intact is not False
            except bitstream.BitstreamError:
                is_intact = False
            if not is_intact:
                damaged.append(image_id.hex())
    more = f" and {len(damaged) - MAX_NAMED} more" if len(damaged) > MAX_NAMED else ""
    names = ", ".join(damaged[:MAX_NAMED]) + more
    return table.num_rows - len(damaged), [f"{path}: damaged files {names}"] if damaged else []


def _compare(archive: Archive, unit: UnitName) -> tuple[int, list[str]]:
    """Return the number of dead letters, and how a unit's pictures and dead letters differ from its manifest."""
    try:
        listed = [row["image_id"] for row in read_unit(archive, unit)]
        packed = read_shard(archive.shard(unit), ["image_id"]).column("image_id").to_pylist()
        path = archive.dead_letters(unit)
        dead = read_shard(path, ["image_id"]).column("image_id").to_pylist() if path.exists() else []
    except (OSError, ValueError) as error:
        return 0, [str(error)]
    if sorted(packed + dead) == sorted(listed):
        return len(dead), []
    missing, surplus = set(listed) - set(packed + dead), set(packed + dead) - set(listed)
    text = f"{unit}: {len(missing)} pictures of the manifest are missing, {len(surplus)} are not in it"
    return len(dead), [f"{text}, {len(packed + dead) - len(set(packed + dead))} are there twice"]


def _repeated(archive: Archive) -> list[str]:
    """Return a line if pictures are in several shards."""
    paths = [str(archive.shard(unit)) for unit in archive.committed() if is_whole(archive, unit)]
    if not paths:
        return []
    query = "SELECT count(*) - count(DISTINCT image_id) FROM read_parquet(?, union_by_name=true)"
    with duckdb.connect() as connection:
        row = connection.execute(query, [paths]).fetchone()
    return [f"{row[0]} pictures are in several shards"] if row and row[0] else []


def repair(archive: Archive) -> Iterator[str]:
    """Give whole shards their commit records back, and set damaged ones aside; meant for the archive's writer.

    Yields:
        What was done, in lines.

    Raises:
        OSError: the archive cannot be written.
    """
    units = _units(archive, Verdict())
    for unit in {**units, **dict.fromkeys(archive.committed(), 0)}:
        path, commit = archive.shard(unit), archive.commit(unit)
        if commit.exists() and unit in units and not check_unit(archive, unit)[2]:
            continue
        if unit in units and _lacks_only_its_record(archive, unit):
            num_rows = pq.read_metadata(path).num_rows
            record = {"unit": str(unit), "num_pictures": num_rows, "num_dead": units[unit] - num_rows}
            record |= {"shard_bytes": path.stat().st_size, "shard_sha256": file_digest(path)}
            with durable_path(commit) as temporary:
                temporary.write_text(json.dumps(record) + "\n", "utf-8")
            yield f"{unit}: the shard is whole; its commit record was written anew"
            continue
        if path.exists():
            (archive.folder / QUARANTINE).mkdir(exist_ok=True)
            path.rename(archive.folder / QUARANTINE / path.name)
            yield f"{path} was moved to {QUARANTINE}/; pack the sources again to make it anew"
        if commit.exists():
            commit.unlink()
            yield f"{commit} was removed: its unit is open again"
