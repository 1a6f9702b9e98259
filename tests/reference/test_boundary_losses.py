"""Softmax, boundary-seeking, density-ratio and smoothed losses against what their papers say.

Their optimal critics on finite spaces are in test_optimal_critics.py.
"""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from bench.core.errors import UsageError
from generative import LOSSES
from generative.losses.smoothed import Smoothed
from generative.losses.softmax import SoftmaxGan

N = 12


def _logits(seed, spread=3.0):
    rng = torch.Generator().manual_seed(seed)
    both = spread * torch.randn(2, N, generator=rng, dtype=torch.float64)
    return [side.requires_grad_() for side in both.unbind()]


def _slopes(values, *inputs):
    return torch.autograd.grad(values.sum(), inputs)


def _ordinary(real, fake, targets):
    """Cross-entropy of the softmax over the batch with targets of its 2n examples."""
    return cross_entropy(torch.cat([real, fake])[None], targets[None])


OVER_REALS = torch.tensor([1 / N] * N + [0.0] * N, dtype=torch.float64)
OVER_ALL = torch.full((2 * N,), 1 / (2 * N), dtype=torch.float64)


def _hold_softmax(loss):
    """Both players' means are cross-entropies by PyTorch, with the two targets of the paper."""
    for seed in range(3):
        real, fake = _logits(seed)
        for player, targets in (("critic", OVER_REALS), ("generator", OVER_ALL)):
            mean = getattr(loss, player)(real, fake).mean()
            wanted = _ordinary(real, fake, targets)
            torch.testing.assert_close(mean, wanted, rtol=0, atol=1e-12)
            for found in zip(_slopes(mean, real, fake), _slopes(wanted, real, fake), strict=True):
                torch.testing.assert_close(*found, rtol=0, atol=1e-12)


def test_softmax_is_a_cross_entropy_over_the_batch():
    _hold_softmax(SoftmaxGan())


@pytest.mark.parametrize("spread", [0.01, 1.0, 10.0])
def test_softmax_has_the_minima_of_the_paper(spread):
    """log n where all mass is on n reals, log 2n where it is even; nowhere less."""
    loss, level = SoftmaxGan(), torch.full((N,), 3.0, dtype=torch.float64)
    assert float(loss.critic(level, level - 60).mean()) == pytest.approx(math.log(N), abs=1e-12)
    assert float(loss.generator(level, level).mean()) == pytest.approx(math.log(2 * N), abs=1e-12)
    for seed in range(10):
        real, fake = _logits(seed, spread)
        assert loss.critic(real, fake).mean() >= math.log(N)
        assert loss.generator(real, fake).mean() >= math.log(2 * N)


def test_the_softmax_generator_pulls_towards_an_even_share():
    """Who has less of the mass than 1 of 2n up, who has more down: what its exemptions say. Of a
    batch whose fakes are all below its reals it pulls the fakes up.
    """
    loss = SoftmaxGan()
    real, fake = _logits(5)
    shares = torch.cat([real, fake]).softmax(0).detach()
    pulled = torch.cat(_slopes(loss.generator(real, fake), real, fake))
    torch.testing.assert_close(pulled.sign(), (shares - 1 / (2 * N)).sign())
    assert (pulled > 0).any()
    low = (-fake.detach().abs()).requires_grad_()
    (by_fake,) = _slopes(loss.generator(real.detach().abs() + 1, low), low)
    assert (by_fake < 0).all()


class OverFakes(SoftmaxGan):
    """Z of the fakes alone."""

    def critic(self, real, fake):
        return fake.logsumexp(0) - real


class OverReals(SoftmaxGan):
    """Z of the reals alone: ordinary softmax over those that are to win."""

    def critic(self, real, fake):
        return real.logsumexp(0) - real + 0 * fake


class TargetOfFakes(SoftmaxGan):
    """The generator's mass goes to the fakes alone, not to all."""

    def generator(self, real, fake):
        return torch.cat([real, fake]).logsumexp(0) - fake + 0 * real


class TargetOfAll(SoftmaxGan):
    """The critic's mass goes to all."""

    def critic(self, real, fake):
        return self.generator(real, fake)


@pytest.mark.parametrize("part", [OverFakes, OverReals, TargetOfFakes, TargetOfAll])
def test_a_softmax_over_the_wrong_set_is_seen(part):
    with pytest.raises(AssertionError):
        _hold_softmax(part())


def test_boundary_seeking_is_over_at_the_boundary():
    """It is half the squared log odds of D, zero with no slope at 0 alone, and pulls from both
    sides; the critic is that of the non-saturating loss.
    """
    loss = LOSSES["boundary-seeking"].part()
    fake = (torch.arange(-40, 41).double() / 10).requires_grad_()
    values = loss.generator(fake, fake)
    odds = fake.sigmoid().log() - (1 - fake.sigmoid()).log()
    torch.testing.assert_close(values, odds**2 / 2)
    (slopes,) = _slopes(values, fake)
    torch.testing.assert_close(slopes.sign(), fake.detach().sign())
    assert (values > 0).sum() == 80
    plain = LOSSES["nonsaturating"].part()
    assert torch.equal(loss.critic(fake, fake.flip(0)), plain.critic(fake, fake.flip(0)))


def test_the_density_ratio_is_found_by_least_squares():
    """What a critic loses beyond the ratio is half its squared distance to it over the fakes."""
    loss, rng = LOSSES["density-ratio"].part(), np.random.default_rng(0)
    for _ in range(10):
        p, q = (torch.tensor(each) for each in rng.dirichlet(np.ones(6), size=2))
        nothing, guess = torch.zeros(6).double(), torch.tensor(rng.normal(size=6))

        def expected(c, p=p, q=q, nothing=nothing):
            return p @ loss.critic(c, nothing) + q @ loss.critic(nothing, c)

        beyond = expected(guess) - expected(p / q)
        torch.testing.assert_close(beyond, q @ (guess - p / q) ** 2 / 2)


def test_the_density_ratio_is_the_pearson_f_gan_in_other_units():
    """With t = 2 (C - 1) the critics' losses are one another's, twice and plus 1; the generators'
    are not.
    """
    ratio, f_gan = LOSSES["density-ratio"].part(), LOSSES["fgan-pearson"].part()
    real, fake = _logits(0)
    of_f_gan = f_gan.critic(2 * (real - 1), 2 * (fake - 1))
    torch.testing.assert_close(of_f_gan, 2 * ratio.critic(real, fake) + 1)


def test_smoothing_nothing_is_the_nonsaturating_loss():
    """Bit for bit, gradients too, at extremes too, in both types."""
    smoothed, plain = Smoothed(target=1.0), LOSSES["nonsaturating"].part()
    for dtype in (torch.float32, torch.float64):
        ends = torch.tensor([-1e4, -90.0, 90.0, 1e4], dtype=dtype)
        sides = [torch.cat([side.detach().to(dtype), ends]) for side in _logits(0)]
        real, fake = (side.requires_grad_() for side in sides)
        for player, inputs in (("critic", (real, fake)), ("generator", (fake,))):
            found, wanted = (getattr(each, player)(real, fake) for each in (smoothed, plain))
            assert torch.equal(found, wanted)
            for pair in zip(_slopes(found, *inputs), _slopes(wanted, *inputs), strict=True):
                assert torch.equal(*pair)


@pytest.mark.parametrize("target", [0.3, 0.7, 0.9, 1.0])
def test_smoothing_is_one_sided(target):
    """The best D is target p / (p + q): fakes are not smoothed. With two sides it would be more."""
    loss, rng = Smoothed(target), np.random.default_rng(0)
    for _ in range(10):
        p, q = (torch.tensor(each) for each in rng.dirichlet(np.ones(6), size=2))
        logits = torch.logit(target * p / (p + q)).requires_grad_()
        value = p @ loss.critic(logits, torch.zeros(6).double())
        value = value + q @ loss.critic(torch.zeros(6).double(), logits)
        (slopes,) = _slopes(value, logits)
        torch.testing.assert_close(slopes, torch.zeros_like(slopes), rtol=0, atol=1e-12)


@pytest.mark.parametrize("target", [0.0, -0.1, 1.1, math.nan])
def test_smoothing_says_what_it_can_not_be(target):
    with pytest.raises(UsageError, match="`target`: expected a probability above 0 and at most 1"):
        Smoothed(target)
