"""Packing: begun, resumed, extended; whatever happens, each picture once, and the bytes of an uninterrupted run."""

import hashlib
import io
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tarfile
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.archive.contents import dead_letters, iterate_shards
from sgc_diffusion.archive.layout import Archive, ArchiveError, EncoderOptions
from sgc_diffusion.archive.packing import pack
from sgc_diffusion.archive.verification import verify


def ids(archive):
    return [image_id for _, table in iterate_shards(archive, ["image_id"]) for image_id in table[0].to_pylist()]


def run(*arguments, **options):
    return list(pack(*arguments, **options))[-1]


def test_every_picture_is_there_once_under_the_hash_of_its_bytes(packed_once, album):
    photos = [path for path in (packed_once / "photos").rglob("*.png") if path.name != "cut.png"]
    assert sorted(ids(album)) == sorted(hashlib.sha256(path.read_bytes()).digest() for path in photos)
    letters = list(dead_letters(album))
    assert sorted(row["path"] for row in letters) == ["broken.jpg", "cut.png"]
    assert all(row["reason"] and row["is_final"] for row in letters)


def test_rows_are_what_the_pipeline_makes_of_the_pictures(packed_once, album, tiny_pipeline):
    for _, table in iterate_shards(album):
        for row in table.to_pylist()[:1]:
            data = tiny_pipeline.compress(packed_once / "photos" / row["path"])
            payload = bitstream.decode(data)
            assert row["sgc"] == data and row["num_bytes"] == len(data)
            assert (row["width"], row["height"]) == (payload.width, payload.height)
            assert sum(layer["num_bytes"] for layer in row["layers"]) == sum(
                bitstream.inspect(data).layer_bytes.values()
            )
            sky = (payload.label_map == 1).sum()
            assert row["area_sky"] == sky and row["label_cells"] == payload.label_map.size


def test_a_second_run_packs_what_is_new_and_touches_nothing_else(packed, read_all, add_pictures):
    archive = Archive.open(packed / "album")
    before = read_all(archive)
    assert run([str(packed / "photos")], packed / "album").num_done == 0
    assert read_all(archive) == before
    add_pictures(packed / "photos", 3, first=100)
    shutil.copy(packed / "photos" / "001.png", packed / "photos" / "again.png")
    last = run([str(packed / "photos")], packed / "album")
    assert (last.num_pictures, last.scanned.num_known, last.scanned.num_duplicates) == (3, 24, 1)
    assert before.items() <= read_all(archive).items()
    assert run([str(packed / "photos")], packed / "album").scanned.num_known == 28
    assert len(set(ids(archive))) == len(ids(archive)) == 25 and not verify(archive).problems


def test_other_options_and_other_folders_are_refused(packed, encoder_options, tmp_path):
    with pytest.raises(ArchiveError, match="begun with"):
        run([], packed / "album", EncoderOptions(encoder_options.pipeline, max_bytes=90))
    with pytest.raises(ArchiveError, match="no such file or folder"):
        run([str(tmp_path / "nowhere")], packed / "album")
    with pytest.raises(ArchiveError, match="not empty"):
        run([], packed / "photos", encoder_options)


def killed_at(count, event, arguments, options):
    """Pack in a forked process that kills itself when an audit event comes for the nth time."""

    def child():
        seen = [0]

        def hook(name, _):
            seen[0] += name == event
            if name == event and seen[0] == count:  # killing is an event too
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        run(*arguments, **options)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    return process.exitcode


def test_killed_at_any_rename_the_next_run_ends_the_same(packed_once, album, encoder_options, read_all, tmp_path):
    arguments = [str(packed_once / "photos")], tmp_path / "album", encoder_options
    codes = [killed_at(count, "os.rename", arguments, {"unit_size": 5}) for count in (1, 2, 3, 2, 3)]
    assert codes == [-signal.SIGKILL] * 5
    run(*arguments, unit_size=5)
    archive = Archive.open(tmp_path / "album")
    assert read_all(archive) == read_all(album)
    assert not [path for path in archive.folder.rglob(".*") if path.name != ".writer"]
    assert not verify(archive).problems


def test_a_source_that_vanishes_or_changes_is_a_dead_letter_and_comes_later(packed_once, encoder_options, tmp_path):
    photos = shutil.copytree(packed_once / "photos", tmp_path / "photos")
    events = pack([str(photos)], tmp_path / "album", encoder_options, unit_size=30)
    next(events)  # the manifest stands
    kept = (photos / "003.png").read_bytes()
    (photos / "003.png").unlink()
    shutil.copy(photos / "broken.jpg", photos / "004.png")
    assert list(events)[-1].num_pictures == 20
    archive = Archive.open(tmp_path / "album")
    reasons = {row["path"]: row for row in dead_letters(archive)}
    assert "No such file" in reasons["003.png"]["reason"] and "changed" in reasons["004.png"]["reason"]
    assert not reasons["003.png"]["is_final"]
    (photos / "003.png").write_bytes(kept)
    assert run([str(photos)], tmp_path / "album").num_pictures == 1
    assert hashlib.sha256(kept).digest() in ids(archive) and not verify(archive).problems
    assert run([str(photos)], tmp_path / "album").num_done == 0


def ends_with(target):
    """Return what a function raises in a forked process, as text; empty if nothing."""

    def child():
        try:
            target()
            theirs.send("")
        except Exception as error:
            theirs.send(f"{type(error).__name__}: {error}")

    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    return ours.recv()


def test_a_full_disk_stops_the_run_and_the_next_one_ends_the_same(
    packed_once, album, encoder_options, read_all, tmp_path
):
    arguments = [str(packed_once / "photos")], tmp_path / "album", encoder_options

    def fill_up():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        events = pack(*arguments, unit_size=5)
        next(events)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        list(events)

    assert ends_with(fill_up).startswith("OSError") and not list((tmp_path / "album/commits").iterdir())
    run(*arguments, unit_size=5)
    archive = Archive.open(tmp_path / "album")
    assert read_all(archive) == read_all(album)
    assert not [path for path in archive.folder.rglob(".*") if path.name != ".writer"]


def test_what_may_not_be_written_is_read_all_the_same(packed_once, album):
    with tempfile.TemporaryDirectory() as name:
        place = Path(shutil.copytree(album.folder, Path(name) / "album"))
        for path in (Path(name), place, *place.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)

        def as_nobody(work):
            if os.geteuid() == 0:
                os.seteuid(65534)
            work()

        def check():
            assert not verify(Archive.open(place)).problems

        message = ends_with(lambda: as_nobody(lambda: run([], place)))
        assert message.startswith("PermissionError") and str(place) in message
        assert ends_with(lambda: as_nobody(check)) == ""
        for path in (Path(name), place, *(path for path in place.rglob("*") if path.is_dir())):
            path.chmod(0o755)


def test_a_second_packer_is_told_who_the_first_is(packed_once, encoder_options, tmp_path):
    events = pack([str(packed_once / "photos")], tmp_path / "album", encoder_options)
    next(events)
    with pytest.raises(ArchiveError, match=f"being written by process {os.getpid()}"):
        run([], tmp_path / "album")
    events.close()
    assert run([], tmp_path / "album").num_pictures == 22


def test_names_tar_files_lists_and_addresses(packed_once, encoder_options, tmp_path, add_pictures):
    add_pictures(tmp_path / "in", 3)
    picture = (tmp_path / "in" / "000.png").read_bytes()
    raw = os.fsencode(tmp_path / "in") + b"/\xff\xe9 \xe4.png"
    with open(raw, "wb") as file:
        file.write(picture + b"1")
    with tarfile.open(tmp_path / "in" / "more.tar", "w") as tar:
        for name, content in (("a.png", picture + b"2"), ("a.json", b"{}"), ("b.png", b"broken")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    (tmp_path / "far.png").write_bytes(picture + b"3")
    addresses = [f"file://{tmp_path}/far.png", f"file://{tmp_path}/missing.png", "in/001.png"]
    pq.write_table(pa.table({"url": addresses}), tmp_path / "list.parquet")
    sources = [str(tmp_path / "in"), str(tmp_path / "list.parquet"), str(tmp_path / "*.tar*")]
    with pytest.raises(ArchiveError, match="no file matches"):
        run(sources, tmp_path / "album", encoder_options)
    last = run(sources[:2], tmp_path / "album")
    assert (last.num_pictures, last.num_dead, last.scanned.num_duplicates) == (6, 2, 1)
    archive = Archive.open(tmp_path / "album")
    rows = [row for _, table in iterate_shards(archive) for row in table.to_pylist()]
    assert {row["path"] for row in rows} >= {"a.png", "far.png", "001.png", "\\xff\\xe9 \\xe4.png"}
    assert [row["path_bytes"] for row in rows if row["path_bytes"]] == [os.path.basename(raw)]
    assert run(sources[:2], tmp_path / "album").num_pictures == 0


def test_ray_gives_the_same_bytes(packed_once, album, encoder_options, read_all, tmp_path):
    pytest.importorskip("ray")
    last = run([str(packed_once / "photos")], tmp_path / "album", encoder_options, unit_size=5, num_workers=2)
    assert last.num_pictures == 22
    assert read_all(Archive.open(tmp_path / "album")) == read_all(album)
