"""The label map: what is where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sgc_diffusion.payload.layer import frozen_array
from sgc_diffusion.taxonomy import Taxonomy, load_taxonomy

MAX_GRID_SIDE = 1024  # cells of a label map
MAX_GRID_CELLS = 2**14  # of a label map, so that no few bytes can keep a reader busy


@dataclass(frozen=True, eq=False)
class LabelLayer:
    """What each part of the picture is.

    Attributes:
        label_map: (h, w) uint8 class ids below the taxonomy's number of classes; 1 ≤ h, w ≤ 1024, h · w ≤ 16384.
        taxonomy_name: the label set of the ids, such as `landscape-24`.

    Raises:
        ValueError: wrong shape or dtype, an id outside the taxonomy, or an unknown taxonomy.
    """

    label_map: np.ndarray
    taxonomy_name: str

    def __post_init__(self) -> None:
        label_map = np.asarray(self.label_map)
        if label_map.ndim != 2 or label_map.dtype != np.uint8:
            raise ValueError(f"`label_map` must be uint8 of shape (h, w), got {label_map.dtype} {label_map.shape}")
        if not all(1 <= side <= MAX_GRID_SIDE for side in label_map.shape):
            raise ValueError(f"`label_map` must have 1 to {MAX_GRID_SIDE} cells a side, got {label_map.shape}")
        if label_map.size > MAX_GRID_CELLS:
            raise ValueError(f"`label_map` must have at most {MAX_GRID_CELLS} cells, got {label_map.shape}; reduce it")
        if label_map.max() >= self.taxonomy.num_classes:
            raise ValueError(
                f"`label_map` holds id {label_map.max()}, but {self.taxonomy_name} has only "
                f"{self.taxonomy.num_classes} classes; map the ids with `taxonomy.class_table`"
            )
        object.__setattr__(self, "label_map", frozen_array(label_map))

    @property
    def taxonomy(self) -> Taxonomy:
        """The label set, with names and palette."""
        return load_taxonomy(self.taxonomy_name)
