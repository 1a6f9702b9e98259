"""The recipe of every GAN: a loss and what restrains its critic, under the run's protocol."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from generative.conditioning import Conditioning
from generative.contracts import CONSTRAINTS, LOSSES, PENALTIES, Recipe, Training
from generative.protocols.base import PROTOCOLS, Adam, Optimiser, Protocol
from generative.trainers.adversarial import AdversarialTrainer
from generative.trainers.execution import execution_of, recorded

PENALTY_COST = 2.2
"""A critic step with a gradient penalty over one without, about."""


@dataclass(frozen=True)
class Adversarial(Recipe):
    """A loss by name, with a penalty and a constraint by name, or none.

    critic_steps, momentum (Adam's beta 1 of both players): the recipe's own where its paper needs
    them; None leaves them to the protocol. conditioning: how the players are told the class. The
    rest is the training's. Where a penalty looks at single examples, or a constraint at single
    layers, the critic goes without batch norm.
    """

    loss: str
    penalty: str | None = None
    constraint: str | None = None
    critic_steps: int | None = None
    momentum: float | None = None
    conditioning: Conditioning | None = None

    def _resolved(self, training: Training) -> Protocol:
        protocol = PROTOCOLS[training.protocol].part
        changes: dict[str, Any] = {}
        for player in ("generator", "critic"):
            adam, rate = getattr(protocol, f"{player}_adam"), getattr(training, f"{player}_lr")
            changes[f"{player}_adam"] = self._adam(adam, rate)
        if self.critic_steps is not None:
            changes["critic_steps"] = self.critic_steps
        for name in ("steps", "batch", "critic_steps", "latent"):
            if getattr(training, name) is not None:
                changes[name] = getattr(training, name)
        if self._unmixed():
            changes["critic"] = protocol.critic.unmixed()
        return replace(protocol, **changes)

    def _adam(self, adam: Optimiser, rate: float | None) -> Optimiser:
        if not isinstance(adam, Adam):
            return adam if rate is None else replace(adam, lr=rate)
        first, second = adam.betas
        momentum = first if self.momentum is None else self.momentum
        return replace(adam, lr=adam.lr if rate is None else rate, betas=(momentum, second))

    def _unmixed(self) -> bool:
        """Whether the critic may not have batch norm."""
        if self.penalty is not None and PENALTIES[self.penalty].facts.per_sample:
            return True
        return self.constraint is not None and CONSTRAINTS[self.constraint].facts.per_layer

    def _weight(self, training: Training) -> float:
        if self.penalty is None:
            return 0.0
        chosen = training.penalty_weight
        return PENALTIES[self.penalty].facts.weight if chosen is None else chosen

    def relevant(self, training: Training) -> dict[str, Any]:
        protocol = self._resolved(training)
        settings = {
            "protocol": training.protocol,
            "steps": protocol.steps,
            "batch": protocol.batch,
            "critic_steps": protocol.critic_steps,
            "generator_lr": protocol.generator_adam.lr,
            "critic_lr": protocol.critic_adam.lr,
            "latent": protocol.latent,
            **recorded(training),
        }
        if self.penalty is not None:
            settings["penalty_weight"] = self._weight(training)
        return settings

    def modules(self, training: Training) -> tuple[str, ...]:
        restraints = [PENALTIES[self.penalty].origin] if self.penalty else []
        restraints += [CONSTRAINTS[self.constraint].origin] if self.constraint else []
        restraints += [type(self.conditioning).__module__] if self.conditioning else []
        return (LOSSES[self.loss].origin, PROTOCOLS[training.protocol].origin, *restraints)

    def trainer(self, training: Training, shape: tuple[int, ...]) -> AdversarialTrainer:
        protocol, loss = self._resolved(training), LOSSES[self.loss]
        protocol.refuse(shape)
        return AdversarialTrainer(
            loss=loss.part(),
            relativistic=loss.facts.relativistic,
            penalty=None if self.penalty is None else PENALTIES[self.penalty].part,
            penalty_weight=self._weight(training),
            constraint=None if self.constraint is None else CONSTRAINTS[self.constraint].part,
            protocol=protocol,
            shape=shape,
            conditioning=self.conditioning,
            execution=execution_of(training),
        )

    def seconds(self, training: Training) -> float:
        protocol, usual = self._resolved(training), PROTOCOLS[training.protocol].part
        critic = protocol.critic_steps * (1 if self.penalty is None else PENALTY_COST)
        updates = (1 + critic) / (1 + usual.critic_steps) * protocol.batch / usual.batch
        return protocol.steps * updates * protocol.milliseconds / 1000
