"""The recipe of every model that encodes and decodes: an objective, under the run's protocol."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from generative.contracts import Recipe, Training
from generative.networks import Initialisation
from generative.protocols.base import PROTOCOLS, Adam, Protocol
from generative.trainers.encoding import EncodingTrainer, Objective
from generative.trainers.execution import execution_of, recorded

ADAM_RATE = 1e-3
"""Where the protocol trains its players without Adam."""
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
        adam = adam if isinstance(adam, Adam) else Adam(ADAM_RATE)
        changes: dict[str, Any] = {
            "generator": protocol.generator.unmixed(),
            "critic": protocol.critic.unmixed(),
            "initialisation": Initialisation(),
            "generator_adam": adam,
        }
        if training.generator_lr is not None:
            changes["generator_adam"] = replace(adam, lr=training.generator_lr)
        for name in ("steps", "batch", "latent"):
            if getattr(training, name) is not None:
                changes[name] = getattr(training, name)
        return replace(protocol, **changes)

    def relevant(self, training: Training) -> dict[str, Any]:
        protocol = self._resolved(training)
        return {
            "protocol": training.protocol,
            "steps": protocol.steps,
            "batch": protocol.batch,
            "generator_lr": protocol.generator_adam.lr,
            "latent": protocol.latent,
            **recorded(training),
        }

    def modules(self, training: Training) -> tuple[str, ...]:
        return (type(self.objective).__module__, PROTOCOLS[training.protocol].origin)

    def trainer(self, training: Training, shape: tuple[int, ...]) -> EncodingTrainer:
        protocol = self._resolved(training)
        protocol.refuse(shape)
        return EncodingTrainer(self.objective, protocol, shape, execution_of(training))

    def seconds(self, training: Training) -> float:
        protocol = self._resolved(training)
        updates = COST * protocol.batch / PROTOCOLS[training.protocol].part.batch
        return protocol.steps * updates * protocol.milliseconds / 1000
