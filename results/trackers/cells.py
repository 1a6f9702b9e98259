"""Finished cells as trackers take them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from results.pages.sheets import pixels_of
from results.runs import Run
from results.store import arrays_in
from results.summary import label_of
from results.traces import traces_in
from results.trackers.contracts import Logged, Scalar, Setting

TOLD = ("status", "reason", "commit", "device", "seconds", "cpu_seconds", "peak_rss_mb", "code")


def logged(run: Run, cell: Mapping[str, Any], record: Mapping[str, Any]) -> Logged:
    """A cell of a run's manifest and its record. Values that are no numbers are left out: trackers
    have no place for them.
    """
    said = [value for value in record["values"] if math.isfinite(value["value"])]
    dataset = cell["parts"].get("dataset", "")
    places = [cell["block"], dataset, label_of(dict(cell)), f"seed {cell['seed']}"]
    arrays = arrays_in(run.directory.samples_path(cell["key"]))
    facts = run.manifest.get("parts", {}).get("dataset", {}).get(dataset, {})
    return Logged(
        key=cell["key"],
        name="/".join(place.replace("/", "-") for place in places if place),
        settings={name: _plain(value) for name, value in _settings(cell, record).items()},
        curves=[
            *(
                Scalar(value["metric"], value["step"], value["value"])
                for value in said
                if not value["final"] and value["step"] is not None
            ),
            *_noted(arrays),
        ],
        finals={_name(value): value["value"] for value in said if value["final"]},
        about={name: str(record[name]) for name in TOLD if record.get(name) not in (None, "")},
        picture=pixels_of(arrays, facts),
    )


def _noted(arrays: Mapping[str, np.ndarray]) -> Iterator[Scalar]:
    """Of single steps, what is a number."""
    for name, trace in traces_in(arrays).items():
        for step, value in trace.T.tolist():
            if math.isfinite(value):
                yield Scalar(f"step/{name}", int(step), value)


def _settings(cell: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    return {**cell["parts"], **record["settings"], "seed": cell["seed"], "task": record["task"]}


def _name(value: Mapping[str, Any]) -> str:
    """A metric, and what it is of: a label, a radius."""
    radius = value["epsilon"]
    of_radius = "" if radius is None else f"{value['norm']} {radius:g}".strip()
    return "/".join(filter(None, (value["metric"], value["label"], of_radius)))


def _plain(value: Any) -> Setting:
    return value if isinstance(value, str | int | float) else str(value)
