"""Networks as data: a player's layers, built for examples of a given shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bench.errors import UsageError

Activation = Literal["relu", "tanh", "leaky_relu"]
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


def critic_of(network: Network, shape: Shape) -> nn.Module:
    """Examples [n, *shape] to logits [n]."""
    return nn.Sequential(network.encoder(shape, 1), nn.Flatten(0))


@dataclass(frozen=True)
class Mlp(Network):
    """A multilayer perceptron as data.

    widths: units of the hidden layers. maxout: pieces of a maxout unit (Goodfellow et al.
    2013); 1 means `activation` instead. batch_norm: after every hidden layer, whose biases are
    then left out. input_scale: a constant the input is multiplied by.
    """

    widths: tuple[int, ...]
    activation: Activation = "relu"
    maxout: int = 1
    batch_norm: bool = False
    input_scale: float = 1.0

    def build(self, inputs: int, outputs: int) -> nn.Sequential:
        """The network, [n, inputs] to [n, outputs], initialised by PyTorch's defaults."""
        layers: list[nn.Module] = [Scale(self.input_scale)] if self.input_scale != 1 else []
        for width in self.widths:
            layers.append(nn.Linear(inputs, width * self.maxout, bias=not self.batch_norm))
            layers += [nn.BatchNorm1d(width * self.maxout)] if self.batch_norm else []
            layers.append(Maxout(self.maxout) if self.maxout > 1 else _ACTIVATIONS[self.activation])
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, outputs))

    def generator(self, latent: int, shape: Shape) -> nn.Module:
        """Images come out of a sigmoid, points as they are."""
        network = self.build(latent, prod(shape))
        if len(shape) > 1:
            network.extend([nn.Sigmoid(), nn.Unflatten(1, shape)])
        return network

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        network = self.build(prod(shape), outputs)
        return network if len(shape) == 1 else nn.Sequential(nn.Flatten(), network)

    @property
    def mixes(self) -> bool:
        return self.batch_norm

    def unmixed(self) -> Mlp:
        return replace(self, batch_norm=False)


@dataclass(frozen=True)
class Dcgan(Network):
    """Convolutions by the rules of DCGAN (Radford et al. 2016, section 3), for small images.

    Strided and transposed 4 x 4 convolutions, no pooling, no hidden dense layer after the
    projection of z; batch norm everywhere but at the generator's output and the critic's input;
    ReLU and tanh in the generator, leaky ReLU of slope 0.2 in the critic. width: channels next to
    the image; twice as many one layer further in. Images are in [0, 1] outside, in [-1, 1] inside.
    """

    width: int
    batch_norm: bool = True

    def generator(self, latent: int, shape: Shape) -> nn.Module:
        channels, height, width = _quarters(shape)
        wide = 2 * self.width
        return nn.Sequential(
            nn.Linear(latent, wide * height * width, bias=not self.batch_norm),
            nn.Unflatten(1, (wide, height, width)),
            *self._norm(wide),
            nn.ReLU(),
            nn.ConvTranspose2d(wide, self.width, 4, 2, 1, bias=not self.batch_norm),
            *self._norm(self.width),
            nn.ReLU(),
            nn.ConvTranspose2d(self.width, channels, 4, 2, 1),
            nn.Tanh(),
            Affine(0.5, 0.5),
        )

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        channels, height, width = _quarters(shape)
        wide = 2 * self.width
        return nn.Sequential(
            Affine(2.0, -1.0),
            nn.Conv2d(channels, self.width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(self.width, wide, 4, 2, 1, bias=not self.batch_norm),
            *self._norm(wide),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(wide * height * width, outputs),
        )

    def _norm(self, width: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(width)] if self.batch_norm else []

    @property
    def mixes(self) -> bool:
        return self.batch_norm

    def unmixed(self) -> Dcgan:
        return replace(self, batch_norm=False)


def _quarters(shape: Shape) -> Shape:
    """Channels, and a quarter of height and width, where the two strides of 2 start."""
    if len(shape) != 3 or shape[1] % 4 or shape[2] % 4 or min(shape) < 1:
        raise UsageError(
            "convolutional networks need images whose height and width are multiples of 4, "
            f"got examples of shape {list(shape)}: choose another protocol"
        )
    return shape[0], shape[1] // 4, shape[2] // 4


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
}


@dataclass(frozen=True)
class Initialisation:
    """How weights start: `orthogonal` (value: gain), `normal` (value: standard deviation), or
    `default` (PyTorch's own). Biases start at zero under the first two.
    """

    kind: Literal["default", "orthogonal", "normal"] = "default"
    value: float = 1.0

    def apply(self, network: nn.Module, rng: torch.Generator) -> None:
        """Initialise every linear and convolutional layer of the network."""
        if self.kind == "default":
            return
        for layer in network.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                if self.kind == "orthogonal":
                    nn.init.orthogonal_(layer.weight, self.value, generator=rng)
                else:
                    nn.init.normal_(layer.weight, std=self.value, generator=rng)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
