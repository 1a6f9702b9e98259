"""Scores over the steps of trainings, as a page draws them: a mean and a range over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from results.summary import bounds, label_of
from results.traces import Steps, title_of

TRACED = 60
"""Points of a line that is made of single steps."""


def curves(
    manifest: Mapping[str, Any],
    dataset: str,
    cells: Iterable[dict[str, Any]],
    records: Mapping[str, Mapping[str, Any]],
    noted: Mapping[str, Mapping[str, Steps]],
) -> dict[str, Any] | None:
    """A line for each row of a table and score, and for each thing noted of single steps; None
    where nothing was looked at on the way.
    """
    found: dict[str, dict[str, Steps]] = {}
    for cell in cells:
        for value in records.get(cell["key"], {"values": []})["values"]:
            if not value["final"] and value["step"] is not None:
                steps = found.setdefault(value["metric"], {}).setdefault(label_of(cell), {})
                steps.setdefault(value["step"], []).append(value["value"])
    if not found and not noted:
        return None
    scores = [_metric(dict(manifest), dataset, *each) for each in found.items()]
    return {"metrics": [*scores, *(_noted(*each) for each in noted.items())]}


def _noted(name: str, models: Mapping[str, Steps]) -> dict[str, Any]:
    lines = [_line(model, by_step) for model, by_step in models.items()]
    return {"title": title_of(name), "percent": False, "top": None, "lines": lines}


def _metric(
    manifest: dict[str, Any], dataset: str, metric: str, models: Mapping[str, Steps]
) -> dict[str, Any]:
    known = {**manifest.get("measured", {}), **manifest["metrics"]}.get(metric, {})
    _, top = bounds(manifest, metric, dataset)
    return {
        "title": known.get("title") or metric.partition("@")[0],
        "percent": bool(known.get("percent")),
        "top": top,
        "lines": [_line(model, by_step) for model, by_step in models.items()],
    }


def _line(model: str, by_step: Steps) -> dict[str, Any]:
    steps = sorted(by_step)
    values = [by_step[step] for step in steps]
    return {
        "name": model,
        "x": steps,
        "y": [_short(sum(row) / len(row)) for row in values],
        "low": [_short(min(row)) for row in values],
        "high": [_short(max(row)) for row in values],
        "seeds": max(map(len, values)),
    }


def _short(value: float) -> float:
    return float(f"{value:.5g}")
