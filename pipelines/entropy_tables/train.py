"""Fit every table of the bitstream and write `shared.npz`, `labels.npz` and `color.npz`.

    python pipelines/entropy_tables/train.py --photos DIR --labels DIR --output sgc_diffusion/bitstream

The tables are part of the file format: with others, the files of this version cannot be read. `tests/bitstream` pins
them.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import zipfile
from pathlib import Path

import classes
import colors
import grids
import labels
import numpy as np
import torch

from sgc_diffusion.bitstream import tables as shipped
from sgc_diffusion.payload import color_transform
from sgc_diffusion.taxonomy import class_table

logger = logging.getLogger(__name__)
Maps = list[np.ndarray]


def label_batches(data: grids.Grids) -> Maps:
    """Return label maps of about 16, 32, 64, 96 and 128 cells a side, most at 32, half of them mirrored."""
    crops, landscapes = np.array(data.crops), np.array(data.landscapes)
    at_32, scenes_32, scenes_64 = grids.blocks(crops, 4), grids.blocks(landscapes, 6), grids.blocks(landscapes, 3)
    margin = (landscapes.shape[1] - grids.CROP) // 2
    scenes_128 = landscapes[:600, margin : margin + grids.CROP, margin : margin + grids.CROP]
    coco = [np.array(maps) for maps in data.coco.values()]
    batches = [at_32, at_32[:, :, ::-1], scenes_32, scenes_32[:, :, ::-1], grids.blocks(crops[:2000], 8)]
    batches += [grids.blocks(crops[:2500], 2), scenes_64, scenes_64[:, :, ::-1], grids.blocks(landscapes, 2)]
    batches += [crops[:900], scenes_128, np.array(data.squares[:3800])]
    return batches + coco + [maps[:, :, ::-1] for maps in coco[1:]]


def color_batches(data: grids.Grids) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return levels and qualities of color maps of 8, 16, 32 and 64 cells a side, most at 16 and medium quality."""
    at_16, at_32, at_64 = (np.array(maps) for maps in data.colors.values())
    at_8 = at_16[:3000].reshape(-1, 8, 2, 8, 2, 3).mean(axis=(2, 4)).round().astype(np.uint8)
    plans = [(at_16, 24, 46), (at_16[:, :, ::-1], 28, 42), (at_16[::4], 6, 30), (at_32, 24, 48), (at_8, 24, 44)]
    batches = []
    for seed, (maps, lowest, highest) in enumerate([*plans, (at_64, 30, 50)]):
        quality = np.random.default_rng(seed).integers(lowest, highest, len(maps))
        levels = [color_transform.quantize(picture, int(index)) for picture, index in zip(maps, quality, strict=True)]
        batches.append((np.stack(levels), quality))
    return batches


def squash_table() -> np.ndarray:
    """Return the probability in 1/65536 for each sum of log-odds in 1/32 nat."""
    odds = np.arange(-shipped.LIMIT, shipped.LIMIT + 1) / 32
    return np.clip(np.round(65536 / (1 + np.exp(-odds))), 1, 65535).astype(np.uint16)


def write_tables(tables: dict[str, np.ndarray], path: Path) -> None:
    """Write the tables as an .npz file that is the same for the same tables, and log their digest.

    Args:
        tables: name → array.
        path: of the file.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(tables):
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w") as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(tables[name]), allow_pickle=False)
    digest = hashlib.sha256(b"".join(tables[name].tobytes() for name in sorted(tables))).hexdigest()
    logger.info("%s: %d bytes, SHA-256 of its tables %s", path, path.stat().st_size, digest)


def main() -> None:
    """Read the arguments, fit, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder of train-*.tar")
    parser.add_argument("--labels", type=Path, required=True, help="folder with landscape29 and cocostuff182")
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)  # sums in one order
    data = grids.read_grids(arguments.photos, arguments.labels)
    logger.info("%d photographs, %d + %d label maps", len(data.crops), len(data.landscapes), len(data.coco[32]))
    groups = np.zeros(256, dtype=np.uint8)
    groups[1:151] = class_table("ade20k-150", "landscape-24")
    label_tables = classes.fit(np.array(data.squares), groups, np.array(data.coco[32]))
    logger.info("classes done")
    scales = {"color_scale": colors.scale_table(np.array(data.colors[16])), "color_expected": colors.expected_table()}
    color_tables = scales | colors.fit(scales, color_batches(data))
    logger.info("colors done")
    label_tables |= labels.fit(label_batches(data))
    arguments.output.mkdir(parents=True, exist_ok=True)
    files = {shipped.SHARED: {"squash": squash_table()}, "labels": label_tables, "color": color_tables}
    for name, tables in files.items():
        write_tables(tables, arguments.output / f"{name}.npz")


if __name__ == "__main__":
    main()
