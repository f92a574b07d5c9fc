"""Rate–metric curves: their plots, and BD-rates where they overlap."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from sgc_diffusion.evaluation.report.results import ORIGINAL, CodecResult, estimate, short_title
from sgc_diffusion.evaluation.report.tables import Cell, Table
from sgc_diffusion.evaluation.report.verdict import label
from sgc_diffusion.evaluation.statistics import bd_rate

STYLES = {  # family → color (Okabe and Ito's, for all kinds of color vision; legible on white and on black), marker
    "sgc": ("#D55E00", "*"),
    "vvc": ("#0072B2", "o"),
    "hevc": ("#56B4E9", "s"),
    "av1": ("#009E73", "D"),
    "jpeg2000": ("#CC79A7", "^"),
    "jpeg": ("#8C8C8C", "v"),
    "webp": ("#E69F00", "P"),
    "jxl": ("#8A63D2", "X"),
}
OTHER_STYLE = ("#8C8C8C", "h")
INK = "#010203"  # stands for the color of the text of the page
PREFERRED_ANCHOR = "vvc"


def curves(results: Sequence[CodecResult]) -> dict[str, list[CodecResult]]:
    """Return title → the configurations of one codec by rising rate; coding at a smaller size is a codec of its own."""
    groups: dict[tuple[str, bool], list[CodecResult]] = {}
    for result in results:
        if result.name != ORIGINAL and result.rows:
            groups.setdefault((result.family, is_downscaled(result)), []).append(result)
    ordered = {key: sorted(members, key=lambda result: result.mean_bpp) for key, members in groups.items()}
    return {_curve_title(members): members for members in ordered.values()}


def is_downscaled(result: CodecResult) -> bool:
    """Return whether the codec was given smaller pictures, by its name: `vvc-down-budget`, `vvc-down4-qp30`."""
    return re.search(r"-down\d*(-|$)", result.name) is not None


def _curve_title(members: Sequence[CodecResult]) -> str:
    if len(members) == 1:
        return members[0].short_title
    return short_title(members[0].title.split(",")[0]) + (" reduced" if is_downscaled(members[0]) else "")


def bd_rate_table(results: Sequence[CodecResult], metrics: Sequence[str]) -> Table | None:
    """Return BD-rates against one anchor, VVC if it has a curve, or None where no two curves overlap."""
    many = {title: members for title, members in curves(results).items() if len(members) > 1}
    if len(many) < 2:
        return None
    anchor = next((title for title, members in many.items() if members[0].family == PREFERRED_ANCHOR), next(iter(many)))
    values = {
        title: [_bd_rate(many[anchor], members, metric) for metric in metrics]
        for title, members in many.items()
        if title != anchor
    }
    used = [index for index in range(len(metrics)) if any(row[index] is not None for row in values.values())]
    if not used:
        return None
    table = Table(columns=("Codec", *(label(metrics[index]) for index in used)))
    for title, row in values.items():
        cells = [Cell("no overlap" if row[index] is None else f"{row[index]:+.1f} %") for index in used]
        table.rows.append([Cell(title), *cells])
    table.notes.append(f"Bytes at equal metric, against {anchor}: below zero the codec of the row needs fewer.")
    return table


def _bd_rate(anchor: Sequence[CodecResult], curve: Sequence[CodecResult], metric: str) -> float | None:
    points = []
    for members in (anchor, curve):
        pairs = [(result.mean_bpp, value.mean) for result in members if (value := estimate(result, metric)) is not None]
        points += [[rate for rate, _ in pairs], [mean for _, mean in pairs]]
    try:
        return bd_rate(*points)
    except ValueError:  # too few points, or none of one curve within the values of the other
        return None


def rate_plots(results: Sequence[CodecResult], metrics: Sequence[str]) -> dict[str, str]:
    """Draw each metric over the rate.

    Args:
        results: all of the set; the originals give a dashed line.
        metrics: to draw; those without numbers are left out.

    Returns:
        Metric → inline SVG whose text has the color of the page.

    Raises:
        ImportError: matplotlib is missing.
    """
    coded = curves(results)
    plots = {}
    for metric in metrics:
        if any(result.has(metric) for members in coded.values() for result in members):
            original = next((result for result in results if result.name == ORIGINAL), None)
            plots[metric] = _svg(_draw(coded, original, metric), metric)
    return plots


def curve_marks(results: Sequence[CodecResult]) -> dict[str, str]:
    """Return the legend of all plots: title of a curve → inline SVG of its mark."""
    marks = {}
    for index, (title, members) in enumerate(curves(results).items()):
        figure = _new_figure(0.25, 0.25)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.plot([0], [0], **_style(members[0]))
        axes.set_axis_off()
        marks[title] = _svg(figure, f"mark{index}")
    return marks


def _style(result: CodecResult) -> dict[str, Any]:
    color, marker = STYLES.get(result.family, OTHER_STYLE)
    face = "none" if is_downscaled(result) else color
    return {"color": color, "marker": marker, "markerfacecolor": face, "markersize": 10 if marker == "*" else 6}


def _new_figure(width: float, height: float, layout: Literal["constrained", None] = None) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Plots need matplotlib: pip install 'sgc-diffusion[eval]'") from error
    return Figure(figsize=(width, height), layout=layout)


def _draw(coded: dict[str, list[CodecResult]], original: CodecResult | None, metric: str) -> Any:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = _new_figure(4.6, 3.1, layout="constrained")
    axes = figure.subplots()
    for members in coded.values():
        style = _style(members[0])
        points = [(result, value) for result in members if (value := estimate(result, metric)) is not None]
        rates, means = [result.mean_bpp for result, _ in points], [value.mean for _, value in points]
        axes.plot(rates, means, linewidth=1, **style)
        for result, value in points:
            if not math.isnan(value.low):
                axes.vlines(result.mean_bpp, value.low, value.high, color=style["color"], linewidth=1, alpha=0.6)
            seed_means = _seed_means(result, metric)
            for mean in seed_means if len(seed_means) > 1 else ():
                axes.plot(result.mean_bpp, mean, marker="_", color=style["color"], markersize=9, alpha=0.7)
    if original is not None and (value := estimate(original, metric)) is not None:
        axes.axhline(value.mean, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.6)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("rate, bpp", color=INK)
    axes.set_title(label(metric), color=INK, fontsize=11, loc="left")
    axes.tick_params(colors=INK, which="both", labelsize=8)
    axes.grid(True, which="both", color=INK, alpha=0.12, linewidth=0.6)
    for name, spine in axes.spines.items():
        spine.set(visible=name in ("left", "bottom"), color=INK, alpha=0.4)
    return figure


def _seed_means(result: CodecResult, metric: str) -> list[float]:
    """Return for each seed the mean over pictures."""
    values: dict[int, list[float]] = {}
    for row in result.rows:
        if row["metrics"].get(metric) is not None:
            values.setdefault(row["seed"], []).append(row["metrics"][metric])
    return [float(np.mean(of_pictures)) for of_pictures in values.values()]


def _svg(figure: Any, name: str) -> str:
    """Return a figure as SVG to be put into a page: own ids, and the page's color where `INK` stands."""
    from matplotlib import rc_context

    stream = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = text.replace("url(#", f"url(#{name}-")
    return text
