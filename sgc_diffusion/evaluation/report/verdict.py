"""Who wins where, and how it is said: paired comparisons of codecs whose files take about as many bytes.

    results ──fields_of_equal_bytes──▶ fields ──find_lead (a metric)──▶ leads ──group_verdicts──▶ who wins a group

A codec is ahead of another on a metric when the 95 % bootstrap interval of their paired difference over the pictures
leaves out zero. Intervals are not corrected for the number of comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sgc_diffusion.evaluation.metrics import METRICS
from sgc_diffusion.evaluation.report.results import ORIGINAL, CodecResult
from sgc_diffusion.evaluation.statistics import Estimate, paired_difference

OWN_FAMILY = "sgc"
BYTES_TOLERANCE = 1.25  # files of 0.8 … 1.25 times the bytes are about equal
MIN_PICTURES = 6  # with fewer, even an equal sign on all of them has p > 0.05 (2 / 2⁵)


@dataclass(frozen=True)
class Lead:
    """Who is ahead on one metric.

    Attributes:
        metric: its name.
        leaders: the best codec, then those that are not told apart from it. All of the field: undecided.
        rival: the best of the others; where there is none, of the other leaders.
        differences: codec → the best codec minus that one; a set metric has no interval.
        num_pictures: that all of the field have in common.
    """

    metric: str
    leaders: tuple[CodecResult, ...]
    rival: CodecResult
    differences: dict[str, Estimate]
    num_pictures: int

    @property
    def winner(self) -> CodecResult | None:
        """The only leader, or None where the best are not told apart."""
        return self.leaders[0] if len(self.leaders) == 1 else None


def fields_of_equal_bytes(results: Sequence[CodecResult]) -> list[list[CodecResult]]:
    """Return the groups of codecs that can be compared, each led by this project's codec if that was measured.

    Other ways of this project's codec to draw the same file are no rivals: each leads a group of its own.
    """
    coded = [result for result in results if result.name != ORIGINAL and result.rows]
    references = [result for result in coded if result.family == OWN_FAMILY] or coded
    fields: dict[frozenset[str], list[CodecResult]] = {}
    for reference in references:
        rivals = [result for result in coded if result is reference or result.family != OWN_FAMILY]
        field = [result for result in rivals if has_equal_bytes(result, reference)]
        if len(field) > 1:
            field.sort(key=lambda result: (result is not reference, result.mean_bytes))
            fields.setdefault(frozenset(result.name for result in field), field)
    return list(fields.values())


def has_equal_bytes(first: CodecResult, second: CodecResult) -> bool:
    """Return whether two codecs take about as many bytes, on average over the set."""
    return 1 / BYTES_TOLERANCE <= first.mean_bytes / second.mean_bytes <= BYTES_TOLERANCE


def find_lead(metric: str, field: Sequence[CodecResult]) -> Lead | None:
    """Return who is ahead on a metric, or None if fewer than two of the field have it."""
    merit = METRICS[metric].merit
    in_set = [result for result in field if metric in result.set_metrics]
    if len(in_set) > 1:
        best, *others = sorted(in_set, key=lambda result: -merit(result.set_metrics[metric]))
        gaps = {result.name: Estimate(best.set_metrics[metric] - result.set_metrics[metric]) for result in others}
        return Lead(metric, (best,), others[0], gaps, min(len(result.images) for result in in_set))
    means = {result.name: result.image_means(metric) for result in field}
    able = [result for result in field if means[result.name]]
    if len(able) < 2:
        return None
    common = sorted(set.intersection(*(set(means[result.name]) for result in able)))
    if not common:
        return None
    values = {result.name: [means[result.name][image] for image in common] for result in able}
    if METRICS[metric].direction == "one":  # who is nearer to it
        values = {name: [abs(value - 1) for value in numbers] for name, numbers in values.items()}
        best, *others = sorted(able, key=lambda result: float(np.mean(values[result.name])))
    else:
        best, *others = sorted(able, key=lambda result: -merit(float(np.mean(values[result.name]))))
    differences = {result.name: paired_difference(values[best.name], values[result.name]) for result in others}
    tied = [result for result in others if not _is_told_apart(differences[result.name], len(common))]
    rival = next((result for result in others if result not in tied), others[0])
    return Lead(metric, (best, *tied), rival, differences, len(common))


def compare(metric: str, first: CodecResult, second: CodecResult) -> str | None:
    """Return whether `first` is `better`, `worse` or `undecided` beside `second`; None without numbers of both."""
    lead = find_lead(metric, [first, second])
    if lead is None or METRICS[metric].group == "set":
        return None
    if lead.winner is None:
        return "undecided"
    return "better" if lead.winner is first else "worse"


def group_winner(leads: Sequence[Lead]) -> tuple[CodecResult | None, int]:
    """Return the only codec that wins any metric of a group, and how many; None if none or several do."""
    winners = [lead.winner for lead in leads if lead.winner is not None]
    if len({result.name for result in winners}) == 1:
        return winners[0], len(winners)
    return None, len(winners)


def _is_told_apart(difference: Estimate, num_pictures: int) -> bool:
    return num_pictures >= MIN_PICTURES and (difference.low > 0 or difference.high < 0)


GROUPS = {  # in the order of the report: name, title, what it asks
    "realism": ("Realism", "does it look like a photograph?"),
    "semantic": ("Meaning", "does it show the same things?"),
    "perception": ("Perceptual distance", "do the features of a network agree?"),
    "distortion": ("Distortion", "is it the same pixel for pixel?"),
    "set": ("Distribution", "do the pictures as a set look like the originals as a set?"),
}
ARROWS = {"higher": "↑", "lower": "↓", "one": "→ 1"}
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


def interval(estimated: Estimate, places: int) -> str:
    """Return `[low, high]`, or nothing where there is none."""
    _, low, high = estimated
    return "" if math.isnan(low) else f"[{number(low, places)}, {number(high, places)}]"


def listed(titles: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


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
    difference = lead.differences[other.name]
    return " ".join(filter(None, [number(difference.mean, places, signed=True), interval(difference, places)]))


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
    tied = listed([result.short_title for result in lead.leaders])
    if lead.num_pictures < MIN_PICTURES:
        count = f"{lead.num_pictures} picture{'s' if lead.num_pictures > 1 else ''}, of which it takes {MIN_PICTURES}"
        return f"{label(lead.metric)}: undecided with {count}; {first} to {rival} {margin}."
    if lead.rival in lead.leaders:
        return f"{label(lead.metric)}: undecided between {tied}; {first} to {rival} {margin}."
    behind = f"{first} is ahead of {rival} by {margin}{_also(lead, own, places)}"
    return f"{label(lead.metric)}: undecided between {tied}; {behind}."
