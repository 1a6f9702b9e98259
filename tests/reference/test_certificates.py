"""Certificates against the truth: the smallest margin within a radius by mixed-integer programming,
closed forms of linear classifiers, and the coverage of a confidence limit in exact sums.
"""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import Bounds as Limits
from scipy.optimize import LinearConstraint, milp
from scipy.stats import binom, binomtest, norm
from torch import nn

from attacks import UNIT
from attacks.certificates import CERTIFICATES, Bounds
from attacks.certificates.smoothing import Smoothing, at_least, certified_radius
from attacks.pgd import Pgd
from bench.core.randomness import forked

BOUNDS = [entry.name for entry in CERTIFICATES.entries() if isinstance(entry.part, Bounds)]
N = 4
SEEDS = torch.arange(N)


def dense(seed):
    with forked(seed):
        layers = [nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)]
    return nn.Sequential(nn.Flatten(), *layers).double().eval()


def convolutional(seed):
    with forked(seed):
        first, second = nn.Conv2d(1, 2, 2, padding=1, stride=2), nn.Conv2d(2, 3, 2)
        layers = [first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(3, 3)]
    return nn.Sequential(*layers).double().eval()


def linear(seed):
    with forked(seed):
        return nn.Sequential(nn.Flatten(), nn.Linear(9, 3)).double().eval()


MAKERS = {"dense": dense, "convolutional": convolutional}


def scaled(model):
    """Larger weights, so that units change sides within the radii."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2)
    return model


@cache
def drawn(kind, seed):
    """A network, images and its own labels."""
    model = scaled({**MAKERS, "linear": linear}[kind](seed))
    rng = torch.Generator().manual_seed(seed)
    images = (1.4 * torch.rand(N, 1, 3, 3, generator=rng, dtype=torch.float64) - 0.2).clamp(0, 1)
    return model, images, model(images).argmax(1)


def matrices(model):
    """W and b of what lies between the ReLUs, each read off one network by what it answers."""
    found, layers, shape = [], [], (1, 3, 3)
    for layer in [*model, nn.ReLU()]:
        if not isinstance(layer, nn.ReLU):
            layers.append(layer)
            continue
        part, size = nn.Sequential(*layers), int(np.prod(shape))
        with torch.no_grad():
            zero = part(torch.zeros(1, *shape).double())
            columns = part(torch.eye(size).double().reshape(size, *shape)) - zero
        found.append((columns.flatten(1).numpy().T, zero.flatten().numpy()))
        shape, layers = tuple(zero.shape[1:]), []
    return found


def least(maps, image, radius, norm, box, slope):
    """min of slope . logits within the radius, by branch and bound over the units' sides.

    Variables: the pixels, for l1 their moves, then for each hidden layer its outputs and sides.
    """
    x = image.flatten().numpy()
    low, high = (
        (x - radius, x + radius)
        if box is None
        else (
            np.maximum(x - radius, box[0]),
            np.minimum(x + radius, box[1]),
        )
    )
    lows, highs, integral = [*low], [*high], [0] * 9
    rows, least_of, most_of = [], [], []

    def demand(entries, bottom, top):
        rows.append(entries)
        least_of.append(bottom)
        most_of.append(top)

    if norm == "l1":
        for pixel in range(9):
            demand({pixel: 1, 9 + pixel: -1}, -np.inf, x[pixel])
            demand({pixel: -1, 9 + pixel: -1}, -np.inf, -x[pixel])
        lows, highs, integral = lows + [0] * 9, highs + [radius] * 9, integral + [0] * 9
        demand({9 + pixel: 1 for pixel in range(9)}, 0, radius)
    before, ends = list(range(9)), (low, high)
    for weight, bias in maps[:-1]:
        middle, half = (ends[0] + ends[1]) / 2, (ends[1] - ends[0]) / 2
        bottom, top = (weight @ middle + bias + sign * np.abs(weight) @ half for sign in (-1, 1))
        outs = range(len(lows), len(lows) + len(bias))
        sides = range(outs.stop, outs.stop + len(bias))
        lows += [0.0] * len(bias) + [0] * len(bias)
        highs += [*np.maximum(top, 0), *[1] * len(bias)]
        integral += [0] * len(bias) + [1] * len(bias)
        for unit in range(len(bias)):
            z = {j: -w for j, w in zip(before, weight[unit], strict=True)}
            demand({outs[unit]: 1, **z}, bias[unit], np.inf)
            small, large = min(bottom[unit], 0), max(top[unit], 0)
            demand({outs[unit]: 1, **z, sides[unit]: -small}, -np.inf, bias[unit] - small)
            demand({outs[unit]: 1, sides[unit]: -large}, -np.inf, 0)
        before, ends = list(outs), (np.maximum(bottom, 0), np.maximum(top, 0))
    weight, bias = maps[-1]
    cost, table = np.zeros(len(lows)), np.zeros((len(rows), len(lows)))
    cost[before] = slope @ weight
    for row, entries in zip(table, rows, strict=True):
        row[list(entries)] = list(entries.values())
    given = [LinearConstraint(table, least_of, most_of)] if rows else []
    found = milp(cost, integrality=integral, bounds=Limits(lows, highs), constraints=given)
    assert found.success
    return found.fun + slope @ bias


def true_margins(kind, seed, radius, norm, box):
    """The smallest margin of each image within a radius."""
    model, images, labels = drawn(kind, seed)
    maps = matrices(model)
    return np.array(
        [
            min(
                least(maps, image, radius, norm, box, np.eye(3)[label] - np.eye(3)[other])
                for other in range(3)
                if other != label
            )
            for image, label in zip(images, labels.tolist(), strict=True)
        ]
    )


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(("norm", "radii"), [("linf", (0.05, 0.2)), ("l1", (0.2,))])
@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 10), marks=pytest.mark.slow)])
def test_no_certificate_is_above_the_truth(kind, norm, radii, seeds):
    """Nor an attack below it; linear bounds are the nearer ones."""
    tight = {name: [] for name in BOUNDS}
    for seed in seeds:
        model, images, labels = drawn(kind, seed)
        for radius in radii:
            for box in (UNIT, None) if radius == radii[0] else (UNIT,):
                truth = true_margins(kind, seed, radius, norm, box)
                given = {"radius": radius, "norm": norm, "box": box}
                attacked = Pgd(restarts=2)(model, images, labels, seeds=SEEDS, **given)
                logits = model(attacked).detach().numpy()
                own = logits[np.arange(N), labels]
                logits[np.arange(N), labels] = -np.inf
                assert (own - logits.max(1) >= truth - 1e-6).all()
                for name in BOUNDS:
                    part = CERTIFICATES[name].part
                    bound = part.margins(model, images, labels, **given).numpy()
                    sure = part(model, images, labels, seeds=SEEDS, **given).numpy()
                    assert (bound <= truth + 1e-6).all(), name
                    assert (sure <= (truth > 0)).all(), name
                    tight[name].append(truth - bound)
    means = {name: np.mean(gaps) for name, gaps in tight.items()}
    order = [means[name] for name in ("alpha-crown", "crown", "crown-ibp", "ibp")]
    assert all(near <= far + 1e-9 for near, far in pairwise(order))
    assert means["crown"] < 0.6 * means["ibp"]


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_bounds_of_a_linear_classifier_are_the_truth(name, norm):
    """Without a box the margin falls by the radius times the dual norm; in linf with one too."""
    model, images, labels = drawn("linear", 0)
    dual = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
    weight, logits = (t.detach().numpy() for t in (model[1].weight, model(images)))
    truth = [
        min(
            logits[i, y] - logits[i, j] - 0.2 * np.linalg.norm(weight[y] - weight[j], dual)
            for j in range(3)
            if j != y
        )
        for i, y in enumerate(labels.tolist())
    ]
    given = {"radius": 0.2, "norm": norm}
    part = CERTIFICATES[name].part
    np.testing.assert_allclose(
        part.margins(model, images, labels, box=None, **given), truth, atol=1e-9
    )
    if norm == "linf":
        boxed = true_margins("linear", 0, 0.2, norm, UNIT)
        np.testing.assert_allclose(part.margins(model, images, labels, **given), boxed, atol=1e-7)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("box", [UNIT, None])
def test_the_exact_radius_is_where_the_margin_ends(norm, box):
    """By the closed form without a box; by programming with one, in linf and l1."""
    model, images, labels = drawn("linear", 1)
    radii = CERTIFICATES["exact"].part.reach(model, images, norm=norm, seeds=SEEDS, box=box).radii
    weight, logits = (t.detach().numpy() for t in (model[1].weight, model(images)))
    dual = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
    for i, y in enumerate(labels.tolist()):
        ways = [
            (logits[i, y] - logits[i, j]) / np.linalg.norm(weight[y] - weight[j], dual)
            for j in range(3)
            if j != y
        ]
        if box is None:
            assert radii[i] == pytest.approx(min(ways), rel=1e-6)
            continue
        assert radii[i] >= min(ways) * (1 - 1e-6)
        if norm == "l2" or radii[i].isinf():
            continue
        for factor, sign in ((1 - 1e-4, 1), (1 + 1e-4, -1)):
            slopes = [np.eye(3)[y] - np.eye(3)[j] for j in range(3) if j != y]
            given = (matrices(model), images[i], factor * float(radii[i]), norm, box)
            assert sign * min(least(*given, slope) for slope in slopes) > 0


SUCCESSES = [0, 1, 50, 99, 100, 400, 990, 999, 1000]


@pytest.mark.parametrize("draws", [100, 1000])
def test_the_lower_limit_is_that_of_clopper_and_pearson(draws):
    counts = torch.tensor([k for k in SUCCESSES if k <= draws])
    found = at_least(counts, draws, 0.001)
    for k, limit in zip(counts.tolist(), found.tolist(), strict=True):
        known = binomtest(k, draws, alternative="greater").proportion_ci(0.999, "exact").low
        assert limit == pytest.approx(known, abs=1e-9)


@pytest.mark.parametrize("draws", [20, 100, 1000])
@pytest.mark.parametrize("alpha", [0.001, 0.05])
def test_a_radius_is_too_large_with_probability_alpha_at_most(draws, alpha):
    """Summed over every number of successes, for any true probability."""
    counts = torch.arange(draws + 1)
    radii = certified_radius(counts, draws, alpha, 0.5).numpy()
    assert (np.diff(radii) >= 0).all()
    for p in (0.3, 0.5, 0.6, 0.8, 0.95, 0.99, 0.999):
        true = 0.5 * norm.ppf(p)
        wrong = binom.pmf(counts.numpy(), draws, p)[radii > max(true, 0)].sum()
        assert wrong <= alpha * (1 + 1e-9)
    assert radii[-1] == pytest.approx(0.5 * norm.ppf(alpha ** (1 / draws)))


@pytest.mark.parametrize("p", [0.6, 0.9, 0.99])
def test_simulated_certificates_fail_as_seldom_as_promised(p):
    """10,000 of them: 10 would be the promise; more than 20 has a probability below 1 in 600."""
    counts = torch.from_numpy(np.random.default_rng(3).binomial(1000, p, 10_000))
    radii = certified_radius(counts, 1000, 0.001, 0.25)
    assert int((radii > 0.25 * norm.ppf(p)).sum()) <= 20


def test_a_smoothed_linear_classifier_is_the_classifier():
    """Of two classes: the answer is right with probability Phi(margin / sigma |w|), so that the
    radius comes near the distance to the boundary from below.
    """
    weight = torch.tensor([0.6, -0.8, 0.5, 0.0])
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    model[1].weight.data = torch.stack([-weight, weight]) / 2
    model[1].bias.data.zero_()
    images = torch.randn(40, 1, 2, 2, generator=torch.Generator().manual_seed(0)) * 0.4
    margins = images.flatten(1) @ weight / weight.norm()
    part = Smoothing(sigma=0.5, n=4000)
    said, radii = part.reach(model, images, norm="l2", seeds=torch.arange(40))
    sure = radii > 0
    assert 20 < sure.sum() < 40
    assert torch.equal(said[sure], (margins > 0).long()[sure])
    assert (said[~sure] == -1).all()
    assert (radii <= margins.abs() + 1e-6).all()
    near = margins.abs() < 1.2
    assert (margins.abs() - radii)[sure & near].max() < 0.12
    chances = norm.cdf((margins / 0.5).numpy())
    shares = part.counts(model, images, torch.arange(40), 4000)[:, 1].numpy() / 4000
    np.testing.assert_allclose(shares, chances, atol=4.5 * np.sqrt(0.25 / 4000))


def test_noise_for_choosing_a_class_is_not_that_for_counting_it():
    """Else the limit would not hold; and each image has noise of its own, of the asked size."""
    seen = []

    def model(x):
        seen.append(x.flatten(1))
        return torch.zeros(len(x), 2)

    part, images = Smoothing(sigma=0.7, n0=100, n=150), torch.full((2, 1, 3, 3), 0.3)
    part.reach(model, images, norm="l2", seeds=torch.arange(2))
    noise = torch.cat(seen) - 0.3
    assert len(noise) == 2 * (100 + 150)
    assert len(noise.unique(dim=0)) == len(noise)
    assert float(noise.std()) == pytest.approx(0.7, rel=0.04)
    assert float(noise.mean()) == pytest.approx(0, abs=0.04)
