"""Networks for points: multilayer perceptrons with the variations the papers use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Activation = Literal["relu", "tanh", "leaky_relu"]


@dataclass(frozen=True)
class Mlp:
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

    def build(self, inputs: int, outputs: int) -> nn.Module:
        """The network, [n, inputs] to [n, outputs], initialised by PyTorch's defaults."""
        layers: list[nn.Module] = [Scale(self.input_scale)] if self.input_scale != 1 else []
        for width in self.widths:
            layers.append(nn.Linear(inputs, width * self.maxout, bias=not self.batch_norm))
            layers += [nn.BatchNorm1d(width * self.maxout)] if self.batch_norm else []
            layers.append(Maxout(self.maxout) if self.maxout > 1 else _ACTIVATIONS[self.activation])
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, outputs))


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
