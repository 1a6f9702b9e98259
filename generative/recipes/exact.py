"""Diffusion and flow matching without a network: their optimum on a mixture, in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from generative.carried import EVALUATIONS
from generative.contracts import RECIPES, Data, Recipe, Sampler
from generative.diffusion import heun, noise_levels, steps_throughout, steps_to_noiseless
from generative.recipes.edm import HIGHEST, LOWEST
from generative.recipes.ready import Unfit
from generative.samplers import drawn_in_parts
from generative.trainers.fit import FitTrainer
from generative.training import Bounds, Training, settings_of, told

Path = Literal["noise", "line"]


@runtime_checkable
class KnownMixture(Protocol):
    """weights [K], centres [K, d], covariances [K, d] (variances) or [K, d, d]."""

    @property
    def weights(self) -> np.ndarray: ...
    @property
    def centres(self) -> np.ndarray: ...
    @property
    def covariances(self) -> np.ndarray: ...


class Optimum:
    """What is known of x and n where only y = a x + b n is seen, x of a mixture, n ~ N(0, I).

    centre [d], scale: mean of the mixture and root mean square deviation from it over all values.
    """

    def __init__(self, weights: Tensor, centres: Tensor, covariances: Tensor) -> None:
        shares = weights / weights.sum()
        self.log_weights, self.centres = shares.log(), centres
        self.variances, self.axes = torch.linalg.eigh(covariances)
        self.centre = shares @ centres
        apart = (centres - self.centre).square() + covariances.diagonal(dim1=1, dim2=2)
        self.scale = (shares @ apart).mean().sqrt()

    @classmethod
    def of(cls, mixture: KnownMixture, device: str | torch.device) -> Optimum:
        """In the mixture's own units, in double precision."""
        weights, centres, covariances = (
            torch.as_tensor(np.asarray(values, dtype=np.float64), device=device)
            for values in (mixture.weights, mixture.centres, mixture.covariances)
        )
        full = covariances if covariances.ndim == 3 else torch.diag_embed(covariances)
        return cls(weights, centres, full)

    def standardised(self) -> Optimum:
        """In the units that networks are trained in: of mean 0 and scale 1."""
        full = self.axes @ torch.diag_embed(self.variances) @ self.axes.mT
        centres = (self.centres - self.centre) / self.scale
        return Optimum(self.log_weights.exp(), centres, full / self.scale**2)

    def means(self, y: Tensor, a: float, b: float) -> tuple[Tensor, Tensor]:
        """E[x | y] and E[n | y], [n, d] each, in double precision."""
        gap = y.double()[None] - a * self.centres[:, None]
        turned = gap @ self.axes
        total = a**2 * self.variances + b**2
        log_sizes = total.log().sum(1)[:, None]
        log_terms = (
            self.log_weights[:, None] - ((turned.square() / total[:, None]).sum(2) + log_sizes) / 2
        )
        shares = log_terms.softmax(0)
        of_x = (turned * (a * self.variances / total)[:, None]) @ self.axes.mT
        of_n = (turned * (b / total)[:, None]) @ self.axes.mT
        x = torch.einsum("kn,knd->nd", shares, self.centres[:, None] + of_x)
        return x, torch.einsum("kn,knd->nd", shares, of_n)

    def denoised(self, x: Tensor, sigma: float) -> Tensor:
        """D*(x; sigma), what `edm` minimises to: the mean of the examples that x may be one of,
        [n, d]. For a mixture of N(c, v I) it is the mean of c + v / (v + sigma^2) (x - c).
        """
        return self.means(x, 1.0, sigma)[0]

    def velocity(self, x: Tensor, t: float) -> Tensor:
        """v*(x, t), what `flow-matching` minimises to: the mean of example less noise, [n, d]."""
        example, noise = self.means(x, t, 1 - t)
        return example - noise


class ExactFlow(Sampler):
    """The noise of the trained model, carried by the optimum with as many evaluations."""

    def __init__(self, known: Optimum, path: Path, evaluations: int) -> None:
        self.passes, self._known, self._path = evaluations, known, path
        self._best = known.standardised()

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return drawn_in_parts(
            n, tuple(self._known.centre.shape), lambda size: self._draw(size, rng)
        )

    def _draw(self, n: int, rng: torch.Generator) -> Tensor:
        best, known = self._best, self._known
        x = torch.randn(n, len(known.centre), generator=rng, device=rng.device).double()
        if self._path == "line":
            steps = steps_throughout(self.passes)
            times = [i / steps.number for i in range(steps.number + 1)]
            x = heun(best.velocity, x, times, steps.euler)
        else:
            steps = steps_to_noiseless(self.passes)
            levels = noise_levels(steps.number, LOWEST, HIGHEST)
            x = heun(lambda x, s: (x - best.denoised(x, s)) / s, HIGHEST * x, levels, steps.euler)
        return (x * known.scale + known.centre).float()

    def tensors(self) -> dict[str, Tensor]:
        return {EVALUATIONS: torch.tensor(self.passes)}


@dataclass(frozen=True)
class ExactTrainer(FitTrainer):
    """Nothing is trained."""

    path: Path
    evaluations: int

    def fit(self, data: Data, seed: int) -> ExactFlow:
        mixture = data.density
        if not isinstance(mixture, KnownMixture):
            raise Unfit(
                "the optimum of a denoiser is known for mixtures of Gaussians with a density, and "
                "these data are none: leave out the exact rows"
            )
        return ExactFlow(Optimum.of(mixture, data.device), self.path, self.evaluations)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> ExactFlow:
        return self.fit(data, 0)


@dataclass(frozen=True)
class Exact(Recipe):
    """evaluations_per_sample: of the closed form, for a sample."""

    path: Path
    evaluations_per_sample: Annotated[int, Bounds(1, 1_000)]

    def relevant(self, training: Training) -> dict[str, Any]:
        return {name: s.default for name, s in settings_of(told(self, training.settings)).items()}

    def modules(self, training: Training) -> tuple[str, ...]:
        return (__name__,)

    def trainer(self, training: Training, shape: tuple[int, ...]) -> ExactTrainer:
        return ExactTrainer(self.path, told(self, training.settings).evaluations_per_sample)

    def seconds(self, training: Training) -> float:
        return 0.1


for _name, _recipe, _usual, _source in (
    ("exact-denoiser", Exact("noise", 35), "edm", "arXiv:2206.00364"),
    ("exact-velocity", Exact("line", 100), "flow-matching", "arXiv:2210.02747"),
):
    RECIPES.register(
        _name,
        paper=_source,
        summary=f"The optimum of {_usual} on a mixture, in closed form: all its sampler can do",
        role="ceiling",
        moded=True,
        points_only="the optimum is known where the data are a mixture",
    )(_recipe)
