"""What lies around a region: shown next to it, left to the drawing a few pixels on.

To be exact inside, a region needs coefficients that reach beyond it: 5 pixels at the finest scale, 43 at the fifth.
They say something of the pixels out there, whose details nobody asked for. Where the picture stops at once, a border
shows; where it goes on, up to a sixth of the region's bytes are spent outside. So it fades into the base within 12
pixels: the border stays as smooth as in the photograph, and about half of those bytes are saved (`eval/regions.py`).

    picture inside and up to 2 pixels beyond ──linear──▶ smooth base from 12 pixels on
"""

from __future__ import annotations

from typing import cast

import numpy as np

from sgc_diffusion.payload import RegionsLayer
from sgc_diffusion.payload.smooth_base import smooth_base

FADE_FROM, FADE_TO = 2, 12  # pixels from a region


def fade_outside(picture: np.ndarray, color_map: np.ndarray, regions: RegionsLayer) -> np.ndarray:
    """Return a picture that is as it is inside regions and fades into its smooth base outside.

    Args:
        picture: (H, W, 3) uint8.
        color_map: (h, w, 3) uint8, the decoded one.
        regions: what is kept.

    Returns:
        (H, W, 3) uint8.
    """
    from scipy import ndimage

    height, width = picture.shape[:2]
    distances = cast(np.ndarray, ndimage.distance_transform_edt(~regions.pixels(height, width)))
    shares = np.clip((FADE_TO - distances) / (FADE_TO - FADE_FROM), 0, 1)[..., None]
    base = smooth_base(color_map, height, width)
    return np.rint(base + shares * (picture.astype(np.float64) - base)).astype(np.uint8)
