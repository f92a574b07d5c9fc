"""A saliency model of the ecosystem as an importance of pixels.

"owner/name", folder ──transformers, semantic segmentation──▶ chance that a pixel is no background ──▶ (H, W)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from sgc_diffusion.zoo.hub import HubOptions
from sgc_diffusion.zoo.segmenters import load_segmenter

SHORT_SIDE = 512  # pixels that a model sees without a processor of its own


def load_saliency(name: str, hub: HubOptions | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Return what says how salient each pixel of a picture is.

    Args:
        name: Hub id or folder of a transformers model of semantic segmentation with one label, the object, or more, of
            which the first is the background.
        hub: how it is fetched.

    Returns:
        A function: picture (H, W, 3) uint8 → (H, W) float32, 0 … 1.

    Raises:
        ValueError: no such model, or one that gives no map of scores.
        OSError: a model that cannot be reached.
    """
    model, processor = load_segmenter(name, hub)

    @torch.no_grad()
    def saliency(picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        if processor is None:
            scale = SHORT_SIDE / min(height, width)
            size = (round(height * scale), round(width * scale))
            pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
            inputs = {"pixel_values": functional.interpolate(pixels, size, mode="bilinear", antialias=True)}
        else:
            inputs = processor(images=picture, return_tensors="pt")
        logits = getattr(model(**inputs), "logits", None)
        if logits is None:
            raise ValueError(f"`saliency` {name} gives no scores for each pixel; take a model such as SegFormer")
        chance = logits.sigmoid() if logits.shape[1] == 1 else 1 - logits.softmax(dim=1)[:, :1]
        return functional.interpolate(chance, (height, width), mode="bilinear", align_corners=False)[0, 0].numpy()

    return saliency
