"""Segmentation models of the ecosystem, and what their labels are called.

"owner/name", "./folder" ──transformers, by config.model_type──▶ model, image processor
"torchvision/deeplabv3_…" ─torchvision──────────────────────────▶ model
model.config.id2label ─────matched by names─────────────────────▶ taxonomy ──class_table──▶ the pipeline's taxonomy
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from torch import nn

from sgc_diffusion.taxonomy import NUMBERS, class_table, load_taxonomy
from sgc_diffusion.zoo.names import check_place

UNIVERSAL_TYPES = {"mask2former", "maskformer", "oneformer"}  # of AutoModelForUniversalSegmentation
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
MIN_NAMES_IN_PLACE = 0.6  # of the names of a set that must stand at their own id for the rest to be taken on trust
GENERIC_NAME = re.compile(r"(LABEL_)?\d+")  # what transformers calls labels that nobody named
MAX_NAMES_SHOWN = 5


def load_segmenter(name: str, **kwargs: Any) -> tuple[nn.Module, Any]:
    """Load a segmentation model and the image processor that belongs to it.

    Args:
        name: Hub id or folder of a transformers model, or `torchvision/deeplabv3_resnet50` or `…101`, followed by `:`
            and the path of a state_dict for other weights than torchvision's.
        **kwargs: for the Hub: `revision`, `cache_dir`, `token`, `local_files_only`.

    Returns:
        The model, and the processor that transformers gives it; None for torchvision.

    Raises:
        ValueError: a name that leads nowhere, a model that does not segment, or one whose files do not fit together.
        OSError: a model that cannot be reached, or that lacks a file.
    """
    if name.startswith("torchvision/"):
        from sgc_diffusion.analysis.torchvision_segmenters import load_deeplab

        return load_deeplab(name.removeprefix("torchvision/")), None
    from transformers import AutoConfig, AutoModelForSemanticSegmentation, AutoModelForUniversalSegmentation

    check_place("segmenter", name)
    try:
        config = AutoConfig.from_pretrained(name, **kwargs)
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
        model = auto_class.from_pretrained(name, **kwargs)
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"`segmenter` {name}: its weights are damaged or do not fit its config.json ({reason}); download it again"
        ) from error
    return model.eval(), _load_processor(name, config.model_type, **kwargs)


def load_image_processor(folder: Path) -> Any:
    """Return the processor saved beside a segmenter's weights, or None where there is none."""
    if not any((folder / one).is_file() for one in PROCESSOR_FILES):
        return None
    return _load_processor(str(folder), json.loads((folder / "config.json").read_text("utf-8")).get("model_type"))


def _load_processor(name: str, model_type: str | None, **kwargs: Any) -> Any:
    """Return the processor of a model; see `load_segmenter`."""
    from transformers import AutoImageProcessor, AutoProcessor

    try:
        if model_type == "oneformer":  # its class_info_file is for training, and lies in a repository of its own
            return AutoProcessor.from_pretrained(name, class_info_file=None, **kwargs)
        return AutoImageProcessor.from_pretrained(name, **kwargs)
    except OSError as error:
        raise OSError(
            f"`segmenter` {name} has no image processor ({PROCESSOR_FILES[0]}); copy it there from where the model "
            "comes from, or give the loaded model itself, which is then fed RGB in [−1, 1]"
        ) from error


def label_names(segmenter: nn.Module) -> tuple[str, ...]:
    """Return the names of a segmenter's labels in the order of their ids.

    Raises:
        ValueError: an id without a name.
    """
    config: Any = segmenter.config
    missing = set(range(config.num_labels)) - set(config.id2label)
    if missing:
        raise ValueError(
            f"`segmenter` has {config.num_labels} labels, but its config.id2label names none of id {min(missing)}; "
            "number its entries from 0 on"
        )
    return tuple(config.id2label[index] for index in range(config.num_labels))


def segmenter_table(segmenter: nn.Module, taxonomy: str) -> np.ndarray:
    """Return the table that takes a segmenter's labels to a taxonomy's.

    Args:
        segmenter: with `config.id2label`. Labels without names are those of the taxonomy, if their number is.
        taxonomy: name of the wanted label set.

    Returns:
        (num_labels,) uint8 ids of the taxonomy.

    Raises:
        ValueError: names of no known label set, or of one that leads not to the taxonomy.
    """
    return _table_of(label_names(segmenter), taxonomy)


@lru_cache(maxsize=32)
def _table_of(names: tuple[str, ...], taxonomy: str) -> np.ndarray:
    num_classes = load_taxonomy(taxonomy).num_classes
    if all(GENERIC_NAME.fullmatch(name) for name in names):
        if len(names) != num_classes:
            raise ValueError(
                f"`segmenter` knows {len(names)} classes without names, but the taxonomy {taxonomy} has {num_classes}; "
                "load the segmenter that belongs to this pipeline, or set the names in its config.id2label"
            )
        return np.arange(num_classes, dtype=np.uint8)
    source, ids = match_labels(names)
    try:
        return class_table(source, taxonomy)[ids]
    except ValueError as error:
        raise ValueError(f"`segmenter` has the labels of {source}, which cannot be mapped to {taxonomy}") from error


def match_labels(names: tuple[str, ...]) -> tuple[str, np.ndarray]:
    """Find the taxonomy that label names are of.

    Args:
        names: in the order of the segmenter's ids, as model cards write them: `screen door, screen`, `tree-merged`.

    Returns:
        Name of the taxonomy, and (K,) uint8 of its ids.

    Raises:
        ValueError: names of no known label set.
    """
    best: tuple[int, str, list[str]] = (-1, "", [])
    for candidate in sorted(NUMBERS, key=lambda one: load_taxonomy(one).num_classes != len(names)):  # own size first
        known = load_taxonomy(candidate).names
        ids = {_plain(name): index for index, name in reversed(list(enumerate(known)))}
        found = [_find(name, ids) for name in names]
        in_place = sum(
            index is not None and _plain(known[index]) == _plain(known[position % len(known)])
            for position, index in enumerate(found)
        )
        if len(names) == len(known) and in_place >= MIN_NAMES_IN_PLACE * len(known):
            return candidate, np.arange(len(known), dtype=np.uint8)  # spelled otherwise, but the same set in its order
        if None not in found:
            return candidate, np.array(found, dtype=np.uint8)
        unknown = [name for name, index in zip(names, found, strict=True) if index is None]
        if len(names) - len(unknown) > best[0]:
            best = (len(names) - len(unknown), candidate, unknown)
    _, closest, unknown = best
    more = f" and {len(unknown) - MAX_NAMES_SHOWN} more" if len(unknown) > MAX_NAMES_SHOWN else ""
    raise ValueError(
        f"`segmenter` has labels of no known taxonomy; the closest is {closest}, which lacks "
        f"{', '.join(unknown[:MAX_NAMES_SHOWN])}{more}; set the model's config.id2label to names of one of "
        f"{', '.join(NUMBERS)}"
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _find(name: str, ids: dict[str, int]) -> int | None:
    """Return the id of a name, of its first known synonym, or of it without COCO panoptic's suffix."""
    variants = [name, *re.split(r"[,;]", name)]
    variants += [variant.removesuffix("-merged") for variant in variants]
    variants += [f"{variant.removesuffix('-merged')}-other" for variant in variants]
    return next((ids[_plain(variant)] for variant in variants if _plain(variant) in ids), None)
