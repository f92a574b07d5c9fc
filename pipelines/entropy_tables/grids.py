"""Read photographs and label maps and reduce them to the grids that the tables are fitted to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from sgc_diffusion.training.data import read_shard

VOID = 255  # unlabeled in the COCO-Stuff maps
CROP = 128  # pixels of the photographs' label maps that are kept, so that grids of 128, 64, 32 need no resampling


@dataclass
class Grids:
    """What the fits need; lists of equal arrays.

    Attributes:
        crops: (128, 128) uint8 label maps of photographs, 0 other, k = ADE20K class k.
        squares: (32, 32) uint8 label maps of the photographs' whole center squares.
        landscapes: (192, 192) uint8 label maps of another, unnamed label set.
        coco: grid side → (n, n) uint8 coco-stuff-182 maps.
        colors: grid side → (n, n, 3) uint8 color maps.
    """

    crops: list[np.ndarray] = field(default_factory=list)
    squares: list[np.ndarray] = field(default_factory=list)
    landscapes: list[np.ndarray] = field(default_factory=list)
    coco: dict[int, list[np.ndarray]] = field(default_factory=lambda: {side: [] for side in (16, 32, 64, 128)})
    colors: dict[int, list[np.ndarray]] = field(default_factory=lambda: {side: [] for side in (16, 32, 64)})


def read_grids(photos: Path, labels: Path) -> Grids:
    """Read everything.

    Args:
        photos: folder of the tar shards.
        labels: folder with `landscape29` and `cocostuff182`.
    """
    grids = Grids()
    for shard in sorted(photos.glob("train-*.tar")):
        for index, (_, photo, label_map) in enumerate(read_shard(shard)):
            grids.crops.append(_center(label_map, CROP))
            grids.squares.append(majority(_center(label_map, min(label_map.shape)), 32))
            square = Image.fromarray(_center(photo, min(photo.shape[:2])))
            for side, every in ((16, 1), (32, 8), (64, 40)):
                if index % every == 0:
                    grids.colors[side].append(np.asarray(square.resize((side, side), Image.Resampling.BOX)))
    for label_map in _read_maps(labels / "landscape29"):
        grids.landscapes.append(_center(label_map, min(label_map.shape)))
    for label_map in _read_maps(labels / "cocostuff182"):
        square = Image.fromarray(_center(label_map, min(label_map.shape)))
        enlarged = np.asarray(square.resize((512, 512), Image.Resampling.NEAREST))
        for side, maps in grids.coco.items():
            maps.append(majority(enlarged, side))
    return grids


def blocks(maps: np.ndarray, factor: int) -> np.ndarray:
    """Return (B, h / factor, w / factor): the most frequent label of each block, the first of equals."""
    count, height, width = maps.shape
    cells = maps.reshape(count, height // factor, factor, width // factor, factor).swapaxes(2, 3)
    cells = cells.reshape(count, height // factor, width // factor, factor * factor)
    reduced = np.empty(cells.shape[:3], dtype=np.uint8)
    for index, picture in enumerate(cells):
        votes = (picture[..., :, None] == picture[..., None, :]).sum(axis=-1)
        reduced[index] = np.take_along_axis(picture, votes.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    return reduced


def majority(labels: np.ndarray, side: int) -> np.ndarray:
    """Return (side, side): the label of most pixels of each cell; if all are void, that of the nearest cell."""
    starts = np.arange(side) * len(labels) // side
    best, chosen = np.full((side, side), -1), np.full((side, side), VOID, dtype=np.uint8)
    for label in np.unique(labels):
        if label != VOID:
            votes = np.add.reduceat(np.add.reduceat((labels == label).astype(np.int32), starts, axis=0), starts, axis=1)
            chosen[votes > np.maximum(best, 0)] = label
            best = np.maximum(best, votes)
    _, nearest = distance_transform_edt(chosen == VOID, return_indices=True)
    return chosen[tuple(nearest)]


def _center(array: np.ndarray, side: int) -> np.ndarray:
    top, left = (array.shape[0] - side) // 2, (array.shape[1] - side) // 2
    return array[top : top + side, left : left + side]


def _read_maps(folder: Path) -> Iterator[np.ndarray]:
    for path in sorted(folder.glob("*.png")):
        yield np.asarray(Image.open(path))
