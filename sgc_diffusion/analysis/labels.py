"""Image → label map: what each part of the picture is (S1's σ_s).

RGB ──resize──▶ segmenter ──▶ logits ──argmax──▶ fine labels ──class ids──▶ ──majority of each cell──▶ (h, w)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from sgc_diffusion.analysis.grid import grid_size, vote

NUM_LABEL_CELLS = 1024  # 32×32 for a square picture: 16 pixels a cell at 512×512
MAX_LABEL_SIDE = 1024
MAX_ASPECT = 4  # of the segmenter's input; a narrower picture would be enlarged beyond memory
MAX_CLASSES = 256  # that ids of a byte can tell apart
VOTES_PER_SIDE = 4  # fine labels a cell, along each side, that the majority is taken of


@torch.no_grad()
def segment_images(
    segmenter: nn.Module,
    images: Sequence[Image.Image],
    *,
    short_side: int,
    num_cells: int = NUM_LABEL_CELLS,
    image_processor: Any = None,
    class_ids: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Segment pictures and reduce each map to a coarse grid by majority.

    Args:
        segmenter: transformers model whose output has `logits` (B, K, h, w), or class and mask queries.
        images: RGB pictures of any sizes.
        short_side: of the segmenter's input in pixels where there is no processor; the long side follows, up to four
            times as long.
        num_cells: about how many cells a map has.
        image_processor: the transformers processor of the segmenter; None feeds RGB scaled to [−1, 1].
        class_ids: (K,) uint8, what each of the segmenter's classes is called in the maps; None keeps its ids.

    Returns:
        One (h, w) uint8 map of class ids per picture.

    Raises:
        ValueError: the segmenter gives a label that has no entry in `class_ids`, or, without them, has more than 256
            classes.
    """
    label_maps = []
    for image in images:
        rows, columns = grid_size(image.width, image.height, num_cells, MAX_LABEL_SIDE)
        size = (rows * VOTES_PER_SIDE, columns * VOTES_PER_SIDE)
        fine = segment_image(segmenter, image, size, short_side=short_side, image_processor=image_processor)
        label_maps.append(vote(_translate(fine, class_ids, segmenter), rows, columns))
    return label_maps


def _translate(fine: np.ndarray, class_ids: np.ndarray | None, segmenter: Any) -> np.ndarray:
    """Return a map (H, W) of a segmenter's own ids as uint8 ids of a payload."""
    num_classes = int(fine.max()) + 1
    if class_ids is None:
        num_classes = max(num_classes, segmenter.config.num_labels)
        if num_classes > MAX_CLASSES:
            raise ValueError(
                f"`segmenter` has {num_classes} classes, but a label map tells at most {MAX_CLASSES} apart; give the "
                "`class_ids` that they have in a taxonomy"
            )
        return fine.astype(np.uint8)
    if num_classes > len(class_ids):
        raise ValueError(
            f"`segmenter` gave label {num_classes - 1}, but it has names for only {len(class_ids)} classes; set its "
            "config.id2label and config.num_labels to what it was trained on"
        )
    return class_ids[fine]


@torch.no_grad()
def segment_image(
    segmenter: nn.Module, image: Image.Image, size: tuple[int, int], *, short_side: int, image_processor: Any = None
) -> np.ndarray:
    """Segment one picture; arguments as of `segment_images`.

    Args:
        segmenter: transformers model.
        image: RGB picture of any size.
        size: rows and columns of the map.
        short_side: of the segmenter's input in pixels where there is no processor.
        image_processor: the transformers processor of the segmenter, or None.

    Returns:
        (rows, columns) map of the segmenter's own class ids, in the smallest unsigned dtype that holds all of them.
    """
    if image_processor is None:
        labels = _segment_plain(segmenter, image, short_side, size)
    else:
        labels = _segment_processed(segmenter, image_processor, image, size)
    ids = labels.cpu().numpy()
    return ids.astype(np.min_scalar_type(ids.max()))


def _segment_plain(segmenter: nn.Module, image: Image.Image, short_side: int, size: tuple[int, int]) -> torch.Tensor:
    """Return class ids of a size for a picture that is fed as RGB in [−1, 1]."""
    short_side = getattr(segmenter, "short_side", short_side)
    scale = short_side / min(image.size)
    fed = [min(MAX_ASPECT * short_side, max(32, 32 * round(side * scale / 32))) for side in image.size]
    resized = np.array(image.resize((fed[0], fed[1]), Image.Resampling.BILINEAR, reducing_gap=2.0))
    parameter = next(segmenter.parameters())
    pixels = torch.from_numpy(resized).permute(2, 0, 1)[None].to(computing_device(segmenter))
    logits = segmenter(pixels.to(parameter.dtype) / 127.5 - 1).logits.float()
    return functional.interpolate(logits, size, mode="bilinear", align_corners=False).argmax(dim=1)[0]


def _segment_processed(segmenter: nn.Module, processor: Any, image: Image.Image, size: tuple[int, int]) -> torch.Tensor:
    """Return class ids of a size for a picture that goes through a transformers processor."""
    width, height = (max(side, -(-max(image.size) // MAX_ASPECT)) for side in image.size)
    if (width, height) != image.size:
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    arguments: dict[str, Any] = {"images": image, "return_tensors": "pt"}
    if hasattr(processor, "tokenizer"):  # OneFormer is told its task in words
        arguments["task_inputs"] = ["semantic"]
    elif getattr(processor, "do_center_crop", False):  # for classification; a map must show the whole picture
        arguments["do_center_crop"] = False
    parameter = next(segmenter.parameters())
    inputs = {
        name: value.to(computing_device(segmenter), parameter.dtype if value.is_floating_point() else None)
        for name, value in processor(**arguments).items()
        if isinstance(value, torch.Tensor)
    }
    outputs = segmenter(**inputs)
    for name in ("logits", "class_queries_logits", "masks_queries_logits"):
        if getattr(outputs, name, None) is not None:
            setattr(outputs, name, getattr(outputs, name).float())
    return processor.post_process_semantic_segmentation(outputs, target_sizes=[size])[0]


def computing_device(network: nn.Module) -> torch.device:
    """Return where a network computes; one whose layers are offloaded one by one lies elsewhere until it does."""
    device = next(network.parameters()).device
    if device.type != "meta":
        return device
    hooks = (getattr(module, "_hf_hook", None) for module in network.modules())
    places = (getattr(hook, "execution_device", None) for hook in hooks)
    return next((torch.device(place) for place in places if place is not None), device)
