"""Divergences against closed forms: of optimal critics, and of counts over modes."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from bench.datasets import DATASETS
from generative import LOSSES
from metrics import METRICS, ModeTally, ModeTruth, truth

P = torch.tensor([0.40, 0.30, 0.15, 0.10, 0.05], dtype=torch.float64)
Q = torch.tensor([0.05, 0.25, 0.10, 0.20, 0.40], dtype=torch.float64)


def _kl(p, q):
    return float((p * (p / q).log()).sum())


def _js(p, q):
    middle = (p + q) / 2
    return (_kl(p, middle) + _kl(q, middle)) / 2


def _outer(p, q):
    return torch.outer(p, q).flatten()


def _expected(player, logits, p, q):
    """The expectation over independent x ~ p and y ~ q, on a finite space."""
    size = len(logits)
    real, fake = logits.repeat_interleave(size), logits.repeat(size)
    return (_outer(p, q) * player(real, fake)).sum()


def _optimal_critic(loss, p, q):
    """Logits that minimise the critic's expected loss, found by optimisation."""
    logits = torch.zeros_like(p).requires_grad_()
    search = torch.optim.LBFGS(
        [logits],
        max_iter=500,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure():
        search.zero_grad()
        value = _expected(loss.critic, logits, p, q)
        value.backward()
        return value

    search.step(closure)
    return logits.detach()


MIDDLE = (P + Q) / 2
PAIRS, EXCHANGED = _outer(P, Q), _outer(Q, P)
PAIRS_MIDDLE = (PAIRS + EXCHANGED) / 2

CRITIC = {
    "minimax": np.log(4) - 2 * _js(P, Q),
    "nonsaturating": np.log(4) - 2 * _js(P, Q),
    "log-ratio": np.log(4) - 2 * _js(P, Q),
    "relativistic": np.log(2) - _js(PAIRS, EXCHANGED),
}
GENERATOR = {
    "minimax": _kl(Q, MIDDLE) - np.log(2),
    "nonsaturating": np.log(2) + _kl(Q, P) - _kl(Q, MIDDLE),
    "log-ratio": _kl(Q, P),
    "relativistic": np.log(2) + _kl(PAIRS, EXCHANGED) - _kl(PAIRS, PAIRS_MIDDLE),
}


@pytest.mark.parametrize("name", CRITIC)
def test_the_optimal_critic_measures_its_divergence(name):
    """The least expected loss of the critic is the closed form of the theory."""
    loss = LOSSES[name].part()
    best = _optimal_critic(loss, P, Q)
    assert float(_expected(loss.critic, best, P, Q)) == pytest.approx(CRITIC[name], abs=1e-6)


@pytest.mark.parametrize("name", CRITIC)
def test_the_optimal_critic_is_the_log_ratio(name):
    """The optimal logits are log p/q, up to a constant where the loss is relativistic."""
    best = _optimal_critic(LOSSES[name].part(), P, Q)
    wanted = (P / Q).log()
    if LOSSES[name].facts.relativistic:
        best, wanted = best - best.mean(), wanted - wanted.mean()
    torch.testing.assert_close(best, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", GENERATOR)
def test_the_generator_sees_its_divergence(name):
    """Against the critic log p/q the generator's expected loss is the closed form."""
    loss = LOSSES[name].part()
    value = _expected(loss.generator, (P / Q).log(), P, Q)
    assert float(value) == pytest.approx(GENERATOR[name], abs=1e-12)


@pytest.mark.parametrize("name", CRITIC)
def test_equal_distributions_leave_the_critic_nothing(name):
    """Where p is q the best critic is constant and its loss is that of a coin."""
    loss = LOSSES[name].part()
    best = _optimal_critic(loss, P, P)
    coin = float(loss.critic(torch.zeros(1), torch.zeros(1)))
    assert float(_expected(loss.critic, best, P, P)) == pytest.approx(coin, abs=1e-6)
    torch.testing.assert_close(best, best.mean().expand(5), rtol=0, atol=1e-4)


def test_the_minimax_game_is_zero_sum():
    """Both players share the term of the fakes, with opposite signs."""
    loss, fake = LOSSES["minimax"].part(), torch.linspace(-3, 3, 7)
    real = torch.full((7,), 50.0)
    torch.testing.assert_close(loss.critic(real, fake), -loss.generator(real, fake))


REAL = ModeTruth(np.array([0.5, 0.3, 0.1, 0.08]), np.array([0.5, 0.3, 0.1, 0.1]))
TRUE = np.array([0.5, 0.3, 0.1, 0.08, 0.02])
KINDS = ("reverse_kl", "forward_kl", "js")


def _tally(*counts, off):
    modes = np.array(counts, dtype=np.int64)
    return ModeTally(modes, modes, int(modes.sum()) + off)


@pytest.mark.parametrize(
    ("fake", "shares"),
    [
        (_tally(500, 300, 100, 80, off=20), [0.5, 0.3, 0.1, 0.08, 0.02]),
        (_tally(0, 0, 100, 0, off=0), [0, 0, 1, 0, 0]),
        (_tally(0, 0, 0, 0, off=100), [0, 0, 0, 0, 1]),
        (_tally(10, 20, 30, 40, off=100), [0.05, 0.10, 0.15, 0.20, 0.5]),
    ],
)
def test_divergences_over_modes(fake, shares):
    """The three divergences, recomputed by SciPy on shares written down by hand."""
    shares = np.array(shares)
    value = {name: METRICS[f"{name}_modes"].part(REAL, fake).value for name in KINDS}
    smoothed = (shares * fake.n + 0.5) / (fake.n + 0.5 * 5)
    assert value["reverse_kl"] == pytest.approx(entropy(shares, TRUE), abs=1e-12)
    assert value["forward_kl"] == pytest.approx(entropy(TRUE, smoothed), abs=1e-12)
    assert value["js"] == pytest.approx(jensenshannon(shares, TRUE) ** 2, abs=1e-12)


@pytest.mark.parametrize("tail", [0.0, 1e-300, -2e-16])
def test_a_bin_of_vanishing_mass(tail):
    """Where real data have next to no mass, a sample costs what half a sample's would."""
    real = ModeTruth(np.array([0.5, 0.5 - tail]), np.array([0.5, 0.5]))
    wanted = np.array([0.5, 0.5, 0.5 / 1_000]) / (1 + 0.5 / 1_000)
    for fake, shares in (
        (_tally(500, 490, off=10), [0.5, 0.49, 0.01]),
        (_tally(0, 0, off=1_000), [0, 0, 1]),
    ):
        value = METRICS["reverse_kl_modes"].part(real, fake).value
        assert value == pytest.approx(entropy(shares, wanted), abs=1e-9)


def test_dropped_modes():
    """Reverse KL is the log of the missing share; forward KL is finite, and grows with n."""
    dropped = [_tally(5 * n, 3 * n, 0, 0, off=0) for n in (100, 10_000)]
    reverse = [METRICS["reverse_kl_modes"].part(REAL, fake).value for fake in dropped]
    forward = [METRICS["forward_kl_modes"].part(REAL, fake).value for fake in dropped]
    assert reverse == pytest.approx([-np.log(0.8)] * 2, abs=1e-12)
    assert 0.5 < forward[0] < forward[1] < 5


def test_the_published_divergence():
    """PacGAN's is log K minus the entropy of the high-quality counts."""
    fake = _tally(10, 20, 30, 0, off=40)
    wanted = np.log(4) - entropy([10, 20, 30])
    assert METRICS["reverse_kl_pacgan"].part(REAL, fake).value == pytest.approx(wanted)


@pytest.mark.parametrize("dataset", ["ring8@pacgan", "grid25@pacgan", "ring@unrolled-notebook"])
def test_a_perfect_sampler_pays_the_floor(dataset):
    """Its reverse KL averages K/2n, its forward KL about as much, and its JS a quarter."""
    real = truth(DATASETS[dataset].part, "euclid3")
    n, rounds, rng = 20_000, 2_000, np.random.default_rng(0)
    shares = np.append(real.shares, real.off_manifold)
    counts = rng.multinomial(n, shares, size=rounds)[:, :-1]
    fakes = [ModeTally(row, row, n) for row in counts]
    floor = METRICS["kl_floor"].part(real, fakes[0]).value
    assert floor == real.modes / (2 * n)
    for name, factor in (("reverse_kl", 1), ("forward_kl", 1), ("js", 1 / 4)):
        values = np.array([METRICS[f"{name}_modes"].part(real, fake).value for fake in fakes])
        error = values.std() / np.sqrt(rounds)
        assert values.mean() == pytest.approx(factor * floor, rel=0.02, abs=4 * error), name
