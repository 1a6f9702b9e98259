"""A GAN in one dimension with a critic at its best: p / (p + q), and one half in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.randomness import forked
from bench.figures.contracts import FIGURES, Lesson, Shown, table_of
from bench.figures.densities import Curve, gaussian, integral, jensen_shannon
from generative import LOSSES
from generative.training import Bounds

DATA = (1.5, 0.8)
START = (-1.5, 0.4)
SEEN = 0.01
"""The critic is held to its closed form where the densities come to more."""
WIDTH, ROUNDS = 32, 40
RATE = 0.2
ENDS = 8.0


@dataclass(frozen=True, eq=False)
class Moment:
    """A moment of the game. q: the model's density; critic: what the critic takes for data, a
    probability; value: of the game, E log D(x) + E log(1 - D(G(z))).
    """

    step: int
    mean: float
    std: float
    q: Curve
    critic: Curve
    value: float


@dataclass(frozen=True)
class OptimalCritic(Lesson):
    """A generator a + b z learns N(1.5, .8^2) by the minimax loss; before each of its steps a
    network is fitted as its critic until it gains no more, on integrals in the place of samples
    (Goodfellow et al. 2014, arXiv:1406.2661, figure 1 and proposition 1, theorem 1). steps: of the
    generator.
    """

    steps: Annotated[int, Bounds(ge=3, le=2000)] = 150

    def show(self) -> Shown:
        x = np.linspace(-ENDS, ENDS, 801)
        data = gaussian(x, *DATA)
        with forked(0):
            moments = list(self._played(x, data))
        rows = [row for moment in moments for row in _rows(x, data, moment)]
        return Shown(table_of(rows), lambda: _draw(x, data, moments))

    def _played(self, x: Curve, data: Curve) -> Any:
        """The moments that are shown: first, two on the way, last."""
        critic = nn.Sequential(
            nn.Linear(1, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1)
        ).double()
        loss = LOSSES["minimax"].part()
        place = torch.tensor(START, dtype=torch.float64, requires_grad=True)
        codes, weights = _quadrature()
        grid, real = torch.from_numpy(x)[:, None], torch.from_numpy(data)
        shown = {0, self.steps // 8, self.steps // 3, self.steps}
        for step in range(self.steps + 1):
            q = gaussian(x, *place.detach().tolist())
            _fit(critic, loss, grid, real, torch.from_numpy(q))
            if step in shown:
                with torch.no_grad():
                    judged = critic(grid).squeeze(1).sigmoid().numpy()
                mean, std = place.detach().tolist()
                yield Moment(step, mean, std, q, judged, _value(x, data, q, judged))
            fakes = critic((place[0] + place[1] * codes)[:, None]).squeeze(1)
            (slope,) = torch.autograd.grad((weights * loss.generator(fakes, fakes)).sum(), place)
            with torch.no_grad():
                place -= RATE * slope


def _quadrature() -> tuple[Tensor, Tensor]:
    """Points and weights for means over N(0, 1)."""
    points, weights = np.polynomial.hermite_e.hermegauss(64)
    return torch.from_numpy(points), torch.from_numpy(weights / weights.sum())


def _fit(critic: nn.Module, loss: Any, grid: Tensor, real: Tensor, fake: Tensor) -> None:
    """Let the critic gain all it can, from where it is."""
    width = float(grid[1, 0] - grid[0, 0])
    made = torch.optim.LBFGS(
        critic.parameters(), max_iter=ROUNDS, line_search_fn="strong_wolfe", history_size=20
    )

    def closure() -> Tensor:
        made.zero_grad()
        logits = critic(grid).squeeze(1)
        none = torch.full_like(logits, 1e9)
        total = (real * loss.critic(logits, -none) + fake * loss.critic(none, logits)).sum() * width
        total.backward()
        return total

    made.step(closure)


def _value(x: Curve, data: Curve, q: Curve, judged: Curve) -> float:
    tiny = 1e-300
    return integral(
        x, data * np.log(np.maximum(judged, tiny)) + q * np.log(np.maximum(1 - judged, tiny))
    )


def _rows(x: Curve, data: Curve, moment: Moment) -> list[tuple[str, str, float, float]]:
    seen = data + moment.q > SEEN
    best = data[seen] / (data + moment.q)[seen]
    off = float(np.abs(moment.critic[seen] - best).max())
    where = f"step {moment.step}"
    return [
        (where, "largest distance of the critic from p / (p + q)", off, 0.0),
        (
            where,
            "value of the game",
            moment.value,
            2 * jensen_shannon(x, data, moment.q) - np.log(4),
        ),
        (where, "mean of the model", moment.mean, np.nan),
        (where, "deviation of the model", moment.std, np.nan),
    ]


def _draw(x: Curve, data: Curve, moments: list[Moment]) -> Any:
    from results.pictures.figures import new_figure

    figure, axes = new_figure(1, len(moments), 2.6, 2.9)
    for axis, moment in zip(axes, moments, strict=True):
        axis.plot(x, data, ":", color="black", label="data, p")
        axis.plot(x, moment.q, color="#3a7d44", label="model, q")
        seen = data + moment.q > SEEN
        best = data[seen] / (data + moment.q)[seen]
        axis.plot(x[seen], moment.critic[seen], color="#1f5fa8", lw=2, label="critic, trained")
        axis.plot(x[seen], best, "--", color="#c1272d", lw=1, label="p / (p + q)")
        axis.axhline(0.5, color="0.8", lw=0.8)
        axis.set(xlim=(-4, 4.5), ylim=(0, 1.1), xlabel="x")
        axis.set_title(f"step {moment.step}: value {moment.value:.3f}", fontsize=9)
    axes[-1].legend(fontsize=7, frameon=False, loc="upper left")
    return figure


FIGURES.register(
    "optimal-critic",
    paper="arXiv:1406.2661",
    summary="A critic at its best beside p / (p + q) while the model learns, down to -log 4",
    tolerance=0.02,
)(OptimalCritic())
