"""Decode the photograph shards once and cut them into train and validation caches.

    python pipelines/landscape-256/prepare.py --data DIR_OF_SHARDS --runs runs/landscape-256

The shards hold `KEY.webp` photographs and `KEY.png` ADE20K label maps (0 = other, k = class k of the 150); the maps are
merged into `landscape-24`. Pictures in gray or with frames are left out.
"""

import argparse
import logging
from pathlib import Path

import numpy as np

from sgc_diffusion.taxonomy import class_table, load_taxonomy
from sgc_diffusion.training.data import build_cache


def shard_class_table() -> np.ndarray:
    """Return (256,) uint8: label value in the shards → id in landscape-24."""
    table = np.full(256, load_taxonomy("landscape-24").names.index("other"), dtype=np.uint8)
    merged = class_table("ade20k-150", "landscape-24")
    table[1 : 1 + len(merged)] = merged
    return table


def main() -> None:
    """Read the arguments and build both caches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of train-*.tar and val-*.tar")
    parser.add_argument("--runs", type=Path, default=Path("runs/landscape-256"), help="where the caches go")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for split in ("train", "val"):
        shards = sorted(arguments.data.glob(f"{split}-*.tar"))
        if not shards:
            parser.error(f"{arguments.data} holds no {split}-*.tar")
        build_cache(shards, arguments.runs / split, shard_class_table())


if __name__ == "__main__":
    main()
