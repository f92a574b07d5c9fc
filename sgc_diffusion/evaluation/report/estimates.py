"""One number and its interval for each codec and metric, and `summary.csv` of them.

The unit of all statistics is the picture: the seeds of a generative decoder are averaged first.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sgc_diffusion.evaluation.metrics import METRICS
from sgc_diffusion.evaluation.report.results import CodecResult
from sgc_diffusion.evaluation.statistics import mean_and_interval, seed_spread

COSTS = ("encode_s", "decode_s", "encode_peak_mib", "decode_peak_mib")
UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Estimate:
    """A metric of a codec over all pictures.

    Attributes:
        mean: over pictures of the mean over seeds; the number itself for a set metric.
        low: end of the 95 % bootstrap interval over pictures; None for a set metric or a single picture.
        high: likewise.
        seed_sd: standard deviation over the seeds of a picture; None with one seed.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    seed_sd: float | None = None


def estimate(result: CodecResult, metric: str) -> Estimate | None:
    """Return the estimate of a metric, or None if the codec has no number for it."""
    if metric in result.set_metrics:
        return Estimate(result.set_metrics[metric])
    by_image = result.by_image(metric)
    if not by_image:
        return None
    means = list(result.image_means(metric).values())
    repeated = {image: values for image, values in by_image.items() if len(values) > 1}
    seed_sd = seed_spread(repeated)[1] if repeated else None
    if len(means) == 1:
        return Estimate(means[0], seed_sd=seed_sd)
    mean, low, high = mean_and_interval(means)
    return Estimate(mean, low, high, seed_sd)


def median_cost(result: CodecResult, name: str) -> float | None:
    """Return the median over rows of one of `COSTS`, or None where it was not measured."""
    values = [value for values in result.by_image(name).values() for value in values]
    return float(np.median(values)) if values else None


def measured_metrics(results: Sequence[CodecResult]) -> list[str]:
    """Return the metrics that were asked for, with numbers or unavailable, in the order of `METRICS`."""
    return [name for name in METRICS if any(one.has(name) or name in one.unavailable for one in results)]


def summary_csv(results: Sequence[CodecResult]) -> str:
    """Return `summary.csv`: a line a codec; four columns a metric: mean, both ends of the interval, spread of seeds."""
    metrics = measured_metrics(results)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = ["codec", "title", "family", "generative", "set", "num_images", "num_decoded", "num_failures"]
    head += ["bytes", "bpp", "floor_share", *COSTS]
    writer.writerow(head + [name + end for name in metrics for end in ("", "_low", "_high", "_seed_sd")])
    for one in results:
        row: list[object] = [one.name, one.title, one.family, one.is_generative, one.set_name, one.num_given]
        row += [len(one.images), len(one.failures), one.mean_bytes, one.mean_bpp, one.floor_share]
        row += [median_cost(one, name) for name in COSTS]
        for name in metrics:
            found = estimate(one, name)
            if found is None:
                row += [UNAVAILABLE if name in one.unavailable else "", "", "", ""]
            else:
                row += [found.mean, found.low, found.high, found.seed_sd]
        writer.writerow(["" if value is None else _rounded(value) for value in row])
    return stream.getvalue()


def _rounded(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
