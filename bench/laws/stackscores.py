"""What holds for every metric of stacks of digits, of single classes, and of bounds."""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each
from bench.laws.examples import near, raises
from bench.laws.modes import assert_in_range, directed, gain, takes
from metrics import METRICS, tally_stacks
from metrics.readings import StackTruth

DRAWS = 20_000
about = partial(base.law, METRICS.kind)
law = partial(about, where=takes("stack"))
directed_law = partial(about, where=directed("stack"))
of_classes_law = partial(about, where=takes("classes"))
latent_law = partial(about, where=takes("latent"))
SAMPLERS = ("perfect", "drop-one", "one-mode", "rejected")


def stack_truth(depth: int) -> StackTruth:
    """Ten classes of which some are rejected more often and some are taken for others."""
    confusion = np.full((10, 10), 0.001)
    confusion[4, 9], confusion[9, 4], confusion[3, 5] = 0.02, 0.015, 0.01
    np.fill_diagonal(confusion, 0)
    np.fill_diagonal(confusion, 1 - confusion.sum(axis=1))
    rates = np.array([0.96, 0.92, 0.97, 0.97, 0.96, 0.93, 0.97, 0.97, 0.92, 0.93])
    return StackTruth(depth, confusion, rates)


def readings(real: StackTruth, sampler: str, n: int = DRAWS) -> tuple[np.ndarray, np.ndarray]:
    """What a judge of that truth reads of a named sampler: labels and passed, [n, depth]."""
    rng = np.random.default_rng(list(sampler.encode()))
    classes = {"drop-one": [c for c in range(10) if c != 6], "one-mode": [3]}
    true = rng.choice(classes.get(sampler, range(10)), (n, real.depth))
    passed = rng.random((n, real.depth)) < real.pass_rates[true]
    if sampler == "rejected":
        passed &= rng.random((n, real.depth)) < 0.3
    ends = real.confusion.cumsum(axis=1)[true]
    labels = (rng.random((n, real.depth, 1)) > ends).sum(axis=2)
    unsure = rng.integers(0, 10, (n, real.depth))
    return np.where(passed, labels, unsure), passed


def _in_range(metric: Entry, depth: int, sampler: str) -> None:
    real, facts = stack_truth(depth), metric.facts
    labels, passed = readings(real, sampler)
    if sampler == "nothing passes":
        passed[:] = False
    if sampler == "one stack":
        labels, passed = labels[:1], passed[:1]
    found = metric.part(real, tally_stacks(labels, passed, 10))
    assert_in_range(found, facts, real.modes if facts.counts_modes else facts.high)
    assert found.n == len(labels)


EVERY = [*SAMPLERS, "nothing passes", "one stack"]


@law(cases=each(EVERY, [1, 2]))
def a_score_of_stacks_is_in_its_range(metric: Entry, sampler: str, depth: int) -> None:
    """A finite number in the declared range, its error and the number of stacks with it."""
    _in_range(metric, depth, sampler)


@of_classes_law(cases=each(EVERY))
def a_score_of_classes_is_in_its_range(metric: Entry, sampler: str) -> None:
    """A finite number in the declared range, its error and the number of images with it."""
    _in_range(metric, 1, sampler)


def _gain(metric: Entry, depth: int, sampler: str) -> tuple[float, float]:
    """How much better the perfect sampler is, and five errors of both."""
    real = stack_truth(depth)
    perfect, other = (
        metric.part(real, tally_stacks(*readings(real, name), 10)) for name in ("perfect", sampler)
    )
    error = 5 * ((perfect.std_error or 0) + (other.std_error or 0))
    return gain(metric, perfect.value, other.value), error


@directed_law(cases=each(SAMPLERS[1:], [2, 3]))
def real_stacks_are_better(metric: Entry, sampler: str, depth: int) -> None:
    """Than those without a digit, of one mode, or often rejected, by five errors of both; a count
    of modes need not be better than where many are rejected.
    """
    better, error = _gain(metric, depth, sampler)
    if sampler == "rejected" and metric.facts.counts_modes:
        assert better >= 0
    else:
        assert better > error
        assert better > 0


@directed_law(cases=each(SAMPLERS[1:], [2, 3]))
def no_stacks_are_better_than_real_ones(metric: Entry, sampler: str, depth: int) -> None:
    """Not even where a score can't tell them apart."""
    better, _ = _gain(metric, depth, sampler)
    assert better > -0.1


@law()
def the_order_of_stacks_does_not_matter(metric: Entry) -> None:
    """Nor where they are cut into parts whose tallies are added."""
    real = stack_truth(2)
    labels, passed = readings(real, "drop-one", 3_000)
    wanted = metric.part(real, tally_stacks(labels, passed, 10))
    order = np.random.default_rng(0).permutation(len(labels))
    again = metric.part(real, tally_stacks(labels[order], passed[order], 10))
    assert again == wanted
    for cut in (0, 1, 1_234, 3_000):
        merged = tally_stacks(labels[:cut], passed[:cut], 10) + tally_stacks(
            labels[cut:], passed[cut:], 10
        )
        assert metric.part(real, merged) == wanted


@partial(about, where=takes("stack", "classes"))()
def a_tally_is_not_changed_by_its_score(metric: Entry) -> None:
    """Nor is the truth."""
    real = stack_truth(2 if metric.facts.takes == "stack" else 1)
    counts = tally_stacks(*readings(real, "perfect", 500), 10)
    before = [array.copy() for array in (counts.raw, counts.passing, counts.digits)]
    metric.part(real, counts)
    for one, other in zip(before, (counts.raw, counts.passing, counts.digits), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(real.confusion, stack_truth(2).confusion)


@law()
def no_stacks_are_refused(metric: Entry) -> None:
    """Nothing can be said of a sampler that has not been asked."""
    empty = tally_stacks(np.empty((0, 2), dtype=int), np.empty((0, 2), dtype=bool), 10)
    assert empty.n == 0
    with raises(ValueError, r"expected at least one sample, got none"):
        metric.part(stack_truth(2), empty)


class Line:
    """x = z + noise of one dimension, z and noise standard normal; q is N(x / 2 + error, 1 / 2).

    Without error q is the true posterior, and the bound is the likelihood, N(x; 0, 2).
    """

    def __init__(self, error: float = 0.0) -> None:
        self.error = error
        self.asked: list[tuple[int, int]] = []

    def _noise(self, x: np.ndarray) -> np.ndarray:
        """Standard normal numbers that belong to the examples, whatever their order."""
        return np.modf(np.abs(np.sin(x[:, 0] * 1e4)) * 1e3)[0] * 2 - 1

    def elbo(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = x[:, 0] / 2 + self.error
        expected = -0.5 * np.log(2 * np.pi) - ((x[:, 0] - mean) ** 2 + 0.5) / 2
        divergence = (0.5 + mean**2 - 1 - np.log(0.5)) / 2
        return expected + 0.1 * self._noise(x), divergence

    def importance_log_prob(self, x: np.ndarray, samples: int) -> np.ndarray:
        self.asked.append((len(x), samples))
        return -0.5 * np.log(2 * np.pi * 2) - x[:, 0] ** 2 / 4


def on_the_line(n: int = 1_000) -> np.ndarray:
    """Examples of that model, [n, 1]."""
    return np.random.default_rng(7).normal(0, np.sqrt(2), (n, 1))


@latent_law()
def a_score_of_a_bound_is_in_its_range(metric: Entry) -> None:
    """A finite number in the declared range, the error of a mean and how many it is over."""
    examples = on_the_line()
    for error in (0.0, 2.0):
        found = metric.part(examples, Line(error))
        assert_in_range(found, metric.facts, metric.facts.high, slack=0)
        assert found.std_error is not None
        assert 0 < found.std_error < 0.2
        assert 0 < found.n <= len(examples)


@latent_law()
def the_order_of_examples_does_not_matter(metric: Entry) -> None:
    """To rounding; nor does their type, and none is changed."""
    examples = on_the_line(200)
    before = examples.copy()
    wanted = metric.part(examples, Line())
    for other in (examples[::-1], np.asfortranarray(examples)):
        found = metric.part(other, Line())
        assert found.value == near(wanted.value, rel=1e-9)
        assert found.std_error == near(wanted.std_error, rel=1e-9)
    assert np.array_equal(examples, before)
