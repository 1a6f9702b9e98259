"""What samples scored against a known data set give, as rows and as a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.score.known import ORACLE, Known
from bench.score.measure import ScoreRequest
from bench.score.report import SUITE, written
from bench.tasks.base import Value
from metrics import METRICS
from metrics.contracts import MetricFacts
from results.provenance import source
from results.rows import Record
from results.statistics import Interval, of_one
from results.store import frame
from results.tables import Layout, head


@dataclass(frozen=True, eq=False)
class KnownScored:
    """table: the rows of the samples, then those of as many real ones, whose model is the oracle,
    with the columns of every table of ours.
    """

    table: pd.DataFrame
    known: Known

    @classmethod
    def of(cls, found: Known, request: ScoreRequest, seconds: float) -> KnownScored:
        """The rows of what was found."""
        floor = [found.floor[v.metric] for v in found.values if v.metric in found.floor]
        records = [
            _record(found, found.fake, found.values, request, seconds),
            _record(found, ORACLE, floor, request, 0.0),
        ]
        table = frame(records)
        table.attrs["warnings"] = []
        return cls(table, found)

    @property
    def told(self) -> pd.DataFrame:
        """The table with the 95 % interval of each value."""
        known = self.known
        both = [*known.values, *(known.floor[v.metric] for v in known.values if _has(known, v))]
        at = [_interval(value, known.modes) for value in both]
        return self.table.assign(low=[one.low for one in at], high=[one.high for one in at])

    def layout(self) -> Layout:
        """A line for each score: value, interval, number of samples, and what as many real samples
        give.
        """
        known, rows = self.known, []
        for value in known.values:
            facts = _facts(value)
            real = written(known.floor[value.metric].value, facts) if _has(known, value) else "–"
            counted = "" if value.n is None else f"{value.n:,}"
            told = (written(value.value, facts), _spread(value, known.modes), counted, real)
            line = (head(value.metric, vars(facts)), *told, value.metric)
            rows.append([(cell, "") for cell in line])
        modes = f" ({known.modes:,} modes)" if known.modes else ""
        title = f"REAL {known.target.dataset}{modes} · FAKE {known.fake} ({known.n:,})"
        heads = ["score", "value", "95 % interval", "n", "as many reals", "metric"]
        return Layout(title, heads, rows, ["model"] * len(rows), list(self._notes()), (0, 5))

    def _notes(self) -> Iterable[str]:
        known = self.known
        yield (
            f"as many reals: {known.n:,} fresh real samples in the place of FAKE, the oracle of a "
            f"suite (seed {known.cell.seed})"
        )
        yield "intervals: over the samples (Wilson's of a share, else normal)"
        told = {k: v for k, v in known.cell.settings.items() if k != "samples"}
        if told:
            yield ", ".join(f"{key} {value}" for key, value in told.items())


def _has(known: Known, value: Value) -> bool:
    return value.metric in known.floor


def _facts(value: Value) -> MetricFacts:
    return METRICS[value.metric.partition("@")[0]].facts


def _interval(value: Value, modes: int) -> Interval:
    facts = _facts(value)
    share = facts.percent and facts.shares
    high = modes if facts.counts_modes else facts.high
    return of_one(value.value, value.std_error, value.n, share, facts.low, high)


def _spread(value: Value, modes: int) -> str:
    at, facts = _interval(value, modes), _facts(value)
    if at.low is None or at.high is None:
        return ""
    return ("–" if at.low >= 0 else " to ").join(written(x, facts) for x in (at.low, at.high))


def _record(
    found: Known, model: str, values: Any, request: ScoreRequest, seconds: float
) -> dict[str, Any]:
    cell = found.cell
    settings = {**cell.settings, "samples": found.n}
    measured = [[value.metric, value.value] for value in values]
    identity = json.dumps([cell.fingerprint, settings, cell.seed, model, measured])
    return Record(
        suite=SUITE,
        task=SUITE,
        cell_id=f"{SUITE}/{found.target.dataset}/{model}",
        key=hashlib.sha256(identity.encode()).hexdigest(),
        dataset=found.target.dataset,
        dataset_fingerprint=cell.fingerprint,
        model=model,
        settings=settings,
        seed=cell.seed,
        seconds=seconds,
        device=request.device,
        threads=request.workers,
        values=list(values),
        **source(),
    ).as_dict()
