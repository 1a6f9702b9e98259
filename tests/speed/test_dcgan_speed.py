"""A DCGAN step at 32 x 32, batch 64, costs no more than a plain loop's on the same networks."""

import copy
import statistics
import time
from dataclasses import replace

import pytest
import torch
from small import images_named
from torch.nn.functional import binary_cross_entropy_with_logits

from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from generative import PROTOCOLS, RECIPES, Training
from generative.networks import Dcgan

SIDE, BATCH, STEPS = 32, 64, 5


class PlainLoop:
    """The DCGAN tutorial's loop: zero_grad, backward, step; Adam as PyTorch has it by default."""

    def __init__(self, generator, critic, latent, data):
        self.generator, self.critic, self.latent, self.data = generator, critic, latent, data
        self.rng = torch.Generator().manual_seed(0)
        self.generator_adam = torch.optim.Adam(generator.parameters(), 1e-3, (0.5, 0.999))
        self.critic_adam = torch.optim.Adam(critic.parameters(), 1e-3, (0.5, 0.999))
        self.ones, self.zeros = torch.ones(BATCH), torch.zeros(BATCH)

    def run(self, steps):
        for _ in range(steps):
            self.step()

    def step(self):
        judge = binary_cross_entropy_with_logits
        real = self.data[torch.randint(len(self.data), (BATCH,), generator=self.rng)]
        noise = torch.randn(BATCH, self.latent, generator=self.rng)
        self.critic.zero_grad()
        judge(self.critic(real), self.ones).backward()
        fake = self.generator(noise)
        judge(self.critic(fake.detach()), self.zeros).backward()
        self.critic_adam.step()
        self.generator.zero_grad()
        judge(self.critic(fake), self.ones).backward()
        self.generator_adam.step()


def _seconds(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


@pytest.mark.slow
@pytest.mark.parametrize("width", [16, 32, 64])
def test_a_dcgan_step_is_no_slower_than_a_plain_loop(hold, width):
    """The median of interleaved rounds in one process with one thread. Both give both players the
    same fakes; the plain loop takes the critic's gradients in the generator's backward pass, too,
    and ours looks whether every weight is finite, once a round.
    """
    source = images_named("mnist5k", SIDE).source(0)
    network = Dcgan(width, layers=None, kernel=5)
    usual = PROTOCOLS["dcgan-32"].part
    protocol = replace(usual, generator=network, critic=network, average=0.0, batch=BATCH)
    trainer = RECIPES["dcgan"].part.trainer(Training("dcgan-32"), source.shape)
    trainer = replace(trainer, game=replace(trainer.game, protocol=protocol))
    with forked(0):
        state = trainer.start(source, stream("speed"))
        players = copy.deepcopy(state.players["generator"]), copy.deepcopy(state.players["critic"])
        loop = PlainLoop(*players, protocol.latent, source.training)
        trainer.advance(state, STEPS), loop.run(STEPS)
        ratios = [
            _seconds(lambda: trainer.advance(state, STEPS)) / _seconds(lambda: loop.run(STEPS))
            for _ in range(12)
        ]
    hold(f"DCGAN step, width {width}: time over a plain loop's", statistics.median(ratios),
         "at most", 1.0)  # fmt: skip


def test_the_speed_test_has_the_papers_layers():
    """Three strides from 32 to 4, as the protocol's 28 to 4."""
    shapes = [DATASETS["mnist5k"].part.source(0).shape, (1, SIDE, SIDE)]
    for shape in shapes:
        layers = Dcgan(4, layers=None, kernel=5).encoder(shape, 1)
        assert sum(isinstance(layer, torch.nn.Conv2d) for layer in layers) == 3
