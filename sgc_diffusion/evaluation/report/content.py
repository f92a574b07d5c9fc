"""Everything a report says, before it is laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sgc_diffusion.evaluation.metrics import METRICS
from sgc_diffusion.evaluation.report import tables
from sgc_diffusion.evaluation.report.curves import bd_rate_table
from sgc_diffusion.evaluation.report.estimates import estimate, measured_metrics
from sgc_diffusion.evaluation.report.results import ORIGINAL, CodecResult
from sgc_diffusion.evaluation.report.verdict import BYTES_TOLERANCE, MIN_PICTURES, OWN_FAMILY, fields_of_equal_bytes
from sgc_diffusion.evaluation.report.wording import GroupVerdict, decimals, group_verdicts, listed

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
        rate_bpp: likewise.
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
        pairs: this project's codecs beside each other one.
        published: the paper's Table I beside ours.
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
    own = [one for one in results if one.family == OWN_FAMILY and one.rows]
    return Content(
        set_name=results[0].set_name,
        num_images=max(one.num_given for one in results),
        verdicts=[
            FieldVerdict(
                field[0].mean_bytes,
                field[0].mean_bpp,
                tuple(one.short_title for one in field),
                group_verdicts(field, places),
                _left_out(results, field),
            )
            for field in fields
        ],
        verdict_gap="" if fields else _gap(results),
        metrics=tables.metric_table(results, fields, places),
        pairs=[table for one in own if (table := tables.pair_table(one, results, places)).rows],
        published=tables.published_table(results),
        costs=tables.cost_table(results),
        bd_rates=bd_rate_table(results, [name for name in names if METRICS[name].group != "set"]),
        failures=tables.failure_table(results),
        provenance=_provenance(results),
        metric_names=names,
    )


def _decimals(results: Sequence[CodecResult], metric: str) -> int:
    return decimals(found.mean for one in results if (found := estimate(one, metric)) is not None)


def _gap(results: Sequence[CodecResult]) -> str:
    """Say why nothing can be compared at equal bytes."""
    coded = [one for one in results if one.name != ORIGINAL and one.rows]
    if len(coded) < 2:
        return f"No verdict: {len(coded) or 'no'} codec was measured, and it takes two to compare."
    sizes = [f"{one.short_title} {one.mean_bytes:.0f}" for one in coded]
    return f"No verdict: no two codecs take about as many bytes ({listed(sizes)}); run them with --budget same."


def _left_out(results: Sequence[CodecResult], field: Sequence[CodecResult]) -> str:
    """Say which codecs cannot make files as small as those of a field."""
    floors = [one for one in results if one.floor_share and one.mean_bytes > field[0].mean_bytes and one not in field]
    if not floors:
        return ""
    sizes = [f"{one.short_title} ({one.mean_bytes / field[0].mean_bytes:.1f} times the bytes)" for one in floors]
    return f"Cannot go as low: {listed(sizes)}."


def _provenance(results: Sequence[CodecResult]) -> list[dict[str, Any]]:
    """Return the different ways of measuring, each with the titles of its codecs."""
    groups: list[dict[str, Any]] = []
    for one in results:
        match = next(
            (group for group in groups if all(group[key] == one.provenance[key] for key in one.provenance)), None
        )
        if match is None:
            groups.append({**one.provenance, "codecs": [one.short_title]})
        else:
            match["codecs"].append(one.short_title)
    if len(groups) == 1:
        groups[0]["codecs"] = ["All codecs"]
    return groups
