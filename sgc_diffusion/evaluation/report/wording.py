"""The verdict in plain words, and how numbers are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sgc_diffusion.evaluation.metrics import METRICS
from sgc_diffusion.evaluation.report.results import CodecResult
from sgc_diffusion.evaluation.report.verdict import MIN_PICTURES, Lead, find_lead, group_winner

GROUPS = {  # in the order of the report: name, title, what it asks
    "realism": ("Realism", "does it look like a photograph?"),
    "semantic": ("Meaning", "does it show the same things?"),
    "perception": ("Perceptual distance", "do the features of a network agree?"),
    "distortion": ("Distortion", "is it the same pixel for pixel?"),
    "set": ("Distribution", "do the pictures as a set look like the originals as a set?"),
}
ARROWS = {"higher": "↑", "lower": "↓"}
MINUS = "−"


@dataclass(frozen=True)
class GroupVerdict:
    """What can be said of one group of metrics at about equal bytes.

    Attributes:
        title: of the group.
        question: that the group asks.
        outcome: `won`, `split`, `undecided` or `unmeasured`.
        headline: in a few words.
        details: one sentence a metric.
    """

    title: str
    question: str
    outcome: str
    headline: str
    details: tuple[str, ...]


def label(metric: str) -> str:
    """Return the title of a metric with the arrow of its good direction."""
    return f"{METRICS[metric].title} {ARROWS[METRICS[metric].direction]}"


def decimals(values: Iterable[float]) -> int:
    """Return how many decimals show numbers of this size with three to four digits."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=1.0)
    return next((count for bound, count in ((100, 1), (10, 2), (0.1, 3)) if largest >= bound), 4)


def number(value: float | None, places: int, signed: bool = False) -> str:
    """Return a number with a true minus sign; `–` for None."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:{'+' if signed else ''}.{places}f}".replace("-", MINUS)


def interval(low: float | None, high: float | None, places: int) -> str:
    """Return `[low, high]`, or nothing where there is none."""
    return "" if low is None or high is None else f"[{number(low, places)}, {number(high, places)}]"


def listed(titles: Sequence[str], word: str = "and") -> str:
    """Return `a, b and c`."""
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} {word} {titles[-1]}"


def group_verdicts(field: Sequence[CodecResult], places: dict[str, int]) -> list[GroupVerdict]:
    """Return the verdict of every group for codecs of about equal bytes.

    Args:
        field: the codecs, this project's first.
        places: decimals of each metric; its keys are the metrics of the report.
    """
    verdicts = []
    for group, (title, question) in GROUPS.items():
        metrics = [name for name in places if METRICS[name].group == group]
        leads = [lead for name in metrics if (lead := find_lead(name, field)) is not None]
        missing = [METRICS[name].title for name in metrics if name not in {lead.metric for lead in leads}]
        details = [_detail(lead, field[0], places[lead.metric]) for lead in leads]
        if missing:
            details.append(f"Not measured: {listed(missing)}.")
        if leads or missing:
            outcome, headline = _headline(leads)
            verdicts.append(GroupVerdict(title, question, outcome, headline, tuple(details)))
    return verdicts


def one_line(verdicts: Sequence[GroupVerdict]) -> str:
    """Return all verdicts as one sentence."""
    return "; ".join(f"{one.title}: {one.headline}" for one in verdicts) + "."


def _headline(leads: Sequence[Lead]) -> tuple[str, str]:
    if not leads:
        return "unmeasured", "not measured"
    winner, num_won = group_winner(leads)
    if winner is not None and num_won == len(leads):
        metrics = METRICS[leads[0].metric].title if num_won == 1 else f"all {num_won} metrics"
        return "won", f"{winner.short_title} wins on {metrics}"
    if winner is not None:
        return "won", f"{winner.short_title} wins on {num_won} of {len(leads)} metrics, the rest is undecided"
    if num_won == 0:
        return "undecided", "undecided"
    won: dict[str, list[str]] = {}
    for lead in leads:
        if lead.winner is not None:
            won.setdefault(lead.winner.short_title, []).append(METRICS[lead.metric].title)
    return "split", "split, " + ", ".join(f"{title} wins on {listed(metrics)}" for title, metrics in won.items())


def _margin(lead: Lead, other: CodecResult, places: int) -> str:
    """Return by how much the best codec differs from another one."""
    mean, low, high = lead.differences[other.name]
    return " ".join(filter(None, [number(mean, places, signed=True), interval(low, high, places)]))


def _also(lead: Lead, own: CodecResult, places: int) -> str:
    """Return how far behind this project's codec is, if that is not said already."""
    if own in lead.leaders or own is lead.rival or own.name not in lead.differences:
        return ""
    return f", of {own.short_title} by {_margin(lead, own, places)}"


def _detail(lead: Lead, own: CodecResult, places: int) -> str:
    """Return one sentence on one metric, with the numbers that decide it; `own` is always among those named."""
    first, rival = lead.leaders[0].short_title, lead.rival.short_title
    margin = _margin(lead, lead.rival, places)
    if METRICS[lead.metric].group == "set":
        return f"{label(lead.metric)}: {first} is best, {margin} to {rival}; one number a set, so without an interval."
    if lead.winner is not None:
        return f"{label(lead.metric)}: {first} is ahead of {rival} by {margin}{_also(lead, own, places)}."
    tied = listed([one.short_title for one in lead.leaders])
    if lead.num_pictures < MIN_PICTURES:
        count = f"{lead.num_pictures} picture{'s' if lead.num_pictures > 1 else ''}, of which it takes {MIN_PICTURES}"
        return f"{label(lead.metric)}: undecided with {count}; {first} to {rival} {margin}."
    if lead.rival in lead.leaders:
        return f"{label(lead.metric)}: undecided between {tied}; {first} to {rival} {margin}."
    behind = f"{first} is ahead of {rival} by {margin}{_also(lead, own, places)}"
    return f"{label(lead.metric)}: undecided between {tied}; {behind}."
