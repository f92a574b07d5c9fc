"""Files that survive a failure of the machine, not only of the process: on the disk before their name is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sgc_diffusion.atomic_file import atomic_path


@contextmanager
def durable_path(path: Path) -> Iterator[Path]:
    """Give a temporary path; when the block ends well, its content is on the disk, and then it is at `path`.

    Raises:
        OSError: the place cannot be written, or the disk is full; then nothing is left behind.
    """
    with atomic_path(path) as temporary:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
    with suppress(OSError):  # a file system, or a system, that does not know it of folders
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
