"""What holds for every metric of modes, densities and likelihoods, and for every rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import numpy as np

from bench.core.randomness import stream
from bench.core.registry import Entry
from bench.datasets import DATASETS
from bench.datasets.mixtures import Mixture
from bench.laws import base
from bench.laws.base import Skipped, each
from bench.laws.examples import near
from metrics import METRICS, RULES, ModeTally, Score, tally, truth
from metrics.contracts import Takes

DATA = ("grid25@pacgan", "ring@unrolled-notebook")
N = 10_000


def takes(*kinds: str) -> Callable[[Entry], bool]:
    """Whether a metric takes one of these."""
    return lambda entry: entry.facts.takes in kinds


def directed(*kinds: str) -> Callable[[Entry], bool]:
    """Whether it takes one of these, and one way is better."""
    return lambda entry: entry.facts.takes in kinds and entry.facts.direction != "none"


MIXED = ("modes", "density", "likelihood")
about = partial(base.law, METRICS.kind)
law = partial(about, where=takes(*MIXED))
directed_law = partial(about, where=directed(*MIXED))
of_samples_law = partial(about, where=takes("modes", "density"))
of_modes_law = partial(about, where=takes("modes"))
rule_law = partial(base.law, RULES.kind)


def mixture_of(name: str) -> Mixture:
    """A registered mixture."""
    part = DATASETS[name].part
    assert isinstance(part, Mixture)
    return part


def uniform(mixture: Mixture, n: int) -> np.ndarray:
    """Noise over the box of the data."""
    reach = 3 * mixture.widest.max()
    low, high = mixture.centres.min(axis=0) - reach, mixture.centres.max(axis=0) + reach
    unit = np.random.default_rng(1).random((n, mixture.dim))
    return (low + (high - low) * unit).astype(np.float32)


def samples_of(mixture: Mixture, sampler: str, n: int = N) -> np.ndarray:
    """float32 samples [n, d] of a named sampler."""
    if sampler == "noise":
        return uniform(mixture, n)
    if sampler == "nothing":
        return np.full((n, mixture.dim), np.nan, dtype=np.float32)
    if sampler == "point":
        return np.repeat(mixture.centres[:1], n, axis=0).astype(np.float32)
    drawn = mixture if sampler == "oracle" else mixture.of_modes([0])
    return drawn.sample(n, stream("laws", sampler)).numpy()


def _density(mixture: Mixture, sampler: str) -> Mixture:
    """A density in the place of a sampler's."""
    if sampler == "noise":
        middle, spread = mixture.centres.mean(axis=0), mixture.centres.std(axis=0)
        return Mixture("wide", middle[None], spread[None] ** 2, np.ones(1))
    return mixture if sampler == "oracle" else mixture.of_modes([0])


def score(entry: Entry, mixture: Mixture, sampler: str, samples: Any = None) -> Score:
    """A metric's score of a sampler, or of given samples, as the facts say it is to be had."""
    facts = entry.facts
    if facts.takes == "likelihood":
        return entry.part(samples_of(mixture, "oracle"), _density(mixture, sampler))
    samples = samples_of(mixture, sampler) if samples is None else samples
    if facts.takes == "density":
        return entry.part(mixture, samples)
    rule = facts.rule or mixture.rule
    return entry.part(truth(mixture, rule), tally(mixture, samples[: facts.samples or None], rule))


def gain(entry: Entry, better: float, worse: float) -> float:
    """How much better the first value is, in the metric's own direction."""
    return better - worse if entry.facts.direction == "higher" else worse - better


def assert_in_range(found: Any, facts: Any, high: float | None, slack: float = 1e-12) -> None:
    """A finite number in the declared range, with an error, if any, of no less than 0."""
    assert isinstance(found, Score)
    assert np.isfinite(found.value)
    assert facts.low is None or found.value >= facts.low - slack
    assert high is None or found.value <= high + 1e-12
    assert found.std_error is None or 0 <= found.std_error < np.inf


@about()
def the_facts_of_a_metric_hold_together(metric: Entry) -> None:
    """The range has two ends in order, the rule has a name, the printing has digits."""
    facts = metric.facts
    assert facts.takes in get_args(Takes)
    assert facts.direction in ("higher", "lower", "none")
    assert facts.kind in ("deterministic", "paired", "seeded")
    assert facts.rule == "" or facts.rule in RULES
    assert facts.title
    assert facts.estimator
    assert facts.version >= 1
    assert min(facts.digits, facts.samples, facts.absolute, facts.relative) >= 0
    assert None in (facts.low, facts.high) or facts.low < facts.high
    assert not facts.counts_modes or facts.high is None
    assert facts.direction == "none" or facts.absolute > 0 or facts.relative > 0


@law(cases=each(["oracle", "collapsed", "noise", "point", "nothing"], DATA))
def a_score_is_in_its_range(metric: Entry, sampler: str, dataset: str) -> None:
    """A finite number in the declared range, its error and the number of samples with it."""
    mixture, facts = mixture_of(dataset), metric.facts
    if sampler == "nothing" and facts.takes != "modes":
        raise Skipped("it asks for finite samples or a density")
    found = score(metric, mixture, sampler)
    assert_in_range(found, facts, mixture.modes if facts.counts_modes else facts.high)
    assert found.n == (facts.samples or N)


@directed_law(cases=each(["collapsed", "noise"], DATA))
def the_oracle_is_better(metric: Entry, sampler: str, dataset: str) -> None:
    """Real data score better than one mode and better than noise, by five errors of both."""
    mixture = mixture_of(dataset)
    oracle, other = (score(metric, mixture, name) for name in ("oracle", sampler))
    better = gain(metric, oracle.value, other.value)
    assert better > 0
    assert better > 5 * ((oracle.std_error or 0) + (other.std_error or 0))


@directed_law(cases=each(["collapsed", "noise"], DATA))
def nothing_is_better_than_the_oracle(metric: Entry, sampler: str, dataset: str) -> None:
    """Not even where a rule can't tell real data from a bad sampler."""
    mixture = mixture_of(dataset)
    oracle, other = (score(metric, mixture, name).value for name in ("oracle", sampler))
    better = gain(metric, oracle, other)
    assert better > -0.02


@of_samples_law()
def order_does_not_matter(metric: Entry) -> None:
    """Samples in another order score the same."""
    mixture = mixture_of("grid25@pacgan")
    samples = samples_of(mixture, "oracle")[:2_500]
    shuffled = np.random.default_rng(0).permutation(samples)
    found, again = (score(metric, mixture, "", x) for x in (samples, shuffled))
    assert again.value == near(found.value, rel=1e-9)


@of_samples_law()
def another_order_is_within_the_error(metric: Entry) -> None:
    """Four errors, where a metric adds noise of its own to each sample."""
    mixture = mixture_of("grid25@pacgan")
    samples = samples_of(mixture, "oracle")[:2_500]
    shuffled = np.random.default_rng(0).permutation(samples)
    found, again = (score(metric, mixture, "", x) for x in (samples, shuffled))
    assert again.value == near(found.value, rel=1e-9, abs=4 * (found.std_error or 0) + 1e-12)


VARIANTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "float64": lambda x: x.astype(np.float64),
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "read-only": lambda x: np.lib.stride_tricks.as_strided(x, writeable=False),
}


@of_samples_law(cases=each(VARIANTS))
def the_array_does_not_matter(metric: Entry, variant: Callable[[np.ndarray], np.ndarray]) -> None:
    """The same numbers in another type or layout score the same; none is changed."""
    mixture = mixture_of("ring8@pacgan")
    samples = samples_of(mixture, "oracle")
    before = samples.copy()
    wanted = score(metric, mixture, "", samples)
    found = score(metric, mixture, "", variant(samples))
    assert found == wanted
    assert np.array_equal(samples, before)


@of_modes_law(cases=each([np.nan, np.inf, -np.inf]))
def broken_samples_never_count(metric: Entry, broken: float) -> None:
    """One coordinate that is not finite costs a sample its quality, and nothing crashes."""
    mixture = mixture_of("ring8@pacgan")
    samples = samples_of(mixture, "oracle")[:2_000]
    samples[::2, 1] = broken
    found = score(metric, mixture, "", samples)
    assert np.isfinite(found.value)
    assert found.n == 2_000


@of_modes_law()
def samples_between_the_modes_cost(metric: Entry) -> None:
    """Half of the samples moved off the manifold never make a score better."""
    mixture = mixture_of("ring8@pacgan")
    samples = samples_of(mixture, "oracle")
    moved = samples.copy()
    moved[::2] *= 0.5
    loss = gain(metric, *(score(metric, mixture, "", x).value for x in (samples, moved)))
    assert loss > -0.01


CUTS = ([], [0], [1], [40_000], [5, 5, 33_333, 80_000], [100_000])


@rule_law(cases=each({str(cuts): cuts for cuts in CUTS}))
def tallies_merge(rule: Entry, cuts: list[int]) -> None:
    """The tally of a whole is the sum of the tallies of its parts, wherever it is cut."""
    mixture = mixture_of("ring@unrolled-notebook")
    samples = np.concatenate([samples_of(mixture, "oracle", 60_000), uniform(mixture, 40_000)])
    parts = [tally(mixture, part, rule.name) for part in np.split(samples, cuts)]
    total = sum(parts, start=ModeTally.empty(mixture.modes))
    whole = tally(mixture, samples, rule.name)
    assert np.array_equal(total.high_quality, whole.high_quality)
    assert np.array_equal(total.nearest, whole.nearest)
    assert total.n == whole.n == 100_000


@rule_law()
def a_tally_counts_everyone_once(rule: Entry) -> None:
    """Finite samples have a nearest mode each; high-quality ones are among their mode's own."""
    mixture = mixture_of("grid25@pacgan")
    samples = np.concatenate([samples_of(mixture, "oracle"), uniform(mixture, N)])
    samples[:7, 1] = np.nan
    counts = tally(mixture, samples, rule.name)
    assert counts.nearest.sum() == counts.n - 7 == 2 * N - 7
    assert (counts.high_quality <= counts.nearest).all()
    assert 0 < counts.high_quality.sum() < counts.n


@rule_law()
def the_truth_is_the_same_every_time(rule: Entry) -> None:
    """Its shares never change, add up to less than 1, and keep the order of the weights."""
    mixture = mixture_of("ring@unrolled-notebook")
    first = truth(mixture, rule.name)
    again = truth(replace(mixture, name="again"), rule.name)
    assert np.array_equal(first.shares, again.shares)
    assert first.shares.sum() + first.off_manifold == near(1)
    assert 0 < first.off_manifold < 0.02
    assert first.shares.argmax() == 0


@rule_law()
def a_rule_has_its_metric(rule: Entry) -> None:
    """The share of high-quality samples is known under each."""
    assert METRICS[f"high_quality@{rule.name}"].facts.rule == rule.name
