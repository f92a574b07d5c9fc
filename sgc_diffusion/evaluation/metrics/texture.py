"""Fine texture: how much there is where it belongs and where it does not, and whether every picture has the same.

picture ──luma──▶ Y − Gaussian(Y, 1.5 px) = high-pass ──▶ strength in the original's textured and calm thirds
                                                     └──▶ correlation between drawings of different pictures

Woven strokes and blur show as too little in textured areas, grain and invented clouds as too much in calm ones.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

HIGH_PASS_DEVIATION = 1.5  # pixels of the blur that is subtracted
AREA_DEVIATION = 8.0  # pixels over which texture counts as being in one place
ROUNDING_VARIANCE = 1 / 12  # of 8 bits; keeps the ratio finite where the original is one color


def high_pass(picture: np.ndarray) -> np.ndarray:
    """Return what a slight blur takes from the luma of a picture.

    Args:
        picture: (H, W, 3) uint8.

    Returns:
        (H, W) float64, gray levels around 0.
    """
    luma = np.asarray(Image.fromarray(picture).convert("L"), dtype=np.float64)
    return luma - gaussian_filter(luma, HIGH_PASS_DEVIATION)


def texture_ratios(original: np.ndarray, decoded: np.ndarray) -> tuple[float, float]:
    """Return how strong the texture of a decoded picture is beside the original's, in textured and in calm areas.

    The strength of an area is the root mean square of its high-pass, with the variance of rounding to 8 bits added to
    the mean square of both. Areas are the original's: its local energy is the square of its high-pass, averaged with a
    Gaussian of 8 pixels; textured is where it is in its highest third, calm where it is in its lowest.

    Args:
        original: (H, W, 3) uint8.
        decoded: the same.

    Returns:
        Strength in the textured areas over the original's there, and the same of the calm areas; at least 0, 1 is best.
    """
    first, second = high_pass(original), high_pass(decoded)
    energy = gaussian_filter(first**2, AREA_DEVIATION)
    calmest, most_textured = np.quantile(energy, [1 / 3, 2 / 3])
    textured, calm = energy >= most_textured, energy <= calmest
    return _strength(second[textured]) / _strength(first[textured]), _strength(second[calm]) / _strength(first[calm])


def _strength(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2) + ROUNDING_VARIANCE))


class TextureSet:
    """Collects the high-pass of decoded pictures and correlates those of different ones."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Forget what was added."""
        self._high_passes: dict[tuple[int, ...], list[np.ndarray]] = {}

    def add(self, original: np.ndarray, decoded: np.ndarray) -> None:
        """Add a decoded picture (H, W, 3) uint8; its original plays no part."""
        values = high_pass(decoded)
        values -= values.mean()
        length = np.linalg.norm(values)
        if length > 0:
            self._high_passes.setdefault(values.shape, []).append((values / length).astype(np.float32))

    def finish(self) -> tuple[float] | None:
        """Return the mean correlation of all pairs of one size, −1 … 1, or None where there is no pair."""
        pairs = [pair for members in self._high_passes.values() for pair in combinations(members, 2)]
        if not pairs:
            return None
        return (float(np.mean([np.vdot(first, second) for first, second in pairs])),)
