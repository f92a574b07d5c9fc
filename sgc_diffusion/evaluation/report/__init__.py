"""The report of one picture set: results in, three files out.

OUT/*.json ──read_results──▶ results ──make_content──▶ verdict, tables ──▶ report.md, report.html (with plots, grids)
                                └──summary_csv──▶ summary.csv
"""

from __future__ import annotations

from pathlib import Path

from sgc_diffusion.atomic_file import atomic_path
from sgc_diffusion.evaluation.report.curves import curve_marks, rate_plots
from sgc_diffusion.evaluation.report.grids import picture_grids
from sgc_diffusion.evaluation.report.page import make_content, report_html, report_markdown
from sgc_diffusion.evaluation.report.results import ORIGINAL, CodecResult, read_results, summary_csv
from sgc_diffusion.evaluation.report.verdict import fields_of_equal_bytes

__all__ = ["CodecResult", "read_results", "write_report"]


def write_report(results_dir: Path | str, *, pictures: Path | str | None = None) -> list[Path]:
    """Write `summary.csv`, `report.md` and `report.html` beside the results of a picture set.

    Args:
        results_dir: holds one `<codec>.json` a codec, as `eval/run.py` leaves them.
        pictures: working folder of the run with the original and decoded pictures, for grids in the page; they are
            copied into it, so leave it out where the pictures may not be passed on.

    Returns:
        The three files; each is whole or not there.

    Raises:
        ValueError: no results, damaged ones, or a picture folder without the pictures.
        ImportError: a package of the `eval` extra is missing.
    """
    folder = Path(results_dir)
    results = read_results(folder)
    content = make_content(results)
    grids = {} if pictures is None else picture_grids(results, _shown(results), Path(pictures))
    page = report_html(content, rate_plots(results, content.metric_names), curve_marks(results), grids)
    texts = {"summary.csv": summary_csv(results), "report.md": report_markdown(content), "report.html": page}
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _shown(results: list[CodecResult]) -> list[CodecResult]:
    """Return the codecs of a grid: the first group of about equal bytes, or all."""
    fields = fields_of_equal_bytes(results)
    return fields[0] if fields else [result for result in results if result.name != ORIGINAL and result.rows]
