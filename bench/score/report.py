"""What `bench score` found, as rows and as a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.score.measure import ScoreRequest, Scores
from bench.tasks.base import Value
from metrics import METRICS
from metrics.contracts import MetricFacts
from results.provenance import source
from results.rows import Record
from results.statistics import interval
from results.store import frame
from results.tables import Layout, head, number

SUITE = "score"
LARGE = 1e6


@dataclass(frozen=True, eq=False)
class Scored:
    """table: the rows, with the columns of every table of ours; a metric that could not be had is
    a row with status "skipped" and the reason. scores: what they come from.
    """

    table: pd.DataFrame
    scores: Scores

    @property
    def told(self) -> pd.DataFrame:
        """The table with the 95 % interval of each value."""
        bounds = {}
        for value in self.scores.values:
            facts = METRICS[value.metric.partition("@")[0]].facts
            at = interval([value.value], value.std_error, facts.low, facts.high)
            bounds[value.metric] = at.low, at.high
        found = [bounds.get(str(name), (None, None)) for name in self.table["metric"]]
        low, high = zip(*found, strict=True)
        return self.table.assign(low=list(low), high=list(high))

    def layout(self) -> Layout:
        """A line for each score: value, interval, number of samples, what it rests on."""
        scores, rows, notes = self.scores, [], []
        for value in scores.values:
            facts = METRICS[value.metric.partition("@")[0]].facts
            counted = "?" if value.n is None else f"{value.n:,}"
            shown = (written(value.value, facts), spread(value, facts), counted)
            rows.append([(cell, "") for cell in (self._head(value.metric, facts), *shown)])
            rows[-1].append((_basis(value.metric, scores.features), ""))
        for reason in dict.fromkeys(scores.left_out.values()):
            names = (name for name, why in scores.left_out.items() if why == reason)
            notes.append(f"left out: {', '.join(names)}: {reason}")
        for origin, files in scores.unreadable.items():
            shown = ("unreadable files", f"{len(files):,}", "", "", origin)
            rows.append([(cell, "") for cell in shown])
        notes = [*self._read(), *notes, *(f"! {warning}" for warning in scores.warnings)]
        heads = ["score", "value", "95 % interval", "n", "over"]
        return Layout(self._title(), heads, rows, ["model"] * len(rows), notes, (0, 4))

    def _title(self) -> str:
        real, fake = self.scores.real, self.scores.fake
        sizes = (f"{s.features.n:,}" if s.counted else "?" for s in (real, fake))
        counts = dict(zip((real, fake), sizes, strict=True))
        return f"REAL {real.origin} ({counts[real]}) · FAKE {fake.origin} ({counts[fake]})"

    def _head(self, name: str, facts: MetricFacts) -> str:
        known = name.partition("@")[0] == "frechet" and self.scores.frechet_is
        return head(name, {**vars(facts), "title": known or facts.title})

    def _read(self) -> Iterator[str]:
        told = self.scores.settings
        if told:
            size = told["size"] if "resize" not in told else f"{told['size']}, {told['resize']}"
            yield f"features: {told['features']}; images: {size}; {told['colours']}"
        elif self.scores.features:
            yield f"features: {self.scores.features}, as they were kept"
        else:
            yield "features: the arrays as they stand"


def spread(value: Value, facts: MetricFacts) -> str:
    """95 %, from the standard error, within the metric's range; empty where there is none."""
    at = interval([value.value], value.std_error, facts.low, facts.high)
    if at.low is None or at.high is None:
        return ""
    shown = (written(bound, facts) for bound in (at.low, at.high))
    return ("–" if at.low >= 0 else " to ").join(shown)


def written(value: float, facts: MetricFacts) -> str:
    """With the metric's digits; three significant ones where those would say nothing."""
    size = abs(value)
    if not facts.percent and size and not 10.0**-facts.digits <= size < LARGE:
        return f"{value:.2e}".replace("-", "−")
    return number(value, vars(facts))


def _basis(name: str, features: str) -> str:
    suffix = name.partition("@")[2]
    if suffix == "shifts":
        return "pixels, shifted by up to one"
    return suffix or ("bytes" if features else "features")


def scored(request: ScoreRequest, found: Scores, seconds: float) -> Scored:
    """The rows of a score, and all it takes to print it."""
    real, fake = found.real, found.fake
    settings: dict[str, Any] = {
        **found.settings,
        "n_real": real.features.n if real.counted else 0,
        "n_fake": fake.features.n if fake.counted else 0,
        **{f"unreadable in {o}": len(files) for o, files in found.unreadable.items()},
        "warnings": found.warnings,
    }
    fingerprints = [_fingerprint(kept) for kept in (real, fake)]
    identity = json.dumps([fingerprints, settings, found.features], sort_keys=True)
    record = Record(
        suite=SUITE,
        task=SUITE,
        cell_id=f"{SUITE}/{real.origin}/{fake.origin}",
        key=hashlib.sha256(identity.encode()).hexdigest(),
        dataset=real.origin,
        dataset_fingerprint=fingerprints[0],
        model=fake.origin,
        settings=settings,
        seconds=seconds,
        device=request.device,
        threads=request.workers,
        warnings=found.warnings,
        values=found.values,
        **source(),
    ).as_dict()
    left_out = [_skipped(record, name, reason) for name, reason in found.left_out.items()]
    table = pd.concat([frame([record]), *left_out], ignore_index=True)
    table.attrs["warnings"] = found.warnings
    return Scored(table, found)


def _skipped(record: dict[str, Any], name: str, reason: str) -> pd.DataFrame:
    """The row of a metric that could not be had."""
    row = frame([{**record, "status": "skipped", "reason": reason, "values": []}])
    facts = METRICS[name.partition("@")[0]].facts
    return row.assign(
        metric=name,
        metric_version=pd.array([facts.version], dtype="Int64"),
        direction=pd.array([facts.direction], dtype="string"),
        series=row["series"] + f"/{name}@{facts.version}",
    ).astype(row.dtypes)


def _fingerprint(kept: Any) -> str:
    points = kept.features.points
    array = kept.features.moments.mean if points is None else points
    digest = hashlib.sha256(str(array.shape).encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
