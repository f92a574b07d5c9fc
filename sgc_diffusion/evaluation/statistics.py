"""What a handful of pictures allows to say: means with intervals, paired differences, seeds, rate saved.

values of N pictures ──bootstrap over pictures──▶ mean [low, high]
ours, theirs of the same pictures ──differences──bootstrap──▶ mean difference [low, high]
{picture: values of its seeds} ──▶ deviation between seeds
two rate–quality curves ──log rate over the shared qualities──▶ BD-rate in per cent

Intervals are percentiles of the means of resampled pictures (Efron's bootstrap), at a fixed seed: the same values give
the same interval. They are of pictures, not of seeds: those of one picture are not independent, average them first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

NUM_RESAMPLES = 9999


class Estimate(NamedTuple):
    """A mean and its 95 % interval; `low` and `high` are NaN where there are fewer than two values."""

    mean: float
    low: float = math.nan
    high: float = math.nan


def mean_and_interval(values: Sequence[float] | np.ndarray) -> Estimate:
    """Return the mean of values and its bootstrap interval.

    Args:
        values: (N,) finite, one a picture.

    Raises:
        ValueError: no values, or some that are not finite.
    """
    return _bootstrapped(tuple(_finite("values", values).tolist()))


@lru_cache(maxsize=4096)  # a report tells most of its intervals several times
def _bootstrapped(values: tuple[float, ...]) -> Estimate:
    from scipy.stats import bootstrap

    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean)
    rng = np.random.default_rng(0)
    interval = bootstrap(
        (values,), np.mean, n_resamples=NUM_RESAMPLES, method="percentile", rng=rng
    ).confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high))


def paired_difference(ours: Sequence[float] | np.ndarray, theirs: Sequence[float] | np.ndarray) -> Estimate:
    """Return the mean of ours − theirs and its bootstrap interval over pictures; without 0 in it, they differ.

    Args:
        ours: (N,) finite, one a picture.
        theirs: (N,) of the same pictures in the same order.

    Raises:
        ValueError: different numbers of values, none, or some that are not finite.
    """
    first, second = _finite("ours", ours), _finite("theirs", theirs)
    if len(first) != len(second):
        raise ValueError(f"`theirs` must have the {len(first)} values of `ours`, got {len(second)}; pair the pictures")
    return mean_and_interval(first - second)


def seed_deviation(values: Mapping[str, Sequence[float]]) -> float:
    """Return how much a picture varies with the seed.

    Args:
        values: picture → values of its seeds, finite.

    Returns:
        The root of the mean variance (with n − 1) within pictures of several seeds; NaN where none has several.

    Raises:
        ValueError: a picture without values, or values that are not finite.
    """
    arrays = [_finite(f"values[{name!r}]", of_seeds) for name, of_seeds in values.items()]
    variances = [array.var(ddof=1) for array in arrays if len(array) > 1]
    return float(np.sqrt(np.mean(variances))) if variances else math.nan


def bd_rate(
    rates: Sequence[float] | np.ndarray,
    qualities: Sequence[float] | np.ndarray,
    other_rates: Sequence[float] | np.ndarray,
    other_qualities: Sequence[float] | np.ndarray,
) -> float:
    """Return the Bjøntegaard delta rate: how many per cent more rate the other curve takes at equal quality.

    log rate as a function of quality, interpolated by monotone cubics (PCHIP), averaged over the qualities that both
    curves have (Bjøntegaard, VCEG-M33; PCHIP as in JCTVC-L1100). Negative: the other curve saves rate.

    Args:
        rates: (N,) positive, N ≥ 2; bits a pixel or bytes.
        qualities: (N,) of the same points, in any order. Better may be higher or lower, but must cost rate throughout.
        other_rates: (M,) of the other curve.
        other_qualities: (M,).

    Raises:
        ValueError: curves that share no range of qualities, have fewer than two points, or whose quality does not rise
            or fall with the rate throughout.
    """
    first, second = _curve("rates", rates, qualities), _curve("other_rates", other_rates, other_qualities)
    low, high = max(first.x[0], second.x[0]), min(first.x[-1], second.x[-1])
    if low >= high:
        raise ValueError(
            f"`other_qualities` [{second.x[0]:g}, {second.x[-1]:g}] do not overlap with `qualities` [{first.x[0]:g}, "
            f"{first.x[-1]:g}]: at no quality can the rates be compared; measure more settings"
        )
    difference = (second.integrate(low, high) - first.integrate(low, high)) / (high - low)
    return float(100 * np.expm1(difference))


def _curve(name: str, rates: Sequence[float] | np.ndarray, qualities: Sequence[float] | np.ndarray):  # noqa: ANN202
    """Return log rate as a piecewise cubic of quality."""
    from scipy.interpolate import PchipInterpolator

    rate, quality = _finite(name, rates), _finite(name.replace("rates", "qualities"), qualities)
    if len(rate) != len(quality) or len(rate) < 2 or rate.min() <= 0:
        raise ValueError(
            f"`{name}` must be 2 or more positive rates, one a quality, got {len(rate)} and {len(quality)}"
        )
    order = np.argsort(rate)
    steps = np.diff(quality[order])
    if not (np.all(steps > 0) or np.all(steps < 0)) or np.any(np.diff(rate[order]) == 0):
        raise ValueError(f"`{name}`: quality must rise or fall with the rate throughout, got {quality[order].tolist()}")
    rising = np.argsort(quality)
    return PchipInterpolator(quality[rising], np.log(rate[rising]))


def _finite(name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"`{name}` must be one or more finite numbers, got {array.tolist()}")
    return array
