"""The recipe of every model that encodes and decodes: an objective, under the run's protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench.core.registry import Entry
from generative.contracts import Fitted
from generative.games import encoding
from generative.games.encoding import CODER, Objective
from generative.games.layerwise import Layerwise, Lesson, Plan, Unrolled
from generative.networks import Initialisation, Mlp
from generative.protocols.base import PROTOCOLS, Adam, Protocol, protocol_of
from generative.recipes.playing import Playing
from generative.trainers.succession import Succession
from generative.training import Training

ADAM_RATE = 1e-3
"""Where the protocol trains its players without Adam."""
COST = 0.45
"""A step over one of the protocol's GANs, about."""
LAYER_COST = 0.15
"""A step of one layer over the same."""


@dataclass(frozen=True)
class Encoding(Playing):
    """Protocol, steps, batch and the generator's rate are the training's.

    The protocol's layers are taken without batch norm, whose statistics are those of the data's
    codes and not of codes that are drawn, and with PyTorch's initialisation. instead: the protocol
    that stands in for one that is not of logistic layers, of which the decoder mirrors the encoder;
    empty where any will do. lesson: how such layers are learned one by one before all of them are,
    None for a random start.
    """

    objective: Objective
    instead: str = ""
    lesson: Lesson | None = None

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        entry = protocol_of(training)
        return entry if not self.instead or mirrored(entry.part) else PROTOCOLS[self.instead]

    def rules(self, training: Training) -> Protocol:
        protocol = self.entry(training).part
        adam = protocol.generator_adam
        unmixed = replace(
            protocol,
            generator=protocol.generator.unmixed(),
            critic=protocol.critic.unmixed(),
            initialisation=Initialisation(),
            generator_adam=adam if isinstance(adam, Adam) else Adam(ADAM_RATE),
        )
        return unmixed.told(training.settings)

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return "steps", "batch", "generator_lr", "latent"

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        lesson = {} if self.lesson is None else {"lesson": self.lesson}
        return {"objective": self.objective, **lesson}

    def game(
        self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> encoding.Encoding | Succession:
        own = encoding.Encoding(parts["objective"], rules, shape)
        return pretrained(own, parts["lesson"]) if "lesson" in parts else own

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        if "lesson" not in parts:
            return COST
        layers = len(hidden_of(rules)) * parts["lesson"].layer_steps
        return COST + LAYER_COST * layers / rules.steps


def mirrored(protocol: Protocol) -> bool:
    """Whether its players are layers of logistic units, the generator's those of the critic from
    the last to the first.
    """
    up, down = protocol.critic, protocol.generator
    if not (isinstance(up, Mlp) and isinstance(down, Mlp)):
        return False
    return up.widths == down.widths[::-1] and up.activation == down.activation == "sigmoid"


def hidden_of(rules: Protocol) -> tuple[int, ...]:
    """The sizes of an encoder's hidden layers, the code last."""
    assert isinstance(rules.critic, Mlp)
    return *rules.critic.widths, rules.latent


def pretrained(own: encoding.Encoding, lesson: Lesson) -> Succession:
    """A layer after another, then all of them, unrolled."""
    plan = Plan(hidden_of(own.protocol), "linear")
    rules = replace(own.protocol, steps=lesson.layer_steps)

    def learn(at: int, done: Sequence[Fitted]) -> Layerwise:
        below: Any = done[-1] if done else None
        return Layerwise(plan, at, lesson, own.objective, rules, own.shape, below)

    def refine(done: Sequence[Fitted]) -> Unrolled:
        return Unrolled(own, CODER, done[-1].tensors())

    count = len(plan.hidden)
    stages = (*(partial(learn, at) for at in range(count)), refine)
    return Succession(stages, (lesson.layer_steps,) * count + (own.protocol.steps,), own)
