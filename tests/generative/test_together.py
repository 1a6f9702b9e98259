"""Trainings side by side: what each would do alone, in one pass."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from generative import RECIPES, Diverged, Training
from generative.contracts import Loss
from generative.networks import Mlp, critic_of
from generative.trainers import together
from generative.trainers.stacked import Stacked, can_be_stacked
from generative.trainers.together import advance, apart

RING = DATASETS["ring8@pacgan"].part
SEEDS = (3, 0, 7)


def trainer_of(model="nsgan", protocol="plane", **told):
    return RECIPES[model].part.trainer(Training(protocol, **told), (2,))


def begun(trainer, seeds=SEEDS):
    """A state of each seed, on its own data and streams."""
    states = []
    for seed in seeds:
        with forked(seed):
            states.append(trainer.start(RING.source(seed), stream("t", seed)))
    return states


def alike(trainer, left, right, tolerance=2e-5):
    """Two states: weights, averages, moments within a tolerance on average (Adam makes much of the
    sign of a slope that is next to 0), positions to the bit.
    """
    a, b = (trainer.pack(state) for state in (left, right))
    for name in a:
        if name in ("noise", "batches", "step"):
            assert_same(a[name], b[name])
        elif name == "global":
            continue
        else:
            assert_near(a[name], b[name], tolerance, name)


def assert_same(a, b):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for name in a:
            assert_same(a[name], b[name])
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


def assert_near(a, b, tolerance, name):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_near(a[key], b[key], tolerance, f"{name}.{key}")
    elif isinstance(a, list):
        assert len(a) == len(b) > 0
        for one, other in zip(a, b, strict=True):
            assert_near(one, other, tolerance, name)
    else:
        apart = (a.double() - b.double()).abs()
        assert float(apart.mean()) <= tolerance, name
        assert float(apart.max()) <= 100 * tolerance, name


@pytest.mark.parametrize(
    ("model", "protocol", "told"),
    [
        ("nsgan", "plane", {}),
        ("gan", "plane", {"critic_steps": 3, "batch": 16}),
        ("lsgan", "collapsing", {}),
        ("hingegan", "plane", {}),
        ("fgan-kl", "unrolled-notebook", {"batch": 32}),
        ("nsgan", "plane", {"average": 0.9}),
        ("nsgan", "unrolled-paper", {"batch": 16}),
        ("nsgan", "hinton-2006-curves", {"batch": 8}),
    ],
)
def test_each_does_what_it_would_do_alone(model, protocol, told):
    trainer = trainer_of(model, protocol, steps=4, **told)
    assert apart(trainer) == ""
    alone, beside = begun(trainer), begun(trainer)
    for state in alone:
        trainer.advance(state, 3)
    assert advance(trainer, beside, 3) == [None] * 3
    for one, other in zip(alone, beside, strict=True):
        alike(trainer, one, other)
        for (step, mine), (at, theirs) in zip(one.told, other.told, strict=True):
            assert step == at
            assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-5)
        assert trainer.pulls(other) == pytest.approx(trainer.pulls(one), rel=1e-3)
    first = [state.players["generator"].state_dict() for state in beside[:2]]
    assert any(not torch.equal(first[0][name], first[1][name]) for name in first[0])


def test_batch_norm_and_maxout_are_of_each_training():
    """PacGAN's networks, which are too large to be worth it, narrower."""
    trainer = trainer_of("nsgan", "pacgan", steps=4, batch=16)
    rules = trainer.game.protocol
    small = replace(
        rules,
        generator=replace(rules.generator, widths=(9, 7)),
        critic=replace(rules.critic, widths=(6,)),
    )
    trainer = replace(trainer, game=replace(trainer.game, protocol=small))
    assert apart(trainer) == ""
    alone, beside = begun(trainer), begun(trainer)
    for state in alone:
        trainer.advance(state, 4)
    advance(trainer, beside, 4)
    for one, other in zip(alone, beside, strict=True):
        alike(trainer, one, other)
        counts = [x for n, x in other.players["generator"].named_buffers() if n.endswith("tracked")]
        assert {int(count) for count in counts} == {8}


def test_what_was_begun_together_goes_on_alone_and_the_other_way_round():
    trainer = trainer_of(steps=9)
    straight, mixed = begun(trainer), begun(trainer)
    for state in straight:
        trainer.advance(state, 9)
    advance(trainer, mixed, 3)
    for at, state in enumerate(mixed):
        tree = trainer.pack(state)
        mixed[at] = trainer.unpack(RING.source(SEEDS[at]), tree)
        trainer.advance(mixed[at], 3)
    advance(trainer, mixed, 3)
    for one, other in zip(straight, mixed, strict=True):
        alike(trainer, one, other, 1e-4)
        assert other.step == 9


def test_one_that_breaks_leaves_the_others_as_they_were():
    trainer = trainer_of(steps=9)
    whole, broken = begun(trainer), begun(trainer)
    with torch.no_grad():
        next(broken[1].players["critic"].parameters()).fill_(float("nan"))
    assert advance(trainer, whole, 2) == [None] * 3
    first, second, third = advance(trainer, broken, 2)
    assert first is third is None
    assert isinstance(second, Diverged)
    for at in (0, 2):
        alike(trainer, whole[at], broken[at], 0)


def test_a_loss_that_is_no_number_is_the_one_trainings_own():
    """Whatever its weights are."""
    trainer = trainer_of(steps=9)
    states = begun(trainer)
    losses = {"critic": torch.tensor([0.5, float("inf"), 1.0]), "generator": torch.ones(3)}
    fates = [together._fate(state, losses, at) for at, state in enumerate(states)]
    assert [fate is None for fate in fates] == [True, False, True]
    assert "the loss is inf" in str(fates[1])


@pytest.mark.parametrize(
    ("model", "protocol", "why"),
    [
        ("vae", "plane", "no plain game"),
        ("veegan", "plane", "no plain game"),
        ("wgan", "plane", "more than a loss"),
        ("wgan-gp", "plane", "more than a loss"),
        ("pacgan2", "plane", "more than a loss"),
        ("dragan", "plane", "more than a loss"),
        ("rsgan", "plane", "compares examples"),
        ("ralsgan", "plane", "compares examples"),
        ("softmax-gan", "plane", "compares examples"),
        ("lsgan", "pacgan", "faster one by one"),
        ("nsgan", "goodfellow-2014", "not Adam"),
        ("nsgan", "hinton-2006-faces", "dense layers alone"),
        ("unrolled5", "plane", "not played plainly"),
    ],
)
def test_what_goes_one_by_one_says_why(model, protocol, why):
    assert why in apart(trainer_of(model, protocol))


class Centred(Loss):
    """One that takes the mean of the batch away."""

    def critic(self, real, fake):
        return fake - real + real.mean()

    def generator(self, real, fake):
        return -fake


def test_a_loss_that_looks_at_the_batch_goes_one_by_one():
    """Whoever registers it says nothing of that: it is tried."""
    trainer = trainer_of()
    other = replace(trainer, game=replace(trainer.game, loss=Centred()))
    assert apart(trainer) == ""
    assert "compares examples" in apart(other)


def test_images_go_one_by_one():
    trainer = RECIPES["nsgan"].part.trainer(Training("dense"), (1, 8, 8))
    assert "no points" in apart(trainer)


def test_networks_in_a_stack_are_the_networks():
    networks = []
    for seed in range(3):
        with forked(seed):
            networks.append(critic_of(Mlp((5, 4), "leaky_relu"), (2,)))
    x = torch.randn(6, 3, 2, generator=stream("x"))
    found = Stacked(networks)(x.flatten(0, 1))
    assert found.shape == (18,)
    for at, network in enumerate(networks):
        torch.testing.assert_close(found[at::3], network(x[:, at]))


def test_what_looks_beyond_a_row_can_not_be_stacked():
    assert can_be_stacked(Mlp((4,), batch_norm=True).generator(2, (2,)))
    assert not can_be_stacked(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))
    assert not can_be_stacked(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)))
    assert not can_be_stacked(nn.Sequential(nn.BatchNorm1d(2, affine=False)))
