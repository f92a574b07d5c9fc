"""S2's ablations of the latents, and what integer tables cost against a network's float scales.

    python eval/latents_ablation.py --runs runs/scalable-vae --photos DIR_OF_CACHES --output FILE.json

Code lengths of held-out photographs' central squares. Tables that are left out are missed by the others, which are
fitted again to the symbols of training photographs. Without labels, or without colors, the networks are not told them
either, which changes distortion as well: bits are compared at equal PSNR, between the same γ.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.payload.latents import STRIDES, gamma_log2
from sgc_diffusion.training.data import PhotoCache
from sgc_diffusion.training.loops import load_averaged

RECIPE_FOLDER = Path(__file__).parents[1] / "pipelines" / "scalable-vae"
sys.path.insert(0, str(RECIPE_FOLDER))

from crops import Batch, Crops  # noqa: E402
from fit_tables import collect, fit_entries  # noqa: E402
from train_vae import Pass, build_vae  # noqa: E402

WITHOUT = {
    "all": (),
    "without coarser levels": ("coarse",),
    "without context": ("near", "earlier"),
    "without labels": ("label",),
    "without colors": ("color",),
}
GAMMAS = (0, 4, 8, 12, 16, 20, 24, 28)
SIDE = 256
ONE_COLOR = SIDE  # pixels a cell: what a file without a color map would still say
Curve = list[tuple[float, float, float]]  # bits, bits with float scales, PSNR of each γ


@torch.no_grad()
def curve(model: torch.nn.Module, crops: Crops, indices: np.ndarray, name: str) -> Curve:
    """Return bits and PSNR of held-out photographs at every γ, means over them."""
    points = []
    for index in GAMMAS:
        cell = ONE_COLOR if name == "without colors" else 16
        batch = crops.central(indices, SIDE, gamma_log2(index), cell)
        if name == "without labels":
            batch = _untold(batch, model.decoder.config["num_classes"])
        run = Pass(model, batch, len(STRIDES), noisy=False, without=WITHOUT[name])
        error = ((run.decoded.clamp(-1, 1) - batch.pictures) / 2).pow(2).mean(dim=(1, 2, 3))
        bits, floats = (float(torch.stack(part).sum(dim=0).mean()) for part in (run.bits, run.float_bits))
        points.append((bits, floats, float((-10 * error.log10()).mean())))
    return points


def _untold(batch: Batch, unknown: int) -> Batch:
    labels = torch.full_like(batch.conditions.labels, unknown)
    return replace(batch, conditions=replace(batch.conditions, labels=labels))


def bits_ratio(other: Curve, whole: Curve) -> float:
    """Return how many times the bits a curve takes of those of another at equal PSNR, the geometric mean."""
    bits, _, quality = np.array(sorted(whole, key=lambda point: point[2])).T
    more, _, reached = np.array(other).T
    inside = (reached >= quality.min()) & (reached <= quality.max())
    if not inside.any():
        return float("nan")
    expected = np.interp(reached[inside], quality, np.log(bits))
    return float(np.exp((np.log(more[inside]) - expected).mean()))


def main() -> None:
    """Fit, measure, and write JSON with a table beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/scalable-vae"))
    parser.add_argument("--recipe", type=Path, default=RECIPE_FOLDER / "recipe.toml")
    parser.add_argument("--photos", type=Path, required=True, help="folder with the caches train and val")
    parser.add_argument("--count", type=int, default=48, help="held-out photographs")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    everything = tomllib.loads(arguments.recipe.read_text())
    torch.manual_seed(everything["seed"])
    model = load_averaged(build_vae(everything["vae"]), arguments.runs / "vae" / "checkpoint.pt")
    taxonomy = everything["vae"]["taxonomy"]
    caches = (PhotoCache(arguments.photos / split) for split in ("train", "val"))
    train, val = (Crops(cache, everything["training"], taxonomy) for cache in caches)
    indices = np.linspace(0, len(val.cache) - 1, min(arguments.count, len(val.cache))).astype(np.int64)
    samples = collect(model, train, everything["tables"], everything["seed"])
    curves: dict[str, Curve] = {}
    for name, without in WITHOUT.items():
        fitted = copy.deepcopy(model)
        fitted.scales.requires_grad_(True)
        fit_entries(fitted.scales, samples, everything["tables"], without)
        curves[name] = curve(fitted, val, indices, name)
    ratios = {name: bits_ratio(points, curves["all"]) for name, points in curves.items()}
    bits, floats, _ = np.array(curves["all"]).T
    ratios["tables, float scales as 1"] = float(np.exp(np.log(bits / floats).mean()))
    result = {"command": " ".join(["python", *sys.argv]), "commit": commit(), "curves": curves, "ratios": ratios}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    rows = [f"| {name} | {ratio:.3f} |" for name, ratio in ratios.items()]
    table = ["| | bits at equal PSNR, times those of everything |", "|---|---|", *rows]
    arguments.output.with_suffix(".md").write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    main()
