"""The ledger as a table for a terminal or a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from results.frames import as_dicts
from results.judging import VERDICTS
from results.tables import Layout

HEADS = ["claim", "verdict", "published", "ours", "difference", "seeds"]
NOTES = (
    "ours: means over seeds; difference: of the two, with its 95 % interval, paired by seed",
    "reproduced: it holds under the paper's protocol; direction: under ours; contradicted: the "
    "interval lies on the other side; not resolvable: the interval holds 0",
)


def layout(listed: pd.DataFrame) -> Layout:
    """The claims of a list, with their counts under them."""
    rows = [
        [(f"{row['file']}: {row['id']}", row["claim"]), *((cell, "") for cell in cells(row))]
        for row in as_dicts(listed)
    ]
    notes = [counts(listed), *NOTES] if len(listed) else ["no claim is left"]
    return Layout("ledger of claims", HEADS, rows, ["model"] * len(rows), notes, (0, 1))


def cells(row: Mapping[str, Any]) -> list[str]:
    """One claim's, under `HEADS` but the first."""
    count = len([seed for seed in str(row["seeds"]).split(",") if seed])
    return [
        str(row["verdict"]),
        str(row["published"]) or "–",
        ours(row),
        difference(row),
        str(count) if count else "–",
    ]


def ours(row: Mapping[str, Any]) -> str:
    """Both of our numbers, or a dash."""
    if np.isnan(row["larger"]):
        return "–"
    return f"{row['larger']:.4g} against {row['smaller']:.4g}"


def difference(row: Mapping[str, Any]) -> str:
    """Its interval, or a dash."""
    if np.isnan(row["larger"]):
        return "–"
    if np.isnan(row["low"]):
        return f"{row['larger'] - row['smaller']:.3g} (one seed)"
    return f"{row['low']:.3g} to {row['high']:.3g}"


def counts(listed: pd.DataFrame) -> str:
    """How many claims have each verdict."""
    found = listed["verdict"].value_counts()
    said = ", ".join(f"{found[name]} {name}" for name in VERDICTS if name in found)
    return f"{len(listed)} claims: {said}"
