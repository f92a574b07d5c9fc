"""Whether a picture still means the same: the paper's Φ, on label maps and on CLIP embeddings.

**Label BCE.** The SGC paper gives 0.93 for VVC at QP 55 and 0.40 for its codec, and says no more than "a binary cross
entropy between estimated segmentation maps on decoded images and input images", "on the 182 possible labels". Readings:

- Cross entropy of the decoded picture's class *probabilities* against the original's labels. On ten S-FLCKR pictures
  at VVC QP 55, with a segmenter of 151 classes, it is 0.05 averaged over the labels and 7.8 summed over them. With
  sigmoids, which such networks are not trained for, it is 1.25, less than the 1.29 of unchanged pictures; between the
  sigmoids of both it is 0.89, but 0.38 for unchanged pictures, which leaves no room for 0.40.
- Binary cross entropy of the two *maps* as one-hot images (H, W, K) of zeros and ones, averaged over all of it. As
  torch, which bounds the logarithm at −100, computes it, each pixel with another label costs 2 · 100 / K. On the same
  pictures VVC at QP 55 changes 75 % of the labels, which for K = 182 is 0.82; the paper's 0.93 and 0.40 are 85 % and
  36 % of the pixels, and "not able to predict correctly the classes" says as much.

So the second one is computed: BCE = 200 / K · (1 − agreement). It ranges from 0 to 200 / K, 1.10 for the paper's 182
labels and 1.32 for 151, and orders codecs exactly as `label_agreement` does. Compare it with the paper's figures only
when the segmenter has its label set.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError

from sgc_diffusion.evaluation.metrics.segmenter import Segmenter
from sgc_diffusion.features.weights import WeightsError

MIN_LOG = -100.0  # torch.nn.functional.binary_cross_entropy's bound
CLIP_MODEL = "ViT-L-14-quickgelu"  # open_clip's name of what OpenAI trained
CLIP_EMBEDDING_SIZE = 768  # of ViT-L/14, and of no other size of CLIP's ViT
NUM_REMEMBERED = 32  # originals whose maps and embeddings are kept, since every codec is compared with the same ones


def label_bce(first: np.ndarray, second: np.ndarray, num_classes: int) -> float:
    """Return the binary cross entropy of two label maps over all labels, as the module's text derives it.

    Args:
        first: (h, w) ids.
        second: (h, w) ids.
        num_classes: K, the number of labels of the segmenter.
    """
    return -2 * MIN_LOG / num_classes * (1 - label_agreement(first, second))


def label_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of equal ids of two (h, w) label maps."""
    return float((first == second).mean())


def label_miou(first: np.ndarray, second: np.ndarray, num_classes: int) -> float:
    """Return intersection over union of two (h, w) label maps, averaged over the labels that either has."""
    import torch
    from torchmetrics.functional.classification import multiclass_jaccard_index

    maps = (torch.from_numpy(label_map.astype(np.int64)) for label_map in (second, first))
    return float(multiclass_jaccard_index(*maps, num_classes=num_classes, average="macro", validate_args=False))


def load_labels(segmenter: Segmenter) -> Callable[[np.ndarray, np.ndarray], dict[str, float]]:
    """Return the three label metrics as one measure of two pictures (H, W, 3) uint8."""
    label_map = remembered(segmenter.label_map)

    def measure(original: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
        maps = label_map(original), segmenter.label_map(decoded)
        return {
            "label_bce": label_bce(*maps, segmenter.num_classes),
            "label_miou": label_miou(*maps, segmenter.num_classes),
            "label_agreement": label_agreement(*maps),
        }

    return measure


def load_clip_similarity(path: Path, device: str = "cpu") -> Callable[[np.ndarray, np.ndarray], float]:
    """Return the scalar product of the normalized CLIP ViT-L/14 embeddings of two pictures (H, W, 3) uint8.

    Pictures are prepared as CLIP does it: short side to 224 pixels, and of a picture that is not square, the center.

    Args:
        path: of OpenAI's weights: open_clip's .safetensors, or the .pt file that OpenAI publishes.
        device: to compute on.

    Raises:
        WeightsError: a file of other weights.
        ImportError: open_clip is not installed.
    """
    import open_clip
    import torch

    network = _open_clip(path).to(device).eval()
    prepare = open_clip.image_transform(network.visual.image_size, is_train=False)

    @torch.no_grad()
    def embed(picture: np.ndarray) -> Any:
        pixels = prepare(Image.fromarray(picture))[None].to(device)  # type: ignore[operator, index]
        return network.encode_image(pixels, normalize=True)[0].double()

    embed_original = remembered(embed)
    return lambda original, decoded: float(embed_original(original) @ embed(decoded))


def _open_clip(path: Path) -> Any:
    import open_clip

    try:
        if path.suffix == ".pt":
            network: Any = open_clip.load_openai_model(str(path), precision="fp32", device="cpu")
        else:
            network = open_clip.create_model(CLIP_MODEL, pretrained=str(path), device="cpu")
        size = network.text_projection.shape[1]
    except (RuntimeError, KeyError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        raise WeightsError(f"{path} holds no weights of CLIP: {str(error)[:300]}") from error
    if size != CLIP_EMBEDDING_SIZE:
        raise WeightsError(f"{path} is no CLIP ViT-L/14: its embeddings have {size} numbers, not {CLIP_EMBEDDING_SIZE}")
    return network


def remembered(describe: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    """Return a function of pictures that keeps its last `NUM_REMEMBERED` results."""

    @lru_cache(maxsize=NUM_REMEMBERED)
    def recall(data: bytes, shape: tuple[int, ...]) -> Any:
        return describe(np.frombuffer(data, np.uint8).reshape(shape))

    return lambda picture: recall(picture.tobytes(), picture.shape)
