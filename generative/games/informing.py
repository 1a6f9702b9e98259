"""InfoGAN (Chen et al. 2016, arXiv:1606.03657): codes that can be read in what is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, one_hot

from bench.core.errors import UsageError
from generative.contracts import CodeReader, Codes, Labels
from generative.games.wrapped import WrappedGan
from generative.networks import Network, Shape, layers_of
from generative.parts import CriticForm, GeneratorForm, Sight, Term
from generative.protocols.base import Prior
from generative.samplers import ContestedWrapping, GeneratorSampler
from generative.training import WEIGHT, Bounds

WIDTH = 128
"""Of the hidden layer of the reader Q, on the critic's features."""
CATEGORIES, NUMBERS = Bounds(2, 1_000), Bounds(0, 100)
Numbers = Float[Tensor, "n numbers"]
Read = Float[Tensor, "n read"]
"""The reader's outputs: a logit for each category, then the numbers it expects."""


@dataclass(frozen=True)
class Layout:
    """Where a draw of the prior, [n, latent], says what: first noise, then the numbers, then a
    value for each category, of which the largest wins. A number is the prior's distribution
    function of its value, on [-1, 1]. So every category is alike likely and every number uniform.
    """

    categories: int
    numbers: int
    prior: Prior

    @property
    def size(self) -> int:
        """Values of a code that are no noise."""
        return self.categories + self.numbers

    def said(self, z: Codes) -> tuple[Labels, Numbers]:
        """The category and the numbers of each code."""
        values = z[:, z.shape[1] - self.size : z.shape[1] - self.categories]
        numbers = values if self.prior == "uniform" else torch.erf(values / 2**0.5)
        return z[:, z.shape[1] - self.categories :].argmax(1), numbers

    def spelt(self, z: Codes) -> Tensor:
        """What the generator sees of codes: noise, numbers and a unit for each category, [n,
        latent].
        """
        category, numbers = self.said(z)
        units = one_hot(category, self.categories).to(z.dtype)
        return torch.cat([z[:, : z.shape[1] - self.size], numbers, units], 1)

    def saying(self, z: Codes, categories: Labels, numbers: Numbers) -> Codes:
        """Codes that say something else: the largest of the categories' values changes places."""
        start, first = z.shape[1] - self.size, z.shape[1] - self.categories
        inside = numbers.clamp(-1 + 1e-6, 1 - 1e-6)
        values = inside if self.prior == "uniform" else torch.erfinv(inside) * 2**0.5
        own = z[:, first:]
        at, to = own.argmax(1, keepdim=True), categories[:, None]
        moved = own.scatter(1, at, own.gather(1, to)).scatter(1, to, own.gather(1, at))
        return torch.cat([z[:, :start], values, moved], 1)


class Spelt(nn.Module):
    """A generator of noise, numbers and a category."""

    def __init__(self, network: nn.Module, layout: Layout) -> None:
        super().__init__()
        self.network, self.layout = network, layout

    def forward(self, z: Codes) -> Tensor:
        return self.network(self.layout.spelt(z))


class Informed(nn.Module):
    """A critic and a reader on its features. apart: whether the reader changes none of them."""

    def __init__(self, body: nn.Module, head: nn.Linear, read: int, apart: bool) -> None:
        super().__init__()
        self.body, self.head, self.apart = body, head, apart
        hidden = nn.Linear(head.in_features, WIDTH)
        self.reader = nn.Sequential(hidden, nn.LeakyReLU(0.2), nn.Linear(WIDTH, read))

    def forward(self, x: Tensor, features: bool = False) -> Any:
        seen = self.body(x).flatten(1)
        logits = self.head(seen).flatten(0)
        return (logits, self.reader(seen.detach() if self.apart else seen)) if features else logits


@dataclass(frozen=True)
class Code:
    """What codes say, and what the mutual information of codes and examples counts for both
    players; with 0 a reader is still trained, and no other weight sees what it reads.
    """

    information: Annotated[float, WEIGHT] = 1.0
    categories: Annotated[int, CATEGORIES] = 10
    numbers: Annotated[int, NUMBERS] = 2

    def layout(self, prior: Prior) -> Layout:
        """Of a protocol's codes."""
        return Layout(self.categories, self.numbers, prior)


@dataclass(frozen=True)
class Writer(GeneratorForm):
    """The protocol's generator, told what codes say."""

    layout: Layout

    def build(self, generator: Network, latent: int, shape: Shape, batch: int) -> nn.Module:
        return Spelt(generator.generator(latent, shape), self.layout)

    def begin(self, network: nn.Module, codes: Codes) -> None:
        """Nothing is drawn."""


@dataclass(frozen=True)
class Reader(CriticForm):
    """The protocol's critic, and on its last hidden layer a hidden one of 128 that reads codes."""

    code: Code

    def build(self, critic: Network, generator: Network, shape: Shape) -> nn.Module:
        *body, head = layers_of(critic.encoder(shape, 1))
        if not isinstance(head, nn.Linear):
            raise UsageError(
                "a reader of codes: expected a critic that ends in a linear layer, got "
                f"{type(head).__name__}: choose another protocol"
            )
        read, apart = self.code.categories + self.code.numbers, self.code.information == 0
        return Informed(nn.Sequential(*body), head, read, apart)


def unread(read: Read, category: Labels, numbers: Numbers) -> Float[Tensor, " n"]:
    """-log Q(c | x) up to a constant, in nats: of a category by softmax, of numbers by Gaussians of
    variance 1 about what is expected.
    """
    count = read.shape[1] - numbers.shape[1]
    missed = (read[:, count:] - numbers).square().sum(1) / 2
    return cross_entropy(read[:, :count], category, reduction="none") + missed


@dataclass(frozen=True)
class Unread(Term):
    """What cannot be read of codes in the fakes that were made of them: minus the bound L_I on
    their mutual information (equation 5), up to a constant. weight: of the player.
    """

    layout: Layout
    count: float

    @property
    def weight(self) -> float:
        return self.count

    def __call__(self, sight: Sight) -> Tensor:
        return unread(sight.of_fake[1], *self.layout.said(sight.codes))


class InformedSampler(ContestedWrapping, CodeReader):
    """A trained generator, the critic and its reader."""

    def __init__(self, own: GeneratorSampler, critic: nn.Module, layout: Layout) -> None:
        super().__init__(own)
        self._critic, self._layout = critic.eval(), layout
        self.categories, self.numbers = layout.categories, layout.numbers

    def said(self, z: Codes) -> tuple[Labels, Numbers]:
        return self._layout.said(z)

    def saying(self, z: Codes, categories: Labels, numbers: Numbers) -> Codes:
        return self._layout.saying(z, categories, numbers)

    def read(self, x: Tensor) -> tuple[Float[Tensor, "n categories"], Numbers]:
        with torch.set_grad_enabled(x.requires_grad):
            _, found = self._critic(x, features=True)
        return log_softmax(found[:, : self.categories], 1), found[:, self.categories :]


@dataclass(frozen=True)
class Informing(WrappedGan):
    """A GAN with such codes; both players minimise what cannot be read of them, beside their loss
    (equation 6; the authors' code weighs categories and numbers alike, by 1).

    Deviations: the reader has no batch norm, so that it reads every example by itself; optimisers
    are the protocol's. own: the GAN with a writer and a reader.
    """

    layout: Layout

    def model(self, own: GeneratorSampler, critic: nn.Module) -> InformedSampler:
        return InformedSampler(own, critic, self.layout)
