"""Stacks of digits: what the counts must be on real digits, and the arithmetic by brute force.

The must-hold numbers are those of real readings: the judge reads every held-out digit once, and
stacks are drawn of what it read.
"""

import itertools
import math
from collections import Counter
from functools import reduce

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import poisson

from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from bench.datasets.pixels import to_bytes
from bench.tasks.generation.stack import look
from generative import RECIPES, Training
from metrics import JUDGES, METRICS, StackTally, tally_stacks, truth_of
from metrics.readings import StackTruth, leakage, unfold

SEEDS = range(3)


def score(name, real, fake):
    """A metric's value."""
    return METRICS[name].part(real, fake).value


@pytest.fixture(scope="module")
def judge():
    return JUDGES["digits-cnn"].part


@pytest.fixture(scope="module")
def readings(judge):
    """What the judge reads in each held-out digit of mnist5k: true labels, labels, passed."""
    torch.set_num_threads(1)
    split = DATASETS["single@mnist5k"].part.load()
    images = torch.from_numpy(split.held_images)[:, None].float() / 255
    reading = judge.read(images)
    return split.held_labels, reading.labels, reading.passed


def drawn(readings, classes, depth, n, seed):
    """The tally of `n` stacks of held-out digits of some classes, in every place."""
    true, labels, passed = readings
    rng = np.random.default_rng(seed)
    chosen = rng.choice(np.asarray(classes), (n, depth))
    pools = np.stack([np.flatnonzero(true == c) for c in range(10)])
    images = pools[chosen, rng.integers(0, pools.shape[1], (n, depth))]
    return tally_stacks(labels[images], passed[images], 10)


STACKS = {3: (26_000, 1_000, 729, 15), 2: (10_000, 100, 81, 4)}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("depth", list(STACKS))
def test_real_digits_have_every_mode(judge, readings, depth, seed):
    """Within 1 %; the divergences are near their floor, and a twentieth of digits is rejected."""
    n, modes, _, _ = STACKS[depth]
    real, fake = truth_of(judge.card, depth), drawn(readings, range(10), depth, n, seed)
    assert real.modes == modes
    assert score("stack_modes", real, fake) == pytest.approx(modes, rel=0.01)
    assert score("stack_modes_raw", real, fake) == pytest.approx(modes, rel=0.01)
    assert score("off_manifold_digits", real, fake) == pytest.approx(0.05, abs=0.005)
    assert score("off_manifold", real, fake) == pytest.approx(1 - 0.95**depth, abs=0.01)
    assert score("reverse_kl_stack", real, fake) < 0.05 + 3 * modes / (2 * n)
    assert score("reverse_kl_stack_raw", real, fake) < 0.02 + modes / n


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dropped", range(10))
@pytest.mark.parametrize("depth", list(STACKS))
def test_a_dropped_digit_is_missed(judge, readings, depth, dropped, seed):
    """Of 10 to the depth, 9 to the depth are left, within 1 %; the raw count hardly sees it."""
    n, _, left, _ = STACKS[depth]
    rest = [c for c in range(10) if c != dropped]
    real, fake = truth_of(judge.card, depth), drawn(readings, rest, depth, n, seed)
    assert score("stack_modes", real, fake) == pytest.approx(left, rel=0.01)
    assert score("stack_modes_raw", real, fake) >= left
    assert score("reverse_kl_stack", real, fake) > 0.75 * depth * math.log(10 / 9)


@pytest.mark.parametrize("depth", list(STACKS))
def test_one_mode_is_hardly_more(judge, readings, depth):
    """Whichever digit it is; a count without a floor sees more modes for half of them."""
    n, modes, _, most = STACKS[depth]
    real, larger = truth_of(judge.card, depth), 0
    for digit, seed in itertools.product(range(10), SEEDS):
        fake = drawn(readings, [digit], depth, n, seed)
        counted, raw = score("stack_modes", real, fake), score("stack_modes_raw", real, fake)
        assert 1 <= counted <= most
        assert counted <= raw
        larger += raw > counted
        assert score("reverse_kl_stack", real, fake) > 0.7 * math.log(modes)
    assert larger >= 15


def _sampled(recipe, dataset, n):
    """Samples of a recipe as bytes, after one step or none."""
    source = DATASETS[dataset].part.source(0)
    trainer = RECIPES[recipe].part.trainer(Training("small-dcgan"), source.shape)
    with forked(0):
        state = trainer.start(source, stream("start"))
        if recipe != "untrained":
            state = trainer.advance(state, 1)
        else:
            state = trainer.advance(state, trainer.steps)
    return to_bytes(trainer.finish(state).sample(n, stream("sample")))


def test_second_moments_are_no_digits(judge):
    """More than half of the digits of one Gaussian are off the manifold."""
    torch.set_num_threads(1)
    real = truth_of(judge.card, 2)
    fake = look(judge, _sampled("pca-gaussian", "stack2@mnist5k", 3_000))[0]
    assert score("off_manifold_digits", real, fake) > 0.5
    assert score("off_manifold", real, fake) > 0.75
    assert score("stack_modes", real, fake) <= score("stack_modes_raw", real, fake)


@pytest.mark.parametrize("recipe", ["noise", "untrained"])
def test_noise_has_no_modes(judge, recipe):
    """At most the one that the judge takes it for."""
    torch.set_num_threads(1)
    real = truth_of(judge.card, 2)
    fake = look(judge, _sampled(recipe, "stack2@mnist5k", 2_000))[0]
    assert score("stack_modes", real, fake) <= 1


@pytest.mark.parametrize("dataset", ["stack2@mnist5k", "stack2@optdigits"])
@pytest.mark.parametrize("recipe", ["noise", "untrained"])
def test_noise_is_off_the_manifold(recipe, dataset):
    """Real data are nearer to it than what has no digit in it."""
    torch.set_num_threads(1)
    judge = JUDGES[DATASETS[dataset].part.judge].part
    real = truth_of(judge.card, 2)
    samples = {name: _sampled(name, dataset, 1_000) for name in ("oracle", recipe)}
    oracle, fake = (score("off_manifold", real, look(judge, s)[0]) for s in samples.values())
    assert fake > oracle


def test_the_oracle_recipe_is_real(judge):
    """Through bytes, as a task scores it: every mode of stacks of two."""
    torch.set_num_threads(1)
    real = truth_of(judge.card, 2)
    fake = look(judge, _sampled("oracle", "stack2@mnist5k", 5_000))[0]
    assert score("stack_modes", real, fake) == pytest.approx(100, abs=1)
    assert score("off_manifold_digits", real, fake) == pytest.approx(0.05, abs=0.01)


def test_a_truth_is_that_of_the_card(judge):
    """Rows of the passing digits' confusion with one count more, spread evenly."""
    card = judge.card
    real = truth_of(card, 2)
    for c, row in enumerate(card["confusion_of_passing"]):
        wanted = [(count + 0.1) / (sum(row) + 1) for count in row]
        assert real.confusion[c] == pytest.approx(wanted)
    assert real.pass_rates.tolist() == card["pass_rates"]
    assert real.classes == 10
    assert (real.confusion > 0).all()


CONFUSION = np.array([[0.90, 0.08, 0.02], [0.01, 0.95, 0.04], [0.05, 0.15, 0.80]])
RATES = np.array([0.9, 1.0, 0.7])


def truth(depth=3, confusion=CONFUSION, rates=RATES):
    return StackTruth(depth, np.asarray(confusion, dtype=float), np.asarray(rates, dtype=float))


def modes(depth, classes=3):
    """The modes as tuples, in the order of the counts."""
    return list(itertools.product(range(classes), repeat=depth))


def chance(confusion, true, seen):
    """The probability that one stack is read as another."""
    return math.prod(confusion[a, b] for a, b in zip(true, seen, strict=True))


def kronecker(real):
    """[modes, modes], from what is there to what is read, entry by entry."""
    every = modes(real.depth, real.classes)
    return np.array([[chance(real.confusion, a, b) for b in every] for a in every])


def tally_of(passing, raw=None, rejected=0):
    """A tally with given counts; the single digits don't matter."""
    passing = np.asarray(passing)
    raw = passing if raw is None else np.asarray(raw)
    return StackTally(raw, passing, np.zeros((3, 4), dtype=int), int(passing.sum()) + rejected)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_modes_are_in_their_order(depth):
    """The first place varies slowest; nothing is transposed."""
    real = truth(depth)
    matrix = kronecker(real)
    np.testing.assert_allclose(matrix, reduce(np.kron, [CONFUSION] * depth))
    rng = np.random.default_rng(0)
    counts = rng.random(real.modes)
    np.testing.assert_allclose(real.read(counts), counts @ matrix)
    np.testing.assert_allclose(real.blamed(counts), matrix @ counts)
    np.testing.assert_allclose(real.kept, np.diagonal(matrix))
    shares = [math.prod(RATES[c] / 3 for c in mode) for mode in modes(depth)]
    np.testing.assert_allclose(real.shares, shares)
    for at, mode in enumerate(modes(depth)):
        only = np.zeros(real.modes)
        only[at] = 1.0
        wanted = [chance(CONFUSION, mode, seen) for seen in modes(depth)]
        np.testing.assert_allclose(real.read(only), wanted)


@pytest.mark.parametrize("seed", range(4))
def test_unfolding_is_the_maximum_of_the_likelihood(seed):
    """As an optimiser finds it from the explicit matrix; the sum is that of the counts."""
    real, rng = truth(), np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(27, 2.0))
    counts = rng.poisson(5_000 * real.read(shares))
    matrix, total = kronecker(real), counts.sum()

    def loss(true):
        expected = np.maximum(true @ matrix, 1e-300)
        value = true.sum() - (counts / total * np.log(expected)).sum()
        return value, 1 - matrix @ (counts / total / expected)

    start = np.full(27, 1 / 27)
    best = minimize(
        loss, start, jac=True, bounds=[(0, None)] * 27, method="L-BFGS-B",
        options={"maxiter": 20_000, "maxfun": 50_000, "ftol": 1e-16, "gtol": 1e-10},
    )  # fmt: skip
    found = unfold(real, counts)
    assert found.sum() == pytest.approx(total)
    assert (found >= 0).all()
    assert loss(found / total)[0] <= best.fun + 1e-8
    np.testing.assert_allclose(found / total, best.x, atol=2e-4)


def test_unfolding_without_confusion_does_nothing():
    """The identity leaves the counts as they are, empty modes too."""
    real = truth(2, np.eye(3))
    counts = np.array([0, 5, 1, 0, 0, 70, 3, 0, 9])
    np.testing.assert_allclose(unfold(real, counts), counts, atol=1e-9)
    assert np.array_equal(leakage(real, counts.astype(float)), np.zeros(9))
    assert unfold(real, np.zeros(9, dtype=int)).tolist() == [0.0] * 9


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_unfolding_finds_what_was_planted(depth):
    """From the expected counts of an uneven distribution; axes are not exchanged."""
    real = truth(depth)
    planted = np.arange(1.0, real.modes + 1) ** 2 * 1e7
    found = unfold(real, np.rint(real.read(planted)).astype(np.int64))
    np.testing.assert_allclose(found, planted, rtol=2e-3, atol=2e-5 * planted.sum())


def test_a_single_planted_mode_is_found():
    """All that is read elsewhere is blamed on it."""
    real = truth(3)
    for at in (0, 5, 21, 26):
        planted = np.zeros(27)
        planted[at] = 1e9
        found = unfold(real, np.rint(real.read(planted)).astype(np.int64))
        assert found[at] == pytest.approx(1e9, rel=1e-3)


def test_leakage_is_what_comes_from_elsewhere():
    """Summed over every pair of different modes."""
    real, every = truth(), modes(3)
    true = np.random.default_rng(3).random(27) * 100
    wanted = [
        sum(true[i] * chance(CONFUSION, a, b) for i, a in enumerate(every) if a != b) for b in every
    ]
    np.testing.assert_allclose(leakage(real, true), wanted, rtol=1e-9)
    assert leakage(real, true).sum() < true.sum()


def _poisson_tail(count, rate):
    """The probability of at least so many, term by term."""
    below = sum(math.exp(-rate + k * math.log(rate) - math.lgamma(k + 1)) for k in range(count))
    return 1 - below


@pytest.mark.parametrize("total", [1_000, 3_000])
def test_a_mode_counts_from_where_chance_does_not_explain_it(total):
    """Beside one large mode, at the boundary of a Poisson test at 0.01 over the number of modes."""
    real = truth(1, [[0.99, 0.01, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [1, 1, 1])
    switched = []
    for extra in range(int(0.03 * total)):
        counts = np.array([total, extra, 0])
        leaked = leakage(real, unfold(real, counts))[1]
        counted = score("stack_modes", real, tally_of(counts)) - 1
        level = 0.01 / 3
        if extra:
            assert counted == (_poisson_tail(extra, leaked) < level - 1e-9), extra
            assert counted == (poisson.sf(extra - 1, leaked) < level)
        switched.append(counted)
    assert switched[0] == 0
    assert switched[-1] == 1
    first = switched.index(1)
    assert switched == [0] * first + [1] * (len(switched) - first)
    assert first > 0.01 * total


def test_what_is_not_explained_is_counted_however_small():
    """Without misreading, one stack makes a mode; without stacks, there is none."""
    real = truth(2, np.eye(3))
    assert score("stack_modes", real, tally_of([1, 0, 0, 0, 2, 0, 0, 0, 0])) == 2
    assert score("stack_modes_raw", real, tally_of([1, 0, 0, 0, 2, 0, 0, 0, 0])) == 2
    assert score("stack_modes", real, tally_of([0] * 9, rejected=5)) == 0


def _drawn_labels(n, depth, classes, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, (n, depth)), rng.random((n, depth)) < 0.8


@pytest.mark.parametrize(("depth", "classes"), [(1, 10), (2, 10), (3, 10), (3, 3), (2, 2)])
def test_a_tally_is_that_of_each_stack(depth, classes):
    """Counted one by one, in plain Python, it comes to the same."""
    labels, passed = _drawn_labels(700, depth, classes)
    found = tally_stacks(labels, passed, classes)
    raw, passing, digits = Counter(), Counter(), Counter()
    for stack, good in zip(labels.tolist(), passed.tolist(), strict=True):
        raw[tuple(stack)] += 1
        passing[tuple(stack)] += all(good)
        for place, (digit, fine) in enumerate(zip(stack, good, strict=True)):
            digits[place, digit if fine else classes] += 1
    every = modes(depth, classes)
    assert found.raw.tolist() == [raw[mode] for mode in every]
    assert found.passing.tolist() == [passing[mode] for mode in every]
    bins = range(classes + 1)
    assert found.digits.tolist() == [[digits[at, b] for b in bins] for at in range(depth)]
    assert found.n == found.raw.sum() == 700
    assert (found.digits.sum(axis=1) == 700).all()


@pytest.mark.parametrize("cuts", [[], [0], [1], [350], [700], [5, 5, 200, 699]])
def test_tallies_merge(cuts):
    """The tally of a whole is the sum of those of its parts, wherever it is cut."""
    labels, passed = _drawn_labels(700, 3, 10)
    whole = tally_stacks(labels, passed, 10)
    parts = zip(np.split(labels, cuts), np.split(passed, cuts), strict=True)
    total = reduce(lambda a, b: a + b, (tally_stacks(a, b, 10) for a, b in parts))
    for field in ("raw", "passing", "digits"):
        assert np.array_equal(getattr(total, field), getattr(whole, field))
    assert total.n == whole.n


@pytest.mark.parametrize("wrong", [-1, 10, 255])
def test_other_labels_are_refused(wrong):
    labels, passed = _drawn_labels(5, 2, 10)
    labels[3, 1] = wrong
    with pytest.raises(ValueError, match=r"expected labels of 0 to 9, got"):
        tally_stacks(labels, passed, 10)


def test_the_raw_divergence_has_the_floor_of_sampling():
    """On average (K - 1) / 2n for a perfect sampler with a perfect judge."""
    real, n = truth(3, np.eye(10), np.ones(10)), 26_000
    values = []
    for seed in range(40):
        labels = np.random.default_rng(seed).integers(0, 10, (n, 3))
        fake = tally_stacks(labels, np.ones((n, 3), dtype=bool), 10)
        values.append(score("reverse_kl_stack_raw", real, fake))
    assert np.mean(values) == pytest.approx(999 / (2 * n), rel=0.03)
    assert score("stack_kl_floor", real, fake) == pytest.approx(1_000 / (2 * n))


def test_the_raw_divergence_is_its_formula():
    """Over the modes by the likeliest digits, whether they pass or not."""
    raw = [4, 0, 1, 0, 3, 0, 0, 2, 0]
    wanted = sum(c / 10 * math.log(9 * c / 10) for c in raw if c)
    fake = tally_of([1, 0, 0, 0, 0, 0, 0, 0, 0], raw, rejected=9)
    assert score("reverse_kl_stack_raw", truth(2), fake) == pytest.approx(wanted)
    one = tally_of([0] * 9, [0, 0, 7, 0, 0, 0, 0, 0, 0], rejected=7)
    assert score("reverse_kl_stack_raw", truth(2), one) == pytest.approx(math.log(9))


@pytest.mark.parametrize("confusion", [np.eye(3), CONFUSION], ids=["identity", "confused"])
def test_the_divergence_is_its_formula(confusion):
    """Over the modes and the bin of the rejected, from what is there to what real digits are."""
    real = truth(2, confusion)
    passing, rejected = np.array([40, 0, 1, 0, 30, 0, 5, 20, 4]), 25
    n = passing.sum() + rejected
    there = passing.astype(float)
    matrix = kronecker(real)
    for _ in range(5_000):
        there = there * (matrix @ (passing / np.maximum(there @ matrix, 1e-300)))
    wanted = 0.0
    for count, mode in zip(there, modes(2), strict=True):
        if count > 1e-9:
            wanted += count / n * math.log(count / n / math.prod(RATES[c] / 3 for c in mode))
    off = 1 - sum(math.prod(RATES[c] / 3 for c in mode) for mode in modes(2))
    wanted += rejected / n * math.log(rejected / n / off)
    found = score("reverse_kl_stack", real, tally_of(passing, rejected=rejected))
    assert found == pytest.approx(wanted, rel=1e-3, abs=1e-4)


def test_the_divergence_of_rejected_samples_is_that_of_their_bin():
    """All in it: minus the log of its share; where no real digit is rejected it stays finite."""
    real = truth(1)
    rejected = 1 - RATES.mean()
    fake = tally_of([0, 0, 0], rejected=50)
    assert score("reverse_kl_stack", real, fake) == pytest.approx(-math.log(rejected))
    sure = truth(1, rates=[1, 1, 1])
    assert 3 < score("reverse_kl_stack", sure, fake) < 20
