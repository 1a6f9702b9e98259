"""AdaGAN written by hand, three rounds of four steps and two judges of two, beside its chain."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reference.loops import Known, Stream, seeded, stepped
from reference.places import BATCH, PLACES
from scipy.optimize import brentq
from scipy.stats import norm
from torch.nn.functional import logsigmoid

from bench.core.randomness import stream
from generative import RECIPES, Training

pytestmark = pytest.mark.usefixtures("double")
PLACE = PLACES["plane"]
TOTAL = 16


def adam(network, rate):
    return torch.optim.Adam(network.parameters(), rate, PLACE.betas)


def gan(next_reals, rng):
    """Four steps of the non-saturating GAN: its generator."""
    making, judging = PLACE.networks
    generator, critic = making.generator(2, (2,)), judging.encoder((2,), 1)
    adams = [
        adam(network, rate) for network, rate in zip((generator, critic), PLACE.rates, strict=True)
    ]
    for _ in range(4):
        real, fake = next_reals(BATCH), generator(PLACE.codes(rng)).detach()
        loss = -logsigmoid(critic(real)).mean() - logsigmoid(-critic(fake)).mean()
        stepped(loss, critic, adams[1])
        loss = -logsigmoid(critic(generator(PLACE.codes(rng)))).mean()
        stepped(loss, generator, adams[0])
    return generator


@torch.no_grad()
def drawn(generators, weights, z):
    """Each code by the generator in whose part of the line its quantile lies."""
    ends = np.cumsum(weights)
    made = []
    for code in z:
        quantile = norm.cdf(float(code[0]))
        at = min(int((quantile >= ends).sum()), len(ends) - 1)
        start = ends[at] - weights[at]
        inside = np.clip((quantile - start) / weights[at], 1e-6, 1 - 1e-6)
        own = torch.tensor([norm.ppf(inside), float(code[1])])
        made.append(generators[at](own[None])[0])
    return torch.stack(made)


def judge(generators, weights, rng):
    """Two steps of a critic of the data against a mixture; and the seed of what comes next."""
    critic, data = PLACE.networks[1].encoder((2,), 1), Stream(1, (2,))
    seed = int(torch.randint(2**62, (), generator=rng))
    own = adam(critic, PLACE.rates[1])
    for _ in range(2):
        real = data.next(BATCH)
        fake = drawn(generators, weights, PLACE.codes(rng))
        loss = -logsigmoid(critic(real)).mean() - logsigmoid(-critic(fake)).mean()
        stepped(loss, critic, own)
    return critic, seed


def lacking(ratios, share):
    """The paper's equation 17 at the level where weights add to 1, found by bisection."""
    n = len(ratios)

    def weights(level):
        return np.maximum(level - (1 - share) * ratios, 0) / (share * n)

    return weights(brentq(lambda level: weights(level).sum() - 1, 0, 10, xtol=1e-14))


def boosted():
    seed, data = torch.Generator().manual_seed(5).initial_seed(), Known((2,))
    examples = data.training
    generators = [gan(Stream(1, (2,)).next, stream("chain", seed, 0))]
    weights = [1.0]
    for number in (1, 2):
        share = 1 / (number + 1)
        critic, own = judge(generators, weights, stream("chain", seed, 2 * number - 1))
        with torch.no_grad():
            probability = torch.sigmoid(critic(examples)[:, 0]).numpy()
        ends = np.cumsum(lacking((1 - probability) / probability, share))
        draws = stream("reweighted", own)

        def reals(n, ends=ends, draws=draws):
            at = torch.rand(n, generator=draws).numpy()
            return examples[np.searchsorted(ends, at, side="right")]

        generators.append(gan(reals, stream("chain", seed, 2 * number)))
        weights = [(1 - share) * weight for weight in weights] + [share]
    return generators, weights


def test_adagan():
    training = Training("plane", steps=TOTAL, batch=BATCH, rounds=3)
    trainer = RECIPES["adagan"].part.trainer(training, (2,))
    with seeded(0):
        state = trainer.start(Known((2,)), torch.Generator().manual_seed(5))
        model = trainer.finish(trainer.advance(state, TOTAL))
    with seeded(0):
        generators, weights = boosted()
    found = model.own.network
    assert found.weights.tolist() == pytest.approx(weights)
    assert len(found.networks) == len(generators) == 3
    for network, wanted in zip(found.networks, generators, strict=True):
        for one, other in zip(network.parameters(), wanted.parameters(), strict=True):
            torch.testing.assert_close(one.detach(), other.detach(), rtol=0, atol=1e-6)
