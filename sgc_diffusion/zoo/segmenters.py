"""Segmentation models of the ecosystem, and what their labels are called.

"owner/name", "./folder" ──transformers, by config.model_type──▶ model, image processor
"torchvision/deeplabv3_…" ─torchvision──────────────────────────▶ model
model.config.id2label ─────matched by names─────────────────────▶ taxonomy ──class_table──▶ the pipeline's taxonomy
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from torch import nn

from sgc_diffusion.taxonomy.matching import label_table
from sgc_diffusion.zoo.hub import HubOptions
from sgc_diffusion.zoo.names import check_place

UNIVERSAL_TYPES = {"mask2former", "maskformer", "oneformer"}  # of AutoModelForUniversalSegmentation
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")


def load_segmenter(name: str, hub: HubOptions | None = None) -> tuple[nn.Module, Any]:
    """Load a segmentation model and the image processor that belongs to it.

    Args:
        name: Hub id or folder of a transformers model, or `torchvision/deeplabv3_resnet50` or `…101`, followed by `:`
            and the path of a state_dict for other weights than torchvision's.
        hub: how it is fetched.

    Returns:
        The model, and the processor that transformers gives it; None for torchvision.

    Raises:
        ValueError: a name that leads nowhere, a model that does not segment, or one whose files do not fit together.
        OSError: a model that cannot be reached, or that lacks a file.
    """
    if name.startswith("torchvision/"):
        from sgc_diffusion.zoo.torchvision_segmenters import load_deeplab

        return load_deeplab(name.removeprefix("torchvision/")), None
    from transformers import AutoConfig, AutoModelForSemanticSegmentation, AutoModelForUniversalSegmentation

    check_place("segmenter", name)
    hub_arguments = {} if hub is None else hub.arguments()
    try:
        config = AutoConfig.from_pretrained(name, **hub_arguments)
    except ValueError as error:  # a config.json without a known model_type, such as a diffusers model
        reason = str(error).partition("\n")[0]
        raise ValueError(f"`segmenter` {name} is no transformers model: {reason}") from error
    is_universal = config.model_type in UNIVERSAL_TYPES
    auto_class = AutoModelForUniversalSegmentation if is_universal else AutoModelForSemanticSegmentation
    if type(config) not in auto_class._model_mapping:
        raise ValueError(
            f"`segmenter` {name} is a {config.model_type} model, of which no label map is read here; give a "
            "Mask2Former, OneFormer, MaskFormer, SegFormer, UperNet, BEiT or DPT model"
        )
    try:
        model = auto_class.from_pretrained(name, **hub_arguments)
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"`segmenter` {name}: its weights are damaged or do not fit its config.json ({reason}); download it again"
        ) from error
    return model.eval(), _load_processor(name, config.model_type, hub_arguments)


def load_image_processor(folder: Path) -> Any:
    """Return the image processor of a saved pipeline's folder, or None where it has none."""
    place = folder / "image_processor"
    if not any((place / name).is_file() for name in PROCESSOR_FILES):
        return None
    config = json.loads((folder / "segmenter" / "config.json").read_text("utf-8"))
    return _load_processor(str(place), config.get("model_type"), {})


def _load_processor(name: str, model_type: str | None, hub_arguments: dict[str, Any]) -> Any:
    """Return the processor of a model; see `load_segmenter`."""
    from transformers import AutoImageProcessor, AutoProcessor

    try:
        if model_type == "oneformer":  # its class_info_file is for training, and lies in a repository of its own
            return AutoProcessor.from_pretrained(name, class_info_file=None, **hub_arguments)
        return AutoImageProcessor.from_pretrained(name, **hub_arguments)
    except OSError as error:
        raise OSError(
            f"`segmenter` {name} has no image processor ({PROCESSOR_FILES[0]}); copy it there from where the model "
            "comes from, or give the loaded model itself, which is then fed RGB in [−1, 1]"
        ) from error


def label_names(segmenter: nn.Module) -> tuple[str, ...]:
    """Return the names of a segmenter's labels in the order of their ids.

    Raises:
        ValueError: something that is no segmenter, or an id without a name.
    """
    config: Any = getattr(segmenter, "config", None)
    if not hasattr(config, "id2label"):
        raise ValueError(
            f"`segmenter` must be a model that names its labels in `config.id2label`, got {type(segmenter).__name__}; "
            "give one of transformers, or the name of one"
        )
    missing = set(range(config.num_labels)) - set(config.id2label)
    if missing:
        raise ValueError(
            f"`segmenter` has {config.num_labels} labels, but its config.id2label names none of id {min(missing)}; "
            "number its entries from 0 on"
        )
    return tuple(config.id2label[index] for index in range(config.num_labels))


def segmenter_table(segmenter: nn.Module, taxonomy: str) -> np.ndarray:
    """Return the table that takes a segmenter's labels to a taxonomy's; see `taxonomy.matching.label_table`.

    Args:
        segmenter: with `config.id2label`.
        taxonomy: name of the wanted label set.

    Returns:
        (num_labels,) uint8 ids of the taxonomy.

    Raises:
        ValueError: names of no known label set, or of one from which no map leads to the taxonomy.
    """
    return label_table(label_names(segmenter), taxonomy)
