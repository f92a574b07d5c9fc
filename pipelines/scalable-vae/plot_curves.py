"""Plot a training log: loss and bits over steps, and rate against quality at every validation.

python pipelines/scalable-vae/plot_curves.py [--runs runs/scalable-vae] [--output curves.png]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

matplotlib.use("Agg")


def main() -> None:
    """Read the log and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/scalable-vae"))
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("curves.png"))
    arguments = parser.parse_args()
    lines = [json.loads(line) for line in (arguments.runs / "vae" / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    checks = [line for line in lines if "psnr_1" in line]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    left.plot([line["step"] for line in steps], [line["loss"] for line in steps], linewidth=0.8)
    left.set(xlabel="step", ylabel="loss", yscale="log")
    for number, line in enumerate(checks):
        names = [name.removeprefix("psnr_") for name in line if name.startswith("psnr_")]
        shade = 0.15 + 0.85 * (number + 1) / len(checks)
        sizes, qualities = ([line[f"{kind}_{name}"] for name in names] for kind in ("bytes", "psnr"))
        right.plot(sizes, qualities, ".-", color=(0.1, 0.3, 0.7), alpha=shade, linewidth=0.8)
    right.set(xlabel="bytes at 256² beyond labels and colors", ylabel="PSNR (dB)", xscale="log")
    figure.tight_layout()
    figure.savefig(arguments.output, dpi=110)


if __name__ == "__main__":
    main()
