"""Sources → archive: begin it or go on with it, until every picture of its manifests is packed or a dead letter.

    sources ──scan──▶ manifest of what is new ──▶ units without commit record ──encode──▶ shards

The same call begins, resumes and extends: what is committed is never touched again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sgc_diffusion.archive.encoding import identify_encoder, load_encoder
from sgc_diffusion.archive.layout import DESCRIPTION, Archive, ArchiveError, EncoderOptions, only_writer
from sgc_diffusion.archive.manifest import ScanResult, list_units, scan
from sgc_diffusion.archive.sources import list_entries
from sgc_diffusion.archive.workers import encode_by_ray, encode_here


@dataclass(frozen=True)
class PackProgress:
    """How far a run is.

    Attributes:
        unit: that was done last; empty before the first.
        num_done: pictures and dead letters of this run so far.
        num_total: of this run.
        num_pictures: packed in this run.
        num_dead: dead letters of this run, those of the scan among them.
        num_bytes: of the shards of this run.
        scanned: what the scan came to.
    """

    unit: str
    num_done: int
    num_total: int
    num_pictures: int
    num_dead: int
    num_bytes: int
    scanned: ScanResult


def pack(
    sources: Sequence[str],
    folder: str | Path,
    options: EncoderOptions | None = None,
    *,
    num_workers: int = 1,
    ray_address: str | None = None,
    unit_size: int | None = None,
    column: str | None = None,
    rehash: bool = False,
    on_hashed: Callable[[int], None] = lambda count: None,
) -> Iterator[PackProgress]:
    """Pack pictures into an archive, or go on packing; yields once after the scan and once after each unit.

    Args:
        sources: what `sources.list_entries` takes; none to go on with what the archive was given before.
        folder: of the archive; made if it is not there.
        options: how pictures are encoded; None keeps those of the archive, or takes the defaults for a new one.
        num_workers: processes that encode; from two on they are Ray's.
        ray_address: of a Ray cluster; None works on this machine.
        unit_size: pictures of a unit of a new manifest; None chooses.
        column: of Parquet lists; see `list_entries`.
        rehash: read all files again, also those that have the size and time of change that they had.
        on_hashed: told how many pictures the scan has hashed.

    Raises:
        ArchiveError: sources that lead nowhere, another writer, or options that the archive was not begun with.
        ImportError: an extra is not installed.
        OSError: the archive cannot be written; what is committed stays, and the next run goes on.
    """
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder):
        archive = begin(folder, options)
        scanned = _scan(archive, sources, unit_size, column, rehash, on_hashed)
        committed = set(archive.committed())
        units = list_units(archive)
        archive.remove_leftovers([unit for unit, _ in units])
        open_units = [(unit, size) for unit, size in units if unit not in committed]
        total = sum(size for _, size in open_units)
        progress = PackProgress("", 0, total, 0, scanned.num_failed, 0, scanned)
        yield progress
        names = [unit for unit, _ in open_units]
        if not names:
            return
        if num_workers > 1 or ray_address is not None:
            records = encode_by_ray(archive, names, num_workers, ray_address)
        else:
            records = encode_here(archive, names)
        for record in records:
            progress = PackProgress(
                unit=record["unit"],
                num_done=progress.num_done + record["num_pictures"] + record["num_dead"],
                num_total=total,
                num_pictures=progress.num_pictures + record["num_pictures"],
                num_dead=progress.num_dead + record["num_dead"],
                num_bytes=progress.num_bytes + record["shard_bytes"],
                scanned=scanned,
            )
            yield progress


def begin(folder: Path, options: EncoderOptions | None) -> Archive:
    """Return the archive of a folder, made if the folder is empty; meant for its writer.

    Raises:
        ArchiveError: the folder holds something else, or an archive that was begun with other options.
    """
    if not (folder / DESCRIPTION).exists():
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if set(others) - {"manifests", "shards", "dead", "commits"}:
            raise ArchiveError(f"{folder} is no archive and not empty; give another place")
        options = options or EncoderOptions()
        return Archive.create(folder, options, identify_encoder(load_encoder(options)))
    archive = Archive.open(folder)
    if options is not None and options != archive.options:
        raise ArchiveError(
            f"{folder} was begun with {archive.options}, which all of its pictures share; leave the options out, or "
            f"begin another archive for {options}"
        )
    return archive


def _scan(
    archive: Archive,
    sources: Sequence[str],
    unit_size: int | None,
    column: str | None,
    rehash: bool,
    on_hashed: Callable[[int], None],
) -> ScanResult:
    if not sources:
        return ScanResult(None, 0, 0, 0, 0)
    from sgc_diffusion.analysis.image_input import readable_suffixes

    failures: list[tuple[str, str]] = []
    entries = list_entries(sources, readable_suffixes(), lambda place, text: failures.append((place, text)), column)
    return scan(archive, entries, failures, unit_size=unit_size, rehash=rehash, progress=on_hashed)
