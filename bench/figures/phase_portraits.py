"""What ways of making steps do to a game whose players only turn about each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float

from bench.figures.contracts import FIGURES, Lesson, Shown, table_of
from generative import DYNAMICS
from generative.training import Bounds, told

Orbit = Float[np.ndarray, "steps 2"]
START = (1.0, 0.0)
STEPS = 120


@dataclass(frozen=True)
class Panel:
    """A way of making steps: its title, the dynamics, the weight of a penalty of the critic."""

    title: str
    dynamics: str
    damping: float = 0.0


PANELS = (
    Panel("simultaneous", "simultaneous"),
    Panel("alternating", "alternating"),
    Panel("extragradient", "extragradient"),
    Panel("consensus", "consensus"),
    Panel("unrolled", "unrolled"),
    Panel("alternating, R1", "alternating", 0.5),
)


@dataclass(frozen=True)
class PhasePortraits(Lesson):
    """The game f(c, g) = c g, whose only rest is (0, 0), played by plain gradient descent: an arrow
    is a step, a line the orbit of 120 of them (Mescheder et al. 2018, arXiv:1801.04406). rate: of
    both players.
    """

    rate: Annotated[float, Bounds(gt=0, le=1)] = 0.2

    def show(self) -> Shown:
        maps = {panel: self._map(panel) for panel in PANELS}
        rows = [
            (panel.title, "growth a step", growth(matrix), self._expected(panel))
            for panel, matrix in maps.items()
        ]
        return Shown(table_of(rows), lambda: _draw(maps))

    def _map(self, panel: Panel) -> Float[np.ndarray, "2 2"]:
        part = told(DYNAMICS[panel.dynamics].part, {"consensus_weight": 1.0, "ahead": 5})
        field = np.array([[panel.damping, 1.0], [-1.0, 0.0]])
        found = part.linear(field, self.rate)
        assert found is not None
        return found

    def _expected(self, panel: Panel) -> float:
        """By hand, where it takes a line: the absolute value of complex eigenvalues, which is the
        root of the determinant.
        """
        rate = self.rate
        if panel.dynamics == "alternating":
            return float(np.sqrt(1 - rate * panel.damping))
        known = {
            "simultaneous": np.sqrt(1 + rate**2),
            "extragradient": np.sqrt((1 - rate**2) ** 2 + rate**2),
            "consensus": np.sqrt((1 - rate) ** 2 + rate**2),
        }
        return float(known.get(panel.dynamics, np.nan))


def growth(matrix: Float[np.ndarray, "2 2"]) -> float:
    """By what the distance from rest is multiplied a step, in the long run."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def orbit(matrix: Float[np.ndarray, "2 2"], steps: int = STEPS) -> Orbit:
    """Where the players are, from the first place on."""
    at = [np.array(START)]
    for _ in range(steps):
        at.append(matrix @ at[-1])
    return np.array(at)


def _draw(maps: dict[Panel, Any]) -> Any:
    from results.pictures.figures import new_figure

    figure, axes = new_figure(2, 3, 2.9, 2.9)
    side = np.linspace(-1.5, 1.5, 13)
    places = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    for axis, (panel, matrix) in zip(axes, maps.items(), strict=True):
        steps = places @ (matrix - np.eye(2)).T
        axis.quiver(*places.T, *steps.T, color="0.75", angles="xy", width=0.004)
        way = orbit(matrix)
        axis.plot(*way.T, color="#c1272d", lw=1)
        axis.plot(*way[0], "o", color="black", markersize=4)
        axis.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
        axis.set_title(f"{panel.title}: × {growth(matrix):.3f} a step", fontsize=9)
        axis.set_xlabel("critic", fontsize=8)
        axis.set_ylabel("generator", fontsize=8)
        axis.tick_params(labelsize=7)
    return figure


FIGURES.register(
    "phase-portraits",
    paper="arXiv:1801.04406",
    summary="Six ways to play a game of two numbers: who leaves, who circles, who comes to rest",
    tolerance=1e-9,
)(PhasePortraits())
