"""An autoencoder as critic (EBGAN, Zhao et al. 2017): what it can't restore is fake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from torch import Tensor, nn

from generative.networks import Network, Shape
from generative.parts import CRITICS, CriticForm
from generative.training import Bounds


class Energy(nn.Module):
    """Minus how far an example is from what is decoded of its code; the codes are its features."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, distance: str) -> None:
        super().__init__()
        self.encoder, self.decoder, self.distance = encoder, decoder, distance

    def forward(self, x: Tensor, features: bool = False) -> Any:
        codes = self.encoder(x)
        gap = (self.decoder(codes) - x).flatten(1)
        energy = gap.norm(dim=1) if self.distance == "l2" else gap.abs().mean(1)
        return (-energy, codes) if features else -energy


@dataclass(frozen=True)
class Autoencoder(CriticForm):
    """The protocol's critic encodes to `code` numbers, its generator's layers decode them; without
    batch norm. distance: the Euclidean norm, as in EBGAN, or the mean absolute error, as in BEGAN.
    """

    distance: Literal["l2", "l1"]
    code: Annotated[int, Bounds(1, 10_000)] = 16

    def build(self, critic: Network, generator: Network, shape: Shape) -> nn.Module:
        decoder = generator.unmixed().generator(self.code, shape)
        return Energy(critic.unmixed().encoder(shape, self.code), decoder, self.distance)


CRITICS.register(
    "energy",
    paper="arXiv:1609.03126",
    summary="Minus the distance to what an autoencoder restores (EBGAN)",
    unmixed=True,
    cost=1.4,
)(Autoencoder("l2"))

CRITICS.register(
    "energy-l1",
    paper="arXiv:1703.10717",
    summary="Minus the mean absolute error of an autoencoder (BEGAN)",
    unmixed=True,
    cost=1.4,
)(Autoencoder("l1"))
