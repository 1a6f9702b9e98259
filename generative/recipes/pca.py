"""One Gaussian on the principal components: all that second moments know of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from generative.contracts import RECIPES, Completer, Data, Sampler
from generative.recipes.references import Fixed
from generative.trainers.fit import FitTrainer


class PcaGaussianSampler(Completer):
    """mean + N(0, I) @ factors, clipped to the data's box: mean [d], factors [k, d]. residual: the
    mean variance of a value around its projection, which is taken for noise where a picture is
    completed (Tipping & Bishop 1999).
    """

    def __init__(self, mean: Tensor, factors: Tensor, residual: Tensor, data: Data) -> None:
        self._mean, self._factors, self._residual = mean, factors, residual
        self._shape, self._box = data.shape, data.box

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        noise = torch.randn(n, len(self._factors), generator=rng, device=rng.device)
        samples = (self._mean + noise @ self._factors).reshape(n, *self._shape)
        return samples if self._box is None else samples.clamp(*self._box)

    def complete(self, x: Tensor, known: Tensor) -> Tensor:
        """The conditional mean, with x = mean + a @ factors + noise and a from N(0, I)."""
        seen = known.expand(x.shape[1:]).flatten()
        own, noise = self._factors[:, seen].double(), self._residual.double().clamp(min=1e-6)
        gaps = (x.flatten(1)[:, seen] - self._mean[seen]).double()
        precision = own @ own.T / noise + torch.eye(len(own), device=x.device).double()
        codes = torch.linalg.solve(precision, own @ gaps.T / noise).T
        filled = (codes @ self._factors.double() + self._mean).float().reshape(x.shape)
        filled = filled if self._box is None else filled.clamp(*self._box)
        return torch.where(known, x, filled)

    def tensors(self) -> dict[str, Tensor]:
        return {"mean": self._mean, "factors": self._factors, "residual": self._residual}


@dataclass(frozen=True)
class PcaGaussianTrainer(FitTrainer):
    """The leading eigenvectors of the training covariance (over n - 1), scaled by the roots of
    their eigenvalues; `components` of them for each channel.
    """

    components: int

    def fit(self, data: Data, seed: int) -> Sampler:
        points = data.training.flatten(1).double()
        channels = data.shape[0] if len(data.shape) == 3 else 1
        kept = min(self.components * channels, prod(data.shape))
        values, vectors = torch.linalg.eigh(torch.cov(points.T).reshape(points.shape[1], -1))
        scales = values[-kept:].clamp(min=0).sqrt()
        factors = (vectors[:, -kept:] * scales).T.float().contiguous()
        left = values[:-kept].clamp(min=0).sum() / len(values)
        return PcaGaussianSampler(points.mean(0).float(), factors, left.float(), data)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        return PcaGaussianSampler(tensors["mean"], tensors["factors"], tensors["residual"], data)


RECIPES.register(
    "pca-gaussian",
    summary="One Gaussian on 50 principal components a channel, clipped to the box",
    role="floor",
)(Fixed(PcaGaussianTrainer(50), expected_seconds=4.0))
