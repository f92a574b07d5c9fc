"""Label maps that say less and cost less: merged classes, and regions of few cells dropped."""

from __future__ import annotations

import numpy as np

from sgc_diffusion.taxonomy import class_table


def merge_classes(label_map: np.ndarray, taxonomy_name: str, target: str) -> np.ndarray:
    """Merge the classes that are one in another label set; each group takes the id of its member with the most cells.

    Args:
        label_map: (h, w) uint8 ids of `taxonomy_name`.
        taxonomy_name: the label set of the ids, and of the result.
        target: the label set by whose classes they are grouped.

    Returns:
        (h, w) uint8 ids of `taxonomy_name`.

    Raises:
        ValueError: an unknown label set, or one that cannot be reached from that of the ids.
    """
    groups = class_table(taxonomy_name, target)
    counts = np.bincount(label_map.ravel(), minlength=len(groups))
    table = np.arange(len(groups), dtype=label_map.dtype)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        table[members] = members[counts[members].argmax()]
    return table[label_map]


def drop_islands(label_map: np.ndarray, min_cells: int) -> np.ndarray:
    """Give connected regions of few cells the label that most of their border is shared with.

    Regions that are large enough stay as they are. An island takes a label from them, or, where it touches none, from
    the islands around it once those have theirs, so that the result does not depend on the order of the ids.

    Args:
        label_map: (h, w) ids of any integer dtype.
        min_cells: regions of fewer cells are dropped; 0 and 1 change nothing.

    Returns:
        (h, w) of the same dtype; the map itself where every region is an island. Of labels with equal shares of the
        border the smallest id is taken.
    """
    regions = _connected_regions(label_map)
    is_settled = np.bincount(regions.ravel()) >= min_cells
    if is_settled.all() or not is_settled.any():
        return label_map.copy()
    label_of = np.empty(len(is_settled), dtype=label_map.dtype)
    label_of[regions] = label_map
    island, neighbor = _borders(regions)
    while len(island):
        is_open = ~is_settled[island]
        island, neighbor = island[is_open], neighbor[is_open]
        is_heard = is_settled[neighbor]
        chosen, labels = _most_frequent(island[is_heard], label_of[neighbor[is_heard]])
        label_of[chosen], is_settled[chosen] = labels, True
    return label_of[regions]


def _connected_regions(label_map: np.ndarray) -> np.ndarray:
    """Return (h, w) int32, the number from 0 of the 4-connected region of equal labels that each cell is in."""
    from scipy import ndimage  # which takes a third of a second, and who only draws has no use for it

    height, width = label_map.shape
    cells_and_links = np.zeros((2 * height - 1, 2 * width - 1), dtype=bool)  # a link joins two cells of one label
    cells_and_links[::2, ::2] = True
    cells_and_links[1::2, ::2] = label_map[1:] == label_map[:-1]
    cells_and_links[::2, 1::2] = label_map[:, 1:] == label_map[:, :-1]
    regions = np.empty(cells_and_links.shape, dtype=np.int32)
    ndimage.label(cells_and_links, output=regions)
    return regions[::2, ::2] - 1


def _borders(regions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the region on this side and on the other of each side of a cell where two regions meet, from both."""
    first = np.concatenate([regions[1:].ravel(), regions[:, 1:].ravel()])
    second = np.concatenate([regions[:-1].ravel(), regions[:, :-1].ravel()])
    differs = first != second
    first, second = first[differs], second[differs]
    return np.concatenate([first, second]), np.concatenate([second, first])


def _most_frequent(regions: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each region that is named once, and the label that it is named with most often, the smallest of equals."""
    pairs, counts = np.unique(np.stack([regions, labels.astype(regions.dtype)]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    named, first = np.unique(pairs[0][order], return_index=True)
    return named, pairs[1][order][first].astype(labels.dtype)
