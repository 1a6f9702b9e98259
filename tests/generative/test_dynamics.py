"""Dynamics by their mathematics: orbits in closed form, and the slope of looking ahead."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from bench.core.errors import UsageError
from bench.core.randomness import forked
from bench.datasets import DATASETS
from bench.laws.duels import Duel, played
from bench.laws.recipes import PLANE, STACKS, begin, digest, train
from generative import DYNAMICS, RECIPES, Move, Summand, Table, Training
from generative.dynamics.consensus import Consensus
from generative.dynamics.historical import Historical
from generative.dynamics.unrolled import Unrolled
from generative.dynamics.virtual import virtual
from generative.games.base import Memory
from generative.protocols.base import Adam
from generative.trainers.execution import PLAIN

STEP = 0.2


def radii(at):
    """How far from the equilibrium, at each step."""
    return np.hypot(*at.T)


GROWTH = {
    "simultaneous": np.sqrt(1 + STEP**2),
    "extragradient": np.sqrt(1 - STEP**2 + STEP**4),
    "consensus": np.sqrt((1 - STEP) ** 2 + STEP**2),
}
"""Of the radius in a bilinear game, by every step; consensus with weight 1."""


@pytest.mark.parametrize("name", GROWTH)
def test_the_bilinear_game_grows_as_it_must(name):
    """By the same factor at every step, wherever it is."""
    dynamics = Consensus(1.0) if name == "consensus" else DYNAMICS[name].part
    at = radii(played(Duel(rate=STEP), dynamics, 50))
    np.testing.assert_allclose(at[1:] / at[:-1], GROWTH[name], rtol=1e-9)


def test_alternating_steps_keep_an_ellipse():
    """x^2 + y^2 - h x y never changes, where x moves first."""
    x, y = played(Duel(rate=STEP), DYNAMICS["alternating"].part, 500).T
    np.testing.assert_allclose(x**2 + y**2 - STEP * x * y, 2 - STEP, rtol=1e-9)


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_looking_ahead_turns_the_spiral_inwards(ahead):
    """The second player's slope is psi + 2 K eta theta, by hand for K inner steps; the gradient of
    an unrolling by backup and restore has half of the second term.
    """
    h, at = 0.1, played(Duel(rate=0.1), Unrolled(ahead), 40)
    x, y = 1.0, 1.0
    for found in at[1:]:
        x = x - h * y
        y = y + h * (x - 2 * ahead * h * y) if ahead else y + h * x
        np.testing.assert_allclose(found, [x, y], rtol=1e-9)
    if ahead:
        assert radii(at)[-1] < 0.9 * radii(at)[0]


def test_critical_damping():
    """With slope 1/2 the eigenvalues of the flow are -g/2 +- sqrt(g^2/4 - 1/4): real from g = 1 on
    (Mescheder et al. 2018), where nothing turns any more.
    """
    steps = DYNAMICS["simultaneous"].part
    free, damped = (Duel(slope=0.5, damping=damping, rate=0.05) for damping in (0.5, 2.0))
    turns = [
        (np.diff(np.sign(played(game, steps, 600)[:, 1])) != 0).sum() for game in (free, damped)
    ]
    assert turns[0] > 2
    assert turns[1] <= 1


def _value(table):
    x, y = table.players["first"](), table.players["second"]()
    return (torch.where(x < 0, x, x.square()) - 1) * (y - 1)


def _salimans(dynamics, steps):
    """Where both are at last."""
    moves = [
        replace(move, objective=lambda table, s=sign: [Summand(_value(table), s)])
        for move, sign in zip(Duel(rate=0.02).moves, (1.0, -1.0), strict=True)
    ]
    return played(Duel(rate=0.02, start=(-0.5, 0.5)), dynamics, steps, moves)[-1]


def test_historical_averaging_ends_where_plain_steps_leave():
    """Near (1, 1) after 2,000 steps of .02 with weight .1, where plain ones go round it (Salimans
    et al. 2016, section 3.3).
    """
    assert np.abs(_salimans(Historical(0.1), 2_000) - 1).max() < 0.02
    assert np.abs(_salimans(DYNAMICS["alternating"].part, 2_000) - 1).max() > 0.5


def _network(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 6), nn.Tanh(), nn.Linear(6, outputs)).double()


class Small:
    """Two small networks in double precision, their batch fixed, their moments warm. kind: of the
    critic's optimiser.
    """

    def __init__(self, ahead, kind="adam"):
        torch.manual_seed(4)
        self.generator, self.critic = _network(2, 2), _network(2, 1)
        self.real, self.codes = torch.randn(2, 16, 2, dtype=torch.float64)
        self.ahead, self.kind = ahead, kind
        self.adam = self.optimiser(self.critic)
        for _ in range(3):
            self.adam.zero_grad()
            self.critic_loss(self.critic, self.generator).backward()
            self.adam.step()

    def optimiser(self, critic):
        if self.kind == "momentum":
            return torch.optim.SGD(critic.parameters(), 0.05, 0.7)
        return torch.optim.Adam(critic.parameters(), 0.05, (0.5, 0.9))

    def critic_loss(self, critic, generator):
        real, fake = critic(self.real), critic(generator(self.codes))
        return (softplus(-real) + softplus(fake)).mean()

    def generator_loss(self, critic, generator):
        return -softplus(critic(generator(self.codes))).mean()

    def by_procedure(self, generator):
        """What the generator gets after the critic's steps were really made, by PyTorch's own."""
        critic = copy.deepcopy(self.critic)
        adam = self.optimiser(critic)
        adam.load_state_dict(copy.deepcopy(self.adam.state_dict()))
        for _ in range(self.ahead):
            adam.zero_grad()
            self.critic_loss(critic, copy.deepcopy(generator)).backward()
            adam.step()
        with torch.no_grad():
            return float(self.generator_loss(critic, generator))

    def table(self):
        rng = torch.Generator().manual_seed(0)
        source: Any = DATASETS["ring8@pacgan"].part.source(0)
        players = {"critic": self.critic, "generator": self.generator}
        optimisers = {"critic": self.adam}
        memory = Memory("cpu")
        return Table(players, optimisers, memory, source, source.batches(), rng, PLAIN)

    def moves(self):
        def of(loss):
            return lambda table: [
                Summand(loss(table.players["critic"], table.players["generator"]))
            ]

        adam = Adam(0.05)
        return (
            Move("critic", of(self.critic_loss), adam),
            Move("generator", of(self.generator_loss), adam),
        )


@pytest.mark.parametrize("kind", ["adam", "momentum"])
@pytest.mark.parametrize("ahead", [1, 5])
def test_the_slope_of_looking_ahead_is_that_of_the_whole_procedure(ahead, kind):
    """Central differences over real steps of an optimiser with warm moments. An unrolling that
    leaves out the critic's dependence on the generator has a slope of nearly the same direction: it
    misses.
    """
    small = Small(ahead, kind)
    loss = Unrolled(ahead).looked_ahead(small.table(), *small.moves())
    weights = list(small.generator.parameters())
    slopes = torch.autograd.grad(loss, weights)
    assert loss.item() == pytest.approx(small.by_procedure(small.generator), rel=1e-12)
    step, rng = 1e-5, np.random.default_rng(0)
    for weight, slope in zip(weights, slopes, strict=True):
        at = tuple(rng.integers(0, size) for size in weight.shape)
        ends = []
        for sign in (1, -1):
            moved = copy.deepcopy(small.generator)
            target = dict(zip(weights, moved.parameters(), strict=True))[weight]
            with torch.no_grad():
                target[at] += sign * step
            ends.append(small.by_procedure(moved))
        difference = (ends[0] - ends[1]) / (2 * step)
        assert float(slope[at]) == pytest.approx(difference, rel=1e-5, abs=1e-9)


def test_a_slope_without_the_second_term_is_another():
    """So that the test above can fail."""
    small = Small(5)
    weights = list(small.generator.parameters())
    whole = torch.autograd.grad(Unrolled(5).looked_ahead(small.table(), *small.moves()), weights)
    at = virtual(small.critic, small.adam)
    for _ in range(5):
        loss = small.critic_loss(at, copy.deepcopy(small.generator))
        at = at.stepped(torch.autograd.grad(loss, at.weights)[0].detach())
    half = torch.autograd.grad(small.generator_loss(at, small.generator), weights)
    gaps = [float((a - b).norm() / a.norm()) for a, b in zip(whole, half, strict=True)]
    assert max(gaps) > 1e-2


@pytest.mark.parametrize("place", [PLANE, STACKS], ids=["points", "images"])
def test_looking_ahead_leaves_the_critic_as_it_is(place):
    """Weights, moments and batch norm's statistics; only its own step moves it."""
    with forked(0):
        trainer, _, state = begin(RECIPES["unrolled5"], place)
        state = trainer.advance(state, 1)
        table = state.table
        before = digest(trainer.pack(state)["critic"])
        moments = digest(trainer.pack(state)["critic_optimiser"])
        table.turn(trainer.game.moves[1])
        trainer.dynamics.looked_ahead(table, *trainer.game.moves)
        packed = trainer.pack(state)
    assert digest(packed["critic"]) == before
    assert digest(packed["critic_optimiser"]) == moments


TOGETHER = ["simultaneous", "consensus", "extragradient"]


@pytest.mark.parametrize("name", TOGETHER)
def test_who_moves_together_moves_once(name):
    """A game in which one player moves more often is refused, with what to do."""
    with pytest.raises(UsageError, match=f"'{name}' moves all players at once.*critic_steps to 1"):
        DYNAMICS[name].part.refuse(Duel(times=2).moves)
    assert "critic_steps" not in RECIPES[f"{name}-gan"].part.relevant(Training("plane"))


def test_looking_ahead_is_for_two():
    """And says so."""
    with pytest.raises(
        UsageError, match="'unrolled' is for two players that take turns, and here 1"
    ):
        DYNAMICS["unrolled"].part.refuse(Duel().moves[:1])


@pytest.mark.parametrize("name", list(DYNAMICS))
def test_every_gan_can_be_played_by_any_dynamics(name):
    """By a setting, which then names what is trained; a critic that is to move five times moves
    once where everybody moves together.
    """
    place = replace(PLANE, training=PLANE.training.saying(dynamics=name, steps=2))
    relevant = RECIPES["wgan-gp"].part.relevant(place.training)
    assert relevant["dynamics"] == name
    assert ("critic_steps" in relevant) == (name not in TOGETHER)
    played_so = digest(train(RECIPES["wgan-gp"], place)[2].tensors())
    usual = replace(PLANE, training=PLANE.training.saying(steps=2))
    plain = digest(train(RECIPES["wgan-gp"], usual)[2].tensors())
    assert (played_so == plain) == (name == "alternating")


def test_unknown_dynamics_are_answered_with_the_nearest():
    with pytest.raises(UsageError, match="unknown dynamics 'unroled': did you mean 'unrolled'"):
        RECIPES["gan"].part.trainer(Training("plane", dynamics="unroled"), (2,))
