"""The recipe of every GAN: a loss and what restrains its critic, under the run's protocol."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from generative.conditioning import Conditioning
from generative.contracts import CONSTRAINTS, LOSSES, PENALTIES, Recipe
from generative.games import adversarial
from generative.protocols.base import PROTOCOLS, Adam, Optimiser, Protocol
from generative.trainers.execution import execution_of, recorded
from generative.trainers.game import GameTrainer
from generative.training import Training

READ = ("steps", "batch", "critic_steps", "generator_lr", "critic_lr", "latent")
"""What it reads of the protocol that a training may say otherwise."""
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
        own = replace(
            protocol,
            critic=protocol.critic.unmixed() if self._unmixed() else protocol.critic,
            generator_adam=self._adam(protocol.generator_adam),
            critic_adam=self._adam(protocol.critic_adam),
            critic_steps=self.critic_steps or protocol.critic_steps,
        )
        return own.told(training)

    def _adam(self, adam: Optimiser) -> Optimiser:
        if self.momentum is None or not isinstance(adam, Adam):
            return adam
        return replace(adam, betas=(self.momentum, adam.betas[1]))

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
        read = {name: getattr(protocol, name) for name in READ}
        settings = {"protocol": training.protocol, **read, **recorded(training)}
        if self.penalty is not None:
            settings["penalty_weight"] = self._weight(training)
        return settings

    def modules(self, training: Training) -> tuple[str, ...]:
        restraints = [PENALTIES[self.penalty].origin] if self.penalty else []
        restraints += [CONSTRAINTS[self.constraint].origin] if self.constraint else []
        restraints += [type(self.conditioning).__module__] if self.conditioning else []
        return (LOSSES[self.loss].origin, PROTOCOLS[training.protocol].origin, *restraints)

    def trainer(self, training: Training, shape: tuple[int, ...]) -> GameTrainer:
        protocol, loss = self._resolved(training), LOSSES[self.loss]
        protocol.refuse(shape)
        game = adversarial.Adversarial(
            loss=loss.part(),
            relativistic=loss.facts.relativistic,
            penalty=None if self.penalty is None else PENALTIES[self.penalty].part,
            penalty_weight=self._weight(training),
            constraint=None if self.constraint is None else CONSTRAINTS[self.constraint].part,
            protocol=protocol,
            shape=shape,
            conditioning=self.conditioning,
        )
        return GameTrainer(game, execution=execution_of(training))

    def seconds(self, training: Training) -> float:
        protocol, usual = self._resolved(training), PROTOCOLS[training.protocol].part
        critic = protocol.critic_steps * (1 if self.penalty is None else PENALTY_COST)
        updates = (1 + critic) / (1 + usual.critic_steps) * protocol.batch / usual.batch
        return protocol.steps * updates * protocol.milliseconds / 1000
