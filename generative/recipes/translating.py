"""Recipes of image translation: pix2pix, CycleGAN, and each with a part taken away."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from bench.core.registry import Entry, NoFacts
from generative.contracts import LOSSES, RECIPES, Recipe, Trainer
from generative.games import cycle, paired
from generative.protocols.translation import TRANSLATION_PROTOCOLS, TranslationProtocol
from generative.trainers.execution import execution_of, recorded
from generative.trainers.game import GameTrainer
from generative.training import Training, told

ALONE = 0.55
"""The cost of a step without its adversary over one with it, about."""


@dataclass(frozen=True)
class Translating(Recipe):
    """Under the run's protocol, or the usual one of the recipe where the run names none."""

    usual: str

    def _entry(self, training: Training) -> Entry[TranslationProtocol, NoFacts]:
        return TRANSLATION_PROTOCOLS[training.protocol or self.usual]

    def _resolved(self, training: Training) -> TranslationProtocol:
        return told(self._entry(training).part, training)

    @abstractmethod
    def _weights(self) -> tuple[str, ...]:
        """The weights of its losses that it reads."""

    @property
    @abstractmethod
    def _contested(self) -> bool:
        """Whether it has an adversary."""

    def relevant(self, training: Training) -> dict[str, Any]:
        protocol = self._resolved(training)
        settings = {
            "protocol": self._entry(training).name,
            "steps": protocol.steps,
            "batch": protocol.batch,
            "generator_lr": protocol.generator_adam.lr,
            **recorded(training),
        }
        if self._contested:
            settings["critic_lr"] = protocol.critic_adam.lr
        return {**settings, **{name: getattr(protocol, name) for name in self._weights()}}

    def seconds(self, training: Training) -> float:
        protocol = self._resolved(training)
        batches = protocol.batch / self._entry(training).part.batch
        share = 1.0 if self._contested else ALONE
        return protocol.steps * batches * share * protocol.milliseconds / 1000


@dataclass(frozen=True)
class Paired(Translating):
    """loss: of the critic by name, or None for no critic; conditional: whether it sees the input;
    l1: whether the distance to the truth counts.
    """

    loss: str | None
    conditional: bool
    l1: bool

    @property
    def _contested(self) -> bool:
        return self.loss is not None

    def _weights(self) -> tuple[str, ...]:
        return ("l1_weight",) if self.l1 and self.loss else ()

    def modules(self, training: Training) -> tuple[str, ...]:
        losses = [LOSSES[self.loss].origin] if self.loss else []
        return (paired.__name__, self._entry(training).origin, *losses)

    def trainer(self, training: Training, shape: tuple[int, ...]) -> Trainer:
        protocol = self._resolved(training)
        protocol.refuse(shape)
        weight = (protocol.l1_weight if self.loss else 1.0) if self.l1 else 0.0
        game = paired.Paired(
            loss=LOSSES[self.loss].part() if self.loss else None,
            conditional=self.conditional,
            l1_weight=weight,
            protocol=protocol,
            shape=shape,
        )
        return GameTrainer(game, execution=execution_of(training))


@dataclass(frozen=True)
class Cycle(Translating):
    """contested: whether there are critics; cycle: whether the way back and the identity count."""

    contested: bool
    cycle: bool

    @property
    def _contested(self) -> bool:
        return self.contested

    def _weights(self) -> tuple[str, ...]:
        return ("cycle_weight", "identity_weight") if self.cycle else ()

    def modules(self, training: Training) -> tuple[str, ...]:
        loss = LOSSES["least-squares"].origin
        return (cycle.__name__, self._entry(training).origin, loss)

    def trainer(self, training: Training, shape: tuple[int, ...]) -> Trainer:
        protocol = self._resolved(training)
        protocol.refuse(shape)
        game = cycle.Cycle(
            loss=LOSSES["least-squares"].part(),
            contested=self.contested,
            cycle_weight=protocol.cycle_weight if self.cycle else 0.0,
            identity_weight=protocol.identity_weight if self.cycle else 0.0,
            protocol=protocol,
            shape=shape,
        )
        return GameTrainer(game, execution=execution_of(training))


_PIX2PIX = {"paper": "arXiv:1611.07004", "translates": True, "paired": True}
_CYCLEGAN = {"paper": "arXiv:1703.10593", "translates": True}
_NS, _LS = ("nonsaturating",), ("least-squares",)

RECIPES.register(
    "pix2pix",
    summary="pix2pix: a conditional critic of patches and L1 (Isola et al. 2017)",
    parts=_NS,
    **_PIX2PIX,
)(Paired("small-pix2pix", "nonsaturating", conditional=True, l1=True))

RECIPES.register(
    "pix2pix-l1", summary="pix2pix without its critic: L1 alone", role="baseline", **_PIX2PIX
)(Paired("small-pix2pix", None, conditional=False, l1=True))

RECIPES.register(
    "pix2pix-cgan",
    summary="pix2pix without L1: the conditional critic alone",
    parts=_NS,
    **_PIX2PIX,
)(Paired("small-pix2pix", "nonsaturating", conditional=True, l1=False))

RECIPES.register(
    "pix2pix-gan",
    summary="pix2pix with a critic that does not see the input, alone",
    parts=_NS,
    **_PIX2PIX,
)(Paired("small-pix2pix", "nonsaturating", conditional=False, l1=False))

RECIPES.register(
    "cyclegan",
    summary="CycleGAN: two generators that undo one another (Zhu et al. 2017)",
    parts=_LS,
    **_CYCLEGAN,
)(Cycle("small-cyclegan", contested=True, cycle=True))

RECIPES.register(
    "cyclegan-gan",
    summary="CycleGAN without the way back: its critics alone",
    parts=_LS,
    **_CYCLEGAN,
)(Cycle("small-cyclegan", contested=True, cycle=False))

RECIPES.register(
    "cyclegan-cycle", summary="CycleGAN without its critics: the way back alone", **_CYCLEGAN
)(Cycle("small-cyclegan", contested=False, cycle=True))
