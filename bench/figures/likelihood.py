"""A great likelihood with poor samples, great samples with none, and an estimate that misranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from bench.datasets import DATASETS
from bench.figures.contracts import FIGURES, Lesson, Shown, table_of
from generative.training import Bounds
from metrics.parzen import log_density

DIMENSIONS = (1, 10, 100, 1000)
MANY = 100
TESTED = 500
WIDTHS = np.geomspace(0.05, 1.0, 12)
ROUNDS = 10


@dataclass(frozen=True)
class Likelihood(Lesson):
    """Theis et al. 2016, arXiv:1511.01844: .01 p + .99 noise has almost the likelihood of p in many
    dimensions, though 99 of 100 samples are noise; and windows of Parzen on k means of the training
    digits stand above those on true digits. centres: how many means, and as many true digits.
    """

    centres: Annotated[int, Bounds(ge=10, le=2000)] = 500

    def show(self) -> Shown:
        losses = {d: _loss(d) for d in DIMENSIONS}
        rows = [
            (f"{d} dimensions", "nats of log-likelihood lost to 99 % of noise", loss, _limit(d))
            for d, loss in losses.items()
        ]
        windows = self._windows()
        rows += [
            (name, "Parzen estimate (nats)", mean, np.nan) for name, (mean, _) in windows.items()
        ]
        return Shown(table_of(rows), lambda: _draw(losses, windows))

    def _windows(self) -> dict[str, tuple[float, float]]:
        """The estimate of held-out digits with its standard error, of what the windows stand on;
        their width is chosen on other held-out digits.
        """
        from scipy.cluster.vq import kmeans2

        source: Any = DATASETS["mnist5k"].part.source(0)
        train, held = (
            values.flatten(1).numpy().astype(np.float64)
            for values in (source.training, source.held_out)
        )
        chosen, tested = held[:TESTED], held[TESTED : 2 * TESTED]
        rng = np.random.default_rng(0)
        few = train[rng.permutation(len(train))[: self.centres]]
        means, _ = kmeans2(train, few, iter=ROUNDS, minit="matrix", missing="warn")
        noise = rng.uniform(size=few.shape)
        stands = {"k means": means, "true digits": few, "noise": noise}
        return {name: _estimate(chosen, tested, centres) for name, centres in stands.items()}


def _limit(dimensions: int) -> float:
    """What is lost where noise and data no longer meet: the log of 100, the most there is."""
    return float(np.log(100)) if dimensions >= MANY else float("nan")


def _loss(dimensions: int, width: float = 3.0, n: int = 4000) -> float:
    """Of p = N(0, I) by the mixture with 99 % of N(0, width^2 I), by draws of p, in nats."""
    squares = np.random.default_rng(dimensions).chisquare(dimensions, n)
    log_p = -0.5 * squares - dimensions / 2 * np.log(2 * np.pi)
    log_noise = -0.5 * squares / width**2 - dimensions / 2 * np.log(2 * np.pi * width**2)
    mixed = np.logaddexp(np.log(0.01) + log_p, np.log(0.99) + log_noise)
    return float((log_p - mixed).mean())


def _estimate(chosen: Any, tested: Any, centres: Any) -> tuple[float, float]:
    width = max(WIDTHS, key=lambda w: float(log_density(chosen, centres, float(w)).mean()))
    values = log_density(tested, centres, float(width))
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _draw(losses: dict[int, float], windows: dict[str, tuple[float, float]]) -> Any:
    from results.pictures.figures import new_figure

    figure, (left, right) = new_figure(1, 2, 2.8, 4.2)
    left.plot(list(losses), list(losses.values()), "o-", color="#1f5fa8")
    left.axhline(np.log(100), color="#c1272d", ls="--", lw=1)
    left.annotate("log 100", (1, np.log(100)), (0, 4), textcoords="offset points", fontsize=8)
    left.set(xscale="log", ylim=(0, 5.4), xlabel="dimensions", ylabel="nats lost")
    left.set_title("99 % of samples are noise", fontsize=9)
    names = list(windows)
    values, errors = zip(*windows.values(), strict=True)
    right.barh(names, values, xerr=[1.96 * e for e in errors], color="#9bb8d8")
    right.set(xlabel="Parzen estimate of held-out digits (nats)")
    right.set_title("what the windows stand on: digits, their means, noise", fontsize=9)
    right.invert_yaxis()
    return figure


FIGURES.register(
    "likelihood",
    paper="arXiv:1511.01844",
    summary="Noise with a great likelihood, and Parzen windows that prefer k means to the truth",
    tolerance=1e-4,
)(Likelihood())
