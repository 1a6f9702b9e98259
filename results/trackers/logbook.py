"""A run's cells, logged to trackers as they finish."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.core.errors import one_line
from results.runs import Run
from results.trackers import TRACKERS, Tracker
from results.trackers.cells import logged
from results.trackers.contracts import SHORT
from results.trackers.names import cells_of


def trackers(asked: Sequence[str], folder: Path, suite: str, tier: str) -> list[Tracker]:
    """Those that are asked for, each as NAME or NAME=PLACE. Raises UsageError for one that is
    unknown, asked for twice, or can't be used.
    """
    found = []
    for text in dict.fromkeys(asked):
        name, _, place = text.partition("=")
        kind = TRACKERS[name].part
        found.append(kind(folder.absolute(), f"minimax/{suite}/{tier}", place))
    with _quiet():
        for tracker in found:
            tracker.refuse()
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """What a tracker's libraries warn their own authors of is none of the user's business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@dataclass
class Logbook:
    """warn: who is told of a tracker that fails; it is left alone from then on, as what is measured
    must not suffer from where it is told.
    """

    trackers: list[Tracker]
    warn: Callable[[str], None]
    _known: dict[int, set[str]] = field(default_factory=dict)

    def take(self, run: Run, keys: Iterable[str]) -> int:
        """Log those of a run's finished cells that a tracker has not; how many."""
        wanted, count = set(keys), 0
        cells = {c["key"]: c for c in reversed(run.manifest["cells"]) if c["key"] in wanted}
        for key, cell in reversed(cells.items()):
            if key in run.records:
                count += self._log(run, cell)
        return count

    def _log(self, run: Run, cell: dict) -> bool:
        made = None
        for tracker in list(self.trackers):
            with self._or_left(tracker):
                if cell["key"][:SHORT] not in self._has(tracker):
                    made = made or logged(run, cell, run.records[cell["key"]])
                    tracker.log(made)
                    self._has(tracker).add(cell["key"][:SHORT])
        return made is not None

    def _has(self, tracker: Tracker) -> set[str]:
        at = id(tracker)
        if at not in self._known:
            self._known[at] = set(tracker.known())
        return self._known[at]

    @contextmanager
    def _or_left(self, tracker: Tracker) -> Iterator[None]:
        """A tracker that fails inside is left alone, and that is said."""
        try:
            with _quiet():
                yield
        except Exception as error:  # a server, a disk, a library of somebody else's
            self.trackers.remove(tracker)
            self.warn(one_line(f"no more is logged to `{tracker.where}`: {error!r}"))

    def conclude(self, run: Run) -> None:
        """Log what papers claim of a run."""
        judged = run.claims()
        if not len(judged):
            return
        columns = ["claim", "finding", "published"]
        rows = (cells_of(*(row[name] for name in columns)) for row in judged.to_dict("records"))
        text = "\n".join([cells_of(*columns), "|---|---|---|", *rows])
        for tracker in list(self.trackers):
            with self._or_left(tracker):
                tracker.conclude(text)
