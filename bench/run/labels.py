"""What tables call the user's own models: short, and each another name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from bench.models.generatornames import short_of
from bench.suites.cell import Cell
from bench.tasks import TASKS, SamplingTask


def named_shortly(cells: Iterable[Cell]) -> list[Cell]:
    """The cells, those of models in files by the stems of these, where no other model of the plan
    has that name.
    """
    planned = list(cells)
    tasks = {name: TASKS[name].part for name in dict.fromkeys(cell.task for cell in planned)}
    drawing = [cell for cell in planned if isinstance(tasks[cell.task], SamplingTask)]
    models = {cell.part("model") for cell in drawing}
    short = {model: short_of(model) for model in models}
    shared = Counter([*short.values(), *(cell.part("model") for cell in planned)])
    return [
        replace(cell, named={"model": short[cell.part("model")]})
        if _shortened(cell.part("model"), short, shared)
        else cell
        for cell in planned
    ]


def _shortened(model: str, short: dict[str, str], shared: Counter[str]) -> bool:
    return short.get(model, model) != model and shared[short[model]] == 1
