"""MAD-GAN written by hand, beside the game of all GANs: the same weights after three steps; and
what its critic's loss comes to at its best, by a formula.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from reference.loops import initialised
from reference.partloops import BOTH, Loop, compared
from reference.places import BATCH, Descent
from scipy.optimize import minimize
from scipy.stats import norm
from torch import nn
from torch.nn.functional import cross_entropy

from generative.critics.telling import Classes, Telling
from generative.losses.minimax import Minimax
from generative.parts import Sight

pytestmark = pytest.mark.usefixtures("double")
K = 3


class Mad(Loop):
    """Ghosh et al. 2018: a class for the data and one for each of three generators; codes choose
    among them by the quantile of their first number.
    """

    def build(self):
        place, (making, judging) = self.place, self.place.networks
        self.generator = nn.ModuleList(
            making.generator(place.latent, place.shape) for _ in range(K)
        )
        self.critic = judging.encoder(place.shape, K + 1)
        initialised(self.generator, self.rng, *place.first)
        own = place.first if place.mixes else place.bare_first or place.first
        initialised(self.critic, self.rng, *own)
        self.descents = [
            Descent(network, rate, place, self.beta)
            for network, rate in zip((self.generator, self.critic), place.rates, strict=True)
        ]
        place.codes(self.rng, BATCH)  # shown to forms before the first step

    def chosen(self, z):
        quantile = norm.cdf(z[:, 0].numpy()) * K
        place = np.minimum(quantile.astype(int), K - 1)
        own = z.clone()
        own[:, 0] = torch.from_numpy(norm.ppf(np.clip(quantile - place, 1e-6, 1 - 1e-6)))
        return place, own

    def made(self, z):
        place, own = self.chosen(z)
        self.place_of_fakes = torch.from_numpy(place).long()
        made = [None] * len(z)
        for number, network in enumerate(self.generator):
            rows = np.flatnonzero(place == number)
            if len(rows):
                codes = own[rows] if len(rows) > 1 else own[rows].repeat(2, 1)
                for row, x in zip(rows, network(codes), strict=False):
                    made[row] = x
        return torch.stack(made)

    def judge(self, x):
        return self.critic(x), None

    def critics(self, real, fake):
        if self.place.mixes:
            x, y = self.critic(real), self.critic(fake)
        else:
            x, y = self.critic(torch.cat([real, fake])).split(len(real))
        self.logits = x.detach(), y.detach()  # numbers that move: none
        data = torch.full((len(x),), K)
        return cross_entropy(x, data) + cross_entropy(y, self.place_of_fakes)

    def generator_loss(self, z, fake, reals):
        data = self.critic(fake).softmax(1)[:, K]
        return torch.log1p(-data).mean()


@BOTH
def test_mad_gan(protocol):
    compared("mad-gan", protocol, Mad, told={"generators": K})


def _loss(p, models, logits):
    """What the critic minimises, of logits [places, k + 1] on a finite space, by our parts."""
    k = len(models)
    critic, term = Classes(nn.Identity()), Telling(generators=k)
    at = torch.arange(logits.shape[0])
    real, told = critic(logits[at], features=True)
    loss = Minimax().critic(real, torch.full_like(real, -1e9))
    total = (torch.from_numpy(p) * loss).sum()
    for number, q in enumerate(models):
        middle = norm.ppf((number + 0.5) / k)
        codes = torch.full((len(at), 1), middle, dtype=torch.float64)
        sight = Sight(
            Minimax(), *[lambda: None] * 2, lambda c=codes: c, lambda: None,
            lambda: (real, told), lambda: 0, lambda sight: None,
        )  # fmt: skip
        fooled = Minimax().critic(torch.full_like(real, 1e9), real)
        total = total + (torch.from_numpy(q) / k * (fooled + term(sight))).sum()
    return total


def _entropy(p):
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


@pytest.mark.parametrize("k", [2, 3])
def test_the_critic_at_its_best(k):
    """log 4 - 2 JS(data, mean model) + log k - JS(models): as a solver finds it, and as Bayes'
    classes have it.
    """
    rng = np.random.default_rng(k)
    p, *models = rng.dirichlet(np.ones(5), 1 + k)
    mean = np.mean(models, 0)
    js = _entropy((p + mean) / 2) - (_entropy(p) + _entropy(mean)) / 2
    apart = _entropy(mean) - np.mean([_entropy(q) for q in models])
    wanted = math.log(4) - 2 * js + math.log(k) - apart
    best = np.log(np.stack([*[q / k for q in models], p], 1))
    assert float(_loss(p, models, torch.from_numpy(best)).detach()) == pytest.approx(
        wanted, abs=1e-9
    )

    def value(flat):
        at = torch.from_numpy(flat).view(5, k + 1).requires_grad_()
        loss = _loss(p, models, at)
        (slope,) = torch.autograd.grad(loss, at)
        return float(loss.detach()), slope.flatten().numpy()

    found = minimize(value, np.zeros(5 * (k + 1)), jac=True, method="L-BFGS-B", tol=1e-12)
    assert found.fun == pytest.approx(wanted, abs=1e-6)
