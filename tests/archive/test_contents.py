"""Reading, checking, mending, exporting and merging archives."""

import json
import tarfile

import duckdb
import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.archive.contents import count, find_picture, get_file, iterate_shards
from sgc_diffusion.archive.exporting import export_webdataset, unpack
from sgc_diffusion.archive.layout import Archive, ArchiveError
from sgc_diffusion.archive.merging import merge
from sgc_diffusion.archive.packing import pack
from sgc_diffusion.archive.search import search
from sgc_diffusion.archive.verification import repair, verify


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 64
    path.write_bytes(bytes(data))


def test_one_picture_by_the_beginning_of_its_id(album):
    row = next(iterate_shards(album))[1].to_pylist()[0]
    assert find_picture(album, row["image_id"].hex()[:20]) == row
    assert get_file(album, row["image_id"].hex()) == row["sgc"]
    for image_id in ("0" * 64, "ab", "not hexadecimal"):
        with pytest.raises(ArchiveError, match="`image_id`"):
            get_file(album, image_id)


def test_counts(album):
    counts = count(album)
    assert (counts.num_listed, counts.num_pictures, counts.num_dead) == (24, 22, 2)
    files = [data for _, table in iterate_shards(album, ["sgc"]) for data in table[0].to_pylist()]
    assert counts.file_bytes == sum(map(len, files))
    assert counts.layer_bytes["labels"] == sum(bitstream.inspect(data).layer_bytes["labels"] for data in files)


def test_the_parquet_files_are_read_without_this_package(album):
    rows = duckdb.sql(f"SELECT sgc, width, area_sky / label_cells FROM '{album.folder}/shards/*.parquet'").fetchall()
    assert len(rows) == 22
    for data, width, sky in rows:
        payload = bitstream.decode(data, strict=True)
        assert payload.width == width and np.isclose((payload.label_map == 1).mean(), sky)


def test_a_flipped_byte_is_named_and_the_other_shards_are_served(packed, caplog):
    archive = Archive.open(packed / "album")
    bad = archive.shard(archive.committed()[1])
    flip(bad)
    verdict = verify(archive)
    assert verdict.damaged == [archive.committed()[1]] and any(str(bad) in line for line in verdict.problems)
    assert verdict.num_listed == 24
    assert len(list(iterate_shards(archive))) == 4 and str(bad) in caplog.text
    assert len(search(archive, limit=100)) >= 17
    list(repair(archive))
    assert verify(archive).problems == [] and verify(archive).num_open == 5
    assert list(pack([], archive.folder))[-1].num_done == 5
    assert verify(archive).num_pictures == 22 and (archive.folder / "quarantine" / bad.name).exists()


def test_lost_and_damaged_commit_records_are_written_anew(packed, read_all):
    archive = Archive.open(packed / "album")
    before = read_all(archive)
    archive.commit(archive.committed()[0]).write_text("{")
    archive.commit(archive.committed()[2]).unlink()
    assert verify(archive).problems and verify(archive).num_open == 5
    assert len(list(repair(archive))) == 2
    assert read_all(archive) == before and list(repair(archive)) == []


def test_unpacking_gives_the_files_and_leaves_what_is_there(album, tmp_path):
    written = list(unpack(album, tmp_path / "out"))
    assert len(written) == 22 and (tmp_path / "out" / "below" / "000.png.sgc").exists()
    row = next(iterate_shards(album))[1].to_pylist()[0]
    assert (tmp_path / "out" / f"{row['path']}.sgc").read_bytes() == row["sgc"]
    assert not any(is_new for _, is_new in unpack(album, tmp_path / "out"))


def test_webdataset(album, tmp_path):
    keys = list(export_webdataset(album, tmp_path / "tars"))
    with tarfile.open(next((tmp_path / "tars").iterdir())) as tar:
        names = tar.getnames()
        assert sorted(names) == sorted(f"{key}.{suffix}" for key in keys for suffix in ("sgc", "json"))
        assert bitstream.decode(tar.extractfile(f"{keys[0]}.sgc").read())
        assert json.load(tar.extractfile(f"{keys[0]}.json"))["width"] in (40, 41, 42)


def test_merging_keeps_each_picture_once(packed, encoder_options, add_pictures, tmp_path):
    add_pictures(tmp_path / "more", 4, first=20)  # two of them are in the album
    list(pack([str(tmp_path / "more")], tmp_path / "other", encoder_options))
    archives = [Archive.open(packed / "album"), Archive.open(tmp_path / "other")]
    assert len(list(merge(archives, tmp_path / "merged"))) == 6
    merged = Archive.open(tmp_path / "merged")
    verdict = verify(merged)
    assert (verdict.num_pictures, verdict.problems, verdict.num_open) == (24, [], 0)
    assert merged.options == encoder_options
    assert list(pack([str(tmp_path / "more")], tmp_path / "merged"))[-1].num_done == 0
    with pytest.raises(ArchiveError, match="not empty"):
        list(merge(archives, tmp_path / "merged"))
