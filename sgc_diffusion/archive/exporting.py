"""Archive → plain files, or tar files of WebDataset."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sgc_diffusion.archive.contents import iterate_shards
from sgc_diffusion.archive.layout import Archive
from sgc_diffusion.atomic_file import atomic_folder, atomic_path
from sgc_diffusion.extras import require

SUFFIX = ".sgc"
WHERE = ["image_id", "source", "path", "path_bytes", "sgc"]
TAR_BYTES, TAR_FILES = 2**30, 100_000  # of a tar file, at most


def unpack(archive: Archive, folder: str | Path, *, overwrite: bool = False) -> Iterator[tuple[Path, bool]]:
    """Write every picture's `.sgc` file, in the folders that its source had.

    Args:
        archive: to be unpacked.
        folder: that gets the files; made if it is not there.
        overwrite: write files that are there already once more, instead of leaving them as they are.

    Yields:
        Place of each file, and whether it was written.

    Raises:
        OSError: the folder cannot be written.
    """
    taken: dict[str, bytes] = {}
    for _, table in iterate_shards(archive, WHERE):
        for row in table.to_pylist():
            name = _safe_name(row)
            if taken.setdefault(name, row["image_id"]) != row["image_id"]:  # the same place below another source
                name = f"{name}.{row['image_id'].hex()[:16]}"
            path = Path(folder, f"{name}{SUFFIX}")
            is_new = overwrite or not path.exists()
            if is_new:
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic_path(path) as temporary:
                    temporary.write_bytes(row["sgc"])
            yield path, is_new


def _safe_name(row: dict[str, Any]) -> str:
    """Return the place of a picture below a folder; never above it, whatever an archive says."""
    path = row["path"] if row["path_bytes"] is None else os.fsdecode(row["path_bytes"])
    parts = [part for part in path.replace("\0", "").split("/") if part not in ("", ".", "..")]
    return os.path.join(*parts) if parts else row["image_id"].hex()


def export_webdataset(archive: Archive, folder: str | Path, *, max_files: int = TAR_FILES) -> Iterator[str]:
    """Write tar files that WebDataset reads: for each picture `ID.sgc` and `ID.json`.

    Args:
        archive: to be exported.
        folder: that gets them; must not be there, for it is put there whole.
        max_files: pictures of a tar file.

    Yields:
        The id of each picture, as it is written.

    Raises:
        ImportError: webdataset is not installed.
        FileExistsError: the folder holds something.
        OSError: it cannot be written.
    """
    require("scale", "Writing WebDataset files")
    from webdataset import ShardWriter  # type: ignore[attr-defined]

    with atomic_folder(Path(folder)) as temporary:
        pattern = str(temporary / "%06d.tar")
        with ShardWriter(pattern, maxcount=max_files, maxsize=TAR_BYTES, verbose=0, mtime=0) as writer:
            for _, table in iterate_shards(archive):
                for row in table.to_pylist():
                    key = row["image_id"].hex()
                    about = {name: row[name] for name in ("source", "path", "width", "height", "taxonomy", "profile")}
                    writer.write({"__key__": key, "sgc": row["sgc"], "json": json.dumps(about).encode()})
                    yield key
