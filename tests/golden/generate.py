"""The payloads behind the golden files, made of integers only; run this file to write the files anew.

    python tests/golden/generate.py

Only a new format version may change a golden file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream import tables
from sgc_diffusion.bitstream.container import write_layer
from sgc_diffusion.payload import (
    AlphaLayer,
    ColorLayer,
    DecoderRecipe,
    DetailLevel,
    ExifLayer,
    IccProfileLayer,
    ImportanceLayer,
    LabelLayer,
    Layer,
    Region,
    RegionsLayer,
    SemanticPayload,
    Steering,
)
from sgc_diffusion.payload.detail import FIRST_KIND, exact_state, partly
from sgc_diffusion.payload.jpeg_colors import from_jpeg_colors
from sgc_diffusion.payload.regions import TEXT

FOLDER = Path(__file__).parent
KEY = bytes(range(32))
Four = tuple[int, int, int, int]


class Integers:
    """A linear congruential generator: the same numbers with every version of every library."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def below(self, limit: int) -> int:
        """Return the next integer from 0 to limit − 1."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self._state >> 33) % limit


def label_map(seed: int, rows: int, columns: int, num_regions: int, num_classes: int) -> np.ndarray:
    """Return (rows, columns) uint8: each cell has the class of the nearest of some random points."""
    integers = Integers(seed)
    points = [(integers.below(rows), integers.below(columns), integers.below(num_classes)) for _ in range(num_regions)]
    row, column = np.mgrid[:rows, :columns]
    distances = np.stack([(row - y) ** 2 * 3 + (column - x) ** 2 for y, x, _ in points])
    return np.array([label for _, _, label in points], dtype=np.uint8)[distances.argmin(axis=0)]


def levels(seed: int, rows: int, columns: int, strength: int) -> np.ndarray:
    """Return (rows, columns, 3) int16 levels that fall off with frequency."""
    integers = Integers(seed)
    result = np.zeros((rows, columns, 3), dtype=np.int16)
    for u in range(rows):
        for v in range(columns):
            for channel in range(3):
                limit = strength // ((1 + u + v) * (1 + 2 * channel))
                result[u, v, channel] = integers.below(2 * limit + 1) - limit
    return result


def payloads() -> dict[str, SemanticPayload]:
    """Return file name → payload."""

    def make(taxonomy: str, grid: Four, color: Four, size: tuple[int, int], **recipe: object) -> SemanticPayload:
        rows, columns, num_regions, seed = grid
        labels = LabelLayer(np.zeros((1, 1), np.uint8), taxonomy)
        labels = LabelLayer(label_map(seed, rows, columns, num_regions, labels.taxonomy.num_classes), taxonomy)
        color_layer = ColorLayer(levels(seed + 1, *color[:3]), color[3])
        return SemanticPayload(*size, labels, color_layer, DecoderRecipe(**recipe))  # type: ignore[arg-type]

    stripes = (np.indices((128, 128))[1] // 3 % 2).astype(np.uint8)  # a stream that ends in many zeros
    return {
        "stripes-128": SemanticPayload(
            512, 512, LabelLayer(stripes, "landscape-8"), ColorLayer(levels(12, 2, 2, 9), 30)
        ),
        "tiny": make("landscape-24", (4, 4, 3, 1), (4, 4, 6, 32), (64, 48)),
        "one-cell": make("voc-21", (1, 1, 1, 2), (1, 1, 9, 0), (1, 1)),
        "coco-32": make("coco-stuff-182", (32, 32, 12, 3), (16, 16, 40, 32), (512, 512), weights_hash=4660),
        "ade-64": make("ade20k-150", (64, 64, 30, 4), (16, 16, 90, 24), (1024, 683), weights_hash=65535),
        "cityscapes-wide": make("cityscapes-19", (24, 96, 40, 5), (9, 31, 60, 28), (4096, 1024)),
        "landscape-8-row": make("landscape-8", (1, 200, 25, 6), (1, 64, 30, 40), (2000, 10)),
        "landscape-column": make("landscape-24", (300, 2, 30, 7), (64, 2, 500, 10), (7, 2100)),
        "coco-128": make("coco-stuff-182", (128, 128, 60, 8), (32, 32, 200, 20), (2048, 2048)),
        "fine-color": make("landscape-24", (8, 8, 4, 9), (64, 64, 3000, 8), (256, 256)),
        "extreme-levels": make("landscape-24", (2, 2, 2, 10), (3, 3, 32767, 63), (256, 256)),
        "recipe": make(
            "landscape-24",
            (16, 16, 9, 11),
            (16, 16, 30, 34),
            (2**20, 2**20 - 1),
            profile="custom",
            scheduler="unipc",
            num_inference_steps=1000,
            strength=0.29,
            guidance_scale=25.5,
            seed=65535,
        ),
    }


def picture(seed: int, height: int, width: int, noise: int) -> np.ndarray:
    """Return (height, width, 3) uint8: a slope, an edge and integers below `noise`."""
    integers = Integers(seed)
    row, column = np.mgrid[:height, :width]
    plain = 60 + row + 2 * column % 50 + 80 * (3 * row > 2 * column + 9)
    grain = np.array([integers.below(noise) for _ in range(height * width * 3)]).reshape(height, width, 3)
    return np.clip(plain[..., None] * np.array([4, 3, 2]) // 3 + grain, 0, 255).astype(np.uint8)


def detail_payloads() -> dict[str, SemanticPayload]:
    """Return file name → payload with detail levels."""

    def make(seed: int, size: tuple[int, int], noise: int, details: Sequence[int]) -> SemanticPayload:
        pixels = picture(seed, *size[::-1], noise)
        color = ColorLayer(levels(seed, 3, 3, 60), 30)
        state = exact_state(pixels, color.color_map, is_for_lossless=15 in details)
        layers = tuple(DetailLevel(FIRST_KIND + level, state) for level in details)
        return SemanticPayload(*size, LabelLayer(np.zeros((1, 1), np.uint8), "landscape-24"), color, layers=layers)

    return {
        "detail-all": make(21, (48, 40), 12, range(16)),
        "detail-exact": make(22, (37, 21), 256, [15]),
        "detail-some": make(23, (131, 19), 5, [2, 7, 12]),
        "detail-jpeg": jpeg_payload(2),
        "detail-jpeg-full": jpeg_payload(1),
        "detail-row": make(24, (50, 1), 9, [0, 15]),
    }


def jpeg_payload(chroma_step: int) -> SemanticPayload:
    """Return a picture in the colors of a JPEG decoder, some clipped, with chroma in so large steps, at two levels."""
    integers = Integers(29)
    rows, columns = np.mgrid[:33, :42]
    grain = np.array([integers.below(5) for _ in range(33 * 42)]).reshape(33, 42)
    coarse = 3 * grain.repeat(chroma_step, 0).repeat(chroma_step, 1)[:33, :42]
    channels = [130 + 4 * columns - 3 * rows + grain, 40 - 2 * rows + coarse, columns - 30 + coarse]
    pixels = from_jpeg_colors([channel.astype(np.int16) for channel in channels])
    color = ColorLayer(levels(29, 3, 4, 60), 28)
    state = exact_state(pixels, color.color_map, is_for_lossless=True)
    layers = tuple(DetailLevel(FIRST_KIND + level, state) for level in (5, 15))
    return SemanticPayload(42, 33, LabelLayer(np.zeros((1, 1), np.uint8), "ade20k-150"), color, layers=layers)


def more_detail_payloads() -> dict[str, SemanticPayload]:
    """Return file name → payload: the smallest example, and a file that ends within a level and tells PSNR."""
    few = ColorLayer(np.array([[[-4, 1, 0]]], np.int16), 30)
    state = exact_state(picture(25, 2, 3, 4), few.color_map, is_for_lossless=True)
    one_label = LabelLayer(np.zeros((1, 1), np.uint8), "landscape-24")
    pixels, color = picture(26, 60, 70, 5), ColorLayer(levels(26, 3, 3, 60), 30)
    whole = exact_state(pixels, color.color_map)
    told = DetailLevel(FIRST_KIND + 6, whole, psnr_halves=61)
    part = DetailLevel(FIRST_KIND + 8, partly(whole, 8, 20, 6), psnr_halves=63, num_bands=20)
    layers = (DetailLevel(FIRST_KIND + 3, whole), told, part)
    return {
        "detail-tiny": SemanticPayload(3, 2, one_label, few, layers=(DetailLevel(FIRST_KIND + 15, state),)),
        "detail-part": SemanticPayload(70, 60, one_label, color, layers=layers),
    }


def extra_payloads() -> dict[str, SemanticPayload]:
    """Return file name → payload with alpha and metadata."""
    plain, integers = payloads()["tiny"], Integers(31)
    disk = (np.hypot(*(np.mgrid[:48, :64] - np.array([24, 30])[:, None, None])) < 20).astype(np.uint8)
    soft = np.array([[max(0, 255 - (r - 20) ** 2 - integers.below(9)) for r in range(64)] for _ in range(48)], np.uint8)
    profile = (600).to_bytes(4, "big") + bytes(12) + b"RGB " + bytes(16) + b"acsp" + bytes(560)
    exif = b"MM\0*" + bytes.fromhex("00000008 0001 0112 0003 00000001 00010000 00000000")
    return {
        "alpha-disk": plain.with_layers(AlphaLayer(disk, 2)),
        "alpha-soft": plain.with_layers(AlphaLayer(soft)),
        "alpha-coarse": plain.with_layers(AlphaLayer(np.array([[0, 3, 1], [2, 0, 3]], np.uint8), 4)),
        "metadata": plain.with_layers(IccProfileLayer(profile), ExifLayer(exif)),
    }


def steered_payloads() -> dict[str, SemanticPayload]:
    """Return file name → payload with importance, regions, and detail that they steer."""
    width, height = 48, 40
    pixels = picture(41, height, width, 9)
    color = ColorLayer(levels(41, 3, 3, 60), 30)
    plain = SemanticPayload(width, height, LabelLayer(np.zeros((1, 1), np.uint8), "landscape-24"), color)
    row, column = np.mgrid[:9, :12]
    importance = ImportanceLayer(np.clip(5 - ((row - 4) ** 2 + (column - 7) ** 2) // 5, 0, 3), strength=2)
    disk = (row - 4) ** 2 + (column - 5.5) ** 2 < 31
    box = Region(6, 30, 5, np.ones((9, 20), bool), TEXT)
    regions = RegionsLayer((Region(4, 1, 3, disk[:, :12], class_id=3, score=11), box))

    def make(*details: int, **steering: Layer) -> SemanticPayload:
        parts = Steering(height, width, **steering)  # type: ignore[arg-type]
        state = exact_state(pixels, color.color_map, parts, is_for_lossless=15 in details)
        return plain.with_layers(*steering.values(), *(DetailLevel(FIRST_KIND + level, state) for level in details))

    return {
        "importance": plain.with_layers(importance),
        "regions": plain.with_layers(regions),
        "steered-importance": make(3, 8, importance=importance),
        "steered-regions": make(0, 1, 2, 5, 15, regions=regions),
        "steered-both": make(2, 6, importance=importance, regions=RegionsLayer(regions.regions[:1], (2, 5, 9))),
    }


def every_payload() -> dict[str, SemanticPayload]:
    """Return file name → payload of all plain golden files that this version knows."""
    return payloads() | detail_payloads() | more_detail_payloads() | extra_payloads() | steered_payloads()


def main() -> None:
    """Write every golden file, and print what `test_golden.py` and the format text quote."""
    for name, payload in every_payload().items():
        (FOLDER / f"{name}.sgc").write_bytes(bitstream.encode(payload))
    (FOLDER / "sealed.sgc").write_bytes(bitstream.encode(payloads()["tiny"], key=KEY))
    (FOLDER / "unknown-layers.sgc").write_bytes(with_unknown_layers(payloads()["tiny"]))
    print("tables", tables_digest(), "\ncolor maps", color_maps_digest())
    for name in ("tiny", "detail-tiny"):
        print(hexdump((FOLDER / f"{name}.sgc").read_bytes()))


def with_unknown_layers(payload: SemanticPayload) -> bytes:
    """Return a file with two layers that no reader knows, one of them empty."""
    return bitstream.encode(payload) + write_layer(100, bytes(range(200))) + write_layer(127, b"")


def tables_digest() -> str:
    """Return the SHA-256 of every table of every layer in order of name."""
    return tables.digest(*tables.FILES)


def color_maps_digest() -> str:
    """Return the SHA-256 of what the golden files' colors decode to."""
    return hashlib.sha256(b"".join(payload.color_map.tobytes() for payload in payloads().values())).hexdigest()


def hexdump(data: bytes) -> str:
    """Return lines of 16 bytes, indented by four."""
    return "\n".join("    " + data[start : start + 16].hex(" ") for start in range(0, len(data), 16))


if __name__ == "__main__":
    main()
