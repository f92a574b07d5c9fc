"""Latents of every photograph, of what files of any size would show of it without a network, and its labels.

photograph ─────────────────────────────────▶ encoder ──▶ latents to draw
   └─ color map, maybe detail levels ──▶ likeness ──▶ encoder ──▶ latents to draw them from
"""

import hashlib
import logging
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderDC
from torch import nn

from sgc_diffusion.training.data import PhotoCache, merged_classes
from sgc_diffusion.training.likenesses import likeness_of, random_file

logger = logging.getLogger(__name__)
FACTOR = 8  # pixels a latent
LABELS_PER_LATENT = 4  # the label maps have half the photographs' resolution


def majority(label_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the most frequent id of each 4×4 block, (height, width) uint8."""
    side = LABELS_PER_LATENT
    missing = [max(0, side * cells - extent) for cells, extent in zip((height, width), label_map.shape, strict=True)]
    padded = np.pad(label_map, [(0, missing[0]), (0, missing[1])], "edge")
    blocks = padded[: side * height, : side * width].reshape(height, side, width, side)
    present = np.unique(blocks)
    votes = np.stack([(blocks == label).sum(axis=(1, 3)) for label in present])
    return present[votes.argmax(axis=0)].astype(np.uint8)


class LikenessCache:
    """Random access to latents, likenesses and labels of photographs.

    Args:
        folder: of a `PhotoCache`; `likeness-….bin` is written there at the first use of an encoder. A writing that was
            cut off goes on where it was.
        first_stage: its encoder, and the scale that makes its latents of unit variance.
        recipe: of the likenesses, with the `taxonomy` of the labels.
        device: to encode on.
    """

    def __init__(self, folder: Path, first_stage: AutoencoderDC, recipe: dict, device: torch.device) -> None:
        self._photos = PhotoCache(folder)
        self.recipe, self._table = recipe, merged_classes(recipe["taxonomy"]).astype(np.uint8)
        self.grids = self._photos.shapes // FACTOR
        self._channels = first_stage.config["latent_channels"]
        self._planes = 2 * self._channels * (1 + recipe["variants"]) + 1  # bytes a latent
        self._offsets = np.concatenate([[0], np.cumsum(self.grids.prod(axis=1))])
        mark = _fingerprint(first_stage.encoder, recipe)
        rows, values = folder / f"likeness-{mark}.bin", folder / f"likeness-{mark}.npy"
        if not values.exists():
            self._write(first_stage, device, rows, values)
        self._rows = np.memmap(rows, dtype=np.uint8, mode="r", shape=(int(self._offsets[-1]), self._planes))
        self._fidelity = np.load(values)

    def __len__(self) -> int:
        return len(self.grids)

    def photo(self, index: int) -> np.ndarray:
        """Return what was encoded, (H, W, 3) uint8, the sides divisible by 8."""
        height, width = FACTOR * self.grids[index]
        return self._photos.photo(index)[:height, :width]

    def window(self, index: int, top: int, left: int, side: int, variant: int) -> tuple[np.ndarray, ...]:
        """Return a window of one entry.

        Returns:
            Latents (s, s, C) float16 and their likeness's (s, s, C) float16; ids (s, s) uint8; and (2,) float32:
            pixels a color cell, share of the detail levels.
        """
        rows = self._rows[self._offsets[index] : self._offsets[index + 1]].reshape(*self.grids[index], -1)
        rows = np.ascontiguousarray(rows[top : top + side, left : left + side])
        bounds = 2 * self._channels * np.array([1 + variant, 2 + variant])
        latents = np.ascontiguousarray(rows[..., : 2 * self._channels]).view(np.float16)
        shown = np.ascontiguousarray(rows[..., bounds[0] : bounds[1]]).view(np.float16)
        return latents, shown, rows[..., -1], self._fidelity[index, variant]

    def _write(self, first_stage: AutoencoderDC, device: torch.device, path: Path, values: Path) -> None:
        fidelity = np.zeros((len(self), self.recipe["variants"], 2), dtype=np.float32)
        with open(path, "ab") as file:
            written = file.tell() // self._planes
            first = int(np.searchsorted(self._offsets, written, side="right")) - 1
            file.truncate(int(self._offsets[first]) * self._planes)
            for index in range(len(self)):
                files = [
                    random_file(self.recipe, np.random.default_rng((3, index, v))) for v in range(fidelity.shape[1])
                ]
                fidelity[index] = [(file.cell_side, file.known) for file in files]
                if index < first:
                    continue
                photo = self.photo(index)
                pictures = [photo, *(likeness_of(photo, file) for file in files)]
                labels = majority(self._table[self._photos.label_map(index)], *self.grids[index])
                latents = encode(first_stage, pictures, device)
                bytes_of = [np.ascontiguousarray(each).view(np.uint8) for each in latents]
                file.write(np.concatenate([*bytes_of, labels[..., None]], axis=2).tobytes())
                if index % 1000 == 0:
                    file.flush()
                    logger.info("%s: %d of %d", path.name, index, len(self))
        np.save(values, fidelity)


@torch.no_grad()
def encode(first_stage: AutoencoderDC, pictures: list[np.ndarray], device: torch.device) -> np.ndarray:
    """Return the latents (N, h, w, C) float16, of unit scale, of pictures (H, W, 3) uint8."""
    images = torch.from_numpy(np.stack(pictures)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.autocast(device.type, torch.bfloat16):
        latents = first_stage.encode(images.contiguous(memory_format=torch.channels_last)).latent
    scale = first_stage.config["scaling_factor"]
    return (latents.float() * scale).permute(0, 2, 3, 1).half().cpu().numpy()


def _fingerprint(encoder: nn.Module, recipe: dict) -> str:
    """Return eight digits that tell encoders and recipes apart, so that no training takes those of another one."""
    digest = hashlib.sha256(repr(sorted(recipe.items())).encode())
    for weights in encoder.state_dict().values():
        digest.update(weights.cpu().numpy().tobytes())
    return digest.hexdigest()[:8]
