"""The recipe of every GAN: a loss, and what else its game is made of, under the run's protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Annotated, Any

import torch

from bench.core.errors import UsageError
from bench.core.registry import Entry, Registry
from generative.conditioning import Conditioning
from generative.contracts import CONSTRAINTS, LOSSES, PENALTIES
from generative.dynamics.base import DYNAMICS
from generative.games import adversarial
from generative.parts import CRITICS, GENERATORS, TERMS, VIEWS, Priored, Sighted, Switchable
from generative.protocols.base import Adam, Optimiser, Protocol, protocol_of
from generative.recipes.playing import Playing
from generative.training import ANY, WEIGHT, Training, told

READ = ("steps", "batch", "critic_steps", "generator_lr", "critic_lr", "latent")
PENALTY_COST, PACKING_COST = 0.8, 0.25
"""What a gradient penalty adds to a critic step, and another example of a pack to a step: between
what was measured with dense networks and with convolutions (docs/pilot.md).
"""
Names = str | tuple[str, ...] | None


@dataclass(frozen=True)
class Penalties:
    """What the penalties of a game are multiplied by, all alike."""

    penalty_weight: Annotated[float, WEIGHT]


@dataclass(frozen=True)
class Choice:
    """The parts of a game that a training may choose by name."""

    dynamics: Annotated[str, ANY]


@dataclass(frozen=True)
class Adversarial(Playing):
    """Parts by name, each registered: a loss, penalties, a constraint, a view, terms, dynamics, and
    the forms of both players.

    critic_steps, momentum (Adam's beta 1 of both players): the recipe's own where its paper needs
    them; None leaves them to the protocol. conditioning: how the players are told the class. own:
    settings of its parts that the recipe has otherwise. The rest is the training's. Where a penalty
    looks at single examples, or a constraint at single layers, the critic goes without batch norm.
    """

    loss: str
    penalty: Names = None
    constraint: str | None = None
    critic_steps: int | None = None
    momentum: float | None = None
    conditioning: Conditioning | None = None
    view: str | None = None
    terms: Names = None
    dynamics: str = "alternating"
    critic: str | None = None
    generator: str | None = None
    own_settings: Mapping[str, Any] = field(default_factory=dict)

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return protocol_of(training)

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        together = DYNAMICS[self._dynamics(settings)].facts.together
        return tuple(name for name in READ if name != "critic_steps" or not together)

    def _dynamics(self, settings: Mapping[str, Any]) -> str:
        return settings.get("dynamics", self.dynamics)

    def rules(self, training: Training) -> Protocol:
        protocol = self.entry(training).part
        own = replace(
            protocol,
            critic=protocol.critic.unmixed() if self._unmixed() else protocol.critic,
            generator_adam=self._adam(protocol.generator_adam),
            critic_adam=self._adam(protocol.critic_adam),
            critic_steps=self.critic_steps or protocol.critic_steps,
        )
        rules = own.told(training.settings)
        together = "critic_steps" not in self.read(training.settings)
        return replace(rules, critic_steps=1) if together else rules

    def _adam(self, adam: Optimiser) -> Optimiser:
        if self.momentum is None or not isinstance(adam, Adam):
            return adam
        return replace(adam, betas=(self.momentum, adam.betas[1]))

    def _unmixed(self) -> bool:
        """Whether the critic may not have batch norm."""
        per_sample = [PENALTIES[name].facts.per_sample for name in _names(self.penalty)]
        per_layer = [CONSTRAINTS[name].facts.per_layer for name in _names(self.constraint)]
        unmixed = [CRITICS[name].facts.unmixed for name in _names(self.critic)]
        return any((*per_sample, *per_layer, *unmixed))

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        named: tuple[tuple[str, Names, Registry], ...] = (
            ("penalty", self.penalty, PENALTIES),
            ("constraint", self.constraint, CONSTRAINTS),
            ("view", self.view, VIEWS),
            ("term", self.terms, TERMS),
            ("critic", self.critic, CRITICS),
            ("generator", self.generator, GENERATORS),
            ("dynamics", self._dynamics(settings), DYNAMICS),
        )
        found = {"loss": LOSSES[self.loss].part(), "choice": Choice(self.dynamics)}
        for role, names, registry in named:
            chosen = {name: registry[name].part for name in _names(names)}
            several = role in ("penalty", "term")
            found |= {f"{role} {name}" if several else role: chosen[name] for name in chosen}
        if self.penalty is not None:
            first, *_ = _names(self.penalty)
            found["penalties"] = Penalties(PENALTIES[first].facts.weight)
        if self.conditioning is not None:
            found["conditioning"] = self.conditioning
        return {role: told(part, self.own_settings) for role, part in found.items()}

    def game(
        self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> adversarial.Adversarial:
        self._refuse(parts, shape)
        parts = {role: _ready(part, rules) for role, part in parts.items()}
        names, terms = _names(self.penalty), _names(self.terms)
        weight = parts["penalties"].penalty_weight if names else 0.0
        batchwise = [CRITICS[name].facts.batchwise for name in _names(self.critic)]
        game = adversarial.Adversarial(
            loss=parts["loss"],
            relativistic=LOSSES[self.loss].facts.relativistic,
            penalties=tuple((parts[f"penalty {name}"], weight) for name in names),
            constraint=parts.get("constraint"),
            view=parts.get("view"),
            terms=tuple((parts[f"term {name}"], TERMS[name].facts) for name in terms),
            critic_form=_unless_off(parts.get("critic")),
            generator_form=_unless_off(parts.get("generator")),
            compares=any(batchwise),
            protocol=rules,
            shape=shape,
            conditioning=self.conditioning,
        )
        if "critic" in parts or "generator" in parts:
            with torch.device("meta"):
                game.built(1)
        return game

    def _refuse(self, parts: Mapping[str, Any], shape: tuple[int, ...]) -> None:
        """Raise UsageError for parts that don't go together, or with such examples."""
        for name in _names(self.view):
            only = VIEWS[name].facts.images_only
            if only and len(shape) == 1:
                raise UsageError(f"view '{name}' is for images: {only}")
        group = parts["view"].together() if "view" in parts else 1
        if group > 1 and isinstance(parts["loss"], Sighted):
            raise UsageError(
                f"loss '{self.loss}' has a margin for each pair of examples, and a critic of packs "
                "judges several at once: leave out packing"
            )
        headed = self.conditioning is not None and self.conditioning.headed
        terms = [TERMS[name].facts for name in _names(self.terms)]
        if any(facts.told for facts in terms) and not headed:
            raise UsageError(
                "a term of classes looks at what the critic says of them: expected players that "
                "are told the class and a critic with a head for it, as acgan's"
            )
        featured = any(facts.features and not (facts.told and headed) for facts in terms)
        if self.conditioning is not None and (
            group > 1 or featured or "critic" in parts or "generator" in parts
        ):
            raise UsageError(
                "players that are told the class are those of the protocol, one example at a time: "
                "leave out packing, the forms of players, and terms of features"
            )

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        critic = rules.critic_steps * (1 + PENALTY_COST * len(_names(self.penalty)))
        group = parts["view"].together() if "view" in parts else 1
        packed = 1 + PACKING_COST * (group - 1)
        pairs = rules.batch * usual.batch / usual.milliseconds
        forms = [CRITICS[name].facts for name in _names(self.critic)]
        form = prod(facts.cost + facts.pair_cost * pairs for facts in forms)
        return (1 + critic) / (1 + usual.critic_steps) * parts["dynamics"].cost * packed * form


def _ready(part: Any, rules: Protocol) -> Any:
    """A part that knows of which prior codes are, where it asks."""
    return part.of_prior(rules.prior) if isinstance(part, Priored) else part


def _unless_off(form: Any) -> Any:
    return None if isinstance(form, Switchable) and form.off else form


def _names(given: Names) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else given
