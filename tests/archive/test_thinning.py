"""Thinning archives: budgets are kept to and spent where they buy most."""

import hashlib
import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.archive.contents import count, iterate_shards
from sgc_diffusion.archive.description import describe, mean_square_error
from sgc_diffusion.archive.encoding import commit_unit
from sgc_diffusion.archive.layout import Archive, ArchiveError, UnitName
from sgc_diffusion.archive.schema import DEAD_LETTERS, MANIFEST, shard_schema
from sgc_diffusion.archive.thinning import ThinOptions, steps_of, thin_archive
from sgc_diffusion.archive.verification import verify
from sgc_diffusion.synthesis.likeness import likeness


@pytest.fixture(scope="module")
def archive(tmp_path_factory, detailed):
    """Six pictures in two units, some rough and some smooth, with all of their levels."""
    archive = Archive.create(tmp_path_factory.mktemp("fine"), None, None)
    rows, pictures = [], {}
    for seed in range(6):
        payload, picture = detailed(seed, 9, 32, 24, roughness=4 + 20 * (seed % 3))
        key = hashlib.sha256(bytes([seed])).digest()
        pictures[key] = picture
        where = {"image_id": key, "source": "", "path": f"{seed}.png", "path_bytes": None}
        rows.append(where | describe(bitstream.encode(payload), payload, picture))
    with pq.ParquetWriter(archive.manifest(0), MANIFEST) as writer:
        for unit in (0, 1):
            part = rows[3 * unit : 3 * unit + 3]
            where = [
                {name: row[name] for name in ("image_id", "source", "path")} | {"kind": "file", "size": 1}
                for row in part
            ]
            writer.write_table(pa.Table.from_pylist(where, MANIFEST))
            shard = pa.Table.from_pylist(part, shard_schema("landscape-24"))
            commit_unit(archive, UnitName(0, unit), shard, DEAD_LETTERS.empty_table())
    return archive, pictures


def errors(archive, pictures):
    rows = [row for _, table in iterate_shards(archive) for row in table.to_pylist()]
    return sum(mean_square_error(likeness(bitstream.decode(row["sgc"])), pictures[row["image_id"]]) for row in rows)


def test_recorded_errors_are_those_of_files_cut_there(archive):
    album, pictures = archive
    row = next(iterate_shards(album))[1].to_pylist()[1]
    for kept, layer in enumerate(row["layers"][2:], start=1):
        cut = bitstream.decode(bitstream.thin(row["sgc"], num_levels=kept))
        assert np.isclose(mean_square_error(likeness(cut), pictures[row["image_id"]]), layer["mse"])


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_a_total_is_kept_to_and_beats_equal_shares(archive, tmp_path, part):
    album, pictures = archive
    total = int(count(album).file_bytes * part)
    list(thin_archive(album, tmp_path / "total", ThinOptions(total_bytes=total)))
    spent = count(Archive.open(tmp_path / "total")).file_bytes
    assert 0.8 * total < spent <= total
    list(thin_archive(album, tmp_path / "equal", ThinOptions(max_bytes=total // 6)))
    assert errors(Archive.open(tmp_path / "total"), pictures) < errors(Archive.open(tmp_path / "equal"), pictures)
    assert verify(Archive.open(tmp_path / "total")).problems == []


def test_the_steps_of_a_hull_fall_and_reach_the_best_point(archive):
    album, _ = archive
    for _, table in iterate_shards(album):
        for row in table.to_pylist():
            least, steps = steps_of(row)
            slopes = [gain / size for size, gain in steps]
            assert all(first >= second for first, second in itertools.pairwise(slopes)) and min(slopes) > 0
            best = min(layer["mse"] for layer in row["layers"][1:])
            start = row["layers"][1]["mse"] * 3 * row["width"] * row["height"]
            assert np.isclose(start - sum(gain for _, gain in steps), best * 3 * row["width"] * row["height"], atol=1)
            assert least + sum(size for size, _ in steps) <= row["num_bytes"]


def test_other_amounts_and_refusals(archive, tmp_path):
    album, _ = archive
    list(thin_archive(album, tmp_path / "color", ThinOptions(drop=range(1, 128))))
    colors = count(Archive.open(tmp_path / "color"))
    assert set(colors.layer_bytes) == {"labels", "color"}
    with pytest.raises(ArchiveError, match=f"alone take {colors.file_bytes} bytes"):
        list(thin_archive(album, tmp_path / "none", ThinOptions(total_bytes=colors.file_bytes - 1)))
    list(thin_archive(album, tmp_path / "all", ThinOptions(total_bytes=10**9)))
    assert count(Archive.open(tmp_path / "all")).file_bytes == count(album).file_bytes
    with pytest.raises(ArchiveError, match="itself"):
        list(thin_archive(album, album.folder, ThinOptions()))


def test_an_interrupted_run_goes_on(archive, tmp_path, read_all):
    album, _ = archive
    options = ThinOptions(total_bytes=count(album).file_bytes // 2)
    next(thin_archive(album, tmp_path / "twice", options))
    list(thin_archive(album, tmp_path / "twice", options))
    list(thin_archive(album, tmp_path / "once", options))
    assert read_all(Archive.open(tmp_path / "twice")) == read_all(Archive.open(tmp_path / "once"))
