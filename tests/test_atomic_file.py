"""Files are whole or not there, whatever their names, whoever else writes them, and whenever a writer dies."""

import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from sgc_diffusion.atomic_file import atomic_folder, atomic_path

KILLED_WRITER = """
import os, sys, signal
from pathlib import Path
from sgc_diffusion.atomic_file import atomic_folder, atomic_path
if sys.argv[2] == "folder":
    context = atomic_folder(Path(sys.argv[1]))
else:
    context = atomic_path(Path(sys.argv[1]))
with context as temporary:
    (temporary / "part" if sys.argv[2] == "folder" else temporary).write_bytes(b"half")
    print("writing", flush=True)
    if sys.argv[3] == "wait":
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def start_writer(path, kind, then):
    command = [sys.executable, "-c", KILLED_WRITER, str(path), kind, then]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def kill_a_writer(path, kind):
    process = start_writer(path, kind, "die")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def write(path, data, **options):
    with atomic_path(path, **options) as temporary:
        temporary.write_bytes(data)


@pytest.mark.parametrize("name", ["x" * 255, "x" * 251 + ".sgc", "x." + "y" * 253, "ä" * 127 + "x"])
def test_a_name_of_255_bytes_can_be_written(tmp_path, name):
    assert len(os.fsencode(name)) == 255
    write(tmp_path / name, b"data", overwrite=False)
    assert (tmp_path / name).read_bytes() == b"data"
    assert os.listdir(tmp_path) == [name]


def test_a_folder_with_a_name_of_255_bytes_can_be_written(tmp_path):
    with atomic_folder(tmp_path / ("x" * 255)) as temporary:
        assert temporary.name == "x" * 255
        (temporary / "file").write_bytes(b"data")
    assert os.listdir(tmp_path) == ["x" * 255]


def test_nothing_is_left_behind_by_an_error(tmp_path):
    for context in (atomic_path(tmp_path / "a.png"), atomic_folder(tmp_path / "b")):
        with pytest.raises(RuntimeError), context:
            raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_without_overwrite_whoever_comes_second_gets_an_error(tmp_path):
    path = tmp_path / "a.sgc"
    with pytest.raises(FileExistsError), atomic_path(path, overwrite=False) as first:
        first.write_bytes(b"first")
        write(path, b"second", overwrite=False)
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a.sgc"]


def test_of_many_writers_at_once_one_wins(tmp_path):
    path, outcomes = tmp_path / "a.sgc", []
    barrier = threading.Barrier(6)

    def compete(number):
        try:
            with atomic_path(path, overwrite=False) as temporary:
                temporary.write_bytes(bytes([number]) * 1000)
                barrier.wait()
            outcomes.append(number)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert path.read_bytes() == bytes(outcomes) * 1000
    assert os.listdir(tmp_path) == ["a.sgc"]


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_next_run_removes_what_a_killed_one_left(tmp_path, kind):
    path = tmp_path / "a.png"
    kill_a_writer(path, kind)
    assert os.listdir(tmp_path) and not path.exists()
    assert all(name.startswith(".") for name in os.listdir(tmp_path))
    write(path, b"whole")
    assert os.listdir(tmp_path) == ["a.png"]
    assert path.read_bytes() == b"whole"


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_what_another_process_is_writing_is_left_alone(tmp_path):
    path = tmp_path / "a.png"
    process = start_writer(path, "file", "wait")
    process.stdout.readline()
    before = set(os.listdir(tmp_path))
    write(path, b"whole")
    assert set(os.listdir(tmp_path)) == before | {"a.png"}
    process.communicate(timeout=60)
    write(path, b"again")
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
def test_permissions_are_those_of_a_plain_new_file(tmp_path, mask):
    old = os.umask(mask)
    try:
        write(tmp_path / "a", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_is_written_through(tmp_path, exists):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "target.sgc", tmp_path / "link.sgc"
    if exists:
        target.write_bytes(b"old")
    link.symlink_to(target)
    write(link, b"new", overwrite=exists)
    assert link.is_symlink() and target.read_bytes() == b"new"
    with pytest.raises(FileExistsError):
        write(link, b"newer", overwrite=False)
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_gets_the_bytes_and_stays_a_pipe(tmp_path):
    path, received = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()))
    reader.start()
    write(path, b"data")
    reader.join()
    assert received == [b"data"] and path.is_fifo()
    write("/dev/null", b"data")
    assert not os.path.isfile("/dev/null")


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "none" / "a", b"x")
