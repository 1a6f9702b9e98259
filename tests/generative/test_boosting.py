"""AdaGAN: what examples count, what a judge and a round see, and one round alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reference.loops import Known
from scipy.optimize import minimize
from scipy.stats import chisquare
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.trees import dump, parse
from bench.datasets import DATASETS
from bench.laws.recipes import digest
from generative import RECIPES, Diverged, Training
from generative.games.boosting import Boosting, Judging, lacked
from generative.mixtures import Weighted
from generative.protocols.base import PROTOCOLS, Adam
from generative.recipes.adagan import Rounds, turns
from generative.reweighting import Reweighted, lacking
from generative.samplers import GeneratorSampler, UncontestedSampler
from generative.trainers.game import GameTrainer

SHARES = [0.05, 0.3, 0.5, 0.9]
STEPS, STOPS = 11, (3, 4, 7, 8, 11)
"""Of three rounds: where its links end."""


def ratios(n=12, seed=1, mean=1.0):
    found = np.random.default_rng(seed).exponential(size=n) ** 2
    return found * mean / found.mean()


def solved(d, share, f, slope):
    """The weights w of least f-divergence of (1 - share) d + share n w from the data, by a solver
    that knows nothing of levels.
    """
    n = len(d)

    def value(w):
        mixed = (1 - share) * d + share * n * w
        return f(mixed).mean(), share * slope(mixed)

    found = minimize(
        value,
        np.full(n, 1 / n),
        jac=True,
        bounds=[(0, 1)] * n,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(n)},
        method="SLSQP",
        options={"ftol": 1e-16, "maxiter": 2000},
    )
    return found.x


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("mean", [1.0, 0.3, 4.0])
@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda u: (u - 1) ** 2, lambda u: 2 * (u - 1)),
        (lambda u: u * np.log(u), lambda u: np.log(u) + 1),
    ],
    ids=["pearson", "kl"],
)
def test_weights_are_a_solvers(share, mean, f, slope):
    """Nearest by any f-divergence; where the estimated ratios have no mean of 1, too."""
    d = ratios(mean=mean)
    found = lacking(torch.from_numpy(d), share).numpy()
    np.testing.assert_allclose(found, solved(d, share, f, slope), atol=1e-6)


@pytest.mark.parametrize("share", [*SHARES, 1.0])
@pytest.mark.parametrize("n", [1, 2, 1000])
def test_weights_add_to_1_and_fall_with_the_ratio(share, n):
    d = torch.from_numpy(ratios(n))
    found = lacking(d, share)
    assert found.dtype == torch.float64
    assert float(found.min()) >= 0
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)
    assert bool((found[d.argsort()].diff() <= 0).all())
    turned = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(lacking(d[turned], share), found[turned])


def test_weights_that_are_known():
    """A share of 1, or a model that lacks nothing: uniform. A model of half the data, at twice
    their density there: an equal share goes to the other half alone, a larger one to both.
    """
    uniform = torch.full((8,), 1 / 8, dtype=torch.float64)
    torch.testing.assert_close(lacking(torch.from_numpy(ratios(8)), 1.0), uniform)
    torch.testing.assert_close(lacking(torch.ones(8), 0.3), uniform)
    half = torch.tensor([2.0] * 4 + [0.0] * 4)
    torch.testing.assert_close(lacking(half, 0.5), 2 * uniform * (half == 0))
    torch.testing.assert_close(lacking(half, 0.9), _two_levels(0.9))


def _two_levels(share):
    """By hand: level - 2 (1 - share) for the first four of eight, the level for the others."""
    level = share + (1 - share)
    first, second = level - 2 * (1 - share), level
    return torch.tensor([first] * 4 + [second] * 4, dtype=torch.float64) / (share * 8)


def test_batches_are_drawn_by_the_weights():
    examples, weights = torch.arange(5.0)[:, None], torch.tensor([0.0, 0.5, 0.2, 0.3, 0.0])
    batches = Reweighted(examples, weights, stream("a"))
    drawn = batches.next(5000)
    counts = np.bincount(drawn[:, 0].int().numpy(), minlength=5)
    assert counts[[0, 4]].tolist() == [0, 0]
    assert chisquare(counts[1:4], [2500, 1000, 1500]).pvalue > 0.01
    position = batches.position()
    wanted = batches.next(40)
    other = Reweighted(examples, weights, stream("b"))
    assert not torch.equal(other.next(40), wanted)
    other.seek(position)
    assert torch.equal(other.next(40), wanted)


class Fixed(nn.Module):
    """Codes to points about a place."""

    def __init__(self, place):
        super().__init__()
        self.register_buffer("place", torch.as_tensor(place))

    def forward(self, z):
        return self.place + 0.05 * z


class TwoModes(Known):
    """As many reals about (1, 0) as about (-1, 0); training examples first of the one."""

    @property
    def training(self):
        place = torch.tensor([[1.0, 0.0]] * 200 + [[-1.0, 0.0]] * 200)
        return place + 0.05 * torch.randn(400, 2, generator=stream("two"))

    def batches(self):
        own = super().batches()
        own.next = lambda n: self.training[torch.randint(400, (n,), generator=own._rng)]
        return own


def one_mode(weights=(1.0,), places=((1.0, 0.0),)):
    """A finished mixture that draws one of the modes."""
    network = Weighted([Fixed(place) for place in places], weights, "normal")
    return UncontestedSampler(GeneratorSampler(network, None, PROTOCOLS["plane"].part, (2,)))


def judged(steps=120):
    rules = PROTOCOLS["plane"].part.told({"steps": steps, "batch": 64, "critic_lr": 1e-2})
    with forked(0):
        trainer = GameTrainer(Judging(rules, (2,), one_mode()))
        state = trainer.start(TwoModes((2,)), stream("judge"))
        return trainer.finish(trainer.advance(state, steps))


def test_a_judge_finds_what_a_mixture_lacks():
    """A mixture of one of two modes: the other counts for all, where they are to have equal shares;
    and batches of the next GAN are of it.
    """
    model, data = judged(), TwoModes((2,))
    weights = lacked(model, data.training, 0.5)
    assert float(weights[:200].sum()) < 0.05
    wide = lacked(model, data.training, 0.9)
    assert 0.3 < float(wide[:200].sum()) < 0.55
    own = RECIPES["nsgan"].part.trainer(Training("plane"), (2,)).game
    batch = Boosting(own, 0.5, model).batches(data).next(200)
    assert float((batch[:, 0] > 0).float().mean()) < 0.05
    assert torch.equal(Boosting(own, 0.5, model).batches(data).next(200), batch)
    plain = Boosting(own, 1.0).batches(data).next(200)
    assert 0.3 < float((plain[:, 0] > 0).float().mean()) < 0.7


def test_a_judge_leaves_the_mixture_as_it_was():
    model = judged(2)
    assert torch.equal(model.sample(50, stream("x")), one_mode().sample(50, stream("x")))


def test_seeds_of_batches_are_those_of_the_training():
    first, other = judged(1), judged(1)
    assert int(first.own.critic.seed) == int(other.own.critic.seed) != 0
    with forked(0):
        rules = PROTOCOLS["plane"].part
        another = Judging(rules, (2,), one_mode()).players(TwoModes((2,)), stream("another"))
    assert int(another["critic"].seed) != int(first.own.critic.seed)


def test_a_judge_of_images_has_no_batch_norm():
    players = Judging(PROTOCOLS["small-dcgan"].part, (1, 8, 8), one_mode()).players(
        Known((1, 8, 8)), stream("x")
    )
    assert not any(isinstance(m, nn.BatchNorm2d) for m in players["critic"].modules())


def trainer_of(name="adagan", protocol="plane", shape=(2,), **told):
    training = Training(protocol, **{"steps": STEPS, "batch": 8, "rounds": 3, **told})
    return RECIPES[name].part.trainer(training, shape)


@pytest.mark.parametrize(("protocol", "shape"), [("plane", (2,)), ("small-dcgan", (1, 8, 8))])
def test_one_round_is_the_plain_gan_bit_for_bit(protocol, shape):
    def trained(trainer):
        with forked(0):
            state = trainer.start(Known(shape), stream("x"))
            return trainer.finish(trainer.advance(state, 4)).tensors()

    one = trained(trainer_of("adagan", protocol, shape, rounds=1, steps=4))
    plain = trained(trainer_of("nsgan", protocol, shape, steps=4))
    assert one.keys() == plain.keys()
    assert all(torch.equal(one[name], value) for name, value in plain.items())


def test_averages_of_a_round_are_over_as_large_a_share_of_its_steps():
    """As over that of a training of one."""
    chain = trainer_of(protocol="small-dcgan", shape=(1, 8, 8), steps=8000)
    usual = PROTOCOLS["small-dcgan"].part
    (first, *_), game = chain.lengths, chain.links[0]([]).game
    assert game.protocol.steps == first < 8000
    assert (1 - game.protocol.average) * first == pytest.approx((1 - usual.average) * 8000)


def source():
    return DATASETS["ring8@pacgan"].part.source(0)


def played(stops):
    """Cut off and taken up at each stop."""
    with forked(0):
        chain, made = trainer_of(), 0
        state = chain.start(source(), stream("adagan"))
        for stop in stops:
            state = chain.advance(state, stop - made)
            packed, made = dump(chain.pack(state)), stop
            torch.manual_seed(99)
            state = trainer_of().unpack(source(), parse(packed))
        return digest([chain.pack(state), chain.finish(state).sample(9, stream("look"))])


def test_rounds_that_are_cut_off_go_on():
    """Inside GANs and judges and between them: bit for bit."""
    assert trainer_of().lengths == (3, 1, 3, 1, 3)
    wanted = played([11])
    for stops in ([2, 11], [3, 6, 11], [4, 7, 8, 9, 11]):
        assert played(stops) == wanted


@pytest.mark.parametrize(("told", "wanted"), [(0.0, [1 / 3] * 3), (0.3, [0.49, 0.21, 0.3])])
def test_a_mixture_draws_by_the_shares_of_its_rounds(told, wanted):
    with forked(0):
        chain = trainer_of(round_weight=told)
        state = chain.advance(chain.start(source(), stream("adagan")), STEPS)
        model = chain.finish(state)
        again = trainer_of(round_weight=told).restore(source(), parse(dump(model.tensors())))
    assert model.own.network.weights.tolist() == pytest.approx(wanted)
    assert torch.equal(model.sample(50, stream("x")), again.sample(50, stream("x")))
    weights = [done.own.network.weights.tolist() for done in state.done]
    early = [[1.0], [0.5, 0.5] if told == 0 else [0.7, 0.3]]
    assert weights == [pytest.approx(each) for each in early for _ in "gan judge".split()]


def test_examples_are_drawn_by_the_networks_weights():
    weights = (0.2, 0.0, 0.8)
    model = one_mode(weights, ((0.0, 0.0), (10.0, 0.0), (20.0, 0.0)))
    counts = np.bincount((model.sample(4000, stream("x"))[:, 0] / 10).round().int().numpy())
    assert counts[1] == 0
    assert chisquare(counts[[0, 2]], [800, 3200]).pvalue > 0.01


def test_one_more_takes_its_share_of_all():
    network = one_mode((0.25, 0.75), ((0.0, 0.0), (1.0, 0.0))).own.network
    assert network.joined(Fixed((2.0, 0.0)), 0.2).weights.tolist() == pytest.approx([0.2, 0.6, 0.2])
    assert network.joined(Fixed((2.0, 0.0)), 0.2).networks[2].place.tolist() == [2.0, 0.0]


def test_a_round_that_blows_up_diverges():
    """A later one, with its own step in the message."""
    with forked(0):
        chain = trainer_of()
        state = chain.advance(chain.start(source(), stream("adagan")), 5)
        next(state.state.players["generator"].parameters()).data.fill_(float("nan"))
        with pytest.raises(Diverged, match="at step 2"):
            chain.advance(state, 1)


@pytest.mark.parametrize("rounds", [1, 2, 4, 10])
@pytest.mark.parametrize("steps", [1, 2, 3, 6, 100, 8000])
def test_turns_are_all_steps_and_a_gan_has_twice_a_judges(steps, rounds):
    found = turns(steps, rounds)
    gans, judges = found[::2], found[1::2]
    assert sum(found) == steps
    assert min(found) >= 1
    assert len(gans) == min(rounds, (steps + 1) // 2)
    assert len(set(judges)) <= 1
    assert len(set(gans[1:])) <= 1
    if steps >= 100:
        assert all(abs(gan - 2 * judges[0]) <= len(gans) + 2 for gan in gans[1:])


def test_shares_of_rounds():
    assert [Rounds().share(t) for t in range(4)] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    assert [Rounds(round_weight=0.3).share(t) for t in range(3)] == [1.0, 0.3, 0.3]


def test_rounds_look_ahead_and_judges_do_not():
    """Dynamics of two players are those of the GANs."""
    with forked(0):
        chain = trainer_of(dynamics="unrolled", ahead=1, steps=5)
        state = chain.advance(chain.start(source(), stream("adagan")), 5)
        assert bool(chain.finish(state).sample(5, stream("x")).isfinite().all())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rounds": 0}, "setting 'rounds': expected int, 1 at least, 64 at most, got 0"),
        ({"round_weight": 1.5}, "setting 'round_weight': expected float, 0 at least, 1 at most"),
    ],
)
def test_what_may_not_stand_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        trainer_of(**wrong)


def test_the_judge_goes_at_the_critics_rate():
    (move,) = Judging(PROTOCOLS["plane"].part.told({"critic_lr": 0.25}), (2,), one_mode()).moves
    assert isinstance(move.optimiser, Adam)
    assert move.optimiser.lr == 0.25
