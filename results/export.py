"""What a run measured, in files that other tools read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import pandas as pd

from results.cards import card
from results.chosen import fits, of_models
from results.runs import Run
from results.store import frame
from results.summary import label_of

LABEL = "row"


def rows_of_run(run: Run, models: Sequence[str] = ()) -> pd.DataFrame:
    """Every measured value of a run, one a row: block, what tables call the row, and the columns of
    table.csv. A cell that stands in two blocks stands there twice. models: patterns of rows; all
    where there is none.
    """
    parts = []
    for cell in run.manifest["cells"]:
        label = label_of(cell)
        if cell["key"] in run.records and (not models or any(fits(label, p) for p in models)):
            one = frame([run.records[cell["key"]]])
            parts.append(one.assign(**{"block": cell["block"], LABEL: label}))
    whole = pd.concat(parts, ignore_index=True) if parts else frame([])
    first = [name for name in ("block", LABEL) if name in whole]
    return cast(pd.DataFrame, whole[[*first, *(c for c in whole.columns if c not in first)]])


def _csv(run: Run, models: Sequence[str]) -> bytes:
    return rows_of_run(run, models).to_csv(index=False).encode()


def _parquet(run: Run, models: Sequence[str]) -> bytes:
    buffer = io.BytesIO()
    rows_of_run(run, models).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _lines(run: Run, models: Sequence[str]) -> bytes:
    """Numbers to their last digit; null where there is none."""
    rows = rows_of_run(run, models).astype(object)
    records = rows.where(rows.notna(), None).to_dict("records")
    return "".join(json.dumps(record, default=_plain) + "\n" for record in records).encode()


def _plain(value: Any) -> Any:
    """A NumPy number as one of Python's."""
    return value.item() if hasattr(value, "item") else str(value)


def _card(run: Run, models: Sequence[str]) -> bytes:
    return card(of_models(run.summary(), models), run.manifest).encode()


WRITERS: dict[str, Callable[[Run, Sequence[str]], bytes]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".jsonl": _lines,
    ".md": _card,
}
"""By the end of a file's name: rows, one measured value each, or a card's metadata."""
