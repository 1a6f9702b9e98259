"""Captions that say a class, and a critic of images beside captions that says it too."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bench.core.errors import UsageError
from generative.conditioning import Around, OfCaptions
from generative.contracts import Captioned, Captions, Data, Labels
from generative.networks import Network, Shape


@runtime_checkable
class Subjects(Captioned, Protocol):
    """Captions of which each says one of some classes. kinds: how many classes. others_told: as
    `others`, with the captions that the images have.
    """

    kinds: int

    def kind_of(self, tokens: Captions) -> Labels:
        """The class that each caption says, 0 to kinds - 1."""
        ...

    def others_told(self, tokens: Captions, rng: torch.Generator) -> tuple[Tensor, Captions]: ...


def with_subjects(data: Data) -> Subjects:
    """Data as captions that say a class. Raises UsageError where they say none."""
    if not isinstance(data, Subjects):
        raise UsageError(
            "this model is told captions that say a class, and these data have none: "
            "captions@digits has"
        )
    return data


def kinds_told(vectors: Float[Tensor, "n told"], data: Subjects) -> Labels:
    """The classes that captions say, by the vectors that the players are told, [n]."""
    every = data.encode(data.prompts)
    nearest = torch.cdist(vectors, every, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
    return data.kind_of(data.prompts)[nearest]


class NamingImage(nn.Module):
    """A critic that sees an image and its caption, and then both, of which one layer judges and
    another says the class: logits [n], and with `features=True` those of the classes, [n, kinds].
    """

    def __init__(
        self, network: nn.Module, features: int, told: int, project: int, kinds: int
    ) -> None:
        super().__init__()
        self.network, self.activation = network, nn.LeakyReLU(0.2)
        self.told = nn.Linear(told, project)
        self.both, self.score = nn.Linear(features + project, features), nn.Linear(features, 1)
        self.kinds = nn.Linear(features, kinds)

    def forward(self, x: Tensor, vectors: Float[Tensor, "n told"], features: bool = False) -> Any:
        seen, told = self.activation(self.network(x)), self.activation(self.told(vectors))
        joined = self.activation(self.both(torch.cat([seen, told], 1)))
        logits = self.score(joined).flatten(0)
        return (logits, self.kinds(joined)) if features else logits


@dataclass(frozen=True)
class NamedCaptions(Around):
    """As `OfCaptions`, with a critic that names one of `kinds` classes."""

    kinds: int
    own: OfCaptions = field(default_factory=OfCaptions)

    def of(self, data: Data) -> NamedCaptions:
        """For the classes of these data."""
        return replace(self, kinds=with_subjects(data).kinds)

    def generator(self, network: Network, latent: int, shape: Shape, told: int) -> nn.Module:
        return self.own.generator(network, latent, shape, told)

    def critic(self, network: Network, shape: Shape, told: int) -> nn.Module:
        features, project = self.own.features, self.own.project
        return NamingImage(network.encoder(shape, features), features, told, project, self.kinds)
