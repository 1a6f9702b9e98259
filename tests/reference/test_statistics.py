"""Intervals against SciPy's Student and normal distributions."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm, sem, t

from results.statistics import interval, wilson

SAMPLES = [
    [0.1, 0.2],
    [8.0, 8.0, 7.0],
    [0.9889, 0.9893, 0.9881, 0.9902, 0.9876],
    [1e6 + 0.25, 1e6 + 0.5, 1e6 + 0.125],
    [-3.0, 0.0, 1e-9, 4.5],
    np.random.default_rng(0).normal(size=100).tolist(),
]


@pytest.mark.parametrize("values", SAMPLES)
def test_several_values_have_students_interval(values):
    """95 %, two-sided, with n - 1 degrees of freedom; the error over samples is not used."""
    low, high = t.interval(0.95, len(values) - 1, np.mean(values), sem(values))
    for std_error in (None, 5.0):
        found = interval(values, std_error)
        assert found.mean == pytest.approx(np.mean(values), rel=1e-12)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
        assert (found.kind, found.n) == ("seeds", len(values))


def test_equal_values_have_an_interval_of_no_width():
    """Nothing is known of their spread but that it was not seen."""
    found = interval([0.3, 0.3, 0.3])
    assert found.low == pytest.approx(0.3) == found.high
    assert found.kind == "seeds"


def test_one_value_has_the_normal_interval_of_its_error():
    """Over samples, where an error is known."""
    found = interval([0.4], std_error=0.1)
    assert (found.low, found.high) == pytest.approx(norm.interval(0.95, 0.4, 0.1), abs=1e-7)
    assert (found.mean, found.kind, found.n) == (0.4, "samples", 1)


def test_one_value_alone_has_none():
    """A bound of the metric is no interval."""
    for bounds in ({}, {"low": 0.0, "high": 8.0}):
        found = interval([3.0], **bounds)
        assert (found.mean, found.low, found.high, found.kind) == (3.0, None, None, "none")


def test_no_values_are_refused():
    """There is nothing to be said of them."""
    with pytest.raises(ValueError, match="expected at least one value"):
        interval([])


@pytest.mark.parametrize(
    ("bounds", "low", "high"),
    [
        ({"low": 0.0, "high": 1.0}, 0.0, 1.0),
        ({"low": 0.0}, 0.0, None),
        ({"high": 1.0}, None, 1.0),
        ({"low": -100.0, "high": 100.0}, None, None),
    ],
)
def test_an_interval_ends_at_the_range(bounds, low, high):
    """Each end alone, and only where the interval would go past it."""
    values = [0.1, 0.9]
    free, found = interval(values), interval(values, **bounds)
    assert free.low < 0 < 1 < free.high
    assert found.low == (free.low if low is None else low)
    assert found.high == (free.high if high is None else high)
    assert found.mean == free.mean


@pytest.mark.parametrize(("low", "high"), [(0.5, 1.0), (0.0, 0.1), (0.31, 0.31)])
def test_an_interval_holds_its_mean(low, high):
    """Even where rounding, or a wrong range, puts the mean outside."""
    found = interval([0.2, 0.4], low=low, high=high)
    assert found.low <= found.mean <= found.high


def test_the_interval_covers_what_it_says():
    """Of 2,000 intervals over 5 normal values about 95 % hold the true mean."""
    draws = np.random.default_rng(1).normal(3.0, 2.0, size=(2_000, 5))
    found = [interval(row.tolist()) for row in draws]
    share = np.mean([each.low <= 3.0 <= each.high for each in found])
    assert share == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / 2_000))


@pytest.mark.parametrize(("hits", "n"), [(0, 100), (1, 100), (50, 100), (100, 100), (2_472, 2_500)])
def test_a_share_has_wilsons_interval(hits, n):
    """Of independent samples, by SciPy; it has a width at 0 and at 1 too."""
    found = wilson(hits / n, n)
    wanted = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-7)
    assert found.low < found.high
    assert found.low - 1e-12 <= found.mean <= found.high + 1e-12
    assert (found.mean, found.kind) == (hits / n, "samples")
