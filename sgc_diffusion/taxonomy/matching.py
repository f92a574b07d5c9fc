"""Label names of a segmenter → a named label set.

("wall", "building, edifice", "sky", …) ──match_labels──▶ "ade20k-150", ids ──class_table──▶ the wanted taxonomy
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from sgc_diffusion.taxonomy import NUMBERS, class_table, load_taxonomy

MIN_NAMES_IN_PLACE = 0.6  # of the names of a set that must stand at their own id for the rest to be taken on trust
GENERIC_NAME = re.compile(r"(LABEL_)?\d+")  # what transformers calls labels that nobody named
MAX_NAMES_SHOWN = 5


@lru_cache(maxsize=32)
def label_table(names: tuple[str, ...], taxonomy: str) -> np.ndarray:
    """Return the table that takes a segmenter's labels to a taxonomy's.

    Args:
        names: of the segmenter's labels in the order of their ids. Labels without names (`LABEL_0`, `1`) are taken for
            those of the taxonomy, if their number is the same.
        taxonomy: name of the wanted label set.

    Returns:
        (len(names),) uint8 ids of the taxonomy.

    Raises:
        ValueError: names of no known label set, or of one from which no map leads to the taxonomy.
    """
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


def match_labels(names: Sequence[str]) -> tuple[str, np.ndarray]:
    """Find the taxonomy that label names are of.

    Args:
        names: in the order of the segmenter's ids, as model cards write them: `screen door, screen`, `tree-merged`.

    Returns:
        Name of the taxonomy, and (K,) uint8 of its ids.

    Raises:
        ValueError: names of no known label set.
    """
    best: tuple[int, str, list[str]] = (-1, "", [])
    own_size_first = sorted(NUMBERS, key=lambda candidate: load_taxonomy(candidate).num_classes != len(names))
    for candidate in own_size_first:
        known = load_taxonomy(candidate).names
        ids = {_plain(name): index for index, name in reversed(list(enumerate(known)))}
        matches = [_match(name, ids) for name in names]
        in_place = sum(
            index is not None and _plain(known[index]) == _plain(known[position % len(known)])
            for position, index in enumerate(matches)
        )
        if len(names) == len(known) and in_place >= MIN_NAMES_IN_PLACE * len(known):
            return candidate, np.arange(len(known), dtype=np.uint8)  # spelled otherwise, but the same set in its order
        if None not in matches:
            return candidate, np.array(matches, dtype=np.uint8)
        unknown = [name for name, index in zip(names, matches, strict=True) if index is None]
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


def _match(name: str, ids: dict[str, int]) -> int | None:
    """Return the id of a name, of its first known synonym, or of it without COCO panoptic's suffix."""
    variants = [name, *re.split(r"[,;]", name)]
    variants += [variant.removesuffix("-merged") for variant in variants]
    variants += [f"{variant.removesuffix('-merged')}-other" for variant in variants]
    return next((ids[_plain(variant)] for variant in variants if _plain(variant) in ids), None)
