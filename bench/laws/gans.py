"""What holds for every recipe of a generator against a critic."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from bench.core.randomness import forked
from bench.core.registry import Entry
from bench.laws import base
from bench.laws.recipes import STACKS, begin, changed, of_points
from generative import (
    CONSTRAINTS,
    PENALTIES,
    PROTOCOLS,
    RECIPES,
    Loss,
)
from generative.recipes.adversarial import Adversarial

about = partial(base.law, RECIPES.kind)
gan_law = partial(
    about, where=lambda entry: of_points(entry) and isinstance(entry.part, Adversarial)
)


class Counted(Loss):
    """A loss that counts its calls."""

    def __init__(self, loss: Loss) -> None:
        self.loss, self.critics, self.generators = loss, 0, 0

    def critic(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        self.critics += 1
        return self.loss.critic(real, fake)

    def generator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        self.generators += 1
        return self.loss.generator(real, fake)


@gan_law(cases=base.each([None, 2]))
def the_critic_makes_its_steps(recipe: Entry, critic_steps: int | None) -> None:
    """As many for each of the generator's as the settings say."""
    place = changed(critic_steps=critic_steps)
    with forked(0):
        trainer, _, state = begin(recipe, place)
        counted = Counted(trainer.game.loss)
        replace(trainer, game=replace(trainer.game, loss=counted)).advance(state, 3)
    wanted = 3 * recipe.part.relevant(place.training)["critic_steps"]
    assert counted.generators == 3
    assert counted.critics == wanted


@gan_law()
def momentum_is_that_of_the_recipe_or_the_protocol(recipe: Entry) -> None:
    """Of both players alike."""
    with forked(0):
        _, _, state = begin(recipe)
    adam: Any = PROTOCOLS["plane"].part.critic_adam
    usual = adam.betas[0]
    own = usual if recipe.part.momentum is None else recipe.part.momentum
    for adam in (state.table.optimisers["generator"], state.table.optimisers["critic"]):
        found = [group["betas"] for group in adam.param_groups]
        assert found == [(own, 0.999)]


@gan_law()
def only_mixing_critics_have_batch_norm(recipe: Entry) -> None:
    """A penalty of single examples and a constraint on layers do without; the generator keeps
    its own.
    """
    part = recipe.part
    penalty = part.penalty is not None and PENALTIES[part.penalty].facts.per_sample
    constraint = part.constraint is not None and CONSTRAINTS[part.constraint].facts.per_layer
    with forked(0):
        _, _, state = begin(recipe, STACKS)

    def normed(network: nn.Module) -> bool:
        return any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())

    assert normed(state.players["generator"])
    assert normed(state.players["critic"]) == (not penalty and not constraint)


@gan_law()
def a_constraint_holds_after_every_step(recipe: Entry) -> None:
    """There is nothing left to project."""
    if recipe.part.constraint is None:
        return
    with forked(0):
        trainer, _, state = begin(recipe)
        state = trainer.advance(state, 2)
    before = [weight.detach().clone() for weight in state.players["critic"].parameters()]
    CONSTRAINTS[recipe.part.constraint].part.project(state.players["critic"])
    assert all(map(torch.equal, before, state.players["critic"].parameters()))


@gan_law()
def the_parts_of_a_gan_are_those_it_trains_with(recipe: Entry) -> None:
    """What is cited is what is used: `parts` names its loss, its penalty and its constraint."""
    used = {recipe.part.loss, recipe.part.penalty, recipe.part.constraint} - {None}
    parts = recipe.facts.parts
    assert set(parts) == used
