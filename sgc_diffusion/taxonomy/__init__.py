"""Named label sets: class names, palettes, and the maps from one set to another.

    coco-stuff-171 ─┐
    mapillary-65 ───┤   ┌─▶ coco-stuff-182 ◀┐
    cityscapes-19 ──┼───┤          ▲ │      ├── landscape-24 ──▶ landscape-8
    voc-21 ─────────┘   │          │ ▼      │        ▲
                        └─▶ ade20k-150 ◀────┘        └── all of the left

A taxonomy is data: one JSON file here with the names in id order, a palette, and for each target taxonomy
the source classes that merge into each target class. The file name is the taxonomy's name; `NUMBERS` gives the number
that stands for it in the bitstream and never changes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

NUMBERS = {  # Part of the file format: append, never renumber.
    "landscape-24": 0,
    "landscape-8": 1,
    "coco-stuff-182": 2,
    "ade20k-150": 3,
    "cityscapes-19": 4,
    "voc-21": 5,
    "coco-stuff-171": 6,
    "mapillary-65": 7,
    "general-54": 8,
}
MAX_CLASSES = 256  # of a taxonomy, so that an id takes a byte


@dataclass(frozen=True)
class Taxonomy:
    """One label set.

    Attributes:
        name: such as `landscape-24`.
        names: class names in id order.
        palette: (K, 3) uint8 sRGB, the color that draws each class.
        maps: target taxonomy name → target class name → names of the classes that merge into it.

    Raises:
        ValueError: no class, or more than 256.
    """

    name: str
    names: tuple[str, ...]
    palette: np.ndarray
    maps: dict[str, dict[str, list[str]]]

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= MAX_CLASSES:  # ids are uint8 everywhere; more would wrap
            raise ValueError(f"`names` must be 1 to {MAX_CLASSES} class names, got {len(self.names)}; merge classes")

    @property
    def num_classes(self) -> int:
        """Number of classes K; ids are 0 … K − 1."""
        return len(self.names)

    @property
    def number(self) -> int:
        """The number that stands for this taxonomy in the bitstream."""
        return NUMBERS[self.name]


@cache
def load_taxonomy(name: str) -> Taxonomy:
    """Return a named taxonomy.

    Args:
        name: a key of `NUMBERS`.

    Raises:
        ValueError: no taxonomy has this name.

    Example:
        >>> load_taxonomy("landscape-24").names[1]
        'sky'
    """
    if name not in NUMBERS:
        raise ValueError(f"`name` must be one of {', '.join(NUMBERS)}, got {name!r}")
    data = json.loads((resources.files("sgc_diffusion.taxonomy") / f"{name}.json").read_text("utf-8"))
    palette = np.array([list(bytes.fromhex(color[1:])) for color in data["palette"]], dtype=np.uint8)
    palette.flags.writeable = False
    return Taxonomy(name, tuple(data["names"]), palette, data["maps"])


def taxonomy_name(number: int) -> str:
    """Return the name of taxonomy `number` of the bitstream.

    Raises:
        ValueError: this version knows no such number.
    """
    for name, known in NUMBERS.items():
        if known == number:
            return name
    raise ValueError(f"`number` {number} names no taxonomy known to this version; update sgc_diffusion")


@cache
def class_table(source: str, target: str) -> np.ndarray:
    """Return the table that takes class ids of one taxonomy to another.

    Args:
        source: name of the taxonomy of the ids at hand.
        target: name of the wanted taxonomy. Reached directly, or over one taxonomy between.

    Returns:
        (K_source,) uint8; `table[label_map]` is the map in the target taxonomy. Read-only.

    Raises:
        ValueError: no map leads from source to target.
    """
    origin, goal = load_taxonomy(source), load_taxonomy(target)
    if source == target:
        table = np.arange(origin.num_classes, dtype=np.uint8)
    elif target in origin.maps:
        table = np.zeros(origin.num_classes, dtype=np.uint8)
        ids = {name: index for index, name in enumerate(origin.names)}
        for goal_name, merged in origin.maps[target].items():
            table[[ids[name] for name in merged]] = goal.names.index(goal_name)
    else:
        between = [name for name in origin.maps if target in load_taxonomy(name).maps]
        if not between:
            raise ValueError(f"`target` {target!r} cannot be reached from {source!r}; it maps to {list(origin.maps)}")
        table = class_table(between[0], target)[class_table(source, between[0])]
    table.flags.writeable = False
    return table


def reductions(name: str) -> tuple[str, ...]:
    """Return the coarser taxonomies by whose classes those of a taxonomy may be merged, from fine to coarse."""
    steps = ("landscape-24", "landscape-8")
    return tuple(step for step in steps if step != name and _is_reached(name, step))


def _is_reached(source: str, target: str) -> bool:
    try:
        class_table(source, target)
    except ValueError:
        return False
    return True
