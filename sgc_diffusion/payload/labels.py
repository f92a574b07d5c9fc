"""The label map: what is where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sgc_diffusion.payload.layer import Layer, frozen_array
from sgc_diffusion.taxonomy import Taxonomy, load_taxonomy

MAX_GRID_SIDE = 1024  # cells of a label map
MAX_GRID_CELLS = 2**14  # of a label map, so that no few bytes can keep a reader busy


@dataclass(frozen=True, eq=False)
class LabelLayer(Layer):
    """What each part of the picture is.

    Attributes:
        label_map: (h, w) uint8 class ids below the taxonomy's number of classes; 1 ≤ h, w ≤ 1024, h · w ≤ 16384. Given
            as an array of any integer dtype.
        taxonomy_name: the label set of the ids, such as `landscape-24`.

    Raises:
        ValueError: wrong shape or dtype, an id outside the taxonomy, or an unknown taxonomy.
    """

    kind: ClassVar[int] = 0
    label_map: np.ndarray
    taxonomy_name: str

    def __post_init__(self) -> None:
        label_map = np.asarray(self.label_map)
        if label_map.ndim != 2 or not np.issubdtype(label_map.dtype, np.integer):
            raise ValueError(
                f"`label_map` must hold integers and be of shape (h, w), got {label_map.dtype} {label_map.shape}"
            )
        if not all(1 <= side <= MAX_GRID_SIDE for side in label_map.shape):
            raise ValueError(f"`label_map` must have 1 to {MAX_GRID_SIDE} cells a side, got {label_map.shape}")
        if label_map.size > MAX_GRID_CELLS:
            raise ValueError(f"`label_map` must have at most {MAX_GRID_CELLS} cells, got {label_map.shape}; reduce it")
        for label in (int(label_map.min()), int(label_map.max())):  # before the cast, which would wrap
            if not 0 <= label < self.taxonomy.num_classes:
                raise ValueError(
                    f"`label_map` holds id {label}, but {self.taxonomy_name} has only the {self.taxonomy.num_classes} "
                    "classes from 0 on; map the ids with `taxonomy.class_table`"
                )
        object.__setattr__(self, "label_map", frozen_array(label_map, np.uint8))

    @property
    def taxonomy(self) -> Taxonomy:
        """The label set, with names and palette."""
        return load_taxonomy(self.taxonomy_name)

    @property
    def shares(self) -> dict[str, float]:
        """Name of each label that is there → its share of the map, in (0, 1], largest first."""
        counts = np.bincount(self.label_map.ravel(), minlength=self.taxonomy.num_classes)
        order = [int(label) for label in np.argsort(-counts, kind="stable") if counts[label]]
        return {self.taxonomy.names[label]: float(counts[label] / self.label_map.size) for label in order}
