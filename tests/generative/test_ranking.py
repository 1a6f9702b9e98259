"""GoGAN: whom a margin leaves alone, where a stage begins, and who is ranked below whom."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from reference.loops import Known
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.trees import dump, parse
from bench.datasets import DATASETS
from bench.laws.recipes import PLANE, STACKS, digest, train
from generative import RECIPES, Training
from generative.games.ranking import Ranking
from generative.losses.margin_ranking import MarginRanking
from generative.losses.wasserstein import Wasserstein
from generative.recipes.gogan import shares
from generative.samplers import GeneratorSampler

STEPS = 7


def slopes(loss, real, fake):
    real, fake = (torch.tensor(each, requires_grad=True) for each in (real, fake))
    return [s.tolist() for s in torch.autograd.grad(loss.critic(real, fake).sum(), (real, fake))]


def test_a_margin_that_is_met_has_no_slope_and_one_that_is_not_has_wgans():
    """Pair by pair."""
    real, fake = [2.0, 0.5, 0.0, 3.0], [0.5, 0.0, 4.0, 1.9]
    assert slopes(MarginRanking(1.0), real, fake) == [[0, -1, -1, 0], [0, 1, 1, 0]]
    assert slopes(MarginRanking(2.0), real, fake) == [[-1] * 4, [1] * 4]
    assert slopes(MarginRanking(2.0), real, fake) == slopes(Wasserstein(), real, fake)
    values = MarginRanking(1.0).critic(torch.tensor(real), torch.tensor(fake))
    assert values.tolist() == pytest.approx([0, 0.5, 5, 0])


def weights(name, place=PLANE, **settings):
    told = replace(place, training=place.training.saying(**settings))
    return digest(train(RECIPES[name], told)[2].tensors())


@pytest.mark.parametrize("place", [PLANE, STACKS], ids=["points", "images"])
def test_one_stage_is_the_first_one_alone_and_one_without_end_is_wgan(place):
    """Bit for bit."""
    first = weights("margin-gan", place)
    assert weights("gogan", place, stages=1) == first
    assert weights("gogan", place) != first
    endless = {"margin": 1e6, "clip_bound": 0.1}
    assert weights("margin-gan", place, **endless) == weights("wgan", place, clip_bound=0.1)


def chain_of(**told):
    training = Training("plane", **{"steps": STEPS, "batch": 8, "stages": 3, **told})
    return RECIPES["gogan"].part.trainer(training, (2,))


def source():
    return DATASETS["ring8@pacgan"].part.source(0)


def begun(chain):
    return chain.start(source(), stream("gogan"))


def same(network, other):
    pairs = zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("steps", "stages", "wanted"),
    [(7, 3, [3, 2, 2]), (8, 2, [4, 4]), (5, 1, [5]), (2, 5, [1, 1]), (3000, 4, [750] * 4)],
)
def test_stages_share_the_steps(steps, stages, wanted):
    assert shares(steps, stages) == wanted


def test_averages_of_a_stage_are_over_as_large_a_share_of_its_steps():
    training = Training("small-dcgan", steps=8000)
    chain = RECIPES["gogan"].part.trainer(training, (1, 8, 8))
    usual = RECIPES["margin-gan"].part.trainer(training, (1, 8, 8)).game.protocol
    own = chain.links[0]([]).game.protocol
    assert chain.lengths == (4000, 4000)
    assert (1 - own.average) * 4000 == pytest.approx((1 - usual.average) * 8000)


def test_a_stage_begins_where_the_one_before_ended():
    """With both of its players, each a copy; and with optimisers that have made no step."""
    with forked(0):
        chain = chain_of()
        state = chain.advance(begun(chain), 3)
        first = chain.finish(state)
        trainer = chain.links[1]([first])
        second = trainer.start(source(), stream("x"))
    assert isinstance(trainer.game, Ranking)
    assert trainer.game.before is first
    assert same(second.players["generator"], first.network)
    assert same(second.players["critic"], first.critic)
    assert all(not optimiser.state for optimiser in second.table.optimisers.values())
    kept = digest(first.tensors())
    trainer.advance(second, 2)
    assert digest(first.tensors()) == kept
    assert not same(second.players["generator"], first.network)


def test_each_stage_has_the_one_before_below_it():
    """Not the first one for ever."""
    with forked(0):
        chain = chain_of()
        state = chain.advance(begun(chain), STEPS)
    assert [isinstance(chain.links[at](state.done[:at]).game, Ranking) for at in range(3)] == [
        False,
        True,
        True,
    ]
    assert state.trainer.game.before is state.done[1]
    assert chain.lengths == (3, 2, 2)


class Slope(nn.Module):
    """A logit that is a number times the first coordinate."""

    def __init__(self, slope):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x):
        return self.slope * x[:, 0]


class Shifted(nn.Module):
    """The code itself, shifted."""

    def __init__(self, by):
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, z):
        return z + self.by


FORMER, NEW, MARGIN, N = -0.5, 0.25, 0.125, 64
REAL = Known((2,)).batches().next(N)[:, 0]
CODES = torch.randn(N, 2, generator=torch.Generator().manual_seed(2))[:, 0]
"""What a game's first move draws."""


def ranked(rank_weight):
    """A second stage at its first step: fakes are codes, shifted, and a logit is a coordinate."""
    trainer = RECIPES["margin-gan"].part.trainer(Training("plane", batch=N, margin=MARGIN), (2,))
    own = trainer.game
    before = GeneratorSampler(Shifted(FORMER), Slope(9.0), own.protocol, (2,))
    table = trainer.start(Known((2,)), torch.Generator().manual_seed(2)).table
    table.players.update(generator=Shifted(NEW), critic=Slope(1.0))
    return Ranking(own, MARGIN, rank_weight, before), table


def minimised(move, table):
    table.turn(move)
    return [(summand.value, summand.weight) for summand in move.objective(table)]


def test_former_fakes_of_the_same_codes_are_two_margins_behind_by_the_critic_as_it_is():
    game, table = ranked(0.5)
    (own, one), (rank, weight) = minimised(game.moves[0], table)
    assert (one, weight) == (1, 0.5)
    gaps = MARGIN + CODES + NEW - REAL, 2 * MARGIN + CODES + FORMER - REAL
    for found, gap in zip((own, rank), gaps, strict=True):
        assert 0.1 < (gap > 0).float().mean() < 0.9
        torch.testing.assert_close(found.detach(), gap.clamp(min=0))
    new, critic = table.players["generator"], table.players["critic"]
    leaves = [critic.slope, new.by, game.before.network.by]
    slopes = torch.autograd.grad(rank.sum(), leaves, allow_unused=True)
    late = gaps[1] > 0
    assert float(slopes[0]) == pytest.approx(float((CODES + FORMER - REAL)[late].sum()), rel=1e-5)
    assert slopes[1:] == (None, None)


def test_a_rank_of_weight_0_is_not_there():
    game, table = ranked(0.0)
    ((own, weight),) = minimised(game.moves[0], table)
    torch.testing.assert_close(own.detach(), (MARGIN + CODES + NEW - REAL).clamp(min=0))
    assert weight == 1


def test_the_generator_of_a_stage_minds_its_critic_alone():
    game, table = ranked(0.5)
    ((loss, _),) = minimised(game.moves[1], table)
    torch.testing.assert_close(loss.detach(), -(CODES + NEW))


def test_the_critic_of_a_stage_makes_its_steps_and_is_clipped():
    game, _ = ranked(0.5)
    critic, generator = game.moves
    assert (critic.times, generator.times) == (5, 1)
    with forked(0):
        chain = chain_of(critic_lr=0.5)
        network = chain.advance(begun(chain), STEPS).state.players["critic"]
    largest = max(float(weight.detach().abs().max()) for weight in network.parameters())
    assert largest == pytest.approx(0.1)


def played(stops):
    """Cut off and taken up at each stop."""
    with forked(0):
        chain, made = chain_of(), 0
        state = begun(chain)
        for stop in stops:
            state = chain.advance(state, stop - made)
            packed, made = dump(chain.pack(state)), stop
            torch.manual_seed(99)
            state = chain_of().unpack(source(), parse(packed))
        return digest([chain.pack(state), chain.finish(state).sample(9, stream("look"))])


def test_stages_that_are_cut_off_go_on():
    """Inside a stage and between two: bit for bit."""
    wanted = played([STEPS])
    for stops in ([1, STEPS], [3, 4, 5, STEPS]):
        assert played(stops) == wanted


@pytest.mark.parametrize("dynamics", ["simultaneous", "extragradient", "unrolled"])
def test_stages_are_played_by_any_dynamics(dynamics):
    with forked(0):
        chain = chain_of(dynamics=dynamics, stages=2, steps=2)
        model = chain.finish(chain.advance(begun(chain), 2))
    assert bool(model.sample(20, stream("x")).isfinite().all())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"stages": 0}, "setting 'stages': expected int, 1 at least, 64 at most, got 0"),
        ({"rank_weight": -1.0}, "setting 'rank_weight': expected float, 0 at least"),
        ({"margin": -1.0}, "setting 'margin': expected float, 0 at least"),
    ],
)
def test_what_may_not_stand_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        chain_of(**wrong)
