"""Archive → smaller archive: layers dropped, or cut to a budget, without originals, networks or pixels.

    layers of every row: bytes, remaining error ──convex hull──▶ steps, each with its gain a byte
    total budget ──steps of all pictures by gain──▶ how steep a step must be ──▶ where each file is cut

Each picture's steps are taken from the steepest on, so its own are taken in order; Shoham & Gersho (1988) have shown
that this spends a budget best. The gains of a million pictures are kept as sums over fine steps of steepness, not as a
list, so memory does not grow with the archive.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sgc_diffusion import bitstream
from sgc_diffusion.archive.contents import read_shard
from sgc_diffusion.archive.durable import durable_path
from sgc_diffusion.archive.encoding import commit_unit
from sgc_diffusion.archive.layout import DESCRIPTION, Archive, ArchiveError, UnitName, only_writer
from sgc_diffusion.archive.schema import DEAD_LETTERS

GRADES = 64  # steps of steepness an octave
OCTAVES = 48  # of steepness that are told apart, around one squared error a byte
COLUMNS = ["width", "height", "num_bytes", "layers"]


@dataclass(frozen=True)
class ThinOptions:
    """What is to be left out; see `bitstream.thin` for the first three.

    Attributes:
        drop: kinds of layers.
        num_levels: detail levels that are kept at most.
        max_bytes: of each file; one whose labels and colors alone take more keeps those.
        total_bytes: of all `.sgc` files together.
    """

    drop: Collection[int] = ()
    num_levels: int | None = None
    max_bytes: int | None = None
    total_bytes: int | None = None


@dataclass
class Cuts:
    """How steep a step must be to be taken.

    Attributes:
        grade: steps of a higher grade are taken.
        rest: bytes that are left for steps of this grade, taken in the order of the archive.
        whole: everything fits, also what brings nothing.
    """

    grade: int = -1
    rest: int = 0
    whole: bool = False


@dataclass
class _Sums:
    """Bytes of all steps by grade, of what no file can do without, and of all files."""

    least: int = 0
    whole: int = 0
    by_grade: np.ndarray = field(default_factory=lambda: np.zeros(GRADES * OCTAVES, np.int64))


def thin_archive(archive: Archive, folder: str | Path, options: ThinOptions) -> Iterator[UnitName]:
    """Write a thinner copy of an archive; a run that was interrupted goes on where it was.

    Args:
        archive: to be thinned; not changed.
        folder: of the copy.
        options: what is to be left out.

    Yields:
        Each unit of the copy, as it is written.

    Raises:
        ArchiveError: a budget that labels and colors alone exceed, a damaged shard, or a folder that holds something.
        OSError: the folder cannot be written.
    """
    cuts = None if options.total_bytes is None else plan_cuts(archive, options.total_bytes)
    folder = Path(folder).absolute()
    if folder.exists() and not (folder / DESCRIPTION).exists() and any(folder.iterdir()):
        raise ArchiveError(f"{folder} is no archive and not empty; give another place")
    if folder == archive.folder:
        raise ArchiveError(f"{folder} is the archive itself; give the thinner one another place")
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder):
        is_new = not (folder / DESCRIPTION).exists()
        copy = Archive.create(folder, None, None) if is_new else Archive.open(folder)
        for number in archive.manifest_numbers():
            with durable_path(copy.manifest(number)) as temporary:
                temporary.write_bytes(archive.manifest(number).read_bytes())
        done = set(copy.committed())
        for unit in archive.committed():
            shard = read_shard(archive.shard(unit))
            thinner = _thin_shard(shard, options, cuts)  # also of what is done, for the budget's rest goes on
            if unit not in done:
                path = archive.dead_letters(unit)
                commit_unit(copy, unit, thinner, read_shard(path) if path.exists() else DEAD_LETTERS.empty_table())
            yield unit


def _thin_shard(shard: pa.Table, options: ThinOptions, cuts: Cuts | None) -> pa.Table:
    rows = shard.to_pylist()
    for row in rows:
        data = row["sgc"]
        limits = [limit for limit in (options.max_bytes, cuts and _limit(row, cuts)) if limit is not None]
        data = _thin_file(data, options, min(limits, default=None))
        if data != row["sgc"]:
            kept = bitstream.inspect(data).layer_bytes
            row["layers"] = [layer for layer in row["layers"] if layer["name"] in kept]
            row |= {"sgc": data, "num_bytes": len(data)}
    return pa.Table.from_pylist(rows, shard.schema)


def _thin_file(data: bytes, options: ThinOptions, max_bytes: int | None) -> bytes:
    """Return a thinner file; labels and colors are kept where they alone take more than `max_bytes`."""
    smaller = bitstream.thin(data, drop=options.drop, num_levels=options.num_levels)
    if max_bytes is None or len(smaller) <= max_bytes:
        return smaller
    least = bitstream.thin(data, drop=range(1, 128))
    return bitstream.thin(smaller, max_bytes=max(max_bytes, len(least)))


def plan_cuts(archive: Archive, total_bytes: int) -> Cuts:
    """Return where the files of an archive are to be cut so that all together take at most a number of bytes.

    Args:
        archive: whose pictures have their errors measured, as packing with a quality or a budget does; a picture
            without errors is kept to its labels and colors.
        total_bytes: of all `.sgc` files.

    Raises:
        ArchiveError: labels and colors alone take more, or a shard is damaged.
    """
    sums = _Sums()
    for unit in archive.committed():
        for row in read_shard(archive.shard(unit), COLUMNS).to_pylist():
            least, steps = steps_of(row)
            sums.least += least
            sums.whole += row["num_bytes"]
            for num_bytes, gain in steps:
                sums.by_grade[_grade(gain / num_bytes)] += num_bytes
    if sums.least > total_bytes:
        raise ArchiveError(f"`total_bytes` {total_bytes} is too few: labels and colors alone take {sums.least} bytes")
    if sums.whole <= total_bytes:
        return Cuts(whole=True)
    left = total_bytes - sums.least
    taken = np.cumsum(sums.by_grade[::-1])
    over = int(np.searchsorted(taken, left, side="right"))
    if over == len(taken):
        return Cuts()
    return Cuts(len(taken) - 1 - over, left - (int(taken[over - 1]) if over else 0))


def steps_of(row: dict[str, Any]) -> tuple[int, list[tuple[int, float]]]:
    """Return the bytes that a picture takes at least, and the steps of its convex hull.

    Args:
        row: with `COLUMNS` of a shard.

    Returns:
        Bytes of header, labels and color; and (bytes, decrease of the sum of squared errors) of each step, the steepest
        first. A step may be of several layers.
    """
    layers = row["layers"]
    least = row["num_bytes"] - sum(layer["num_bytes"] for layer in layers[2:])
    if not layers[2:] or any(layer["mse"] is None for layer in layers[1:]):
        return least, []
    samples = 3 * row["width"] * row["height"]
    points = [(0, layers[1]["mse"] * samples)]
    for layer in layers[2:]:
        points.append((points[-1][0] + layer["num_bytes"], layer["mse"] * samples))
    steps, at = [], 0
    while at < len(points) - 1:
        slopes = [(points[at][1] - error) / (size - points[at][0]) for size, error in points[at + 1 :]]
        best = max(range(len(slopes)), key=lambda index: (slopes[index], index))
        if slopes[best] <= 0:
            break
        to = at + 1 + best
        steps.append((points[to][0] - points[at][0], points[at][1] - points[to][1]))
        at = to
    return least, steps


def _limit(row: dict[str, Any], cuts: Cuts) -> int:
    """Return the bytes at which a file is to be cut; spends the rest of the budget where its steps are on the edge."""
    if cuts.whole:
        return row["num_bytes"]
    size, steps = steps_of(row)
    for num_bytes, gain in steps:
        grade = _grade(gain / num_bytes)
        if grade == cuts.grade and num_bytes <= cuts.rest:
            cuts.rest -= num_bytes
        elif grade <= cuts.grade:
            break
        size += num_bytes
    return size


def _grade(steepness: float) -> int:
    """Return 0 … 3071, rising with how much a byte brings."""
    return int(min(GRADES * OCTAVES - 1, max(0, GRADES * (math.log2(steepness) + OCTAVES / 2))))
