"""Translators by their papers: steps of training by hand, buffers, rates, bounds."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import l1_loss, softplus

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.laws.recipes import Probe, digest, under
from bench.laws.translators import (
    APART,
    GREY_TO_COLOUR,
    MIXED,
    PAIRS,
    SIDE,
    TRAINING,
    begin,
    learns,
    resumed,
    train,
    trained,
    trainer_of,
    translates,
    uninterrupted,
)
from generative import RECIPES, Training
from generative.games.coupled import Coupled
from generative.games.cycle import Buffer, Cycle
from generative.games.inverse import Inverse
from generative.games.paired import Paired
from generative.games.perceiving import Perceiving
from generative.games.transferring import Transferring

TRANSLATORS = [entry for entry in RECIPES.entries() if translates(entry)]
LEARNERS = [entry for entry in RECIPES.entries() if learns(entry)]


def test_all_translators_are_here():
    """The ablations of both papers, and what bounds them."""
    names = {entry.name for entry in TRANSLATORS}
    assert names >= {"pix2pix", "pix2pix-l1", "pix2pix-cgan", "pix2pix-gan"}
    assert names >= {"cyclegan", "cyclegan-gan", "cyclegan-cycle"}
    assert names >= {"truth", "identity", "mean-image"}
    assert {entry.name for entry in TRANSLATORS if entry.facts.paired} == {
        name for name in names if name.startswith("pix2pix")
    }


@pytest.mark.parametrize("stop", [0, 3, 4])
@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_resuming_at_either_end(name, stop):
    """Before the first step and after the last, and where an epoch is about to end."""
    recipe = RECIPES[name]
    assert resumed(recipe, stop) == uninterrupted(recipe)


SETTINGS = {
    "pix2pix": {"critic_lr", "l1_weight"},
    "pix2pix-l1": set(),
    "pix2pix-cgan": {"critic_lr"},
    "pix2pix-gan": {"critic_lr"},
    "cyclegan": {"critic_lr", "cycle_weight", "identity_weight"},
    "cyclegan-gan": {"critic_lr"},
    "cyclegan-cycle": {"cycle_weight", "identity_weight"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_of_translators(name):
    """Of each the weights that its objective has, and the rate of the critics there are."""
    found = set(RECIPES[name].part.relevant(TRAINING))
    assert found - {"protocol", "steps", "batch", "generator_lr"} == SETTINGS[name]


def test_a_weight_of_nothing_takes_the_part_away():
    """pix2pix with an L1 of weight 0 is its ablation without; so is CycleGAN."""
    for full, weights, ablation in (
        ("pix2pix", {"l1_weight": 0.0}, "pix2pix-cgan"),
        ("cyclegan", {"cycle_weight": 0.0, "identity_weight": 0.0}, "cyclegan-gan"),
    ):
        own = train(RECIPES[full], training=TRAINING.saying(**weights))[2]
        other = trained(RECIPES[ablation])[1]
        assert digest(own.tensors()) == digest(other.tensors()), full


class Nothing(Probe):
    """Nobody moves."""

    def play(self, table, moves):
        return torch.zeros(())


def _rates(state):
    """Of the generators and of the critics, now."""
    adams = {name[0]: adam for name, adam in state.table.optimisers.items()}
    return tuple({group["lr"] for group in adams[one].param_groups}.pop() for one in "gc")


def _rates_of(name, decay, steps):
    """The rates at each of so many steps of a training of four, in which nothing is done."""
    recipe = RECIPES[name]
    training = TRAINING.saying(generator_lr=3e-4, critic_lr=2e-4)
    with forked(0):
        made, _, state = begin(recipe, training=training)
        made = replace(under(made, decay=decay), dynamics=Nothing())
        return [_rates(made.advance(state, 1)) for _ in range(steps)]


@pytest.mark.parametrize("decay", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_rates_fall_to_nothing(name, decay):
    """Constant at first; over the last part of the training in a straight line to 0, which the
    step after the last one would have.
    """
    left = [1.0 if not decay else min(1.0, (1 - step / 4) / decay) for step in range(4)]
    seen = _rates_of(name, decay, 4)
    np.testing.assert_allclose(seen, [(3e-4 * share, 2e-4 * share) for share in left], rtol=1e-9)


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_rates_stay_at_nothing(name):
    """A training that goes on after its end never turns around."""
    assert _rates_of(name, 0.5, 7)[4:] == [(0.0, 0.0)] * 3


def _stepped(network, loss, protocol):
    """One step of PyTorch's own Adam."""
    adam = torch.optim.Adam(
        network.parameters(), protocol.generator_adam.lr, protocol.generator_adam.betas
    )
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    for weight, gradient in zip(network.parameters(), gradients, strict=True):
        weight.grad = gradient
    adam.step()


def _assert_close(network, other):
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


PIX2PIX = {
    "pix2pix": (True, True, 100.0),
    "pix2pix-cgan": (True, True, 0.0),
    "pix2pix-gan": (True, False, 0.0),
    "pix2pix-l1": (False, False, 1.0),
}

"""Whether there is a critic, whether it sees the input, and the weight of L1."""


@pytest.mark.parametrize("name", list(PIX2PIX))
def test_a_step_is_that_of_pix2pix(name):
    """Isola et al. 2017, equations 1 to 4 and section 3.3: the critic first, on half its loss; then
    the generator on log D, and 100 times the mean absolute error.
    """
    contested, conditional, weight = PIX2PIX[name]
    with forked(0):
        trainer, _, state = begin(RECIPES[name])
        generator, critic = (
            copy.deepcopy(state.players["generator"]),
            copy.deepcopy(state.players["critic"]),
        )
        torch.manual_seed(7)
        trainer.advance(state, 1)
        torch.manual_seed(7)
        x, y = PAIRS.source(0).pairs().next(2)
        fake = generator(x)

        def judged(image):
            return critic(torch.cat([x, image], 1) if conditional else image)

        loss = weight * l1_loss(fake, y)
        if contested:
            value = softplus(-judged(y)).mean() + softplus(judged(fake.detach())).mean()
            _stepped(critic, value / 2, trainer.game.protocol)
            loss = loss + softplus(-judged(fake)).mean()
        _stepped(generator, loss, trainer.game.protocol)
    _assert_close(state.players["critic"], critic)
    _assert_close(state.players["generator"], generator)


CYCLEGAN = {"cyclegan": (1.0, 10.0, 5.0), "cyclegan-gan": (1.0, 0.0, 0.0)}


CYCLEGAN["cyclegan-cycle"] = (0.0, 10.0, 5.0)

"""The weights of the adversarial, the cycle and the identity losses."""


@pytest.mark.parametrize("name", list(CYCLEGAN))
def test_a_step_is_that_of_cyclegan(name):
    """Zhu et al. 2017, equations 1 to 3, sections 4 and 5.2: the generators first, by least
    squares; then the critics on half their losses.
    """
    adversarial, cycle, same = CYCLEGAN[name]
    with forked(0):
        trainer, _, state = begin(RECIPES[name], APART)
        forward, backward = generators = copy.deepcopy(state.players["generators"])
        of_second, of_first = critics = copy.deepcopy(state.players["critics"])
        trainer.advance(state, 1)
        x, y = APART.source(0).domains().next(2)
        as_y, as_x = forward(x), backward(y)
        loss = adversarial * ((of_second(as_y) - 1) ** 2).mean()
        loss = loss + adversarial * ((of_first(as_x) - 1) ** 2).mean()
        loss = loss + cycle * (l1_loss(backward(as_y), x) + l1_loss(forward(as_x), y))
        loss = loss + same * (l1_loss(forward(y), y) + l1_loss(backward(x), x))
        _stepped(generators, loss, trainer.game.protocol)
        if adversarial:
            value = torch.zeros(())
            for critic, real, fake in ((of_second, y, as_y), (of_first, x, as_x)):
                value = value + ((critic(real) - 1) ** 2).mean() / 2
                value = value + (critic(fake.detach()) ** 2).mean() / 2
            _stepped(critics, value, trainer.game.protocol)
    _assert_close(state.players["generators"], generators)
    _assert_close(state.players["critics"], critics)


def test_domains_of_other_channels_have_no_identity_loss():
    """Its weight then changes nothing."""
    recipe = RECIPES["cyclegan"]
    models = [
        train(recipe, MIXED, training=TRAINING.saying(identity_weight=weight))[2]
        for weight in (0.0, 50.0)
    ]
    assert digest(models[0].tensors()) == digest(models[1].tensors())


def test_the_buffer_shows_every_image_once():
    """What it shows and what it keeps are what it kept and what it is given, once it is full; until
    then it shows what it is given, and keeps that too.
    """
    buffer, rng = Buffer(4), stream("buffer")
    shown = buffer.exchange(torch.arange(3.0)[:, None], rng)
    assert shown[:, 0].tolist() == [0, 1, 2]
    assert sorted(float(x) for x in buffer.kept) == [0, 1, 2]
    buffer.exchange(torch.tensor([[3.0]]), rng)
    for at in range(50):
        before = sorted(float(x) for x in buffer.kept)
        new = [10.0 * at + 10 + i for i in range(3)]
        shown = buffer.exchange(torch.tensor(new)[:, None], rng)[:, 0].tolist()
        after = [float(x) for x in buffer.kept]
        assert len(after) == 4
        assert sorted(shown + after) == sorted(before + new)


def test_every_other_image_is_an_earlier_one():
    """Shrivastava et al. 2017, section 2.3; every place of the buffer is as likely."""
    buffer, rng = Buffer(5), stream("buffer")
    buffer.exchange(torch.zeros(5, 1), rng)
    earlier, places = 0, np.zeros(5)
    for at in range(1, 4_001):
        before = [float(x) for x in buffer.kept]
        shown = float(buffer.exchange(torch.full((1, 1), float(at)), rng))
        earlier += shown != at
        changed = [i for i, x in enumerate(buffer.kept) if float(x) != before[i]]
        assert len(changed) == (shown != at)
        places[changed] += 1
    assert earlier == pytest.approx(2_000, abs=4 * 4_000**0.5 / 2)
    assert abs(places / earlier - 0.2).max() < 0.03


def test_a_buffer_of_nothing_shows_what_it_is_given():
    """And neither keeps nor draws anything."""
    buffer, rng = Buffer(0), stream("buffer")
    images, before = torch.rand(4, 2), rng.get_state()
    assert torch.equal(buffer.exchange(images, rng), images)
    assert buffer.kept == []
    assert torch.equal(rng.get_state(), before)


def _buffers(state):
    return [state.table.memory[name] for name in ("forward_buffer", "backward_buffer")]


def test_critics_see_earlier_images_once_the_buffer_is_full():
    """Four steps of two fill a buffer of three: with room for more, the critics are others."""
    with forked(0):
        trainer, source, state = begin(RECIPES["cyclegan"])
        assert trainer.game.protocol.buffer == 3
        state = trainer.advance(state, 4)
    assert [len(buffer.kept) for buffer in _buffers(state)] == [3, 3]
    assert all(not image.requires_grad for buffer in _buffers(state) for image in buffer.kept)
    with forked(0):
        larger = under(trainer, buffer=50)
        torch.manual_seed(0)
        other = larger.advance(larger.start(source, stream("laws", 0)), 4)
    assert [len(buffer.kept) for buffer in _buffers(other)] == [8, 8]
    first, second = (list(s.players["critics"].parameters()) for s in (state, other))
    assert not all(map(torch.equal, first, second))


def test_the_truth_is_known_of_held_out_images_alone():
    """In their order, from the first on; both ways."""
    _, source, truth = train(RECIPES["truth"])
    forward = truth.translate(source.held_first, stream("truth"))
    assert torch.equal(forward, source.held_second)
    back = truth.translate(source.held_second[:5], stream("truth"), "backward")
    assert torch.equal(back, source.held_first[:5])
    for x in (source.held_first.flip(0), source.held_second, torch.rand(3, 3, SIDE, SIDE)):
        with pytest.raises(UsageError, match="held-out images alone, in their order"):
            truth.translate(x, stream("truth"))


def test_the_identity_keeps_images():
    """Grey ones get equal channels, coloured ones become their mean."""
    _, source, same = train(RECIPES["identity"])
    assert torch.equal(same.translate(source.held_first, stream("x")), source.held_first)
    _, source, same = train(RECIPES["identity"], MIXED)
    coloured = same.translate(source.held_first, stream("x"))
    assert torch.equal(coloured, source.held_first.expand(-1, 3, -1, -1))
    grey = same.translate(source.held_second, stream("x"), "backward")
    torch.testing.assert_close(grey[:, 0], source.held_second.mean(1))


def test_the_mean_image_is_that_of_the_training_images():
    """Of the domain that is translated into."""
    _, source, mean = train(RECIPES["mean-image"], MIXED)
    made = mean.translate(source.held_first[:4], stream("x"))
    wanted = torch.from_numpy(GREY_TO_COLOUR.second.mean(0) / 255).permute(2, 0, 1).float()
    torch.testing.assert_close(made, wanted.expand(4, -1, -1, -1))
    back = mean.translate(source.held_second[:2], stream("x"), "backward")
    wanted = torch.from_numpy(GREY_TO_COLOUR.first.mean(0) / 255).float()
    torch.testing.assert_close(back, wanted.expand(2, 1, -1, -1))


@pytest.mark.parametrize("name", ["pix2pix-l1", "cyclegan-cycle"])
def test_learning_helps(name):
    """Thirty steps bring the negative of training images nearer."""
    training = Training("", steps=30, batch=6, generator_lr=5e-3)
    gaps = []
    for steps in (1, 30):
        with forked(0):
            trainer, source, state = begin(RECIPES[name], training=training)
            fitted = trainer.finish(trainer.advance(state, steps))
        x, y = source.first.float() / 255, source.second.float() / 255
        if name == "cyclegan-cycle":
            there = fitted.translate(x, stream("there"))
            made, y = fitted.translate(there, stream("back"), "backward"), x
        else:
            made = fitted.translate(x, stream("made"))
        gaps.append(float((made - y).abs().mean()))
    assert gaps[1] < 0.7 * gaps[0]


UNPAIRED_GAMES = Cycle | Inverse | Coupled | Transferring | Perceiving


def test_the_games_are_of_few_kinds():
    """Paired, round about, both ways at once, by one code, by content; no repr has tensors."""
    for entry in LEARNERS:
        trainer = trainer_of(entry)
        assert isinstance(trainer.game, Paired if entry.facts.paired else UNPAIRED_GAMES)
        assert "tensor" not in repr(trainer)
