"""Fit the tables of `sgc_diffusion.bitstream.mask_stream` and write `masks.npz`.

    python pipelines/entropy_tables/masks.py --photos DIR --output sgc_diffusion/bitstream/masks.npz

`region` is fitted to objects of the photographs' label maps, laid on grids as `analysis.regions` lays them; the three
rows of `importance` to where EfficientNet-Lite0 looks. The tables are part of the file format.
"""

from __future__ import annotations

import argparse
import logging
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage
from train import write_tables

from sgc_diffusion.analysis.importance import make_importance
from sgc_diffusion.bitstream.mask_stream import NUM_CONTEXTS, mask_contexts
from sgc_diffusion.features.classifier import load_classifier
from sgc_diffusion.features.grad_cam import importance_of
from sgc_diffusion.payload.importance import NUM_IMPORTANCE_LEVELS
from sgc_diffusion.training.data import read_shard

logger = logging.getLogger(__name__)
UNITS_PER_NAT, LARGEST = 32, 350
PRIOR = 4.0  # decisions that a context starts with, as the smaller template has them


def object_masks(label_map: np.ndarray, choice: random.Random) -> Iterator[np.ndarray]:
    """Yield up to two components of a label map on grids of 16 to 64 cells, cut to their boxes."""
    components, count = ndimage.label(label_map == choice.choice(np.unique(label_map).tolist()))
    sizes = ndimage.sum_labels(components > 0, components, range(1, count + 1)) / label_map.size
    fitting = [index + 1 for index, size in enumerate(sizes) if 0.01 < size < 0.6]
    for index in choice.sample(fitting, min(2, len(fitting))):
        mask = ndimage.binary_fill_holes(components == index)
        longest = choice.choice((16, 32, 32, 32, 64))
        sides = [max(1, round(side * longest / max(mask.shape))) for side in mask.shape]
        share = Image.fromarray(mask.astype(np.float32)).resize(sides[::-1], Image.Resampling.BOX)
        coarse = np.asarray(share) > 0.25
        if choice.random() < 0.5:
            coarse = coarse[:, ::-1]
        rows, columns = np.flatnonzero(coarse.any(axis=1)), np.flatnonzero(coarse.any(axis=0))
        if len(rows) > 2 and len(columns) > 2:
            yield coarse[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def fit(counts: np.ndarray) -> np.ndarray:
    """Return log-odds, (1024,) int16 in 1/32 nat; rare contexts lean on those of their first six neighbors.

    Args:
        counts: (1024, 2) how often each context was seen with each answer.
    """
    small = 1 << 6
    parents = counts.reshape(-1, small, 2).sum(axis=0) + 0.3
    parents = np.tile(parents / parents.sum(axis=1, keepdims=True), (NUM_CONTEXTS // small, 1))
    no, yes = (counts + PRIOR * parents).T
    return np.clip(np.round(np.log(yes / no) * UNITS_PER_NAT), -LARGEST, LARGEST).astype(np.int16)


def count(counts: np.ndarray, mask: np.ndarray, within: np.ndarray) -> None:
    """Add the decisions of a mask to (1024, 2) counts."""
    np.add.at(counts, (mask_contexts(mask)[within], mask[within].astype(int)), 1)


def main() -> None:
    """Read the photographs, count, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder of train-*.tar")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=4, help="how many are read, spread over all")
    parser.add_argument("--every", type=int, default=9, help="of the photographs, whose importance is looked for")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    choice, classifier = random.Random(0), load_classifier()
    region = np.zeros((NUM_CONTEXTS, 2))
    importance = np.zeros((NUM_IMPORTANCE_LEVELS - 1, NUM_CONTEXTS, 2))
    shards = sorted(arguments.photos.glob("train-*.tar"))
    for shard in shards[:: max(1, len(shards) // arguments.shards)][: arguments.shards]:
        for index, (_, photo, label_map) in enumerate(read_shard(shard)):
            for mask in object_masks(label_map, choice):
                count(region, mask, np.ones_like(mask))
            if index % arguments.every == 0:
                side = choice.choice((12, 16, 16, 16, 24))
                levels = make_importance(importance_of(classifier, photo, choice.choice((1, 3))), grid_side=side).levels
                for level, counts in enumerate(importance, start=1):
                    count(counts, levels >= level, levels >= level - 1)
        logger.info("%s: %d decisions", shard.name, int(region.sum() + importance.sum()))
    write_tables({"region": fit(region), "importance": np.stack([fit(each) for each in importance])}, arguments.output)


if __name__ == "__main__":
    main()
