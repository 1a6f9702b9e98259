"""A run on disk that was never run: cells with two seeds, two scores and curves."""

from __future__ import annotations

import numpy as np
from harness import record
from harness import value as value_of

from results.runs import Run
from results.store import RunDirectory
from results.traces import TRACE

MODELS = {"oracle": "ceiling", "gan": "model", "vae": "baseline", "noise": "floor"}
VALUES = {"oracle": (0.98, 0.99), "gan": (0.4, 0.6), "vae": (0.5, 0.5), "noise": (0.01, 0.03)}
FACTS = {
    "high_quality": {"direction": "higher", "title": "quality", "percent": True, "digits": 1}
    | {"low": 0, "high": 1, "paper": ""},
    "loss": {"direction": "lower", "title": "loss", "digits": 3, "paper": ""},
}


def run_of(folder, values=VALUES, **more):
    """A run of a block on one data set, two metrics a cell, that was never run."""
    cells, records = [], {}
    for model, scores in values.items():
        for seed, value in enumerate(scores):
            key = f"{len(cells):064x}"
            parts = {"dataset": "ring", "model": model}
            cells.append({"block": "b", "task": "t", "parts": parts, "cell_id": f"t/ring/{model}"})
            cells[-1] |= {"key": key, "settings": {"steps": 5}, "seed": seed, "fingerprint": "f"}
            cells[-1] |= {"code": "c", "skip": ""}
            found = [measured("high_quality", value), measured("loss", 1 - value)]
            found += [measured("loss", 2 - value + step, step) for step in (10, 20)]
            told = {"cell_id": f"t/ring/{model}", "seed": seed, "seconds": 1.5, "values": found}
            told |= {"code": "c", "suite": "s", "tier": "quick", "task": "t"} | parts
            records[key] = record(key, **told, settings={"steps": 5})
    block = {"name": "b", "task": "t", "metrics": ["high_quality", "loss"], "published": []}
    block |= {"primary": ["loss"]}
    facts = {name: {"role": role, "papers": []} for name, role in MODELS.items() if name in values}
    data = {"ring": {"summary": "a ring", "papers": []}}
    manifest = {"suite": "s", "title": "A title", "tier": "quick", "seeds": [0, 1], "device": "cpu"}
    manifest |= {
        "blocks": [block],
        "cells": cells,
        "metrics": FACTS,
        "environment": {"python": "3"},
    }
    manifest |= {"parts": {"dataset": data, "model": facts}, **more}
    return Run(RunDirectory(folder), manifest, records)


def measured(metric, value, step=None):
    """A value that was seen at a step, or at the end."""
    return value_of(metric=metric, value=value, final=step is None, step=step)


def images_of(n, seed):
    return np.random.default_rng(seed).integers(0, 256, (n, 1, 6, 6), dtype=np.uint8)


def kept(run, cell, **arrays):
    run.directory.write_cell(run.records[cell["key"]], arrays)


def untraced(arrays):
    """The names of a cell's arrays but for what was noted of single steps."""
    return {name for name in arrays if not name.startswith(TRACE)}
