"""Autoencoders whose codes are drawn from a Gaussian that is fitted to the codes of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

from generative.contracts import RECIPES, Data, PerExample, Sampler
from generative.games.encoding import CodedSampler, Coder, Objective
from generative.recipes.encoding import Encoding

CODE_EXAMPLES = 4_000
CHUNK = 1_000
RIDGE = 1e-6


class Plain(Objective):
    """A code is the encoder's output. Codes to decode come from one Gaussian with the mean and
    covariance of the codes of the first 4,000 training examples (Ghosh et al. 2020, section 4, with
    one component).
    """

    @property
    @final
    def outputs(self) -> int:
        return 1

    @final
    def settle(self, coder: Coder, data: Data) -> None:
        examples = data.training[:CODE_EXAMPLES].split(CHUNK)
        codes = torch.cat([coder.encoder(part) for part in examples]).double()
        covariance = torch.cov(codes.T).reshape(coder.latent, coder.latent)
        ridge = RIDGE * (covariance.diagonal().mean() + RIDGE)
        covariance.diagonal().add_(ridge)
        coder.code_mean.copy_(codes.mean(0))
        coder.code_factor.copy_(torch.linalg.cholesky(covariance))

    @final
    def encode(self, coder: Coder, x: Tensor) -> Tensor:
        return coder.encoder(x)

    def fitted(self, coder: Coder, box: tuple[float, float] | None) -> Sampler:
        return CodedSampler(coder, self)


def masked(x: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Examples of which each value is set to 0 with probability `share` (Vincent et al. 2008)."""
    if not share:
        return x
    return x * (torch.rand(x.shape, generator=rng, device=x.device) >= share)


@dataclass(frozen=True)
class SquaredError(Plain):
    """|x - D(E(c(x)))|^2, where c sets each value to 0 with probability `corruption`."""

    corruption: float

    def loss(self, coder: Coder, x: Tensor, rng: torch.Generator, progress: float) -> PerExample:
        seen = masked(x, self.corruption, rng)
        return (x - coder.decoder(coder.encoder(seen))).flatten(1).square().sum(1)


@dataclass(frozen=True)
class CrossEntropy(Plain):
    """-sum_i x_i log y_i + (1 - x_i) log(1 - y_i) for y = D(E(x)), in nats: x and y in [0, 1] are
    probabilities of pixels (Hinton & Salakhutdinov 2006).
    """

    def loss(self, coder: Coder, x: Tensor, rng: torch.Generator, progress: float) -> PerExample:
        return cross_entropy(coder.decoder(coder.encoder(x)), x)


def cross_entropy(made: Tensor, x: Tensor) -> PerExample:
    """Of probabilities made for x, both [n, ...] in [0, 1], in nats: summed over values, [n]."""
    return binary_cross_entropy(made, x, reduction="none").flatten(1).sum(1)


RECIPES.register(
    "autoencoder",
    paper="doi:10.1126/science.1127647",
    summary="Autoencoder, codes from a fitted Gaussian (Hinton & Salakhutdinov 2006)",
    role="baseline",
    encodes=True,
    exempt="codes-are-draws-of-the-prior: they have the moments of encoded examples",
)(Encoding(SquaredError(corruption=0.0)))

RECIPES.register(
    "denoising-autoencoder",
    paper="doi:10.1145/1390156.1390294",
    summary="The same, 30 % of the values set to 0 at the input (Vincent et al. 2008)",
    role="baseline",
    encodes=True,
    exempt="codes-are-draws-of-the-prior: they have the moments of encoded examples",
)(Encoding(SquaredError(corruption=0.3)))
