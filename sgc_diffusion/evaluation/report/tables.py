"""The tables of a report, the same for Markdown and HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from sgc_diffusion.evaluation.metrics import METRICS
from sgc_diffusion.evaluation.report.results import (
    COSTS,
    ORIGINAL,
    UNAVAILABLE,
    CodecResult,
    estimate,
    median_cost,
)
from sgc_diffusion.evaluation.report.verdict import GROUPS, OWN_FAMILY, compare, interval, label, listed, number
from sgc_diffusion.evaluation.statistics import Estimate, seed_deviation

# Table I of the paper: T. Bordin and T. Maugey, "Semantic based generative compression of images for extremely low
# bitrates", MMSP 2023: S-FLCKR landscapes, 512×512, first sample. The numbers are theirs; no script here made them.
SOURCE = "Bordin & Maugey, MMSP 2023, Table I: S-FLCKR landscapes, 512×512"
METRICS_OF_TABLE = ("dbcnn", "musiq", "hyperiqa", "clipiqa", "label_bce", "clip_similarity")
TABLE = (  # codec, values in the order of METRICS_OF_TABLE, bpp
    ("input", (62.2, 67.5, 0.58, 0.56, None, None), None),
    ("VVC (vvenc), QP 55", (19.8, 24.2, 0.23, 0.32, 0.93, 0.62), 0.0229),
    ("SGC", (49.8, 60.6, 0.54, 0.47, 0.40, 0.80), 0.0209),
)
SCALES = {"dbcnn": 100}  # by which the paper multiplies
OURS = ("original", "vvc-paper", "vvc-qp55")  # results that stand beside, and all of this project's codec


@dataclass
class Cell:
    """One cell: its text, what stands small below it, and whether it is the best of its column."""

    text: str
    detail: str = ""
    is_best: bool = False


@dataclass
class Table:
    """A table.

    Attributes:
        columns: their titles; the first is that of the row titles.
        rows: their cells, the first one the title.
        sections: row number → heading above that row.
        spans: heading over several columns and how many; empty for none.
        notes: lines below it.
    """

    columns: tuple[str, ...]
    rows: list[list[Cell]] = field(default_factory=list)
    sections: dict[int, str] = field(default_factory=dict)
    spans: tuple[tuple[str, int], ...] = ()
    notes: list[str] = field(default_factory=list)


def metric_table(
    results: Sequence[CodecResult], fields: Sequence[Sequence[CodecResult]], places: dict[str, int]
) -> Table:
    """Return codecs × metrics, grouped by bytes; `places` gives the metrics and their decimals."""
    metrics = [name for group in GROUPS for name in places if METRICS[name].group == group]
    spans = [("", 1), ("File", 2)]
    spans += [
        (title, len([name for name in metrics if METRICS[name].group == key])) for key, (title, _) in GROUPS.items()
    ]
    table = Table(
        columns=("Codec", "bytes", "bpp", *map(label, metrics)), spans=tuple(span for span in spans if span[1])
    )
    estimates = {result.name: {name: estimate(result, name) for name in metrics} for result in results}
    best = _best_of_fields(estimates, fields or [[result for result in results if result.name != ORIGINAL]])
    footnotes: dict[str, int] = {}
    for heading, members in _by_bytes(results, fields):
        table.sections[len(table.rows)] = heading
        for result in members:
            cells = [
                _metric_cell(result, name, estimates[result.name][name], places[name], footnotes) for name in metrics
            ]
            for name, cell in zip(metrics, cells, strict=True):
                cell.is_best = (result.name, name) in best
            table.rows.append([Cell(result.title, _pictures(result)), *_size_cells(result), *cells])
    table.notes.append(
        "Mean over pictures with its 95 % bootstrap interval; ± is the standard deviation over the seeds of one "
        "picture. Bold: the best mean among codecs with about as many bytes."
    )
    if any(result.floor_share for result in results):
        table.notes.append("Floor: the codec cannot make a smaller file; it takes more bytes than it was given.")
    table.notes += [f"({index}) {text}" for text, index in footnotes.items()]
    return table


def _by_bytes(
    results: Sequence[CodecResult], fields: Sequence[Sequence[CodecResult]]
) -> list[tuple[str, list[CodecResult]]]:
    """Return headings with their codecs: the originals, each field of about equal bytes, and the others."""
    sections = [("The picture itself", [result for result in results if result.name == ORIGINAL])]
    placed = {ORIGINAL}
    for members in fields:
        rest = [result for result in members if result.name not in placed]
        placed |= {result.name for result in rest}
        sections.append((f"About {members[0].mean_bytes:.0f} bytes", rest))
    sections.append(
        ("Other sizes" if fields else "All sizes", [result for result in results if result.name not in placed])
    )
    return [section for section in sections if section[1]]


def _best_of_fields(
    estimates: dict[str, dict[str, Estimate | None]], fields: Sequence[Sequence[CodecResult]]
) -> set[tuple[str, str]]:
    best = set()
    for members in fields:
        for metric in next(iter(estimates.values())):
            means = {
                result.name: estimated.mean
                for result in members
                if (estimated := estimates[result.name][metric]) is not None
            }
            if len(means) > 1:
                goal = max(means.values(), key=METRICS[metric].merit)
                best |= {(name, metric) for name, mean in means.items() if mean == goal}
    return best


def _metric_cell(
    result: CodecResult, metric: str, estimated: Estimate | None, places: int, footnotes: dict[str, int]
) -> Cell:
    if estimated is not None:
        deviation = seed_deviation(result.by_image(metric))
        spread = "" if math.isnan(deviation) else f"±{number(deviation, places)}"
        return Cell(number(estimated.mean, places), " ".join(filter(None, [interval(estimated, places), spread])))
    if metric in result.unavailable and not (result.name == ORIGINAL and METRICS[metric].reference != "none"):
        reason = f"{METRICS[metric].title}: {result.unavailable[metric]}"
        return Cell(f"{UNAVAILABLE} ({footnotes.setdefault(reason, len(footnotes) + 1)})")
    return Cell("–")


def _size_cells(result: CodecResult) -> list[Cell]:
    if result.name == ORIGINAL or not result.rows:
        return [Cell("–"), Cell("–")]
    floor = "floor" if result.floor_share == 1 else f"floor on {result.floor_share:.0%}" if result.floor_share else ""
    return [Cell(f"{result.mean_bytes:.0f}", floor), Cell(f"{result.mean_bpp:.4f}")]


def _pictures(result: CodecResult) -> str:
    done = len(result.images)
    return "" if done == result.num_given else f"{done} of {result.num_given} pictures"


def pair_table(reference: CodecResult, results: Sequence[CodecResult], places: dict[str, int]) -> Table:
    """Return how a codec stands beside each other one, whatever their bytes."""
    measured = [name for name in places if reference.has(name) and METRICS[name].group != "set"]
    groups = [key for key in GROUPS if any(METRICS[name].group == key for name in measured)]
    table = Table(columns=(f"{reference.short_title} beside", "its bytes", *(GROUPS[key][0] for key in groups)))
    for other in results:
        if other.name in (ORIGINAL, reference.name) or not other.rows:
            continue
        row = [Cell(other.short_title), Cell(f"{other.mean_bytes / reference.mean_bytes:.2f} ×")]
        for group in groups:
            outcomes = [compare(name, reference, other) for name in measured if METRICS[name].group == group]
            counts = [(outcomes.count(word), word) for word in ("better", "worse", "undecided")]
            row.append(Cell(", ".join(f"{count} {word}" for count, word in counts if count) or "–"))
        table.rows.append(row)
    table.notes.append(
        f"Number of metrics on which {reference.short_title} is better or worse than the codec of the row."
    )
    return table


def cost_table(results: Sequence[CodecResult]) -> Table:
    """Return time and peak memory, medians over pictures."""
    table = Table(columns=("Codec", "encode, s", "decode, s", "encode peak, MiB", "decode peak, MiB"))
    for result in results:
        costs = [median_cost(result, name) for name in COSTS]
        if result.name != ORIGINAL and any(cost is not None for cost in costs):
            cells = [Cell(number(cost, _cost_places(cost))) for cost in costs]
            table.rows.append([Cell(result.title), *cells])
    table.notes.append("Median over pictures and seeds.")
    return table


def _cost_places(cost: float | None) -> int:
    return next((places for bound, places in ((100, 0), (10, 1), (0.1, 2)) if cost is not None and cost >= bound), 4)


def published_table(results: Sequence[CodecResult]) -> Table:
    """Return the paper's Table I beside ours."""
    table = Table(columns=("Codec", *map(label, METRICS_OF_TABLE), "bpp"))
    table.sections[0] = f"Published: {SOURCE}"
    for title, values, rate in TABLE:
        cells = [Cell(number(value, _printed_places(value))) for value in values]
        table.rows.append([Cell(title), *cells, Cell("–" if rate is None else f"{rate:.4f}")])
    ours = [result for result in results if result.name in OURS or result.family == OWN_FAMILY]
    if ours:
        table.sections[len(table.rows)] = f"Measured here: {ours[0].set_name}, {_sizes(ours)}"
    for result in ours:
        values = [_in_their_units(name, estimate(result, name)) for name in METRICS_OF_TABLE]
        cells = [
            Cell(UNAVAILABLE if value is None and name in result.unavailable else number(value, _printed_places(value)))
            for name, value in zip(METRICS_OF_TABLE, values, strict=True)
        ]
        table.rows.append([Cell(result.title), *cells, _size_cells(result)[1]])
    table.notes.append(
        "DBCNN times 100, as the paper prints it. With other pictures, weights or segmenters the halves do not compare."
    )
    return table


def _in_their_units(metric: str, estimated: Estimate | None) -> float | None:
    return None if estimated is None else estimated.mean * SCALES.get(metric, 1)


def _printed_places(value: float | None) -> int:
    return 1 if value is not None and value >= 10 else 2


def _sizes(results: Sequence[CodecResult]) -> str:
    sizes = sorted({f"{row['width']}×{row['height']}" for result in results for row in result.rows if "width" in row})
    return listed(sizes) if 0 < len(sizes) < 4 else "several sizes"


def failure_table(results: Sequence[CodecResult]) -> Table:
    """Return the pictures that were not coded."""
    rows = [
        [Cell(result.title), Cell(each["image"]), Cell(each["error"])] for result in results for each in result.failures
    ]
    return Table(columns=("Codec", "picture", "error"), rows=rows)
