"""GoGAN written by hand, three stages, beside its chain: the same weights after all its steps; and
its first stage, beside the game of all GANs.
"""

from __future__ import annotations

import copy

import pytest
import torch
from reference.loops import Known, Stream, assert_same, initialised, seeded, stepped
from reference.partloops import BOTH, Loop, compared
from reference.places import BATCH, PLACES

from bench.core.randomness import stream
from generative import RECIPES, Training

pytestmark = pytest.mark.usefixtures("double")
MARGIN, WEIGHT, BOUND, STEPS = 0.4, 0.7, 0.2, 2
TOLD = {"margin": MARGIN, "clip_bound": BOUND, "critic_steps": STEPS}


def hinged(gap):
    """max(0, gap), written without relu."""
    return torch.where(gap > 0, gap, 0 * gap).mean()


def clipped(network):
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(weight.maximum(torch.tensor(-BOUND)).minimum(torch.tensor(BOUND)))


class Margin(Loop):
    """The first stage: WGAN, its critic with a margin."""

    beta = 0.0

    def step(self):
        for _ in range(STEPS):
            real, fake = self.reals(), self.made(self.codes()).detach()
            if self.place.mixes:
                x, y = self.judge(real)[0], self.judge(fake)[0]
            else:
                x, y = self.judge(torch.cat([real, fake]))[0].chunk(2)
            stepped(hinged(MARGIN - (x - y)), self.critic, self.descents[1].adam)
            clipped(self.critic)
        loss = -self.judge(self.made(self.codes()))[0].mean()
        stepped(loss, self.generator, self.descents[0].adam)


@BOTH
def test_the_first_stage(protocol):
    compared("margin-gan", protocol, Margin, told=TOLD)


def stage(place, rng, steps, former):
    """One stage, from the players of the one before: x ahead of G(z), and of what G was before.
    former: its generator as a model is, and its critic.
    """
    making, judging = place.networks
    generator, critic = making.generator(place.latent, place.shape), judging.encoder(place.shape, 1)
    for network in (generator, critic):
        initialised(network, rng, *place.first)
    if former is not None:
        generator, critic = (copy.deepcopy(network).train() for network in former)
    adams = [
        torch.optim.Adam(network.parameters(), rate, (0.0, 0.999))
        for network, rate in zip((generator, critic), place.rates, strict=True)
    ]
    data, begun, kept = Stream(1, place.shape), copy.deepcopy(generator), []
    for _ in range(steps):
        for _ in range(STEPS):
            x, z = data.next(BATCH), place.codes(rng)
            with torch.no_grad():
                new = generator(z)
                old = None if former is None else former[0](z)
            ahead = critic(x)[:, 0]
            loss = hinged(MARGIN - ahead + critic(new)[:, 0])
            if old is not None:
                loss = loss + WEIGHT * hinged(2 * MARGIN - ahead + critic(old)[:, 0])
            stepped(loss, critic, adams[1])
            clipped(critic)
        stepped(-critic(generator(place.codes(rng))).mean(), generator, adams[0])
        kept.append(copy.deepcopy(generator.state_dict()))
    model = averaged(begun, kept) if place.average else generator
    return model.eval(), critic


def averaged(network, kept):
    """The mean of weights after each step; counts are those of the start."""
    network.load_state_dict(
        {
            name: torch.stack([each[name] for each in kept]).mean(0)
            if value.is_floating_point()
            else value
            for name, value in network.state_dict().items()
        }
    )
    return network


@BOTH
def test_gogan(protocol):
    """With batch norm, reals, new fakes and former ones are batches of their own; and the former
    generator is the model that its stage came to: an average, and with the statistics of all.
    """
    place, lengths = PLACES[protocol], (4, 3, 3)
    told = {**TOLD, "rank_weight": WEIGHT, "stages": 3, "steps": sum(lengths), "batch": BATCH}
    trainer = RECIPES["gogan"].part.trainer(Training(protocol, **told), place.shape)
    with seeded(0):
        state = trainer.start(Known(place.shape), torch.Generator().manual_seed(5))
        model = trainer.finish(trainer.advance(state, sum(lengths)))
    seed, players = torch.Generator().manual_seed(5).initial_seed(), None
    with seeded(0):
        for at, steps in enumerate(lengths):
            players = stage(place, stream("chain", seed, at), steps, players)
    assert_same(model.network, players[0])
    assert_same(model.critic, players[1])
