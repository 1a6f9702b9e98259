"""What a figure that teaches is: numbers beside what they should be, and a picture of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.core.registry import Registry

COLUMNS = ("where", "quantity", "value", "expected")


@dataclass(frozen=True, eq=False)
class Shown:
    """What a figure shows. table: a row a number, with columns where, quantity, value, expected,
    which is NaN where no closed form says it. draw: makes the picture, a matplotlib figure.
    """

    table: pd.DataFrame
    draw: Callable[[], Any]


class Lesson(ABC):
    """One idea as a figure: a frozen record of its settings."""

    @abstractmethod
    def show(self) -> Shown:
        """Compute it. Raises UsageError where what it needs is not here."""


@dataclass(frozen=True)
class LessonFacts:
    """tolerance: how far a number may be from what is expected of it. needs: the extra that has
    what it is drawn from.
    """

    tolerance: float = 1e-6
    needs: str = ""


FIGURES: Registry[Lesson, LessonFacts] = Registry("figure", LessonFacts, listed_as="figures")


def table_of(rows: list[tuple[str, str, float, float]]) -> pd.DataFrame:
    """Rows of where, quantity, value and what is expected."""
    return pd.DataFrame(rows, columns=list(COLUMNS))
