"""`report.html`: one file that needs nothing else, neither network nor scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources

from sgc_diffusion.evaluation.report.content import ACCOUNTING, VERDICT_NOTE, Content
from sgc_diffusion.evaluation.report.grids import Panel
from sgc_diffusion.evaluation.report.wording import listed

TEMPLATE = "page.html.jinja"


def report_html(
    content: Content,
    plots: Mapping[str, str],
    legend: Mapping[str, str],
    grids: Mapping[str, Sequence[Panel]],
) -> str:
    """Return the report as one page.

    Args:
        content: what it says; every text is escaped.
        plots: metric → inline SVG.
        legend: title of a curve → inline SVG of its mark.
        grids: picture → its panels; empty for a page without pictures.

    Raises:
        ImportError: jinja2 is missing.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise ImportError("The report needs jinja2: pip install 'sgc-diffusion[eval]'") from error
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["listed"] = listed
    source = (resources.files("sgc_diffusion.evaluation.report") / TEMPLATE).read_text("utf-8")
    return environment.from_string(source).render(
        content=content,
        plots=plots,
        legend=legend,
        grids=grids,
        verdict_note=VERDICT_NOTE,
        accounting=ACCOUNTING,
    )
