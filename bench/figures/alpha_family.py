"""A family of divergences from seeking one mode to covering both, and where it turns over."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from scipy.optimize import brentq

from bench.figures.contracts import FIGURES, Lesson, Shown, table_of
from bench.figures.densities import alpha_divergence
from bench.figures.fits import Fit, Mixture, fits
from generative.training import Bounds

ALPHAS = tuple(float(a) for a in np.round(np.linspace(-1, 2, 31), 10))
PRINTED = (-1.0, 0.0, 0.5, 1.0, 2.0)
TIED = 1e-6
"""Minima that differ by less are one another's mirror."""
COVERS = 1.2
"""A Gaussian with a larger deviation lies over both modes."""


@dataclass(frozen=True)
class AlphaFamily(Lesson):
    """The best Gaussians for two modes by alpha-divergences from -1 to 2, and the alpha at which
    the best one is no more on a mode, but over both. share: of the left mode, in the second column;
    the first has halves.
    """

    share: Annotated[float, Bounds(gt=0.5, le=0.9)] = 0.7

    def show(self) -> Shown:
        found = {share: _family(Mixture(share)) for share in (0.5, self.share)}
        rows = [
            (f"share {share:g}, alpha {alpha:g}, minimum {place}", *told)
            for share, family in found.items()
            for alpha, minima in family.items()
            if alpha in PRINTED
            for place, fit in enumerate(minima, 1)
            for told in _told(Mixture(share), alpha, fit)
        ]
        turns = {share: turn(Mixture(share)) for share in found}
        rows += [
            (f"share {share:g}", "alpha of the turn", at, np.nan) for share, at in turns.items()
        ]
        return Shown(table_of(rows), lambda: _draw(found, turns))


def _family(mixture: Mixture) -> dict[float, list[Fit]]:
    return {a: fits(mixture, partial(alpha_divergence, alpha=a)) for a in ALPHAS}


def _told(mixture: Mixture, alpha: float, fit: Fit) -> list[tuple[str, float, float]]:
    """What a minimum is, beside the mixture's moments where alpha is 1."""
    exact = (mixture.mean, mixture.deviation) if alpha == 1 else (np.nan, np.nan)
    told = zip(("mean", "deviation"), (fit.mean, fit.std), exact, strict=True)
    return [*told, ("divergence", fit.value, np.nan)]


def turn(mixture: Mixture) -> float:
    """The alpha at which the minimum on the larger mode is as low as the one over both."""

    def lead(alpha: float) -> float:
        minima = fits(mixture, partial(alpha_divergence, alpha=alpha))
        over = [fit.value for fit in minima if fit.std > COVERS]
        on = [fit.value for fit in minima if fit.std <= COVERS]
        if not over or not on:
            return 1.0 if over else -1.0
        return min(on) - min(over)

    root: Any = brentq(lead, ALPHAS[0], ALPHAS[-1], xtol=1e-4)
    return float(root)


def _draw(found: dict[float, dict[float, list[Fit]]], turns: dict[float, float]) -> Any:
    from results.pictures.figures import new_figure

    figure, axes = new_figure(2, len(found), 2.1, 4.2)
    for column, (share, family) in enumerate(found.items()):
        for row, (name, exact) in enumerate((("mean", "mean"), ("std", "deviation"))):
            axis = axes[row * len(found) + column]
            for alpha, minima in family.items():
                for fit in minima:
                    best = fit.value < minima[0].value + TIED
                    axis.plot(
                        alpha,
                        getattr(fit, name),
                        "o",
                        markersize=5 if best else 3,
                        color="#c1272d" if fit.std <= COVERS else "#1f5fa8",
                        markerfacecolor=None if best else "none",
                    )
            axis.axvline(turns[share], color="0.6", lw=0.8, ls="--")
            axis.axhline(getattr(Mixture(share), exact), color="0.8", lw=0.8)
            axis.set(ylabel=f"{exact} of the model", xlabel="alpha (0: reverse KL, 1: forward KL)")
        axes[column].set_title(
            f"{share:g} of the data in the left mode: turns at {turns[share]:.3f}", fontsize=9
        )
    figure.suptitle("red: on one mode, blue: over both; filled: the least", fontsize=9)
    return figure


FIGURES.register(
    "alpha-family",
    summary="From seeking a mode to covering both along alpha-divergences, and where it turns",
    tolerance=1e-4,
)(AlphaFamily())
