"""`report.md`: verdict and tables for a terminal or a code host."""

from __future__ import annotations

import re

from sgc_diffusion.evaluation.report.content import ACCOUNTING, VERDICT_NOTE, Content
from sgc_diffusion.evaluation.report.tables import Cell, Table
from sgc_diffusion.evaluation.report.wording import listed


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
