"""Measure archives: encoding rate and scaling, bytes a picture, memory of the driver, and latency of search.

    python eval/archive_scale.py --rows 10000 100000 1000000 --output eval/results/archive_scale.json
    python eval/archive_scale.py --images DIR [DIR …] --pictures 300 --output eval/results/archive_encoding.json

Three parts, each in processes of its own. **Encoding**: photographs, cut to squares of 512 and saved as JPEG, are
packed by one worker and by two, end to end; the rate is that of packing after start-up, from the first commit record to
the last. **Memory**: manifests of ever more sources are made and read back by units, the driver's part of packing; the
sources are windows of one file of noise; what is reported is the process's peak. **Search**: the columns of 512 random
files, combined anew for every row, are written as shards of 4096; each query runs in DuckDB with two threads, five
times, the view made anew; the median is reported.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.archive.description import describe
from sgc_diffusion.archive.encoding import commit_unit
from sgc_diffusion.archive.layout import Archive, EncoderOptions, UnitName
from sgc_diffusion.archive.likeness import search_like
from sgc_diffusion.archive.manifest import list_units, read_unit, scan
from sgc_diffusion.archive.packing import pack
from sgc_diffusion.archive.schema import DEAD_LETTERS, MANIFEST, encodings, shard_schema, write_table
from sgc_diffusion.archive.search import ask, count_matches, search
from sgc_diffusion.archive.sources import MEMBER, Entry
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.payload import ColorLayer, LabelLayer, SemanticPayload

logger = logging.getLogger(__name__)
SIDE, UNIT, REPEATS = 512, 4096, 5
BASE_ROWS = 512  # files whose columns are combined
WINDOW, WINDOW_STEP = 64, 8  # bytes of a synthetic source, and from one to the next
NOISE_BLOCK = 2**16  # bytes that are written at a time
QUERIES = {
    "shares": "tree > 0.3 and sea > 0 and width > 1000",
    "colors": "blue > red + 40 and sky > 0.2",
    "time and place": "captured_at >= '2020-01-01' and latitude between 45 and 47",
}


def in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a fresh process, so that its peak of memory is its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(function, arguments)


def peak_mb() -> float:
    """Return the most memory that this process has had, in 2²⁰ bytes."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def write_photos(folders: list[Path], target: Path, count: int) -> int:
    """Write the middle squares of photographs as JPEG; return how many; with too few, they are cut anew."""
    target.mkdir()
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in (".jpg", ".png")]
    written = 0
    for turn in range(1 + count // max(1, len(paths))):
        for path in paths:
            if written == count:
                return written
            with Image.open(path) as image:
                picture = image.convert("RGB")
            side = max(64, min(picture.size) - 8 * turn)
            picture = picture.crop((0, 0, side, side)).resize((SIDE, SIDE))
            if turn % 2:
                picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            picture.save(target / f"{written:05}.jpg", quality=90)
            written += 1
    return written


def measure_packing(photos: Path, archive: Path, workers: int) -> dict[str, float]:
    """Return the rate of packing with a number of workers."""
    times: list[tuple[float, int, float]] = []
    started = time.perf_counter()
    progress = None
    for progress in pack([str(photos)], archive, EncoderOptions(), num_workers=workers, unit_size=25):
        times.append((time.perf_counter(), progress.num_done, time.process_time()))
    first, last = times[1], times[-1]
    return {
        "pictures_per_s": (last[1] - first[1]) / (last[0] - first[0]),
        "driver_cpu_ms_a_picture": 1000 * (last[2] - first[2]) / (last[1] - first[1]),
        "whole_run_s": time.perf_counter() - started,
        "dead_letters": float(progress.num_dead if progress else 0),
        "driver_peak_mb": peak_mb(),
    }


def measure_encoding(photos: Path, place: Path, most: Sequence[int]) -> dict[str, Any]:
    """Return rates for one worker and two, and how well two divide the work."""
    rates: dict[str, Any] = {}
    for workers in most:
        rates[f"{workers} workers"] = in_process(measure_packing, photos, place / f"packed-{workers}", workers)
    speeds = {workers: rates[f"{workers} workers"]["pictures_per_s"] for workers in most}
    if len(speeds) > 1:
        rates["efficiency"] = speeds[2] / (2 * speeds[1])
    return rates


def measure_bytes(archive: Archive, place: Path) -> dict[str, float]:
    """Return bytes a picture: of the files, of each group of columns for one picture more, and of a shard at rest.

    All pictures, and half of them, are written as one shard each; the difference is what a picture more takes.
    """
    whole = pa.concat_tables(pq.read_table(archive.shard(unit)) for unit in archive.committed())
    half = whole.num_rows // 2
    sizes = []
    for rows in (whole.num_rows, half):
        write_table(whole.slice(0, rows), place)
        group = pq.read_metadata(place).row_group(0)
        columns = [group.column(index) for index in range(group.num_columns)]
        entries = {"shard": place.stat().st_size}
        for column in columns:
            name = column.path_in_schema.partition(".")[0]
            name = "class areas" if name.startswith("area_") else name
            entries[name] = entries.get(name, 0) + column.total_compressed_size
        sizes.append(entries)
    more = {name: (size - sizes[1][name]) / (whole.num_rows - half) for name, size in sizes[0].items()}
    files = whole.column("num_bytes").to_numpy()
    return {
        "pictures": whole.num_rows,
        "file": float(files.mean()),
        "shard, one picture more": more.pop("shard"),
        "shard, fixed": sizes[1]["shard"] - half * (sizes[0]["shard"] - sizes[1]["shard"]) / (whole.num_rows - half),
        **{f"column {name}": round(size, 2) for name, size in sorted(more.items(), key=lambda item: -item[1])},
    }


def synthetic_entries(count: int, noise: Path) -> Iterator[Entry]:
    """Yield sources with different contents, windows of one file, under names as cameras give them."""
    rng = np.random.default_rng(0)
    with open(noise, "wb") as file:
        for start in range(0, WINDOW_STEP * count + WINDOW, NOISE_BLOCK):
            file.write(rng.bytes(min(NOISE_BLOCK, WINDOW_STEP * count + WINDOW - start)))
    for number in range(count):
        name = f"{number // 1000:06}/IMG_{number:09}.jpg"
        yield Entry(MEMBER, str(noise), name, WINDOW_STEP * number, WINDOW, 10**18)


def measure_memory(count: int, folder: Path) -> dict[str, float]:
    """Return peak memory and time of making a manifest, and of reading it back by units."""
    base, noise = peak_mb(), folder.with_suffix(".noise")
    folder.mkdir()
    archive = Archive.create(folder, None, None)
    started = time.perf_counter()
    scan(archive, synthetic_entries(count, noise), [])
    made = time.perf_counter() - started
    units = list_units(archive)
    rows = sum(len(read_unit(archive, unit)) for unit, _ in units)
    size = archive.manifest(0).stat().st_size / rows
    memory = {"before_mb": base, "peak_mb": peak_mb()}
    return {"rows": float(rows), "units": float(len(units)), "manifest_s": made, "manifest_bytes_a_row": size} | memory


def random_rows(rng: np.random.Generator, count: int) -> list[dict[str, Any]]:
    """Return descriptions of random payloads with blocky label maps, as pictures have."""
    rows = []
    for _ in range(count):
        small = rng.choice(24, (4, 4), p=np.r_[0.02, np.full(10, 0.08), np.full(13, 0.18 / 13)])
        label_map = np.kron(small, np.ones((8, 8), int)).astype(np.uint8)
        color_map = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
        color = ColorLayer.from_color_map(color_map, 40)
        payload = SemanticPayload(int(rng.integers(500, 4000)), 1500, LabelLayer(label_map, "landscape-24"), color)
        rows.append(describe(bitstream.encode(payload), payload))
    return rows


def write_synthetic(count: int, folder: Path) -> None:
    """Write an archive of many rows: columns of 4096 random pictures, shuffled by column groups for every shard."""
    rng = np.random.default_rng(0)
    schema = shard_schema("landscape-24")
    base = pa.Table.from_pylist(random_rows(rng, BASE_ROWS), schema.remove(0))
    archive = Archive.create(folder, None, None)
    of_labels = ("area_", "label_cells", "layout")
    with pq.ParquetWriter(archive.manifest(0), MANIFEST, **encodings(MANIFEST)) as writer:
        for group, start in enumerate(range(0, count, UNIT)):
            size = min(UNIT, count - start)
            labels, others = rng.integers(0, BASE_ROWS, (2, size))
            table: dict[str, Any] = {
                name: base.column(name).take(labels if name.startswith(of_labels) else others)
                for name in base.column_names
            }
            ids = [hashlib.sha256(number.to_bytes(8, "little")).digest() for number in range(start, start + size)]
            paths = [f"{number // 1000:06}/{number:09}.jpg" for number in range(start, start + size)]
            where = {"image_id": ids, "source": ["/photos"] * size, "path": paths, "path_bytes": [None] * size}
            seconds = rng.integers(1_000_000_000, 1_750_000_000, size)
            places = {"latitude": rng.uniform(-60, 70, size), "longitude": rng.uniform(-180, 180, size)}
            table |= where | {"captured_at": pa.array(seconds).cast(pa.timestamp("s"))} | places
            commit_unit(
                archive,
                UnitName(0, group),
                pa.table({name: table[name] for name in schema.names}).cast(schema),
                DEAD_LETTERS.empty_table(),
            )
            listed = where | {"kind": ["file"] * size, "offset": [None] * size, "size": [1] * size}
            writer.write_table(pa.table(listed | {"modified_ns": [None] * size}, MANIFEST), row_group_size=UNIT)


def median_ms(function: Callable[[], Any]) -> float:
    """Return the median of a few calls in milliseconds."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - started))
    return round(statistics.median(times), 1)


def measure_search(folder: Path) -> dict[str, Any]:
    """Return latencies in milliseconds, and whether answers are those of looking at every row."""
    archive = Archive.open(folder)
    result: dict[str, Any] = {}
    for name, where in QUERIES.items():
        result[f"{name}: 20 rows"] = median_ms(lambda where=where: search(archive, where, num_threads=2))
        result[f"{name}: count"] = median_ms(lambda where=where: count_matches(archive, where, num_threads=2))
    query = "SELECT sgc FROM pictures LIMIT 1"
    wanted = bitstream.decode(ask(archive, query).column("sgc")[0].as_py())
    result["likeness: 20 nearest"] = median_ms(lambda: search_like(archive, wanted, num_threads=2))
    where = "sky > 0.1"
    result["likeness among some"] = median_ms(lambda: search_like(archive, wanted, where, num_threads=2))
    table = pa.concat_tables(
        pq.read_table(archive.shard(unit), columns=["area_tree", "area_sea", "label_cells", "width"])
        for unit in archive.committed()
    )
    tree, sea, cells, width = (column.to_numpy() for column in table.columns)
    brute = int(((tree / cells > 0.3) & (sea > 0) & (width > 1000)).sum())
    result["matches"] = count_matches(archive, QUERIES["shares"])
    result["matches by looking at every row"] = brute
    result["peak_mb"] = peak_mb()
    return result


def main() -> None:
    """Read the arguments, measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[], help="of the synthetic archives")
    parser.add_argument("--images", type=Path, nargs="*", default=[], help="folders of photographs")
    parser.add_argument("--pictures", type=int, default=100, help="to encode")
    parser.add_argument("--workers", type=int, choices=[1, 2], default=2, help="of the most busy run")
    parser.add_argument("--output", type=Path, help="JSON file")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report: dict[str, Any] = {
        "command": " ".join(["python", "eval/archive_scale.py", *sys.argv[1:]]),
        "commit": commit(),
        "platform": platform.platform(),
        "processors": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg(),
        "memory": {},
        "search": {},
    }
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for count in arguments.rows:
            report["memory"][count] = in_process(measure_memory, count, place / f"memory-{count}")
            logger.info("%d rows: %s", count, report["memory"][count])
        for count in arguments.rows[-1:]:
            in_process(write_synthetic, count, place / f"search-{count}")
            report["search"][count] = in_process(measure_search, place / f"search-{count}")
            logger.info("%s", json.dumps(report["search"][count], indent=1))
        if arguments.images:
            report["pictures"] = write_photos(arguments.images, place / "photos", arguments.pictures)
            report["encoding"] = measure_encoding(place / "photos", place, range(1, arguments.workers + 1))
            report["bytes"] = measure_bytes(Archive.open(place / "packed-1"), place / "shard.parquet")
            logger.info("%s\n%s", json.dumps(report["encoding"], indent=1), json.dumps(report["bytes"], indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
