"""How a class or a caption enters a conditional GAN: beside the code, beside or after the image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import one_hot

from bench.core.errors import UsageError
from generative.contracts import Captioned, Data, Decoder, LabelledBatches, Labels
from generative.networks import Network, Shape
from generative.protocols.base import Protocol
from generative.samplers import CaptionGeneratorSampler, ConditionalGeneratorSampler


class Conditioning(ABC):
    """The two players of a conditional GAN on a protocol's layers, and what they are told. headed:
    whether the critic says which class it sees: its features are logits of the classes.
    """

    headed: ClassVar[bool] = False

    @abstractmethod
    def generator(self, network: Network, latent: int, shape: Shape, told: int) -> nn.Module:
        """Codes [n, latent] and what is told of them to examples; told: its `width`."""

    @abstractmethod
    def critic(self, network: Network, shape: Shape, told: int) -> nn.Module:
        """Examples [n, *shape] and what is told of them to logits [n]."""

    @abstractmethod
    def width(self, data: Data) -> int:
        """How many classes, or how many numbers of a caption's vector."""

    @abstractmethod
    def batches(self, data: Data) -> LabelledBatches:
        """Examples and their labels, or captions. Raises UsageError for data without."""

    @abstractmethod
    def told(self, labels: Tensor, data: Data) -> Tensor:
        """What the players are told of labels or captions, [n, ...]."""

    @abstractmethod
    def drawn(self, n: int, data: Data, rng: torch.Generator) -> Tensor:
        """What a generator is told of `n` new samples."""

    @abstractmethod
    def fitted(
        self, generator: nn.Module, critic: nn.Module, protocol: Protocol, shape: Shape, data: Data
    ) -> Decoder:
        """The model of both players as they are now."""


class Around(Conditioning):
    """As another one, but for the two players, which are said by who goes around it."""

    own: Any
    """What is told, and how: a `Conditioning`."""

    @final
    def width(self, data: Data) -> int:
        return self.own.width(data)

    @final
    def batches(self, data: Data) -> LabelledBatches:
        return self.own.batches(data)

    @final
    def told(self, labels: Tensor, data: Data) -> Tensor:
        return self.own.told(labels, data)

    @final
    def drawn(self, n: int, data: Data, rng: torch.Generator) -> Tensor:
        return self.own.drawn(n, data, rng)

    @final
    def fitted(
        self, generator: nn.Module, critic: nn.Module, protocol: Protocol, shape: Shape, data: Data
    ) -> Decoder:
        return self.own.fitted(generator, critic, protocol, shape, data)


class OfClasses(Conditioning):
    """They are told the class."""

    def generator(self, network: Network, latent: int, shape: Shape, told: int) -> nn.Module:
        """The label joins the code, one unit a class (Mirza & Osindero 2014, section 3.2)."""
        return LabelledCode(network.generator(latent + told, shape), told)

    def width(self, data: Data) -> int:
        return data.classes

    def batches(self, data: Data) -> LabelledBatches:
        return data.labelled_batches()

    def told(self, labels: Tensor, data: Data) -> Tensor:
        return labels

    def drawn(self, n: int, data: Data, rng: torch.Generator) -> Tensor:
        """Every class alike likely."""
        return torch.randint(data.classes, (n,), generator=rng, device=rng.device)

    def fitted(
        self, generator: nn.Module, critic: nn.Module, protocol: Protocol, shape: Shape, data: Data
    ) -> Decoder:
        return ConditionalGeneratorSampler(generator, critic, protocol, shape, data.classes)


@dataclass(frozen=True)
class Concatenation(OfClasses):
    """The critic sees the label as one more channel for each class, its largest value everywhere or
    its smallest (Mirza & Osindero 2014 in the form that later convolutional GANs gave it; theirs
    were dense).
    """

    def critic(self, network: Network, shape: Shape, told: int) -> nn.Module:
        seen = (shape[0] + told, *shape[1:])
        return LabelledImage(network.encoder(seen, 1), told)


@dataclass(frozen=True)
class Projection(OfClasses):
    """The critic's logit is psi(phi(x)) + <v_y, phi(x)>, with a vector v for each class (Miyato &
    Koyama 2018, equation 5). phi: `features` outputs of the protocol's encoder, then a leaky ReLU.
    Deviations: the paper's phi is a sum over places, its critic is spectrally normalised with a
    hinge loss, and its generator has conditional batch norm; here the recipe says the loss, and the
    generator's label joins the code.
    """

    features: int = 128

    def critic(self, network: Network, shape: Shape, told: int) -> nn.Module:
        return Projected(network.encoder(shape, self.features), self.features, told)


@dataclass(frozen=True)
class OfCaptions(Conditioning):
    """They are told the vector of a caption, which each brings to `told` numbers of its own by a
    layer and a leaky ReLU (Reed et al. 2016, section 4.1). The generator's join the code, the
    critic's `features` outputs of the protocol's encoder; a layer looks at both, and another
    judges. Deviation: in the paper they join its last 4 x 4 places, by a 1 x 1 convolution.
    """

    project: int = 32
    features: int = 128

    def generator(self, network: Network, latent: int, shape: Shape, told: int) -> nn.Module:
        made = network.generator(latent + self.project, shape)
        return CaptionedCode(made, told, self.project)

    def critic(self, network: Network, shape: Shape, told: int) -> nn.Module:
        seen = network.encoder(shape, self.features)
        return CaptionedImage(seen, self.features, told, self.project)

    def width(self, data: Data) -> int:
        found = captioned(data)
        return found.encode(found.prompts[:1]).shape[1]

    def batches(self, data: Data) -> LabelledBatches:
        return captioned(data).captioned_batches()

    def told(self, labels: Tensor, data: Data) -> Tensor:
        return captioned(data).encode(labels)

    def drawn(self, n: int, data: Data, rng: torch.Generator) -> Tensor:
        """As often as training images have them."""
        found = captioned(data)
        return found.encode(found.asked(n, rng))

    def fitted(
        self, generator: nn.Module, critic: nn.Module, protocol: Protocol, shape: Shape, data: Data
    ) -> Decoder:
        return CaptionGeneratorSampler(generator, critic, protocol, shape, captioned(data))


def captioned(data: Data) -> Captioned:
    """Data as images with captions. Raises UsageError where they have none."""
    if not isinstance(data, Captioned):
        raise UsageError("this model is told captions, and these data have none: captions@digits")
    return data


class LabelledCode(nn.Module):
    """A generator whose codes carry the label."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes

    def forward(self, z: Float[Tensor, "n latent"], labels: Labels) -> Tensor:
        return self.network(torch.cat([z, one_hot(labels, self.classes).to(z.dtype)], 1))


class LabelledImage(nn.Module):
    """A critic whose images carry the label in channels of their own."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes

    def forward(self, x: Tensor, labels: Labels) -> Float[Tensor, " n"]:
        maps = one_hot(labels, self.classes).to(x.dtype)[:, :, None, None]
        return self.network(torch.cat([x, maps.expand(-1, -1, *x.shape[2:])], 1)).flatten(0)


class Projected(nn.Module):
    """A critic that projects its features on a vector of the label's."""

    def __init__(self, network: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.network, self.activation = network, nn.LeakyReLU(0.2)
        self.score, self.classes = nn.Linear(features, 1), nn.Linear(features, classes, bias=False)

    def forward(self, x: Tensor, labels: Labels) -> Float[Tensor, " n"]:
        seen = self.activation(self.network(x))
        return self.score(seen).flatten(0) + (self.classes.weight[labels] * seen).sum(1)


class CaptionedCode(nn.Module):
    """A generator whose codes carry a caption."""

    def __init__(self, network: nn.Module, told: int, project: int) -> None:
        super().__init__()
        self.network, self.told = network, nn.Linear(told, project)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, z: Float[Tensor, "n latent"], vectors: Float[Tensor, "n told"]) -> Tensor:
        return self.network(torch.cat([z, self.activation(self.told(vectors))], 1))


class CaptionedImage(nn.Module):
    """A critic that sees an image and its caption, and then both."""

    def __init__(self, network: nn.Module, features: int, told: int, project: int) -> None:
        super().__init__()
        self.network, self.activation = network, nn.LeakyReLU(0.2)
        self.told = nn.Linear(told, project)
        self.both, self.score = nn.Linear(features + project, features), nn.Linear(features, 1)

    def forward(self, x: Tensor, vectors: Float[Tensor, "n told"]) -> Float[Tensor, " n"]:
        seen, told = self.activation(self.network(x)), self.activation(self.told(vectors))
        joined = self.activation(self.both(torch.cat([seen, told], 1)))
        return self.score(joined).flatten(0)
