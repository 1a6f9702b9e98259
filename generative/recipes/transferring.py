"""Translators that keep what a network sees in an image, which is learnt before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from generative.contents import Beforehand
from generative.contracts import RECIPES
from generative.games.perceiving import Perceiving
from generative.games.transferring import KINDS, Constancy, Transferring
from generative.networks import Dcgan, Network
from generative.protocols.translation import TranslationProtocol
from generative.recipes.beside import Beside
from generative.recipes.translating import Unpaired, Usual

LAYERS = Dcgan(32, layers=None)
"""Of 32 x 32 pixels: three convolutions and a dense layer, and the other way round."""
BEFORE = 0.25
"""The cost of a step in which the content is learnt over one of those after, about."""
READ = ("steps", "batch", "generator_lr", "critic_lr")


def cost(beforehand: Beforehand) -> float:
    """Of a training of both parts over one of the second alone."""
    share = beforehand.content_share
    return BEFORE * share + 1 - share


@dataclass(frozen=True)
class Transfer(Usual):
    """layers: of f, g and the critic."""

    layers: Network

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return READ

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"beforehand": Beforehand(), "constancy": Constancy()}

    def effort(self, rules: Any, usual: Any, parts: Mapping[str, Any]) -> float:
        return cost(parts["beforehand"])

    def game(
        self, rules: TranslationProtocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> Transferring:
        with torch.device("meta"):
            self.layers.generator(1, shape)
            self.layers.encoder(shape, KINDS)
        return Transferring(self.layers, parts["beforehand"], parts["constancy"], rules, shape)


@dataclass(frozen=True)
class Perceived(Beside[Unpaired]):
    """layers: of what sees."""

    layers: Network

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.plain.parts(settings), "beforehand": Beforehand()}

    def effort(self, rules: Any, usual: Any, parts: Mapping[str, Any]) -> float:
        return cost(parts["beforehand"]) * self.plain.effort(rules, usual, parts)

    def game(
        self, rules: TranslationProtocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> Perceiving:
        with torch.device("meta"):
            self.layers.encoder(shape, 1)
        plain = replace(rules, likeness_weight=0.0)
        own = self.plain.game(plain, parts, shape)
        return Perceiving(own, self.layers, parts["beforehand"], rules.likeness_weight)


RECIPES.register(
    "dtn",
    paper="arXiv:1611.02200",
    summary="Domain transfer network: keeps the classes that a fixed network sees (Taigman et al. "
    "2017)",
    translates=True,
    classed=True,
    exempt=(
        "a-weight-that-is-not-finite-diverges: its generator moves from the second step on",
        "instance-norm-looks-at-the-image-itself: its own layers have batch norm, as DCGAN's",
    ),
)(Transfer("small-dtn", LAYERS))

RECIPES.register(
    "feature-gan",
    paper="arXiv:1703.10593",
    summary="Feature loss + GAN: likeness to a fixed network (a row of CycleGAN's table 2)",
    translates=True,
    parts=("least-squares",),
    exempt="a-weight-that-is-not-finite-diverges: its generators move from the second step on",
)(Perceived(Unpaired("small-cyclegan", "least-squares", ("likeness_weight",)), LAYERS))
