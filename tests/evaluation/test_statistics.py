"""Intervals that hold as often as they say, and rates by hand."""

import math

import numpy as np
import pytest

from sgc_diffusion.evaluation.statistics import bd_rate, mean_and_interval, paired_difference, seed_deviation


def test_an_interval_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(150):
        mean, low, high = mean_and_interval(rng.exponential(1.0, 40))
        assert low <= mean <= high
        inside += low <= 1.0 <= high
    assert 0.87 <= inside / 150 <= 0.98  # percentile intervals of skewed values are a little short


def test_an_interval_is_that_of_the_normal_distribution_for_many_values():
    values = np.random.default_rng(2).normal(5, 2, 2000)
    mean, low, high = mean_and_interval(values)
    assert mean == pytest.approx(values.mean())
    assert [mean - low, high - mean] == pytest.approx([1.96 * values.std() / math.sqrt(2000)] * 2, rel=0.05)
    assert mean_and_interval(values) == (mean, low, high)


def test_one_value_has_no_interval_and_none_is_refused():
    mean, low, high = mean_and_interval([3.0])
    assert mean == 3 and math.isnan(low) and math.isnan(high)
    with pytest.raises(ValueError, match="`values` must be one or more finite numbers"):
        mean_and_interval([])
    with pytest.raises(ValueError, match="finite"):
        mean_and_interval([1.0, math.nan])


def test_pairing_finds_a_difference_that_pictures_hide():
    rng = np.random.default_rng(3)
    pictures = rng.normal(30, 5, 24)  # pictures differ by far more than codecs do
    ours, theirs = pictures + 0.5 + rng.normal(0, 0.2, 24), pictures
    mean, low, high = paired_difference(ours, theirs)
    assert mean == pytest.approx(np.mean(ours - theirs)) and 0.3 < low < high < 0.7
    assert mean_and_interval(ours).low < np.mean(theirs)
    assert paired_difference(pictures + 1, pictures) == pytest.approx((1, 1, 1))
    with pytest.raises(ValueError, match="pair the pictures"):
        paired_difference([1.0, 2.0], [1.0])


def test_spread_is_between_seeds_and_not_between_pictures():
    deviation = seed_deviation({"a": [1.0, 3.0], "b": [101.0, 105.0], "c": [7.0]})
    assert deviation == pytest.approx(math.sqrt((2 + 8) / 2))
    assert math.isnan(seed_deviation({"a": [1.0]})) and math.isnan(seed_deviation({}))
    with pytest.raises(ValueError, match=r"`values\['b'\]` must be one or more finite numbers"):
        seed_deviation({"a": [1.0, 2.0], "b": []})


def test_bd_rate_of_half_the_rate_is_minus_fifty_per_cent():
    rates, qualities = np.array([0.1, 0.2, 0.5, 0.9]), np.array([28.0, 31.0, 34.5, 36.0])
    assert bd_rate(rates, qualities, rates / 2, qualities) == pytest.approx(-50)
    assert bd_rate(rates / 2, qualities, rates, qualities) == pytest.approx(100)
    shuffled = [2, 0, 3, 1]
    assert bd_rate(rates[shuffled], qualities[shuffled], rates / 2, qualities) == pytest.approx(-50)
    assert bd_rate(rates, -qualities, rates / 2, -qualities) == pytest.approx(-50)  # LPIPS: less is better


def test_bd_rate_is_the_mean_over_the_shared_qualities():
    """Straight lines in log rate: ln r = q and ln r = 2q − 1 differ by q − 1, whose mean over 1 … 2 is 0.5."""
    first, second = np.array([0.0, 1.0, 1.5, 2.0]), np.array([1.0, 2.0, 3.0])
    assert bd_rate(np.exp(first), first, np.exp(2 * second - 1), second) == pytest.approx(100 * math.expm1(0.5))


def test_curves_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="do not overlap with `qualities`"):
        bd_rate([1, 2], [30, 32], [1, 2], [20, 25])
    with pytest.raises(ValueError, match="`rates`: quality must rise or fall with the rate"):
        bd_rate([1, 2, 3], [30, 32, 31], [1, 2], [20, 35])
    with pytest.raises(ValueError, match="`other_rates` must be 2 or more positive rates"):
        bd_rate([1, 2], [30, 32], [1], [31])
    with pytest.raises(ValueError, match="positive rates"):
        bd_rate([0, 2], [30, 32], [1, 2], [30, 31])
