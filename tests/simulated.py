"""Runs that were never run: values drawn with a known spread, tails and correlation."""

from __future__ import annotations

from base64 import b64encode

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from results.gate.judging import compare_sides
from results.gate.policy import Policy
from results.gate.sides import FACTS, Side, from_table
from results.gate.verdicts import Comparison

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


def plain(seeds: int = 5, series: int = 4, first_seed: int = 0, **changes: object) -> pd.DataFrame:
    """Rows about 1 with a spread of 1 %; the same for the same arguments."""
    rng = np.random.default_rng([seeds, series, first_seed])
    return rows(1 + 0.01 * rng.normal(size=(seeds, series)), first_seed, **changes)


def lost(
    table: pd.DataFrame, mask: pd.Series, status: str, reason: str = "planted"
) -> pd.DataFrame:
    """A table whose cells of `mask` ended so: a row of each, without a metric."""
    gone = table[mask].drop_duplicates(["cell_id", "seed"])
    empty = {"metric": "", "direction": "none", "value": np.nan, "epsilon": np.nan}
    empty |= {"n": np.nan, "metric_version": np.nan, "outcomes": "", "examples": ""}
    series = gone["suite"] + "/" + gone["cell_id"]
    gone = gone.assign(status=status, reason=reason, series=series, **empty)
    return pd.concat([table[~mask], gone], ignore_index=True)


def worse(table: pd.DataFrame, share: float = 0.3, mask: object = True) -> pd.DataFrame:
    """A table whose values are worse by a share, each in its metric's direction."""
    sign = np.where(table["direction"] == "higher", -1, 1)
    return table.assign(value=table["value"] * (1 + np.where(mask, share, 0) * sign))


def packed(outcomes: np.ndarray) -> str:
    """Outcomes as they stand in a table."""
    return b64encode(np.packbits(np.asarray(outcomes, bool)).tobytes()).decode()


def outcomes(bits: np.ndarray, **changes: object) -> pd.DataFrame:
    """Rows of a share of errors, from outcomes bool [seeds, examples] of a model for each seed."""
    table = rows(bits.mean(1)[:, None])
    made = {
        "kind": "paired",
        "n": float(bits.shape[1]),
        "outcomes": [packed(one) for one in bits],
        "examples": "the same",
        "artifact_key": [f"model of seed {seed}" for seed in table["seed"]],
        "absolute": 0.01,
        "relative": 0.0,
    }
    return table.assign(**{**made, **changes})


def against(base: pd.DataFrame, new: pd.DataFrame, **policy: object) -> Comparison:
    """One table held against another."""
    return compare_sides(from_table("base", base), from_table("new", new), Policy(**policy))


def verdicts(found: Comparison) -> dict[str, str]:
    """What became of each series, by its model."""
    series = found.rows[found.rows["level"] == "series"]
    return dict(zip(series["model"], series["verdict"], strict=True))


def row_of(found: Comparison, model: str = "model0") -> pd.Series:
    """The one row of a model's series."""
    (place,) = np.flatnonzero((found.rows["level"] == "series") & (found.rows["model"] == model))
    return found.rows.iloc[place]
