"""Crops of photographs with what a file of random size would say of them: labels, likeness, how good it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from sgc_diffusion.synthesis.conditioning import fidelity_planes
from sgc_diffusion.taxonomy import load_taxonomy
from sgc_diffusion.training.data import PhotoCache, merged_classes, stack_photos
from sgc_diffusion.training.likenesses import FileChoice, likeness_of, random_file

STRIDE = 8  # pixels a place of the labels
HALF = 2  # the caches' label maps have half the photographs' resolution


@dataclass
class Batch:
    """Crops of one size.

    Attributes:
        photos: (B, 3, c, c) float32 in [−1, 1].
        labels: (B, K, c / 8, c / 8) float32, one-hot; all zero where they are not known.
        likeness: (B, 3, c, c) float32 in [−1, 1]; of the first `num_compact`, what means of their cells give.
        fidelity: (B, 2) float32, the values of `conditioning.fidelity_planes`.
        noise: (B, 1, c, c) float32.
        files: what is known of each crop.
        num_compact: how many, from the first on, may have a learned color map; their grids are the same.
    """

    photos: torch.Tensor
    labels: torch.Tensor
    likeness: torch.Tensor
    fidelity: torch.Tensor
    noise: torch.Tensor
    files: list[FileChoice]
    num_compact: int

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        planes = (self.photos, self.labels, self.likeness, self.fidelity, self.noise)
        return Batch(*(each.to(device) for each in planes), self.files, self.num_compact)


class Crops:
    """Random and central crops of a cache.

    Args:
        cache: of photographs and ADE20K's maps at half of their resolution.
        recipe: `[crops]`, `[likeness]` and the `taxonomy` together.
    """

    def __init__(self, cache: PhotoCache, recipe: dict) -> None:
        self._cache, self._recipe = cache, recipe
        self._table = merged_classes(recipe["taxonomy"])
        self._num_classes = load_taxonomy(recipe["taxonomy"]).num_classes

    def random(self, indices: np.ndarray, rng: np.random.Generator) -> Batch:
        """Return random crops, half of them mirrored, as files of random size would describe them."""
        recipe, crops, labels, files = self._recipe, [], [], []
        size, num_compact = recipe["crop_size"], round(recipe["compact_share"] * len(indices))
        shared_side = float(rng.choice(recipe["cell_sides"], p=recipe["cell_weights"]))
        for number, index in enumerate(indices):
            height, width = self._cache.shapes[index]
            top, left = (HALF * int(rng.integers(0, (extent - size) // HALF + 1)) for extent in (height, width))
            crop, ids = self._cut(index, top, left, size)
            if rng.random() < 0.5:
                crop, ids = crop[:, ::-1], ids[:, ::-1]
            file = random_file(recipe, rng)
            files.append(FileChoice(shared_side, file.color_quality, None) if number < num_compact else file)
            factor = int(rng.choice(recipe["coarse_factors"], p=recipe["coarse_weights"]))
            planes = self._planes(ids, factor)
            labels.append(planes if rng.random() >= recipe["label_dropout"] else torch.zeros_like(planes))
            crops.append(np.ascontiguousarray(crop))
        return _assemble(crops, labels, files, num_compact, rng)

    def central(self, indices: np.ndarray, size: int, file: FileChoice, seed: int = 0) -> Batch:
        """Return central crops, the same each time, as files of one kind would describe them."""
        crops, labels = [], []
        for index in indices:
            top, left = (HALF * ((extent - size) // (2 * HALF)) for extent in self._cache.shapes[index])
            crop, ids = self._cut(index, top, left, size)
            crops.append(np.ascontiguousarray(crop))
            labels.append(self._planes(ids, 1))
        num_compact = len(crops) if file.level is None else 0
        return _assemble(crops, labels, [file] * len(crops), num_compact, np.random.default_rng(seed))

    def _cut(self, index: int, top: int, left: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        photo = self._cache.photo(index)[top : top + size, left : left + size]
        half = self._cache.label_map(index)[top // HALF : (top + size) // HALF, left // HALF : (left + size) // HALF]
        missing = [(0, size // HALF - extent) for extent in half.shape]
        return photo, self._table[np.pad(half, missing, "edge")]

    def _planes(self, ids: np.ndarray, factor: int) -> torch.Tensor:
        """Return one-hot planes at stride 8 of a map whose cells are `factor` times as wide, each of its center."""
        step = factor * STRIDE // HALF
        cells = torch.from_numpy(np.ascontiguousarray(ids[step // 2 :: step, step // 2 :: step]))
        side = len(ids) * HALF // STRIDE
        one_hot = functional.one_hot(cells, self._num_classes).permute(2, 0, 1)[None].float()
        return functional.interpolate(one_hot, (side, side), mode="nearest")[0]


def _assemble(
    crops: list[np.ndarray],
    labels: list[torch.Tensor],
    files: list[FileChoice],
    num_compact: int,
    rng: np.random.Generator,
) -> Batch:
    size = len(crops[0])
    likenesses = [likeness_of(crop, file) for crop, file in zip(crops, files, strict=True)]
    values = [fidelity_planes(size / file.grid(size, size)[0], file.known, 1, 1)[:, 0, 0] for file in files]
    noise = torch.from_numpy(rng.standard_normal((len(crops), 1, size, size), dtype=np.float32))
    shown = stack_photos(likenesses)
    return Batch(stack_photos(crops), torch.stack(labels), shown, torch.stack(values), noise, files, num_compact)
