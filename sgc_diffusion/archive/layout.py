"""The folder of an archive: where its parts are, what it says about itself, and who may write to it.

One process writes to an archive at a time; any number may read it meanwhile, for what has its name is whole.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sgc_diffusion.archive.durable import durable_path
from sgc_diffusion.archive.schema import SCHEMA_VERSION
from sgc_diffusion.atomic_file import remove_leftovers

try:
    import fcntl
except ImportError:  # Windows: the lock file is then advice alone
    fcntl = None

DESCRIPTION, LOCK = "archive.json", ".writer"
FOLDERS = ("manifests", "shards", "dead", "commits")


class ArchiveError(ValueError):
    """Something about an archive that the user can mend."""


@dataclass(frozen=True)
class EncoderOptions:
    """How all pictures of an archive are encoded.

    Attributes:
        pipeline: what `from_pretrained` takes.
        segmenter: another one than the pipeline's, or None.
        color_quality: as of `pipeline.analyze`; None is its default.
        max_bytes: as of `pipeline.analyze`.
        target_bpp: as of `pipeline.analyze`.
        quality: as of `pipeline.analyze`.
        preset: as of `pipeline.analyze`.
        region_classes: names, with commas between them, of classes whose pixels are kept to the bit.
    """

    pipeline: str = "landscape-256"
    segmenter: str | None = None
    color_quality: int | None = None
    max_bytes: int | None = None
    target_bpp: float | None = None
    quality: float | None = None
    preset: str | None = None
    region_classes: str | None = None

    def analysis(self) -> dict[str, Any]:
        """Return the arguments of `pipeline.analyze`, those that are given."""
        values = asdict(self)
        return {name: value for name, value in values.items() if name not in PLACES and value is not None}


PLACES = ("pipeline", "segmenter", "region_classes")  # options that are no arguments of `analyze`


@dataclass(frozen=True)
class UnitName:
    """A unit: one row group of one manifest.

    Attributes:
        manifest: number of the manifest, 0 …
        group: number of the row group in it, 0 …
    """

    manifest: int
    group: int

    def __str__(self) -> str:
        return f"{self.manifest:06}-{self.group:05}"

    @classmethod
    def parse(cls, text: str) -> UnitName:
        """Return the unit of a name as `str` gives it.

        Raises:
            ValueError: it is none.
        """
        manifest, group = text.split("-")
        return cls(int(manifest), int(group))


@dataclass(frozen=True)
class Archive:
    """An archive that is there.

    Attributes:
        folder: where it is, absolute.
        options: how its pictures are encoded; None for an archive that was not packed from pictures (merged, thinned).
        encoder: identifies what encodes: profile, hashes of the weights; None as above.
    """

    folder: Path
    options: EncoderOptions | None
    encoder: str | None

    @classmethod
    def open(cls, folder: str | Path) -> Archive:
        """Return the archive in a folder.

        Raises:
            ArchiveError: there is none, or a newer version wrote it.
        """
        folder = Path(folder).absolute()
        try:
            content = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        except FileNotFoundError as error:
            raise ArchiveError(
                f"{folder} is no archive: it has no {DESCRIPTION}; `sgc archive pack` makes one"
            ) from error
        except ValueError as error:
            raise ArchiveError(f"{folder / DESCRIPTION} is damaged: {error}") from error
        if content.get("schema_version") != SCHEMA_VERSION:
            version = content.get("schema_version")
            raise ArchiveError(f"{folder} is an archive of schema {version}, this version reads {SCHEMA_VERSION}")
        options = content.get("options")
        known = {field.name for field in fields(EncoderOptions)}
        if options is not None and set(options) - known:
            raise ArchiveError(f"{folder} has options that this version does not know: {sorted(set(options) - known)}")
        return cls(folder, None if options is None else EncoderOptions(**options), content.get("encoder"))

    @classmethod
    def create(cls, folder: str | Path, options: EncoderOptions | None, encoder: str | None) -> Archive:
        """Make an archive without pictures.

        Raises:
            OSError: it cannot be written.
        """
        archive = cls(Path(folder).absolute(), options, encoder)
        for name in FOLDERS:
            (archive.folder / name).mkdir(parents=True, exist_ok=True)
        content = {"schema_version": SCHEMA_VERSION, "options": None if options is None else asdict(options)}
        with durable_path(archive.folder / DESCRIPTION) as temporary:
            temporary.write_text(json.dumps(content | {"encoder": encoder}, indent=1) + "\n", "utf-8")
        return archive

    def manifest(self, number: int) -> Path:
        """Return the place of a manifest."""
        return self.folder / "manifests" / f"{number:06}.parquet"

    def shard(self, unit: UnitName) -> Path:
        """Return the place of a unit's pictures."""
        return self.folder / "shards" / f"{unit}.parquet"

    def dead_letters(self, unit: UnitName) -> Path:
        """Return the place of what could not be read of a unit."""
        return self.folder / "dead" / f"{unit}.parquet"

    def commit(self, unit: UnitName) -> Path:
        """Return the place of a unit's commit record."""
        return self.folder / "commits" / f"{unit}.json"

    def manifest_numbers(self) -> list[int]:
        """Return the numbers of the manifests, rising."""
        return sorted(int(path.stem) for path in (self.folder / "manifests").glob("[0-9]*.parquet"))

    def committed(self) -> list[UnitName]:
        """Return the units that are done, in order."""
        names = sorted(path.stem for path in (self.folder / "commits").glob("[0-9]*.json"))
        return [UnitName.parse(name) for name in names]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one process that writes to the archive as long as the block lasts.

        Raises:
            ArchiveError: another process writes to it.
            OSError: the folder may not be written.
        """
        with only_writer(self.folder):
            yield

    def remove_leftovers(self, units: list[UnitName]) -> None:
        """Remove what killed runs have left of units; costs nothing where there is nothing."""
        if not any(any((self.folder / name).glob(".*")) for name in FOLDERS):
            return
        for unit in units:
            for path in (self.shard(unit), self.dead_letters(unit), self.commit(unit)):
                remove_leftovers(path)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of an archive's folder, which a process that dies lets go of; see `Archive.writing`."""
    with open(folder / LOCK, "a+b") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                writer = file.read(200).decode("utf-8", "replace") or "another process"
                raise ArchiveError(f"{folder} is being written by {writer}; wait for it, or stop it") from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        file.flush()
        yield
