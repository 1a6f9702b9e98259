"""Scores of samples against torch-fidelity, prdc, SciPy, and loops that can be read.

test_frechet.py has the Frechet distance, test_inception.py the features of the FID.
"""

from itertools import combinations
from math import lcm, sqrt

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist, pdist
from scipy.special import logsumexp, softmax

from metrics import METRICS
from metrics.copying import Nearest, nearer, nearest
from metrics.features import Features
from metrics.inception_score import split_scores
from metrics.neighbours import survey
from metrics.parzen import WIDTHS, log_density
from metrics.shares import share_error
from metrics.sliced import transport
from metrics.statistical_bins import z_scores


def _score(name, real, fake):
    return METRICS[name].part(Features(real), Features(fake))


def _clouds(n, m, dims, shift=0.3):
    rng = np.random.default_rng([n, m, dims])
    return rng.standard_normal((n, dims)), 1.2 * rng.standard_normal((m, dims)) + shift


def _discrepancy(real, fake, kernel):
    """The U-statistic, pair by pair."""
    within = [np.mean([kernel(a, b) for a, b in combinations(x, 2)]) for x in (real, fake)]
    return sum(within) - 2 * np.mean([kernel(a, b) for a in real for b in fake])


@pytest.mark.parametrize(("n", "dims"), [(4, 3), (50, 1), (200, 16), (100, 256)])
def test_the_kernel_distance_is_torch_fidelitys(n, dims):
    """On as many of each: its kernel and estimator as they stand, and its one subset of all."""
    library = pytest.importorskip("torch_fidelity.metric_kid")
    real, fake = _clouds(n, n, dims)
    value = _score("kernel_distance", real, fake).value
    assert value == pytest.approx(library.kernel_mmd(real, fake), rel=1e-9)
    found = library.kid_features_to_metric(
        torch.from_numpy(real),
        torch.from_numpy(fake),
        kid_subsets=1,
        kid_subset_size=n,
        verbose=False,
    )
    assert value == pytest.approx(found[library.KEY_METRIC_KID_MEAN], rel=1e-9)


@pytest.mark.parametrize(("n", "m", "dims"), [(30, 21, 2), (12, 40, 7), (4, 4, 1)])
def test_discrepancies_are_their_means_over_pairs(n, m, dims):
    """No sample is paired with itself; the sizes may differ."""
    real, fake = _clouds(n, m, dims)
    width = np.median(pdist(real)) ** 2
    kernels = {
        "kernel_distance": lambda a, b: (a @ b / dims + 1) ** 3,
        "mmd": lambda a, b: np.exp(-np.square(a - b).sum() / (2 * width)),
        "energy_distance": lambda a, b: -np.linalg.norm(a - b),
    }
    for name, kernel in kernels.items():
        score = _score(name, real, fake)
        assert score.value == pytest.approx(_discrepancy(real, fake, kernel), rel=1e-9), name
        assert score.n == m


@pytest.mark.parametrize(("n", "m"), [(50, 50), (200, 35)])
def test_the_energy_distance_is_scipys(n, m):
    """Squared, and without the pairs of a sample with itself, which SciPy counts as 0."""
    real, fake = _clouds(n, m, 1)
    own = pdist(real).mean() / n + pdist(fake).mean() / m
    wanted = stats.energy_distance(real[:, 0], fake[:, 0]) ** 2 - own
    assert _score("energy_distance", real, fake).value == pytest.approx(wanted, rel=1e-9)


def _ball_scores(real, fake):
    """Precision and recall at k = 3, density and coverage at k = 5."""
    surveyed = survey(Features(real), Features(fake))
    names = ("precision", "recall", "density", "coverage")
    return {name: METRICS[name].part(*surveyed).value for name in names}


def _prdc(real, fake):
    library = pytest.importorskip("prdc")
    narrow, wide = (library.compute_prdc(real, fake, nearest_k=k) for k in (3, 5))
    return {
        name: float(found[name])
        for found, names in ((narrow, ("precision", "recall")), (wide, ("density", "coverage")))
        for name in names
    }


@pytest.mark.parametrize(
    ("n", "m", "dims"), [(7, 7, 2), (300, 300, 4), (200, 500, 32), (400, 7, 8)]
)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_neighbours_are_those_of_prdc(n, m, dims, kind):
    """Every count is the same; density is a mean, equal to its last digit but for rounding."""
    real, fake = (x.astype(kind) for x in _clouds(n, m, dims, 0.5))
    ours, theirs = _ball_scores(real, fake), _prdc(real, fake)
    assert ours.pop("density") == pytest.approx(theirs.pop("density"), rel=1e-14)
    assert ours == theirs


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("most", [2, 3, 6])
def test_neighbours_are_those_of_prdc_where_samples_repeat(seed, most):
    """Small integers: most distances are ties, many samples the same. What lies on the sphere is
    outside, so that a ball whose centre is there four (six) times holds nothing, not even itself.
    """
    rng = np.random.default_rng([seed, most])
    real, fake = rng.integers(0, most, (120, 3)), rng.integers(0, most + 1, (90, 3))
    assert len(np.unique(real, axis=0)) < len(real)
    ours, theirs = _ball_scores(real, fake), _prdc(real.astype(float), fake.astype(float))
    assert ours.pop("density") == pytest.approx(theirs.pop("density"), rel=1e-14)
    assert ours == theirs


def test_the_sphere_is_outside():
    """As Naeem et al. have it; Kynkaanniemi et al. would count both samples at distance 3 in."""
    real = np.array([[0.0], [1], [2], [3], [100], [101], [102], [103]])
    beside = np.concatenate([real[:4] - 3, real[4:] + 1_000])
    assert _ball_scores(real, beside)["precision"] == 3 / 8
    repeated = np.repeat(real, 6, axis=0)
    assert set(_ball_scores(repeated, repeated).values()) == {0.0}


@pytest.mark.parametrize(("n", "classes"), [(10, 2), (1_000, 10), (1_003, 100)])
@pytest.mark.parametrize("splits", [1, 3, 10])
@pytest.mark.parametrize("sharpness", [0.0, 1.0, 30.0])
def test_the_inception_score_is_torch_fidelitys(n, classes, splits, sharpness):
    """Of contiguous splits, the mean and the deviation; where n is no multiple of them too."""
    library = pytest.importorskip("torch_fidelity.metric_isc")
    logits = sharpness * np.random.default_rng(n).standard_normal((n, classes))
    found = library.isc_features_to_metric(torch.from_numpy(logits), splits, shuffle=False)
    chances = softmax(logits, axis=1)
    ours = split_scores(chances, splits)
    assert ours.mean() == pytest.approx(found[library.KEY_METRIC_ISC_MEAN], rel=1e-9)
    assert ours.std() == pytest.approx(found[library.KEY_METRIC_ISC_STD], rel=1e-7, abs=1e-9)
    name = {1: "inception_score", 10: "inception_score_10"}.get(splits)
    if name is not None:
        score = METRICS[name].part(None, chances)
        assert score.value == pytest.approx(found[library.KEY_METRIC_ISC_MEAN], rel=1e-9)


def test_the_inception_score_has_ends():
    """The number of classes where each is sure and all are as many; 1 where all are alike."""
    sure = np.eye(8)[np.arange(80) % 8]
    alike = np.broadcast_to(softmax(np.arange(8.0)), (80, 8))
    for name in ("inception_score", "inception_score_10"):
        assert METRICS[name].part(None, sure).value == pytest.approx(8)
        assert METRICS[name].part(None, alike).value == pytest.approx(1)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (20, 20), (12, 18), (7, 30), (1, 9), (49, 98)])
def test_transport_is_the_cheapest_matching(n, m):
    """Every sample repeated to a common number, and matched by SciPy at the least cost."""
    rng = np.random.default_rng([n, m])
    real, fake = rng.standard_normal(n), 2 * rng.standard_normal(m) + 1
    both = lcm(n, m)
    costs = np.square(np.repeat(real, both // n)[:, None] - np.repeat(fake, both // m))
    wanted = costs[linear_sum_assignment(costs)].mean()
    assert transport(real, fake) == pytest.approx(wanted, rel=1e-12)
    score = _score("sliced_wasserstein", np.resize(real, (n + 1, 1)), np.resize(fake, (m + 1, 1)))
    line = transport(np.resize(real, n + 1), np.resize(fake, m + 1))
    assert score.value == pytest.approx(sqrt(line), rel=1e-9)


def test_transport_of_far_sets_is_scipys():
    """Where one set is right of the other, the mean displacement is SciPy's Wasserstein-1."""
    rng = np.random.default_rng(0)
    real, fake = rng.random(30), 5 + rng.random(77)
    moved = transport(real, fake) - transport(real, fake - fake.mean() + real.mean())
    assert sqrt(moved) == pytest.approx(stats.wasserstein_distance(real, fake), rel=1e-9)


def test_slices_of_two_gaussians_have_a_closed_form():
    """N(0, I) and N(mu, s^2 I): |mu|^2 / d + (s - 1)^2, squared, over all directions."""
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((20_000, 5)), 1.5 * rng.standard_normal((20_000, 5))
    fake[:, :2] += 2
    score = _score("sliced_wasserstein", real, fake)
    assert score.value == pytest.approx(sqrt(8 / 5 + 0.25), abs=4 * score.std_error)


@pytest.mark.parametrize("width", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("dims", [1, 2, 30])
def test_a_log_density_is_the_sum_of_gaussians(width, dims):
    """By SciPy's normal density; in one dimension by its kernel density estimate as well."""
    points, centres = _clouds(40, 25, dims)
    kernels = [
        stats.multivariate_normal(c, width**2 * np.eye(dims)).logpdf(points) for c in centres
    ]
    wanted = logsumexp(kernels, axis=0) - np.log(25)
    np.testing.assert_allclose(log_density(points, centres, width), wanted, rtol=1e-9)
    if dims == 1:
        estimate = stats.gaussian_kde(centres.T, width / centres.std(ddof=1))
        np.testing.assert_allclose(estimate.logpdf(points.T), wanted, rtol=1e-9)


def test_parzen_takes_the_width_that_is_best_for_the_other_half():
    """By SciPy's kernel density estimate, in one dimension."""
    real, fake = _clouds(61, 40, 1)
    densities = [stats.gaussian_kde(fake.T, w / fake.std(ddof=1)) for w in WIDTHS]
    best = max(densities, key=lambda each: each.logpdf(real[:30].T).mean())
    values = best.logpdf(real[30:].T)
    score = _score("parzen", real, fake)
    assert score.value == pytest.approx(values.mean(), rel=1e-9)
    assert score.std_error == pytest.approx(stats.sem(values), rel=1e-9)
    assert score.n == 31


def test_z_scores_are_those_of_two_proportions():
    """Bin by bin, in plain Python; a bin without samples, and one with all, differ by nothing."""
    held, made, n, m = np.array([5, 0, 70, 25]), np.array([9, 0, 30, 1]), 100, 40
    found = z_scores(held / n, made / m, n, m)
    for z, a, b in zip(found, held.tolist(), made.tolist(), strict=True):
        pooled = (a + b) / (n + m)
        error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        assert z == pytest.approx((a / n - b / m) / error if error else 0, rel=1e-12)
    assert z_scores(np.ones(1), np.ones(1), 5, 7).tolist() == [0]
    squared = stats.chi2_contingency([[5, 95], [9, 31]], correction=False).statistic
    assert found[0] ** 2 == pytest.approx(squared, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(20, 20), (33, 50), (2, 3)])
@pytest.mark.parametrize("digits", [0, 1, 8])
def test_nearer_is_mann_and_whitneys(n, m, digits):
    """U over all pairs, ties half; its error that of DeLong, DeLong and Clarke-Pearson."""
    rng = np.random.default_rng([n, m])
    held, made = rng.exponential(size=n).round(digits), 1.3 * rng.exponential(size=m).round(digits)
    value, error = nearer(held, made)
    assert value == pytest.approx(stats.mannwhitneyu(held, made).statistic / (n * m), rel=1e-12)
    wins = (made < held[:, None]) + (made == held[:, None]) / 2
    assert value == pytest.approx(wins.mean(), rel=1e-12)
    variance = wins.mean(1).var(ddof=1) / n + wins.mean(0).var(ddof=1) / m
    assert error == pytest.approx(sqrt(variance), rel=1e-9)


def test_memorisation_is_that_of_its_cells():
    """Weighted as the reals fall in them; a cell with fewer than 20 of either does not count."""
    rng = np.random.default_rng(0)
    held = Nearest(rng.random(130), np.ones(130), np.repeat([0, 1, 2], [60, 40, 30]))
    made = Nearest(rng.random(119), np.ones(119), np.repeat([0, 1, 2], [20, 80, 19]))
    found = [
        nearer(held.distances[held.cells == c], made.distances[made.cells == c]) for c in (0, 1)
    ]
    score = METRICS["memorisation"].part(held, made)
    assert score.value == pytest.approx(0.6 * found[0][0] + 0.4 * found[1][0], rel=1e-12)
    wanted = sqrt((0.6 * found[0][1]) ** 2 + (0.4 * found[1][1]) ** 2)
    assert score.std_error == pytest.approx(wanted, rel=1e-12)


def test_copies_are_nearer_than_one_in_a_hundred():
    """By NumPy's quantile of the ratios of reals that are no copies themselves."""
    held = np.concatenate([np.zeros(50), np.arange(1.0, 102.0)])
    made = np.array([0.0, 1.0, 2.0, 2.1, 50.0])
    cells = np.zeros(151, dtype=np.int64), np.zeros(5, dtype=np.int64)
    score = METRICS["copies"].part(
        Nearest(held, held / 200, cells[0]), Nearest(9 * made, made / 200, cells[1])
    )
    assert (score.value, score.n) == (3 / 5, 5)


@pytest.mark.parametrize("own", [False, True])
def test_the_nearest_is_scipys(own):
    """Of several views the least distance; where an example is one of the training set's own, the
    nearest other one.
    """
    rng = np.random.default_rng(0)
    training, cells = rng.standard_normal((90, 6)), np.arange(90) % 5
    views = [training[:40], training[:40] + 0.2 * rng.standard_normal((40, 6))]
    views = views if own else [x + 0.01 for x in views]
    distances = np.stack([cdist(view, training) for view in views])
    if own:
        distances[:, np.arange(40), np.arange(40)] = np.inf
    found = nearest(views, training, cells, np.arange(40) if own else None)
    np.testing.assert_allclose(found.distances, distances.min((0, 2)), rtol=1e-9)
    two = np.sort(distances.min(0), axis=1)
    np.testing.assert_allclose(found.ratios, two[:, 0] / two[:, 1], rtol=1e-9)
    assert np.array_equal(found.cells, cells[distances.min(0).argmin(1)])


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_two_gaussians_are_told_apart_as_well_as_can_be(shift):
    """The best accuracy for N(0, 1) and N(shift, 1) is Phi(shift / 2); training costs 2 % of it."""
    rng = np.random.default_rng(3)
    real, fake = rng.standard_normal((4_000, 3)), rng.standard_normal((4_000, 3))
    fake[:, 0] += shift
    score = _score("c2st", real, fake)
    best = stats.norm.cdf(shift / 2)
    assert best - 0.02 - 4 * score.std_error < score.value < best + 4 * score.std_error
    assert score.std_error == pytest.approx(share_error(score.value, 4_000))


def test_samples_that_are_the_same_are_counted():
    """Later ones as duplicates, each one that is a real one as a copy."""
    real, fake = np.array([1, 2, 2, 3], dtype=np.uint64), np.array([2, 2, 5, 5, 5], dtype=np.uint64)
    assert METRICS["duplicates"].part(real, fake).value == pytest.approx(3 / 5)
    assert METRICS["exact_copies"].part(real, fake).value == pytest.approx(2 / 5)
