"""A pyramid of GANs: what each level sees, what it leaves alone, and what comes out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
import torch

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.trees import dump, parse
from bench.datasets import DATASETS
from bench.datasets.labelled import LabelledSource
from bench.laws.recipes import digest
from generative import LOSSES, RECIPES, Training
from generative.coarsetofine import CoarseToFine, at_level, brought, climbed, residuals
from generative.games.refining import Refining
from generative.pyramids.box import doubled, halved
from generative.recipes.lapgan import shares
from generative.refiners import Refiner
from generative.trainers.game import GameTrainer

LAPGAN = RECIPES["lapgan"].part
TRAINING = Training("dcgan-32", steps=14, batch=4, levels=2, latent=3)
SHAPE = (1, 28, 28)
STOPS = (8, 12, 14)
"""Where the levels of 7, 14 and 28 pixels are trained."""


def source():
    return DATASETS["mnist5k"].part.source(0)


def trainer(**settings):
    return LAPGAN.trainer(TRAINING.saying(**settings), SHAPE)


@cache
def models():
    """As trained so far, after each level."""
    with forked(0):
        chain = trainer()
        state = chain.advance(chain.start(source(), stream("lapgan")), STOPS[-1])
        return [*state.done, chain.finish(state)]


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


def watching(level, generator=None):
    """Two steps of a level's game: the batches, and what generator and critic were given."""
    below = CoarseToFine(models()[-1].levels, models()[-1]._players[:level])
    game = Refining(LOSSES["nonsaturating"].part(), Refiner(), below)
    data, seen = Watched(), {"generator": [], "critic": []}
    with forked(0):
        at_work = GameTrainer(game)
        state = at_work.start(data, stream("watching"))
        for name, network in state.players.items():
            network.register_forward_pre_hook(
                lambda _, given, name=name: seen[name].append([x.detach().clone() for x in given])
            )
        if generator is not None:
            state.players["generator"].register_forward_hook(generator)
        at_work.advance(state, 2)
    return data.held.given, seen


@pytest.mark.parametrize("level", [1, 2])
def test_a_level_sees_images_of_its_own_size(level):
    """Reals are the batch at the level's size, the coarse image is theirs at half of it."""
    batches, seen = watching(level)
    assert len(batches) == 2
    for step, batch in enumerate(batches):
        images = brought(batch, 2 - level)
        assert images.shape[2] == (14, 28)[level - 1]
        torch.testing.assert_close(seen["critic"][3 * step][0], images)
        torch.testing.assert_close(seen["generator"][step][0], halved(images))


@pytest.mark.parametrize("level", [1, 2])
def test_a_residual_is_added_to_the_coarse_image_that_it_was_drawn_for(level):
    """A generator that draws nothing: fakes are blurred reals, one by one; and the generator's own
    step sees the same.
    """
    batches, seen = watching(level, lambda network, given, made: 0 * made)
    for step, batch in enumerate(batches):
        images = brought(batch, 2 - level)
        blurred = doubled(halved(images), images.shape[2:])
        for shown in (seen["critic"][3 * step + 1][0], seen["critic"][3 * step + 2][0]):
            torch.testing.assert_close(shown, blurred)


def test_fakes_are_not_clipped_for_the_critic():
    _, seen = watching(2, lambda network, given, made: made - 5)
    assert float(seen["critic"][1][0].max()) < -3


def test_noise_is_drawn_anew_for_every_step():
    _, seen = watching(2)
    first, second = (given[1] for given in seen["generator"])
    assert not torch.equal(first, second)
    assert first.shape == (4, 28 * 28)


def test_levels_are_trained_for_half_as_many_steps_as_those_before():
    assert trainer().lengths == (8, 4, 2)
    for steps, times in ((7, 2), (100, 1), (1_000, 3), (2**9, 4)):
        found = shares(steps, times)
        assert sum(found) == steps
        assert all(one >= 2 * other > 0 for one, other in pairwise(found))
    protocols = [level.protocol for level in LAPGAN.levels(Training("dcgan-32"), SHAPE)]
    windows = [(1 - p.average) * p.steps for p in protocols]
    assert windows == pytest.approx([0.001 * 2_500] * 3)


def test_the_coarsest_level_is_a_gan_of_small_images():
    """The same weights as a plain game on images of 7 x 7 pixels comes to."""

    class Small(Held):
        def next(self, n):
            return brought(self.own.next(n), 2)

    data = Watched()
    data.shape, data.held = (1, 7, 7), Small(data.held)
    own = LAPGAN.levels(TRAINING, SHAPE)[0].protocol
    gan = RECIPES["nsgan"].part.game(own, RECIPES["nsgan"].part.parts({}), (1, 7, 7))
    with forked(0):
        at_work = GameTrainer(gan)
        rng = stream("chain", stream("lapgan").initial_seed(), 0)
        state = at_work.advance(at_work.start(data, rng), STOPS[0])
        wanted = at_work.finish(state).network.state_dict()
    found = models()[0].tensors()
    for name, value in wanted.items():
        assert torch.equal(found[f"0.generator.{name}"], value), name


def test_a_finer_level_leaves_coarser_ones_alone():
    tensors = [model.tensors() for model in models()]
    for before, after in pairwise(tensors):
        assert before.keys() < after.keys()
        assert all(torch.equal(after[name], value) for name, value in before.items())
    assert {name.partition(".")[0] for name in tensors[-1]} == {"0", "1", "2"}


def test_until_a_level_is_trained_it_adds_nothing():
    """Samples have the full size from the beginning; codes are the same ones."""
    z = models()[-1].codes(5, stream("z"))
    assert z.shape == (5, 3 + 14 * 14 + 28 * 28)
    ways = [model.way(z) for model in models()]
    assert all([x.shape[2] for x in way] == [7, 14, 28] for way in ways)
    assert torch.equal(ways[0][0], ways[2][0])
    assert torch.equal(ways[0][1], doubled(ways[0][0], (14, 14)))
    assert torch.equal(ways[1][1], ways[2][1])
    assert torch.equal(ways[1][2], doubled(ways[1][1], (28, 28)))
    assert not torch.equal(ways[2][2], ways[1][2])


def test_codes_are_of_every_level():
    """Each part changes its own level and finer ones, and no coarser one."""
    model = models()[-1]
    z = model.codes(4, stream("z"))
    sizes = [level.protocol.latent for level in model.levels]
    for level, (start, size) in enumerate(zip((0, 3, 199), sizes, strict=True)):
        other = z.clone()
        other[:, start : start + size] *= -1
        same = [torch.equal(*pair) for pair in zip(model.way(z), model.way(other), strict=True)]
        assert same == [at < level for at in range(3)]


def test_what_is_drawn_is_clipped_in_the_end_alone():
    """A level that goes far below 0 and one that comes back."""
    model = models()[-1]

    class Shift(torch.nn.Module):
        def __init__(self, by, side):
            super().__init__()
            self.by, self.side = by, side

        def forward(self, images, codes):
            return torch.full((len(images), 1, self.side, self.side), self.by)

    shifts = [(Shift(-5.0, 14), torch.nn.Identity()), (Shift(5.0, 28), torch.nn.Identity())]
    moved = CoarseToFine(model.levels, [model._players[0], *shifts])
    z = moved.codes(6, stream("z"))
    whole = brought(moved.decode(z), 2)
    torch.testing.assert_close(whole, moved.way(z)[0], rtol=0, atol=1e-5)
    sunk = CoarseToFine(model.levels, [model._players[0], shifts[0]])
    assert float(sunk.way(z)[-1].max()) < -3
    assert float(sunk.decode(z).abs().max()) == 0


def test_the_critic_is_that_of_the_finest_level_trained():
    x = source().training[:5]
    for at, model in enumerate(models()):
        critic = model._players[at][1]
        with torch.no_grad():
            assert torch.equal(model.logits(x), critic(brought(x, 2 - at)))


@pytest.mark.parametrize("stops", [[3, 14], [8, 14], [9, 12, 14], [0, 13, 14]])
def test_a_pyramid_that_is_cut_off_goes_on(stops):
    """Inside a level and between two: bit for bit."""

    def played(stops):
        with forked(0):
            chain, made = trainer(), 0
            state = chain.start(source(), stream("lapgan"))
            for stop in stops:
                state = chain.advance(state, stop - made)
                packed, made = dump(chain.pack(state)), stop
                torch.manual_seed(99)
                state = trainer().unpack(source(), parse(packed))
            return digest([chain.pack(state), chain.finish(state).sample(9, stream("look"))])

    assert played(stops) == played([14])


def test_a_model_is_its_tensors():
    model = models()[-1]
    with forked(1):
        again = trainer().restore(source(), parse(dump(model.tensors())))
    assert torch.equal(model.sample(9, stream("x")), again.sample(9, stream("x")))
    assert torch.equal(
        model.logits(model.sample(3, stream("x"))), again.logits(again.sample(3, stream("x")))
    )


def test_weights_of_another_width_are_refused():
    with forked(1), pytest.raises(UsageError, match="the generator of level 1's weights are of an"):
        trainer(refiner_width=8).restore(source(), models()[-1].tensors())


def test_a_true_chain_is_the_image():
    """Beyond the box too."""
    images, levels = 3 * source().held_out[:20].double() - 1, models()[-1].levels
    first, *fine = residuals(levels, images)
    way = climbed(levels, first, 0, lambda at, coarse: fine[at - 1])
    torch.testing.assert_close(way[-1], images, rtol=0, atol=1e-14)
    torch.testing.assert_close(way[0], brought(images, 2), rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 8, 8), (3, 27, 21), (1, 9, 14)])
def test_images_of_any_size(shape):
    """Grey, colours and stacks, of even sides and odd ones."""
    levels = LAPGAN.levels(Training("dcgan-32"), shape)
    assert len(levels) == (2 if min(shape[1:]) < 13 else 3)
    z = torch.cat([torch.randn(2, level.protocol.latent) for level in levels], 1)
    first = torch.rand(2, *levels[0].shape)
    own = z.split([level.protocol.latent for level in levels], 1)
    refiners = [Refiner().build(a.shape, b.shape) for a, b in pairwise(levels)]
    way = climbed(levels, first, 0, lambda at, x: refiners[at - 1](x, own[at]))
    assert [tuple(x.shape[1:]) for x in way] == [level.shape for level in levels]
    assert levels[-1].shape == shape


def test_a_refiner_has_no_nonlinearity_at_its_end_and_sees_both():
    """Noise and coarse image each change what it draws, and so does every channel of it."""
    refiner = Refiner(8).build((3, 4, 4), (3, 8, 8))
    assert isinstance(refiner.body[-1], torch.nn.Conv2d)
    x, z = torch.rand(2, 3, 4, 4, requires_grad=True), torch.randn(2, 64, requires_grad=True)
    for slope in torch.autograd.grad(refiner(x, z).sum(), [x, z]):
        assert bool((slope != 0).all())


def test_noise_of_a_block_is_that_of_its_pixels():
    """A plane of noise lies on the fine grid: what comes out of a refiner that passes it on."""
    refiner = Refiner(kernels=(1,)).build((1, 2, 3), (1, 4, 6))
    with torch.no_grad():
        refiner.body[0].weight.copy_(torch.eye(5)[1:].reshape(4, 5, 1, 1))
        refiner.body[0].bias.zero_()
        z = torch.randn(2, 24)
        assert torch.equal(refiner(torch.rand(2, 1, 2, 3), z), z.reshape(2, 1, 4, 6))


def test_a_level_is_shown_in_threes():
    """Coarse, residual about grey, and their sum, of the same image."""
    model = models()[-1]
    for level, side in ((1, 14), (2, 28)):
        images, columns = at_level(model, 9, stream("x"), level)
        way = model.way(model.codes(3, stream("x")))
        assert images.shape == (9, 1, side, side)
        assert columns == 12
        known = doubled(way[level - 1], (side, side))
        for at, wanted in enumerate((known, (way[level] - known + 1) / 2, way[level])):
            assert torch.equal(images[at::3], wanted.clamp(0, 1))
    first, columns = at_level(model, 9, stream("x"), 0)
    assert torch.equal(first, model.way(model.codes(9, stream("x")))[0].clamp(0, 1))
    assert columns == 0


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((2,), {}, r"needs images of 7 pixels a side and more, .* got examples of shape \[2\]"),
        ((1, 6, 28), {}, r"got examples of shape \[1, 6, 28\]: choose another model, or images"),
        ((1, 8, 8), {"levels": 2}, "levels: expected 1 to 1 for images of 8 x 8 pixels, .* got 2"),
        (SHAPE, {"levels": 4}, "levels: expected 1 to 3 for images of 28 x 28 pixels, .* got 4"),
        (
            SHAPE,
            {"steps": 6},
            "steps: expected 7 at least for 3 levels, .* got 6: a level would not",
        ),
        (SHAPE, {"refiner_width": 0}, "setting 'refiner_width': expected int, 1 at least"),
    ],
)
def test_what_has_no_such_pyramid_is_refused(shape, settings, message):
    training = Training("dcgan-32").saying(**settings)
    with pytest.raises(UsageError, match=message):
        LAPGAN.trainer(training, shape)


def test_a_protocol_whose_critic_can_not_see_a_level_is_refused():
    """Two strides of even kernels need multiples of four: 14 is none."""
    with pytest.raises(UsageError, match=r"multiples of 4, got examples of shape \[1, 14, 14\]"):
        LAPGAN.trainer(Training("small-dcgan"), SHAPE)


def test_named_networks_are_those_of_the_levels():
    """A generator of the coarsest level, a critic of every one."""
    said = TRAINING.saying(generator_network="mlp-128x2", critic_network="mlp-128")
    first, *finer = LAPGAN.levels(said, SHAPE)
    assert first.protocol.generator.widths == (128, 128)
    assert {level.protocol.critic.widths for level in (first, *finer)} == {(128,)}
    usual = LAPGAN.levels(TRAINING, SHAPE)
    assert usual[0].protocol.generator == LAPGAN.dense
    assert usual[0].protocol.critic == replace(LAPGAN.dense, batch_norm=False)
    assert usual[1].protocol.critic == usual[2].protocol.critic != usual[0].protocol.critic
