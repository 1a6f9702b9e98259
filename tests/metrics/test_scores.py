"""Scores of samples by name: what they count, what they tell apart, what they refuse."""

from functools import reduce

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.laws.modes import takes
from bench.laws.scores import (
    DIMS,
    KINDS,
    SAMPLERS,
    SIMILARITIES,
    SPREAD,
    N,
    arguments,
    cloud,
    modes,
    pair,
    samples,
    scored,
)
from bench.score.measure import ScoreRequest, score
from metrics import METRICS, neighbours
from metrics.copying import Nearest, cells_of, nearest
from metrics.features import Features
from metrics.moments import Moments
from metrics.neighbours import survey


def test_bench_score_knows_no_order():
    """Files in another order, read by more threads, give the same numbers, bit for bit."""
    rng = np.random.default_rng(0)
    real, fake = samples("real"), samples("shifted")
    first = score(ScoreRequest(real, fake))
    again = score(ScoreRequest(rng.permutation(real), rng.permutation(fake), workers=2))
    assert first.values == again.values
    kinds = takes("features", "neighbours", "nearest", "identities")
    taken = [entry.name for entry in METRICS.entries() if kinds(entry)]
    measured = {value.metric.partition("@")[0] for value in first.values}
    assert {"parzen", "different_bins"} <= set(taken) - measured
    assert set(first.left_out) == {"different_bins"}


@pytest.mark.parametrize(("name", "how"), [("kernel_distance", "moved"), ("parzen", "scaled")])
def test_what_depends_on_the_unit_is_listed_rightly(name, how):
    """A kernel distance is of features as they stand, where zero and one are; so are windows."""
    change, _ = SIMILARITIES[how]
    sets = [np.float64(x) for x in pair(METRICS[name], "half")]
    wanted, found = (
        METRICS[name].part(*(Features(f(x)) for x in sets)) for f in (lambda x: x, change)
    )
    assert abs(found.value - wanted.value) > 0.1 * abs(wanted.value)


@pytest.mark.parametrize("sampler", ["fresh", *SAMPLERS])
def test_swapping_exchanges_precision_and_recall(sampler):
    """Precision is about fakes and recall about reals."""
    real, fake = Features(samples("real", 900)), Features(samples(sampler, 700))
    there, back = survey(real, fake), survey(fake, real)
    for one, other in (("precision", "recall"), ("recall", "precision")):
        assert METRICS[one].part(*there) == METRICS[other].part(*back)


def test_a_collapsed_sampler_has_precision_and_no_recall():
    """One mode of eight: samples as real as any, and reals that have none near."""
    fresh, one = (
        {name: scored(METRICS[name], sampler).value for name in ("precision", "recall", "coverage")}
        for sampler in ("fresh", "one")
    )
    assert one["precision"] > fresh["precision"] - 0.05
    assert one["recall"] < 1 / 8
    assert one["coverage"] < 1 / 8 + 0.05


def test_an_invented_mode_has_recall_and_no_precision():
    """Half of the samples are of a mode that is not there; the reals have samples near still."""
    fresh, invented = (
        {name: scored(METRICS[name], sampler).value for name in ("precision", "recall", "density")}
        for sampler in ("fresh", "invented")
    )
    assert invented["precision"] < 0.5
    assert invented["density"] < 0.5 * 1.1
    assert invented["recall"] > fresh["recall"] - 0.05


@pytest.mark.parametrize(("n", "k"), [(20, 5), (150, 5)])
def test_the_coverage_of_the_same_distribution_is_known(n, k):
    """A real one is not covered if its k nearest among all others are real: Naeem et al. 2020."""
    rng = np.random.default_rng(n)
    found = [
        METRICS["coverage"].part(*survey(*(Features(x) for x in rng.standard_normal((2, n, 4)))))
        for _ in range(100)
    ]
    values = np.array([each.value for each in found])
    i = np.arange(1, k + 1)
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert values.mean() == pytest.approx(1 - np.prod((n - i) / (2 * n - i)), abs=3 * error)


def test_bins_differ_by_chance_where_distributions_are_the_same():
    """Five in a hundred, over 12 pairs of sets: that is the level of the test."""
    rng = np.random.default_rng(0)
    found = [
        METRICS["different_bins"].part(Features(modes(rng, 2_000)), Features(modes(rng, 1_000)))
        for _ in range(12)
    ]
    error = np.sqrt(0.05 * 0.95 / (12 * 100))
    assert np.mean([each.value for each in found]) == pytest.approx(0.05, abs=4 * error)


CUTS = [[], [0], [1], [5_000], [1, 2, 3], [4_096], [10, 10, 4_999, 9_000], [10_000]]


@pytest.mark.parametrize("cuts", CUTS, ids=str)
@pytest.mark.parametrize("backwards", [False, True])
def test_moments_merge(cuts, backwards):
    """Of parts in any order they are those of the whole, and NumPy's: to 1e-12 of the trace."""
    rng = np.random.default_rng(0)
    points = (rng.standard_normal((10_000, 6)) * [1, 5, 0.01, 2, 1, 0] + 30).astype(np.float32)
    parts = [Moments.of(part) for part in np.split(points, cuts)]
    total = reduce(Moments.__add__, parts[::-1] if backwards else parts, Moments.empty(6))
    exact, whole = points.astype(np.float64), Moments.of(points)
    trace = np.trace(np.cov(exact.T))
    assert total.n == whole.n == 10_000
    for found in (total, whole):
        np.testing.assert_allclose(found.mean, exact.mean(0), rtol=1e-12)
        np.testing.assert_allclose(found.covariance, np.cov(exact.T), rtol=0, atol=1e-12 * trace)


def test_no_points_add_nothing():
    """Empty moments leave others as they are, on either side; sums do not change their terms."""
    some, none = Moments.of(samples("real")), Moments.empty(DIMS)
    before = some.scatter.copy()
    for found in (some + none, none + some, some):
        assert found.n == N
        assert np.array_equal(found.mean, some.mean)
        assert np.array_equal(found.scatter, before)
    assert (none + none).n == 0
    assert (some + some).n == 2 * N
    assert np.array_equal(some.scatter, before)


@pytest.mark.parametrize("dims", [4, 16])
def test_the_distance_at_infinity_is_nearer_to_the_truth(dims):
    """Over 40 pairs of sets of Gaussians, its mean lies less than half as far off."""
    rng, widths = np.random.default_rng(dims), np.linspace(0.5, 1.5, dims)
    truth = 0.1 * dims + np.square(1 - widths).sum()
    found = {"frechet": [], "frechet_infinity": []}
    for _ in range(40):
        real = rng.standard_normal((320, dims))
        fake = rng.standard_normal((320, dims)) * widths + np.sqrt(0.1)
        for name, values in found.items():
            values.append(METRICS[name].part(Features(real), Features(fake)).value)
    bias = {name: abs(np.mean(values) - truth) for name, values in found.items()}
    assert bias["frechet_infinity"] < bias["frechet"] / 2


def _copying(sampler):
    """Distances to the training set, of new reals and of samples that know it."""
    rng = np.random.default_rng(1)
    training = np.float64(samples("training"))
    fake = {
        "fresh": lambda: modes(rng, N),
        "copies": lambda: training,
        "near copies": lambda: training + 0.1 * SPREAD * rng.standard_normal((N, DIMS)),
        "tenth": lambda: np.concatenate([training[: N // 10], modes(rng, N - N // 10)]),
        "wide": lambda: modes(rng, N, spread=2 * SPREAD),
    }[sampler]()
    return arguments(METRICS["memorisation"], np.float64(samples("real")), fake)


def test_memorisation_tells_copies_from_samples():
    """Half for fresh samples, nearly all for copies that are exact or nearly so, fewer if wide."""
    found = {
        each: METRICS["memorisation"].part(*_copying(each))
        for each in ("fresh", "copies", "near copies", "tenth", "wide")
    }
    assert found["fresh"].value == pytest.approx(0.5, abs=4 * found["fresh"].std_error)
    assert found["copies"].value == 1
    assert found["near copies"].value > 0.98
    assert found["tenth"].value == pytest.approx(0.55, abs=4 * found["tenth"].std_error)
    assert found["wide"].value < 0.2


def test_copies_are_counted():
    """One in a hundred of fresh samples, all of the copies, and their share in between."""
    found = {
        each: METRICS["copies"].part(*_copying(each))
        for each in ("fresh", "copies", "near copies", "tenth", "wide")
    }
    assert found["fresh"].value == pytest.approx(0.01, abs=4 * found["fresh"].std_error)
    assert found["copies"].value == 1
    assert found["near copies"].value > 0.98
    assert found["tenth"].value == pytest.approx(0.109, abs=4 * found["tenth"].std_error)
    assert found["wide"].value < 0.01


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.float64])
def test_reals_that_are_training_examples_do_not_hide_copies(kind):
    """The bar is that of reals which are not the same as one, whatever numbers the points have: an
    example that is the same is at distance 0, and not at what rounding makes of it.
    """
    rng = np.random.default_rng(0)
    training, held = (1_000 * rng.standard_normal((2, 500, 64))).astype(kind)
    held[:50] = training[:50]
    fake = (1_000 * rng.standard_normal((500, 64))).astype(kind)
    fake[:100] = training[-100:] + 1
    exact = np.float64(training)
    found = [nearest([np.float64(x)], exact, cells_of(exact)) for x in (held, fake)]
    assert (found[0].distances == 0).sum() == 50
    assert METRICS["copies"].part(*found).value == pytest.approx(0.2, abs=0.02)


def test_identities_count_what_is_the_same():
    """Half of the samples taken from the reals; each sample four times."""
    copied = np.concatenate([samples("real")[: N // 2], samples("fresh")[: N // 2]])
    repeated = np.repeat(samples("fresh")[: N // 4], 4, axis=0)
    for name, fake, wanted in (
        ("exact_copies", copied, 0.5),
        ("exact_copies", repeated, 0),
        ("duplicates", copied, 0),
        ("duplicates", repeated, 0.75),
    ):
        entry = METRICS[name]
        assert entry.part(*arguments(entry, samples("real"), fake)).value == wanted


FEW = [
    ("frechet_infinity", 12, 50, "more than 4 samples a dimension, 13, and there are 12"),
    ("frechet_infinity", 50, 12, "more than 4 samples a dimension, 13, and there are 12"),
    ("kernel_distance", 3, 50, "needs 4 samples of each, got 3 and 50"),
    ("mmd", 50, 3, "needs 4 samples of each, got 50 and 3"),
    ("energy_distance", 3, 3, "needs 4 samples of each, got 3 and 3"),
    ("c2st", 39, 50, "needs 40 samples of each, got 39 and 50"),
    ("different_bins", 1_999, 1_000, "2,000 reals and 1,000 fakes, got 1,999 and 1,000"),
    ("different_bins", 2_000, 999, "2,000 reals and 1,000 fakes, got 2,000 and 999"),
]


@pytest.mark.parametrize(("name", "n", "m", "said"), FEW)
def test_too_few_samples_are_refused(name, n, m, said):
    """The message says how many are needed, and how many came."""
    with pytest.raises(UsageError, match=said):
        METRICS[name].part(cloud(n), cloud(m))


@pytest.mark.parametrize(("n", "m"), [(5, 9), (9, 5)])
def test_too_few_neighbours_are_refused(n, m):
    """The fifth neighbour needs a sixth sample."""
    with pytest.raises(UsageError, match=f"needs 6 samples of each, got {n} and {m}"):
        survey(cloud(n), cloud(m))
    with pytest.raises(UsageError, match="neighbour 5 needs 6 samples, got 5"):
        neighbours.radii(np.zeros((5, 2)), (3, 5))


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (np.zeros((1, 3)), r"expected 2 or more features \[n, d\], got \[1, 3\]"),
        (np.zeros((5, 0)), r"expected 2 or more features \[n, d\], got \[5, 0\]"),
        (np.array([["a"], ["b"]]), "expected features that are numbers, got <U1"),
        (np.array([[0.0], [np.nan], [np.inf]]), "sample 1 are not finite, and those of 1 more"),
        (None, "expected points or moments, got neither"),
    ],
)
def test_features_that_are_none_are_refused(points, said):
    """Before anything is measured."""
    with pytest.raises(UsageError, match=said):
        Features(points)


def test_one_point_has_no_covariance():
    """The message says so."""
    with pytest.raises(UsageError, match="a covariance needs 2 points or more, got 1"):
        _ = Moments.of(np.zeros((1, 3))).covariance


@pytest.mark.parametrize("seed", range(10))
def test_reals_that_are_one_point_have_no_width(seed):
    """Whatever the point: the median distance is 0, and not what rounding leaves of it."""
    rng = np.random.default_rng(seed)
    point, others = np.repeat(rng.standard_normal((1, DIMS)), 50, axis=0), cloud(50, DIMS)
    with pytest.raises(UsageError, match="median distance of the reals is 0"):
        METRICS["mmd"].part(Features(point), others)


@pytest.mark.parametrize("name", ["inception_score", "inception_score_10"])
@pytest.mark.parametrize(
    "rows",
    [
        np.full((20, 4), 0.3),
        np.tile([1.5, -0.5], (20, 1)),
        np.zeros((20, 4)),
        np.full((20, 4), np.nan),
    ],
    ids=["sum", "negative", "zeros", "nan"],
)
def test_what_are_no_probabilities_are_refused(name, rows):
    """Rows that do not sum to 1, negative ones, and those that are no numbers."""
    with pytest.raises(UsageError, match=r"expected class probabilities \[n, classes\], rows that"):
        METRICS[name].part(None, rows)


def test_ten_splits_need_ten_samples():
    """The message says so."""
    with pytest.raises(UsageError, match="10 splits need 10 samples, got 9"):
        METRICS["inception_score_10"].part(None, np.full((9, 2), 0.5))


def test_copying_needs_samples_that_can_be_compared():
    """Twenty of either in one cell; a real one that is no training example itself."""
    cells = np.repeat([0, 1], [19, 30])
    far = np.arange(1.0, 50.0)
    held, made = (Nearest(far, far / 50, each) for each in (cells, cells[::-1].copy()))
    with pytest.raises(UsageError, match="needs 20 samples and 20 new reals in one cell"):
        METRICS["memorisation"].part(
            Nearest(held.distances[:40], held.ratios[:40], held.cells[:40]),
            Nearest(made.distances[-19:], made.ratios[-19:], made.cells[-19:]),
        )
    with pytest.raises(UsageError, match="every real sample is the same as a training example"):
        METRICS["copies"].part(Nearest(np.zeros(49), np.zeros(49), cells), made)


COUNTED = {"recall": 700, "coverage": 700, "parzen": 350, "c2st": 400}


@pytest.mark.parametrize("name", [e.name for e in METRICS.entries() if takes(*KINDS)(e)])
def test_the_number_is_that_of_what_is_counted(name):
    """Fakes, but for metrics that count reals or a part of the samples."""
    n, m = (2_000, 1_001) if name == "different_bins" else (700, 401)
    found = METRICS[name].part(*arguments(METRICS[name], samples("real", n), samples("fresh", m)))
    assert found.n == COUNTED.get(name, m)
