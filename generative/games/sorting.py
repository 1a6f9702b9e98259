"""CatGAN (Springenberg 2016, arXiv:1511.06390): a critic that sorts reals, unsure of fakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from generative.contracts import Batches, Codes, Data, LabelledBatches, Logits, Sorter
from generative.games.adversarial import CRITIC, GENERATOR, Adversarial
from generative.games.base import Players
from generative.games.wrapped import Wrapped
from generative.networks import Network, Shape
from generative.parts import CriticForm, Sight, Term
from generative.samplers import GeneratorSampler, load
from generative.training import Bounds

Sorted = Float[Tensor, "n categories"]
"""Logits of categories."""


def entropy(logits: Sorted) -> Float[Tensor, " n"]:
    """H[p(y|x)] of each, in nats."""
    logs = log_softmax(logits, 1)
    return -(logs.exp() * logs).sum(1)


def entropy_of_all(logits: Sorted) -> Float[Tensor, ""]:
    """H[p(y)] of the mean over the batch, in nats: log K where categories are alike often."""
    mean = log_softmax(logits, 1).logsumexp(0) - torch.log(torch.tensor(float(len(logits))))
    return -(mean.exp() * mean).sum()


class Sorting(nn.Module):
    """A critic whose features are the logits of its categories, and whose own logit is minus their
    entropy: high for what it is sure of.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, features: bool = False) -> Any:
        found = self.network(x)
        return (-entropy(found), found) if features else -entropy(found)


@dataclass(frozen=True)
class Categories(CriticForm):
    """The protocol's critic with an output for each category."""

    categories: Annotated[int, Bounds(2, 1_000)] = 10

    def build(self, critic: Network, generator: Network, shape: Shape) -> nn.Module:
        return Sorting(critic.encoder(shape, self.categories))


@dataclass(frozen=True)
class Sure(Term):
    """The critic minimises H[p(y|x)] - H[p(y)] over reals, less H[p(y|x)] over fakes (equation 7):
    it is sure of each real, has every category alike often, and is unsure of fakes.
    """

    @property
    def weight(self) -> float:
        return 1.0

    def __call__(self, sight: Sight) -> Tensor:
        real, fake = sight.of_real[1], sight.of_fake[1]
        return entropy(real) - entropy_of_all(real) - entropy(fake)


@dataclass(frozen=True)
class Sortable(Term):
    """The generator minimises H[p(y|x)] - H[p(y)] over fakes (equation 8)."""

    @property
    def weight(self) -> float:
        return 1.0

    def __call__(self, sight: Sight) -> Tensor:
        fake = sight.of_fake[1]
        return entropy(fake) - entropy_of_all(fake)


class SortingSampler(Sorter):
    """A trained generator, and the critic that sorts."""

    def __init__(self, own: GeneratorSampler, critic: nn.Module, categories: int) -> None:
        self.own, self.prior, self._critic = own, own.prior, critic.eval()
        self.categories = categories

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.own.sample(n, rng)

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self.own.codes(n, rng)

    def decode(self, z: Codes) -> Tensor:
        return self.own.decode(z)

    def logits(self, x: Tensor) -> Logits:
        return self.own.logits(x)

    def sort(self, x: Tensor) -> Sorted:
        with torch.set_grad_enabled(x.requires_grad):
            return log_softmax(self._critic(x, features=True)[1], 1)

    def tensors(self) -> dict[str, Tensor]:
        return self.own.tensors()


@dataclass(frozen=True)
class CatGan(Wrapped):
    """A GAN whose players' losses are those two terms alone. own: with a critic of categories."""

    own: Adversarial
    categories: int

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        return self.own.players(data, rng)

    def batches(self, data: Data) -> Batches | LabelledBatches:
        return self.own.batches(data)

    def fitted(self, players: Players, data: Data) -> SortingSampler:
        generator, critic = players[GENERATOR], players[CRITIC]
        own = GeneratorSampler(generator, critic, self.protocol, self.own.shape)
        return SortingSampler(own, critic, self.categories)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> SortingSampler:
        players = self.players(data, None)
        load(dict(tensors), players[GENERATOR], players[CRITIC])
        return self.fitted(players, data)
