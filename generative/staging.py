"""Players of two stages that are told captions: what a code is, and how a caption enters it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from generative.captioncodes import Augmentation, caption_code, drawn_by, standard
from generative.conditioning import Around, OfCaptions
from generative.networks import Network, Shape
from generative.protocols.base import Prior
from generative.stages import StagePlan


@dataclass(frozen=True)
class Onto:
    """What a second stage stands on: the plan of its layers, the first one's images, and its
    generator as it was trained, None until it is.
    """

    plan: StagePlan
    small: Shape
    below: nn.Module | None = None


@dataclass(frozen=True)
class Staged(Around):
    """As `own`, with a generator that draws its caption's numbers: they are the last of a code, of
    which `prior` says how they are drawn. onto: of a second stage, whose code begins with the first
    one's.
    """

    own: OfCaptions
    augmentation: Augmentation
    prior: Prior
    onto: Onto | None = None

    @property
    def captions_own(self) -> int:
        """How many numbers of a code are the caption's draw."""
        return drawn_by(self.own.project, self.augmentation)

    def generator(self, network: Network, latent: int, shape: Shape, told: int) -> nn.Module:
        if self.onto is None and self.augmentation.plain:
            return self.own.generator(network, latent, shape, told)
        code = caption_code(told, self.own.project, self.augmentation)
        split = (latent - self.captions_own, self.captions_own)
        if self.onto is None:
            made = network.generator(split[0] + self.own.project, shape)
            return DrawnCaption(made, code, split, self.prior)
        made = self.onto.plan.build(self.onto.small, shape, self.own.project)
        return DrawnCaption(made, code, split, self.prior, self.onto.below)

    def critic(self, network: Network, shape: Shape, told: int) -> nn.Module:
        return self.own.critic(network, shape, told)


class DrawnCaption(nn.Module):
    """A generator whose codes carry what is drawn of a caption. split: how many numbers of a code
    are its own, and how many the caption's. below: of a second stage the generator of the first, by
    whose images its network begins, and whose code its own numbers are; none of its weights are
    this one's.
    """

    def __init__(
        self,
        network: nn.Module,
        told: nn.Module,
        split: tuple[int, int],
        prior: Prior,
        below: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.network, self.told = network, told
        self._split, self._below = split, (below,)
        self._prior: Prior = prior

    def forward(self, z: Tensor, vectors: Tensor, divergence: bool = False) -> Tensor:
        """Examples of codes [n, latent] and vectors [n, told]; or what is paid for these, [n]."""
        told: Any = self.told
        if divergence:
            return told.divergence(vectors)
        own, drawn = z.split(self._split, 1)
        number, (below,) = told(vectors, standard(drawn, self._prior)), self._below
        if below is None:
            return self.network(torch.cat([own, number], 1))
        return self.network(below(own, vectors).float(), number)
