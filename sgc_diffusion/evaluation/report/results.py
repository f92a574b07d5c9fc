"""Results of one picture set, as `eval/run.py` leaves them, and the numbers in them.

OUT/*.json ──read_results──▶ results ──estimate──▶ mean and interval of a metric ──summary_csv──▶ a line a codec

The unit of all statistics is the picture: the seeds of a generative decoder are averaged first.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sgc_diffusion.evaluation.metrics import METRICS
from sgc_diffusion.evaluation.metrics.registry import RETIRED
from sgc_diffusion.evaluation.scoring import WHOLE_SET
from sgc_diffusion.evaluation.statistics import Estimate, mean_and_interval, seed_deviation

SCHEMA = 1
ORIGINAL = "original"  # the pseudo-codec that is the picture itself
FIELDS = ("codec", "title", "family", "generative", "set", "rows", "command", "commit", "platform")
ROW_FIELDS = ("image", "seed", "bytes", "bpp", "metrics")


@dataclass(frozen=True)
class CodecResult:
    """What was measured of one codec configuration.

    Attributes:
        name: such as `vvc-qp55`, the stem of its file.
        title: for readers.
        short_title: without the encoder's name and the byte budget, for sentences; the title where that is not unique.
        family: such as `vvc`; one color and marker in the plots.
        is_generative: its decoder takes a seed; rows repeat a picture for each seed.
        set_name: the picture set.
        rows: one for each picture and seed.
        set_metrics: metric → one number over all pictures of seed 0.
        unavailable: metric → why there is no number, with the command that gets the weights.
        failures: pictures that it could not code, each with `image` and `error`.
        provenance: `command`, `commit`, `platform` and `libraries`.
    """

    name: str
    title: str
    short_title: str
    family: str
    is_generative: bool
    set_name: str
    rows: tuple[dict[str, Any], ...]
    set_metrics: dict[str, float]
    unavailable: dict[str, str]
    failures: tuple[dict[str, str], ...]
    provenance: dict[str, Any]

    @property
    def images(self) -> list[str]:
        """Names of the pictures that were decoded, in order."""
        return list(dict.fromkeys(row["image"] for row in self.rows))

    @property
    def num_given(self) -> int:
        """How many pictures it was given, failures included."""
        return len({*self.images, *(failure["image"] for failure in self.failures)} - {WHOLE_SET})

    @property
    def mean_bytes(self) -> float:
        """Bytes of a file, mean over pictures."""
        return _mean_over_images(self.by_image("bytes"))

    @property
    def mean_bpp(self) -> float:
        """Bits of the file over pixels of the original, mean over pictures."""
        return _mean_over_images(self.by_image("bpp"))

    @property
    def floor_share(self) -> float:
        """Share of the pictures, 0 … 1, where the codec could not make a file as small as was asked for."""
        floors = {row["image"]: bool(row.get("is_floor")) for row in self.rows}
        return sum(floors.values()) / max(1, len(floors))

    def by_image(self, name: str) -> dict[str, list[float]]:
        """Return picture → the values of all its seeds; `name` is a metric or a number of the row such as `bytes`."""
        values: dict[str, list[float]] = {}
        for row in self.rows:
            value = row["metrics"].get(name, row.get(name))
            if value is not None and math.isfinite(value):
                values.setdefault(row["image"], []).append(float(value))
        return values

    def image_means(self, metric: str) -> dict[str, float]:
        """Return picture → mean over its seeds."""
        return {image: float(np.mean(values)) for image, values in self.by_image(metric).items()}

    def has(self, metric: str) -> bool:
        """Return whether there is any number."""
        return metric in self.set_metrics or bool(self.by_image(metric))


def _mean_over_images(values: Mapping[str, list[float]]) -> float:
    return float(np.mean([np.mean(of_seeds) for of_seeds in values.values()])) if values else math.nan


def read_results(folder: Path) -> list[CodecResult]:
    """Read all results of a folder, the originals first, then by rising bytes.

    Args:
        folder: holds one `<codec>.json` a codec configuration, of one picture set.

    Raises:
        ValueError: the folder is missing or holds no results, a file is none, or the files are of several sets.
    """
    if not folder.is_dir():
        raise ValueError(f"`results_dir` must be a folder with results, got {folder}, which is none; run eval/run.py")
    results = [_read_result(path) for path in sorted(folder.glob("*.json"))]
    if not results:
        raise ValueError(f"`results_dir` {folder} holds no results (*.json); run eval/run.py with --out {folder}")
    sets = sorted({result.set_name for result in results})
    if len(sets) > 1:
        raise ValueError(
            f"`results_dir` {folder} must hold results of one set, got {', '.join(sets)}; give each its own"
        )
    shorts = Counter(result.short_title for result in results)
    results = [
        result if shorts[result.short_title] == 1 else replace(result, short_title=result.title) for result in results
    ]
    return sorted(
        results, key=lambda result: (result.name != ORIGINAL, not result.rows, result.mean_bytes, result.name)
    )


def short_title(title: str) -> str:
    """Return `VVC reduced` for `VVC (vvenc), reduced, SGC's budget`."""
    title = re.sub(r" \([^)]*\)", "", title)
    return re.sub(r", (SGC's budget|≤ \d+ B)$", "", title).replace(",", "")


def _read_result(path: Path) -> CodecResult:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is no JSON file that can be read: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"{path} is no result of schema {SCHEMA}; move it away or measure again with eval/run.py")
    missing = [name for name in FIELDS if name not in data]
    missing += sorted({f"rows[].{name}" for row in data.get("rows", []) for name in ROW_FIELDS if name not in row})
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; measure again with eval/run.py")
    named = {name for row in data["rows"] for name in row["metrics"]} | set(data.get("set_metrics", {}))
    unknown = sorted((named | set(data.get("metrics_unavailable", {}))) - set(METRICS) - set(RETIRED))
    if unknown:
        raise ValueError(f"{path} has metrics that this version does not know: {', '.join(unknown)}; measure again")
    return CodecResult(
        name=data["codec"],
        title=data["title"],
        short_title=short_title(data["title"]),
        family=data["family"],
        is_generative=data["generative"],
        set_name=data["set"],
        rows=tuple(data["rows"]),
        set_metrics={
            name: value
            for name, value in data.get("set_metrics", {}).items()
            if value is not None and name not in RETIRED
        },
        unavailable=dict(data.get("metrics_unavailable", {})),
        failures=tuple(data.get("failures", ())),
        provenance={name: data.get(name) for name in ("command", "commit", "platform", "libraries")},
    )


COSTS = ("encode_s", "decode_s", "encode_peak_mib", "decode_peak_mib")
UNAVAILABLE = "unavailable"


def estimate(result: CodecResult, metric: str) -> Estimate | None:
    """Return the estimate of a metric, or None if the codec has no number for it; a set metric has no interval."""
    if metric in result.set_metrics:
        return Estimate(result.set_metrics[metric])
    means = result.image_means(metric)
    return mean_and_interval(list(means.values())) if means else None


def median_cost(result: CodecResult, name: str) -> float | None:
    """Return the median over rows of one of `COSTS`, or None where it was not measured."""
    values = [value for values in result.by_image(name).values() for value in values]
    return float(np.median(values)) if values else None


def measured_metrics(results: Sequence[CodecResult]) -> list[str]:
    """Return the metrics that were asked for, with numbers or unavailable, in the order of `METRICS`."""
    return [name for name in METRICS if any(result.has(name) or name in result.unavailable for result in results)]


def summary_csv(results: Sequence[CodecResult]) -> str:
    """Return `summary.csv`: a line a codec; four columns a metric: mean, both ends of the interval, spread of seeds."""
    metrics = measured_metrics(results)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = ["codec", "title", "family", "generative", "set", "num_images", "num_decoded", "num_failures"]
    head += ["bytes", "bpp", "floor_share", *COSTS]
    writer.writerow(head + [name + end for name in metrics for end in ("", "_low", "_high", "_seed_sd")])
    for result in results:
        row: list[object] = [
            result.name,
            result.title,
            result.family,
            result.is_generative,
            result.set_name,
            result.num_given,
        ]
        row += [len(result.images), len(result.failures), result.mean_bytes, result.mean_bpp, result.floor_share]
        row += [median_cost(result, name) for name in COSTS]
        for name in metrics:
            estimated = estimate(result, name)
            if estimated is None:
                row += [UNAVAILABLE if name in result.unavailable else "", "", "", ""]
            else:
                row += [*estimated, seed_deviation(result.by_image(name))]
        writer.writerow(map(_written, row))
    return stream.getvalue()


def _written(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value
