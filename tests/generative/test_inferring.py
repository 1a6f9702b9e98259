"""What games with an encoder come to where the answer is known, and whose gradient reaches whom."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from reference.loops import Known, Stream
from scipy.special import rel_entr
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from generative import LOSSES, PROTOCOLS, RECIPES, Protocol, Training
from generative.games.base import Memory, Table
from generative.games.joint import CODER, Coder, Joint
from generative.games.turns import CRITIC
from generative.inference import Inference
from generative.pairs import critic_of_pairs
from generative.trainers.execution import PLAIN

PLANE = PROTOCOLS["plane"].part
LOGISTIC = LOSSES["nonsaturating"].part()
SURE = 40.0


class Repeated:
    """The same batch for ever."""

    def __init__(self, batch):
        self.batch = batch

    def next(self, n):
        assert n == len(self.batch)
        return self.batch

    def position(self):
        return {}

    def seek(self, position):
        pass


@dataclass(frozen=True)
class Listed(Protocol):
    """Codes that are listed, and not drawn."""

    listed: tuple = ()

    def codes(self, n, rng):
        return torch.eye(max(self.listed) + 1)[list(self.listed)]


def table_of(players, batches, rng=None, data=None):
    """A table on which a game is played by hand."""
    rng = rng or torch.Generator().manual_seed(0)
    return Table(players, {}, Memory("cpu"), data or Known((2,)), batches, rng, PLAIN)


class Map(nn.Module):
    """Atoms to atoms, one-hot."""

    def __init__(self, to):
        super().__init__()
        self.to_atoms = torch.eye(len(to))[list(to)]

    def forward(self, x):
        return x @ self.to_atoms


def value_of(xs, zs, encode, decode, loss=LOGISTIC):
    """What the critic of pairs comes to at its optimum on finite spaces, as the game has it; and
    log 4 - 2 JS of both joint distributions. xs, zs: the atoms of a batch.
    """
    n = max(*xs, *zs) + 1
    q, p = np.zeros((n, n)), np.zeros((n, n))
    for x in xs:
        q[x, encode[x]] += 1 / len(xs)
    for z in zs:
        p[decode[z], z] += 1 / len(zs)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.clip(np.nan_to_num(np.log(q / p), nan=0.0), -SURE, SURE)
    best = torch.tensor(ratio, dtype=torch.float64, requires_grad=True)
    rules = Listed(**{**vars(PLANE), "batch": len(xs)}, listed=tuple(zs))
    game = Joint(loss, Inference(spread=False), 0.0, rules, (n,))
    players = {CODER: Coder(Map(encode), Map(decode))}
    table = table_of(players, Repeated(torch.eye(n)[list(xs)]))

    def judged(x, z):
        return torch.einsum("ni,ij,nj->n", x.double(), best, z.double())

    with table.playing(**{CRITIC: judged}):
        table.turn(game.moves[0])
        found = table.loss(game.moves[0])
    (slope,) = torch.autograd.grad(found, best)
    assert slope.abs().max() < 1e-6
    middle = (p + q) / 2
    js = (rel_entr(p, middle).sum() + rel_entr(q, middle).sum()) / 2
    return found.item(), np.log(4) - 2 * js


ATOMS = [0] * 9 + [1] * 6 + [2] * 6 + [3] * 3


@pytest.mark.parametrize("encode", [(0, 1, 2, 3), (1, 0, 2, 2), (3, 3, 3, 3)])
@pytest.mark.parametrize("decode", [(0, 1, 2, 3), (0, 0, 1, 3)])
def test_the_best_critic_of_pairs_measures_the_divergence_of_joints(encode, decode):
    """log 4 - 2 JS(q(x, E(x)), p(G(z), z))."""
    codes = [0] * 6 + [1] * 6 + [2] * 6 + [3] * 6
    found, wanted = value_of(ATOMS, codes, encode, decode)
    assert found == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("decode", [(0, 1, 2, 3), (2, 0, 3, 1)])
def test_of_all_encoders_the_inverse_alone_leaves_the_critic_nothing(decode):
    """G invertible and true: JS is 0 at E = G^-1, and above it at every other map."""
    codes = [decode.index(x) for x in ATOMS]
    inverse = tuple(decode.index(x) for x in range(4))
    values = {
        encode: value_of(ATOMS, codes, encode, decode)[0]
        for encode in itertools.product(range(4), repeat=4)
    }
    assert values.pop(inverse) == pytest.approx(np.log(4), abs=1e-6)
    assert max(values.values()) < np.log(4) - 0.05


class Linear(nn.Module):
    """x = slope z + noise."""

    def __init__(self, slope, width):
        super().__init__()
        self.slope, self.width, self.rng = slope, width, torch.Generator().manual_seed(1)

    def forward(self, z):
        return self.slope * z + self.width * torch.randn(z.shape, generator=self.rng)


class Gaussian(nn.Module):
    """Mean slope x + shift, and one log variance."""

    def __init__(self):
        super().__init__()
        self.slope, self.shift = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.ones(1))
        self.log_variance = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return torch.cat([self.slope * x + self.shift, self.log_variance.expand_as(x)], 1)


class Gaussians:
    """Draws of x, [n, 1]."""

    def __init__(self, width):
        self.width, self.rng = width, torch.Generator().manual_seed(2)

    def next(self, n):
        return self.width * torch.randn(n, 1, generator=self.rng)

    def position(self):
        return {}

    def seek(self, position):
        pass


def log_normal(x, mean, variance):
    return -((x - mean) ** 2 / variance + variance.log()) / 2


@pytest.mark.parametrize("loss", ["nonsaturating", "log-ratio"])
def test_an_encoder_against_the_true_generator_finds_the_posterior(loss):
    """Linear and Gaussian, the critic at its optimum all the way: mean and variance of p(z|x)."""
    slope, width = 1.5, torch.tensor(0.8)
    total = slope**2 + width**2
    encoder, decoder = Gaussian(), Linear(slope, width)
    rules = replace(PLANE, latent=1, batch=4_000)
    game = Joint(LOSSES[loss].part(), Inference(spread=True), 0.0, rules, (1,))
    table = table_of({CODER: Coder(encoder, decoder)}, Gaussians(total.sqrt()))
    adam = torch.optim.Adam(encoder.parameters(), 0.03)

    def best(x, z):
        with torch.no_grad():
            kept = [w.clone() for w in (encoder.slope, encoder.shift, encoder.log_variance)]
        own = log_normal(x, 0 * x, total) + log_normal(z, kept[0] * x + kept[1], kept[2].exp())
        one = torch.ones(())
        return (own - log_normal(z, 0 * z, one) - log_normal(x, slope * z, width**2))[:, 0]

    for _ in range(400):
        with table.playing(**{CRITIC: best}):
            table.turn(game.moves[1])
            value = table.loss(game.moves[1])
        adam.zero_grad()
        value.backward()
        adam.step()
    found = {name: weight.item() for name, weight in encoder.named_parameters()}
    assert found["slope"] == pytest.approx(slope / float(total), abs=0.03)
    assert found["shift"] == pytest.approx(0, abs=0.03)
    assert np.exp(found["log_variance"]) == pytest.approx(float(width**2 / total), rel=0.1)


def started(name, **told):
    """The game of a model on points, and a table with its players."""
    training = Training("plane", batch=8, steps=4, **told)
    trainer = RECIPES[name].part.trainer(training, (2,))
    with forked(0):
        state = trainer.start(Known((2,)), stream("started"))
    return trainer.game, state.table


def reach(table, value, player):
    """The largest gradient of a value by a player's weights."""
    weights = list(player.parameters())
    found = torch.autograd.grad(
        value, weights, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return max(slope.abs().max().item() for slope in found)


def summands(table, move):
    table.turn(move)
    return [weight * value.mean() for value, weight in move.objective(table)]


@pytest.mark.parametrize("name", ["ali", "bigan", "veegan"])
def test_each_term_of_the_joint_game_trains_one_player(name):
    """That of the fakes the generator, that of the reals the encoder: without it nobody does."""
    game, table = started(name)
    coder = table.network(CODER)
    of_fakes, of_reals, *_ = summands(table, game.moves[1])
    assert reach(table, of_fakes, coder.decoder) > 1e-6
    assert reach(table, of_fakes, coder.encoder) == 0
    assert reach(table, of_reals, coder.encoder) > 1e-6
    assert reach(table, of_reals, coder.decoder) == 0


def test_the_codes_of_veegan_reach_both():
    """|z - E(G(z))|^2 trains encoder and generator; weight 0 is without it."""
    game, table = started("veegan")
    coder, found = table.network(CODER), summands(table, game.moves[1])
    assert reach(table, found[2], coder.encoder) > 1e-6
    assert reach(table, found[2], coder.decoder) > 1e-6
    table.turn(game.moves[1])
    _, _, (value, _) = game.moves[1].objective(table)
    made, z = table.once("fakes", tuple)
    wanted = (z - coder.encoder(made)).square().sum(1)
    torch.testing.assert_close(value, wanted)
    without, table = started("veegan", code_weight=0.0)
    assert len(summands(table, without.moves[1])) == 2


def test_the_critic_of_a_vae_gan_does_not_reach_its_encoder():
    """Exactly: neither what the generator minimises, nor what the critic does; the encoder hears of
    features alone.
    """
    game, table = started("vae-gan")
    critic, encoder, generator = game.moves
    for move in (critic, generator):
        for value in summands(table, move):
            assert reach(table, value, table.network("encoder")) == 0
    summands(table, critic)
    table.turn(encoder, fresh=False)
    kl, apart = (weight * value.mean() for value, weight in encoder.objective(table))
    assert reach(table, kl, table.network("encoder")) > 1e-6
    assert reach(table, apart, table.network("encoder")) > 1e-6
    head = list(table.network("critic").parameters())[-2:]
    slopes = torch.autograd.grad(apart, head, allow_unused=True, materialize_grads=True)
    assert all(float(slope.abs().max()) == 0 for slope in slopes)


def test_a_vae_gan_has_a_normal_prior():
    """Of which its divergence is, whatever the protocol's."""
    for name, prior in (("vae-gan", "normal"), ("bigan", "uniform"), ("aae", "uniform")):
        trainer = RECIPES[name].part.trainer(Training("dense", steps=2, batch=8), (1, 8, 8))
        with forked(0):
            state = trainer.start(Known((1, 8, 8)), stream("prior"))
            model = trainer.finish(trainer.advance(state, 1))
        assert model.prior == prior
        spread = 1.0 if prior == "normal" else 1 / 3
        assert float(model.codes(3_000, stream("codes")).var()) == pytest.approx(spread, rel=0.05)


def test_an_encoder_says_its_mean():
    """Of a Gaussian one the first half of the outputs, and a draw has its variance."""
    spread, outputs = Inference(spread=True), torch.tensor([[1.0, -2.0, 0.0, 2.0]])
    torch.testing.assert_close(spread.mean(outputs), outputs[:, :2])
    drawn = spread.drawn(outputs.expand(50_000, -1), stream("drawn"))
    torch.testing.assert_close(drawn.mean(0), outputs[0, :2], rtol=0, atol=0.05)
    wanted = torch.tensor([1.0, float(np.e**2)])
    torch.testing.assert_close(drawn.var(0), wanted, rtol=0.05, atol=0)
    assert Inference(spread=False).drawn(outputs, stream("none")) is outputs


def test_a_critic_sees_both_of_a_pair():
    """Whatever its layers are."""
    for name, shape in (("plane", (2,)), ("dense", (1, 8, 8)), ("small-dcgan", (1, 8, 8))):
        rules = PROTOCOLS[name].part
        critic = critic_of_pairs(rules.critic, shape, rules.latent).eval()
        data = Stream(0, shape)
        x, other = data.next(5), data.next(5)
        z, elsewhere = (torch.randn(5, rules.latent) for _ in range(2))
        logits = critic(x, z)
        assert logits.shape == (5,)
        assert not torch.isclose(logits, critic(other, z)).any()
        assert not torch.isclose(logits, critic(x, elsewhere)).any()


@pytest.mark.parametrize("name", ["ali", "vae-gan", "aae", "latent-regressor"])
def test_an_encoder_of_waves_has_the_units_of_the_training_examples(name):
    """Whoever else has them, too."""
    _, table = started(name, critic_network="mlp-128x3-leaky-waves")
    holder = table.network(CODER if CODER in table.players else "encoder")
    encoder = getattr(holder, "encoder", holder)
    (centre,) = [value for key, value in encoder.state_dict().items() if key.endswith("centre")]
    torch.testing.assert_close(centre, Known((2,)).training.mean())


@pytest.mark.parametrize("name", ["ali", "vae-gan", "aae", "latent-regressor"])
def test_weights_without_an_encoder_are_refused(name):
    """In one line that says what is wanted."""
    trainer = RECIPES[name].part.trainer(Training("plane", steps=2, batch=8), (2,))
    gan = RECIPES["nsgan"].part.trainer(Training("plane", steps=2, batch=8), (2,))
    with forked(0):
        state = gan.start(Known((2,)), stream("weights"))
        tensors = gan.finish(state).tensors()
    if name in ("ali", "aae"):
        tensors = {k: v for k, v in tensors.items() if not k.startswith("critic.")}
    with pytest.raises(UsageError, match="the encoder's weights are of another architecture: '"):
        trainer.restore(Known((2,)), tensors)
