"""Crops with what a file would say of them: labels, colors, γ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from sgc_diffusion.payload import latent_contexts as contexts
from sgc_diffusion.payload.color_transform import dequantize, quantize
from sgc_diffusion.payload.latents import GAMMAS_PER_OCTAVE, LOWEST_GAMMA_LOG2, NUM_GAMMAS, STRIDES
from sgc_diffusion.synthesis.vae import Conditions, make_conditions, stack_conditions
from sgc_diffusion.taxonomy import load_taxonomy
from sgc_diffusion.training.data import PhotoCache, merged_classes
from sgc_diffusion.training.likenesses import enlarging

CELL = 8  # pixels a label cell is wide, at least
Given = list[list[dict[str, np.ndarray]]]  # of each level, of each picture


@dataclass(frozen=True)
class Batch:
    """Pictures of one size and what is known of them.

    Attributes:
        pictures: (B, 3, H, W) float32 in [−1, 1].
        conditions: of the network.
        given: places in the tables that labels, colors and γ name, of each level and picture.
    """

    pictures: torch.Tensor
    conditions: Conditions
    given: Given


class Crops:
    """Random and central crops of a cache.

    Args:
        cache: of photographs and maps at half of their resolution.
        recipe: `[training]` of the recipe.
        taxonomy: name of the network's label set.
    """

    def __init__(self, cache: PhotoCache, recipe: dict, taxonomy: str) -> None:
        self.cache, self.recipe, self._table = cache, recipe, merged_classes(taxonomy).astype(np.uint8)
        self._unknown = load_taxonomy(taxonomy).num_classes

    def random(self, indices: np.ndarray, rng: np.random.Generator) -> Batch:
        """Return random crops, half of them mirrored, as files of random size would describe them."""
        recipe, members = self.recipe, []
        size, has_planes = recipe["crop_size"], rng.random() < recipe["plane_share"]
        for index in indices:
            photo = self.cache.photo(index)
            top, left = (2 * rng.integers(0, (extent - size) // 2 + 1) for extent in photo.shape[:2])
            crop, labels = self._cut(index, top, left, size)
            if rng.random() < 0.5:
                crop, labels = crop[:, ::-1], labels[:, ::-1]
            step = int(rng.choice(recipe["label_factors"], p=recipe["label_weights"])) * CELL // 2
            label_map = labels[step // 2 :: step, step // 2 :: step]
            if rng.random() < recipe["label_dropout"]:
                label_map = np.full_like(label_map, self._unknown)
            side = int(rng.choice(recipe["cell_sides"], p=recipe["cell_weights"]))
            quality = int(rng.integers(recipe["color_qualities"][0], recipe["color_qualities"][1] + 1))
            members.append((crop, label_map, side, quality, self._gamma(rng, has_planes)))
        return assemble(members)

    def central(self, indices: np.ndarray, size: int, gamma_log2: float, cell_side: int = 16) -> Batch:
        """Return central crops, as files of one kind would describe them."""
        members = []
        for index in indices:
            top, left = (2 * ((extent - size) // 4) for extent in self.cache.photo(index).shape[:2])
            crop, labels = self._cut(index, top, left, size)
            members.append((crop, labels[CELL // 4 :: CELL // 2, CELL // 4 :: CELL // 2], cell_side, 32, gamma_log2))
        return assemble(members)

    def _cut(self, index: int, top: int, left: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        photo = self.cache.photo(index)[top : top + size, left : left + size]
        half = self.cache.label_map(index)[top // 2 : (top + size) // 2, left // 2 : (left + size) // 2]
        missing = [(0, size // 2 - extent) for extent in half.shape]
        return photo, self._table[np.pad(half, missing, "edge")]

    def _gamma(self, rng: np.random.Generator, has_planes: bool) -> float | np.ndarray:
        lowest, middle, highest = self.recipe["gamma_log2"]
        bounds = (middle, highest) if rng.random() < self.recipe["high_share"] else (lowest, middle)
        gamma = rng.uniform(*bounds)
        if not has_planes:
            return gamma
        reach = self.recipe["plane_octaves"]
        return np.clip(gamma + rng.uniform(-reach, reach, (4, 4)).round(), lowest, highest)


def assemble(members: list[tuple[np.ndarray, np.ndarray, int, int, float | np.ndarray]]) -> Batch:
    """Return a batch of pictures (H, W, 3) uint8 with label maps, sides of color cells, color qualities and log2 γ."""
    pictures, conditions, given = [], [], [[] for _ in STRIDES]
    for picture, label_map, side, quality, gamma in members:
        height, width = picture.shape[:2]
        cells = [max(1, round(extent / side)) for extent in (width, height)]
        small = np.asarray(Image.fromarray(picture).resize(cells, Image.Resampling.BOX))
        color_map = dequantize(quantize(small, quality), quality)
        pictures.append(picture)
        conditions.append(make_conditions(label_map, quick_base(color_map, height, width), side, gamma))
        for level, stride in enumerate(STRIDES):
            rows, columns = -(-height // stride), -(-width // stride)
            given[level].append(contexts.given_places(label_map, color_map, nearest_indices(gamma), rows, columns))
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return Batch(pixels, stack_conditions(conditions), given)


def quick_base(color_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the smooth base of a color map (h, w, 3), (height, width, 3) uint8, up to rounding: ten times as quick."""
    rows, columns = enlarging(color_map.shape[0], height), enlarging(color_map.shape[1], width)
    planes = np.moveaxis(color_map, -1, 0).astype(np.float32)
    return np.moveaxis(np.clip(rows @ planes @ columns.T + 0.5, 0, 255), 0, -1).astype(np.uint8)


def nearest_indices(gamma_log2: float | np.ndarray) -> np.ndarray:
    """Return the nearest indices of γ, of the same shape."""
    indices = np.round((np.asarray(gamma_log2) - LOWEST_GAMMA_LOG2) * GAMMAS_PER_OCTAVE)
    return np.clip(indices, 0, NUM_GAMMAS - 1).astype(np.int64)
