"""What a report says, laid out as `report.md` and `report.html`.

results ──make_content──▶ verdict, tables ──report_markdown──▶ for a terminal or a code host
                                          └──report_html────▶ a file that needs no other, no network and no script
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from sgc_diffusion.evaluation.metrics import METRICS
from sgc_diffusion.evaluation.report import tables
from sgc_diffusion.evaluation.report.curves import bd_rate_table
from sgc_diffusion.evaluation.report.grids import Panel
from sgc_diffusion.evaluation.report.protocol import protocol_table
from sgc_diffusion.evaluation.report.results import ORIGINAL, CodecResult, estimate, measured_metrics
from sgc_diffusion.evaluation.report.tables import Cell, Table
from sgc_diffusion.evaluation.report.verdict import (
    BYTES_TOLERANCE,
    MIN_PICTURES,
    OWN_FAMILY,
    GroupVerdict,
    decimals,
    fields_of_equal_bytes,
    group_verdicts,
    listed,
)

VERDICT_NOTE = (
    f"About equal: 0.8 to {BYTES_TOLERANCE} times the bytes. A codec is ahead where the 95 % bootstrap interval of the "
    f"paired difference over at least {MIN_PICTURES} pictures leaves out zero; the intervals, in brackets, are not "
    "corrected for the number of comparisons."
)
ACCOUNTING = (
    "Bytes are those of the file on disk, bpp its bits over the pixels of the original picture. Every picture was "
    "decoded from that file by a separate process."
)


@dataclass(frozen=True)
class FieldVerdict:
    """Who wins what among codecs of about equal bytes.

    Attributes:
        size_bytes: of this project's codec, mean; of the smallest one where it was not measured.
        rate_bpp: of the same codec, mean.
        titles: of the codecs.
        groups: a verdict each.
        left_out: sentence on the codecs whose smallest files are larger; empty if there are none.
    """

    size_bytes: float
    rate_bpp: float
    titles: tuple[str, ...]
    groups: list[GroupVerdict]
    left_out: str


@dataclass(frozen=True)
class Content:
    """A report.

    Attributes:
        set_name: the picture set.
        num_images: in it.
        verdicts: one for each group of codecs of about equal bytes; may be empty.
        verdict_gap: why there is no verdict; empty if there is one.
        metrics: codecs × metrics.
        pairs: each of this project's codecs beside every other codec.
        published: the paper's Table I beside ours.
        protocol: label BCE by the sending segmenter, as in the paper; None where it was not measured.
        costs: time and memory.
        bd_rates: or None where no two curves overlap.
        failures: pictures that were not coded.
        provenance: how it was measured, each with the titles of the `codecs` that share it.
        metric_names: in order.
    """

    set_name: str
    num_images: int
    verdicts: list[FieldVerdict]
    verdict_gap: str
    metrics: tables.Table
    pairs: list[tables.Table]
    published: tables.Table
    protocol: tables.Table | None
    costs: tables.Table
    bd_rates: tables.Table | None
    failures: tables.Table
    provenance: list[dict[str, Any]]
    metric_names: list[str]


def make_content(results: Sequence[CodecResult]) -> Content:
    """Return what the report of a set says."""
    names = measured_metrics(results)
    places = {name: _decimals(results, name) for name in names}
    fields = fields_of_equal_bytes(results)
    own = [result for result in results if result.family == OWN_FAMILY and result.rows]
    return Content(
        set_name=results[0].set_name,
        num_images=max(result.num_given for result in results),
        verdicts=[
            FieldVerdict(
                field[0].mean_bytes,
                field[0].mean_bpp,
                tuple(result.short_title for result in field),
                group_verdicts(field, places),
                _left_out(results, field),
            )
            for field in fields
        ],
        verdict_gap="" if fields else _gap(results),
        metrics=tables.metric_table(results, fields, places),
        pairs=[table for result in own if (table := tables.pair_table(result, results, places)).rows],
        published=tables.published_table(results),
        protocol=protocol_table(results),
        costs=tables.cost_table(results),
        bd_rates=bd_rate_table(results, [name for name in names if METRICS[name].group != "set"]),
        failures=tables.failure_table(results),
        provenance=_provenance(results),
        metric_names=names,
    )


def _decimals(results: Sequence[CodecResult], metric: str) -> int:
    return decimals(value.mean for result in results if (value := estimate(result, metric)) is not None)


def _gap(results: Sequence[CodecResult]) -> str:
    """Say why nothing can be compared at equal bytes."""
    coded = [result for result in results if result.name != ORIGINAL and result.rows]
    if len(coded) < 2:
        return f"No verdict: {len(coded) or 'no'} codec was measured, and it takes two to compare."
    sizes = [f"{result.short_title} {result.mean_bytes:.0f}" for result in coded]
    return f"No verdict: no two codecs take about as many bytes ({listed(sizes)}); run them with --budget same."


def _left_out(results: Sequence[CodecResult], field: Sequence[CodecResult]) -> str:
    """Say which codecs cannot make files as small as those of a field."""
    floors = [
        result
        for result in results
        if result.floor_share and result.mean_bytes > field[0].mean_bytes and result not in field
    ]
    if not floors:
        return ""
    sizes = [
        f"{result.short_title} ({result.mean_bytes / field[0].mean_bytes:.1f} times the bytes)" for result in floors
    ]
    return f"Cannot go as low: {listed(sizes)}."


def _provenance(results: Sequence[CodecResult]) -> list[dict[str, Any]]:
    """Return the different ways of measuring, each with the titles of its codecs."""
    by_way: dict[str, dict[str, Any]] = {}
    for result in results:
        way = by_way.setdefault(json.dumps(result.provenance, sort_keys=True), {**result.provenance, "codecs": []})
        way["codecs"].append(result.short_title)
    groups = list(by_way.values())
    if len(groups) == 1:
        groups[0]["codecs"] = ["All codecs"]
    return groups


def report_markdown(content: Content) -> str:
    """Return the report as GitHub-flavored Markdown, without plots."""
    lines = [f"# {_escaped(content.set_name)}, {content.num_images} pictures", "", "## Who wins where", ""]
    for verdict in content.verdicts:
        lines += [
            f"At about **{verdict.size_bytes:.0f} bytes** ({verdict.rate_bpp:.4f} bpp), "
            f"{_escaped(listed(verdict.titles))}:",
            "",
        ]
        for group in verdict.groups:
            lines.append(f"- **{group.title}** ({group.question}) {_escaped(group.headline)}")
            lines += [f"  - {_escaped(detail)}" for detail in group.details]
        lines += ["", *([_escaped(verdict.left_out), ""] if verdict.left_out else [])]
    lines += [_escaped(content.verdict_gap or VERDICT_NOTE), ""]
    for table in content.pairs:
        lines += _table(table)
    lines += ["## Numbers", "", *_table(content.metrics)]
    if content.bd_rates is not None:
        lines += ["## BD-rate", "", *_table(content.bd_rates)]
    lines += ["## Beside the paper", "", *_table(content.published)]
    lines += _table(content.protocol) if content.protocol is not None else []
    lines += ["## Time and memory", "", *_table(content.costs)]
    if content.failures.rows:
        lines += ["## Failures", "", *_table(content.failures)]
    lines += ["## How it was measured", "", ACCOUNTING, ""]
    for group in content.provenance:
        libraries = ", ".join(f"{name} {version}" for name, version in (group["libraries"] or {}).items())
        lines += [f"{_escaped(listed(group['codecs']))}:", "", f"    {group['command']}", ""]
        lines += [_escaped(f"Commit {group['commit']}; {group['platform']}; {libraries}."), ""]
    lines.append("Plots and, where pictures were given, grids of pictures are in `report.html`.")
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    lines = ["| " + " | ".join(map(_escaped, table.columns)) + " |", "|---" * len(table.columns) + "|"]
    for index, row in enumerate(table.rows):
        if index in table.sections:
            lines.append(f"| *{_escaped(table.sections[index])}* " + "| " * (len(table.columns) - 1) + "|")
        lines.append("| " + " | ".join(map(_cell, row)) + " |")
    lines.append("")
    for note in table.notes:
        lines += [_escaped(note), ""]
    return lines


def _cell(cell: Cell) -> str:
    text = f"**{_escaped(cell.text)}**" if cell.is_best else _escaped(cell.text)
    return f"{text} <sub>{_escaped(cell.detail)}</sub>" if cell.detail else text


def _escaped(text: str) -> str:
    """Return text that is nothing but itself in Markdown, also inside a table."""
    text = re.sub(r"([\\|*`]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))
    return text.replace("<", "&lt;").replace("](", "]\\(")


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
