"""Files and folders that are whole or not there: written beside their place, then put there in one step.

path ──atomic_path──▶ .HASH-0.part, with .HASH-0.lock beside it while it is written ──rename──▶ path

The temporary name follows from the finished one, so that the next run for the same place finds what a killed run has
left, and removes it: a lock that nobody holds has lost its writer. Symbolic links are followed. Devices and pipes
cannot be renamed over: they are written to.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed: that is lock enough
    fcntl = None

MAX_WRITERS = 8  # of one place at the same time
MAX_SUFFIX_BYTES = 16  # what is longer is no suffix but a name with a dot
DESCRIPTOR_FOLDERS = ("/dev/fd", "/proc/self/fd")
STANDARD_STREAMS = ("/dev/stdout", "/dev/stderr")


@contextmanager
def atomic_path(path: Path, *, overwrite: bool = True, suffix: str | None = None) -> Iterator[Path]:
    """Give a temporary path beside `path`; put the file there when the block ends well, else remove it.

    Args:
        path: of the finished file; where it is a symbolic link, the file that it leads to. A device or a pipe gets the
            bytes when the block ends.
        overwrite: False raises FileExistsError if there is a file when the block ends, whoever wrote it.
        suffix: of the temporary name, for writers that choose the format by it; default: that of `path`.

    Raises:
        FileExistsError: see `overwrite`.
        OSError: the folder is missing or may not be written.
    """
    suffix = _short(Path(path).suffix if suffix is None else suffix)
    if is_stream(path):
        with tempfile.TemporaryDirectory() as place:
            temporary = Path(place, f"whole{suffix}")
            yield temporary
            with temporary.open("rb") as source, open(path, "wb") as stream:
                shutil.copyfileobj(source, stream)
        return
    path = Path(os.path.realpath(path))
    with _claim(path) as number:
        temporary = _part(path, number, suffix)
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL, 0o666))  # less what the umask forbids
            yield temporary
            _put(temporary, path, overwrite)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; rename it there when the block ends well, else remove it.

    Args:
        path: of the finished folder; made with its parents.

    Raises:
        FileExistsError: something is there already, other than an empty folder.
        OSError: a place that may not be written.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{path} exists already; remove it, or give another place")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _claim(path) as number:
        place = _part(path, number, "")
        try:
            temporary = place / path.name  # what is written may tell its own name
            temporary.mkdir(parents=True)
            yield temporary
            if path.is_dir():
                path.rmdir()
            temporary.rename(path)
        finally:
            shutil.rmtree(place, ignore_errors=True)


def is_stream(path: Path) -> bool:
    """Return whether a path is a device, a pipe, a socket or what the process holds open, rather than a file."""
    absolute = os.path.abspath(path)
    if absolute in STANDARD_STREAMS or os.path.dirname(absolute) in DESCRIPTOR_FOLDERS:
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # missing, or no path at all
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def remove_leftovers(path: Path) -> None:
    """Remove what killed runs have left of a file or folder; what another process is still writing stays.

    Args:
        path: of the finished file or folder, whether it is there or not.
    """
    path = Path(os.path.realpath(path))
    for number in range(MAX_WRITERS):
        with suppress(OSError):  # of another user, or removed by another run at the same time
            _remove_abandoned(path, number)


def _short(suffix: str) -> str:
    return suffix if len(os.fsencode(suffix)) <= MAX_SUFFIX_BYTES else ""


def _part(path: Path, number: int, suffix: str) -> Path:
    """Return a hidden name beside `path` of at most 40 bytes, whatever the length of the finished one."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".{digest}-{number}.part{suffix}")


def _lock(path: Path, number: int) -> Path:
    return _part(path, number, "").with_suffix(".lock")


@contextmanager
def _claim(path: Path) -> Iterator[int]:
    """Give the number of a temporary name that no other process uses as long as the block lasts.

    Raises:
        OSError: the folder may not be written, or too many processes are writing the same file.
    """
    remove_leftovers(path)
    for number in range(MAX_WRITERS):
        lock = _lock(path, number)
        try:
            descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        except FileExistsError:
            continue
        try:
            if fcntl is not None:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_same(descriptor, lock):  # else it was taken for abandoned before it was locked
                yield number
                return
        finally:
            _release(descriptor, lock)
    raise BlockingIOError(f"{path} is being written by {MAX_WRITERS} other processes; wait for them")


def _release(descriptor: int, lock: Path) -> None:
    """Remove our lock, not one that another process has put in its place."""
    is_ours = _is_same(descriptor, lock)
    if fcntl is None:
        os.close(descriptor)  # Windows removes no file that is open
    if is_ours:
        with suppress(OSError):
            lock.unlink()
    if fcntl is not None:
        os.close(descriptor)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _remove_abandoned(path: Path, number: int) -> None:
    """Remove a lock that nobody holds, and what it was the lock of.

    Raises:
        OSError: there is no lock, or its writer is alive.
    """
    lock = _lock(path, number)
    if fcntl is None:
        lock.unlink()  # fails if it is open
        _remove_parts(path, number)
        return
    descriptor = os.open(lock, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_same(descriptor, lock):
            _remove_parts(path, number)
            lock.unlink()
    finally:
        os.close(descriptor)


def _remove_parts(path: Path, number: int) -> None:
    shutil.rmtree(_part(path, number, ""), ignore_errors=True)
    for suffix in {"", _short(path.suffix)}:
        with suppress(OSError):
            _part(path, number, suffix).unlink()


def _put(temporary: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: the name is taken first, then filled
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        os.replace(temporary, path)
