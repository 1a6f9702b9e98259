"""What was noted of single steps of trainings: losses, gradients, logits, from cells' arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from results.runs import Run
from results.store import arrays_in
from results.summary import label_of

TRACE = "trace:"
"""How the names of such arrays begin, each [2, n]: steps above values."""
READ = 300
"""Of how many cells' files a picture is drawn; seeds beyond the first come last."""

Steps = dict[int, list[float]]


def traces_in(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By what was noted; what is no such array is left out."""
    return {
        name.removeprefix(TRACE): kept
        for name, kept in arrays.items()
        if name.startswith(TRACE) and kept.ndim == 2 and len(kept) == 2 and kept.shape[1]
    }


def binned(trace: np.ndarray, most: int) -> Iterator[tuple[int, float]]:
    """A trace [2, n] as `most` points at most: the mean over as many equal parts of its steps, each
    at its last step.
    """
    parts = min(most, trace.shape[1])
    for steps, values in zip(*(np.array_split(row, parts) for row in trace), strict=True):
        yield int(steps[-1]), float(values.mean())


def traced(run: Run, cells: Iterable[dict[str, Any]], most: int) -> dict[str, dict[str, Steps]]:
    """By what was noted and row: the values of all seeds by step, `most` steps at most."""
    found: dict[str, dict[str, Steps]] = {}
    for cell in sorted(cells, key=lambda cell: cell["seed"])[:READ]:
        kept = traces_in(arrays_in(run.directory.samples_path(cell["key"])))
        for name, trace in kept.items():
            by_step = found.setdefault(name, {}).setdefault(label_of(cell), {})
            for step, value in binned(trace, most):
                by_step.setdefault(step, []).append(value)
    return dict(sorted(found.items(), key=lambda each: _place(each[0])))


def _place(name: str) -> int:
    """Losses first, then logits, then gradients."""
    return name.endswith("_gradient") * 2 + name.startswith("logit")


def title_of(name: str) -> str:
    """What stands over a picture of it."""
    said = name.replace("_", " ")
    return f"norm of the {said}" if name.endswith("_gradient") else said
