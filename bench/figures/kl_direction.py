"""Which way a KL divergence is taken decides whether a model covers modes or drops them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np

from bench.figures.contracts import FIGURES, Lesson, Shown, table_of
from bench.figures.densities import alpha_divergence, gaussian, jensen_shannon
from bench.figures.fits import Divergence, Fit, Mixture, fits, profile
from generative.training import Bounds

DIRECTIONS: dict[str, Divergence] = {
    "forward KL": partial(alpha_divergence, alpha=1),
    "reverse KL": partial(alpha_divergence, alpha=0),
    "Jensen-Shannon": jensen_shannon,
}
MEANS = [float(mean) for mean in np.linspace(-3.2, 3.2, 65)]
COLOURS = ("#1f5fa8", "#c1272d", "#3a7d44")
ON_A_MODE = 1.0
"""A Gaussian with a smaller deviation is on one mode."""
NEAR_LOG = 1e-3
"""How near the reverse KL of a Gaussian on one mode is to the log of what the mode lacks: the modes
overlap by less than this.
"""


@dataclass(frozen=True)
class KlDirection(Lesson):
    """The best Gaussian for a mixture of two, by KL(data || model), by KL(model || data) and by
    their symmetric relative; local minima are shown, too (Goodfellow 2016, arXiv:1701.00160, figure
    14, which has the better one alone). share: of the left mode, in the second column; the first
    has halves.
    """

    share: Annotated[float, Bounds(gt=0.5, le=0.99)] = 0.7

    def show(self) -> Shown:
        found = {
            share: {name: fits(Mixture(share), way) for name, way in DIRECTIONS.items()}
            for share in (0.5, self.share)
        }
        rows = [
            row
            for share, ways in found.items()
            for name, minima in ways.items()
            for place, fit in enumerate(minima, 1)
            for row in _rows(Mixture(share), name, place, fit)
        ]
        along = {
            share: {name: profile(Mixture(share), way, MEANS) for name, way in DIRECTIONS.items()}
            for share in found
        }
        return Shown(table_of(rows), lambda: _draw(found, along))


def _rows(mixture: Mixture, name: str, place: int, fit: Fit) -> list[tuple[str, str, float, float]]:
    """What a minimum is: the mean and the deviation are the mixture's by the forward KL, and the
    reverse KL of one that is on a mode is the log of the mode's share, less.
    """
    where = f"share {mixture.share:g}, {name}, minimum {place}"
    mean = std = value = np.nan
    if name == "forward KL":
        mean, std = mixture.mean, mixture.deviation
    if name == "reverse KL" and fit.std < ON_A_MODE:
        value = -float(np.log(mixture.share if fit.mean < 0 else 1 - mixture.share))
    return [
        (where, "mean", fit.mean, mean),
        (where, "deviation", fit.std, std),
        (where, "divergence", fit.value, value),
    ]


def _draw(
    found: dict[float, dict[str, list[Fit]]], along: dict[float, dict[str, list[float]]]
) -> Any:
    from results.pictures.figures import new_figure

    figure, axes = new_figure(2, len(found), 2.4, 4.2)
    for column, (share, ways) in enumerate(found.items()):
        mixture = Mixture(share)
        above, below = axes[column], axes[len(found) + column]
        above.fill_between(mixture.x, mixture.density, color="#d9d9d9", lw=0, label="data")
        for colour, (name, minima) in zip(COLOURS, ways.items(), strict=True):
            for place, fit in enumerate(minima):
                curve = gaussian(mixture.x, fit.mean, fit.std)
                above.plot(
                    mixture.x,
                    curve,
                    color=colour,
                    lw=1.6 if place == 0 else 1,
                    ls="-" if place == 0 else ":",
                    label=f"{name}: {fit.value:.3f}" if place == 0 else None,
                )
            below.plot(MEANS, along[share][name], color=colour)
            for fit in minima:
                below.plot(fit.mean, fit.value, "o", color=colour, markersize=4)
        above.set(xlim=(-5, 5), ylim=(0, 1.25), xlabel="x", ylabel="density")
        above.set_title(
            f"{share:g} of the data in the left mode (dotted: local minima)", fontsize=9
        )
        above.legend(fontsize=7, frameon=False, ncols=2, loc="upper center")
        below.set(xlim=(-3.2, 3.2), ylim=(0, 2), xlabel="mean of the model, at its best deviation")
        below.set_ylabel("divergence (nats)")
    return figure


FIGURES.register(
    "kl-direction",
    paper="arXiv:1701.00160",
    summary="The best Gaussian for two modes by either KL, with the minima that hide",
    tolerance=NEAR_LOG,
)(KlDirection())
