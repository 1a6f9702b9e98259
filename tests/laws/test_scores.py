"""What holds for every score of samples: range, order, symmetry, and what it sees and does not.

Metrics enrol by what they take: features, what lies near to what, class probabilities, distances to
the training set, or identities. test_calibration.py has their standard errors.
"""

from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from functools import cache, reduce

import numpy as np
import pytest
from scipy.special import softmax

from bench.core.errors import UsageError
from bench.score.measure import Request, score
from bench.score.samples import row_ids
from metrics import METRICS, Score, neighbours
from metrics.copying import Nearest, cells_of, nearest
from metrics.features import Features
from metrics.moments import Moments
from metrics.neighbours import survey

KINDS = ("features", "neighbours", "probabilities", "nearest", "identities")
DIMS = MODES = 8
SPREAD = 0.25
CENTRES = 2 * np.eye(MODES)
N = 600
SIZES = {"different_bins": (2_000, 1_000), "parzen": (400, 400)}
"""Reals and fakes, where other numbers are needed, or fewer are enough; N of both elsewhere."""

# What a metric cannot see by its definition, and why. A blind spot that has gone fails the law.
BLIND = {
    "precision": (
        ("half", "one"),
        "each sample is asked whether it is real, not which are missing",
    ),
    "density": (("half", "one"), "as precision"),
    "recall": (
        ("noisy", "invented"),
        "scattered samples have wide balls, and others are not asked",
    ),
    "inception_score*": (("shifted",), "it never sees a real sample"),
    "duplicates": (("*",), "it asks which samples are equal, not where they are"),
    "exact_copies": (("*",), "as duplicates"),
}

# Metrics that take parts of the samples by their place, which is why bench/scoring.py puts every
# set in the order of its content first. (Above 1,000 reals `mmd` takes its width from the first
# ones, and above 10,000 samples every discrepancy is of the first ones.)
ORDERED = {
    "frechet_infinity": "halves and quarters",
    "inception_score_10": "ten splits",
    "parzen": "one half chooses the width for the other",
    "different_bins": "bins of one half, compared with the other",
    "c2st": "trained on one half, tested on the other",
    "memorisation": "k-means begins with training examples that it picks by number",
}

# Values know no order; errors come from the spread over parts that are taken by their place.
ERROR_ORDERED = ("precision", "recall", "density", "coverage")

# The power of the scale that a metric grows with; 0 for all others.
POWERS = {"frechet": 2, "frechet_infinity": 2, "energy_distance": 1, "sliced_wasserstein": 1}

# What changes a metric that is no distance alone, and why.
CHANGED = {
    "kernel_distance": (("scaled", "moved"), "its kernel is of the angle and the size of features"),
    "parzen": (("scaled",), "its widths are of pixels in [0, 1]"),
    "sliced_wasserstein": (("turned",), "its lines are drawn once, at random"),
    "c2st": (("turned",), "it standardises coordinates"),
}

SYMMETRIC = (
    "frechet",
    "frechet_infinity",
    "kernel_distance",
    "energy_distance",
    "sliced_wasserstein",
)
SAMPLERS = ("shifted", "half", "one", "noisy", "invented")


def _enrolled(*takes, directed=False):
    return [
        entry
        for entry in METRICS.entries()
        if entry.facts.takes in takes and not (directed and entry.facts.direction == "none")
    ]


def pytest_generate_tests(metafunc):
    """Enrol every registered metric."""
    chosen = {
        "metric": _enrolled(*KINDS),
        "directed": _enrolled(*KINDS, directed=True),
        "of_features": _enrolled("features"),
        "of_space": _enrolled("features", "neighbours", "nearest"),
    }
    for fixture in chosen.keys() & set(metafunc.fixturenames):
        metafunc.parametrize(fixture, [pytest.param(e, id=e.name) for e in chosen[fixture]])


def _modes(rng, n, modes=range(MODES), spread=SPREAD):
    return CENTRES[rng.choice(list(modes), n)] + spread * rng.standard_normal((n, DIMS))


@cache
def _samples(sampler, n=N):
    """float32 samples [n, 8] of a named sampler; nothing may write to them."""
    rng = np.random.default_rng(list(sampler.encode()))
    draw = {
        "shifted": lambda: _modes(rng, n) + SPREAD,
        "half": lambda: _modes(rng, n, range(4)),
        "one": lambda: _modes(rng, n, [3]),
        "noisy": lambda: _modes(rng, n, spread=3 * SPREAD),
        "invented": lambda: np.concatenate(
            [_modes(rng, n // 2), SPREAD * rng.standard_normal((n - n // 2, DIMS)) - 2]
        )[rng.permutation(n)],
        "point": lambda: np.repeat(CENTRES[:1], n, axis=0),
    }
    found = draw.get(sampler, lambda: _modes(rng, n))().astype(np.float32)
    found.flags.writeable = False
    return found


def _pair(entry, sampler):
    """As many reals, and samples of a sampler, as a metric is tried with."""
    n, m = SIZES.get(entry.name, (N, N))
    return _samples("real", n), _samples(sampler, m)


def _arguments(entry, real, fake, training=None, apply=map):
    """What a metric takes, of three sets of points."""
    takes = entry.facts.takes
    if takes == "features":
        return Features(real, apply=apply), Features(fake, apply=apply)
    if takes == "neighbours":
        return survey(Features(real, apply=apply), Features(fake, apply=apply))
    if takes == "probabilities":
        chances = softmax(1.5 * np.float64(fake) @ CENTRES.T, axis=1).astype(np.float32)
        return None, chances.astype(fake.dtype)
    if takes == "identities":
        return row_ids(real), row_ids(fake)
    assert takes == "nearest"
    exact = np.float64(_samples("training") if training is None else training)
    cells = cells_of(exact)
    return tuple(nearest([np.float64(x)], exact, cells, None, apply) for x in (real, fake))


@cache
def _surveyed(sampler):
    return survey(Features(_samples("real")), Features(_samples(sampler)))


@cache
def _scored(name, sampler):
    """A metric's score of a named sampler."""
    entry = METRICS[name]
    if entry.facts.takes == "neighbours":
        return entry.part(*_surveyed(sampler))
    return entry.part(*_arguments(entry, *_pair(entry, sampler)))


def _gain(entry, better, worse):
    """How much better the first is, in the metric's own direction, and three of its errors."""
    gain = better.value - worse.value
    margin = 3 * ((better.std_error or 0) + (worse.std_error or 0))
    return gain if entry.facts.direction == "higher" else -gain, margin


def _assert_same(found, wanted, unit=1.0, rel=1e-9):
    """Values to `rel`; errors, which are small differences of large terms, to a thousand times."""
    assert found.value == pytest.approx(unit * wanted.value, rel=rel, abs=1e-12)
    assert (found.std_error is None) == (wanted.std_error is None)
    error = unit * (wanted.std_error or 0)
    assert (found.std_error or 0) == pytest.approx(error, rel=1_000 * rel, abs=1e-12)


def _listed(table, name, case):
    return any(
        fnmatch(name, pattern) and any(fnmatch(case, each) for each in cases)
        for pattern, (cases, _) in table.items()
    )


@pytest.mark.parametrize("sampler", ["fresh", "real", *SAMPLERS, "point"])
def test_a_score_is_in_its_range(metric, sampler):
    """A finite number in the declared range, with an error, if any, of no less than 0."""
    found = _scored(metric.name, sampler)
    _assert_in_range(found, metric.facts)
    assert found.n == {"parzen": 200, "different_bins": 1_000}.get(metric.name, N)


def _assert_in_range(found, facts):
    assert isinstance(found, Score)
    assert type(found.value) is float
    assert np.isfinite(found.value)
    assert facts.low is None or found.value >= facts.low - 1e-9
    assert facts.high is None or found.value <= facts.high + 1e-12
    assert found.std_error is None or 0 <= found.std_error < np.inf


def test_sets_of_different_sizes_are_compared(metric):
    """No metric asks for as many of either; the number it tells is that of what it counts."""
    n, m = (2_000, 1_001) if metric.name == "different_bins" else (700, 401)
    found = metric.part(*_arguments(metric, _samples("real", n), _samples("fresh", m)))
    _assert_in_range(found, metric.facts)
    assert found.n == {"recall": n, "coverage": n, "parzen": n // 2, "c2st": 400}.get(
        metric.name, m
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_fresh_samples_are_better(directed, sampler):
    """Than shifted ones, those of half the modes or of one, noisy ones, and ones with a mode that
    is not there: by more than three errors of both, unless the metric is blind to it.
    """
    fresh, other = (_scored(directed.name, each) for each in ("fresh", sampler))
    gain, margin = _gain(directed, fresh, other)
    assert (gain > margin and gain > 0) != _listed(BLIND, directed.name, sampler)


def test_the_smaller_collapse_is_better(directed):
    """Half of the modes are better than one, wherever either is seen."""
    if _listed(BLIND, directed.name, "one"):
        pytest.skip("it is blind to collapse")
    gain, _ = _gain(directed, *(_scored(directed.name, each) for each in ("half", "one")))
    assert gain > 0


def test_tables_are_of_registered_metrics():
    """A name that nothing answers to exempts nothing."""
    names = [entry.name for entry in _enrolled(*KINDS)]
    for table in (BLIND, ORDERED, POWERS, CHANGED, SIZES, SYMMETRIC):
        assert all(any(fnmatch(name, pattern) for name in names) for pattern in table)


@pytest.mark.parametrize(
    "variant",
    [
        lambda x: x.astype(np.float64),
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=0)[::2],
    ],
    ids=["float64", "fortran", "strided"],
)
def test_the_array_does_not_matter(metric, variant):
    """The same numbers in another type or layout score the same, to 1e-9."""
    wanted = _scored(metric.name, "fresh")
    sets = map(variant, (*_pair(metric, "fresh"), _samples("training")))
    _assert_same(metric.part(*_arguments(metric, *sets)), wanted)


def test_single_precision_is_enough(metric):
    """Numbers that are no float32, rounded to one: 1e-4, and a share by one sample at most."""
    rng = np.random.default_rng(0)
    n, m = SIZES.get(metric.name, (N, N))
    exact = [_modes(rng, n), _modes(rng, m) + SPREAD, _modes(rng, N)]
    wanted, found = (
        metric.part(*_arguments(metric, *(x.astype(kind) for x in exact)))
        for kind in (np.float64, np.float32)
    )
    one = 1 / N if metric.facts.percent else 0
    assert found.value == pytest.approx(wanted.value, rel=1e-4, abs=one + 1e-12)


def test_inputs_are_not_changed(metric):
    """Neither points, nor what was made of them."""
    real, fake = (x.copy() for x in _pair(metric, "fresh"))
    given = _arguments(metric, real, fake)
    held = [vars(x) if hasattr(x, "__dict__") else {"it": x} for x in given]
    arrays = [x for each in held for x in each.values() if isinstance(x, np.ndarray)]
    before = [x.copy() for x in arrays]
    first = metric.part(*given)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    assert all(map(np.array_equal, (real, fake), _pair(metric, "fresh")))
    assert metric.part(*given) == first


def test_the_order_does_not_matter(metric):
    """To 1e-9; metrics that take parts by their place agree within five errors of both."""
    rng = np.random.default_rng(0)
    wanted = _scored(metric.name, "half")
    sets = map(rng.permutation, (*_pair(metric, "half"), _samples("training")))
    found = metric.part(*_arguments(metric, *sets))
    if metric.name in ORDERED:
        slack = 5 * (wanted.std_error + found.std_error)
        assert found.value == pytest.approx(wanted.value, abs=slack)
        assert found != wanted, "it does not take parts by their place: strike it off the table"
    elif metric.name in ERROR_ORDERED:
        _assert_same(found._replace(std_error=None), wanted._replace(std_error=None))
        assert found.std_error == pytest.approx(wanted.std_error, rel=0.9)
    else:
        _assert_same(found, wanted)


def test_bench_score_knows_no_order():
    """Files in another order, read by more threads, give the same numbers, bit for bit."""
    rng = np.random.default_rng(0)
    real, fake = _samples("real"), _samples("shifted")
    first = score(Request(real, fake))
    again = score(Request(rng.permutation(real), rng.permutation(fake), workers=2))
    assert first.values == again.values
    taken = [e.name for e in _enrolled("features", "neighbours", "nearest", "identities")]
    measured = {value.metric.partition("@")[0] for value in first.values}
    assert set(taken) - measured == {"parzen", "different_bins"}
    assert set(first.left_out) == {"different_bins"}


@pytest.mark.parametrize("chunk", [1, 30_000])
def test_threads_and_chunks_do_not_matter(of_space, chunk, monkeypatch):
    """Threads change no bit of a score; chunks of any size no more than rounding does."""
    real, fake = _pair(of_space, "half")
    if of_space.name != "different_bins":
        real, fake = real[:400], fake[:300]
    given = real, fake, _samples("training")[:300]
    usual = of_space.part(*_arguments(of_space, *given))
    monkeypatch.setattr(neighbours, "CHUNK_VALUES", chunk)
    alone = of_space.part(*_arguments(of_space, *given))
    with ThreadPoolExecutor(3) as pool:
        assert of_space.part(*_arguments(of_space, *given, apply=pool.map)) == alone
    _assert_same(alone, usual)


def _moved(how):
    """A similarity of the space, and the factor of its distances."""
    rng = np.random.default_rng(0)
    turn, step = np.linalg.qr(rng.standard_normal((DIMS, DIMS)))[0], rng.uniform(-3, 3, DIMS)
    return {
        "turned": (lambda x: x @ turn, 1.0),
        "moved": (lambda x: x + step, 1.0),
        "scaled": (lambda x: 4 * x, 4.0),
        "shrunk": (lambda x: 2.0**-10 * x, 2.0**-10),
    }[how]


@pytest.mark.parametrize("how", ["turned", "moved", "scaled", "shrunk"])
def test_similarities_change_the_unit_only(of_space, how):
    """Turned, moved and scaled together, both sets are as far apart as before, in other units."""
    change, factor = _moved(how)
    sets = [np.float64(x) for x in (*_pair(of_space, "half"), _samples("training"))]
    wanted = _scored(of_space.name, "half")
    found = of_space.part(*_arguments(of_space, *map(change, sets)))
    unit = factor ** POWERS.get(of_space.name, 0)
    if _listed(CHANGED, of_space.name, how.replace("shrunk", "scaled")):
        assert found.value != pytest.approx(unit * wanted.value, rel=1e-8), (
            "strike it off the table"
        )
    else:
        _assert_same(found, wanted, unit, rel=1e-8)


@pytest.mark.parametrize(("name", "how"), [("kernel_distance", "moved"), ("parzen", "scaled")])
def test_what_depends_on_the_unit_is_listed_rightly(name, how):
    """A kernel distance is of features as they stand, where zero and one are; so are windows."""
    change, _ = _moved(how)
    sets = [np.float64(x) for x in _pair(METRICS[name], "half")]
    wanted, found = (
        METRICS[name].part(*(Features(f(x)) for x in sets)) for f in (lambda x: x, change)
    )
    assert abs(found.value - wanted.value) > 0.1 * abs(wanted.value)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_distances_are_the_same_from_either_side(name):
    """They have no real and no fake side, nor has their error over samples."""
    pair = [Features(_samples("real", 900)), Features(_samples("half", 700))]
    there, back = METRICS[name].part(*pair), METRICS[name].part(*pair[::-1])
    _assert_same(back, there)


@pytest.mark.parametrize("sampler", ["fresh", *SAMPLERS])
def test_swapping_exchanges_precision_and_recall(sampler):
    """Precision is about fakes and recall about reals."""
    real, fake = Features(_samples("real", 900)), Features(_samples(sampler, 700))
    there, back = survey(real, fake), survey(fake, real)
    for one, other in (("precision", "recall"), ("recall", "precision")):
        assert METRICS[one].part(*there) == METRICS[other].part(*back)


def test_a_collapsed_sampler_has_precision_and_no_recall():
    """One mode of eight: samples as real as any, and reals that have none near."""
    fresh, one = (
        {name: _scored(name, sampler).value for name in ("precision", "recall", "coverage")}
        for sampler in ("fresh", "one")
    )
    assert one["precision"] > fresh["precision"] - 0.05
    assert one["recall"] < 1 / 8
    assert one["coverage"] < 1 / 8 + 0.05


def test_an_invented_mode_has_recall_and_no_precision():
    """Half of the samples are of a mode that is not there; the reals have samples near still."""
    fresh, invented = (
        {name: _scored(name, sampler).value for name in ("precision", "recall", "density")}
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
        METRICS["different_bins"].part(Features(_modes(rng, 2_000)), Features(_modes(rng, 1_000)))
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
    some, none = Moments.of(_samples("real")), Moments.empty(DIMS)
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
    training = np.float64(_samples("training"))
    fake = {
        "fresh": lambda: _modes(rng, N),
        "copies": lambda: training,
        "near copies": lambda: training + 0.1 * SPREAD * rng.standard_normal((N, DIMS)),
        "tenth": lambda: np.concatenate([training[: N // 10], _modes(rng, N - N // 10)]),
        "wide": lambda: _modes(rng, N, spread=2 * SPREAD),
    }[sampler]()
    return _arguments(METRICS["memorisation"], np.float64(_samples("real")), fake)


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
    copied = np.concatenate([_samples("real")[: N // 2], _samples("fresh")[: N // 2]])
    repeated = np.repeat(_samples("fresh")[: N // 4], 4, axis=0)
    for name, fake, wanted in (
        ("exact_copies", copied, 0.5),
        ("exact_copies", repeated, 0),
        ("duplicates", copied, 0),
        ("duplicates", repeated, 0.75),
    ):
        entry = METRICS[name]
        assert entry.part(*_arguments(entry, _samples("real"), fake)).value == wanted


def _cloud(n, dims=3):
    return Features(np.random.default_rng(n).standard_normal((n, dims)))


def test_features_of_two_spaces_are_refused(of_features):
    """Whatever is measured."""
    with pytest.raises(UsageError, match="as many dimensions, got 3 of the real and 4 of the fake"):
        of_features.part(_cloud(2_000, 3), _cloud(2_000, 4))


def test_moments_alone_are_enough_for_frechet_only(of_features):
    """Any other metric says that it needs the features."""
    moments = Features(None, Moments.of(_samples("real", 2_000)))
    if of_features.name == "frechet":
        assert of_features.part(moments, moments).value == pytest.approx(0, abs=1e-9)
        return
    with pytest.raises(UsageError, match="needs the features themselves, and the file has mu"):
        of_features.part(moments, moments)


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
        METRICS[name].part(_cloud(n), _cloud(m))


@pytest.mark.parametrize(("n", "m"), [(5, 9), (9, 5)])
def test_too_few_neighbours_are_refused(n, m):
    """The fifth neighbour needs a sixth sample."""
    with pytest.raises(UsageError, match=f"needs 6 samples of each, got {n} and {m}"):
        survey(_cloud(n), _cloud(m))
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
    point, cloud = np.repeat(rng.standard_normal((1, DIMS)), 50, axis=0), _cloud(50, DIMS)
    with pytest.raises(UsageError, match="median distance of the reals is 0"):
        METRICS["mmd"].part(Features(point), cloud)


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
