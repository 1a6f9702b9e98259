"""A task whose cells go wrong in every way a cell can: load it as `faulty:TASK`.

The model names what the cell does. A cell leaves a mark in the cache before it begins, so that
tests can count how often it was measured.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.core.errors import Notice, UsageError, unknown
from bench.suites.cell import Cell
from bench.tasks import Bench, Measurement, Resolved, Task, Value

FOREVER = 3600.0


def number(cell: Cell, marks: int) -> Measurement:
    """A sum of draws from every global generator."""
    value = float(torch.rand(())) + float(np.random.rand()) + random.random()
    return Measurement([Value("score", value)])


def several(cell: Cell, marks: int) -> Measurement:
    values = [Value("score", 0.1 * step, 0.01, 10, step, step == 3) for step in range(4)]
    return Measurement(values, arrays={"samples": np.zeros((3, 2), np.float32)})


def raises(cell: Cell, marks: int) -> Measurement:
    raise ValueError("the sky\nfell down")


def nan(cell: Cell, marks: int) -> Measurement:
    return Measurement([Value("score", float("nan"))])


def infinite(cell: Cell, marks: int) -> Measurement:
    return Measurement([Value("score", 1.0), Value("other", float("-inf"))])


def nan_error(cell: Cell, marks: int) -> Measurement:
    return Measurement([Value("score", 1.0, std_error=float("nan"))])


def numpy_numbers(cell: Cell, marks: int) -> Measurement:
    return Measurement([Value("score", np.float64(0.25), np.float64(0.5), np.int64(8))])


def boolean(cell: Cell, marks: int) -> Measurement:
    return Measurement([Value("score", True)])


def text(cell: Cell, marks: int) -> Measurement:
    return Measurement([Value("score", "high")])


def killed(cell: Cell, marks: int) -> Measurement:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def exits(cell: Cell, marks: int) -> Measurement:
    sys.exit(0)


def vanishes(cell: Cell, marks: int) -> Measurement:
    os._exit(0)


def dies(cell: Cell, marks: int) -> Measurement:
    os._exit(7)


def sleeps(cell: Cell, marks: int) -> Measurement:
    time.sleep(FOREVER)
    raise AssertionError


def naps(cell: Cell, marks: int) -> Measurement:
    time.sleep(float(cell.settings["seconds"]))
    return number(cell, marks)


def diverges(cell: Cell, marks: int) -> Measurement:
    return Measurement([Value("score", 0.5, step=10, final=False)], diverged="it left the numbers")


def memory(cell: Cell, marks: int) -> Measurement:
    raise MemoryError("no room")


def allocates(cell: Cell, marks: int) -> Measurement:
    torch.empty(2**58)
    raise AssertionError


def warns(cell: Cell, marks: int) -> Measurement:
    for index in range(9):
        warnings.warn(f"it creaks {min(index, 6)}", stacklevel=1)
    return number(cell, marks)


def collapses(cell: Cell, marks: int) -> Measurement:
    warnings.warn(f"collapsed: to {cell.seed} modes", Notice, stacklevel=1)
    return warns(cell, marks)


def raises_once(cell: Cell, marks: int) -> Measurement:
    return raises(cell, marks) if marks == 1 else number(cell, marks)


def killed_once(cell: Cell, marks: int) -> Measurement:
    return killed(cell, marks) if marks == 1 else number(cell, marks)


def sleeps_once(cell: Cell, marks: int) -> Measurement:
    return sleeps(cell, marks) if marks == 1 else number(cell, marks)


def memory_once(cell: Cell, marks: int) -> Measurement:
    return memory(cell, marks) if marks == 1 else number(cell, marks)


def threads(cell: Cell, marks: int) -> Measurement:
    """The most threads that any numeric library may use here, those loaded late included."""
    import sklearn.mixture  # noqa: F401
    from threadpoolctl import threadpool_info

    most = max([torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())])
    return Measurement([Value("score", float(most))])


def pinned(cell: Cell, marks: int) -> Measurement:
    """The GPU that its process sees; it takes long enough for others to come beside it."""
    time.sleep(0.2)
    return Measurement([Value("score", float(os.environ.get("CUDA_VISIBLE_DEVICES", "-1")))])


def crowded(cell: Cell, marks: int) -> Measurement:
    """Too little memory while another one is measured on its GPU."""
    gpu, folder = os.environ.get("CUDA_VISIBLE_DEVICES", "-1"), Path(os.environ["MINIMAX_CACHE"])
    place = folder / f"gpu-{gpu}"
    place.mkdir(parents=True, exist_ok=True)
    own = place / str(os.getpid())
    own.touch()
    time.sleep(0.5)
    crowd = len(list(place.iterdir()))
    time.sleep(0.5)
    own.unlink()
    if crowd > 1:
        raise MemoryError(f"{crowd} on GPU {gpu}")
    return number(cell, marks)


def trivial(cell: Cell, marks: int) -> Measurement:
    return Measurement([Value("score", float(cell.seed))])


BEHAVIOURS: dict[str, Callable[[Cell, int], Measurement]] = {
    behaviour.__name__: behaviour
    for behaviour in (
        number, several, raises, nan, infinite, nan_error, numpy_numbers, boolean, text, killed,
        exits, vanishes, dies, sleeps, naps, diverges, memory, allocates, warns, collapses,
        raises_once,
        killed_once, sleeps_once, memory_once, threads, trivial, pinned, crowded,
    )
}  # fmt: skip
UNMARKED = ("trivial",)


def marks_of(cache: Path, model: str, seed: int = 0) -> int:
    """How often a cell was begun."""
    path = cache / "marks" / f"{model}-{seed}"
    return path.stat().st_size if path.exists() else 0


class FaultyTask(Task):
    """One axis, the model; one setting, how long a nap takes."""

    axes = ("model",)

    def every(self, axis: str) -> list[str]:
        return list(BEHAVIOURS)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        model = parts["model"]
        if model not in BEHAVIOURS and model != "skipped":
            raise unknown("model", model, BEHAVIOURS)
        for name in settings:
            if name != "seconds":
                raise unknown("setting", name, ["seconds"])
        seconds = settings.get("seconds", 0.1)
        if isinstance(seconds, str):
            raise UsageError(f"setting 'seconds': expected a number, got {seconds!r}")
        skip = "nobody wants it" if model == "skipped" else ""
        return Resolved(
            settings={"seconds": seconds},
            differing={} if seconds == 0.1 else {"seconds": seconds},
            fingerprint="",
            modules=("faulty",),
            seconds=seconds,
            skip=skip,
        )

    def metric_facts(self, name: str) -> dict[str, Any]:
        if name not in ("score", "other"):
            raise unknown("metric", name, ["score", "other"])
        return {"name": name, "direction": "higher", "title": name, "paper": ""}

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        model = cell.part("model")
        if model in UNMARKED:
            return BEHAVIOURS[model](cell, 0)
        folder = bench.artifacts.root / "marks"
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / f"{model}-{cell.seed}", "ab") as file:
            file.write(b".")
        return BEHAVIOURS[model](cell, marks_of(bench.artifacts.root, model, cell.seed))

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        return {"model": {"role": "model", "summary": "", "papers": []}}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return None


TASK = FaultyTask()
