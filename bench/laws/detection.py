"""What holds for every score of how well anomalies are told from what belongs."""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each
from bench.laws.examples import near, raises
from bench.laws.modes import assert_in_range, takes
from metrics import METRICS

N, M = 60, 40
law = partial(base.law, METRICS.kind, where=takes("anomalies"))


def _scores(apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Of examples that belong, and of such that don't and score higher by about `apart`."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, N).round(2), (apart + rng.normal(0, 1, M)).round(2)


@law(cases=each([-9.0, 0.0, 1.0, 9.0]))
def a_score_of_detection_is_in_its_range(metric: Entry, apart: float) -> None:
    """A finite number over all examples, with an error."""
    found = metric.part(*_scores(apart))
    assert_in_range(found, metric.facts, metric.facts.high)
    assert found.n == N + M
    assert found.std_error is not None


@law()
def only_the_order_of_scores_counts(metric: Entry) -> None:
    """Any increasing function of them tells as much."""
    real, fake = _scores(1.0)
    found, bent = metric.part(real, fake), metric.part(np.exp(real), np.exp(fake))
    assert bent.value == near(found.value, rel=1e-12)
    assert bent.std_error == near(found.std_error, rel=1e-9)


@law()
def scores_turned_round_tell_the_opposite(metric: Entry) -> None:
    """And as much of it."""
    real, fake = _scores(1.0)
    found, turned = metric.part(real, fake), metric.part(-real, -fake)
    assert turned.value == near(metric.facts.high - found.value, rel=1e-12)
    assert turned.std_error == near(found.std_error, rel=1e-9)


@law()
def what_is_farther_apart_is_told_better(metric: Entry) -> None:
    """From the wrong way round to all of it; what can't be told apart scores in the middle."""
    values = [metric.part(*_scores(apart)).value for apart in (-99.0, 0.0, 1.0, 99.0)]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (metric.facts.low, metric.facts.high)
    same = metric.part(np.zeros(N), np.zeros(M)).value
    assert same == near((metric.facts.low + metric.facts.high) / 2)


@law()
def nothing_is_compared_with_nobody(metric: Entry) -> None:
    """A group without an example is refused."""
    real, fake = _scores(1.0)
    for pair in ((real[:0], fake), (real, fake[:0])):
        with raises(UsageError, "compares two groups of scores"):
            metric.part(*pair)
