"""Planted regressions: does the gate turn red where something broke, and only there?

A small run is measured for real. Then its numbers are put in the place of others, as a fault would
put them there: those of a sampler that has collapsed to one mode for a GAN's, those of an FGSM that
walks down the gradient for FGSM's, recall for precision; and cells and names are spoilt. Nothing
has changed between two parts of its seeds.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from attacks.contracts import UNIT, Box, Images, Labels, Model, Radius, Ray, Seeds
from attacks.fgsm import Fgsm
from bench.core.arguments import checked
from bench.core.errors import UsageError
from bench.core.limits import MAX_CHECK_SEEDS
from bench.core.progress import Notify, tell_nobody
from bench.gate.compare import side_of_run
from bench.run.run import execute
from results.frames import column, pick
from results.gate.calibration import SPLITS, parts
from results.gate.coverage import signs
from results.gate.judging import compare_sides
from results.gate.policy import Policy
from results.gate.sides import Side
from results.gate.verdicts import FAILURE, REGRESSION, UNSETTLED
from results.runs import open_run
from results.statistics import wilson

MODELS = ("oracle", "gmm", "nsgan", "pca-gaussian", "one-mode", "softmax")
LEAST_SEEDS = 6
FLIPPED_NAME = "bench.gate.selfcheck:FLIPPED"
POLICY = Policy(
    primary=[
        "high_quality",
        "reverse_kl_modes",
        "stack_modes*",
        "off_manifold_digits*",
        "precision*",
        "recall*",
        "robust_accuracy",
    ],
    on_inconclusive="pass",
)


@dataclass(frozen=True)
class FlippedFgsm(Ray):
    """FGSM with its sign flipped: it helps the classifier."""

    norms: ClassVar[tuple[str, ...]] = Fgsm.norms

    def direction(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        norm: str,
        seeds: Seeds,
        targets: Labels | None = None,
    ) -> Images:
        return -Fgsm().direction(model, images, labels, norm=norm, seeds=seeds, targets=targets)

    def along(
        self, images: Images, direction: Images, *, radius: Radius, norm: str, box: Box = UNIT
    ) -> Images:
        return Fgsm().along(images, direction, radius=radius, norm=norm, box=box)


FLIPPED = FlippedFgsm()


@dataclass(frozen=True, eq=False)
class Measured:
    """A run's side, and what an FGSM with its sign flipped gives on it."""

    run: Side
    flipped: Side


Plant = Callable[[Measured], Side]


def _changed(side: Side, mask: np.ndarray, **columns: Any) -> Side:
    """A side with some columns of some rows replaced."""
    rows = side.rows.copy()
    for name, values in columns.items():
        rows.loc[mask, name] = values
    return replace(side, rows=rows)


def _taken(side: Side, mask: np.ndarray, source: pd.DataFrame, *names: str) -> Side:
    """A side whose rows of `mask` have the numbers of others at the same metric, radius, seed."""
    keys = ["metric", "epsilon", "seed"]
    found = pick(side.rows, mask)[keys].merge(source[[*keys, *names]], on=keys, how="left")
    return _changed(side, mask, **{name: column(found, name) for name in names})


def _is(side: Side, **parts: str) -> np.ndarray:
    masks = [column(side.rows, axis) == name for axis, name in parts.items()]
    return np.logical_and.reduce(masks)


def _collapsed(made: Measured) -> Side:
    one = pick(made.run.rows, _is(made.run, model="one-mode"))
    there = _is(made.run, model="nsgan", task="stack")
    return _changed(_taken(made.run, there, one, "value"), there, artifact_key="trained anew")


def _flipped(made: Measured) -> Side:
    names = ("value", "n", "outcomes")
    return _taken(made.run, _is(made.run, attack="fgsm"), made.flipped.rows, *names)


def _swapped(made: Measured) -> Side:
    stems = np.array([name.partition("@")[0] for name in column(made.run.rows, "metric")])
    other = {"precision": "recall", "recall": "precision"}
    names = [other.get(stem, stem) for stem in stems]
    metrics = [
        name.replace(stem, new)
        for name, stem, new in zip(column(made.run.rows, "metric"), stems, names, strict=True)
    ]
    source = made.run.rows.assign(metric=metrics)[["cell_id", "metric", "seed", "epsilon", "value"]]
    keys = ["cell_id", "metric", "seed", "epsilon"]
    merged = made.run.rows[keys].merge(source, on=keys, how="left")
    return replace(made.run, rows=made.run.rows.assign(value=column(merged, "value")))


def _without(made: Measured, mask: np.ndarray) -> Side:
    return replace(made.run, rows=pick(made.run.rows, ~mask))


def _dropped(made: Measured) -> Side:
    gone = _is(made.run, model="oracle", task="stack")
    cells = made.run.cells
    ids = set(column(pick(made.run.rows, gone), "cell_id"))
    kept = pick(cells, [cell not in ids for cell in column(cells, "cell_id")])
    return replace(_without(made, gone), cells=kept)


def _crashed(made: Measured) -> Side:
    gone = _is(made.run, model="oracle", task="stack") & (column(made.run.rows, "seed") == 1)
    cells = made.run.cells.copy()
    ids = set(column(pick(made.run.rows, gone), "cell_id"))
    there = [
        cell in ids and seed == 1
        for cell, seed in zip(column(cells, "cell_id"), column(cells, "seed"), strict=True)
    ]
    cells.loc[there, ["status", "reason"]] = ["crashed", "planted"]
    return replace(_without(made, gone), cells=cells)


def _worse(made: Measured) -> Side:
    worse = column(made.run.rows, "value") * (1 + 0.3 * signs(made.run.rows))
    return replace(made.run, rows=made.run.rows.assign(value=worse, outcomes=""))


def _renamed(made: Measured, old: str, new: str) -> Side:
    rows = made.run.rows
    names = {name: [text.replace(old, new) for text in rows[name]] for name in ("id", "metric")}
    return replace(made.run, rows=rows.assign(**names))


FAULTS: dict[str, tuple[str, int, Plant]] = {
    "itself": ("the run against itself", 0, lambda made: made.run),
    "collapsed": ("a GAN that draws one mode only", REGRESSION, _collapsed),
    "flipped": ("an FGSM with its sign flipped", REGRESSION, _flipped),
    "swapped": ("precision and recall in each other's place", REGRESSION, _swapped),
    "worse": ("every value 30 % worse", REGRESSION, _worse),
    "dropped": ("a cell that is not there any more", UNSETTLED, _dropped),
    "crashed": ("a seed of a cell crashed", FAILURE, _crashed),
    "judge": (
        "another judge",
        UNSETTLED,
        lambda made: _renamed(made, "optdigits-cnn:", "optdigits-cnn:0"),
    ),
    "version": (
        "another version of a metric",
        UNSETTLED,
        lambda made: replace(
            made.run,
            rows=made.run.rows.assign(
                id=[one.replace("high_quality@1", "high_quality@2") for one in made.run.rows["id"]]
            ),
        ),
    ),
    "examples": (
        "half as many examples",
        UNSETTLED,
        lambda made: replace(made.run, rows=made.run.rows.assign(n=made.run.rows["n"] // 2)),
    ),
    "radii": (
        "a radius less",
        UNSETTLED,
        lambda made: _without(made, column(made.run.rows, "epsilon") == 0.1),
    ),
}
"""By name: what was planted, and the exit code that must answer."""


def planted(made: Measured, notify: Notify) -> pd.DataFrame:
    """A row for each planted fault, and one for the shuffles of the seeds: what must come, what
    came, and whether it is right.
    """
    rows = []
    for done, (name, (about, expected, plant)) in enumerate(FAULTS.items(), 1):
        found = compare_sides(made.run, plant(made), POLICY)
        worst = [
            f"{row['model'] or row['cell_id']} {row['metric']}".strip()
            for row in found.rows.to_dict("records")
            if row["level"] != "suite" and row["verdict"] == found.verdict
        ]
        rows.append(
            {
                "fault": name,
                "about": about,
                "expected": str(expected),
                "exit_code": str(found.exit_code),
                "verdict": found.verdict,
                "right": found.exit_code == expected,
                "first": worst[0] if worst and expected else "",
            }
        )
        notify("planting", done, len(FAULTS))
    return pd.DataFrame([*rows, _shuffled(made.run, notify)])


def _shuffled(run: Side, notify: Notify) -> dict[str, Any]:
    """Nothing changed between two halves of the seeds: at most one alarm in twenty."""
    dealt = list(parts(run, SPLITS))
    red = 0
    for done, (old, new) in enumerate(dealt, 1):
        red += compare_sides(old, new, POLICY).exit_code == REGRESSION
        notify("dealing seeds", done, len(dealt))
    at = wilson(red / len(dealt), len(dealt))
    return {
        "fault": "shuffled",
        "about": f"half of the seeds against the other half, {len(dealt)} ways",
        "expected": f"at most {POLICY.alpha:.0%} red",
        "exit_code": f"{red} red",
        "verdict": f"{100 * at.mean:.1f} % ({100 * (at.low or 0):.1f}–{100 * (at.high or 0):.1f})",
        "right": at.mean <= POLICY.alpha,
        "first": "",
    }


@contextmanager
def measured(seeds: int, workers: int) -> Iterator[Measured]:
    """The run that the faults are planted in, measured in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        shared = {"tier": "gate", "seeds": seeds, "workers": workers, "executor": "processes"}
        whole, flipped = (str(Path(folder) / name) for name in ("run", "flipped"))
        only = [("model", name) for name in MODELS]
        execute("smoke", out=whole, only=only, **shared)
        execute(
            "smoke",
            out=flipped,
            only=[("model", "softmax")],
            grid=[("attack", [FLIPPED_NAME])],
            **shared,
        )
        yield Measured(*(side_of_run(open_run(run)) for run in (whole, flipped)))


@checked("notify")
def check_gate(
    *,
    seeds: int = 10,
    workers: int | None = None,
    notify: Notify = tell_nobody,
) -> pd.DataFrame:
    """Plant regressions in a small run: a row for each with what must come of it and what came, and
    one for shuffled seeds, where nothing may.
    """
    if not LEAST_SEEDS <= seeds <= MAX_CHECK_SEEDS:
        raise UsageError(f"`seeds`: expected {LEAST_SEEDS} to {MAX_CHECK_SEEDS}, got {seeds}")
    with measured(seeds, workers or os.cpu_count() or 1) as made:
        return planted(made, notify)
