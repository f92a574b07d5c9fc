"""Compare two codecs of a results folder picture by picture: mean difference and its 95 % bootstrap interval.

python eval/paired.py eval/results/sflckr sgc vvc-qp47
"""

import argparse
import json
from pathlib import Path

from sgc_diffusion.evaluation.statistics import paired_difference


def picture_metrics(path: Path) -> dict[str, dict[str, float]]:
    """Return the metrics of every picture in a codec's file, of its first seed."""
    metrics: dict[str, dict[str, float]] = {}
    for row in json.loads(path.read_text())["rows"]:
        metrics.setdefault(row["image"], row["metrics"])
    return metrics


def main() -> None:
    """Print a line for each metric that both have."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a picture set, such as eval/results/sflckr")
    parser.add_argument("codecs", nargs=2, help="names of two files there, without .json")
    arguments = parser.parse_args()
    ours, theirs = (picture_metrics(arguments.folder / f"{name}.json") for name in arguments.codecs)
    images = sorted(ours.keys() & theirs.keys())
    for name in sorted(set.intersection(*(set(member[image]) for member in (ours, theirs) for image in images))):
        values = [[member[image][name] for image in images] for member in (ours, theirs)]
        if all(value is not None for each in values for value in each):
            mean, low, high = paired_difference(*values)[:3]
            print(f"{name:24} {mean:+.3f} [{low:+.3f}, {high:+.3f}]")


if __name__ == "__main__":
    main()
