"""A GAN written by hand that others with parts are kin of, and the game beside it. Only the layers
come from `generative.networks`.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from reference.loops import STEPS, Known, Stream, advanced, assert_same, initialised, stepped
from reference.places import BATCH, PLACES, Descent
from torch.nn.functional import logsigmoid

from generative import RECIPES, Training

TOTAL = 9
BOTH = pytest.mark.parametrize("protocol", ["plane", "small-dcgan"])


class Loop:
    """The non-saturating GAN: what is otherwise stands in its kin, or is given by name.

    group: how many examples are judged at once. bare: its critic goes without batch norm. beta:
    Adam's first of both players.
    """

    group, bare, beta = 1, False, None

    def __init__(self, place, first=0, **own):
        vars(self).update(own)
        if self.bare:
            place = replace(place, networks=(place.networks[0], place.networks[1].unmixed()))
        self.place, self.done, self.kept = place, first, []
        self.rng, self.data = torch.Generator().manual_seed(5), Stream(1, place.shape)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.build()
            for _ in range(STEPS):
                self.step()
                self.done += 1
                self.kept.append(copy.deepcopy(self.generator.state_dict()))

    def build(self):
        place = self.place
        self.generator = place.networks[0].generator(place.latent, place.shape)
        self.critic = self.new_critic()
        initialised(self.generator, self.rng, *place.first)
        own = place.first if place.mixes else place.bare_first or place.first
        initialised(self.critic, self.rng, *own)
        self.descents = [
            Descent(network, rate, place, self.beta)
            for network, rate in zip((self.generator, self.critic), place.rates, strict=True)
        ]

    @property
    def seen(self):
        """The shape of what is judged."""
        channels, *rest = self.place.shape
        return channels * self.group, *rest

    def new_critic(self):
        return self.place.networks[1].encoder(self.seen, 1)

    def made(self, z):
        return self.generator(z)

    def view(self, x):
        return x

    def judge(self, x):
        """Logits and features."""
        network = self.critic
        while len(network) == 2:
            network = network[1]
        kept = []
        hook = network[-1].register_forward_pre_hook(lambda layer, given: kept.append(given[0]))
        logits = self.critic(x)[:, 0]
        hook.remove()
        return logits, kept[0]

    def critic_loss(self, real, fake, x, y):
        """Of each of the batch; x, y: the logits of reals and fakes."""
        return -logsigmoid(x) - logsigmoid(-y)

    def penalty(self, real, fake):
        """Of what the critic is shown."""
        return 0.0

    def generator_loss(self, z, fake, reals):
        """reals: draws them."""
        return -logsigmoid(self.judge(self.view(fake))[0]).mean()

    def moved(self, x, y):
        """What else changes after a step of the critic."""

    def codes(self):
        return self.place.codes(self.rng, BATCH * self.group)

    def reals(self):
        return self.data.next(BATCH * self.group)

    def critics(self, real, fake):
        """What the critic minimises."""
        x, y = self.view(real), self.view(fake)
        if self.place.mixes:
            logits = self.judge(x)[0], self.judge(y)[0]
        else:
            logits = self.judge(torch.cat([x, y]))[0].chunk(2)
        self.logits = [each.detach() for each in logits]
        return self.critic_loss(real, fake, *logits).mean() + self.penalty(x, y)

    def step(self):
        real, z = self.reals(), self.codes()
        fake, draw = self.made(z), lambda: real
        stepped(self.critics(real, fake.detach()), self.critic, self.descents[1].adam)
        self.moved(*self.logits)
        if not self.place.shared:
            z, draw = self.codes(), self.reals
            fake = self.made(z)
        stepped(self.generator_loss(z, fake, draw), self.generator, self.descents[0].adam)


def played(part, protocol, shape, first=0, **told):
    """The same by the game."""
    training = Training(protocol, steps=TOTAL, batch=BATCH, **told)
    trainer = part.trainer(training, shape)
    return trainer, advanced(trainer, Known(shape), first)


def assert_like(found, hand):
    _, state = found
    assert_same(state.players["generator"], hand.generator)
    assert_same(state.players["critic"], hand.critic)


def compared(name, protocol, loop, shape=None, first=0, told=None, **own):
    """A registered model, or parts, beside its loop."""
    place = PLACES[protocol]
    place = replace(place, shape=shape or place.shape)
    part = RECIPES[name].part if isinstance(name, str) else name
    found = played(part, protocol, place.shape, first, **(told or {}))
    assert_like(found, loop(place, first, **own))
    return found
