"""Whether weights are what was published: the SHA-256 of every file, beside them in the form that `sha256sum -c` reads.

    folder ──write_checksums──▶ SHA256SUMS        folder, SHA256SUMS ──find_changes──▶ what is not as it was

The Hub's cache names the files that it keeps by their SHA-256, so they need no list. Only safetensors are embedded or
loaded unasked: reading them runs nothing that is in them.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

LIST = "SHA256SUMS"
LINE = re.compile(r"([0-9a-f]{64})  (.+)")
BLOB = re.compile(r"[0-9a-f]{64}")  # name of a large file in the Hub's cache: its SHA-256


def write_checksums(folder: Path) -> None:
    """Write the list of a pipeline folder's weights, as its export does."""
    paths = sorted(folder.rglob("*.safetensors"))
    lines = [f"{file_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in paths]
    (folder / LIST).write_text("".join(lines), "utf-8")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_changes(folder: Path) -> list[str] | None:
    """Return what of a pipeline folder is not as its list says, a line each; None for a folder without a list."""
    if not (folder / LIST).is_file():
        return None
    listed: dict[str, str] = {}
    changes = []
    for line in (folder / LIST).read_text("utf-8").splitlines():
        match = LINE.fullmatch(line)
        if match is None:
            changes.append(f"{folder / LIST}: {line[:80]!r} is no line of a checksum")
        else:
            listed[match[2]] = match[1]
    for name, expected in listed.items():
        path = folder / name
        if not path.is_file():
            changes.append(f"{path} is missing")
        elif file_sha256(path) != expected:
            changes.append(f"{path} was changed: its SHA-256 is not that of {LIST}")
    unlisted = {path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors")} - set(listed)
    return changes + [f"{folder / name} is not in {LIST}" for name in sorted(unlisted)]


def find_cache_changes(repository_folder: Path) -> list[str]:
    """Return which large files of a repository in the Hub's cache are not what their names say.

    Args:
        repository_folder: such as `models--owner--name`, with `blobs` in it.
    """
    blobs = [path for path in (repository_folder / "blobs").glob("*") if BLOB.fullmatch(path.name)]
    return [f"{path} was changed: download it again" for path in sorted(blobs) if file_sha256(path) != path.name]


def check_checksums(folder: Path) -> None:
    """Raise ValueError for a folder whose weights are not as its list says; one without a list is let pass."""
    changes = find_changes(folder)
    if changes:
        more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
        raise ValueError(
            f"{changes[0]}{more}; install or download the pipeline again, or remove {LIST} if you changed it yourself"
        )
