"""Progressive growing: its parts' laws, what each level begins with and sees, what comes out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import gamma, sqrt

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.trees import dump, parse
from bench.datasets import DATASETS
from bench.datasets.labelled import LabelledSource
from bench.laws.recipes import digest
from generative import RECIPES, Training
from generative.games.growing import Growing
from generative.growing.deviation import MinibatchDeviation, together
from generative.growing.equalised import EqualisedConv, EqualisedLinear
from generative.growing.fading import Fading, alpha_at, fade, faded
from generative.growing.networks import Growing as Layers
from generative.growing.pixelnorm import PixelNorm
from generative.pyramids.box import doubled, halved
from generative.recipes.progressive import shares

RECIPE = RECIPES["progressive"].part
TRAINING = Training("dcgan-32", steps=10, batch=4, levels=2, latent=3, growing_width=2)
SHAPE, SHAPES = (1, 28, 28), ((1, 7, 7), (1, 14, 14), (1, 28, 28))
STOPS = (2, 6, 10)
"""Where the levels of 7, 14 and 28 pixels are trained."""


def source():
    return DATASETS["mnist5k"].part.source(0)


def trainer(**settings):
    return RECIPE.trainer(TRAINING.saying(**settings), SHAPE)


@cache
def models():
    """As trained so far, after each level."""
    with forked(0):
        chain = trainer()
        state = chain.advance(chain.start(source(), stream("growing")), STOPS[-1])
        return [*state.done, chain.finish(state)]


@pytest.mark.parametrize("fan_in", [2, 30, 500])
@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_the_first_step_of_adam_is_its_rate_whatever_the_fan_in(fan_in, rate):
    """Of what weights are as they are used, over their spread; less where a layer learns slower."""
    torch.manual_seed(0)
    layer = EqualisedLinear(fan_in, 4_000 // fan_in * 8, rate=rate).double()
    before, optimiser = layer.weight.detach().clone(), torch.optim.Adam(layer.parameters(), lr=1e-3)
    spread = float(layer.factor * before.std())
    assert spread == pytest.approx(sqrt(2 / fan_in), rel=0.05)
    layer(torch.randn(9, fan_in).double()).square().sum().backward()
    optimiser.step()
    moved = layer.factor * (layer.weight.detach() - before).abs() / spread
    assert float(moved.mean()) == pytest.approx(1e-3 * rate, rel=0.05)


@pytest.mark.parametrize("kernel", [1, 3])
def test_an_equalised_convolution_keeps_spread_and_size(kernel):
    """N(0, 1) in; away from the border the gain out, here 1."""
    torch.manual_seed(0)
    out = EqualisedConv(64, 64, kernel, 1.0)(torch.randn(8, 64, 9, 9))
    assert out.shape == (8, 64, 9, 9)
    assert float(out[:, :, 1:-1, 1:-1].detach().std()) == pytest.approx(1, abs=0.03)


def test_equalised_layers_scale_weights_alone():
    layer, conv = EqualisedLinear(6, 4, gain=3.0, rate=0.5, bias=2.0), EqualisedConv(3, 5, 3, 2.0)
    x, images = torch.randn(2, 6), torch.randn(2, 3, 4, 4)
    wanted = functional.linear(x, 3 * 0.5 / sqrt(6) * layer.weight, torch.full((4,), 2.0))
    torch.testing.assert_close(layer(x), wanted)
    weight = 2 / sqrt(27) * conv.weight
    torch.testing.assert_close(
        conv(images), functional.conv2d(images, weight, conv.bias, padding=1)
    )


def test_pixel_norm_has_mean_square_one_and_no_scale():
    x = torch.randn(3, 5, 2, 2).double()
    out = PixelNorm()(x)
    torch.testing.assert_close(
        out.square().mean(1), torch.ones(3, 2, 2).double(), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(PixelNorm()(1e3 * x), out, rtol=1e-6, atol=1e-6)


def test_the_deviation_of_equal_samples_is_that_of_the_epsilon():
    out = MinibatchDeviation()(torch.randn(1, 3, 2, 2).expand(8, -1, -1, -1))
    assert out.shape == (8, 4, 2, 2)
    torch.testing.assert_close(out[:, 3], torch.full((8, 2, 2), 1e-4), rtol=1e-2, atol=0)


@pytest.mark.parametrize("n", [4, 3, 2])
def test_the_deviation_of_normal_numbers_is_that_of_their_group(n):
    """sqrt(2/G) Gamma(G/2) / Gamma((G-1)/2): .7979 of groups of 4."""
    torch.manual_seed(0)
    wanted = sqrt(2 / n) * gamma(n / 2) / gamma((n - 1) / 2)
    assert n != 4 or wanted == pytest.approx(0.7979, abs=1e-4)
    seen = MinibatchDeviation()(torch.randn(n, 64, 40, 40))[:, -1]
    assert float(seen.mean()) == pytest.approx(wanted, abs=3e-3)


def test_groups_are_strided_and_see_each_other_alone():
    """Sample i is with i + M, i + 2M and i + 3M; one number is on the whole map."""
    x = torch.randn(8, 2, 3, 3)
    seen = MinibatchDeviation()(x)[:, -1]
    assert torch.equal(seen, seen[:, :1, :1].expand_as(seen))
    for first in (0, 1):
        group = x[first::2]
        wanted = (((group - group.mean(0)) ** 2).mean(0) + 1e-8).sqrt().mean()
        torch.testing.assert_close(seen[first::2, 0, 0], wanted.expand(4))
    assert [together(n) for n in (8, 6, 5, 7, 10, 1)] == [4, 3, 1, 1, 2, 1]


def test_alpha_goes_from_nought_to_one():
    assert [alpha_at(p, 0.5) for p in (0.0, 0.25, 0.5, 0.9)] == [0, 0.5, 1, 1]
    assert alpha_at(0.0, 0.0) == 1


def _grown(widths, alpha=1.0):
    torch.manual_seed(0)
    layers, shape = Layers(widths), SHAPES[len(widths) - 1]
    both = layers.generator(3, shape), layers.encoder(shape, 1)
    for network in both:
        fade(network, alpha)
    return both


def _inherited(alpha):
    """Players of 14 pixels, and of 28 that have begun with their weights."""
    old, new = _grown((8, 4)), _grown((8, 4, 2))
    for network, below in zip(new, old, strict=True):
        own = network.state_dict()
        for name, value in below.state_dict().items():
            if name in own:
                own[name].copy_(value)
        fade(network, alpha)
    return old, new


def test_at_alpha_0_a_generator_is_the_old_one_brought_up():
    old, new = _inherited(0.0)
    z = torch.randn(5, 3)
    assert torch.equal(new[0](z), doubled(old[0](z), (28, 28)))


def test_at_alpha_0_a_critic_sees_halved_images_as_the_old_one():
    old, new = _inherited(0.0)
    images = torch.rand(8, 1, 28, 28)
    torch.testing.assert_close(new[1](images), old[1](halved(images)), rtol=1e-5, atol=1e-6)


def test_at_alpha_1_nothing_is_left_of_the_old_level():
    """Whatever its colours are: exactly."""
    _, (generator, critic) = _inherited(1.0)
    z, images = torch.randn(5, 3), torch.rand(8, 1, 28, 28)
    drawn, judged = generator(z), critic(images)
    for network in (generator, critic):
        for name, value in network.named_parameters():
            if ".1." in f".{name}" and "colours" in name:
                nn.init.constant_(value, 7.0)
    assert torch.equal(generator(z), drawn)
    assert torch.equal(critic(images), judged)


def test_true_images_fade_in_as_well():
    images = torch.rand(3, 1, 28, 28)
    assert torch.equal(faded(images, 0.0), doubled(halved(images), (28, 28)))
    assert torch.equal(faded(images, 1.0), images)
    half = faded(images, 0.5)
    torch.testing.assert_close(half, (images + doubled(halved(images), (28, 28))) / 2)


class Held:
    """Batches that keep what they gave."""

    def __init__(self, own):
        self.own, self.given = own, []

    def next(self, n):
        self.given.append(self.own.next(n))
        return self.given[-1]

    def position(self):
        return self.own.position()

    def seek(self, position):
        self.own.seek(position)


class Watched(LabelledSource):
    """A data source of which batches alone may be asked for."""

    def __init__(self):
        super().__init__(DATASETS["mnist5k"].part, 0)
        self.held = Held(super().batches())

    def batches(self):
        return self.held

    def fresh(self, *asked):
        raise AssertionError("nothing is trained on held-out images")


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_critic_sees_true_images_at_the_alpha_of_its_step(level):
    """4 steps of a level whose first half fades: alpha 0, 1/2, then 1; the coarsest never."""
    chain, data, seen = trainer(), Watched(), []
    own = chain.links[level](models()[:level])
    steps = own.steps
    with forked(0):
        state = own.start(data, stream("watching"))
        state.players["critic"].register_forward_pre_hook(
            lambda _, given: seen.append(given[0].detach().clone())
        )
        alphas = []
        for _ in range(steps):
            state, count = own.advance(state, 1), len(seen)
            alphas.append(
                float(
                    next(
                        p for p in state.players["critic"].modules() if isinstance(p, Fading)
                    ).alpha
                )
            )
            images = data.held.given[-1]
            for _ in range(2 - level):
                images = halved(images)
            wanted = doubled(halved(images), images.shape[2:]).lerp(images, alphas[-1])
            per = count // len(alphas)
            torch.testing.assert_close(seen[-per], wanted)
    assert alphas == ([1.0, 1.0] if level == 0 else [0, 0.5, 1, 1])


def test_a_level_begins_with_what_the_one_before_came_to():
    """Every weight of both players that it shares, and fresh ones beside."""
    chain = trainer()
    for level in (1, 2):
        own = chain.links[level](models()[:level])
        with forked(3):
            state = own.start(source(), stream("x"))
        for role, network in state.players.items():
            below = models()[level - 1].players[role].state_dict()
            here = network.state_dict()
            shared = [n for n in here if n in below and not n.endswith("alpha")]
            assert f"blocks.{level - 1}" in " ".join(shared) or role == "critic"
            assert all(torch.equal(here[name], below[name]) for name in shared)
            fresh = {name for name in here if name not in below}
            assert any(f"colours.{level}" in name for name in fresh)
            assert any(f"blocks.{level}." in name for name in fresh)


@pytest.mark.parametrize("level", [0, 1])
def test_a_level_begins_with_the_images_of_the_one_before(level):
    """Exactly: between two levels a model is what the first of them came to."""
    chain = trainer()
    with forked(0):
        state = chain.advance(chain.start(source(), stream("growing")), STOPS[level])
        model = chain.finish(state)
    assert len(state.done) == level + 1
    assert torch.equal(model.sample(5, stream("x")), state.done[-1].sample(5, stream("x")))


def test_a_model_is_at_the_alpha_of_its_training_and_not_of_its_average():
    chain = trainer()
    with forked(0):
        state = chain.advance(chain.start(source(), stream("growing")), STOPS[0] + 2)
        model = chain.finish(state)
    found = {
        float(p.alpha) for n in model.players.values() for p in n.modules() if isinstance(p, Fading)
    }
    assert found == {0.5}
    final = models()[-1].players.values()
    assert {float(p.alpha) for n in final for p in n.modules() if isinstance(p, Fading)} == {1.0}


def test_until_the_last_level_images_are_brought_up():
    for level, model in enumerate(models()):
        images = model.sample(5, stream("x"))
        assert images.shape == (5, 1, 28, 28)
        small = images
        for _ in range(2 - level):
            small = halved(small)
        torch.testing.assert_close(small, model.own.sample(5, stream("x")))


@pytest.mark.parametrize("stops", [[1, 10], [2, 10], [4, 6, 10], [0, 9, 10]])
def test_a_growth_that_is_cut_off_goes_on(stops):
    """Inside a level, while it comes in, and between two: bit for bit."""

    def played(stops):
        with forked(0):
            chain, made = trainer(), 0
            state = chain.start(source(), stream("growing"))
            for stop in stops:
                state = chain.advance(state, stop - made)
                packed, made = dump(chain.pack(state)), stop
                torch.manual_seed(99)
                state = trainer().unpack(source(), parse(packed))
            return digest([chain.pack(state), chain.finish(state).sample(9, stream("look"))])

    assert played(stops) == played([10])


def test_a_model_is_its_tensors():
    model = models()[-1]
    with forked(1):
        again = trainer().restore(source(), parse(dump(model.tensors())))
    assert torch.equal(model.sample(9, stream("x")), again.sample(9, stream("x")))


def test_the_coarsest_level_has_half_as_many_steps():
    """It comes in over none; what is left over is the last one's."""
    assert trainer().lengths == (2, 4, 4)
    for steps, levels in ((5, 2), (100, 1), (1_001, 3)):
        found = shares(steps, levels)
        assert sum(found) == steps
        assert len(found) == levels + 1
        assert min(found) > 0


def test_every_level_has_the_channels_that_finer_ones_expect():
    growth = replace(RECIPE.parts({})["growth"], levels=2, growing_width=3)
    assert [growth.widths(at) for at in range(3)] == [(12,), (12, 6), (12, 6, 3)]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 8, 8), (3, 27, 21), (1, 9, 14)])
def test_images_of_any_size(shape):
    """Grey, colours and stacks, of even sides and odd ones."""
    chain = RECIPE.trainer(Training("dcgan-32", growing_width=2), shape)
    last = chain.links[-1]([]).game.own
    generator, critic = last.built(1)
    images = generator(torch.randn(4, 64))
    assert images.shape == (4, *shape)
    assert critic(images).shape == (4,)


def test_what_is_asked_of_the_paper():
    """Adam's betas, the critic that compares, the drift of logits."""
    game = trainer().links[-1]([]).game
    assert isinstance(game, Growing)
    rules = game.own.protocol
    assert rules.generator_adam.betas == rules.critic_adam.betas == (0.0, 0.99)
    assert game.own.compares
    assert rules.critic.mixes
    assert [(type(p).__name__, w) for p, w in game.own.penalties] == [("GradientPenalty", 10.0)]
    ((term, facts),) = game.own.terms
    assert (term.weight, facts.player) == (0.001, "critic")


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((2,), {}, r"growing needs images of 7 pixels a side and more, .* of shape \[2\]"),
        ((1, 6, 28), {}, r"got examples of shape \[1, 6, 28\]: choose another model, or images"),
        (SHAPE, {"levels": 4}, "levels: expected 1 to 3 for images of 28 x 28 pixels, .* got 4"),
        (SHAPE, {"steps": 4}, "steps: expected 5 at least for 3 levels, got 4: a level would not"),
        (SHAPE, {"growing_width": 0}, "setting 'growing_width': expected int, 1 at least"),
    ],
)
def test_what_can_not_be_grown_is_refused(shape, settings, message):
    with pytest.raises(UsageError, match=message):
        RECIPE.trainer(Training("dcgan-32").saying(**settings), shape)


def test_layers_that_can_not_halve_so_often_are_refused():
    with pytest.raises(UsageError, match=r"grow over 3 levels need images of 4 pixels a side at"):
        Layers((4, 2, 1)).generator(3, (1, 3, 8))
