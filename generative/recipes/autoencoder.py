"""Autoencoders whose codes are drawn from a Gaussian that is fitted to the codes of the data."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from generative.contracts import RECIPES, Data, PerExample, Sampler
from generative.games.encoding import CodedSampler, Coder, Objective
from generative.recipes.encoding import Encoding

CODE_EXAMPLES = 4_000
CHUNK = 1_000
RIDGE = 1e-6


@dataclass(frozen=True)
class SquaredError(Objective):
    """|x - D(E(c(x)))|^2, where c sets each value to 0 with probability `corruption`.

    Codes to decode come from one Gaussian with the mean and covariance of the codes of the first
    4,000 training examples (Ghosh et al. 2020, section 4, with one component).
    """

    corruption: float

    @property
    def outputs(self) -> int:
        return 1

    def loss(self, coder: Coder, x: Tensor, rng: torch.Generator, progress: float) -> PerExample:
        seen = x
        if self.corruption:
            seen = x * (torch.rand(x.shape, generator=rng, device=x.device) >= self.corruption)
        return (x - coder.decoder(coder.encoder(seen))).flatten(1).square().sum(1)

    def settle(self, coder: Coder, data: Data) -> None:
        examples = data.training[:CODE_EXAMPLES].split(CHUNK)
        codes = torch.cat([coder.encoder(part) for part in examples]).double()
        covariance = torch.cov(codes.T).reshape(coder.latent, coder.latent)
        ridge = RIDGE * (covariance.diagonal().mean() + RIDGE)
        covariance.diagonal().add_(ridge)
        coder.code_mean.copy_(codes.mean(0))
        coder.code_factor.copy_(torch.linalg.cholesky(covariance))

    def encode(self, coder: Coder, x: Tensor) -> Tensor:
        return coder.encoder(x)

    def fitted(self, coder: Coder, box: tuple[float, float] | None) -> Sampler:
        return CodedSampler(coder, self)


RECIPES.register(
    "autoencoder",
    paper="doi:10.1126/science.1127647",
    summary="Autoencoder, codes from a fitted Gaussian (Hinton & Salakhutdinov 2006)",
    role="baseline",
    exempt="codes-are-draws-of-the-prior: they have the moments of encoded examples",
)(Encoding(SquaredError(corruption=0.0)))

RECIPES.register(
    "denoising-autoencoder",
    paper="doi:10.1145/1390156.1390294",
    summary="The same, 30 % of the values set to 0 at the input (Vincent et al. 2008)",
    role="baseline",
    exempt="codes-are-draws-of-the-prior: they have the moments of encoded examples",
)(Encoding(SquaredError(corruption=0.3)))
