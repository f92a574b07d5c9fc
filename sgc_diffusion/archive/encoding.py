"""A unit → its shard: pictures read, checked against the manifest, encoded, described, and committed.

What is not as the manifest says, or is no picture, becomes a dead letter and costs nothing but itself.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sgc_diffusion import bitstream
from sgc_diffusion.archive.description import describe, read_exif
from sgc_diffusion.archive.durable import durable_path, file_digest
from sgc_diffusion.archive.layout import Archive, ArchiveError, EncoderOptions, UnitName
from sgc_diffusion.archive.manifest import entry_of, read_unit
from sgc_diffusion.archive.schema import DEAD_LETTERS, shard_schema, write_table
from sgc_diffusion.archive.sources import read_entry
from sgc_diffusion.extras import require
from sgc_diffusion.payload import AlphaLayer, DetailLevel

if TYPE_CHECKING:
    from sgc_diffusion.pipeline import SemanticCompressionPipeline

READERS, AHEAD = 4, 8  # threads that read, pictures that are read ahead: what waits for a network overlaps
MAX_REASON = 300  # characters of a dead letter

Commit = dict[str, Any]


class UnitEncoder:
    """Encodes units; holds the model. Each worker has its own.

    Args:
        archive: whose units are encoded.
        num_threads: of torch. The same number everywhere keeps the bytes the same everywhere.

    Raises:
        ArchiveError: the weights here are others than those that the archive was begun with.
        ImportError: the extra `torch` is not installed.
    """

    def __init__(self, archive: Archive, num_threads: int = 1) -> None:
        if archive.options is None:
            raise ArchiveError(f"{archive.folder} was not packed from pictures; pack elsewhere, then merge")
        require("torch", "Packing pictures")
        import torch

        torch.set_num_threads(num_threads)
        self._archive = archive
        self._pipeline = load_encoder(archive.options)
        self._options = archive.options.analysis() | _steering(archive.options)
        encoder = identify_encoder(self._pipeline)
        if archive.encoder != encoder:
            raise ArchiveError(
                f"{archive.folder} was begun with encoder {archive.encoder}, here is {encoder}; install the weights "
                "that it was begun with, or begin another archive and merge them"
            )

    def encode(self, unit: UnitName) -> Commit:
        """Encode a unit and commit it; if it is done already, only return its record.

        Raises:
            OSError: the archive cannot be written, or its manifest not be read.
        """
        path = self._archive.commit(unit)
        if path.exists():
            return json.loads(path.read_text("utf-8"))
        rows, dead = [], []
        for row, content in _read_ahead(read_unit(self._archive, unit)):
            where = {name: row[name] for name in ("image_id", "source", "path", "path_bytes")}
            try:
                rows.append(where | self._encode_picture(_checked(content, row["image_id"])))
            except Unreadable as error:
                dead.append(where | {"reason": str(error)[:MAX_REASON], "is_final": error.is_final})
        return self._commit(unit, rows, dead)

    def _encode_picture(self, content: bytes) -> dict[str, Any]:
        """Return the columns of a picture file.

        Raises:
            Unreadable: it is no picture, or cannot be encoded as the options ask.
        """
        from sgc_diffusion.analysis.image_input import load_picture
        from sgc_diffusion.analysis.regions import RegionsWarning

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RegionsWarning)  # most pictures show nothing of what is to be kept
                payload = self._pipeline.analyze(content, **self._options)
            data = bitstream.encode(payload)
            picture = None
            if payload.layer(DetailLevel) is not None:
                keep_alpha = payload.layer(AlphaLayer) is not None
                picture = np.asarray(load_picture(content, None, keep_alpha=keep_alpha).image)
            return describe(data, payload, picture) | read_exif(content)
        except MemoryError as error:
            raise Unreadable("takes more memory than there is", is_final=False) from error
        except ValueError as error:
            raise Unreadable(str(error).replace("`image` ", ""), is_final=True) from error

    def _commit(self, unit: UnitName, rows: list[dict[str, Any]], dead: list[dict[str, Any]]) -> Commit:
        taxonomy = self._pipeline.config.taxonomy
        tables = pa.Table.from_pylist(rows, shard_schema(taxonomy)), pa.Table.from_pylist(dead, DEAD_LETTERS)
        return commit_unit(self._archive, unit, *tables)


class Unreadable(Exception):
    """Why a picture cannot be packed; `is_final` says that another try would not help."""

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(" ".join(reason.split()))
        self.is_final = is_final


def commit_unit(archive: Archive, unit: UnitName, shard: pa.Table, dead: pa.Table) -> Commit:
    """Write a unit's files, the commit record last.

    Args:
        archive: that gets them.
        unit: that they are of.
        shard: its pictures.
        dead: its dead letters.

    Raises:
        OSError: the disk is full, or the archive cannot be written.
    """
    with durable_path(archive.shard(unit)) as temporary:
        write_table(shard, temporary)
        digest, num_bytes = file_digest(temporary), temporary.stat().st_size
    dead_path = archive.dead_letters(unit)
    if dead.num_rows:
        with durable_path(dead_path) as temporary:
            write_table(dead, temporary)
    elif dead_path.exists():
        dead_path.unlink()
    record = {"unit": str(unit), "num_pictures": shard.num_rows, "num_dead": dead.num_rows}
    record |= {"shard_bytes": num_bytes, "shard_sha256": digest}
    with durable_path(archive.commit(unit)) as temporary:
        temporary.write_text(json.dumps(record) + "\n", "utf-8")
    return record


def _steering(options: EncoderOptions) -> dict[str, Any]:
    """Return the argument of `analyze` that keeps the classes that an archive keeps."""
    if options.region_classes is None:
        return {}
    from sgc_diffusion.analysis.steering import SteeringOptions

    return {"steering": SteeringOptions(classes=options.region_classes.split(","))}


def load_encoder(options: EncoderOptions) -> SemanticCompressionPipeline:
    """Return the pipeline that encodes an archive's pictures.

    Raises:
        ValueError, OSError: it cannot be loaded, or has not the classes that are to be kept.
    """
    from sgc_diffusion.pipeline import SemanticCompressionPipeline

    pipeline = SemanticCompressionPipeline.from_pretrained(options.pipeline, segmenter=options.segmenter)
    for steering in _steering(options).values():
        steering.check(pipeline.config.taxonomy)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def identify_encoder(pipeline: SemanticCompressionPipeline) -> str:
    """Return what tells encoders apart whose files may differ: profile, and hashes of what draws and what segments."""
    from sgc_diffusion.zoo.identity import hash_components

    segmenter = hash_components({"segmenter": pipeline.segmenter})
    return f"{pipeline.config.profile}/{pipeline.weights_hash:04x}/{segmenter:04x}"


def _read_ahead(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bytes | OSError]]:
    """Yield each row of the manifest with the bytes that it names, or what keeps them from being read."""

    def read(row: dict[str, Any]) -> bytes | OSError:
        try:
            return read_entry(entry_of(row))
        except OSError as error:
            return error

    with ThreadPoolExecutor(READERS) as pool:
        coming, waiting = iter(rows), []

        def submit(row: dict[str, Any]) -> tuple[dict[str, Any], Future[bytes | OSError]]:
            return row, pool.submit(read, row)

        waiting = [submit(row) for row in islice(coming, AHEAD)]
        while waiting:
            row, future = waiting.pop(0)
            yield row, future.result()
            waiting += [submit(next_row) for next_row in islice(coming, 1)]


def _checked(content: bytes | OSError, image_id: bytes) -> bytes:
    """Return the content that the manifest means.

    Raises:
        Unreadable: there is none, or another.
    """
    if isinstance(content, OSError):
        raise Unreadable(f"cannot be read: {content.strerror or content}", is_final=False)
    if hashlib.sha256(content).digest() != image_id:
        raise Unreadable("was changed since the manifest was made", is_final=False)
    return content
