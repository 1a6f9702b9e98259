"""How a class enters a conditional GAN: beside the code, and beside or after the image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import one_hot

from generative.contracts import Labels
from generative.networks import Network, Shape


class Conditioning(ABC):
    """The two players of a conditional GAN on a protocol's layers."""

    def generator(self, network: Network, latent: int, shape: Shape, classes: int) -> nn.Module:
        """Codes [n, latent] and labels [n] to examples: the label joins the code, one unit a class
        (Mirza & Osindero 2014, section 3.2).
        """
        return LabelledCode(network.generator(latent + classes, shape), classes)

    @abstractmethod
    def critic(self, network: Network, shape: Shape, classes: int) -> nn.Module:
        """Examples [n, *shape] and labels [n] to logits [n]."""


@dataclass(frozen=True)
class Concatenation(Conditioning):
    """The critic sees the label as one more channel for each class, its largest value everywhere or
    its smallest (Mirza & Osindero 2014 in the form that later convolutional GANs gave it; theirs
    were dense).
    """

    def critic(self, network: Network, shape: Shape, classes: int) -> nn.Module:
        seen = (shape[0] + classes, *shape[1:])
        return LabelledImage(network.encoder(seen, 1), classes)


@dataclass(frozen=True)
class Projection(Conditioning):
    """The critic's logit is psi(phi(x)) + <v_y, phi(x)>, with a vector v for each class (Miyato &
    Koyama 2018, equation 5). phi: `features` outputs of the protocol's encoder, then a leaky ReLU.
    Deviations: the paper's phi is a sum over places, its critic is spectrally normalised with a
    hinge loss, and its generator has conditional batch norm; here the recipe says the loss, and the
    generator's label joins the code.
    """

    features: int = 128

    def critic(self, network: Network, shape: Shape, classes: int) -> nn.Module:
        return Projected(network.encoder(shape, self.features), self.features, classes)


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
