"""Maximum likelihood: one Gaussian, and Gaussian mixtures by EM (scikit-learn)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from generative.contracts import RECIPES, Data, DensitySampler, PerPoint, Points
from generative.recipes.references import Fixed
from generative.trainers.fit import FitTrainer

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

VARIANCE_FLOOR = 1e-9
"""A share of the data's mean variance: what a change of units changes nothing in."""
SELECTION_POINTS = 5_000
PATIENCE = 8


class GaussianMixtureSampler(DensitySampler):
    """A mixture with full covariances: weights [K], means [K, d], covariances [K, d, d]."""

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        self._weights, self._means, self._covariances = (
            weights.cpu(),
            means.cpu(),
            covariances.cpu(),
        )
        self._factors = torch.linalg.cholesky(self._covariances)

    @property
    def components(self) -> int:
        return len(self._weights)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        device = rng.device
        weights = self._weights.float().to(device)
        labels = torch.multinomial(weights, n, replacement=True, generator=rng)
        noise = torch.randn(n, self._means.shape[1], generator=rng, device=device)
        factors, means = self._factors.float().to(device), self._means.float().to(device)
        out = torch.empty_like(noise)
        for k in range(self.components):
            of_k = labels == k
            out[of_k] = means[k] + noise[of_k] @ factors[k].T
        return out

    def log_prob(self, x: Points) -> PerPoint:
        points = torch.as_tensor(np.asarray(x, dtype=np.float64))
        parts = torch.distributions.MultivariateNormal(self._means, scale_tril=self._factors)
        mixed = parts.log_prob(points[:, None]) + self._weights.log()
        return mixed.logsumexp(1).numpy()

    def tensors(self) -> dict[str, Tensor]:
        return {
            "weights": self._weights,
            "means": self._means,
            "covariances": self._covariances,
        }


@dataclass(frozen=True)
class MixtureTrainer(FitTrainer):
    """EM from k-means++ starts, the likeliest of `starts`.

    components: K, or "modes" for the number the data have (a GAN is not told it), or "bic" for
    the K with the lowest Bayesian information criterion on 5,000 points, one start each:
    K = 1, 2, ... until eight in a row have not improved on the best. `VARIANCE_FLOOR` of the
    data's mean variance is added to every variance.
    """

    components: int | str
    starts: int = 3

    def fit(self, data: Data, seed: int) -> GaussianMixtureSampler:
        points = data.training.cpu().double().numpy()
        model = _em(points, self._choose(data, points, seed), self.starts, seed)
        arrays = (model.weights_, model.means_, model.covariances_)
        return GaussianMixtureSampler(*(torch.as_tensor(array) for array in arrays))

    def _choose(self, data: Data, points: np.ndarray, seed: int) -> int:
        if isinstance(self.components, int):
            return self.components
        if self.components == "modes":
            return data.modes
        sample = points[:SELECTION_POINTS]
        best, best_bic, k = 1, np.inf, 1
        while k - best <= PATIENCE and k <= len(sample) // 10:
            bic = _em(sample, k, 1, seed).bic(sample)
            if bic < best_bic:
                best, best_bic = k, bic
            k += 1
        return best

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> GaussianMixtureSampler:
        return GaussianMixtureSampler(*(tensors[k] for k in ("weights", "means", "covariances")))


def _em(points: np.ndarray, components: int, starts: int, seed: int) -> GaussianMixture:
    """A fitted mixture. scikit-learn takes a second to import, so it is imported here."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    floor = VARIANCE_FLOOR * float(points.var(axis=0).mean()) or VARIANCE_FLOOR
    model = GaussianMixture(
        components, n_init=starts, random_state=seed, reg_covar=floor, max_iter=200
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(points)


RECIPES.register(
    "gmm",
    paper="doi:10.1111/j.2517-6161.1977.tb01600.x",
    summary="Gaussian mixture by EM, told how many modes the data have",
    role="baseline",
    moded=True,
    points_only="full covariances of images don't fit",
)(Fixed(MixtureTrainer("modes"), expected_seconds=3.0))

RECIPES.register(
    "gmm-bic",
    paper="doi:10.1214/aos/1176344136",
    summary="Gaussian mixture by EM, number of modes chosen by BIC",
    role="baseline",
    points_only="full covariances of images don't fit",
)(Fixed(MixtureTrainer("bic"), expected_seconds=4.5))

RECIPES.register(
    "one-gaussian",
    summary="One Gaussian by maximum likelihood: covers modes by being wide",
    role="floor",
    points_only="pca-gaussian is its like for images",
)(Fixed(MixtureTrainer(1, starts=1)))
