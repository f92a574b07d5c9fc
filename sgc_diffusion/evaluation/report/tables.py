"""The tables of a report, the same for Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sgc_diffusion.evaluation.metrics import METRICS
from sgc_diffusion.evaluation.report.estimates import COSTS, UNAVAILABLE, Estimate, estimate, median_cost
from sgc_diffusion.evaluation.report.published import METRICS_OF_TABLE, OURS, SCALES, SOURCE, TABLE
from sgc_diffusion.evaluation.report.results import ORIGINAL, CodecResult
from sgc_diffusion.evaluation.report.verdict import OWN_FAMILY, compare
from sgc_diffusion.evaluation.report.wording import GROUPS, interval, label, listed, number


@dataclass(frozen=True)
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
    estimates = {one.name: {name: estimate(one, name) for name in metrics} for one in results}
    best = _best_of_fields(estimates, fields or [[one for one in results if one.name != ORIGINAL]])
    footnotes: dict[str, int] = {}
    for heading, members in _by_bytes(results, fields):
        table.sections[len(table.rows)] = heading
        for one in members:
            cells = [_metric_cell(one, name, estimates[one.name][name], places[name], footnotes) for name in metrics]
            marked = [
                Cell(cell.text, cell.detail, (one.name, name) in best)
                for name, cell in zip(metrics, cells, strict=True)
            ]
            table.rows.append([Cell(one.title, _pictures(one)), *_size_cells(one), *marked])
    table.notes.append(
        "Mean over pictures with its 95 % bootstrap interval; ± is the standard deviation over the seeds of one "
        "picture. Bold: the best mean among codecs with about as many bytes."
    )
    if any(one.floor_share for one in results):
        table.notes.append("Floor: the codec cannot make a smaller file; it takes more bytes than it was given.")
    table.notes += [f"({index}) {text}" for text, index in footnotes.items()]
    return table


def _by_bytes(
    results: Sequence[CodecResult], fields: Sequence[Sequence[CodecResult]]
) -> list[tuple[str, list[CodecResult]]]:
    """Return headings with their codecs: the originals, each field of about equal bytes, and the others."""
    sections = [("The picture itself", [one for one in results if one.name == ORIGINAL])]
    placed = {ORIGINAL}
    for members in fields:
        rest = [one for one in members if one.name not in placed]
        placed |= {one.name for one in rest}
        sections.append((f"About {members[0].mean_bytes:.0f} bytes", rest))
    sections.append(("Other sizes" if fields else "All sizes", [one for one in results if one.name not in placed]))
    return [section for section in sections if section[1]]


def _best_of_fields(
    estimates: dict[str, dict[str, Estimate | None]], fields: Sequence[Sequence[CodecResult]]
) -> set[tuple[str, str]]:
    best = set()
    for members in fields:
        for metric in next(iter(estimates.values())):
            means = {one.name: found.mean for one in members if (found := estimates[one.name][metric]) is not None}
            if len(means) > 1:
                choose = max if METRICS[metric].direction == "higher" else min
                goal = choose(means.values())
                best |= {(name, metric) for name, mean in means.items() if mean == goal}
    return best


def _metric_cell(
    result: CodecResult, metric: str, found: Estimate | None, places: int, footnotes: dict[str, int]
) -> Cell:
    if found is not None:
        spread = "" if found.seed_sd is None else f"±{number(found.seed_sd, places)}"
        return Cell(
            number(found.mean, places), " ".join(filter(None, [interval(found.low, found.high, places), spread]))
        )
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
            found = [compare(name, reference, other) for name in measured if METRICS[name].group == group]
            counts = [(found.count(word), word) for word in ("better", "worse", "undecided")]
            row.append(Cell(", ".join(f"{count} {word}" for count, word in counts if count) or "–"))
        table.rows.append(row)
    table.notes.append(
        f"Number of metrics on which {reference.short_title} is better or worse than the codec of the row."
    )
    return table


def cost_table(results: Sequence[CodecResult]) -> Table:
    """Return time and peak memory, medians over pictures."""
    table = Table(columns=("Codec", "encode, s", "decode, s", "encode peak, MiB", "decode peak, MiB"))
    for one in results:
        costs = [median_cost(one, name) for name in COSTS]
        if one.name != ORIGINAL and any(cost is not None for cost in costs):
            cells = [Cell(number(cost, _cost_places(cost))) for cost in costs]
            table.rows.append([Cell(one.title), *cells])
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
    ours = [one for one in results if one.name in OURS or one.family == OWN_FAMILY]
    if ours:
        table.sections[len(table.rows)] = f"Measured here: {ours[0].set_name}, {_sizes(ours)}"
    for one in ours:
        found = [_in_their_units(name, estimate(one, name)) for name in METRICS_OF_TABLE]
        cells = [
            Cell(UNAVAILABLE if value is None and name in one.unavailable else number(value, _printed_places(value)))
            for name, value in zip(METRICS_OF_TABLE, found, strict=True)
        ]
        table.rows.append([Cell(one.title), *cells, _size_cells(one)[1]])
    table.notes.append(
        "DBCNN times 100, as the paper prints it. With other pictures, weights or segmenters the halves do not compare."
    )
    return table


def _in_their_units(metric: str, found: Estimate | None) -> float | None:
    return None if found is None else found.mean * SCALES.get(metric, 1)


def _printed_places(value: float | None) -> int:
    return 1 if value is not None and value >= 10 else 2


def _sizes(results: Sequence[CodecResult]) -> str:
    sizes = sorted({f"{row['width']}×{row['height']}" for one in results for row in one.rows if "width" in row})
    return listed(sizes) if 0 < len(sizes) < 4 else "several sizes"


def failure_table(results: Sequence[CodecResult]) -> Table:
    """Return the pictures that were not coded."""
    rows = [[Cell(one.title), Cell(each["image"]), Cell(each["error"])] for one in results for each in one.failures]
    return Table(columns=("Codec", "picture", "error"), rows=rows)
