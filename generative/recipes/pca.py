"""One Gaussian on the principal components: all that second moments know of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from generative.contracts import RECIPES, Data, Sampler
from generative.recipes.references import Fixed
from generative.trainers.fit import FitTrainer


class PcaGaussianSampler(Sampler):
    """mean + N(0, I) @ factors, clipped to the data's box: mean [d], factors [k, d]."""

    def __init__(self, mean: Tensor, factors: Tensor, data: Data) -> None:
        self._mean, self._factors = mean, factors
        self._shape, self._box = data.shape, data.box

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        noise = torch.randn(n, len(self._factors), generator=rng, device=rng.device)
        samples = (self._mean + noise @ self._factors).reshape(n, *self._shape)
        return samples if self._box is None else samples.clamp(*self._box)

    def tensors(self) -> dict[str, Tensor]:
        return {"mean": self._mean, "factors": self._factors}


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
        return PcaGaussianSampler(points.mean(0).float(), factors, data)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        return PcaGaussianSampler(tensors["mean"], tensors["factors"], data)


RECIPES.register(
    "pca-gaussian",
    summary="One Gaussian on 50 principal components a channel, clipped to the box",
    role="floor",
)(Fixed(PcaGaussianTrainer(50), expected_seconds=4.0))
