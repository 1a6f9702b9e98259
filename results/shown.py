"""What is shown of runs, joined: rows and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import pandas as pd

from results.along import along_layouts, along_rows, named_metrics
from results.chosen import in_order, of_models, sorted_by
from results.costs import COST, costed
from results.join import Part, join
from results.runs import Run, refusing_damage
from results.summary import summarise
from results.tables import Layout, every_layout, layouts


@dataclass(frozen=True, eq=False)
class Shown:
    """What is shown of a run, or of several as if one had made them. along: settings to lay tables
    along; metrics, models: those to show, the usual ones where none are named; models are patterns
    of names. sort: the metric whose best row comes first. cost: whether CPU seconds have a column.
    """

    runs: Sequence[Run]
    along: Sequence[str] = ()
    metrics: Sequence[str] = ()
    models: Sequence[str] = ()
    sort: str = ""
    cost: bool = False

    @property
    def name(self) -> str:
        """Of its runs."""
        return ", ".join(run.name for run in self.runs)

    @cached_property
    def joined(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """A manifest and finished cells by key."""
        with refusing_damage(self.name):
            found = (
                (self.runs[0].manifest, self.runs[0].records)
                if len(self.runs) == 1
                else join([Part(run.name, run.manifest, run.records) for run in self.runs])
            )
            return costed(*found) if self.cost else found

    def rows(self) -> pd.DataFrame:
        """The summary: all of it, or what the tables along settings hold, of the metrics that are
        asked for. Of several runs each row says whose it is, where it is one's alone.
        """
        manifest, summary = self.joined[0], self._summary()
        if self.along:
            return along_rows(summary, manifest, self.along, self.metrics)
        return self._asked(summary)

    def layouts(self) -> list[Layout]:
        """Its tables; of whole runs the claims of papers about them, too."""
        manifest, summary = self.joined[0], self._summary()
        with refusing_damage(self.name):
            if self.along:
                return [*along_layouts(summary, manifest, self.along, self.metrics)]
            if self.metrics or self.models:
                return [*layouts(self._asked(summary), manifest)]
            judged = [run.claims() for run in self.runs]
            return [*every_layout(summary, manifest, pd.concat(judged, ignore_index=True))]

    def _summary(self) -> pd.DataFrame:
        manifest, records = self.joined
        with refusing_damage(self.name):
            whole = summarise(manifest, records)
        return sorted_by(of_models(whole, self.models), self.sort, manifest["metrics"])

    def _asked(self, summary: pd.DataFrame) -> pd.DataFrame:
        if not self.metrics:
            return summary
        asked = [*named_metrics(summary, self.metrics), *([COST] if self.cost else [])]
        return in_order(cast(pd.DataFrame, summary[summary["metric"].isin(asked)]), asked)
