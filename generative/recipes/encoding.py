"""The recipe of every model that encodes and decodes: an objective, under the run's protocol."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from generative.contracts import Recipe
from generative.games import encoding
from generative.games.encoding import Objective
from generative.networks import Initialisation
from generative.protocols.base import PROTOCOLS, Adam, Protocol
from generative.trainers.execution import execution_of, recorded
from generative.trainers.game import GameTrainer
from generative.training import Training

ADAM_RATE = 1e-3
"""Where the protocol trains its players without Adam."""
READ = ("steps", "batch", "generator_lr", "latent")
"""What it reads of the protocol that a training may say otherwise."""
COST = 0.45
"""A step over one of the protocol's GANs, about."""


@dataclass(frozen=True)
class Encoding(Recipe):
    """Protocol, steps, batch and the generator's rate are the training's.

    The protocol's layers are taken without batch norm, whose statistics are those of the data's
    codes and not of codes that are drawn, and with PyTorch's initialisation.
    """

    objective: Objective

    def _resolved(self, training: Training) -> Protocol:
        protocol = PROTOCOLS[training.protocol].part
        adam = protocol.generator_adam
        unmixed = replace(
            protocol,
            generator=protocol.generator.unmixed(),
            critic=protocol.critic.unmixed(),
            initialisation=Initialisation(),
            generator_adam=adam if isinstance(adam, Adam) else Adam(ADAM_RATE),
        )
        return unmixed.told(training)

    def relevant(self, training: Training) -> dict[str, Any]:
        protocol = self._resolved(training)
        read = {name: getattr(protocol, name) for name in READ}
        return {"protocol": training.protocol, **read, **recorded(training)}

    def modules(self, training: Training) -> tuple[str, ...]:
        return (type(self.objective).__module__, PROTOCOLS[training.protocol].origin)

    def trainer(self, training: Training, shape: tuple[int, ...]) -> GameTrainer:
        protocol = self._resolved(training)
        protocol.refuse(shape)
        game = encoding.Encoding(self.objective, protocol, shape)
        return GameTrainer(game, execution=execution_of(training))

    def seconds(self, training: Training) -> float:
        protocol = self._resolved(training)
        updates = COST * protocol.batch / PROTOCOLS[training.protocol].part.batch
        return protocol.steps * updates * protocol.milliseconds / 1000
