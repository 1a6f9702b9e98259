"""pandas with types that a checker can follow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import pandas as pd


def pick(table: Any, mask: Iterable[bool]) -> pd.DataFrame:
    """The rows where `mask` holds."""
    return cast(pd.DataFrame, table.loc[np.asarray(mask, bool)])


def column(table: pd.DataFrame, name: str) -> np.ndarray:
    """A column as an array."""
    return cast(Any, table[name]).to_numpy()


def among(values: np.ndarray | pd.Index, known: Iterable[Any]) -> np.ndarray:
    """Which values are among the known ones."""
    return np.asarray(cast(Any, pd.Index(values)).isin([*known]), bool)


def as_dicts(table: Any) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    return cast(list[dict[str, Any]], table.to_dict("records"))


def plain_words(table: pd.DataFrame) -> pd.DataFrame:
    """The same with text as Python's own, which is far faster to read one by one."""
    words = {
        name: pd.Series(cast(Any, table[name]).to_numpy(dtype=object), table.index, dtype=object)
        for name in table.columns
        if pd.api.types.is_string_dtype(table[name].dtype)
    }
    return table.assign(**words)
