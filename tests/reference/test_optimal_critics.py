"""Every adversarial loss at its optimal critic, on finite spaces, against theory or a solver.

The registered losses are minimised in torch: smooth ones by L-BFGS, piecewise linear ones by
cutting planes. The values they should reach are closed forms, or optima of the losses written
again in NumPy: by least squares, by L-BFGS of SciPy, by a linear programme.
"""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize, minimize_scalar
from scipy.special import rel_entr
from scipy.stats import wasserstein_distance

from generative import LOSSES

# Probabilities are counts over a total, so that a batch can hold every atom in proportion.
TOTAL = 24
POINTS = np.array([-1.0, -0.4, 0.1, 0.3, 1.2, 1.5, 2.5, 2.6])
PIECEWISE_LINEAR = ("hinge", "relativistic-hinge", "relativistic-average-hinge", "wasserstein")
LIPSCHITZ = ("wasserstein",)


def _random_counts(atoms, seed):
    """Two distributions that give every atom some mass, [atoms] each."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(atoms), size=2)
    return tuple(1 + rng.multinomial(TOTAL - atoms, share) for share in shares)


SPACES = {
    "four": _random_counts(4, 0),
    "five": _random_counts(5, 1),
    "six": _random_counts(6, 2),
    "eight": _random_counts(8, 3),
    "nearly disjoint": (np.array([15, 7, 1, 1]), np.array([1, 1, 9, 13])),
    "equal": (np.array([3, 9, 8, 4]), np.array([3, 9, 8, 4])),
}


def _kl(p, q):
    return float(rel_entr(p, q).sum())


def _js(p, q):
    return (_kl(p, (p + q) / 2) + _kl(q, (p + q) / 2)) / 2


def _vanilla(p, q):
    """log 4 - 2 JS(p, q), Goodfellow et al. 2014, Theorem 1."""
    return np.log(4) - 2 * _js(p, q)


def _least_squares(p, q):
    """sum pq / (p + q), by the critic p / (p + q)."""
    return float((p * q / (p + q)).sum())


def _pearson(p, q):
    """Targets twice as far apart: four times as much, by the critic (p - q) / (p + q)."""
    return 4 * _least_squares(p, q)


def _hinge(p, q):
    """2 (1 - TV), by the critic sign(p - q)."""
    return 2 * (1 - float(np.abs(p - q).sum()) / 2)


def _relativistic(p, q):
    """log 2 - JS(p x q, q x p), by the critic log p/q."""
    return np.log(2) - _js(np.outer(p, q), np.outer(q, p))


def _differences(p, q):
    """Rows c -> c_i - c_j over all pairs, and the pairs' weights p_i q_j."""
    one = np.eye(len(p))
    rows = (one[:, None] - one[None]).reshape(-1, len(p))
    return rows, np.outer(p, q).ravel()


def _distances_to_means(p, q):
    """Rows c -> c_i - E_q c and c -> E_p c - c_j, and weights: half of p_i, half of q_j."""
    one = np.eye(len(p))
    return np.concatenate([one - q, p - one]), np.concatenate([p, q]) / 2


def _least_weighted_squares(rows, weights):
    """The least sum of weights (rows c - 1)^2 over c."""
    roots = np.sqrt(weights)
    best = np.linalg.lstsq(rows * roots[:, None], roots, rcond=None)[0]
    return float(weights @ (rows @ best - 1) ** 2)


def _least_weighted_hinges(rows, weights):
    """The least sum of weights relu(1 - rows c) over c, with slack variables above the hinges."""
    atoms, slacks = rows.shape[1], len(rows)
    programme = linprog(
        np.concatenate([np.zeros(atoms), weights]),
        A_ub=-np.hstack([rows, np.eye(slacks)]),
        b_ub=-np.ones(slacks),
        bounds=[(None, None)] * atoms + [(0, None)] * slacks,
    )
    assert programme.success
    return float(programme.fun)


def _least_weighted_softplus(rows, weights):
    """The least sum of weights log(1 + exp(-rows c)) over c."""

    def value(c):
        margins = rows @ c
        slopes = -weights / (1 + np.exp(margins))
        return weights @ np.logaddexp(0, -margins), rows.T @ slopes

    options = {"maxiter": 10_000, "ftol": 1e-16, "gtol": 1e-10}
    found = minimize(value, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", options=options)
    assert np.abs(value(found.x)[1]).max() < 1e-6
    return float(found.fun)


def _lipschitz(atoms):
    """The constraints c_i - c_j <= |x_i - x_j| on the critics of the first points of the line."""
    one, x = np.eye(atoms), POINTS[:atoms]
    return (one[:, None] - one[None]).reshape(-1, atoms), np.abs(x[:, None] - x[None]).ravel()


def _wasserstein(p, q):
    """Minus the W1 distance between distributions on a line, by a linear programme."""
    rows, gaps = _lipschitz(len(p))
    bounds = [(0, 0)] + [(None, None)] * (len(p) - 1)
    programme = linprog(q - p, A_ub=rows, b_ub=gaps, bounds=bounds)
    assert programme.success
    return float(programme.fun)


def _smoothed(p, q):
    """The reals' mass in two parts, 0.9 called real and 0.1 called fake."""
    real, fake = 0.9 * p, 0.1 * p + q
    return -float((real * np.log(real / (p + q)) + fake * np.log(fake / (p + q))).sum())


def _softmax(p, q):
    """log 2n - KL(p || (p + q) / 2) in a batch of n reals and n fakes: from log n to log 2n."""
    return np.log(2 * TOTAL) - _kl(p, (p + q) / 2)


REFERENCES = {
    "minimax": _vanilla,
    "nonsaturating": _vanilla,
    "least-squares": _least_squares,
    "least-squares-pearson": _pearson,
    "hinge": _hinge,
    "relativistic": _relativistic,
    "relativistic-hinge": lambda p, q: _least_weighted_hinges(*_differences(p, q)),
    "relativistic-least-squares": lambda p, q: _least_weighted_squares(*_differences(p, q)),
    "relativistic-average": lambda p, q: _least_weighted_softplus(*_distances_to_means(p, q)),
    "relativistic-average-hinge": lambda p, q: _least_weighted_hinges(*_distances_to_means(p, q)),
    "relativistic-average-least-squares": lambda p, q: _least_weighted_squares(
        *_distances_to_means(p, q)
    ),
    "wasserstein": _wasserstein,
    "boundary-seeking": _vanilla,
    "density-ratio": lambda p, q: -float((p**2 / q).sum()) / 2,
    "smoothed": _smoothed,
    "softmax": _softmax,
}
SOLVED = {
    "relativistic": lambda p, q: _least_weighted_softplus(*_differences(p, q)),
    "wasserstein": lambda p, q: -wasserstein_distance(POINTS[: len(p)], POINTS[: len(q)], p, q),
}
GENERATORS = {
    "minimax": lambda p, q: _kl(q, (p + q) / 2) - np.log(2),
    "nonsaturating": lambda p, q: np.log(2) + _kl(q, p) - _kl(q, (p + q) / 2),
    "least-squares": lambda p, q: float((q**3 / (p + q) ** 2).sum()),
    "least-squares-pearson": lambda p, q: float((q * (p - q) ** 2 / (p + q) ** 2).sum()),
    "hinge": lambda p, q: -float((q * np.sign(p - q)).sum()),
    "relativistic": lambda p, q: (
        np.log(2)
        + _kl(np.outer(p, q), np.outer(q, p))
        - _kl(np.outer(p, q), (np.outer(p, q) + np.outer(q, p)) / 2)
    ),
    "boundary-seeking": lambda p, q: float((q * np.log(p / q) ** 2).sum()) / 2,
    "density-ratio": lambda p, q: float(((p - q) ** 2 / q).sum()) / 2,
    "smoothed": lambda p, q: -float((q * np.log(0.9 * p / (p + q))).sum()),
    "softmax": lambda p, q: np.log(2 * TOTAL) + _kl((p + q) / 2, p),
}
OPTIMA = {
    "minimax": lambda p, q: np.log(p / q),
    "nonsaturating": lambda p, q: np.log(p / q),
    "least-squares": lambda p, q: p / (p + q),
    "least-squares-pearson": lambda p, q: (p - q) / (p + q),
    "hinge": lambda p, q: np.sign(p - q),
    "relativistic": lambda p, q: np.log(p / q),
    "boundary-seeking": lambda p, q: np.log(p / q),
    "density-ratio": lambda p, q: p / q,
    "smoothed": lambda p, q: np.log(0.9 * p / (0.1 * p + q)),
    "softmax": lambda p, q: np.log(p / (p + q)),
}


def pytest_generate_tests(metafunc):
    """Enrol every loss whose reference is here, and every space."""
    if "enrolled" in metafunc.fixturenames:
        metafunc.parametrize("enrolled", list(REFERENCES))
    if "counts" in metafunc.fixturenames:
        metafunc.parametrize("counts", list(SPACES.values()), ids=list(SPACES))


def _shares(counts):
    p, q = counts
    return p / TOTAL, q / TOTAL


def _expected(name, player, logits, counts):
    """The expectation of a player's loss over independent x ~ p and y ~ q, without noise.

    Over all pairs where the loss is of pairs; where it looks at a batch, over one that holds
    every atom in proportion to its probability.
    """
    compute = getattr(LOSSES[name].part(), player)
    p, q = (torch.as_tensor(side) for side in counts)
    if LOSSES[name].facts.batchwise:
        return compute(logits.repeat_interleave(p), logits.repeat_interleave(q)).mean()
    real, fake = logits.repeat_interleave(len(q)), logits.repeat(len(p))
    return (torch.outer(p, q).flatten() * compute(real, fake)).sum() / TOTAL**2


def _by_lbfgs(value, atoms):
    """The least value over logits from zero, by the L-BFGS of torch."""
    logits = torch.zeros(atoms, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS(
        [logits],
        max_iter=2_000,
        history_size=20,
        tolerance_grad=1e-12,
        tolerance_change=1e-18,
        line_search_fn="strong_wolfe",
    )

    def closure():
        search.zero_grad()
        loss = value(logits)
        loss.backward()
        return loss

    search.step(closure)
    return value(logits).item(), logits.detach().numpy()


def _by_cutting_planes(value, atoms, limits, ends):
    """The least value over logits c in [-20, 20] with limits c <= ends, by Kelley's method: exact
    where the loss is piecewise linear, and certified by a lower bound that meets it.
    """
    limits = np.hstack([limits, np.zeros((len(ends), 1))])
    bounds = [(-20, 20)] * atoms + [(-100, None)]
    at, least, best = np.zeros(atoms), np.inf, np.zeros(atoms)
    for _ in range(300):
        logits = torch.tensor(at, requires_grad=True)
        here = value(logits)
        slope = torch.autograd.grad(here, logits)[0].numpy()
        if here.item() < least:
            least, best = here.item(), at
        limits = np.vstack([limits, np.append(slope, -1)])
        ends = np.append(ends, slope @ at - here.item())
        goal = np.append(np.zeros(atoms), 1)
        programme = linprog(goal, A_ub=limits, b_ub=ends, bounds=bounds)
        assert programme.success
        if least - programme.fun < 1e-9:
            return least, best
        at = programme.x[:atoms]
    raise AssertionError("no certificate in 300 cuts")


def _least(name, counts):
    """The least expected loss of the critic, and a critic that has it."""
    atoms = len(counts[0])

    def value(logits):
        return _expected(name, "critic", logits, counts)

    if name in PIECEWISE_LINEAR:
        unlimited = np.empty((0, atoms)), np.empty(0)
        limits, ends = _lipschitz(atoms) if name in LIPSCHITZ else unlimited
        return _by_cutting_planes(value, atoms, limits, ends)
    return _by_lbfgs(value, atoms)


def test_the_references_are_of_registered_losses():
    """And each way of finding an optimum is of some."""
    assert set(REFERENCES) <= set(LOSSES)
    assert set(PIECEWISE_LINEAR) | set(LIPSCHITZ) | set(SOLVED) | set(OPTIMA) <= set(LOSSES)
    assert set(GENERATORS) == set(OPTIMA)


def test_the_spaces_are_what_they_say():
    """Two distributions each, over at most as many atoms as there are points."""
    for p, q in SPACES.values():
        assert p.sum() == q.sum() == TOTAL
        assert len(p) == len(q) <= len(POINTS)
        assert min(p.min(), q.min()) > 0
    assert sum((p != q).any() for p, q in SPACES.values()) >= 5


def test_the_optimal_critic_has_the_reference_value(enrolled, counts):
    """The least expected loss of a registered critic, found in torch, is that of the reference."""
    value, _ = _least(enrolled, counts)
    assert value == pytest.approx(REFERENCES[enrolled](*_shares(counts)), abs=1e-6)


@pytest.mark.parametrize("name", list(SOLVED))
def test_two_references_agree(name, counts):
    """A closed form and a solver, or a linear programme and SciPy's distance."""
    p, q = _shares(counts)
    assert REFERENCES[name](p, q) == pytest.approx(SOLVED[name](p, q), abs=1e-8)


@pytest.mark.parametrize("name", list(OPTIMA))
def test_the_critic_of_the_theory_is_optimal(name, counts):
    """It has the reference value exactly, without any search."""
    p, q = _shares(counts)
    value = _expected(name, "critic", torch.tensor(OPTIMA[name](p, q)), counts)
    assert float(value) == pytest.approx(REFERENCES[name](p, q), abs=1e-12)


@pytest.mark.parametrize("name", list(GENERATORS))
def test_the_generator_against_the_critic_of_the_theory(name, counts):
    """Its expected loss is the closed form."""
    p, q = _shares(counts)
    value = _expected(name, "generator", torch.tensor(OPTIMA[name](p, q)), counts)
    assert float(value) == pytest.approx(GENERATORS[name](p, q), abs=1e-12)


def test_least_squares_about_zero_is_pearson(counts):
    """With the same term of the reals, the generator of the -1/1/0 coding faces Pearson's
    chi-square between p + q and 2q (Mao et al. 2017, equations 5 to 8); that of 0/1 does not.
    """
    p, q = counts
    wanted = ((p - q) ** 2 / (p + q)).sum() / TOTAL
    sums = {}
    for name in ("least-squares-pearson", "least-squares"):
        critic = torch.tensor(OPTIMA[name](p, q))
        of_fakes = _expected(name, "generator", critic, (p, q))
        of_reals = _expected(name, "generator", critic, (q, p))
        sums[name] = float(of_fakes + of_reals)
    assert sums["least-squares-pearson"] == pytest.approx(wanted, abs=1e-12)
    assert abs(sums["least-squares"] - wanted) > 0.01


@pytest.mark.parametrize("name", ["hinge", "wasserstein"])
def test_the_players_of_a_linear_game_share_a_value(name, counts):
    """The generator's term and the matching one of the reals give 2 TV, and the W1 distance."""
    p, q = _shares(counts)
    critic = torch.tensor(OPTIMA["hinge"](p, q) if name == "hinge" else _least(name, counts)[1])
    of_fakes = _expected(name, "generator", critic, counts)
    of_reals = _expected(name, "generator", critic, counts[::-1])
    wanted = {"hinge": np.abs(p - q).sum(), "wasserstein": -_wasserstein(p, q)}[name]
    assert float(of_fakes - of_reals) == pytest.approx(wanted, abs=1e-9)


def test_equal_distributions_leave_the_critic_nothing(enrolled):
    """Where p is q the least loss is that of a constant critic, at its best."""
    counts = SPACES["equal"]

    def value(c):
        return float(_expected(enrolled, "critic", torch.full((4,), c).double(), counts))

    best = minimize_scalar(value, bounds=(-3, 3), method="bounded", options={"xatol": 1e-8})
    assert best.fun == pytest.approx(_least(enrolled, counts)[0], abs=1e-6)
