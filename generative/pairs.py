"""Critics of an example and its code together."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from generative.contracts import Codes, Logits
from generative.networks import Mlp, Network, Shape

FEATURES, PROJECT = 128, 64
"""What convolutions make of an example, and a layer of its code, before both are judged together.
"""


class FlatPairs(nn.Module):
    """The code beside the flat example, as more inputs of one network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, z: Codes) -> Logits:
        return self.network(torch.cat([x.flatten(1), z], 1)).flatten(0)


class FeaturePairs(nn.Module):
    """Features of the example beside features of the code; a layer looks at both, and another
    judges (Dumoulin et al. 2017, appendix A, which has three layers there and convolves codes).
    """

    def __init__(self, network: nn.Module, latent: int) -> None:
        super().__init__()
        self.network, self.activation = network, nn.LeakyReLU(0.2)
        self.code = nn.Linear(latent, PROJECT)
        self.both, self.score = nn.Linear(FEATURES + PROJECT, FEATURES), nn.Linear(FEATURES, 1)

    def forward(self, x: Tensor, z: Codes) -> Logits:
        seen, told = self.activation(self.network(x)), self.activation(self.code(z))
        joined = self.activation(self.both(torch.cat([seen, told], 1)))
        return self.score(joined).flatten(0)


def critic_of_pairs(network: Network, shape: Shape, latent: int) -> nn.Module:
    """Examples [n, *shape] and codes [n, latent] to logits [n], of a protocol's layers. Raises
    UsageError for a shape that they can't take.
    """
    if isinstance(network, Mlp):
        return FlatPairs(network.encoder((prod(shape) + latent,), 1))
    return FeaturePairs(network.encoder(shape, FEATURES), latent)
