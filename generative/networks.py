"""Networks as data: a player's layers, built for examples of a given shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.registry import NoFacts, Registry

Activation = Literal["relu", "tanh", "leaky_relu", "silu", "sigmoid"]
Shape = tuple[int, ...]


class Network(ABC):
    """The layers of one player as data. Points have shape (d,), images (channels, h, w).

    Images are in [0, 1]: generators of images end inside it.
    """

    @abstractmethod
    def generator(self, latent: int, shape: Shape) -> nn.Module:
        """Codes [n, latent] to examples [n, *shape]. Raises UsageError for a shape it can't do."""

    @abstractmethod
    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        """Examples [n, *shape] to [n, outputs]. Raises UsageError for a shape it can't do."""

    @property
    @abstractmethod
    def mixes(self) -> bool:
        """Whether an example's output depends on its batch mates (batch norm)."""

    @abstractmethod
    def unmixed(self) -> Network:
        """The same layers without batch norm."""


NETWORKS: Registry[Network, NoFacts] = Registry("network", NoFacts, listed_as="networks")
"""What `generator_network` and `critic_network` name."""


class LogitCritic(nn.Sequential):
    """Examples [n, ...] to logits [n], and to what its last layer sees of them, [n, d]."""

    def forward(self, input: Tensor, features: bool = False) -> Any:
        if not features:
            return super().forward(input)
        *body, head = layers_of(self[0])
        seen = input
        for layer in body:
            seen = layer(seen)
        return head(seen).flatten(0), seen.flatten(1)


def layers_of(network: nn.Module) -> list[nn.Module]:
    """Of a network, one after another."""
    if type(network) is not nn.Sequential:
        return [network]
    return [layer for part in network for layer in layers_of(part)]


def filters_of(network: nn.Module) -> list[Tensor]:
    """The weights of its linear and convolutional layers."""
    kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    return [layer.weight for layer in network.modules() if isinstance(layer, kinds)]


def critic_of(network: Network, shape: Shape) -> nn.Module:
    """Examples [n, *shape] to logits [n]; and, with `features=True`, what the last layer sees."""
    return LogitCritic(network.encoder(shape, 1), nn.Flatten(0))


@dataclass(frozen=True)
class Mlp(Network):
    """A multilayer perceptron as data.

    widths: units of the hidden layers. maxout: pieces of a maxout unit (Goodfellow et al.
    2013); 1 means `activation` instead. batch_norm: after every hidden layer, whose biases are
    then left out. input_scale: a constant the input is multiplied by. dropout: the probability
    that an input, and a hidden unit, is set to 0 in training (an encoder's only).
    """

    widths: tuple[int, ...]
    activation: Activation = "relu"
    maxout: int = 1
    batch_norm: bool = False
    input_scale: float = 1.0
    dropout: tuple[float, float] = (0.0, 0.0)

    def build(
        self, inputs: int, outputs: int, dropout: tuple[float, float] = (0.0, 0.0)
    ) -> nn.Sequential:
        """The network, [n, inputs] to [n, outputs], initialised by PyTorch's defaults."""
        layers: list[nn.Module] = [Scale(self.input_scale)] if self.input_scale != 1 else []
        layers += [nn.Dropout(dropout[0])] if dropout[0] else []
        for width in self.widths:
            layers.append(nn.Linear(inputs, width * self.maxout, bias=not self.batch_norm))
            layers += [nn.BatchNorm1d(width * self.maxout)] if self.batch_norm else []
            layers.append(Maxout(self.maxout) if self.maxout > 1 else _ACTIVATIONS[self.activation])
            layers += [nn.Dropout(dropout[1])] if dropout[1] else []
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, outputs))

    def generator(self, latent: int, shape: Shape) -> nn.Module:
        """Images come out of a sigmoid, points as they are."""
        network = self.build(latent, prod(shape))
        if len(shape) > 1:
            network.extend([nn.Sigmoid(), nn.Unflatten(1, shape)])
        return network

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        network = self.build(prod(shape), outputs, self.dropout)
        return network if len(shape) == 1 else nn.Sequential(nn.Flatten(), network)

    @property
    def mixes(self) -> bool:
        return self.batch_norm

    def unmixed(self) -> Mlp:
        return replace(self, batch_norm=False)


@dataclass(frozen=True)
class Dcgan(Network):
    """Convolutions by the rules of DCGAN (Radford et al. 2016, section 3).

    Strided and transposed convolutions, no pooling, no hidden dense layer after the projection of
    z; batch norm everywhere but at the generator's output and the critic's input; ReLU and tanh in
    the generator, leaky ReLU of slope 0.2 in the critic. width: channels next to the image; twice
    as many one layer further in. layers: how many have stride 2; None: as many as bring the shorter
    side down to 4, as the paper does with 64. kernel: 5 as in the authors' code, which takes sides
    of any length (28, 14, 7, 4), or 4, which halves even ones. Images are in [0, 1] outside, in
    [-1, 1] inside.
    """

    width: int
    batch_norm: bool = True
    layers: int | None = 2
    kernel: Literal[4, 5] = 4

    def generator(self, latent: int, shape: Shape) -> nn.Module:
        sizes = self._sizes(shape)[::-1]
        widths = [self.width * 2**i for i in reversed(range(len(sizes) - 1))]
        found: list[nn.Module] = [
            nn.Linear(latent, widths[0] * prod(sizes[0]), bias=not self.batch_norm),
            nn.Unflatten(1, (widths[0], *sizes[0])),
            *self._norm(widths[0]),
            nn.ReLU(),
        ]
        for inputs, outputs, size in zip(widths, widths[1:], sizes[1:], strict=False):
            found += [self._up(inputs, outputs, size, not self.batch_norm), *self._norm(outputs)]
            found.append(nn.ReLU())
        last = self._up(widths[-1], shape[0], sizes[-1], True)
        return nn.Sequential(*found, last, nn.Tanh(), Affine(0.5, 0.5))

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        sizes = self._sizes(shape)
        widths = [self.width * 2**i for i in range(len(sizes) - 1)]
        found: list[nn.Module] = [Affine(2.0, -1.0), self._down(shape[0], self.width, True)]
        found.append(nn.LeakyReLU(0.2))
        for before, after in pairwise(widths):
            found += [self._down(before, after, not self.batch_norm), *self._norm(after)]
            found.append(nn.LeakyReLU(0.2))
        head = nn.Linear(widths[-1] * prod(sizes[-1]), outputs)
        return nn.Sequential(*found, nn.Flatten(), head)

    def _up(self, inputs: int, outputs: int, size: tuple[int, int], bias: bool) -> nn.Module:
        """Twice as large; with a kernel of 5 one less where that is odd."""
        five = self.kernel == 5
        extra = (1 - size[0] % 2, 1 - size[1] % 2) if five else (0, 0)
        padding = (self.kernel - 1) // 2
        return nn.ConvTranspose2d(inputs, outputs, self.kernel, 2, padding, extra, bias=bias)

    def _down(self, inputs: int, outputs: int, bias: bool) -> nn.Module:
        return nn.Conv2d(inputs, outputs, self.kernel, 2, (self.kernel - 1) // 2, bias=bias)

    def _norm(self, width: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(width)] if self.batch_norm else []

    def _sizes(self, shape: Shape) -> list[tuple[int, int]]:
        """Height and width of the image and after each layer."""
        if len(shape) == 3 and min(shape) >= 1:
            sizes = [(shape[1], shape[2])]
            while len(sizes) <= self.layers if self.layers else min(sizes[-1]) > 4:
                height, width = sizes[-1]
                sizes.append((-(-height // 2), -(-width // 2)))
            odd = any(side % 2 for size in sizes[:-1] for side in size)
            if len(sizes) > 1 and not (odd and self.kernel == 4):
                return sizes
        raise UsageError(
            f"convolutional networks need images whose height and width are {self._wanted}, got "
            f"examples of shape {list(shape)}: choose another protocol, or images of another size"
        )

    @property
    def _wanted(self) -> str:
        if self.kernel == 5:
            return "at least 5"
        return f"multiples of {2**self.layers}" if self.layers else "4 times a power of 2"

    @property
    def mixes(self) -> bool:
        return self.batch_norm

    def unmixed(self) -> Dcgan:
        return replace(self, batch_norm=False)


class Maxout(nn.Module):
    """The largest of `pieces` adjacent units: [n, w * pieces] to [n, w]."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Float[Tensor, "n units"]) -> Float[Tensor, "n widths"]:
        return x.unflatten(1, (-1, self.pieces)).amax(2)


class Scale(nn.Module):
    """Multiplication by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Affine(nn.Module):
    """Multiplication by a constant and addition of another."""

    def __init__(self, factor: float, shift: float) -> None:
        super().__init__()
        self.factor, self.shift = factor, shift

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.shift


_ACTIVATIONS: dict[str, nn.Module] = {
    "relu": nn.ReLU(),
    "tanh": nn.Tanh(),
    "leaky_relu": nn.LeakyReLU(0.2),
    "silu": nn.SiLU(),
    "sigmoid": nn.Sigmoid(),
}


@dataclass(frozen=True)
class Initialisation:
    """How weights start: `orthogonal` (value: gain), `normal` (value: standard deviation),
    `uniform` (value: the largest), or `default` (PyTorch's own). Biases start at zero but under the
    last.
    """

    kind: Literal["default", "orthogonal", "normal", "uniform"] = "default"
    value: float = 1.0

    def apply(self, network: nn.Module, rng: torch.Generator) -> None:
        """Initialise every linear and convolutional layer of the network."""
        if self.kind == "default":
            return
        for layer in network.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                if self.kind == "orthogonal":
                    nn.init.orthogonal_(layer.weight, self.value, generator=rng)
                elif self.kind == "normal":
                    nn.init.normal_(layer.weight, std=self.value, generator=rng)
                else:
                    nn.init.uniform_(layer.weight, -self.value, self.value, generator=rng)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
