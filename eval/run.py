"""Measure codecs side by side: on files that another process decoded, bytes counted on disk.

    python eval/run.py --images DIR --codecs sgc,vvc,hevc,av1,jpeg2000,jpeg,webp,jxl --out eval/results/NAME

Writes OUT/CODEC.json for each codec and the report. Run again, it takes up where it stopped. See eval/README.md.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from tqdm import tqdm

from sgc_diffusion.evaluation.codecs.specs import split_specs
from sgc_diffusion.evaluation.measurement import evaluate
from sgc_diffusion.evaluation.metrics.registry import DEFAULT_SENDER
from sgc_diffusion.evaluation.scoring import Scorer

CODECS = """with commas: sgc, vvc, hevc, av1, jpeg2000, jpeg, webp, jxl; vvc-paper (QP 55); with settings
sgc:preset=paper, vvc:qp=47; with bytes vvc@300, vvc-down@300 (coded reduced);
with those of --budget vvc@budget, vvc-down@budget"""
EXAMPLES = """examples:
  python eval/run.py --images kodak --size 512 --codecs vvc-paper,sgc --metrics none --out eval/results/kodak
  python eval/run.py --images kodak --size 512 --codecs sgc,vvc,jpeg --budget same --out eval/results/kodak-same-bytes
  python eval/run.py --images 'photos/*.jpg' --codecs vvc@300,vvc-down@300,jxl:quality=10 --out eval/results/photos"""


def read_budget(text: str) -> int | str | None:
    """Return what `--budget` says."""
    if text in ("same", "none"):
        return text if text == "same" else None
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be same, none or a number of bytes, got {text!r}")


def positive(text: str) -> int:
    """Return a number of things."""
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLES, formatter_class=raw)
    parser.add_argument("--images", nargs="+", required=True, help="folders, files or patterns")
    parser.add_argument("--codecs", required=True, help=CODECS)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results; its name is that of the set")
    parser.add_argument("--metrics", default="all", help="all, none, or names with commas")
    parser.add_argument("--budget", type=read_budget, help="same: as sgc's file of the picture; or a number of bytes")
    parser.add_argument("--seeds", type=positive, default=3, help="of generative decoders")
    parser.add_argument("--size", type=positive, help="center square at this size; default: the pictures as they are")
    parser.add_argument("--limit", type=positive, help="take the first so many pictures")
    parser.add_argument("--workers", type=positive, default=2, help="pictures that anchors code at once")
    parser.add_argument("--work", type=Path, help="folder for files and decoded pictures, to resume from")
    parser.add_argument("--weights-dir", type=Path, help="local weights of metrics")
    parser.add_argument("--segmenter", help="for label metrics: Hub id, folder or .tflite file")
    parser.add_argument("--sender", default=DEFAULT_SENDER, help="pipeline whose segmenter judges as in the paper")
    parser.add_argument("--no-pictures", action="store_true", help="keep the photographs out of report.html: for "
                        "results that are passed on where they may not be")  # fmt: skip
    parser.add_argument("--no-report", action="store_true", help="only the JSON files")
    return parser


def make_scorer(arguments: argparse.Namespace) -> Scorer | None:
    """Return what measures."""
    if arguments.metrics == "none":
        return None
    from sgc_diffusion.evaluation.metrics import load_metrics

    names = "all" if arguments.metrics == "all" else arguments.metrics.split(",")
    places = {"weights_dir": arguments.weights_dir, "segmenter": arguments.segmenter, "sender": arguments.sender}
    evaluator = load_metrics(names, **places)
    key = f"{arguments.metrics} {arguments.weights_dir} {arguments.segmenter} {arguments.sender}"
    return Scorer(evaluator, key)


def run(arguments: argparse.Namespace) -> int:
    """Measure and report; return the exit code."""
    out = arguments.out.resolve()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    work = arguments.work or cache / "sgc-diffusion" / "evaluation" / out.name
    scorer = make_scorer(arguments)
    with tqdm(unit="step", dynamic_ncols=True) as progress:
        results = evaluate(
            arguments.images,
            split_specs(arguments.codecs),
            out,
            work=work,
            budget=arguments.budget,
            num_seeds=arguments.seeds,
            size=arguments.size,
            limit=arguments.limit,
            num_workers=arguments.workers,
            scorer=scorer,
            command=shlex.join(["python", *sys.argv]),
            progress=progress,
        )
    failures = {(each["image"], each["error"]): name for name, result in results.items() for each in result["failures"]}
    for (image, error), name in failures.items():
        print(f"{name}: {image}: {error}", file=sys.stderr)
    if not arguments.no_report:
        from sgc_diffusion.evaluation.report import write_report

        write_report(out, pictures=None if arguments.no_pictures else work)
    print(f"{out}: {len(results)} results; files and decoded pictures in {work}")
    return 1 if failures else 0


def main() -> int:
    """Run the command line; return the exit code."""
    arguments = build_parser().parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] - no terminal's code page ends a run
    try:
        return run(arguments)
    except (ValueError, OSError, ImportError) as error:
        print(f"eval/run.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("eval/run.py: stopped; run it again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
