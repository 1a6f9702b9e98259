"""Algorithm 1 of Reed et al. 2016 written by hand, beside the trainer: the same weights after three
steps; and its optima on a finite space.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference.knowncaptions import VECTORS, Captioned
from reference.loops import STEPS, advanced, assert_same, initialised, stepped
from reference.places import BATCH, PLACES, Descent
from torch import nn
from torch.nn.functional import leaky_relu, logsigmoid

from generative import LOSSES, PROTOCOLS, RECIPES, Training
from generative.conditioning import OfCaptions
from generative.games.adversarial import Adversarial
from generative.games.base import Memory, Table
from generative.games.matching import Matching
from generative.trainers.execution import PLAIN
from generative.trainers.game import GameTrainer

TOLD, FEATURES = 32, 128


def real_loss(x):
    return -logsigmoid(x)


def fake_loss(x):
    return -logsigmoid(-x)


class ByHand:
    """Three steps; c: the share of wrong pairs; weight and beta: of means of two captions."""

    def __init__(self, c, weight, beta):
        self.c, self.weight, self.beta = c, weight, beta
        self.place, self.rng = PLACES["small-dcgan"], torch.Generator().manual_seed(5)
        self.data = Captioned(self.place.shape)
        self.stream = self.data.captioned_batches()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self._build()
            for _ in range(STEPS):
                self._critic_step()
                self._generator_step()

    def _build(self):
        making, judging = self.place.networks
        layers = making.generator(self.place.latent + TOLD, self.place.shape)
        self.generator = nn.ModuleList([layers, nn.Linear(VECTORS, TOLD)])
        features = judging.encoder(self.place.shape, FEATURES)
        heads = nn.Linear(FEATURES + TOLD, FEATURES), nn.Linear(FEATURES, 1)
        told = nn.Linear(VECTORS, TOLD)
        self.critic = nn.ModuleList([features, told, *heads, *self.more()])
        for network in (self.generator, self.critic):
            initialised(network, self.rng, *self.place.first)
        self.descents = [
            Descent(network, rate, self.place, None)
            for network, rate in zip((self.generator, self.critic), self.place.rates, strict=True)
        ]
        for descent in self.descents:
            descent.at(0)

    def more(self):
        """Further layers of the critic."""
        return ()

    def made(self, z, v):
        layers, told = self.generator
        return layers(torch.cat([z, leaky_relu(told(v), 0.2)], 1))

    def judged(self, x, v):
        features, told, both, score = self.critic
        joined = torch.cat([leaky_relu(features(x), 0.2), leaky_relu(told(v), 0.2)], 1)
        return score(leaky_relu(both(joined), 0.2))[:, 0]

    def _critic_step(self):
        x, tokens = self.stream.next(BATCH)
        v = self.data.encode(tokens)
        fake = self.made(self.place.codes(self.rng), v).detach()
        real, made = self.judged(x, v), self.judged(fake, v)
        loss = real_loss(real).mean() + (1 - self.c) * fake_loss(made).mean()
        if self.c:
            wrong = self.judged(self.data.others(tokens, self.rng), v)
            loss = loss + self.c * fake_loss(wrong).mean()
        stepped(loss, self.critic, self.descents[1].adam)

    def _generator_step(self):
        z = self.place.codes(self.rng)
        v = self.data.encode(self.data.asked(BATCH, self.rng))
        loss = real_loss(self.judged(self.made(z, v), v)).mean()
        if self.weight:
            half = BATCH // 2
            between = self.beta * v[:half] + (1 - self.beta) * v[half:]
            fake = self.made(self.place.codes(self.rng, half), between)
            loss = loss + self.weight * real_loss(self.judged(fake, between)).mean()
        stepped(loss, self.generator, self.descents[0].adam)


def trained(name, **told):
    """The same by the trainer."""
    place = PLACES["small-dcgan"]
    training = Training("small-dcgan", steps=9, batch=BATCH, **told)
    trainer = RECIPES[name].part.trainer(training, place.shape)
    return advanced(trainer, Captioned(place.shape))


GAMES = {
    "gan-text": (0.0, 0.0, 0.5, {}),
    "gan-cls": (0.5, 0.0, 0.5, {}),
    "gan-int": (0.0, 1.0, 0.5, {}),
    "gan-int-cls": (0.5, 1.0, 0.5, {}),
    "gan-int-cls otherwise": (
        0.3,
        2.0,
        0.2,
        {"mismatch": 0.3, "interpolation": 2.0, "beta": 0.2},
    ),
}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", GAMES)
def test_every_game_of_captions(name):
    c, weight, beta, told = GAMES[name]
    hand = ByHand(c, weight, beta)
    state = trained(name.split()[0], **told)
    # The players hold the same layers in another order: the caption's after the example's.
    assert_same(state.players["generator"], hand.generator)
    found = state.players["critic"].state_dict()
    wanted = hand.critic.state_dict()
    assert_same(found.values(), wanted.values())


@pytest.mark.parametrize("settings", [{"mismatch": 0.0}, {"mismatch": 0.0, "steps": 5}])
def test_without_wrong_pairs_it_is_the_plain_conditional_gan(settings):
    """Bit for bit: GAN-CLS at c = 0, GAN-INT at weight 0, the model without both, and the engine of
    every GAN that is told captions.
    """
    place = PLACES["small-dcgan"]
    rules = replace(PROTOCOLS["small-dcgan"].part, batch=BATCH, steps=9)
    plain = Adversarial(
        LOSSES["nonsaturating"].part(), False, rules, place.shape, conditioning=OfCaptions()
    )
    engine = advanced(replace(_trainer("gan-text"), game=plain), Captioned(place.shape))
    states = [
        engine,
        trained("gan-text"),
        trained("gan-cls", mismatch=0.0),
        trained("gan-int", interpolation=0.0),
    ]
    for player in ("generator", "critic"):
        wanted = engine.players[player].state_dict()
        for state in states[1:]:
            found = state.players[player].state_dict()
            assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def _trainer(name) -> GameTrainer:
    training = Training("small-dcgan", steps=9, batch=BATCH)
    return RECIPES[name].part.trainer(training, PLACES["small-dcgan"].shape)


class Finite:
    """All pairs of a table of counts [x, t], each beside each as a wrong one: a batch in which
    every expectation is exact.
    """

    shape, device, box = (1,), "cpu", None

    def __init__(self, counts):
        pairs = [(x, t) for (x, t), n in np.ndenumerate(counts) for _ in range(n)]
        self.pairs = torch.tensor([pair for pair in pairs for _ in pairs])
        self.wrong = torch.tensor([pair for _ in pairs for pair in pairs])

    prompts = captions = held_out = held_captions = training = None
    modes = classes = 0
    density = None

    def numbers(self, tokens):
        return tokens[:, 0]

    def encode(self, tokens):
        return tokens.double()

    def next(self, n):
        assert n == len(self.pairs)
        return self.pairs[:, :1].double(), self.pairs[:, 1:]

    def others(self, tokens, rng):
        assert torch.equal(tokens, self.pairs[:, 1:])
        return self.wrong[:, :1].double()

    def position(self): ...
    def seek(self, position): ...
    def batches(self): ...
    def labelled_batches(self): ...
    def captioned_batches(self): ...
    def asked(self, n, rng): ...
    def fresh(self, n, rng, classes=None): ...


COUNTS = np.array([[5, 2], [2, 3]])


def slope_at(critic_logits, p_g, c):
    """The gradient of what the critic minimises, by the logit of each pair."""
    data = Finite(COUNTS)
    n = len(data.pairs)
    logits = torch.tensor(critic_logits, requires_grad=True)

    def generator(codes, told):
        """Of each caption, images in the shares of p_g: as often as there are pairs of it."""
        made = torch.empty(n, 1, dtype=torch.float64)
        for t in range(2):
            places = (told[:, 0] == t).nonzero()[:, 0]
            shares = p_g[:, t] / p_g[:, t].sum()
            firsts = round(float(shares[0]) * len(places))
            assert firsts == pytest.approx(shares[0] * len(places))
            made[places] = (torch.arange(len(places)) >= firsts).double()[:, None]
        return made

    def critic(x, told):
        return logits[x[:, 0].long(), told[:, 0].long()]

    rules = replace(PROTOCOLS["plane"].part, batch=n)
    plain = Adversarial(
        LOSSES["nonsaturating"].part(), False, rules, (1,), conditioning=OfCaptions()
    )
    game = Matching(plain, c, 0.0, 0.5, rules, (1,))
    rng = torch.Generator().manual_seed(0)
    table = Table({}, {}, Memory("cpu"), data, data, rng, PLAIN)
    table.players = {"generator": generator, "critic": critic}
    move = game.moves[0]
    table.turn(move)
    (slope,) = torch.autograd.grad(table.loss(move), logits)
    return slope


def logit(share):
    return np.log(share) - np.log1p(-share)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("c", [0.0, 0.25, 0.5, 1.0])
def test_the_optimal_critic(c):
    """D* = p / (p + (1 - c) p_g + c p(x) p(t)): convex in the logits, and flat there."""
    p = COUNTS / COUNTS.sum()
    product = p.sum(1, keepdims=True) * p.sum(0)
    p_g = p.sum(0) * np.array([[0.5, 1 / 3], [0.5, 2 / 3]])
    best = p / (p + (1 - c) * p_g + c * product)
    assert slope_at(logit(best), p_g, c).abs().max() < 1e-9
    assert slope_at(logit(best) + 0.1, p_g, c).abs().min() > 1e-3


@pytest.mark.usefixtures("double")
def test_its_optimum_matches_more_often_than_the_data():
    """At c = 1/2 nobody gains at p_g = 2 p - p(x) p(t): the best critic there can tell nothing."""
    p = COUNTS / COUNTS.sum()
    product = p.sum(1, keepdims=True) * p.sum(0)
    p_g = 2 * p - product
    assert p_g.min() > 0
    assert np.trace(p_g) > np.trace(p)
    np.testing.assert_allclose(p_g.sum(0), p.sum(0))
    best = p / (p + p_g / 2 + product / 2)
    np.testing.assert_allclose(best, 0.5)
    assert slope_at(logit(best), p_g, 0.5).abs().max() < 1e-9
