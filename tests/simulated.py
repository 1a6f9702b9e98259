"""Runs that were never run: values drawn with a known spread, tails and correlation."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from results.gate.sides import FACTS, Side, from_table

TAILS = 3
"""Degrees of freedom of the noise: heavy tails, with a variance."""


def noise(seeds: int, series: int, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """Student's t of variance 1, [seeds, series], by a Gaussian copula: series of a seed share."""
    shared, own = rng.normal(size=(seeds, 1)), rng.normal(size=(seeds, series))
    mixed = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    return t.ppf(norm.cdf(mixed), TAILS) / np.sqrt(TAILS / (TAILS - 2))


def side(name: str, values: np.ndarray, first_seed: int = 0, **changes: object) -> Side:
    """A side whose value [seeds, series] is of metrics m0, m1, ... where lower is better."""
    return from_table(name, rows(values, first_seed, **changes))


def rows(values: np.ndarray, first_seed: int = 0, **changes: object) -> pd.DataFrame:
    """The rows of it, a cell for each series and seed."""
    seeds, count = values.shape
    place = np.tile(np.arange(count), seeds)
    made = {
        "schema_version": 1,
        "suite": "simulated",
        "tier": "quick",
        "task": "mixture",
        "series": [f"simulated/mixture/d/model{i}/score@1" for i in place],
        "cell_id": [f"mixture/d/model{i}" for i in place],
        "key": "",
        "artifact_key": "",
        "dataset": "d",
        "dataset_fingerprint": "f",
        "model": [f"model{i}" for i in place],
        "source_model": "",
        "attack": "",
        "norm": "",
        "epsilon": np.nan,
        "final": True,
        "seed": np.repeat(np.arange(first_seed, first_seed + seeds), count),
        "metric": "score",
        "metric_version": 1.0,
        "direction": "lower",
        "value": values.ravel(),
        "n": 1000.0,
        "status": "ok",
        "reason": "",
        "device": "cpu",
        "commit": "",
        "dirty": False,
        "outcomes": "",
        "examples": "",
        "primary": True,
        "role": "model",
        **FACTS,
        "relative": 0.05,
    }
    return pd.DataFrame({**made, **changes})
