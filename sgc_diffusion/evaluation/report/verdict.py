"""Who wins where: paired comparisons of codecs whose files take about as many bytes.

    results ──fields_of_equal_bytes──▶ fields ──find_lead (a metric)──▶ leads ──group_lead──▶ who wins a group

A codec is ahead of another on a metric when the 95 % bootstrap interval of their paired difference over the pictures
leaves out zero. Intervals are not corrected for the number of comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sgc_diffusion.evaluation.metrics import METRICS
from sgc_diffusion.evaluation.report.results import ORIGINAL, CodecResult
from sgc_diffusion.evaluation.statistics import paired_difference

OWN_FAMILY = "sgc"
BYTES_TOLERANCE = 1.25  # files of 0.8 … 1.25 times the bytes are about equal
MIN_PICTURES = 6  # with fewer, even an equal sign on all of them has p > 0.05 (2 / 2⁵)


Difference = tuple[float, float | None, float | None]


@dataclass(frozen=True)
class Lead:
    """Who is ahead on one metric.

    Attributes:
        metric: its name.
        leaders: the best codec, then those that are not told apart from it. All of the field: undecided.
        rival: the best of the others; where there is none, of the other leaders.
        differences: codec → the best codec minus that one: mean, low, high; low and high are None for a set metric.
        num_pictures: that all of the field have in common.
    """

    metric: str
    leaders: tuple[CodecResult, ...]
    rival: CodecResult
    differences: dict[str, Difference]
    num_pictures: int

    @property
    def winner(self) -> CodecResult | None:
        """The only leader, or None where the best are not told apart."""
        return self.leaders[0] if len(self.leaders) == 1 else None


def fields_of_equal_bytes(results: Sequence[CodecResult]) -> list[list[CodecResult]]:
    """Return the groups of codecs that can be compared, each led by this project's codec if that was measured.

    Other ways of this project's codec to draw the same file are no rivals: each leads a group of its own.
    """
    coded = [one for one in results if one.name != ORIGINAL and one.rows]
    references = [one for one in coded if one.family == OWN_FAMILY] or coded
    fields: dict[frozenset[str], list[CodecResult]] = {}
    for reference in references:
        rivals = [one for one in coded if one is reference or one.family != OWN_FAMILY]
        field = [one for one in rivals if has_equal_bytes(one, reference)]
        if len(field) > 1:
            field.sort(key=lambda one: (one is not reference, one.mean_bytes))
            fields.setdefault(frozenset(one.name for one in field), field)
    return list(fields.values())


def has_equal_bytes(first: CodecResult, second: CodecResult) -> bool:
    """Return whether two codecs take about as many bytes, on average over the set."""
    return 1 / BYTES_TOLERANCE <= first.mean_bytes / second.mean_bytes <= BYTES_TOLERANCE


def find_lead(metric: str, field: Sequence[CodecResult]) -> Lead | None:
    """Return who is ahead on a metric, or None if fewer than two of the field have it."""
    sign = 1 if METRICS[metric].direction == "higher" else -1
    in_set = [one for one in field if metric in one.set_metrics]
    if len(in_set) > 1:
        best, *others = sorted(in_set, key=lambda one: -sign * one.set_metrics[metric])
        gaps: dict[str, Difference] = {
            one.name: (best.set_metrics[metric] - one.set_metrics[metric], None, None) for one in others
        }
        return Lead(metric, (best,), others[0], gaps, min(len(one.images) for one in in_set))
    means = {one.name: one.image_means(metric) for one in field}
    able = [one for one in field if means[one.name]]
    if len(able) < 2:
        return None
    common = sorted(set.intersection(*(set(means[one.name]) for one in able)))
    if not common:
        return None
    values = {one.name: [means[one.name][image] for image in common] for one in able}
    best, *others = sorted(able, key=lambda one: -sign * np.mean(values[one.name]))
    differences = {one.name: _difference(values[best.name], values[one.name]) for one in others}
    tied = [one for one in others if not _is_told_apart(differences[one.name], len(common))]
    rival = next((one for one in others if one not in tied), others[0])
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
    if len({one.name for one in winners}) == 1:
        return winners[0], len(winners)
    return None, len(winners)


def _difference(first: list[float], second: list[float]) -> Difference:
    if len(first) < 2:
        return first[0] - second[0], None, None
    return paired_difference(first, second)


def _is_told_apart(difference: Difference, num_pictures: int) -> bool:
    _, low, high = difference
    return num_pictures >= MIN_PICTURES and low is not None and high is not None and (low > 0 or high < 0)
