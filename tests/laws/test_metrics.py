"""What holds for every metric: range, direction, invariances, and no faith in the samples.

A metric whose `known_issue` names one of these laws is a strict xfail of it. Metrics enrol by what
they take: mixtures, readings of stacks, or bounds of a model with latent variables.
"""

from dataclasses import replace
from fnmatch import fnmatch

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import DATASETS
from bench.datasets.mixtures import Mixture
from metrics import METRICS, RULES, ModeTally, Score, StackTally, tally, tally_stacks, truth
from metrics.readings import StackTruth

DATA = ("grid25@pacgan", "ring@unrolled-notebook")
N = 10_000

# Where a published rule can't tell the oracle from a bad sampler; the laws below say how it is
# fooled. A share of high-quality samples does not ask which modes they are in, and one sample
# is enough for a mode that counts raw or is not empty.
BLIND = {"collapsed": ("high_quality*",), "noise": ("modes_raw", "empty_mass")}

# Metrics that add noise of their own, sample by sample: another order is another noise.
NOISY = ("reverse_kl_smoothed",)


# On stacks: a share of what passes does not ask which digits those are, and a count or a divergence
# by the likeliest digits does not ask how likely they are.
BLIND_STACK = {
    "drop-one": ("off_manifold*", "stack_modes_raw"),
    "one-mode": ("off_manifold*",),
    "rejected": ("*_raw",),
}
DRAWS = 20_000


def _enrolled(*takes, directed=False):
    return [
        entry
        for entry in METRICS.entries()
        if entry.facts.takes in takes and not (directed and entry.facts.direction == "none")
    ]


def pytest_generate_tests(metafunc):
    """Enrol every registered metric and rule."""
    of_mixtures = ("modes", "density", "likelihood")
    chosen = {
        "metric": _enrolled(*of_mixtures),
        "directed": _enrolled(*of_mixtures, directed=True),
        "of_samples": _enrolled("modes", "density"),
        "of_modes": _enrolled("modes"),
        "of_stacks": _enrolled("stack"),
        "directed_stacks": _enrolled("stack", directed=True),
        "of_latent": _enrolled("latent"),
        "rule": RULES.entries(),
    }
    for fixture in chosen.keys() & set(metafunc.fixturenames):
        law = metafunc.function.__name__
        metafunc.parametrize(fixture, [_param(entry, law) for entry in chosen[fixture]])


def _param(entry, law):
    issue = getattr(entry.facts, "known_issue", "")
    marks = [pytest.mark.xfail(reason=issue, strict=True)] if law in issue else []
    return pytest.param(entry, id=entry.name, marks=marks)


def _mixture(name):
    return DATASETS[name].part


def _only(mixture, *modes):
    """The mixture of some of its modes."""
    chosen = list(modes)
    centres, covariances = mixture.centres[chosen], mixture.covariances[chosen]
    return replace(
        mixture, centres=centres, covariances=covariances, weights=mixture.weights[chosen]
    )


def _uniform(mixture, n):
    """Noise over the box of the data."""
    reach = 3 * mixture.widest.max()
    low, high = mixture.centres.min(axis=0) - reach, mixture.centres.max(axis=0) + reach
    unit = np.random.default_rng(1).random((n, mixture.dim))
    return (low + (high - low) * unit).astype(np.float32)


def _samples(mixture, sampler, n=N):
    """float32 samples [n, d] of a named sampler."""
    if sampler == "noise":
        return _uniform(mixture, n)
    if sampler == "nothing":
        return np.full((n, mixture.dim), np.nan, dtype=np.float32)
    if sampler == "point":
        return np.repeat(mixture.centres[:1], n, axis=0).astype(np.float32)
    drawn = mixture if sampler == "oracle" else _only(mixture, 0)
    return drawn.sample(n, stream("laws", sampler)).numpy()


def _density(mixture, sampler):
    """A density in the place of a sampler's."""
    if sampler == "noise":
        middle, spread = mixture.centres.mean(axis=0), mixture.centres.std(axis=0)
        return Mixture("wide", middle[None], spread[None] ** 2, np.ones(1))
    return mixture if sampler == "oracle" else _only(mixture, 0)


def _score(entry, mixture, sampler, samples=None):
    """A metric's score of a sampler, or of given samples, as the facts say it is to be had."""
    facts = entry.facts
    if facts.takes == "likelihood":
        return entry.part(_samples(mixture, "oracle"), _density(mixture, sampler))
    samples = _samples(mixture, sampler) if samples is None else samples
    if facts.takes == "density":
        return entry.part(mixture, samples)
    assert facts.takes == "modes"
    rule = facts.rule or mixture.rule
    return entry.part(truth(mixture, rule), tally(mixture, samples[: facts.samples or None], rule))


def _at_least_as_good(entry, better, worse):
    """How much better the first value is, in the metric's own direction."""
    return better - worse if entry.facts.direction == "higher" else worse - better


def test_every_known_issue_names_a_law():
    """An issue that names no law would exempt a metric from nothing, or from everything."""
    laws = [name for name in globals() if name.startswith("test_")]
    issues = [entry.facts.known_issue for entry in METRICS.entries() if entry.facts.known_issue]
    assert all(any(law in issue for law in laws) for issue in issues)


def test_every_metric_has_laws():
    """What it takes is one of the kinds of which laws are here, in test_robustness.py, in
    test_scores.py or in reference/test_translation_metrics.py; its facts fit one another.
    """
    here = ("modes", "density", "likelihood", "stack", "latent")
    of_robustness = ("attack", "transfer", "rubbish")
    of_scores = ("features", "neighbours", "probabilities", "nearest", "identities")
    of_translations = ("translated", "segmented", "completed", "classes", "asked")
    every = (*here, *of_robustness, *of_scores, *of_translations)
    assert _enrolled(*every) == METRICS.entries()
    for entry in METRICS.entries():
        facts = entry.facts
        assert facts.estimator
        assert facts.title
        assert facts.direction in ("higher", "lower", "none")
        assert facts.low is None or facts.high is None or facts.low < facts.high
        assert not (facts.counts_modes and facts.high is not None)


@pytest.mark.parametrize("dataset", DATA)
@pytest.mark.parametrize("sampler", ["oracle", "collapsed", "noise", "point", "nothing"])
def test_a_score_is_in_its_range(metric, dataset, sampler):
    """A finite number in the declared range, its error and the number of samples with it."""
    mixture, facts = _mixture(dataset), metric.facts
    if sampler == "nothing" and facts.takes != "modes":
        pytest.skip("it asks for finite samples or a density")
    score = _score(metric, mixture, sampler)
    high = mixture.modes if facts.counts_modes else facts.high
    assert isinstance(score, Score)
    assert np.isfinite(score.value)
    assert facts.low is None or score.value >= facts.low - 1e-12
    assert high is None or score.value <= high + 1e-12
    assert score.std_error is None or 0 <= score.std_error < np.inf
    assert score.n == (facts.samples or N)


@pytest.mark.parametrize("dataset", DATA)
@pytest.mark.parametrize("sampler", ["collapsed", "noise"])
def test_the_oracle_is_better(directed, dataset, sampler):
    """Real data score better than one mode and better than noise, unless the rule is blind."""
    mixture = _mixture(dataset)
    oracle, other = (_score(directed, mixture, name) for name in ("oracle", sampler))
    gain = _at_least_as_good(directed, oracle.value, other.value)
    if any(fnmatch(directed.name, pattern) for pattern in BLIND[sampler]):
        assert gain > -0.02
    else:
        assert gain > 0
        assert gain > 5 * ((oracle.std_error or 0) + (other.std_error or 0))


def test_the_published_rules_are_blind():
    """One mode has more high quality than real data; raw, noise covers 23 of 25 modes."""
    grid, ring = _mixture("grid25@pacgan"), _mixture("ring8@pacgan")
    point = _score(METRICS["high_quality"], ring, "point")
    assert point.value == 1 > _score(METRICS["high_quality"], ring, "oracle").value
    assert 21 <= _score(METRICS["modes_raw"], grid, "noise").value <= 25
    assert _score(METRICS["modes_covered"], grid, "noise").value <= 1
    assert _score(METRICS["modes_covered"], ring, "noise").value <= 1


def test_order_does_not_matter(of_samples):
    """Samples in another order score the same, or within 4 errors where noise is added."""
    mixture = _mixture("grid25@pacgan")
    samples = _samples(mixture, "oracle")[:2_500]
    shuffled = np.random.default_rng(0).permutation(samples)
    score, again = (_score(of_samples, mixture, "", x) for x in (samples, shuffled))
    noise = 4 * (score.std_error or 0) if of_samples.name in NOISY else 1e-12
    assert again.value == pytest.approx(score.value, rel=1e-9, abs=noise)


@pytest.mark.parametrize(
    "variant",
    [
        lambda x: x.astype(np.float64),
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: np.lib.stride_tricks.as_strided(x, writeable=False),
    ],
    ids=["float64", "fortran", "strided", "read-only"],
)
def test_the_array_does_not_matter(of_samples, variant):
    """The same numbers in another type or layout score the same; none is changed."""
    mixture = _mixture("ring8@pacgan")
    samples = _samples(mixture, "oracle")
    before = samples.copy()
    wanted = _score(of_samples, mixture, "", samples)
    assert _score(of_samples, mixture, "", variant(samples)) == wanted
    assert np.array_equal(samples, before)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_broken_samples_never_count(of_modes, broken):
    """One coordinate that is not finite costs a sample its quality, and nothing crashes."""
    mixture = _mixture("ring8@pacgan")
    samples = _samples(mixture, "oracle")[:2_000]
    samples[::2, 1] = broken
    score = _score(of_modes, mixture, "", samples)
    assert np.isfinite(score.value)
    assert score.n == 2_000
    if fnmatch(of_modes.name, "high_quality*"):
        assert 0.48 < score.value <= 0.5


@pytest.mark.parametrize("dataset", DATA)
def test_the_oracle_is_ideal(directed, dataset):
    """Within sampling error real data have the best value there is, where it is known."""
    mixture, name = _mixture(dataset), directed.name
    score = _score(directed, mixture, "oracle")
    tail = truth(mixture, directed.facts.rule or mixture.rule).off_manifold
    # 2 n KL over K + 1 bins is chi-square with K degrees of freedom: K + 5 sqrt(2 K) is its end.
    kl = (mixture.modes + 5 * np.sqrt(2 * mixture.modes)) / (2 * score.n)
    error = 5 * (score.std_error or 0)
    ideal = {
        "modes_covered": (mixture.modes, 0),
        "modes_raw": (mixture.modes, 0),
        "missing_mass": (0, 0),
        "empty_mass": (0, 0),
        "reverse_kl_modes": (0, kl),
        "forward_kl_modes": (0, kl),
        "reverse_kl_pacgan": (_distance_from_equal(mixture), kl + 0.02),
        "js_modes": (0, kl / 4),
        "reverse_kl_density": (0, error + 0.02),
        "reverse_kl_smoothed": (0, error + 0.02),
        "log_likelihood": (_negative_entropy(mixture), error),
    }
    if fnmatch(name, "high_quality*"):
        ideal[name] = (1 - tail, error)
    if name not in ideal:
        pytest.skip("its best value is not known here")
    best, slack = ideal[name]
    assert score.value == pytest.approx(best, abs=slack)


def _negative_entropy(mixture):
    """The mean log density of a mixture whose modes do not overlap, in nats."""
    dim, logs = mixture.dim, np.log(mixture.covariances).sum(axis=1) / 2
    gaussians = -dim / 2 * (1 + np.log(2 * np.pi)) - logs
    return float((mixture.weights * (np.log(mixture.weights) + gaussians)).sum())


def _distance_from_equal(mixture):
    """PacGAN's divergence is from equal weights: not 0 for real data with other weights."""
    weights = mixture.weights
    return float(np.log(len(weights)) + (weights * np.log(weights)).sum())


@pytest.mark.parametrize("kept", [[3], [0, 1], [0, 2, 4, 6], [1, 2, 3, 4, 5, 6, 7], list(range(8))])
def test_dropped_modes_are_missed(kept):
    """A sampler of some of the 8 modes covers those, and misses the weight of the others."""
    mixture = _mixture("ring8@pacgan")
    samples = _only(mixture, *kept).sample(N, stream("kept")).numpy()
    value = {
        name: _score(METRICS[name], mixture, "", samples).value
        for name in ("modes_covered", "modes_raw", "missing_mass", "empty_mass", "high_quality")
    }
    assert value["modes_covered"] == value["modes_raw"] == len(kept)
    assert value["missing_mass"] == value["empty_mass"] == pytest.approx(1 - len(kept) / 8)
    assert value["high_quality"] == pytest.approx(0.98889, abs=0.005)


@pytest.mark.parametrize(("share", "covered"), [(0.24, 7), (0.26, 8)])
def test_a_mode_counts_from_a_quarter_of_its_share(share, covered):
    """Just under a quarter of the fair share is no coverage, just over is; both are not empty."""
    mixture = _mixture("ring8@pacgan")
    real = truth(mixture, "euclid3")
    counts = np.round(80_000 * real.shares).astype(np.int64)
    counts[5] = round(share * counts[5])
    fake = ModeTally(counts, counts, 80_000)
    assert METRICS["modes_covered"].part(real, fake).value == covered
    assert METRICS["missing_mass"].part(real, fake).value == pytest.approx(1 - covered / 8)
    assert METRICS["empty_mass"].part(real, fake).value == 0


def test_samples_between_the_modes_cost(of_modes):
    """Half of the samples moved off the manifold never make a score better."""
    mixture = _mixture("ring8@pacgan")
    samples = _samples(mixture, "oracle")
    moved = samples.copy()
    moved[::2] *= 0.5
    loss = _at_least_as_good(
        of_modes, *(_score(of_modes, mixture, "", x).value for x in (samples, moved))
    )
    sees = any(fnmatch(of_modes.name, p) for p in ("high_quality*", "*_kl_modes", "js_modes"))
    assert loss > 0.05 if sees else loss > -0.01


def _same(one, other):
    return (
        np.array_equal(one.high_quality, other.high_quality)
        and np.array_equal(one.nearest, other.nearest)
        and one.n == other.n
    )


@pytest.mark.parametrize("cuts", [[], [0], [1], [40_000], [5, 5, 33_333, 80_000], [100_000]])
def test_tallies_merge(rule, cuts):
    """The tally of a whole is the sum of the tallies of its parts, wherever it is cut."""
    mixture = _mixture("ring@unrolled-notebook")
    samples = np.concatenate([_samples(mixture, "oracle", 60_000), _uniform(mixture, 40_000)])
    parts = [tally(mixture, part, rule.name) for part in np.split(samples, cuts)]
    total = sum(parts, start=ModeTally.empty(mixture.modes))
    assert _same(total, tally(mixture, samples, rule.name))
    assert total.n == 100_000


def test_a_tally_counts_everyone_once(rule):
    """Finite samples have a nearest mode each; high-quality ones are among their mode's own."""
    mixture = _mixture("grid25@pacgan")
    samples = np.concatenate([_samples(mixture, "oracle"), _uniform(mixture, N)])
    samples[:7, 1] = np.nan
    counts = tally(mixture, samples, rule.name)
    assert counts.nearest.sum() == counts.n - 7 == 2 * N - 7
    assert (counts.high_quality <= counts.nearest).all()
    assert 0 < counts.high_quality.sum() < counts.n


def test_a_tally_is_that_of_each_sample(rule):
    """Counted one by one, in plain Python, it comes to the same."""
    mixture = _mixture("ring8@pacgan")
    samples = np.concatenate([_samples(mixture, "oracle", 300), _uniform(mixture, 300)])
    counts = tally(mixture, samples, rule.name)
    own = np.zeros((2, mixture.modes), dtype=int)
    for sample in samples.astype(float):
        z = np.abs(sample - mixture.centres) / 0.01
        distance = {
            "box3": z.max(axis=1),
            "rms": np.sqrt((z**2).mean(axis=1)),
        }.get(rule.name, np.sqrt((z**2).sum(axis=1)))
        own[0, distance.argmin()] += 1
        own[1, distance.argmin()] += distance.min() < 3
    assert np.array_equal(counts.nearest, own[0])
    assert np.array_equal(counts.high_quality, own[1])


def test_the_bar_is_strict():
    """A sample exactly three standard deviations away is not of high quality."""
    unit = Mixture("unit", np.zeros((1, 2)), np.ones((1, 2)), np.ones(1))
    samples = np.array([[3.0, 0.0], [0.0, -3.0], [np.nextafter(3.0, 0), 0.0], [2.2, 2.2]])
    for rule, inside in (("euclid3", 1), ("pacgan", 1), ("veegan", 1), ("box3", 2), ("rms", 4)):
        assert tally(unit, samples, rule).high_quality[0] == inside, rule


@pytest.mark.parametrize("dim", [1, 3])
def test_samples_of_another_dimension_are_refused(dim):
    """The message says what was expected and what came."""
    with pytest.raises(ValueError, match=rf"shape \[n, 2\], got \[5, {dim}\]"):
        tally(_mixture("ring8@pacgan"), np.zeros((5, dim)), "euclid3")


def test_an_unknown_rule_is_answered_with_the_nearest():
    """Wherever a rule is named."""
    mixture = _mixture("ring8@pacgan")
    for ask in (lambda: tally(mixture, np.zeros((1, 2)), "euclid"), lambda: truth(mixture, "box")):
        with pytest.raises(UsageError, match=r"did you mean '(euclid|box)3'"):
            ask()


def test_the_truth_is_the_same_every_time(rule):
    """Its shares never change, add up to less than 1, and keep the order of the weights."""
    mixture = _mixture("ring@unrolled-notebook")
    first = truth(mixture, rule.name)
    again = truth(replace(mixture, name="again"), rule.name)
    assert np.array_equal(first.shares, again.shares)
    assert first.shares.sum() + first.off_manifold == pytest.approx(1)
    assert 0 < first.off_manifold < 0.02
    assert first.shares.argmax() == 0


def _stack_truth(depth):
    """Ten classes of which some are rejected more often and some are taken for others."""
    confusion = np.full((10, 10), 0.001)
    confusion[4, 9], confusion[9, 4], confusion[3, 5] = 0.02, 0.015, 0.01
    np.fill_diagonal(confusion, 0)
    np.fill_diagonal(confusion, 1 - confusion.sum(axis=1))
    rates = np.array([0.96, 0.92, 0.97, 0.97, 0.96, 0.93, 0.97, 0.97, 0.92, 0.93])
    return StackTruth(depth, confusion, rates)


def _readings(real, sampler, n=DRAWS):
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


STACK_SAMPLERS = ("perfect", "drop-one", "one-mode", "rejected")


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("sampler", [*STACK_SAMPLERS, "nothing passes", "one stack"])
def test_a_score_of_stacks_is_in_its_range(of_stacks, depth, sampler):
    """A finite number in the declared range, its error and the number of stacks with it."""
    real, facts = _stack_truth(depth), of_stacks.facts
    labels, passed = _readings(real, sampler)
    if sampler == "nothing passes":
        passed[:] = False
    if sampler == "one stack":
        labels, passed = labels[:1], passed[:1]
    score = of_stacks.part(real, tally_stacks(labels, passed, 10))
    high = real.modes if facts.counts_modes else facts.high
    assert isinstance(score, Score)
    assert np.isfinite(score.value)
    assert facts.low is None or score.value >= facts.low - 1e-12
    assert high is None or score.value <= high + 1e-12
    assert score.std_error is None or 0 <= score.std_error < np.inf
    assert score.n == len(labels)


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("sampler", STACK_SAMPLERS[1:])
def test_real_stacks_are_better(directed_stacks, depth, sampler):
    """Than those without a digit, of one mode, or often rejected, unless the rule is blind."""
    real = _stack_truth(depth)
    perfect, other = (
        directed_stacks.part(real, tally_stacks(*_readings(real, name), 10))
        for name in ("perfect", sampler)
    )
    gain = _at_least_as_good(directed_stacks, perfect.value, other.value)
    if any(fnmatch(directed_stacks.name, pattern) for pattern in BLIND_STACK[sampler]):
        assert gain > -0.1
    elif sampler == "rejected" and directed_stacks.facts.counts_modes:
        assert gain >= 0
    else:
        assert gain > 5 * ((perfect.std_error or 0) + (other.std_error or 0))
        assert gain > 0


@pytest.mark.parametrize("depth", [2, 3])
def test_the_smaller_collapse_is_better(depth):
    """A dropped digit costs less than all but one; unfolding sees it, the raw count does not."""
    real = _stack_truth(depth)
    tallies = {name: tally_stacks(*_readings(real, name), 10) for name in STACK_SAMPLERS}
    for name in ("stack_modes", "reverse_kl_stack", "reverse_kl_stack_raw"):
        entry = METRICS[name]
        perfect, dropped, one = (
            entry.part(real, tallies[sampler]).value
            for sampler in ("perfect", "drop-one", "one-mode")
        )
        assert _at_least_as_good(entry, perfect, dropped) > 0
        assert _at_least_as_good(entry, dropped, one) > 0
    counted, raw = (
        METRICS[name].part(real, tallies["drop-one"]).value
        for name in ("stack_modes", "stack_modes_raw")
    )
    assert counted == pytest.approx(9**depth, rel=0.02)
    assert raw > 1.1 * 9**depth


def test_the_order_of_stacks_does_not_matter(of_stacks):
    """Nor where they are cut into parts whose tallies are added."""
    real = _stack_truth(2)
    labels, passed = _readings(real, "drop-one", 3_000)
    wanted = of_stacks.part(real, tally_stacks(labels, passed, 10))
    order = np.random.default_rng(0).permutation(len(labels))
    assert of_stacks.part(real, tally_stacks(labels[order], passed[order], 10)) == wanted
    for cut in (0, 1, 1_234, 3_000):
        merged = tally_stacks(labels[:cut], passed[:cut], 10) + tally_stacks(
            labels[cut:], passed[cut:], 10
        )
        assert of_stacks.part(real, merged) == wanted


def test_a_tally_is_not_changed_by_its_score(of_stacks):
    """Nor is the truth."""
    real = _stack_truth(2)
    counts = tally_stacks(*_readings(real, "perfect", 500), 10)
    before = [array.copy() for array in (counts.raw, counts.passing, counts.digits)]
    of_stacks.part(real, counts)
    again = [counts.raw, counts.passing, counts.digits]
    assert all(np.array_equal(a, b) for a, b in zip(before, again, strict=True))
    assert np.array_equal(real.confusion, _stack_truth(2).confusion)


def test_no_stacks_are_refused(of_stacks):
    """Nothing can be said of a sampler that has not been asked."""
    empty = tally_stacks(np.empty((0, 2), dtype=int), np.empty((0, 2), dtype=bool), 10)
    assert isinstance(empty, StackTally)
    assert empty.n == 0
    with pytest.raises(ValueError, match=r"expected at least one sample, got none"):
        of_stacks.part(_stack_truth(2), empty)


class Line:
    """x = z + noise of one dimension, z and noise standard normal; q is N(x / 2 + error, 1 / 2).

    Without error q is the true posterior, and the bound is the likelihood, N(x; 0, 2).
    """

    def __init__(self, error=0.0):
        self.error = error
        self.asked = []

    def _noise(self, x):
        """Standard normal numbers that belong to the examples, whatever their order."""
        return np.modf(np.abs(np.sin(x[:, 0] * 1e4)) * 1e3)[0] * 2 - 1

    def elbo(self, x):
        mean = x[:, 0] / 2 + self.error
        expected = -0.5 * np.log(2 * np.pi) - ((x[:, 0] - mean) ** 2 + 0.5) / 2
        divergence = (0.5 + mean**2 - 1 - np.log(0.5)) / 2
        return expected + 0.1 * self._noise(x), divergence

    def importance_log_prob(self, x, samples):
        self.asked.append((len(x), samples))
        return -0.5 * np.log(2 * np.pi * 2) - x[:, 0] ** 2 / 4


def _examples(n=1_000):
    return np.random.default_rng(7).normal(0, np.sqrt(2), (n, 1))


def test_a_score_of_a_bound_is_in_its_range(of_latent):
    """A finite number in the declared range, the error of a mean and how many it is over."""
    facts, examples = of_latent.facts, _examples()
    for error in (0.0, 2.0):
        score = of_latent.part(examples, Line(error))
        assert isinstance(score, Score)
        assert np.isfinite(score.value)
        assert facts.low is None or score.value >= facts.low
        assert facts.high is None or score.value <= facts.high
        assert score.std_error is not None
        assert 0 < score.std_error < 0.2
        assert score.n in (len(examples), 200)


def test_the_order_of_examples_does_not_matter(of_latent):
    """To rounding; nor does their type, and none is changed."""
    examples = _examples(200)
    before = examples.copy()
    wanted = of_latent.part(examples, Line())
    for other in (examples[::-1], np.asfortranarray(examples)):
        score = of_latent.part(other, Line())
        assert score.value == pytest.approx(wanted.value, rel=1e-9)
        assert score.std_error == pytest.approx(wanted.std_error, rel=1e-9)
    assert np.array_equal(examples, before)


def test_a_worse_posterior_has_a_worse_bound():
    """The bound is its two terms, and below the likelihood by the divergence of the posteriors."""
    examples = _examples(20_000)
    names = ("elbo", "elbo_reconstruction", "elbo_divergence")
    exact, off = (
        {name: METRICS[name].part(examples, Line(error)).value for name in names}
        for error in (0.0, 1.0)
    )
    for found in (exact, off):
        terms = found["elbo_reconstruction"] - found["elbo_divergence"]
        assert found["elbo"] == pytest.approx(terms)
    likelihood = METRICS["log_likelihood_importance"].part(examples[:200], Line()).value
    wanted = float(np.mean(-0.5 * np.log(4 * np.pi) - examples**2 / 4))
    assert exact["elbo"] == pytest.approx(wanted, abs=0.01)
    assert off["elbo"] == pytest.approx(exact["elbo"] - 1.0, abs=0.02)
    assert likelihood == pytest.approx(
        float(np.mean(-0.5 * np.log(4 * np.pi) - examples[:200] ** 2 / 4))
    )
    assert METRICS["elbo"].facts.direction == "higher"
    assert METRICS["log_likelihood_importance"].facts.direction == "higher"


def test_importance_samples_are_those_of_the_estimator():
    """200 of the first 200 examples, or of as many as there are."""
    entry = METRICS["log_likelihood_importance"]
    for n, wanted in ((1_000, 200), (50, 50)):
        line, examples = Line(), _examples(n)
        score = entry.part(examples, line)
        assert line.asked == [(wanted, 200)]
        assert score.n == wanted
        first = line.importance_log_prob(examples[:200], 1)
        assert score.value == pytest.approx(first.mean())
        assert score.std_error == pytest.approx(first.std(ddof=1) / np.sqrt(wanted))
