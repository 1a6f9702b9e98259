"""Recipes of image translation: pix2pix, CycleGAN, and each with a part taken away."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from bench.core.registry import Entry
from generative.contracts import CONSTRAINTS, LOSSES, RECIPES
from generative.games import cycle, inverse, paired
from generative.protocols.translation import TRANSLATION_PROTOCOLS, TranslationProtocol
from generative.recipes.playing import Playing
from generative.training import Training

ALONE = 0.55
"""The cost of a step without its adversary over one with it, about."""
CRITICS_COST = 0.5
"""What another step of the critics, on new translations, adds to it."""


@dataclass(frozen=True)
class Usual(Playing):
    """Under the run's protocol of translators, or the usual one of the recipe where the run names
    none.
    """

    usual: str

    @final
    def entry(self, training: Training) -> Entry[TranslationProtocol, Any]:
        return TRANSLATION_PROTOCOLS[training.protocol or self.usual]

    @final
    def rules(self, training: Training) -> TranslationProtocol:
        return self.entry(training).part.told(training.settings)


@dataclass(frozen=True)
class Translating(Usual):
    """loss: of the critics by name, or None for no critics."""

    loss: str | None

    @abstractmethod
    def weights(self) -> tuple[str, ...]:
        """The weights of its losses that it reads."""

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        critic = ("critic_lr",) if self.loss else ()
        return ("steps", "batch", "generator_lr", *critic, *self.weights())

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"loss": LOSSES[self.loss].part()} if self.loss else {}

    def effort(self, rules: Any, usual: Any, parts: Mapping[str, Any]) -> float:
        return 1.0 if self.loss else ALONE


@dataclass(frozen=True)
class Paired(Translating):
    """conditional: whether the critic sees the input; l1: whether the distance to the truth
    counts.
    """

    conditional: bool
    l1: bool

    def weights(self) -> tuple[str, ...]:
        return ("l1_weight",) if self.l1 and self.loss else ()

    def game(
        self, rules: TranslationProtocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> paired.Paired:
        weight = (rules.l1_weight if self.loss else 1.0) if self.l1 else 0.0
        return paired.Paired(parts.get("loss"), self.conditional, weight, rules, shape)


@dataclass(frozen=True)
class Cycle(Translating):
    """cycle: whether the way back and the identity count."""

    cycle: bool

    def weights(self) -> tuple[str, ...]:
        return ("cycle_weight", "identity_weight") if self.cycle else ()

    def game(
        self, rules: TranslationProtocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> cycle.Cycle:
        weights = (rules.cycle_weight, rules.identity_weight) if self.cycle else (0.0, 0.0)
        return cycle.Cycle(parts.get("loss"), *weights, rules, shape)


@dataclass(frozen=True)
class Unpaired(Translating):
    """Other ways of what CycleGAN does, and what it was compared with. read_weights: the weights
    that count, the others being 0. squared, constraint by name, critic_steps: as in the game.
    """

    read_weights: tuple[str, ...]
    squared: bool = False
    constraint: str | None = None
    critic_steps: int = 1

    def weights(self) -> tuple[str, ...]:
        return self.read_weights

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        found = super().parts(settings)
        return (
            {**found, "constraint": CONSTRAINTS[self.constraint].part} if self.constraint else found
        )

    def effort(self, rules: Any, usual: Any, parts: Mapping[str, Any]) -> float:
        return 1.0 + CRITICS_COST * (self.critic_steps - 1)

    def game(
        self, rules: TranslationProtocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> cycle.Cycle:
        named = ("cycle_weight", "identity_weight", "likeness_weight")
        back, same, like = (
            getattr(rules, name) if name in self.read_weights else 0.0 for name in named
        )
        return cycle.Cycle(
            parts["loss"],
            back,
            same,
            rules,
            shape,
            self.squared,
            like,
            parts.get("constraint"),
            self.critic_steps,
        )


@dataclass(frozen=True)
class Joint(Translating):
    """A critic of both images of a pair."""

    def weights(self) -> tuple[str, ...]:
        return ()

    def game(
        self, rules: TranslationProtocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> inverse.Inverse:
        return inverse.Inverse(parts["loss"], rules, shape)


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
)(Cycle("small-cyclegan", "least-squares", cycle=True))

RECIPES.register(
    "cyclegan-gan",
    summary="CycleGAN without the way back: its critics alone",
    parts=_LS,
    **_CYCLEGAN,
)(Cycle("small-cyclegan", "least-squares", cycle=False))

RECIPES.register(
    "cyclegan-cycle", summary="CycleGAN without its critics: the way back alone", **_CYCLEGAN
)(Cycle("small-cyclegan", None, cycle=True))

RECIPES.register(
    "discogan",
    paper="arXiv:1703.05192",
    summary="DiscoGAN: likewise, the way back by squared distances, no identity (Kim et al. 2017)",
    translates=True,
    parts=_NS,
)(Unpaired("small-discogan", "nonsaturating", ("cycle_weight",), squared=True))

RECIPES.register(
    "dualgan",
    paper="arXiv:1704.02510",
    summary="DualGAN: likewise by Wasserstein critics with clipped weights (Yi et al. 2017)",
    translates=True,
    parts=("wasserstein", "clip"),
    exempt=(
        "learning-changes-every-weight: a constant added to a Wasserstein critic counts for "
        "nothing, so that its last bias stands still",
        "a-weight-that-is-not-finite-diverges: its critics move again within the step, and see it",
    ),
)(Unpaired("small-dualgan", "wasserstein", ("cycle_weight",), constraint="clip", critic_steps=3))

RECIPES.register(
    "simgan",
    paper="arXiv:1612.07828",
    summary="SimGAN: critics, and the distance to what is translated (Shrivastava et al. 2017)",
    translates=True,
    parts=_LS,
)(Unpaired("small-cyclegan", "least-squares", ("likeness_weight",)))

RECIPES.register(
    "bigan-translator",
    paper="arXiv:1605.09782",
    summary="BiGAN with images for codes: one critic of pairs (a row of CycleGAN's table 2)",
    translates=True,
    parts=_NS,
)(Joint("small-cyclegan", "nonsaturating"))
