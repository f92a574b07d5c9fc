"""Measure what importance buys: quality inside the important quarter of a picture and outside, against uniform bits.

    python eval/importance.py --images DIR [DIR …] --size 384 --output eval/results/importance.json [--sheet s.png]

Each picture's middle square is looked at by EfficientNet-Lite0; the quarter of its 8×8 blocks with the highest levels
T_i is what counts. Bytes are those of whole files with labels of one cell, a color map of 16 cells a side, detail, and
the importance itself. Qualities at equal bytes are read off each picture's curve, linearly in the logarithm of the
bytes, at the bytes that uniform bits take after `LEVELS`. Whether the class of the original is found again is judged by
EfficientNet-Lite1, which nothing here was trained or steered with, on the finest picture within a budget.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

import numpy as np
import torch
from ladder import psnr, read_squares
from PIL import Image
from scipy.ndimage import uniform_filter

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.color import extract_color_map
from sgc_diffusion.analysis.importance import BLOCK_SIDE, block_levels, make_importance
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.features.classifier import load_classifier
from sgc_diffusion.features.efficientnet_lite import EfficientNetLite, load_efficientnet_lite, resized
from sgc_diffusion.features.grad_cam import importance_of
from sgc_diffusion.payload import ColorLayer, DetailLevel, ImportanceLayer, LabelLayer, SemanticPayload, Steering
from sgc_diffusion.payload.detail import FIRST_KIND, coarsened, exact_state, likeness

logger = logging.getLogger(__name__)
CODED = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
LEVELS = (4, 6, 8)  # of uniform bits, at whose bytes allocations are compared
BUDGETS = (1000, 2000, 4000, 8000)
QUARTER = 0.25


def ssim_map(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return SSIM (Wang et al. 2004) of luma in windows of 8×8 pixels around each pixel, (H, W)."""
    x, y = (picture.astype(np.float64) @ (0.299, 0.587, 0.114) for picture in (first, second))
    mean_x, mean_y = uniform_filter(x, 8), uniform_filter(y, 8)
    var_x, var_y = uniform_filter(x * x, 8) - mean_x**2, uniform_filter(y * y, 8) - mean_y**2
    cov, c1, c2 = uniform_filter(x * y, 8) - mean_x * mean_y, (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))


def important_quarter(levels: np.ndarray, side: int) -> np.ndarray:
    """Return the pixels of the quarter of the blocks with the highest levels T_i, (side, side) bool."""
    limit = np.sort(levels.ravel())[-round(QUARTER * levels.size)]
    return np.kron(levels >= limit, np.ones((BLOCK_SIDE, BLOCK_SIDE), bool))[:side, :side]


@torch.no_grad()
def judged(judge: EfficientNetLite, picture: np.ndarray) -> int:
    """Return the class that the judge sees."""
    pixels = resized(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255, judge.side)
    return int(judge.scores(judge.pool(judge(pixels)))[0].argmax())


def curve(
    plain: SemanticPayload,
    picture: np.ndarray,
    importance: ImportanceLayer | None,
    inside: np.ndarray,
    share: np.ndarray,
) -> tuple[list[dict[str, float]], list[np.ndarray]]:
    """Return bytes and qualities after each level, and the pictures."""
    side = len(picture)
    steering = None if importance is None else Steering(side, side, importance)
    state = exact_state(picture, plain.color_map, steering)
    payload = plain if importance is None else plain.with_layers(importance)
    data = bitstream.encode(payload.with_layers(*(DetailLevel(FIRST_KIND + level, state) for level in CODED)))
    sizes = bitstream.inspect(data).layer_bytes
    num_bytes = len(data) - sum(sizes[f"detail {level}"] for level in CODED)
    points, pictures = [], []
    for level in CODED:
        num_bytes += sizes[f"detail {level}"]
        decoded = likeness(coarsened(state, level))
        similarity = ssim_map(picture, decoded)
        points.append(
            {
                "bytes": num_bytes,
                "psnr_inside": psnr(decoded[inside], picture[inside]),
                "psnr_outside": psnr(decoded[~inside], picture[~inside]),
                "psnr": psnr(decoded, picture),
                "ssim_inside": float(similarity[inside].mean()),
                "ssim_outside": float(similarity[~inside].mean()),
                "si_ssim": float((similarity * share).sum()),
            }
        )
        pictures.append(decoded)
    return points, pictures


def at_bytes(points: list[dict[str, float]], num_bytes: float) -> dict[str, float]:
    """Return the qualities of a curve at a number of bytes."""
    logs = np.log([point["bytes"] for point in points])
    names = [name for name in points[0] if name != "bytes"]
    return {name: float(np.interp(np.log(num_bytes), logs, [point[name] for point in points])) for name in names}


def measure(name: str, picture: np.ndarray, classifier: object, judge: EfficientNetLite, strengths: tuple) -> dict:
    """Return what one picture gives."""
    side = len(picture)
    heat = importance_of(classifier, picture, 3)  # type: ignore[arg-type] - of `load_classifier`
    levels = block_levels(heat)
    inside = important_quarter(levels, side)
    blocks = np.kron(levels, np.ones((BLOCK_SIDE, BLOCK_SIDE)))[:side, :side]
    share = blocks / blocks.sum()
    color = ColorLayer.from_color_map(extract_color_map(Image.fromarray(picture)), 32)
    plain = SemanticPayload(side, side, LabelLayer(np.zeros((1, 1), np.uint8), "landscape-24"), color)
    truth = judged(judge, picture)
    curves, found = {}, {}
    for strength in (0, *strengths):
        importance = make_importance(heat, strength=strength) if strength else None
        points, pictures = curve(plain, picture, importance, inside, share)
        key = "uniform" if strength == 0 else f"strength {strength}"
        curves[key] = points
        fitting = [max((i for i, point in enumerate(points) if point["bytes"] <= most), default=0) for most in BUDGETS]
        found[key] = [judged(judge, pictures[index]) == truth for index in fitting]
    layer = make_importance(heat)
    bare = len(bitstream.encode(plain))
    result = {"picture": name, "importance_bytes": len(bitstream.encode(plain.with_layers(layer))) - bare}
    result["class_found"] = found
    result["at_equal_bytes"] = {
        str(level): {
            "bytes": point["bytes"],
            **{key: at_bytes(points, point["bytes"]) for key, points in curves.items()},
        }
        for level, point in zip(CODED, curves["uniform"], strict=True)
        if level in LEVELS
    }
    return result


def summary(results: list[dict]) -> dict:
    """Return the means over pictures."""
    keys = list(results[0]["class_found"])
    table: dict = {"pictures": len(results), "importance_bytes": [0, 0]}
    costs = [result["importance_bytes"] for result in results]
    table["importance_bytes"] = {"mean": float(np.mean(costs)), "most": max(costs)}
    table["class_found"] = {
        key: np.mean([result["class_found"][key] for result in results], axis=0).round(3).tolist() for key in keys
    }
    for level in map(str, LEVELS):
        rows = [result["at_equal_bytes"][level] for result in results]
        table[f"level {level}"] = {"bytes": round(float(np.mean([row["bytes"] for row in rows])))} | {
            key: {name: round(float(np.mean([row[key][name] for row in rows])), 3) for name in rows[0][key]}
            for key in keys
        }
    return table


def markdown(tables: dict[str, dict], command: str, version: str) -> str:
    """Return the tables as text."""
    lines = ["# What importance buys", "", f"`{command}` at {version}.", ""]
    for folder, table in tables.items():
        lines += [f"## {folder}: {table['pictures']} pictures", ""]
        cost = table["importance_bytes"]
        lines += [f"The importance layer takes {cost['mean']:.1f} bytes, at most {cost['most']}.", ""]
        names = ("psnr_inside", "psnr_outside", "psnr", "ssim_inside", "ssim_outside", "si_ssim")
        lines += ["| bytes | bits | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
        for level in LEVELS:
            row = table[f"level {level}"]
            for key in table["class_found"]:
                values = " | ".join(
                    f"{row[key][name]:.2f}" if "psnr" in name else f"{row[key][name]:.3f}" for name in names
                )
                lines.append(f"| {row['bytes']} | {key} | {values} |")
        lines += ["", "Class found again within " + ", ".join(f"{most}" for most in BUDGETS) + " bytes:", ""]
        lines += [f"- {key}: {', '.join(f'{share:.2f}' for share in row)}" for key, row in table["class_found"].items()]
        lines.append("")
    return "\n".join(lines)


def write_sheet(pictures: list[tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Write pictures beside their heat maps, a pair for each, six to a row."""
    tiles = []
    for picture, heat in pictures:
        hot = np.stack([heat / max(heat.max(), 1e-9), 0.3 * np.ones_like(heat), 1 - heat / max(heat.max(), 1e-9)], -1)
        blend = (0.5 * picture + 0.5 * 255 * hot).astype(np.uint8)
        tiles.append(np.asarray(Image.fromarray(np.hstack([picture, blend])).resize((320, 160))))
    rows = [
        np.hstack((tiles[start : start + 4] + [np.zeros_like(tiles[0])] * 3)[:4]) for start in range(0, len(tiles), 4)
    ]
    Image.fromarray(np.vstack(rows)).save(path)


def main() -> None:
    """Measure, and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, nargs="+", required=True)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--strengths", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--limit", type=int, help="pictures of each folder")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--sheet", type=Path, help="pictures beside their heat maps")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    classifier, judge = load_classifier(), load_efficientnet_lite("lite1", judging=True)
    tables, everything, shown = {}, [], []
    for folder in arguments.images:
        results = []
        for name, picture in list(read_squares([folder], arguments.size))[: arguments.limit]:
            results.append(measure(name, picture, classifier, judge, tuple(arguments.strengths)))
            shown.append((picture, importance_of(classifier, picture, 3)))
            logger.info("%s %s", name, results[-1]["at_equal_bytes"][str(LEVELS[1])])
        tables[folder.name], everything = summary(results), everything + results
    command, version = f"python eval/{Path(sys.argv[0]).name} --size {arguments.size}", commit()
    content = {"command": command, "commit": version, "tables": tables, "pictures": everything}
    arguments.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    arguments.output.with_suffix(".md").write_text(markdown(tables, command, str(version)), encoding="utf-8")
    if arguments.sheet:
        write_sheet(shown, arguments.sheet)


if __name__ == "__main__":
    main()
