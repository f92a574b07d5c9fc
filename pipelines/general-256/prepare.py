"""Decode the photograph shards once and cut them into train and validation caches.

    python pipelines/general-256/prepare.py --data DIR_OF_SHARDS [--runs runs/general-256]

The shards hold `KEY.webp` photographs and `KEY.png` ADE20K label maps (0 = other, k = class k of the 150), which stay
as they are: which classes are merged is chosen later. Gray pictures are kept, pictures in frames left out.
"""

import argparse
import logging
from pathlib import Path

import numpy as np

from sgc_diffusion.training.data import build_cache


def main() -> None:
    """Read the arguments and build both caches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of train-*.tar and val-*.tar")
    parser.add_argument("--runs", type=Path, default=Path("runs/general-256"), help="where the caches go")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for split in ("train", "val"):
        shards = sorted(arguments.data.glob(f"{split}-*.tar"))
        if not shards:
            parser.error(f"{arguments.data} holds no {split}-*.tar")
        build_cache(shards, arguments.runs / split, np.arange(256, dtype=np.uint8), keep_gray=True)


if __name__ == "__main__":
    main()
