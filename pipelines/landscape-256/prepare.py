"""Decode the photograph shards once and cut them into train and validation caches.

    python pipelines/landscape-256/prepare.py --data DIR_OF_SHARDS [--teacher DEEPLAB.tflite]

The shards hold `KEY.webp` photographs and `KEY.png` ADE20K label maps (0 = other, k = class k of the 150); the maps are
merged into `landscape-24`. Pictures in grey or with frames are left out. With the network that made the maps, how sure
it was is kept as well: the segmenter learns more from that.
"""

import argparse
import logging
import os
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from sgc_diffusion.evaluation.metrics.segmenter import TfliteSegmenter
from sgc_diffusion.taxonomy import class_table, load_taxonomy
from sgc_diffusion.training.data import build_cache, build_soft_labels

TEACHER_STRIDE = 4  # its logits are an enlargement: every fourth tells the same


class Teacher:
    """A network's class probabilities, merged into `landscape-24`.

    Args:
        path: of a .tflite file with logits of the shards' label values.
    """

    def __init__(self, path: Path) -> None:
        self._network = TfliteSegmenter(path, num_threads=os.cpu_count() or 1)
        ids = torch.from_numpy(shard_class_table()[: self._network.num_classes].astype(np.int64))
        self._merge = functional.one_hot(ids, load_taxonomy("landscape-24").num_classes).float()

    def __call__(self, photo: np.ndarray, rows: int, columns: int) -> np.ndarray:
        """Return probabilities (rows, columns, K) in a photograph (H, W, 3) uint8."""
        logits = torch.from_numpy(self._network.logits(photo)[::TEACHER_STRIDE, ::TEACHER_STRIDE])
        merged = (logits.softmax(dim=2) @ self._merge).permute(2, 0, 1)
        return functional.adaptive_avg_pool2d(merged, (rows, columns)).permute(1, 2, 0).numpy()


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
    parser.add_argument("--teacher", type=Path, help="the .tflite network that made the label maps")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for split in ("train", "val"):
        shards = sorted(arguments.data.glob(f"{split}-*.tar"))
        if not shards:
            parser.error(f"{arguments.data} holds no {split}-*.tar")
        build_cache(shards, arguments.runs / split, shard_class_table())
    if arguments.teacher:
        num_classes = load_taxonomy("landscape-24").num_classes
        build_soft_labels(arguments.runs / "train", Teacher(arguments.teacher), num_classes)


if __name__ == "__main__":
    main()
