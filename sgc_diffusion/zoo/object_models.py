"""Models of the ecosystem that find objects.

"owner/name", folder ──transformers: Mask2Former, MaskFormer, OneFormer, EoMT──┐
"torchvision/maskrcnn_resnet50_fpn" ──torchvision──────────────────────────────┼──▶ picture → masks, names, scores
"rapidocr" ──boxes of text─────────────────────────────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sgc_diffusion.features.found_objects import FindObjects, FoundObject
from sgc_diffusion.zoo.hub import HubOptions
from sgc_diffusion.zoo.names import check_place

LEAST_SCORE = 0.5
_TORCHVISION = "torchvision/maskrcnn_resnet50_fpn"


def load_finder(name: str, hub: HubOptions | None = None) -> FindObjects:
    """Load a model that finds objects.

    Args:
        name: Hub id or folder of an instance or panoptic segmentation model of transformers;
            `torchvision/maskrcnn_resnet50_fpn`; or `rapidocr`, whose objects are called text.
        hub: how it is fetched.

    Returns:
        A function: picture (H, W, 3) uint8 → its objects, those of a score of a half and more.

    Raises:
        ValueError: a name that leads nowhere, or a model that finds no objects.
        OSError: a model that cannot be reached.
        ImportError: its package is not installed.
    """
    if name == "rapidocr":
        return _load_rapidocr()
    if name.startswith("torchvision/"):
        return _load_mask_rcnn(name)
    return _load_transformers(name, hub)


def _load_transformers(name: str, hub: HubOptions | None) -> FindObjects:
    from transformers import AutoConfig, AutoModelForUniversalSegmentation, AutoProcessor

    check_place("region_model", name)
    arguments = {} if hub is None else hub.arguments()
    config = AutoConfig.from_pretrained(name, **arguments)
    if type(config) not in AutoModelForUniversalSegmentation._model_mapping:
        raise ValueError(
            f"`region_model` {name} is a {config.model_type} model, which finds no objects; give a Mask2Former, "
            "MaskFormer, OneFormer or EoMT model of instances or panoptic segmentation"
        )
    model = AutoModelForUniversalSegmentation.from_pretrained(name, **arguments).eval()
    more = {"class_info_file": None} if config.model_type == "oneformer" else {}
    processor = AutoProcessor.from_pretrained(name, **more, **arguments)
    return lambda picture: find_objects(model, processor, picture)


@torch.no_grad()
def find_objects(model: Any, processor: Any, picture: np.ndarray) -> list[FoundObject]:
    """Return the objects that a universal segmentation model of transformers finds.

    Args:
        model: such as Mask2Former.
        processor: its own.
        picture: (H, W, 3) uint8.
    """
    task = {"task_inputs": ["instance"]} if model.config.model_type == "oneformer" else {}
    inputs = processor(images=picture, return_tensors="pt", **task)
    outputs = model(**{key: value for key, value in inputs.items() if key != "original_image_sizes"})
    post = getattr(processor, "image_processor", processor)
    size = [picture.shape[:2]]
    if hasattr(post, "post_process_instance_segmentation"):
        (result,) = post.post_process_instance_segmentation(outputs, threshold=LEAST_SCORE, target_sizes=size)
    else:
        (result,) = post.post_process_panoptic_segmentation(outputs, threshold=LEAST_SCORE, target_sizes=size)
    segmentation = np.asarray(result["segmentation"])
    objects = []
    for segment in result["segments_info"]:
        mask = segmentation == segment["id"]
        if mask.any():
            name = model.config.id2label[segment["label_id"]]
            objects.append(FoundObject(mask, name, float(segment.get("score", 1.0))))
    return objects


def _load_mask_rcnn(name: str) -> FindObjects:
    """Return torchvision's Mask R-CNN with its weights, or those of a file after a colon."""
    place, _, path = name.partition(":")
    if place != _TORCHVISION:
        raise ValueError(f"`region_model` {name} is not known; give {_TORCHVISION}, or a Hub id")
    from torchvision.models import detection
    from torchvision.ops import nms

    try:
        nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    except RuntimeError as error:
        text = f"`region_model` {_TORCHVISION} needs torchvision's compiled operators; install the one for this torch"
        raise ImportError(text) from error
    about = detection.MaskRCNN_ResNet50_FPN_Weights.COCO_V1
    names = about.meta["categories"]
    if path:
        from sgc_diffusion.zoo.checkpoint import read_state_dict

        network = detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
        network.load_state_dict(read_state_dict(path))
    else:
        network = detection.maskrcnn_resnet50_fpn(weights=about)
    network.eval()

    return lambda picture: find_by_mask_rcnn(network, names, picture)


@torch.no_grad()
def find_by_mask_rcnn(network: torch.nn.Module, names: Sequence[str], picture: np.ndarray) -> list[FoundObject]:
    """Return the objects that a Mask R-CNN of torchvision finds.

    Args:
        network: in evaluation mode.
        names: of its classes; the first is the background.
        picture: (H, W, 3) uint8.
    """
    (found,) = network([torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255])
    kept = found["scores"] >= LEAST_SCORE
    rows = zip(found["masks"][kept], found["labels"][kept], found["scores"][kept], strict=True)
    objects = [FoundObject(mask[0].numpy() > 0.5, names[int(label)], float(score)) for mask, label, score in rows]
    return [each for each in objects if each.mask.any()]


def _load_rapidocr() -> FindObjects:
    try:
        from rapidocr import RapidOCR  # pyright: ignore[reportMissingImports] - an extra of its own
    except ImportError as error:
        raise ImportError("`region_model` rapidocr is not installed: pip install 'sgc-diffusion[text]'") from error
    engine = RapidOCR(params={"Global.log_level": "error"})

    def find(picture: np.ndarray) -> list[FoundObject]:
        from PIL import Image, ImageDraw

        result = engine(np.ascontiguousarray(picture[..., ::-1]), use_det=True, use_cls=False, use_rec=False)
        objects = []
        for corners in [] if result.boxes is None else result.boxes:
            canvas = Image.new("1", (picture.shape[1], picture.shape[0]))
            ImageDraw.Draw(canvas).polygon([tuple(map(float, corner)) for corner in corners], fill=1, outline=1)
            objects.append(FoundObject(np.asarray(canvas), "text", 1.0))
        return objects

    return find
