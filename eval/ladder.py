"""Measure the detail levels: bytes and PSNR after each, the price of levels, and both beside other codecs.

    python eval/ladder.py --images DIR [DIR …] --size 512 --output eval/results/ladder.json

Each picture's middle square of `--size` pixels is coded over a color map of 16 cells a side; pictures that are smaller
are skipped. Bytes are those of the color layer and of the levels' bodies, each with `LAYER_OVERHEAD` for its place in
the file. `ladder` is what files of levels 0 … 14 give, and last the exact file of all sixteen; `cut` is what is left
of that file when its last levels go: it may be in the colors of JPEG, which only pay at the last level. JPEG XL needs
`pillow-jxl-plugin`; without it its column is empty.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from sgc_diffusion.bitstream import detail
from sgc_diffusion.bitstream.color_stream import encode_color
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.payload import color_transform
from sgc_diffusion.payload.detail import likeness, nothing_known

try:
    import pillow_jxl  # it registers the format
except ImportError:
    pillow_jxl = None

logger = logging.getLogger(__name__)
LAYER_OVERHEAD = 4  # bytes of kind, length and checksum of a layer, about
GRID = 16
EIGHT_LEVELS = tuple(range(1, detail.LOSSLESS + 1, 2))
LOSSY: dict[str, list[dict]] = {
    "jpeg": [{"quality": quality, "optimize": True} for quality in (5, 15, 30, 50, 70, 85, 92, 96)],
    "webp": [{"quality": quality, "method": 6} for quality in (1, 10, 30, 50, 70, 82, 90, 96)],
    "avif": [{"quality": quality, "subsampling": "4:4:4", "speed": 6} for quality in (10, 25, 40, 55, 65, 75, 85)],
    "jpeg2000": [
        {"quality_mode": "rates", "quality_layers": [rate], "irreversible": True, "mct": 1}
        for rate in (300, 120, 60, 30, 16, 10, 6, 4)
    ],
}
LOSSLESS = {
    "png": {"optimize": True},
    "webp": {"lossless": True, "method": 6, "quality": 100},
    "jpeg2000": {"irreversible": False, "mct": 1},
    "jxl": {"lossless": True, "effort": 7},
}
RATES_BPP, QUALITIES_DB = (0.1, 0.3, 0.5, 1.0, 2.0), (30.0, 32.0, 34.0, 38.0)
Points = list[tuple[int, float]]  # bytes and PSNR, rising


def read_squares(folders: Iterable[Path], side: int) -> Iterable[tuple[str, np.ndarray]]:
    """Yield name and middle square (side, side, 3) uint8 of every photograph that is large enough."""
    for folder in folders:
        photos = sorted(folder.glob("*.jpg")) or sorted(folder.glob("*.png"))
        for path in photos:
            image = Image.open(path).convert("RGB")
            if min(image.size) >= side:
                left, top = (image.width - side) // 2, (image.height - side) // 2
                yield f"{folder.name}/{path.stem}", np.asarray(image.crop((left, top, left + side, top + side)))


def psnr(decoded: np.ndarray, original: np.ndarray) -> float:
    """Return the PSNR over all of RGB in dB; 99 for equal pictures."""
    error = float(((decoded.astype(np.float64) - original) ** 2).mean())
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def saved(picture: np.ndarray, codec: str, options: dict) -> bytes:
    """Return the file of a codec."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, codec, **options)
    return stream.getvalue()


def codec_points(picture: np.ndarray, codec: str) -> Points:
    """Return bytes and PSNR of a codec at its qualities."""
    points = []
    for options in LOSSY[codec]:
        data = saved(picture, codec, options)
        decoded = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        points.append((len(data), psnr(decoded, picture)))
    return points


def measure(picture: np.ndarray) -> dict:
    """Return everything measured of one picture."""
    square = Image.fromarray(picture).resize((GRID, GRID), Image.Resampling.BOX)
    quality = color_transform.DEFAULT_QUALITY
    coefficients = color_transform.quantize(np.asarray(square), quality)
    color_map = color_transform.dequantize(coefficients, quality)
    color_bytes = len(encode_color(coefficients, quality)) + LAYER_OVERHEAD
    start = time.process_time()
    bodies = detail.encode_levels(picture, color_map)
    encode_s = time.process_time() - start
    start = time.process_time()
    cut = level_points(bodies, picture, color_map, color_bytes)
    decode_s = time.process_time() - start
    coarse = detail.encode_levels(picture, color_map, range(detail.LOSSLESS))
    return {
        "ladder": [*level_points(coarse, picture, color_map, color_bytes), cut[-1]],
        "cut": cut,
        "single_bytes": sum(map(len, detail.encode_levels(picture, color_map, [detail.LOSSLESS]))),
        "eight_bytes": sum(map(len, detail.encode_levels(picture, color_map, EIGHT_LEVELS))),
        "encode_s": encode_s,
        "decode_s": decode_s,
        **{codec: codec_points(picture, codec) for codec in LOSSY},
        "lossless": {
            codec: len(saved(picture, codec, options))
            for codec, options in LOSSLESS.items()
            if codec != "jxl" or pillow_jxl is not None
        },
    }


def level_points(bodies: list[bytes], picture: np.ndarray, color_map: np.ndarray, size_bytes: int) -> Points:
    """Return bytes and PSNR of the smooth base and after each level, with `size_bytes` for what stands before them."""
    state = nothing_known(*picture.shape[:2], color_map)
    points: Points = [(size_bytes, psnr(likeness(state), picture))]
    for level, body in enumerate(bodies):
        state = detail.decode_level(body, level, state)
        size_bytes += len(body) + LAYER_OVERHEAD
        points.append((size_bytes, psnr(likeness(state), picture)))
    return points


def bytes_at(points: Points, quality_db: float) -> float:
    """Return the bytes of a codec for a PSNR, NaN outside of what was measured."""
    sizes, qualities = np.array(points).T
    return float(np.exp(np.interp(quality_db, qualities, np.log(sizes), left=np.nan, right=np.nan)))


def quality_at(points: Points, size_bytes: float) -> float:
    """Return the PSNR of a codec at so many bytes, NaN outside of what was measured."""
    sizes, qualities = np.array(points).T
    return float(np.interp(np.log(size_bytes), np.log(sizes), qualities, left=np.nan, right=np.nan))


def summarize(measured: dict[str, dict], num_pixels: int) -> dict[str, float]:
    """Return means over pictures: ratios of bytes at equal PSNR, differences of PSNR at equal bytes, lossless."""
    columns: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        columns.setdefault(name, []).append(value)

    for entry in measured.values():
        ladder, whole = entry["ladder"], entry["ladder"][-1][0]
        note("lossless bpp", 8 * whole / num_pixels)
        note("eight levels / single", entry["eight_bytes"] / entry["single_bytes"])
        cut_ratios = [bytes_at(entry["cut"], quality) / bytes_at(ladder, quality) for quality in QUALITIES_DB]
        note("bytes of a cut exact file / lossy file", float(np.nanmean(cut_ratios)))
        note("encode s", entry["encode_s"])
        note("decode s", entry["decode_s"])
        for codec, size_bytes in entry["lossless"].items():
            note(f"lossless / {codec}", whole / size_bytes)
        for codec in LOSSY:
            for quality_db in QUALITIES_DB:
                note(
                    f"bytes / {codec} at {quality_db:g} dB",
                    bytes_at(ladder, quality_db) / bytes_at(entry[codec], quality_db),
                )
            for rate_bpp in RATES_BPP:
                size_bytes = rate_bpp * num_pixels / 8
                difference = quality_at(ladder, size_bytes) - quality_at(entry[codec], size_bytes)
                note(f"dB over {codec} at {rate_bpp:g} bpp", difference)
    return {name: round(float(np.nanmean(values)), 3) for name, values in columns.items() if not np.isnan(values).all()}


def main() -> None:
    """Read the arguments, measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders of photographs")
    parser.add_argument("--size", type=int, default=512, help="side of the square in pixels")
    parser.add_argument("--limit", type=int, help="pictures of each folder at most")
    parser.add_argument("--output", type=Path, help="JSON file")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report = {
        "command": " ".join(["python", "eval/ladder.py", *sys.argv[1:]]),
        "commit": commit(),
        "platform": platform.platform(),
        "pictures": {},
        "means": {},
    }
    for folder in arguments.images:
        measured = {}
        for name, picture in read_squares([folder], arguments.size):
            if arguments.limit is None or len(measured) < arguments.limit:
                measured[name] = measure(picture)
        if measured:
            report["pictures"] |= measured
            report["means"][folder.name] = summarize(measured, arguments.size**2)
            logger.info("%s, %d pictures", folder.name, len(measured))
            for name, value in report["means"][folder.name].items():
                logger.info("  %-28s %8.3f", name, value)
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
