"""GoGAN written by hand, three stages, beside its chain: the same weights after all its steps; and
its first stage, beside the game of all GANs.
"""

from __future__ import annotations

import copy

import pytest
import torch
from reference.loops import Known, Stream, assert_same, seeded, stepped
from reference.partloops import BOTH, Loop, compared
from reference.places import BATCH, PLACES

from bench.core.randomness import stream
from generative import RECIPES, Training

pytestmark = pytest.mark.usefixtures("double")
PLACE = PLACES["plane"]
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


def stage(rng, steps, former):
    """One stage, from the players of the one before: x ahead of G(z), and of what G was before."""
    making, judging = PLACE.networks
    generator, critic = making.generator(2, (2,)), judging.encoder((2,), 1)
    if former is not None:
        generator, critic = copy.deepcopy(former)
    adams = [
        torch.optim.Adam(network.parameters(), rate, (0.0, 0.999))
        for network, rate in zip((generator, critic), PLACE.rates, strict=True)
    ]
    data = Stream(1, (2,))
    for _ in range(steps):
        for _ in range(STEPS):
            x, z = data.next(BATCH), PLACE.codes(rng)
            with torch.no_grad():
                new = generator(z)
                old = None if former is None else former[0](z)
            loss = hinged(MARGIN - critic(x)[:, 0] + critic(new)[:, 0])
            if old is not None:
                loss = loss + WEIGHT * hinged(2 * MARGIN - critic(x)[:, 0] + critic(old)[:, 0])
            stepped(loss, critic, adams[1])
            clipped(critic)
        stepped(-critic(generator(PLACE.codes(rng))).mean(), generator, adams[0])
    return generator, critic


def test_gogan():
    lengths = (4, 3, 3)
    told = {**TOLD, "rank_weight": WEIGHT, "stages": 3, "steps": sum(lengths), "batch": BATCH}
    trainer = RECIPES["gogan"].part.trainer(Training("plane", **told), (2,))
    with seeded(0):
        state = trainer.start(Known((2,)), torch.Generator().manual_seed(5))
        model = trainer.finish(trainer.advance(state, sum(lengths)))
    seed, players = torch.Generator().manual_seed(5).initial_seed(), None
    with seeded(0):
        for at, steps in enumerate(lengths):
            players = stage(stream("chain", seed, at), steps, players)
    assert_same(model.network, players[0])
    assert_same(model.critic, players[1])
