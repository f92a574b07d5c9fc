"""Make the report of results again: `summary.csv`, `report.md`, `report.html`.

    python eval/report.py RESULTS_DIR [--pictures DIR]

RESULTS_DIR holds the `<codec>.json` that `eval/run.py` wrote; DIR is what it was given as `--work`. With `--pictures`
the page holds grids of the decoded pictures: keep such a page to yourself unless all of them may be passed on.
"""

import argparse
import sys
from pathlib import Path

from sgc_diffusion.evaluation.report import write_report


def main() -> None:
    """Read the arguments and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, metavar="RESULTS_DIR")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="the --work folder of the run")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] - no terminal's code page hides what was written
    try:
        written = write_report(arguments.results, pictures=arguments.pictures)
    except (ValueError, ImportError, OSError) as error:
        sys.exit(f"report: {error}")
    for path in written:
        print(path)


if __name__ == "__main__":
    main()
