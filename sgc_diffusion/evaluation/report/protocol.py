"""The paper's protocol: label BCE judged by the sending segmenter, relative to that of VVC at QP 55.

The absolute figure depends on the number of labels (200 / K at most); the ratio to VVC's does not, so that it can stand
beside the paper's 0.40 / 0.93.
"""

from __future__ import annotations

from collections.abc import Sequence

from sgc_diffusion.evaluation.report.results import ORIGINAL, CodecResult
from sgc_diffusion.evaluation.report.tables import SOURCE, TABLE, Cell, Table
from sgc_diffusion.evaluation.report.verdict import interval, number
from sgc_diffusion.evaluation.statistics import mean_and_interval

METRIC = "sender_bce"
ANCHORS = ("vvc-paper", "vvc-qp55")  # results at the paper's QP 55, under either of their names
PUBLISHED = {row[0]: row[1][4] for row in TABLE if row[1][4] is not None}
PUBLISHED_ANCHOR = "VVC (vvenc), QP 55"


def protocol_table(results: Sequence[CodecResult]) -> Table | None:
    """Return codecs × BCE by the sending segmenter, alone and relative to VVC's; None where nobody measured it."""
    measured = [result for result in results if result.name != ORIGINAL and result.by_image(METRIC)]
    if not measured:
        return None
    table = Table(columns=("Codec", "Label BCE, sender's ↓", "relative to VVC QP 55's ↓", "bpp"))
    table.sections[0] = f"Published: {SOURCE}"
    for title, value in PUBLISHED.items():
        relative = value / PUBLISHED[PUBLISHED_ANCHOR]
        table.rows.append([Cell(title), Cell(number(value, 2)), Cell(number(relative, 2)), Cell("–")])
    table.sections[len(table.rows)] = f"Measured here: {measured[0].set_name}"
    anchor = next((result for result in measured if result.name in ANCHORS), None)
    for result in measured:
        estimated = mean_and_interval(list(result.image_means(METRIC).values()))
        relative = number(None if anchor is None else _relative(result, anchor), 2)
        cells = [Cell(number(estimated.mean, 3), interval(estimated, 3)), Cell(relative)]
        table.rows.append([Cell(result.title), *cells, Cell(f"{result.mean_bpp:.4f}")])
    table.notes.append(
        "The segmenter that sends the labels judges them, as in the paper; it is not neutral, the label metrics above "
        "are. Relative: mean over the pictures that both have, over VVC's mean."
    )
    return table


def _relative(result: CodecResult, anchor: CodecResult) -> float | None:
    """Return the mean of a codec over that of the anchor on the pictures of both."""
    ours, theirs = result.image_means(METRIC), anchor.image_means(METRIC)
    common = ours.keys() & theirs.keys()
    denominator = sum(theirs[image] for image in common)
    return sum(ours[image] for image in common) / denominator if denominator else None
