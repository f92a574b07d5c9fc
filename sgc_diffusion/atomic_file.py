"""Files and folders that are whole or not there: written beside their place, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it there when the block ends well, else remove it.

    Args:
        path: of the finished file; replaced if it exists.

    Raises:
        OSError: the folder is missing or may not be written.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
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
    path = path.absolute()
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{path} exists already; remove it, or give another place")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as place:
        temporary = Path(place, path.name)
        temporary.mkdir()
        yield temporary
        if path.is_dir():
            path.rmdir()
        temporary.rename(path)
