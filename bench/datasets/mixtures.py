"""Gaussian mixtures, each named after the protocol that fixes its centres and widths.

The same "ring of 8" hides at least five targets in the literature, so a mixture's name
carries its protocol: `ring8@pacgan` and `ring8@unrolled-paper` differ in radius and width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.spatial import KDTree
from scipy.special import logsumexp
from torch import Tensor

from bench.core.errors import UsageError, unknown
from bench.core.randomness import stream
from bench.datasets.base import DATASETS, Batches, Dataset, Source
from bench.datasets.batches import FreshDraws, ShuffledEpochs
from metrics import RULES
from metrics.near import MANY, grouped, near, nearest, too_far

ESTIMATOR_POINTS = 100_000
TWINS = 1e-6
"""Standard deviations between two centres that are taken for one place."""
ESTIMATOR_VALUES = 2**24
NEGLIGIBLE = 40.0
"""Modes are left out that lie so many nats below all others, together: below a double's digits."""


@dataclass(frozen=True, eq=False)
class Mixture(Dataset):
    """A mixture of K Gaussians in d dimensions, known exactly.

    centres: [K, d]. covariances: [K, d] (variances along the axes; zero is allowed and makes
    the mixture degenerate) or [K, d, d]. weights: [K], relative. rule: the high-quality rule
    of its headline scores. training_points: how many fixed points a model trains on, or None
    for fresh draws at every step. Raises UsageError for shapes or values that are no mixture.
    """

    name: str
    centres: np.ndarray
    covariances: np.ndarray
    weights: np.ndarray
    rule: str = "euclid3"
    training_points: int | None = ESTIMATOR_POINTS
    note: str = ""
    _factors: np.ndarray = field(init=False, repr=False)
    _fingerprint: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        centres = _array(self.name, "centres", self.centres, (2,))
        weights = _array(self.name, "weights", self.weights, (1,))
        covariances = _array(self.name, "covariances", self.covariances, (2, 3))
        modes, dim = centres.shape
        expected = (modes, dim) if covariances.ndim == 2 else (modes, dim, dim)
        if not modes or not dim:
            raise UsageError(f"mixture '{self.name}': expected at least one centre, got none")
        if len(weights) != modes or covariances.shape != expected:
            raise UsageError(
                f"mixture '{self.name}': {modes} centres of dimension {dim} need {modes} weights "
                f"and covariances, got {len(weights)} and {len(covariances)} of shape "
                f"{covariances.shape[1:]}"
            )
        if (weights <= 0).any() or weights.max() > 1e300:
            raise UsageError(f"mixture '{self.name}': expected positive weights of a finite sum")
        self._refuse_twins(centres, covariances)
        object.__setattr__(self, "centres", centres)
        object.__setattr__(self, "weights", weights / weights.sum())
        object.__setattr__(self, "covariances", covariances)
        object.__setattr__(self, "_factors", self._factor(covariances))
        object.__setattr__(self, "_fingerprint", self._digest())

    def _refuse_twins(self, centres: np.ndarray, covariances: np.ndarray) -> None:
        """Raise UsageError for two modes in one place: no sample tells which of them it is of."""
        if len(centres) < 2:
            return
        from scipy.spatial import KDTree

        found: Any = KDTree(centres).query(centres, k=2)
        far, other = found
        diagonal = covariances if covariances.ndim == 2 else covariances.diagonal(0, 1, 2)
        close = far[:, 1] <= TWINS * np.sqrt(np.abs(diagonal).max(1))
        if close.any():
            one = int(close.argmax())
            pair = sorted({one, *map(int, other[one])})[:2]
            raise UsageError(
                f"mixture '{self.name}': modes {pair[0]} and {pair[1]} are in one place: expected "
                "centres apart from each other; one mode of both, or other centres"
            )

    def _factor(self, covariances: np.ndarray) -> np.ndarray:
        """Standard deviations [K, d], or lower Cholesky factors [K, d, d]."""
        if covariances.ndim == 2:
            if (covariances < 0).any() or not (covariances > 0).any(axis=1).all():
                raise UsageError(f"mixture '{self.name}': expected positive variances")
            return np.sqrt(covariances)
        scale = np.abs(covariances).max()
        if not np.allclose(covariances, covariances.transpose(0, 2, 1), 0, 1e-12 * scale):
            raise UsageError(f"mixture '{self.name}': expected symmetric covariances")
        try:
            return np.linalg.cholesky(covariances)
        except np.linalg.LinAlgError:
            raise UsageError(
                f"mixture '{self.name}': a covariance is not positive definite"
            ) from None

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"points", "modes"})

    @property
    def modes(self) -> int:
        return len(self.centres)

    @property
    def dim(self) -> int:
        return self.centres.shape[1]

    @property
    def degenerate(self) -> bool:
        """Whether some direction has no variance, so that there is no density."""
        return self.covariances.ndim == 2 and bool((self.covariances == 0).any())

    @property
    def spread_dims(self) -> np.ndarray:
        """How many directions of each mode have variance, [K]."""
        if self.covariances.ndim == 3:
            return np.full(self.modes, self.dim)
        return (self.covariances > 0).sum(axis=1)

    @property
    def widest(self) -> np.ndarray:
        """The largest standard deviation of each mode, [K]."""
        if self.covariances.ndim == 2:
            return np.sqrt(self.covariances.max(axis=1))
        return np.sqrt(np.linalg.eigvalsh(self.covariances).max(axis=1))

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def _digest(self) -> str:
        digest = hashlib.sha256(f"{self.training_points}|{self.rule}".encode())
        for array in (self.centres, self.covariances, self.weights):
            digest.update(f"|{array.shape}|".encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def standardised(self, mode: int, columns: np.ndarray) -> np.ndarray:
        """Deviations from a mode in its standard deviations; columns and result are [d, n].

        A direction without variance is measured in the mode's largest standard deviation.
        """
        factor = self._factors[mode]
        deviations = columns - self.centres[mode][:, None]
        if factor.ndim == 1:
            deviations *= 1 / np.where(factor > 0, factor, factor.max())[:, None]
            return deviations
        return np.linalg.solve(factor, deviations)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Log density at x [n, d], in nats, [n]. Raises ValueError where there is no density."""
        if self.degenerate:
            raise ValueError(f"mixture '{self.name}' is degenerate: it has no density")
        columns = np.ascontiguousarray(np.asarray(x, dtype=np.float64).T)
        summed = np.empty(columns.shape[1])
        by_tree = ~too_far(columns) & (self.modes >= MANY)
        for those, look in ((by_tree, self._summed_by_tree), (~by_tree, self._summed)):
            if those.any():
                summed[those] = look(np.ascontiguousarray(columns[:, those]))
        return summed - self.dim / 2 * np.log(2 * np.pi)

    def _summed(self, columns: np.ndarray) -> np.ndarray:
        """The logarithm of the sum over the modes, without the constant, [n]."""
        terms = [self._term(mode, columns) for mode in range(self.modes)]
        return np.asarray(logsumexp(np.array(terms), axis=0))

    def _term(self, mode: int, columns: np.ndarray) -> np.ndarray:
        """The logarithm of a mode's share of the density, without the constant, [n]."""
        square = (self.standardised(mode, columns) ** 2).sum(axis=0)
        return self._peaks[mode] - square / 2

    @cached_property
    def _peaks(self) -> np.ndarray:
        """The same at the centre of each mode, [K]."""
        diagonal = self._factors.ndim == 2
        scales = self._factors if diagonal else np.diagonal(self._factors, axis1=1, axis2=2)
        return np.array(
            [np.log(w) - np.log(s).sum() for w, s in zip(self.weights, scales, strict=True)]
        )

    def _summed_by_tree(self, columns: np.ndarray) -> np.ndarray:
        """The same, but for the modes that are too far to change a digit."""
        points, tree = columns.T, KDTree(self.centres)
        most = np.empty(len(points))
        for mode, places in grouped(nearest(tree, points)):
            most[places] = self._term(mode, np.ascontiguousarray(columns[:, places]))
        room = self._peaks.max() - most + np.log(self.modes) + NEGLIGIBLE
        found = np.empty(len(points))
        for part, modes in near(tree, points, self.widest.max() * np.sqrt(2 * room)):
            own, top = columns[:, part], most[part].copy()
            terms = [self._term(m, np.ascontiguousarray(own[:, places])) for m, places in modes]
            for (_, places), term in zip(modes, terms, strict=True):
                top[places] = np.maximum(top[places], term)
            total = np.zeros(len(top))
            for (_, places), term in zip(modes, terms, strict=True):
                total[places] += np.exp(term - top[places])
            found[part] = top + np.log(total)
        return found

    def of_modes(self, modes: Sequence[int]) -> Mixture:
        """The mixture of some of the modes, with their relative weights."""
        kept = list(modes)
        return replace(
            self,
            name=f"{self.name}[{kept}]",
            centres=self.centres[kept],
            covariances=self.covariances[kept],
            weights=self.weights[kept],
        )

    def smoothed(self, sigma: float) -> Mixture:
        """The mixture convolved with N(0, sigma^2 I)."""
        extra = sigma**2 * (1.0 if self.covariances.ndim == 2 else np.eye(self.dim))
        return replace(self, name=f"{self.name}+{sigma}", covariances=self.covariances + extra)

    def sample_labelled(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """`n` draws, float32 [n, d], and the mode of each, int64 [n]."""
        device = rng.device
        weights, centres, factors = self._tensors(device)
        if bool((weights == weights[0]).all()):
            labels = torch.randint(self.modes, (n,), generator=rng, device=device)
        elif n == 0:
            labels = torch.empty(0, dtype=torch.int64, device=device)
        else:
            labels = torch.multinomial(weights, n, replacement=True, generator=rng)
        noise = torch.randn(n, self.dim, generator=rng, device=device)
        if factors.ndim == 2:
            return centres[labels] + factors[labels] * noise, labels
        return centres[labels] + (factors[labels] @ noise[:, :, None])[:, :, 0], labels

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` draws, float32 [n, d]."""
        return self.sample_labelled(n, rng)[0]

    def _tensors(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        arrays = (self.weights, self.centres, self._factors)
        weights, centres, factors = (
            torch.as_tensor(a, dtype=torch.float32, device=device) for a in arrays
        )
        return weights, centres, factors

    def source(self, seed: int, device: str = "cpu") -> MixtureSource:
        return MixtureSource(self, seed, device)


class MixtureSource(Source):
    """The points of one mixture and seed."""

    def __init__(self, mixture: Mixture, seed: int, device: str = "cpu") -> None:
        self.mixture, self.device = mixture, device
        self.shape, self.modes, self.classes = (mixture.dim,), mixture.modes, mixture.modes
        self._purpose = ("data", mixture.fingerprint, seed)

    @property
    def training(self) -> Tensor:
        return self._training

    @cached_property
    def _training(self) -> Tensor:
        afresh = min(ESTIMATOR_POINTS, ESTIMATOR_VALUES // self.mixture.dim)
        n = self.mixture.training_points or afresh
        return self.mixture.sample(n, stream(*self._purpose, "training", device=self.device))

    def batches(self) -> Batches:
        rng = stream(*self._purpose, "batches", device=self.device)
        if self.mixture.training_points is None:
            return FreshDraws(self.mixture.sample, rng)
        return ShuffledEpochs(self.training, rng)

    def fresh(self, n: int, rng: torch.Generator, classes: Sequence[int] | None = None) -> Tensor:
        mixture = self.mixture if classes is None else self.mixture.of_modes(classes)
        return mixture.sample(n, rng)

    @property
    def density(self) -> Mixture | None:
        return None if self.mixture.degenerate else self.mixture


def _array(mixture: str, field: str, values: object, dims: Sequence[int]) -> np.ndarray:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"mixture '{mixture}': expected numbers as {field}") from None
    if array.ndim not in dims or not np.isfinite(array).all():
        raise UsageError(f"mixture '{mixture}': expected finite {field} of one shape for all modes")
    return array


def isotropic(name: str, centres: np.ndarray, sigma: float, **rest: object) -> Mixture:
    """Equal weights, the same variance in every direction."""
    modes, dim = centres.shape
    return Mixture(name, centres, np.full((modes, dim), sigma**2), np.ones(modes), **rest)  # type: ignore[arg-type]


def ring(modes: int, radius: float) -> np.ndarray:
    """Centres at equal angles on a circle, the first at angle 0."""
    angles = 2 * np.pi * np.arange(modes) / modes
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def grid(*ticks: float) -> np.ndarray:
    """Centres on every pair of ticks."""
    return np.array([(x, y) for x in ticks for y in ticks], dtype=np.float64)


DATASETS.register(
    "ring8@pacgan",
    paper="arXiv:1712.04086",
    summary="8 modes on a circle of radius 1, sigma 0.01, 100,000 fixed points",
    modes=8,
)(isotropic("ring8@pacgan", ring(8, 1.0), 0.01))

DATASETS.register(
    "ring8@unrolled-paper",
    paper="arXiv:1611.02163",
    summary="8 modes on a circle of radius 2, sigma 0.02, fresh draws",
    modes=8,
)(isotropic("ring8@unrolled-paper", ring(8, 2.0), 0.02, training_points=None))

DATASETS.register(
    "ring@unrolled-notebook",
    paper="arXiv:1611.02163",
    summary="7 modes, not 8: the notebook's angles repeat the endpoint, so one mode weighs 2/8",
    modes=7,
)(
    Mixture(
        "ring@unrolled-notebook",
        ring(7, 1.0),
        np.full((7, 2), 0.01**2),
        np.array([2.0, 1, 1, 1, 1, 1, 1]),
        training_points=None,
        note="7 modes: linspace(0, 2 pi, 8) holds the angle 0 twice",
    )
)

DATASETS.register(
    "grid25@pacgan",
    paper="arXiv:1712.04086",
    summary="25 modes on a 5 x 5 grid of step 2, sigma 0.05, 100,000 fixed points",
    modes=25,
)(isotropic("grid25@pacgan", grid(-4, -2, 0, 2, 4), 0.05))

_HD_SHIFTS = np.array([-1, -0.5, 0, 0.5, -2, -2.5, 10, 0.25, -13, -5.5])

DATASETS.register(
    "hd10@veegan",
    paper="arXiv:1705.07761",
    summary="10 modes in 1,200 dimensions, sigma 1 in the first 700 and 0 in the rest",
    modes=10,
)(
    Mixture(
        "hd10@veegan",
        np.repeat(_HD_SHIFTS[:, None], 1200, axis=1),
        np.repeat((np.arange(1200) < 700).astype(float)[None], 10, axis=0),
        np.ones(10),
        rule="rms",
        training_points=None,
        note="the published rule (10 sigma) gives real data a share of 0: rms is the headline",
    )
)


def from_table(table: dict[str, Any]) -> Mixture:
    """A mixture from a suite's [[mixture]] table. Raises UsageError where it is none."""
    if table["rule"] not in RULES:
        raise unknown("rule", table["rule"], RULES, f"(mixture '{table['name']}')")
    dim = len(table["centres"][0]) if table["centres"] else 0
    covariances = [_covariance(value, dim) for value in table["covariances"]]
    full = any(isinstance(value[0], list) for value in covariances if value)
    return Mixture(
        table["name"],
        np.array(table["centres"], dtype=object),
        np.array([_matrix(c) if full else c for c in covariances], dtype=object),
        np.array(table["weights"] or [1.0] * len(table["centres"])),
        rule=table["rule"],
        training_points=table["training_points"] or None,
    )


def _covariance(value: Any, dim: int) -> list:
    if isinstance(value, int | float):
        return [float(value)] * dim
    return [list(row) if isinstance(row, list | tuple) else row for row in value]


def _matrix(value: list) -> list:
    if value and isinstance(value[0], list):
        return value
    return np.diag(value).tolist()
