"""The recipe of every GAN: a loss, under the protocol that the run names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from generative.contracts import LOSSES, Recipe, Training
from generative.protocols.base import PROTOCOLS, Protocol
from generative.trainers.adversarial import AdversarialTrainer


@dataclass(frozen=True)
class Adversarial(Recipe):
    """A loss by name. Protocol, steps, batch, critic steps and rates are the training's."""

    loss: str

    def _resolved(self, training: Training) -> Protocol:
        protocol = PROTOCOLS[training.protocol].part
        changes: dict[str, Any] = {}
        if training.generator_lr is not None:
            changes["generator_adam"] = replace(protocol.generator_adam, lr=training.generator_lr)
        if training.critic_lr is not None:
            changes["critic_adam"] = replace(protocol.critic_adam, lr=training.critic_lr)
        for name in ("steps", "batch", "critic_steps"):
            if getattr(training, name) is not None:
                changes[name] = getattr(training, name)
        return replace(protocol, **changes)

    def relevant(self, training: Training) -> dict[str, Any]:
        protocol = self._resolved(training)
        return {
            "protocol": training.protocol,
            "steps": protocol.steps,
            "batch": protocol.batch,
            "critic_steps": protocol.critic_steps,
            "generator_lr": protocol.generator_adam.lr,
            "critic_lr": protocol.critic_adam.lr,
        }

    def modules(self, training: Training) -> tuple[str, ...]:
        return (LOSSES[self.loss].origin, PROTOCOLS[training.protocol].origin)

    def trainer(self, training: Training, shape: tuple[int, ...]) -> AdversarialTrainer:
        protocol, loss = self._resolved(training), LOSSES[self.loss]
        return AdversarialTrainer(
            loss=loss.part(),
            relativistic=loss.facts.relativistic,
            generator=protocol.generator,
            critic=protocol.critic,
            initialisation=protocol.initialisation,
            generator_adam=protocol.generator_adam,
            critic_adam=protocol.critic_adam,
            latent=protocol.latent,
            batch=protocol.batch,
            total_steps=protocol.steps,
            critic_steps=protocol.critic_steps,
            shape=shape,
        )

    def seconds(self, training: Training) -> float:
        protocol = self._resolved(training)
        updates = (1 + protocol.critic_steps) / (1 + PROTOCOLS[training.protocol].part.critic_steps)
        return protocol.steps * updates * protocol.milliseconds / 1000
