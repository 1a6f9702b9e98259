"""Class-conditional batch norm (Brock et al. 2019, appendix B.1): a class scales and shifts."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from bench.core.errors import UsageError
from generative.conditioning import OfClasses, Projection
from generative.contracts import Codes, Labels
from generative.networks import Network, Shape, layers_of


class ClassNorm(nn.Module):
    """Batch norm whose scales and shifts are linear functions of a class's embedding, about 1 and
    0: of equal embeddings it is batch norm.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale, self.shift = (nn.Linear(width, channels, bias=False) for _ in range(2))
        for layer in (self.scale, self.shift):
            nn.init.normal_(layer.weight, std=0.02)

    def forward(self, x: Float[Tensor, "n c h w"], told: Float[Tensor, "n width"]) -> Tensor:
        scale, shift = (layer(told)[:, :, None, None] for layer in (self.scale, self.shift))
        return (1 + scale) * self.norm(x) + shift


class ClassNormed(nn.Module):
    """A generator whose batch norms are told the class, by an embedding that they share. No code
    carries the label.
    """

    def __init__(self, network: nn.Module, classes: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, width)
        self.layers = nn.ModuleList(_told(layer, width) for layer in layers_of(network))
        if not any(isinstance(layer, ClassNorm) for layer in self.layers):
            raise UsageError(
                "class-conditional batch norm: expected a protocol whose generator has batch norm "
                "of images, and this one has none: choose another protocol, such as dcgan-32"
            )

    def forward(self, z: Codes, labels: Labels) -> Tensor:
        x, told = z, self.embedding(labels)
        for layer in self.layers:
            x = layer(x, told) if isinstance(layer, ClassNorm) else layer(x)
        return x


def _told(layer: nn.Module, width: int) -> nn.Module:
    return ClassNorm(layer.num_features, width) if isinstance(layer, nn.BatchNorm2d) else layer


@dataclass(frozen=True)
class ClassBatchNorm(OfClasses):
    """The generator's batch norms are told the class, the critic's features are projected on it
    (`Projection`). embedding: the width of what all of them share of a class, 128 in the paper.
    Deviation: no part of the code goes to them.
    """

    embedding: int = 32
    features: int = 128

    def generator(self, network: Network, latent: int, shape: Shape, told: int) -> nn.Module:
        return ClassNormed(network.generator(latent, shape), told, self.embedding)

    def critic(self, network: Network, shape: Shape, told: int) -> nn.Module:
        return Projection(self.features).critic(network, shape, told)
