"""How long cells take on so many workers: list scheduling, the longest first, models once."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.suites.cell import Cell
from bench.tasks import TASKS
from results.timings import Timing, name_of

TAKES = 1.05
"""More workers than these would be told of only where they gain at least that factor."""


@dataclass(frozen=True)
class Load:
    """A cell's seconds, where they are known from (`run`, `costs`, or `guess`), and the model that
    it shares with others, which wait for the first of them.
    """

    name: str
    seconds: float
    source: str
    model: str = ""


@dataclass(frozen=True)
class Forecast:
    """Seconds on so many workers; the longest cell; seconds on more workers, by their number, as
    far as they gain anything.
    """

    seconds: float
    workers: int
    longest: Load
    more: Mapping[int, float]


def load_of(cell: Cell, own: Mapping[str, Timing], costs: Mapping[str, Timing]) -> Load:
    """A cell's: what earlier seeds of this run took, else baselines, else its task's guess."""
    name, artifact = name_of(cell.cell_id, cell.device), TASKS[cell.task].part.artifact(cell)
    model = "" if artifact is None else "/".join(artifact)
    label = f"{cell.cell_id} seed {cell.seed}"
    for source, known in (("run", own), ("costs", costs)):
        if name in known:
            return Load(label, known[name].seconds, source, model)
    return Load(label, cell.seconds, "guess", model)


def span(loads: Iterable[Load], workers: int) -> float:
    """Seconds until the last one is done. Of those that share a model the longest goes first, and
    the others begin when it is done. Each next load goes to whoever is free first.
    """
    free, trained, rest = [0.0] * workers, dict[str, float](), list[Load]()
    for load in sorted(loads, key=lambda load: (-load.seconds, load.name)):
        if load.model and load.model in trained:
            rest.append(load)
            continue
        end = heapq.heappop(free) + load.seconds
        heapq.heappush(free, end)
        if load.model:
            trained[load.model] = end
    for load in rest:
        end = max(heapq.heappop(free), trained[load.model]) + load.seconds
        heapq.heappush(free, end)
    return max(free)


def forecast(loads: Sequence[Load], workers: int) -> Forecast | None:
    """None where nothing is left to do."""
    if not loads:
        return None
    seconds, more, count = span(loads, workers), dict[int, float](), workers
    while count < len(loads):
        count = min(2 * count, len(loads))
        better = span(loads, count)
        if better * TAKES > min([seconds, *more.values()]):
            break
        more[count] = better
    return Forecast(seconds, workers, max(loads, key=lambda load: load.seconds), more)
