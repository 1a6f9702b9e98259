"""MIX+GAN: whose weight counts where, who is drawn how often, and one part alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference.loops import Known
from scipy.stats import chisquare, kstest, norm
from torch import nn

from bench.core.errors import UsageError
from bench.datasets import DATASETS
from generative import PROTOCOLS, RECIPES, Adam, Training
from generative.games.mixing import MixedCritics, MixedGenerators, Mixing, Mixture, payoff
from generative.generators.several import shares, shares_by
from generative.losses.minimax import Minimax
from generative.trainers.game import GameTrainer

UNEVEN = torch.tensor([0.5, 0.1, 0.0, 0.4])


def _codes(prior, n=6000):
    rng = torch.Generator().manual_seed(1)
    if prior == "uniform":
        return torch.rand(n, 2, generator=rng) * 2 - 1
    return torch.randn(n, 2, generator=rng)


def begun(trainer, shape):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return trainer.start(Known(shape), torch.Generator().manual_seed(2))


def finished(trainer, shape, steps=4):
    return trainer.finish(trainer.advance(begun(trainer, shape), steps))


def trainer_of(name, protocol="plane", shape=(2,), **told):
    training = Training(protocol, **{"steps": 4, "batch": 8, **told})
    return RECIPES[name].part.trainer(training, shape)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_each_is_chosen_as_often_as_its_weight_says_with_the_whole_prior(prior):
    codes = _codes(prior)
    place, own = shares_by(codes, UNEVEN, prior)
    counts = torch.bincount(place, minlength=4).numpy()
    assert counts[2] == 0
    assert chisquare(counts[[0, 1, 3]], [3000, 600, 2400]).pvalue > 0.01
    cdf = norm.cdf if prior == "normal" else lambda x: (x + 1) / 2
    for number in (0, 1, 3):
        drawn = own[place == number]
        assert kstest(drawn[:, 0].numpy(), cdf).pvalue > 0.01
        assert torch.equal(drawn[:, 1], codes[place == number][:, 1])


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_equal_weights_are_equal_shares(prior):
    codes = _codes(prior, 500)
    for one, other in zip(
        shares_by(codes, torch.ones(4), prior), shares(codes, 4, prior), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_code_at_the_very_end_is_the_lasts():
    codes = torch.tensor([[40.0, 0.0], [-40.0, 0.0]])
    place, own = shares_by(codes, UNEVEN, "normal")
    assert place.tolist() == [3, 0]
    assert bool(own.isfinite().all())


@pytest.mark.parametrize(("protocol", "shape"), [("plane", (2,)), ("small-dcgan", (1, 8, 8))])
def test_one_part_is_the_plain_gan_bit_for_bit(protocol, shape):
    plain = finished(trainer_of("gan", protocol, shape), shape)
    one = finished(trainer_of("mix-gan", protocol, shape, parts=1), shape)
    assert one.tensors().keys() == plain.tensors().keys()
    assert all(torch.equal(one.tensors()[k], v) for k, v in plain.tensors().items())


@pytest.mark.parametrize(
    ("protocol", "shape", "told"),
    [
        ("plane", (2,), {"critic_steps": 2, "generator_lr": 2e-3}),
        ("small-dcgan", (1, 8, 8), {}),
        ("dcgan-32", (1, 8, 8), {}),
    ],
)
def test_the_game_of_mixtures_of_one_is_the_plain_gan_bit_for_bit(protocol, shape, told):
    """Its formula, too, and not only its absence: of several steps of the critic, with averages of
    the generator, and where it learns from the fakes that the critic has seen.
    """
    own = trainer_of("gan", protocol, shape, **told)
    game = Mixing(own.game.loss, Mixture(parts=1), own.game.protocol, shape)
    mixing = GameTrainer(game)
    plain, mixed = (t.advance(begun(t, shape), 4) for t in (own, mixing))
    found, wanted = mixing.finish(mixed), own.finish(plain)
    pairs = [(plain.players[role], mixed.players[role]) for role in plain.players]
    for network, mixture in [*pairs, (wanted.network, found.network)]:
        (inner,) = mixture.networks
        assert all(map(torch.equal, network.state_dict().values(), inner.state_dict().values()))


def test_a_weight_counts_for_its_own_generator_and_critic():
    """Of each pair its product, by numbers that tell pairs apart."""
    w, v = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.6, 0.3, 0.1])
    table = torch.randn(3, 3, 5, generator=torch.Generator().manual_seed(1))
    found = payoff(lambda i, j: table[i, j], w.log(), v.log())
    torch.testing.assert_close(found, torch.einsum("i,j,ijn->n", w, v, table))


class Constant(nn.Module):
    """Every code to one point, which can be moved."""

    def __init__(self, place):
        super().__init__()
        self.place = nn.Parameter(torch.full((2,), float(place)))

    def forward(self, z):
        return self.place.expand(len(z), 2)


class Nearness(nn.Module):
    """What is near a place is taken for real."""

    def __init__(self, place):
        super().__init__()
        self.place = nn.Parameter(torch.full((2,), float(place)))

    def forward(self, x):
        return 2 - (x - self.place).square().sum(1)


class AtTwo(Known):
    """Reals at (1, 1)."""

    def batches(self):
        own = super().batches()
        own.next = lambda n: torch.ones(n, 2)
        return own


def told_apart(entropy_weight):
    """Generators at 1, 0 and -1 against critics of reals at 1, 0.5 and -2: weights after a step."""
    own = trainer_of("gan")
    game = Mixing(Minimax(), Mixture(3, entropy_weight), own.game.protocol, (2,))
    state = GameTrainer(game).start(AtTwo((2,)), torch.Generator().manual_seed(2))
    for role, kind, places in (
        ("generator", Constant, (1, 0, -1)),
        ("critic", Nearness, (1, 0.5, -2)),
    ):
        state.players[role].networks = nn.ModuleList(kind(place) for place in places)
    return game, state


def slopes(move, table, role):
    """Of what a move minimises, by both players' logits; none where it does not count."""
    table.turn(move)
    network = table.network(role)
    return torch.autograd.grad(table.loss(move), network.logits, allow_unused=True)[0]


def test_who_deceives_better_gains_weight_and_so_does_who_judges_better():
    """Down the slopes: generators by nearness to what critics like, critics by telling apart."""
    game, state = told_apart(0.0)
    critic, generator = game.moves
    gains = -slopes(generator, state.table, "generator")
    assert gains.tolist() == sorted(gains.tolist(), reverse=True)
    assert float(gains[0]) > 0 > float(gains[2])
    gains = -slopes(critic, state.table, "critic")
    assert int(gains.argmin()) == 2


def test_the_weights_of_a_player_move_with_its_own_loss():
    """The critics' loss has no slope by the generators' weights unless dynamics ask for one."""
    game, state = told_apart(0.1)
    critic, _ = game.moves
    assert slopes(critic, state.table, "generator") is None
    state.table.attached = True
    assert slopes(critic, state.table, "generator") is not None


def test_the_entropy_term_pulls_weights_together():
    """By (softmax - 1 / parts) times its weight."""
    for player in (0, 1):
        found = []
        for weight in (0.0, 0.7):
            game, state = told_apart(weight)
            role = ("critic", "generator")[player]
            with torch.no_grad():
                state.players[role].logits.copy_(torch.tensor([1.0, 0.0, -0.5]))
            found.append(slopes(game.moves[player], state.table, role))
        probabilities = state.players[role].logits.detach().softmax(0)
        torch.testing.assert_close(found[1] - found[0], 0.7 * (probabilities - 1 / 3))


def test_a_generator_draws_by_its_weight_and_a_critics_opinion_counts_by_its_own():
    generator = MixedGenerators([Constant(place) for place in range(4)], "normal")
    critic = MixedCritics([Nearness(place) for place in range(4)])
    with torch.no_grad():
        for network in (generator, critic):
            network.logits.copy_((UNEVEN + 1e-12).log())
    made = generator(_codes("normal"))
    counts = np.bincount(made[:, 0].int().numpy(), minlength=4)
    assert counts[2] == 0
    assert chisquare(counts[[0, 1, 3]], [3000, 600, 2400]).pvalue > 0.01
    x = torch.randn(9, 2)
    each = torch.stack([network(x) for network in critic.networks])
    torch.testing.assert_close(critic(x), (UNEVEN[:, None] * each).sum(0))


def test_all_generators_see_the_same_codes_and_every_critic_all_of_theirs():
    trainer = trainer_of("mix-gan", parts=3)
    state = begun(trainer, (2,))
    seen = {"generator": [], "critic": []}
    for role, network in state.players.items():
        for part in network.networks:
            part.register_forward_pre_hook(
                lambda _, given, role=role: seen[role].append(given[0].detach().clone())
            )
    trainer.advance(state, 1)
    first, second = seen["generator"][:3], seen["generator"][3:]
    assert all(torch.equal(z, first[0]) for z in first)
    assert all(torch.equal(z, second[0]) for z in second)
    assert not torch.equal(first[0], second[0])
    assert [len(x) for x in seen["critic"]] == [8 * 4] * 3 + [8 * 3] * 3
    real = Known((2,)).batches().next(8)
    assert all(torch.equal(x[:8], real) for x in seen["critic"][:3])


@pytest.mark.parametrize("dynamics", ["simultaneous", "consensus", "extragradient", "unrolled"])
def test_it_is_played_by_any_dynamics(dynamics):
    trainer = trainer_of("mix-gan", dynamics=dynamics, steps=2)
    source = DATASETS["ring8@pacgan"].part.source(0)
    state = trainer.start(source, torch.Generator().manual_seed(2))
    fitted = trainer.finish(trainer.advance(state, 2))
    assert bool((fitted.network.logits != 0).all())
    assert bool(fitted.sample(20, torch.Generator().manual_seed(1)).isfinite().all())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"parts": 0}, "setting 'parts': expected int, 1 at least, 64 at most, got 0"),
        ({"parts": 2.5}, "setting 'parts'"),
        ({"entropy_weight": -1.0}, "setting 'entropy_weight': expected float, 0 at least"),
    ],
)
def test_what_may_not_stand_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        trainer_of("mix-gan", **wrong)


@pytest.mark.parametrize("name", ["mix-gan", "gan", "bigan", "nsgan"])
def test_critics_make_as_many_steps_as_they_are_told(name):
    """Counted, as any two of these could be wrong alike."""
    training = Training("plane", steps=2, batch=8).saying(critic_steps=3)
    trainer = RECIPES[name].part.trainer(training, (2,))
    critic, other = trainer.game.moves
    assert (critic.player, critic.times, other.times) == ("critic", 3, 1)
    state = begun(trainer, (2,))
    steps = dict.fromkeys(state.table.optimisers, 0)
    for player, optimiser in state.table.optimisers.items():
        optimiser.register_step_post_hook(
            lambda *_, player=player: steps.update({player: steps[player] + 1})
        )
    trainer.advance(state, 2)
    assert steps == {critic.player: 6, other.player: 2}


@pytest.mark.parametrize("shared", [True, False])
def test_turns_are_those_of_the_protocol(shared):
    """Whose rate, whose average, and whether fakes are seen twice: said by hand, as the plain GAN
    takes its turns from the same place.
    """
    rules = replace(
        PROTOCOLS["plane"].part,
        generator_adam=Adam(1e-4),
        critic_adam=Adam(2e-4),
        critic_steps=3,
        average=0.9,
        shared=shared,
    )
    critic, other = Mixing(Minimax(), Mixture(2), rules, (2,)).moves
    assert (critic.player, other.player) == ("critic", "generator")
    assert (critic.optimiser.lr, other.optimiser.lr) == (2e-4, 1e-4)
    assert (critic.times, other.times) == (3, 1)
    assert (critic.average, other.average) == (0, 0.9)
    assert (critic.fresh, other.fresh) == (True, not shared)
