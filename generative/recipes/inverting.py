"""IcGAN: a conditional GAN, and then its encoders (Perarnau et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from bench.core.errors import UsageError
from generative.conditioning import Concatenation
from generative.contracts import RECIPES, Fitted
from generative.games.inverting import Inverting
from generative.games.mislabelled import Mislabelled
from generative.protocols.base import Protocol
from generative.recipes.adversarial import Adversarial
from generative.recipes.beside import Beside
from generative.recipes.lapgan import lasting
from generative.recipes.text import WRONG_COST, Mismatch
from generative.trainers.succession import Succession
from generative.training import Bounds

COST = 0.7
"""A step of both encoders over one of a plain GAN, about."""


@dataclass(frozen=True)
class Encoders:
    """The share of the steps in which the encoders are trained, at the end."""

    encoder_share: Annotated[float, Bounds(0.01, 0.99)] = 0.4


@dataclass(frozen=True)
class Inverted(Beside[Adversarial]):
    """plain: told the class. It is trained first, and then, for a share of the steps, its encoders.
    Deviation: the label joins the image, in the paper the first layer of the critic.
    """

    mismatch: Mismatch
    encoders: Encoders

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        own = {"mismatch": self.mismatch, "encoders": self.encoders}
        return {**self.plain.parts(settings), **own}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Succession:
        seconds = max(1, round(rules.steps * parts["encoders"].encoder_share))
        lengths = rules.steps - seconds, seconds
        if not lengths[0]:
            raise UsageError(f"steps: expected 2 at least, one for the encoders, got {rules.steps}")
        first, second = (lasting(rules, n) for n in lengths)
        gan = Mislabelled(
            self.plain.game(first, parts, shape), parts["mismatch"].mismatch, first, shape
        )
        last = Inverting(gan, second, shape)

        def found(done: Sequence[Fitted]) -> Inverting:
            below: Any = done[0]
            return replace(last, below=below)

        return Succession((lambda done: gan, found), lengths, last)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        share = parts["encoders"].encoder_share
        gan = self.plain.effort(rules, usual, parts) + WRONG_COST * (parts["mismatch"].mismatch > 0)
        return (1 - share) * gan + share * COST


RECIPES.register(
    "icgan",
    paper="arXiv:1611.06355",
    summary="IcGAN: a conditional GAN, then encoders of its codes and of classes (Perarnau et al. "
    "2016)",
    parts=("nonsaturating",),
    labelled=True,
    edits=True,
    images_only="the label is told as channels of an image",
)(Inverted(Adversarial("nonsaturating", conditioning=Concatenation()), Mismatch(), Encoders()))
