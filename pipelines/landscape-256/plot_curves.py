"""Plot the training logs.

python pipelines/landscape-256/plot_curves.py [--output pipelines/landscape-256/curves.png]
"""

import argparse
import json
from pathlib import Path

from matplotlib import pyplot

CURVES = {
    "first_stage": ("pixel", "feature"),
    "segmenter": ("loss", "agreement"),
    "denoiser": ("loss", "velocity_error"),
    "few_step": ("regression", "critic"),
    "decoder": ("feature", "grid"),
}


def main() -> None:
    """Draw one panel per training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/landscape-256"))
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("curves.png"))
    arguments = parser.parse_args()
    figure, panels = pyplot.subplots(1, len(CURVES), figsize=(20, 3), layout="constrained")
    for panel, (stage, names) in zip(panels, CURVES.items(), strict=True):
        lines = [json.loads(line) for line in (arguments.runs / stage / "log.jsonl").read_text().splitlines()]
        for name in names:
            points = [(line["step"], line[name]) for line in lines if name in line and names[0] in line]
            panel.plot(*zip(*points, strict=True), label=name)
        panel.set(title=stage, xlabel="step", yscale="log")
        panel.legend()
    figure.savefig(arguments.output, dpi=80)


if __name__ == "__main__":
    main()
