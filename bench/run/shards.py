"""A part of a plan, for machines that share no folder: `3/16` is the third of sixteen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bench.core.errors import UsageError
from bench.suites.cell import Cell
from bench.tasks import TASKS

MOST = 100_000


@dataclass(frozen=True)
class Shard:
    """Which part, counted from 1, of how many."""

    index: int
    of: int

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    @property
    def suffix(self) -> str:
        """What the folder of a part has behind its tier's name."""
        return f".{self.index}-of-{self.of}"

    def take(self, cells: Iterable[Cell]) -> list[Cell]:
        """Its cells of a plan, in their order. Cells that share a trained model are in one part, so
        that nothing is trained twice; the parts are about as long by the forecasts, which are the
        same on every machine. Each cell is in exactly one part.
        """
        every = list(cells)
        groups: dict[str, list[Cell]] = {}
        for cell in every:
            groups.setdefault(_owner(cell), []).append(cell)
        loads = [0.0] * self.of
        mine: set[str] = set()
        for name in sorted(groups, key=lambda name: (-_seconds(groups[name]), name)):
            least = loads.index(min(loads))
            loads[least] += max(_seconds(groups[name]), 1e-9)
            if least == self.index - 1:
                mine.update(cell.key for cell in groups[name])
        return [cell for cell in every if cell.key in mine]


def shard_of(text: str) -> Shard:
    """Raises UsageError for what is no part of a whole."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    index, of = map(int, found.groups()) if found else (0, 0)
    if not 1 <= index <= of <= MOST:
        raise UsageError(
            f"`shard`: expected I/N with I from 1 to N, such as 3/16, got '{text[:40]}'"
        )
    return Shard(index, of)


def _owner(cell: Cell) -> str:
    """What a cell has in common with those that use the same trained model."""
    artifact = TASKS[cell.task].part.artifact(cell)
    return cell.key if artifact is None else "/".join(artifact)


def _seconds(cells: Iterable[Cell]) -> float:
    return sum({cell.key: cell.seconds for cell in cells}.values())
