"""Every f-GAN against its divergence: Fenchel's equality, the optimal critic, and its supremum.

A divergence is written here as f alone, and as the sum that the field knows it by; what the losses
have, g and f* of g, follows from f by theory. The discrete spaces have six atoms.
"""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import lambertw, rel_entr
from torch.nn.functional import logsigmoid, softplus

from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.laws.base import judge, laws_of, load
from generative import LOSSES, RECIPES, LossFacts
from generative.losses.fgan import EXPONENTIAL, FGan
from generative.losses.fgan_alpha import Alpha, log_softplus
from generative.losses.fgan_hellinger import Hellinger
from generative.losses.fgan_jeffrey import log_ratio
from generative.losses.fgan_kl import KL
from generative.losses.fgan_neyman import Neyman
from generative.losses.fgan_reverse_kl import ReverseKL
from generative.recipes.adversarial import Adversarial

load()
SPREAD = (0.5, 1.0, 2.0, 8.0)
"""Concentrations of the distributions: from nearly disjoint ones to nearly equal ones."""
LOGITS = torch.linspace(-8, 8, 161, dtype=torch.float64)


def _alpha(a):
    """f of the alpha-divergence, and the logits that its best critic gives a ratio."""

    def f(u):
        return (u**a - 1 - a * (u - 1)) / (a * (a - 1))

    def best(r):
        if a > 1:
            return (r ** (a - 1) - 1) / (a - 1)
        softplus_of_minus = r ** (a - 1) / (1 - a)
        return -softplus_of_minus - np.log(-np.expm1(-softplus_of_minus))

    def divergence(p, q):
        return float((p**a * q ** (1 - a)).sum() - 1) / (a * (a - 1))

    return f, best, divergence


def _kl(p, q):
    return float(rel_entr(p, q).sum())


def _js(p, q):
    return (_kl(p, (p + q) / 2) + _kl(q, (p + q) / 2)) / 2


# f in torch, the critic of the theory, the divergence as it is known
SMOOTH = {
    "fgan-kl": (lambda u: u * u.log(), lambda r: 1 + np.log(r), _kl),
    "fgan-reverse-kl": (lambda u: -u.log(), np.log, lambda p, q: _kl(q, p)),
    "fgan-pearson": (
        lambda u: (u - 1) ** 2,
        lambda r: 2 * (r - 1),
        lambda p, q: ((p - q) ** 2 / q).sum(),
    ),
    "fgan-neyman": (
        lambda u: (1 - u) ** 2 / u,
        lambda r: 2 * np.log(r),
        lambda p, q: ((p - q) ** 2 / p).sum(),
    ),
    "fgan-hellinger": (
        lambda u: (u.sqrt() - 1) ** 2,
        lambda r: np.log(r) / 2,
        lambda p, q: ((np.sqrt(p) - np.sqrt(q)) ** 2).sum(),
    ),
    "fgan-jeffrey": (
        lambda u: (u - 1) * u.log(),
        lambda r: 1 + np.log(r) - 1 / r,
        lambda p, q: _kl(p, q) + _kl(q, p),
    ),
    "fgan-js": (
        lambda u: u * u.log() - (u + 1) * ((1 + u) / 2).log(),
        np.log,
        lambda p, q: 2 * _js(p, q),
    ),
    "fgan-alpha": _alpha(0.5),
    "alpha -1": _alpha(-1.0),
    "alpha 0.9": _alpha(0.9),
    "alpha 2": _alpha(2.0),
    "alpha 3": _alpha(3.0),
}
FAR = "alpha -1"
"""Its best logits go like 1 / r^2, thousands from 0: no search gets there."""
ALL = (*SMOOTH, "fgan-tv")


class GanRow(FGan):
    """The row GAN of the paper's table, to be told from the registered minimax loss."""

    def output(self, logits):
        return logsigmoid(logits)

    def conjugate(self, logits):
        return -logsigmoid(-logits)


def _loss(name):
    if name.startswith("alpha "):
        return Alpha(float(name.removeprefix("alpha ")))
    return LOSSES[name].part()


def _spaces():
    rng = np.random.default_rng(0)
    for concentration in SPREAD:
        p, q = rng.dirichlet(np.full(6, concentration), size=2) + 1e-3
        yield p / p.sum(), q / q.sum()


SPACES = [*_spaces()]


def _expected(loss, logits, p, q):
    """The expectation of the critic's loss, over all pairs of a real and a fake atom."""
    real, fake = logits.repeat_interleave(6), logits.repeat(6)
    return torch.outer(torch.as_tensor(p), torch.as_tensor(q)).flatten() @ loss.critic(real, fake)


def _value(loss, logits, p, q):
    """What the critic maximises, E_P[T] - E_Q[f*(T)]."""
    return -float(_expected(loss, torch.as_tensor(logits), p, q))


def _divergence(name, p, q):
    if name == "fgan-tv":
        return np.abs(p - q).sum() / 2
    return float(SMOOTH[name][2](p, q))


def _slopes(function, at):
    at = at.clone().requires_grad_()
    return torch.autograd.grad(function(at).sum(), at)[0]


def test_every_f_gan_is_here():
    """Registering another asks for its f."""
    registered = {name for name in LOSSES if issubclass(LOSSES[name].part, FGan)}
    assert {name for name in ALL if not name.startswith("alpha ")} == registered
    assert len(registered) == 9


def test_every_f_gan_has_its_recipe():
    """Of the same name, with that loss, which it cites."""
    for name in ALL:
        if name in LOSSES:
            entry = RECIPES[name]
            assert entry.part == Adversarial(name)
            assert entry.facts.parts == (name,)
            assert entry.paper == LOSSES[name].paper == "arXiv:1606.00709"


@pytest.mark.parametrize("name", SMOOTH)
def test_f_gives_the_divergence_that_is_known(name):
    """sum q f(p / q) is the sum of the textbooks: the two references agree."""
    for p, q in SPACES:
        ratios = torch.as_tensor(p / q)
        by_f = float(torch.as_tensor(q) @ SMOOTH[name][0](ratios))
        assert by_f == pytest.approx(_divergence(name, p, q), rel=1e-12, abs=1e-13)


def _inner(loss, name):
    """The logits that stand for a ratio above 0; of most losses all of them."""
    least = -2.0 if name == "fgan-pearson" else -math.inf
    if getattr(loss, "alpha", 0) > 1:
        least = -1 / (loss.alpha - 1)
    return LOGITS[least + 1e-3 < LOGITS]


def _hold_fenchel(loss, f, at):
    """With u the slope of f* at g(C): f'(u) is g(C), and f*(g(C)) is u g(C) - f(u)."""
    u, g = _slopes(loss.conjugate, at) / _slopes(loss.output, at), loss.output(at)
    torch.testing.assert_close(_slopes(f, u), g, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(loss.conjugate(at), u * g - f(u), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SMOOTH)
def test_fenchel_equality(name):
    """So g and f* are those of f, and their gradients by autograd are right, at any logit."""
    loss = _loss(name)
    _hold_fenchel(loss, SMOOTH[name][0], _inner(loss, name))


@pytest.mark.parametrize("name", ALL)
def test_a_high_logit_means_real(name):
    """g and f* of g rise with the logit."""
    loss = _loss(name)
    at = _inner(loss, name)
    assert (_slopes(loss.output, at) > 0).all()
    assert (_slopes(loss.conjugate, at) > 0).all()


@pytest.mark.parametrize("name", SMOOTH)
def test_the_critic_of_the_theory_measures_the_divergence(name):
    """Exactly, without a search; and it is where the gradient of the critic's loss is zero."""
    loss, best = _loss(name), SMOOTH[name][1]
    for p, q in SPACES:
        logits = best(p / q)
        wanted = _divergence(name, p, q)
        assert _value(loss, logits, p, q) == pytest.approx(wanted, rel=1e-10, abs=1e-10)
        slopes = _slopes(lambda c, p=p, q=q: _expected(loss, c, p, q), torch.tensor(logits))
        torch.testing.assert_close(slopes, torch.zeros_like(slopes), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_no_critic_finds_more_than_the_divergence(name):
    """Of many random ones: it is an upper bound."""
    rng = np.random.default_rng(1)
    for p, q in SPACES:
        most = _divergence(name, p, q)
        for scale in (0.1, 1.0, 4.0):
            for logits in rng.normal(scale=scale, size=(30, 6)):
                assert _value(_loss(name), logits, p, q) <= most + 1e-12


@pytest.mark.parametrize("name", [name for name in SMOOTH if name != FAR])
def test_a_search_reaches_the_divergence(name):
    """By SciPy from logits of 0, with the gradients of autograd."""
    loss = _loss(name)
    for p, q in SPACES:

        def value(c, p=p, q=q):
            logits = torch.tensor(c, requires_grad=True)
            found = _expected(loss, logits, p, q)
            return found.item(), torch.autograd.grad(found, logits)[0].numpy()

        found = minimize(value, np.zeros(6), jac=True, method="BFGS", options={"gtol": 1e-9})
        most = _divergence(name, p, q)
        assert -found.fun == pytest.approx(most, abs=1e-6)
        assert -found.fun <= most + 1e-10


def test_total_variation_is_a_limit():
    """Of critics of the sign of p - q: closer the larger they are, and never above."""
    loss = _loss("fgan-tv")
    for p, q in SPACES:
        most = _divergence("fgan-tv", p, q)
        found = [_value(loss, size * np.sign(p - q), p, q) for size in (0.5, 1.0, 2.0, 5.0, 15.0)]
        assert found == sorted(found)
        assert most - 1e-10 < found[-1] <= most + 1e-12


@pytest.mark.parametrize("name", ALL)
def test_the_game_is_zero_sum(name):
    """Fakes enter both losses by one term, with opposite signs; reals the critic's alone."""
    loss, real = _loss(name), LOGITS.flip(0)
    of_critic = _slopes(lambda fake: loss.critic(real, fake), LOGITS)
    of_generator = _slopes(lambda fake: loss.generator(real, fake), LOGITS)
    torch.testing.assert_close(of_critic, -of_generator, rtol=0, atol=0)


def test_the_gan_row_is_the_minimax_loss():
    """And the row JS is the same less log 4: both players, value by value and slope by slope."""
    minimax, real = LOSSES["minimax"].part(), LOGITS.flip(0).requires_grad_()
    fake = LOGITS.clone().requires_grad_()
    for loss, less in ((GanRow(), 0.0), (_loss("fgan-js"), math.log(2))):
        for player, sides in (("critic", 2), ("generator", 1)):
            wanted, found = (getattr(each, player)(real, fake) for each in (minimax, loss))
            offset = -2 * less if player == "critic" else less
            torch.testing.assert_close(found, wanted + offset, rtol=0, atol=1e-12)
            inputs = (fake, real)[:sides]
            for each in zip(
                torch.autograd.grad(found.sum(), inputs),
                torch.autograd.grad(wanted.sum(), inputs),
                strict=True,
            ):
                torch.testing.assert_close(*each, rtol=0, atol=1e-12)


def test_alpha_has_its_neighbours():
    """Near 1 it is KL, near 0 reverse KL; at 1/2 twice Hellinger, at 2 half of Pearson."""
    for p, q in SPACES:
        for a, wanted in (
            (1 - 1e-6, _kl(p, q)),
            (1 + 1e-6, _kl(p, q)),
            (1e-6, _kl(q, p)),
            (0.5, 2 * _divergence("fgan-hellinger", p, q)),
            (2.0, _divergence("fgan-pearson", p, q) / 2),
        ):
            best, divergence = _alpha(a)[1:]
            assert divergence(p, q) == pytest.approx(wanted, abs=1e-4)
            if abs(a) > 1e-3 and abs(a - 1) > 1e-3:
                found = _value(Alpha(a), best(p / q), p, q)
                assert found == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan, math.inf])
def test_alpha_says_what_it_can_not_be(alpha):
    with pytest.raises(UsageError, match=r"`alpha`: expected a finite number other than 0 and 1"):
        Alpha(alpha)


def test_log_softplus_is_finite_on_the_left():
    """Where softplus itself is 0, with its slope."""
    at = torch.tensor([-1e4, -100.0, -40.0, -39.0, -1.0, 0.0, 30.0], dtype=torch.float64)
    wanted = [-1e4, -100, -40, *np.log(np.log1p(np.exp([-39.0, -1.0, 0.0, 30.0])))]
    torch.testing.assert_close(log_softplus(at), torch.tensor(wanted, dtype=torch.float64))
    slopes = _slopes(log_softplus, at)
    assert slopes[0] == 1
    assert torch.autograd.gradcheck(log_softplus, at.clone().requires_grad_())


def test_lambert_w_is_that_of_scipy():
    """u = 1 / W(e^(1 - t)), and f* by the formula of the table, where e^(1 - t) is finite."""
    at = torch.linspace(-600, 600, 4801, dtype=torch.float64)
    w = lambertw(np.exp(1 - at.numpy())).real
    torch.testing.assert_close(log_ratio(at), torch.tensor(-np.log(w)), rtol=1e-13, atol=1e-14)
    middle = at.abs() < 30
    table = torch.tensor(w + 1 / w - 2)[middle] + at[middle]
    torch.testing.assert_close(
        _loss("fgan-jeffrey").conjugate(at[middle]), table, rtol=1e-11, atol=1e-12
    )


def test_lambert_w_has_derivatives_of_any_need():
    """Two by autograd agree with the closed forms, far out too: a penalty asks for the second."""
    at = torch.cat([torch.linspace(-1e4, 1e4, 401), torch.linspace(-30, 30, 601)]).double()
    at.requires_grad_()
    v = log_ratio(at)
    (first,) = torch.autograd.grad(v.sum(), at, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), at)
    slope = v.detach().sigmoid()
    torch.testing.assert_close(first.detach(), slope, rtol=0, atol=1e-13)
    torch.testing.assert_close(second, slope**2 * (1 - slope), rtol=0, atol=1e-13)


def _mirrored(part):
    """With g and f* of g at the opposite logit, so that a high one means fake."""

    class Falling(part):
        def output(self, logits):
            return super().output(-logits)

        def conjugate(self, logits):
            return super().conjugate(-logits)

    return Falling


class WrongSign(KL):
    """Its generator makes fakes that the critic is sure of."""

    def generator(self, real, fake):
        return self.conjugate(fake)


class Overflowing(FGan):
    """-log(2 - e^t) as it is often written: infinite in float32 from a logit of 17 on."""

    def output(self, logits):
        return math.log(2) - softplus(-logits)

    def conjugate(self, logits):
        return -(2 - self.output(logits).exp()).log()


AGAINST_LAWS = {
    "falling reverse KL": (_mirrored(ReverseKL), "the-critic-pulls-reals-up-and-fakes-down"),
    "falling Neyman": (_mirrored(Neyman), "the-critic-pulls-reals-up-and-fakes-down"),
    "falling Hellinger": (_mirrored(Hellinger), "the-critic-pulls-reals-up-and-fakes-down"),
    "wrong sign": (WrongSign, "the-generator-pulls-fakes-up"),
    "overflowing": (Overflowing, "a-loss-is-stable"),
}


@pytest.mark.parametrize("fault", AGAINST_LAWS)
def test_a_planted_fault_breaks_a_law(fault):
    """The one that is about it; the falling ones break that of the generator, too."""
    part, wanted = AGAINST_LAWS[fault]
    limit = LossFacts().finite_to if part is Overflowing else EXPONENTIAL
    entry = Entry(fault, part, "", "planted", __name__, LossFacts(finite_to=limit))
    broken = set()
    for law in laws_of(entry, "loss"):
        found = [judge(law, entry, case, values) for case, values in law.cases_of(entry).items()]
        broken |= {finding.law.name for finding in found if finding.verdict == "broken"}
    assert wanted in broken
    assert ("the-generator-pulls-fakes-up" in broken) == (part is not Overflowing)


class Unshifted(KL):
    """e^C for e^(C - 1)."""

    def conjugate(self, logits):
        return logits.exp()


class Halved(Neyman):
    """e^-C for e^(-C / 2)."""

    def conjugate(self, logits):
        return 2 - 2 * (-logits).exp()


class Unlogged(LOSSES["fgan-jeffrey"].part):
    """W(e^t) for W(e^(1 - t))."""

    def conjugate(self, logits):
        return super().conjugate(logits + 1)


AGAINST_FENCHEL = {Unshifted: "fgan-kl", Halved: "fgan-neyman", Unlogged: "fgan-jeffrey"}


@pytest.mark.parametrize("part", AGAINST_FENCHEL)
def test_a_planted_fault_of_a_formula_breaks_fenchel(part):
    """Each obeys the laws of signs: the formula alone says that it is wrong."""
    with pytest.raises(AssertionError):
        _hold_fenchel(part(), SMOOTH[AGAINST_FENCHEL[part]][0], LOGITS)
