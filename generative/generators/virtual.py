"""Virtual batch norm (Salimans et al. 2016, section 3.5): no example depends on its batch mates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from generative.contracts import RECIPES, Codes
from generative.networks import Network, Shape
from generative.parts import GENERATORS, GeneratorForm
from generative.recipes.adversarial import Adversarial

EPSILON = 1e-5


class VirtualNorm(nn.Module):
    """Each example by mean and variance of the first `reference` rows and of itself."""

    def __init__(self, width: int, reference: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.reference = reference

    def forward(self, x: Tensor) -> Tensor:
        places, n = tuple(range(2, x.ndim)), self.reference
        own = [y.mean(places, keepdim=True) if places else y for y in (x, x.square())]
        mean, square = ((n * y[:n].mean(0, keepdim=True) + y) / (n + 1) for y in own)
        spread = (square - mean.square() + EPSILON).sqrt()
        scale, shift = (y.view(1, -1, *[1] * len(places)) for y in (self.weight, self.bias))
        return scale * (x - mean) / spread + shift


class Referring(nn.Module):
    """A generator whose codes go through it behind those of a reference batch."""

    codes: Codes

    def __init__(self, network: nn.Module, codes: Codes) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("codes", codes)

    def forward(self, z: Codes) -> Tensor:
        return self.network(torch.cat([self.codes, z]))[len(self.codes) :]


@dataclass(frozen=True)
class VirtualBatchNorm(GeneratorForm):
    """In the place of the protocol's batch norm; the reference is one batch of codes, drawn before
    the first step and kept.
    """

    def build(self, generator: Network, latent: int, shape: Shape, batch: int) -> nn.Module:
        network, found = generator.generator(latent, shape), False
        for parent in list(network.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                    setattr(parent, name, VirtualNorm(child.num_features, batch))
                    found = True
        if not found:
            raise UsageError(
                "virtual batch norm: expected a protocol whose generator has batch norm, and this "
                "one has none: choose another protocol, such as small-dcgan"
            )
        return Referring(network, torch.zeros(batch, latent))

    def begin(self, network: nn.Module, codes: Codes) -> None:
        assert isinstance(network, Referring)
        network.codes.copy_(codes)


GENERATORS.register(
    "virtual-batch-norm",
    paper="arXiv:1606.03498",
    summary="Normalised by a reference batch and the example itself",
)(VirtualBatchNorm())

RECIPES.register(
    "virtual-gan",
    paper="arXiv:1606.03498",
    summary="Non-saturating GAN with virtual batch norm in its generator (Salimans et al. 2016)",
    parts=("nonsaturating", "virtual-batch-norm"),
    images_only="the usual generators of points have no batch norm",
)(Adversarial("nonsaturating", generator="virtual-batch-norm"))
