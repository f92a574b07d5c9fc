"""The latent layers: what a network saw of the structure of a picture, as integers, level by level.

    picture, labels, colors ──network──▶ means (floats, never stored) and symbols ──▶ `LatentLevel`s, coarse to fine
    labels, colors, coarser symbols ──network──▶ the same means; mean + symbol / gain ──▶ a picture

A symbol is how far a latent lies from its mean, so a level that is not there is the same as one of zeros: the mean is
its prediction. No float is needed to write or to read symbols.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sgc_diffusion.payload.importance import ImportanceLayer
from sgc_diffusion.payload.layer import Layer, frozen_array
from sgc_diffusion.payload.scalars import plain_integer

FIRST_KIND = 3
STRIDES = (64, 32, 16, 8)  # pixels a latent is wide, of each level
CHANNELS = (8, 8, 12, 12)  # of the network that files name by 0
LATENT_KINDS = range(FIRST_KIND, FIRST_KIND + len(STRIDES))
NUM_NETWORKS = 1  # that this version knows: each has tables of its own
MAX_SYMBOL = 4095
NUM_GAMMAS, GAMMAS_PER_OCTAVE, LOWEST_GAMMA_LOG2 = 49, 4, -1  # 1/2 … 2048
GAMMAS_PER_SHIFT = GAMMAS_PER_OCTAVE  # of the index of γ, for each detail level that importance is worth
MAX_REDUCTION = 3  # halvings of the picture before the network sees it


@dataclass(frozen=True, eq=False)
class LatentLevel(Layer):
    """The symbols of one level.

    Attributes:
        kind: 3 + the level, 3 … 6.
        symbols: (C, h, w) int16, −4095 … 4095; C is that of the level in `CHANNELS`, h and w are `level_size`.
        gamma_index: of the weight γ of the distortion that the network was told, see `gamma_log2`; 0 … 48.
        reduction: how often the picture's sides were halved, rounding up, before the network saw it; 0 … 3.
        network: number of the network whose latents they are, 0.
        follows_importance: whether γ is higher where the file's importance layer says so, see `gamma_indices`.

    Raises:
        ValueError: wrong shape, dtype or range.

    Example:
        >>> LatentLevel(5, np.zeros((12, 4, 6), np.int16), gamma_index=20).stride
        16
    """

    kind: int
    symbols: np.ndarray
    gamma_index: int
    reduction: int = 0
    network: int = 0
    follows_importance: bool = False

    def __post_init__(self) -> None:
        ranges = {
            "kind": (LATENT_KINDS[0], LATENT_KINDS[-1]),
            "gamma_index": (0, NUM_GAMMAS - 1),
            "reduction": (0, MAX_REDUCTION),
            "network": (0, NUM_NETWORKS - 1),
        }
        for name, (lowest, highest) in ranges.items():
            object.__setattr__(self, name, plain_integer(name, getattr(self, name), lowest, highest))
        object.__setattr__(self, "follows_importance", bool(self.follows_importance))
        symbols = np.asarray(self.symbols)
        channels = CHANNELS[self.level]
        if symbols.dtype != np.int16 or symbols.ndim != 3 or len(symbols) != channels or not symbols.size:
            raise ValueError(
                f"`symbols` must be int16 of shape ({channels}, h, w) at level {self.level}, got {symbols.dtype} "
                f"{symbols.shape}"
            )
        if max(int(symbols.max()), -int(symbols.min())) > MAX_SYMBOL:
            raise ValueError(
                f"`symbols` must be from -{MAX_SYMBOL} to {MAX_SYMBOL}, got {symbols.min()} to "
                f"{symbols.max()}; clip them"
            )
        object.__setattr__(self, "symbols", frozen_array(symbols))

    @property
    def level(self) -> int:
        """0, the coarsest, … 3."""
        return self.kind - FIRST_KIND

    @property
    def stride(self) -> int:
        """Pixels of the reduced picture that a latent is wide."""
        return STRIDES[self.level]

    @property
    def gamma_log2(self) -> float:
        """The logarithm of γ to base 2."""
        return gamma_log2(self.gamma_index)


def gamma_log2(index: Any) -> Any:
    """Return log2 of the γ of an index, or of an array of them: γ is 1/2 at 0 and doubles every four, to 2048 at 48."""
    return index / GAMMAS_PER_OCTAVE + LOWEST_GAMMA_LOG2


def gamma_indices(gamma_index: int, importance: ImportanceLayer | None) -> np.ndarray:
    """Return the indices of γ, int64: () for the whole picture, or (h, w), one for each cell of the importance.

    Args:
        gamma_index: 0 … 48.
        importance: of which each shift of one doubles γ; None for the same γ everywhere.
    """
    if importance is None:
        return np.array(gamma_index, dtype=np.int64)
    shifts = np.array(importance.shifts, dtype=np.int64)[importance.levels]
    return np.clip(gamma_index + GAMMAS_PER_SHIFT * shifts, 0, NUM_GAMMAS - 1)


def reduced_size(height: int, width: int, reduction: int) -> tuple[int, int]:
    """Return the size of the picture that the network sees."""
    return -(-height // (1 << reduction)), -(-width // (1 << reduction))


def level_size(height: int, width: int, reduction: int, level: int) -> tuple[int, int]:
    """Return the rows and columns of latents of a level: sides of the reduced picture over its stride, rounded up.

    Args:
        height: of the picture, pixels.
        width: of the picture, pixels.
        reduction: 0 … 3.
        level: 0 … 3.
    """
    rows, columns = (-(-side // STRIDES[level]) for side in reduced_size(height, width, reduction))
    return rows, columns
