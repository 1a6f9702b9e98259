"""A training step costs what a hand-written loop costs, alone and in two workers at once."""

import statistics
import subprocess
import sys
import time

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from bench import api
from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from generative import RECIPES, Training

BATCH, LATENT, STEPS = 512, 256, 20

BARE = """
import sys, time
sys.path.insert(0, {folder!r})
import torch
torch.set_num_threads(1)
from speed.test_training_speed import HandWritten
loop = HandWritten()
loop.run(50)
print("ready", flush=True)
sys.stdin.readline()
start = time.perf_counter()
loop.run({steps})
print(time.perf_counter() - start, flush=True)
"""

SUITE = """
name = "speed"
default_tier = "quick"

[tiers.quick]
seeds = 2

[[block]]
name = "training"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["nsgan"]
settings = {{ protocol = "unrolled-notebook", steps = {steps}, samples = 100, evaluations = 1 }}
metrics = ["high_quality"]
"""


def perceptron(inputs, outputs):
    """2 x 128 tanh units."""
    return nn.Sequential(
        nn.Linear(inputs, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh(), nn.Linear(128, outputs)
    )


class HandWritten:
    """The non-saturating GAN as anyone would write it, with the fused Adam."""

    def __init__(self):
        self.data = DATASETS["ring8@pacgan"].part.source(0).training
        self.rng = torch.Generator().manual_seed(0)
        self.generator, self.critic = perceptron(LATENT, 2), perceptron(2, 1)
        self.generator_adam = torch.optim.Adam(
            self.generator.parameters(), 1e-3, (0.5, 0.999), fused=True
        )
        self.critic_adam = torch.optim.Adam(
            self.critic.parameters(), 1e-4, (0.5, 0.999), fused=True
        )
        self.order, self.at = torch.randperm(len(self.data), generator=self.rng), 0

    def noise(self):
        return torch.randn(BATCH, LATENT, generator=self.rng)

    def batch(self):
        if self.at + BATCH > len(self.data):
            self.order, self.at = torch.randperm(len(self.data), generator=self.rng), 0
        self.at += BATCH
        return self.data[self.order[self.at - BATCH : self.at]]

    def run(self, steps):
        for _ in range(steps):
            real = self.batch()
            with torch.no_grad():
                fake = self.generator(self.noise())
            logits = self.critic(torch.cat([real, fake]))
            loss = softplus(-logits[:BATCH]).mean() + softplus(logits[BATCH:]).mean()
            self.critic_adam.zero_grad()
            loss.backward()
            self.critic_adam.step()
            loss = softplus(-self.critic(self.generator(self.noise()))).mean()
            self.generator_adam.zero_grad()
            loss.backward()
            self.generator_adam.step()


def _seconds(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


@pytest.mark.slow
def test_a_step_costs_what_a_hand_written_one_does(hold):
    """At most 1.1 times, the median of interleaved rounds in one process with one thread."""
    source = DATASETS["ring8@pacgan"].part.source(0)
    trainer = RECIPES["nsgan"].part.trainer(Training("unrolled-notebook", steps=10_000), (2,))
    assert (trainer.game.protocol.batch, trainer.game.protocol.latent) == (BATCH, LATENT)
    with forked(0):
        state, loop = trainer.start(source, stream("speed")), HandWritten()
        trainer.advance(state, STEPS), loop.run(STEPS)
        ratios = [
            _seconds(lambda: trainer.advance(state, STEPS)) / _seconds(lambda: loop.run(STEPS))
            for _ in range(40)
        ]
    ratio = statistics.median(ratios)
    hold("GAN step: time over a hand-written loop's", ratio, "at most", 1.1)


@pytest.mark.slow
def test_two_workers_keep_up_with_two_bare_processes(tmp_path, hold):
    """They finish at least 0.9 of what two processes of the bare loop finish in the same time."""
    steps = 1_500
    (tmp_path / "speed.toml").write_text(SUITE.format(steps=steps))
    best = 0.0
    for attempt in range(3):
        bare = _two_bare(steps)
        report = api.execute(
            str(tmp_path / "speed.toml"),
            out=str(tmp_path / f"run{attempt}"),
            executor="processes",
            workers=2,
            set={"generator_lr": 1e-3 * (1 + attempt)},
        )
        ours = max(record["seconds"] for record in report.records.values())
        best = max(best, bare / ours)
    hold("two workers: what they finish over two bare processes", best, "at least", 0.9)


def _two_bare(steps):
    """Seconds until two processes of the bare loop, started together, are both done."""
    folder = __file__.rsplit("/speed/", 1)[0]
    code = BARE.format(folder=folder, steps=steps)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    seconds = [float(process.communicate()[0]) for process in both]
    return max(seconds)
