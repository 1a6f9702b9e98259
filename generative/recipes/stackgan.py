"""StackGAN: text to a small image, then small image and text to a large one (Zhang et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from bench.core.errors import UsageError
from generative.captioncodes import Augmentation
from generative.conditioning import OfCaptions
from generative.contracts import RECIPES
from generative.games import matching, staged
from generative.halving import half, half_of
from generative.networks import Dcgan, Network, Shape
from generative.protocols.base import Protocol
from generative.pyramids.box import halvings
from generative.recipes.adversarial import Adversarial
from generative.recipes.beside import Beside
from generative.recipes.lapgan import lasting
from generative.recipes.text import Interpolation, Mismatch, TextToImage
from generative.stages import StagePlan
from generative.staging import Onto, Staged
from generative.trainers.succession import Succession

LEAST = 4
"""The shortest side of the first stage's images."""
CAPTIONS = OfCaptions()
FIRST_COST, SECOND_COST = 0.65, 2.5
"""A step of each stage over one of a plain game at the full size, about."""


@dataclass(frozen=True)
class Stackgan(Beside[TextToImage]):
    """GAN-INT-CLS with conditioning augmentation on images of half the size, for half of the steps;
    then, for the others, a second stage that is given its samples and the caption once more, with a
    matching-aware critic of its own.

    stages: 2, or 1 for the first alone: trained as long as it is under a second one, each pixel of
    its samples a block. Averages are over as large a share of a stage's steps as the protocol's of
    all. Deviations: means of captions, which the paper has not (`interpolation=0`); first stages
    have the protocol's layers, convolutions of 5 x 5 where sides are odd; further those of
    `StagePlan`, `Augmentation` and `OfCaptions`.
    """

    own_layers = True
    stages: Literal[1, 2] = 2

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        own = {**self.plain.parts(settings), "caption": Augmentation()}
        return {**own, "stage": StagePlan()} if self.stages == 2 else own

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Succession:
        _refuse(shape, rules.steps)
        small = half(shape)
        told = Staged(CAPTIONS, parts["caption"], rules.prior)
        seconds = rules.steps // 2
        lengths = (rules.steps - seconds, seconds)
        codes = (rules.latent + told.captions_own, rules.latent + 2 * told.captions_own)
        both = [
            replace(lasting(rules, steps), latent=latent)
            for steps, latent in zip(lengths, codes, strict=True)
        ]
        layers = {k: fitting(getattr(rules, k), small) for k in ("generator", "critic")}
        one = self._matching(replace(both[0], **layers), parts, small, told)
        first = staged.FirstStage(replace(one, seen=half_of), shape)
        if self.stages == 1:
            return Succession((lambda done: first,), lengths[:1], first)
        onto = Onto(parts["stage"], small)
        two = self._matching(both[1], parts, shape, replace(told, onto=onto))
        second = staged.SecondStage(two, first)

        def on(done: Any) -> staged.SecondStage:
            return replace(second, below=done[0])

        return Succession((lambda done: first, on), lengths, second)

    def _matching(
        self, rules: Protocol, parts: Mapping[str, Any], shape: Shape, told: Staged
    ) -> matching.Matching:
        """The game of one stage. Raises UsageError for layers that can't make such images."""
        game = self.plain.game(rules, parts, shape)
        game = replace(
            game,
            own=replace(game.own, conditioning=told),
            divergence=parts["caption"].kl_weight,
        )
        with torch.device("meta"):
            game.own.built(1)
        return game

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        cost = (FIRST_COST + SECOND_COST * (self.stages == 2)) / 2
        return cost * self.plain.effort(rules, usual, parts)


def fitting(network: Network, shape: Shape) -> Network:
    """Layers for images of a shape: convolutions of 5 x 5 where those of 4 x 4 don't fit."""
    if not isinstance(network, Dcgan):
        return network
    try:
        with torch.device("meta"):
            network.encoder(shape, 1)
    except UsageError:
        return replace(network, kernel=5)
    return network


def _refuse(shape: Shape, steps: int) -> None:
    """Raise UsageError for what has no first stage, or can't be trained in so few steps."""
    if len(shape) != 3 or halvings(shape[1:], LEAST) < 1:
        raise UsageError(
            f"a first stage of half the size needs images of {2 * LEAST - 1} pixels a side and "
            f"more, got examples of shape {list(shape)}: choose another model, or images of "
            "another size"
        )
    if steps < 2:
        raise UsageError(
            f"steps: expected 2 at least, half of them for each stage, got {steps}: the second "
            "would not be trained"
        )


TEXT = TextToImage(Adversarial("nonsaturating", conditioning=CAPTIONS), Mismatch(), Interpolation())
_FACTS: dict[str, Any] = {
    "paper": "arXiv:1612.03242",
    "parts": ("nonsaturating",),
    "captioned": True,
    "images_only": "its captions are of images",
}

RECIPES.register(
    "stackgan",
    summary="StackGAN: a small image of the caption, then a large one of both (Zhang et al. 2017)",
    **_FACTS,
)(Stackgan(TEXT))

RECIPES.register(
    "stackgan-one",
    summary="StackGAN's first stage alone, each pixel as a block",
    **_FACTS,
)(Stackgan(TEXT, 1))
