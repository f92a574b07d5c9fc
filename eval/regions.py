"""Repeat the experiment of Samarathunga et al. (S5): a base, and three enhancement levels inside an object.

    python eval/regions.py --images DIR --draw --output eval/results/regions.json

DIR holds pictures NAME.jpg with label maps NAME.png of COCO-Stuff (a class id, or 255). The object of a picture is the
largest connected part of a thing's class that covers 3 to 50 % of it; pictures without one are left out.

    ours            whole file: labels of one cell, color map of 16 cells, the outline, three levels (6, 8, 15)
    JPEG residuals  S5's way over our base: the residual of the object's box as JPEG of quality 75, then the residual
                    of that at 90, then at 100
    JPEG            the whole picture at the lowest quality that is as good inside the object
    scalable JPEG   a JPEG base of quality 10, and residuals of the whole picture at 75, 90 and 100

PSNR is that inside the object. The last of our levels is exact, which no JPEG residual is: at equal PSNR it is compared
by a level of ours that is at least as good.

What is around the object fades out for both, as the package does it (`analysis.region_margin`); each is measured
without that too: our levels over the picture as it is, and S5's residuals gray from the border on.

**The seam**, with `--draw`: the whole file, labels of the pipeline and all, is drawn, and the mean luma difference of
neighboring pixels across the border of the object is divided by that of neighbors within 16 pixels of it, on both
sides. The same of the photograph is what a border without a seam has.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ladder import psnr, saved
from PIL import Image
from scipy import ndimage

from sgc_diffusion import SemanticCompressionPipeline, bitstream
from sgc_diffusion.analysis.color import extract_color_map
from sgc_diffusion.analysis.region_margin import fade_outside
from sgc_diffusion.analysis.regions import Outline, make_regions
from sgc_diffusion.analysis.steering import SteeringOptions
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.payload import ColorLayer, DetailLevel, LabelLayer, RegionsLayer, SemanticPayload, Steering
from sgc_diffusion.payload.detail import FIRST_KIND, coarsened, exact_state, likeness
from sgc_diffusion.payload.smooth_base import smooth_base
from sgc_diffusion.taxonomy import load_taxonomy

logger = logging.getLogger(__name__)
NUM_THINGS = 91  # classes of COCO-Stuff before the stuff
QUALITIES = (75, 90, 100)
BASE_QUALITY = 10
NEAR = 16  # pixels from a border
SHOWN = ("object", "ours", "residuals", "ours_at_their_psnr", "seam")
PAPER = {"base": 61.4, "levels": (3.3, 3.6, 5.4)}


def find_object(label_map: np.ndarray) -> tuple[np.ndarray, int] | None:
    """Return the largest object of a label map (H, W) as a mask, and its class; None if there is none."""
    best, best_class = None, 0
    for class_id in np.unique(label_map[label_map < NUM_THINGS]):
        parts, count = ndimage.label(label_map == class_id)
        for number in range(1, count + 1):
            mask = parts == number
            if 0.03 < mask.mean() < 0.5 and (best is None or mask.sum() > best.sum()):
                best, best_class = mask, int(class_id)
    return None if best is None else (ndimage.binary_fill_holes(best), best_class)


def as_jpeg(picture: np.ndarray, quality: int) -> tuple[int, np.ndarray]:
    """Return the bytes and the pixels of a picture after JPEG without subsampling."""
    data = saved(picture, "JPEG", {"quality": quality, "optimize": True, "subsampling": 0})
    return len(data), np.asarray(Image.open(io.BytesIO(data)))


def residual_levels(
    picture: np.ndarray, base: np.ndarray, mask: np.ndarray, *, is_gray_outside: bool
) -> list[tuple[int, np.ndarray]]:
    """Return the bytes so far and the picture after each JPEG residual inside the box of a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    known, num_bytes, levels = base.astype(np.int16), 0, []
    for quality in QUALITIES:
        residual = picture[box].astype(np.int16) - known[box]
        if is_gray_outside:
            residual = np.where(mask[box][..., None], residual, 0)
        size, decoded = as_jpeg(np.clip(residual + 128, 0, 255).astype(np.uint8), quality)
        num_bytes += size
        known = known.copy()
        added = decoded.astype(np.int16) - 128
        known[box] += np.where(mask[box][..., None], added, 0).astype(np.int16) if is_gray_outside else added
        levels.append((num_bytes, np.clip(known, 0, 255).astype(np.uint8)))
    return levels


def our_levels(
    plain: SemanticPayload, picture: np.ndarray, regions: RegionsLayer, inner: tuple[int, ...]
) -> list[tuple[int, np.ndarray]]:
    """Return the bytes so far, of a whole file, and the picture after each of three inner levels."""
    layer = RegionsLayer(regions.regions, inner)  # type: ignore[arg-type] - three of them
    state = exact_state(picture, plain.color_map, Steering(plain.height, plain.width, regions=layer))
    results = []
    payload = plain.with_layers(layer, *(DetailLevel(FIRST_KIND + level, state) for level in range(len(inner))))
    data = bitstream.encode(payload)
    sizes = bitstream.inspect(data).layer_bytes
    num_bytes = len(data) - sum(sizes[f"detail {level}"] for level in range(len(inner)))
    for level in range(len(inner)):
        num_bytes += sizes[f"detail {level}"]
        results.append((num_bytes, likeness(coarsened(state, level))))
    return results


def our_curve(
    plain: SemanticPayload, shown: np.ndarray, regions: RegionsLayer, picture: np.ndarray
) -> list[tuple[int, float]]:
    """Return the bytes of levels and outline, and the PSNR inside, of nine levels of ours, rising."""
    base_bytes, inside = len(bitstream.encode(plain)), regions.pixels(plain.height, plain.width)
    curve = [
        (size - base_bytes, psnr(decoded[inside], picture[inside]))
        for inner in ((2, 4, 6), (8, 10, 12), (13, 14, 15))
        for size, decoded in our_levels(plain, shown, regions, inner)
    ]
    curve.sort()
    return [pair for place, pair in enumerate(curve) if all(pair[1] > other[1] for other in curve[:place])]


def lowest_jpeg(picture: np.ndarray, mask: np.ndarray, wanted: float) -> int:
    """Return the bytes of the smallest JPEG of a picture that is as good inside a mask; of quality 100 if none is."""
    low, high = 1, 100
    while low < high:
        middle = (low + high) // 2
        if psnr(as_jpeg(picture, middle)[1][mask], picture[mask]) >= wanted:
            high = middle
        else:
            low = middle + 1
    return as_jpeg(picture, low)[0]


def bytes_at(curve: list[tuple[int, float]], wanted: float) -> float:
    """Return the bytes of a curve at a PSNR, linear in the logarithm."""
    return float(np.exp(np.interp(wanted, [quality for _, quality in curve], [np.log(size) for size, _ in curve])))


def border_steps(picture: np.ndarray, inside: np.ndarray) -> float:
    """Return the mean luma difference across the border of a mask, over that of neighbors within `NEAR` pixels."""
    luma = picture @ np.array([0.299, 0.587, 0.114])
    near = ndimage.distance_transform_edt(inside) + ndimage.distance_transform_edt(~inside) <= NEAR
    across, beside = [], []
    for lines, mask, is_near in ((luma, inside, near), (luma.T, inside.T, near.T)):
        steps, is_border = np.abs(np.diff(lines, axis=0)), mask[1:] != mask[:-1]
        across.append(steps[is_border])
        beside.append(steps[is_near[1:] & is_near[:-1] & ~is_border])
    return float(np.concatenate(across).mean() / np.concatenate(beside).mean())


def measure_seam(pipeline: Any, picture: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Return `border_steps` of the photograph, and of a drawing with the object kept."""
    payload = pipeline.analyze(Image.fromarray(picture), steering=SteeringOptions(masks=[mask]))
    regions = payload.layer(RegionsLayer)
    inside = regions.pixels(*mask.shape)
    drawn = np.asarray(pipeline(payload, preset="fast").images[0])
    steps = {"photograph": border_steps(picture, inside), "drawn": border_steps(drawn, inside)}
    return steps | {"outside_psnr": psnr(drawn[~inside], picture[~inside])}


def measure(picture: np.ndarray, mask: np.ndarray) -> dict:
    """Return bytes and PSNR inside the object of every way."""
    height, width = mask.shape
    color = ColorLayer.from_color_map(extract_color_map(Image.fromarray(picture)), 32)
    plain = SemanticPayload(width, height, LabelLayer(np.zeros((1, 1), np.uint8), "general-54"), color)
    regions = make_regions([Outline(mask)])
    assert regions is not None
    inside = regions.pixels(height, width)
    base = smooth_base(plain.color_map, height, width)
    base_bytes = len(bitstream.encode(plain))
    outline_bytes = len(bitstream.encode(plain.with_layers(regions))) - base_bytes

    def quality(decoded: np.ndarray) -> float:
        return psnr(decoded[inside], picture[inside])

    faded = fade_outside(picture, plain.color_map, regions)
    ours = our_levels(plain, faded, regions, (6, 8, 15))
    curve = our_curve(plain, faded, regions, picture)
    theirs, gray = (
        residual_levels(shown, base, inside, is_gray_outside=is_gray)
        for shown, is_gray in ((faded, False), (picture, True))
    )
    best = min(theirs, gray, key=lambda levels: levels[-1][0])
    jpeg_base = as_jpeg(picture, BASE_QUALITY)
    scalable = [(jpeg_base[0] + size, decoded) for size, decoded in
                residual_levels(picture, jpeg_base[1], np.ones_like(inside), is_gray_outside=True)]  # fmt: skip
    return {
        "object_share": float(inside.mean()),
        "base_bytes": base_bytes,
        "outline_bytes": outline_bytes,
        "base_psnr": psnr(base, picture),
        "exact": bool(np.array_equal(ours[-1][1][inside], picture[inside])),
        "ours": [(size, quality(decoded)) for size, decoded in ours],
        "ours_with_surroundings": [size for size, _ in our_levels(plain, picture, regions, (6, 8, 15))],
        "residuals": [(base_bytes + size, quality(decoded)) for size, decoded in best],
        "residuals_gray_outside": [base_bytes + size for size, _ in gray],
        "residuals_faded": [base_bytes + size for size, _ in theirs],
        "ours_at_their_psnr": [bytes_at(curve, quality(decoded)) / size for size, decoded in best],
        "jpeg_base_bytes": lowest_jpeg(picture, np.ones_like(inside), psnr(base, picture)),
        "jpeg_bytes": [lowest_jpeg(picture, inside, quality(decoded)) for _, decoded in ours],
        "scalable": [(size, quality(decoded)) for size, decoded in scalable],
        "ours_at_scalable": [base_bytes + bytes_at(curve, quality(decoded)) for _, decoded in scalable],
    }


def markdown(results: list[dict], table: dict, command: str, version: str) -> str:
    """Return the results as text."""
    lines = ["# Enhancement inside an object (S5)", "", f"`{command}` at {version}; {len(results)} pictures.", ""]
    lines += ["| | base | level 1 | level 2 | level 3 |", "|---|---|---|---|---|"]
    lines += [
        f"| paper: times smaller than scalable JPEG | {PAPER['base']} | {' | '.join(map(str, PAPER['levels']))} |"
    ]
    for name, title in (
        ("scalable", "ours: times smaller than scalable JPEG at its PSNR inside"),
        ("jpeg", "ours: times smaller than JPEG of the whole picture at our PSNR inside"),
    ):
        lines += [f"| {title} | {table['base']:.1f} | {' | '.join(f'{value:.1f}' for value in table[name])} |"]
    row = " | ".join(f"{value:.2f}" for value in table["residuals"])
    lines += [
        f"| ours: bytes of the levels and the outline over those of S5's JPEG residuals at equal PSNR | – | {row} |"
    ]
    for name, title in (
        ("surroundings", "ours, the picture going on outside, over ours that fades out"),
        ("gray", "S5's JPEG residuals, gray outside, over the smaller of gray and fading out"),
    ):
        lines += [f"| {title} | – | {' | '.join(f'{value:.3f}' for value in table[name])} |"]
    lines += [
        "",
        f"The outline takes {table['outline_bytes']:.1f} bytes on average, at most {table['most_outline_bytes']};",
    ]
    lines += [f"the third level was exact inside in {table['exact']} of {len(results)} pictures.", ""]
    if "seam" in table:
        lines += [
            "Luma steps across the object's border over steps within "
            f"{NEAR} pixels of it: photographs {table['seam']['photograph']:.2f}, drawn with the object kept "
            f"{table['seam']['drawn']:.2f} (the largest of drawn over photograph is {table['seam']['worst']:.2f}).",
            "",
        ]
    lines += ["| picture | object | share | base, bytes | ours: bytes (dB inside) | JPEG residuals |", "|---" * 6 + "|"]
    for result in results:
        ours, theirs = (
            ", ".join(f"{size} ({'exact' if value == 99 else f'{value:.1f}'})" for size, value in result[key])
            for key in ("ours", "residuals")
        )
        share = f"{100 * result['object_share']:.0f} %"
        lines += [
            f"| {result['picture']} | {result['object']} | {share} | {result['base_bytes']} | {ours} | {theirs} |"
        ]
    return "\n".join([*lines, ""])


def mean(rows: list[list[float]]) -> list[float]:
    """Return the geometric mean of each column."""
    return [float(np.exp(np.mean(np.log(column)))) for column in zip(*rows, strict=True)]


def ratios(results: list[dict], above: str, below: str) -> list[float]:
    """Return the means of the ratios of two entries, level by level; of pairs (bytes, PSNR) the bytes count."""
    sizes = [
        [[entry[0] if isinstance(entry, tuple) else entry for entry in row[name]] for name in (above, below)]
        for row in results
    ]
    return mean([[a / b for a, b in zip(*pair, strict=True)] for pair in sizes])


def tabulate(results: list[dict]) -> dict[str, Any]:
    """Return the means over pictures."""
    best = [{**row, "best": [min(pair) for pair in zip(row["residuals_gray_outside"], row["residuals_faded"],
            strict=True)]} for row in results]  # fmt: skip
    table: dict[str, Any] = {
        "base": mean([[row["jpeg_base_bytes"] / row["base_bytes"]] for row in results])[0],
        "scalable": ratios(results, "scalable", "ours_at_scalable"),
        "jpeg": ratios(results, "jpeg_bytes", "ours"),
        "residuals": mean([row["ours_at_their_psnr"] for row in results]),
        "surroundings": ratios(results, "ours_with_surroundings", "ours"),
        "gray": ratios(best, "residuals_gray_outside", "best"),
        "outline_bytes": float(np.mean([row["outline_bytes"] for row in results])),
        "most_outline_bytes": max(row["outline_bytes"] for row in results),
        "exact": sum(row["exact"] for row in results),
    }
    if "seam" in results[0]:
        seams = [row["seam"] for row in results]
        table["seam"] = {name: float(np.mean([seam[name] for seam in seams])) for name in ("photograph", "drawn")}
        table["seam"]["worst"] = max(seam["drawn"] / seam["photograph"] for seam in seams)
    return table


def write(results: list[dict], arguments: argparse.Namespace) -> None:
    """Write JSON and Markdown."""
    table = tabulate(results)
    limit = f" --limit {arguments.limit}" if arguments.limit else ""
    limit += " --draw" if arguments.draw else ""
    command, version = f"python eval/{Path(sys.argv[0]).name} --images {arguments.images.name}{limit}", str(commit())
    content = {"command": command, "commit": version, "paper": PAPER, "table": table, "pictures": results}
    arguments.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    arguments.output.with_suffix(".md").write_text(markdown(results, table, command, version), encoding="utf-8")


def main() -> None:
    """Measure, and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--draw", action="store_true", help="measure the seam of drawn pictures too")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    names, results = load_taxonomy("coco-stuff-182").names, []
    pipeline = None
    if arguments.draw:
        pipeline = SemanticCompressionPipeline.from_pretrained("landscape-256")
        pipeline.set_progress_bar_config(disable=True)
    for path in sorted(arguments.images.glob("*.jpg"))[: arguments.limit]:
        picture = np.asarray(Image.open(path).convert("RGB"))
        if (found := find_object(np.asarray(Image.open(path.with_suffix(".png"))))) is None:
            continue
        results.append({"picture": path.stem, "object": names[found[1]], **measure(picture, found[0])})
        if pipeline is not None:
            results[-1]["seam"] = measure_seam(pipeline, picture, found[0])
        logger.info("%s", {key: value for key, value in results[-1].items() if key in SHOWN})
        write(results, arguments)  # after each picture, so that a run may be ended early


if __name__ == "__main__":
    main()
