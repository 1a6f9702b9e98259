"""What holds for every recipe of a generator against a critic."""

from __future__ import annotations

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
    CRITICS,
    PARTS,
    PENALTIES,
    PROTOCOLS,
    RECIPES,
)
from generative.recipes.adversarial import Adversarial

about = partial(base.law, RECIPES.kind)
gan_law = partial(
    about, where=lambda entry: of_points(entry) and isinstance(entry.part, Adversarial)
)


@gan_law(cases=base.each([None, 2]))
def the_critic_makes_its_steps(recipe: Entry, critic_steps: int | None) -> None:
    """As many for each of the generator's as the settings say."""
    place = changed(critic_steps=critic_steps)
    wanted = 3 * recipe.part.relevant(place.training).get("critic_steps", 1)
    with forked(0):
        trainer, _, state = begin(recipe, place)
        trainer.advance(state, 3)
    made = {
        player: {int(slot["step"]) for slot in optimiser.state.values()}
        for player, optimiser in state.table.optimisers.items()
    }
    assert made == {"critic": {wanted}, "generator": {3}}


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
    facts = [PENALTIES[name].facts for name in recipe.facts.parts if name in PENALTIES]
    penalty = any(each.per_sample for each in facts)
    facts = [CONSTRAINTS[name].facts for name in recipe.facts.parts if name in CONSTRAINTS]
    constraint = any(each.per_layer for each in facts)
    facts = [CRITICS[name].facts for name in recipe.facts.parts if name in CRITICS]
    unmixed = any(each.unmixed for each in facts)
    with forked(0):
        _, _, state = begin(recipe, STACKS)

    def normed(network: nn.Module) -> bool:
        return any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())

    assert normed(state.players["generator"])
    assert normed(state.players["critic"]) == (not penalty and not constraint and not unmixed)


@gan_law()
def a_constraint_holds_after_every_step(recipe: Entry) -> None:
    """There is nothing left to project."""
    if recipe.part.constraint is None:
        raise base.Skipped("its critic has no constraint")
    with forked(0):
        trainer, _, state = begin(recipe)
        state = trainer.advance(state, 2)
    before = [weight.detach().clone() for weight in state.players["critic"].parameters()]
    trainer.game.constraint.project(state.players["critic"])
    assert all(map(torch.equal, before, state.players["critic"].parameters()))


@gan_law()
def the_parts_of_a_gan_are_those_it_trains_with(recipe: Entry) -> None:
    """What is cited is what is used: `parts` names them all, but for alternating steps."""
    if ":" in recipe.name:
        raise base.Skipped("a recipe that is not registered names no parts")
    made = recipe.part.parts({}).values()
    known = {id(entry.part): entry.name for kind in PARTS for entry in kind.entries()}
    used = {recipe.part.loss, recipe.part.dynamics} - {"alternating"}
    for name, values in vars(recipe.part).items():
        if name in ("penalty", "constraint", "view", "terms", "critic", "generator") and values:
            used |= {values} if isinstance(values, str) else set(values)
    assert set(recipe.facts.parts) == used
    assert {known[id(part)] for part in made if id(part) in known} <= used | {"alternating"}
