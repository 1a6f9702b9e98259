"""The numbers of a figure as a table for people."""

from __future__ import annotations

import pandas as pd

from bench.figures.figure import Illustrated
from results.tables import Layout

HEADS = ["where", "quantity", "value", "expected"]


def layout_of(found: Illustrated) -> Layout:
    """A row a number, with what a closed form says; where none does, a dash."""
    rows = [
        [
            (str(row["where"]), ""),
            (str(row["quantity"]), ""),
            *map(_cell, (row["value"], row["expected"])),
        ]
        for row in found.table.to_dict("records")
    ]
    said = [f"expected: by a closed form, to {found.tolerance:g}"]
    notes = said if bool(found.table["expected"].notna().any()) else []
    return Layout(found.name, HEADS, rows, ["model"] * len(rows), notes, (0, 1))


def _cell(value: float) -> tuple[str, str]:
    return ("–" if pd.isna(value) else f"{value:.4f}".replace("-", "−"), "")
