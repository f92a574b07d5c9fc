"""Photographs with label maps: tar shards → one memory-mapped cache → augmented batches.

    shard.tar (KEY.webp, KEY.png) ──build_cache──▶ photos.bin + index.npz ──PhotoCache──▶ crops

Decoding WebP files at every step would cost as much as the step itself on two cores, so the shards are decoded once.
The cache is one flat uint8 file; `index.npz` holds the offset and size of every picture.
"""

from __future__ import annotations

import hashlib
import io
import logging
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sgc_diffusion.taxonomy import class_table, load_taxonomy

logger = logging.getLogger(__name__)


def read_shard(path: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the pairs of one WebDataset tar shard.

    Args:
        path: tar file of `KEY.webp` (photograph) and `KEY.png` (label map) members.

    Yields:
        key, photograph (H, W, 3) uint8 sRGB, label map (H', W') uint8 of class ids at any lower resolution.

    Raises:
        ValueError: a photograph without its label map.
    """
    photos: dict[str, bytes] = {}
    labels: dict[str, bytes] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            if stream is not None:
                key, _, suffix = member.name.rpartition(".")
                (labels if suffix == "png" else photos)[key] = stream.read()
    for key in sorted(photos):
        if key not in labels:
            raise ValueError(f"`path` {path} holds the photograph {key} without a label map {key}.png")
        photo = np.asarray(Image.open(io.BytesIO(photos[key])).convert("RGB"))
        yield key, photo, np.asarray(Image.open(io.BytesIO(labels[key])))


def has_frame(photo: np.ndarray) -> bool:
    """Say whether a photograph stands in a flat, dark or light frame: at least on two of its sides.

    Args:
        photo: (H, W, 3) uint8 sRGB.
    """
    edges = (photo[:6], photo[-6:], photo[:, :6], photo[:, -6:])
    flat = [edge.reshape(-1, 3).std(axis=0).max() < 4 for edge in edges]
    dark_or_light = [not 20 < edge.mean() < 235 for edge in edges]
    return sum(f and d for f, d in zip(flat, dark_or_light, strict=True)) >= 2


def is_gray(photo: np.ndarray) -> bool:
    """Say whether a photograph (H, W, 3), uint8 sRGB, has no colors to speak of."""
    return bool(np.ptp(photo[::4, ::4].astype(np.int16), axis=-1).mean() < 6)


def build_cache(shards: Sequence[Path], folder: Path, class_table: np.ndarray, *, keep_gray: bool = False) -> None:
    """Decode tar shards into the cache that `PhotoCache` reads.

    Args:
        shards: the tar files, in the order that fixes the index of every picture.
        folder: where `photos.bin`, `labels.bin` and `index.npz` go.
        class_table: (256,) uint8, id in the shards → id in the training taxonomy.
        keep_gray: take pictures without colors too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keys, shapes, label_shapes = [], [], []
    digest = hashlib.sha256()
    num_dropped = 0
    with open(folder / "photos.bin", "wb") as photo_file, open(folder / "labels.bin", "wb") as label_file:
        for path in shards:
            digest.update(path.read_bytes())
            for key, photo, label_map in read_shard(path):
                if has_frame(photo) or (is_gray(photo) and not keep_gray):
                    num_dropped += 1
                    continue
                keys.append(key)
                shapes.append(photo.shape[:2])
                label_shapes.append(label_map.shape)
                photo_file.write(photo.tobytes())
                label_file.write(class_table[label_map].tobytes())
            logger.info("%s: %d pictures so far, %d dropped", path.name, len(keys), num_dropped)
    np.savez(
        folder / "index.npz",
        keys=np.array(keys),
        shapes=np.array(shapes, dtype=np.int64),
        label_shapes=np.array(label_shapes, dtype=np.int64),
        sha256=digest.hexdigest(),
    )


class PhotoCache:
    """Random access to the pictures of one cache folder.

    Args:
        folder: written by `build_cache`.
    """

    def __init__(self, folder: Path) -> None:
        index = np.load(folder / "index.npz")
        self.keys, self.shapes, self.label_shapes = index["keys"], index["shapes"], index["label_shapes"]
        self.sha256 = str(index["sha256"])
        self._photos = np.memmap(folder / "photos.bin", dtype=np.uint8, mode="r")
        self._labels = np.memmap(folder / "labels.bin", dtype=np.uint8, mode="r")
        self._photo_offsets = np.concatenate([[0], np.cumsum(self.shapes.prod(axis=1) * 3)])
        self._label_offsets = np.concatenate([[0], np.cumsum(self.label_shapes.prod(axis=1))])

    def __len__(self) -> int:
        return len(self.keys)

    def photo(self, index: int) -> np.ndarray:
        """Return photograph `index`, (H, W, 3) uint8 sRGB."""
        start, stop = self._photo_offsets[index : index + 2]
        return self._photos[start:stop].reshape(*self.shapes[index], 3)

    def label_map(self, index: int) -> np.ndarray:
        """Return label map `index`, (H', W') uint8 of ids in the training taxonomy."""
        start, stop = self._label_offsets[index : index + 2]
        return self._labels[start:stop].reshape(self.label_shapes[index])


def merged_classes(taxonomy: str) -> np.ndarray:
    """Return (256,) int64, id in the shards (0 = other, k = class k of ADE20K) → class of a taxonomy."""
    table = np.full(256, load_taxonomy(taxonomy).names.index("other"), dtype=np.int64)
    merged = class_table("ade20k-150", taxonomy)
    table[1 : 1 + len(merged)] = merged
    return table


def stack_photos(photos: Sequence[np.ndarray]) -> torch.Tensor:
    """Return (H, W, 3) uint8 pictures of one size as (B, 3, H, W) float32 in [−1, 1], channels last."""
    batch = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return batch.contiguous(memory_format=torch.channels_last)


def shuffled_batches(count: int, batch_size: int, seed: int, first_step: int = 0) -> Iterator[np.ndarray]:
    """Yield index batches for ever, each epoch in a new order; resumable at any step.

    Args:
        count: number of pictures.
        batch_size: indices per batch; the rest of an epoch that fills no batch is left out.
        seed: fixes every order.
        first_step: batches to skip, for resuming.

    Yields:
        (batch_size,) int64 indices below `count`.
    """
    per_epoch = count // batch_size
    if per_epoch == 0:
        raise ValueError(f"`batch_size` {batch_size} is larger than the {count} pictures; lower it")
    step = first_step
    while True:
        epoch, position = divmod(step, per_epoch)
        order = np.random.default_rng((seed, epoch)).permutation(count)
        for start in range(position, per_epoch):
            yield order[start * batch_size : (start + 1) * batch_size]
        step = (epoch + 1) * per_epoch
