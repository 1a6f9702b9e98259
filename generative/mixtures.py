"""Trained generators as one: each draws as often as its weight says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.contracts import Codes
from generative.generators.several import drawn_by, shares_by
from generative.protocols.base import Prior


class Weighted(nn.Module):
    """Codes [n, latent] to examples. weights: of the networks, not negative, 1 in total."""

    weights: Float[Tensor, " networks"]

    def __init__(
        self, networks: Sequence[nn.Module], weights: Sequence[float] | Tensor, prior: Prior
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.prior: Prior = prior
        self.register_buffer("weights", torch.as_tensor(weights, dtype=torch.float64))

    def forward(self, z: Codes) -> Tensor:
        return drawn_by(self.networks, *shares_by(z, self.weights, self.prior))

    def joined(self, network: nn.Module, weight: float) -> Weighted:
        """With one more, which draws that share of all."""
        weights = torch.cat([(1 - weight) * self.weights, self.weights.new_full((1,), weight)])
        return Weighted([*self.networks, network], weights, self.prior)
