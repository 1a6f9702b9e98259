"""MIX+GAN written by hand, beside its game: the same weights after three steps."""

from __future__ import annotations

import pytest
import torch
from reference.loops import initialised, stepped
from reference.partloops import BOTH, Loop, compared
from reference.places import Descent
from torch import nn
from torch.nn.functional import softplus

pytestmark = pytest.mark.usefixtures("double")
K, ENTROPY = 3, 0.7


class Team(nn.Module):
    """Networks and the logits of their weights."""

    def __init__(self, networks):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(K))
        self.own = nn.ModuleList(networks)

    def weights(self):
        exp = self.logits.exp()
        return exp / exp.sum()


class Mix(Loop):
    """Arora et al. 2017: every pair plays, and counts by the product of its weights."""

    def build(self):
        place, (making, judging) = self.place, self.place.networks
        self.generator = Team([making.generator(place.latent, place.shape) for _ in range(K)])
        self.critic = Team([judging.encoder(place.shape, 1) for _ in range(K)])
        initialised(self.generator, self.rng, *place.first)
        own = place.first if place.mixes else place.bare_first or place.first
        initialised(self.critic, self.rng, *own)
        self.descents = [
            Descent(network, rate, place, self.beta)
            for network, rate in zip((self.generator, self.critic), place.rates, strict=True)
        ]

    def pairs(self, fakes, of_pair):
        """The sum over pairs, one after another."""
        total = 0.0
        for critic, v in zip(self.critic.own, self.critic.weights(), strict=True):
            judged = of_pair(critic)
            for fake, w in zip(fakes, self.generator.weights(), strict=True):
                total = total + w * v * judged(critic(fake)[:, 0])
        return total

    def step(self):
        real, z = self.reals(), self.codes()
        fakes = [network(z).detach() for network in self.generator.own]

        def telling(critic):
            of_real = softplus(-critic(real)[:, 0]).mean()
            return lambda y: of_real + softplus(y).mean()

        loss = self.pairs(fakes, telling) - ENTROPY * self.critic.weights().log().sum() / K
        stepped(loss, self.critic, self.descents[1].adam)
        z = self.codes()
        fakes = [network(z) for network in self.generator.own]
        fooling = self.pairs(fakes, lambda critic: lambda y: torch.log1p(-torch.sigmoid(y)).mean())
        loss = fooling - ENTROPY * self.generator.weights().log().sum() / K
        stepped(loss, self.generator, self.descents[0].adam)


@BOTH
def test_mix_gan(protocol):
    compared("mix-gan", protocol, Mix, told={"parts": K, "entropy_weight": ENTROPY})
