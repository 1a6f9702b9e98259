"""Both stages of StackGAN trained by hand, beside the trainer: the same weights after three steps
of each, on the average of the first one's generators.
"""

import pytest
import torch
from reference.knowncaptions import VECTORS, Captioned
from reference.loops import STEPS, assert_same, initialised, stepped
from reference.places import BATCH, PLACES, Descent
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import leaky_relu, logsigmoid

from bench.core.randomness import stream
from generative import RECIPES, Training
from generative.stages import StagePlan

PLACE = PLACES["small-dcgan"]
SIDE, SMALL = PLACE.shape[1], (1, 4, 4)
TOLD, FEATURES, SEED = 32, 128, 5
WIDTH, BLOCKS = 4, 1

pytestmark = pytest.mark.usefixtures("double")


def real_loss(x):
    return -logsigmoid(x)


def fake_loss(x):
    return -logsigmoid(-x)


def means(x):
    return x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5))


def blocks(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


class Stage:
    """Three steps of one stage. sight: of true images; made: a code's own numbers, vectors and the
    caption's numbers to images.
    """

    def __init__(self, at, layers, shape, sight, made, own, told):
        self.layers, self.sight, self.made, self.own = layers, sight, made, own
        self.kl, self.noise, self.c, self.weight, self.beta = told
        self.rng, self.data = stream("chain", SEED, at), Captioned(PLACE.shape)
        self.stream = self.data.captioned_batches()
        moments = nn.ModuleList([nn.Linear(VECTORS, TOLD), nn.Linear(VECTORS, TOLD)])
        self.generator = nn.ModuleList([layers, moments])
        features = PLACE.networks[1].encoder(shape, FEATURES)
        heads = nn.Linear(FEATURES + TOLD, FEATURES), nn.Linear(FEATURES, 1)
        self.critic = nn.ModuleList([features, nn.Linear(VECTORS, TOLD), *heads])
        for network in (self.generator, self.critic):
            initialised(network, self.rng, *PLACE.first)
        self.descents = [
            Descent(network, rate, PLACE, None)
            for network, rate in zip((self.generator, self.critic), PLACE.rates, strict=True)
        ]
        kept = []
        for _ in range(STEPS):
            self._critic_step()
            self._generator_step()
            kept.append([x.detach().clone() for x in self.generator.state_dict().values()])
        every = [torch.stack(each) for each in zip(*kept, strict=True)]
        self.average = [x.mean(0) if x.is_floating_point() else x[0] for x in every]

    def caption(self, v):
        mean, log_variance = (leaky_relu(layer(v), 0.2) for layer in self.generator[1])
        return Normal(mean, (log_variance / 2).exp())

    def drawn(self, n, v):
        """Images of n new codes: their own numbers first, then the caption's."""
        code = torch.randn(n, self.own + TOLD, generator=self.rng)
        told = self.caption(v)
        c = told.mean + self.noise * told.stddev * code[:, self.own :]
        return self.made(code[:, : self.own], v, c)

    def judged(self, x, v):
        features, told, both, score = self.critic
        joined = torch.cat([leaky_relu(features(x), 0.2), leaky_relu(told(v), 0.2)], 1)
        return score(leaky_relu(both(joined), 0.2))[:, 0]

    def _critic_step(self):
        x, tokens = self.stream.next(BATCH)
        v = self.data.encode(tokens)
        fake = self.drawn(BATCH, v).detach()
        real, made = self.judged(self.sight(x), v), self.judged(fake, v)
        wrong = self.judged(self.sight(self.data.others(tokens, self.rng)), v)
        loss = real_loss(real).mean() + (1 - self.c) * fake_loss(made).mean()
        stepped(loss + self.c * fake_loss(wrong).mean(), self.critic, self.descents[1].adam)

    def _generator_step(self):
        code = torch.randn(BATCH, self.own + TOLD, generator=self.rng)
        v = self.data.encode(self.data.asked(BATCH, self.rng))
        told = self.caption(v)
        c = told.mean + self.noise * told.stddev * code[:, self.own :]
        loss = real_loss(self.judged(self.made(code[:, : self.own], v, c), v)).mean()
        far = kl_divergence(told, Normal(torch.zeros(TOLD), torch.ones(TOLD)))
        loss = loss + self.kl * far.sum(1).mean()
        half = BATCH // 2
        between = self.beta * v[:half] + (1 - self.beta) * v[half:]
        fake = self.drawn(half, between)
        loss = loss + self.weight * real_loss(self.judged(fake, between)).mean()
        stepped(loss, self.generator, self.descents[0].adam)


def both_stages(told):
    """The first by hand, and the second on the average of the first."""
    layers = PLACE.networks[0].generator(PLACE.latent + TOLD, SMALL)
    first = Stage(
        0, layers, SMALL, means, lambda z, v, c: layers(torch.cat([z, c], 1)), PLACE.latent, told
    )
    names = first.generator.state_dict()
    first.generator.load_state_dict(dict(zip(names, first.average, strict=True)))
    first.generator.eval()
    plan = StagePlan(WIDTH, BLOCKS).build(SMALL, PLACE.shape, TOLD)

    def made(code, v, c):
        z, drawn = code[:, : PLACE.latent], code[:, PLACE.latent :]
        below = first.caption(v)
        number = below.mean + first.noise * below.stddev * drawn
        seen = plan.read(layers(torch.cat([z, number], 1)).detach())
        everywhere = c[:, :, None, None] * torch.ones_like(seen[:, :1])
        found = plan.blocks(plan.join(torch.cat([seen, everywhere], 1)))
        return plan.drawn(plan.second(blocks(plan.first(blocks(found)))))

    second = Stage(1, plan, PLACE.shape, lambda x: x, made, PLACE.latent + TOLD, told)
    return first, second


@pytest.mark.parametrize(
    ("told", "settings"),
    [
        ((2 / 128, 1.0, 0.5, 1.0, 0.5), {}),
        (
            (0.3, 0.7, 0.4, 2.0, 0.2),
            {
                "kl_weight": 0.3,
                "caption_noise": 0.7,
                "mismatch": 0.4,
                "interpolation": 2.0,
                "beta": 0.2,
            },
        ),
    ],
)
def test_both_stages(told, settings):
    training = Training(
        "small-dcgan",
        steps=2 * STEPS,
        batch=BATCH,
        stage_width=WIDTH,
        blocks=BLOCKS,
        **settings,
    )
    trainer = RECIPES["stackgan"].part.trainer(training, PLACE.shape)
    data = Captioned(PLACE.shape)
    state = trainer.start(data, torch.Generator().manual_seed(SEED))
    state = trainer.advance(state, STEPS)
    first, second = both_stages(told)
    kept = state.done[0].network.state_dict()
    found, wanted = (
        [x for x in each if x.is_floating_point()] for each in (kept.values(), first.average)
    )
    assert_same(found, wanted)
    state = trainer.advance(state, STEPS)
    players = state.state.players
    assert_same(players["generator"], second.generator)
    assert_same(players["critic"], second.critic)
