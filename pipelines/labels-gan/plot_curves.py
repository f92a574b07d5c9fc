"""Plot a training log: the terms of the losses over steps, and what the validations say.

python pipelines/labels-gan/plot_curves.py [--configuration ours|dsslic] [--output curves.png]
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from train_gan import CONFIGURATIONS, RECIPE

from sgc_diffusion.training.loops import recipe_parser

matplotlib.use("Agg")
PANELS = {"VGG19 distance": "vgg_", "gradients, of the original's": "gradients_", "PSNR (dB)": "psnr_"}


def main() -> None:
    """Read the log and draw."""
    parser = recipe_parser(__doc__, RECIPE)
    parser.add_argument("--configuration", choices=CONFIGURATIONS, default=CONFIGURATIONS[0])
    parser.add_argument("--output", type=Path, default=RECIPE.with_name("curves.png"))
    arguments = parser.parse_args()
    path = arguments.runs / arguments.configuration / "log.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    checks = [line for line in lines if "vgg_colors" in line]
    figure, axes = plt.subplots(1, 1 + len(PANELS), figsize=(16, 4))
    draw(axes[0], [line for line in lines if "critic" in line], "", "loss")
    for axis, (title, prefix) in zip(axes[1:], PANELS.items(), strict=True):
        draw(axis, checks, prefix, title)
    figure.tight_layout()
    figure.savefig(arguments.output, dpi=110)


def draw(axis: plt.Axes, lines: list[dict], prefix: str, title: str) -> None:
    """Draw a curve for each value of a log whose name begins with a prefix."""
    names = [name for name in (lines[-1] if lines else {}) if name.startswith(prefix)]
    for name in names:
        if name not in ("step", "seconds"):
            axis.plot([line["step"] for line in lines], [line[name] for line in lines], label=name)
    axis.set(xlabel="step", title=title)
    if names:
        axis.legend(fontsize=7)


if __name__ == "__main__":
    main()
