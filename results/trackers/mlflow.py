"""MLflow: a run for each cell, in an experiment of its suite and tier."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from bench.core.errors import UsageError, one_line
from results.trackers.contracts import SHORT, TRACKERS, Logged, Tracker, needed
from results.trackers.names import metric_name

KEY, CONTENT = "minimax.key", "mlflow.note.content"
MOST_METRICS, MOST_PARAMS, LONGEST = 1_000, 100, 500
"""What a server takes at once, and of a parameter's letters."""

T = TypeVar("T")


@TRACKERS.register(
    "mlflow",
    summary="MLflow: a run a cell, on the server of MLFLOW_TRACKING_URI or in a file",
    extra="mlflow",
    place="a tracking address; MLFLOW_TRACKING_URI if none is named, else the run's `logs/mlflow`",
)
@dataclass(frozen=True)
class MLflow(Tracker):
    """A cell is known once its run is ended; one that was cut off is deleted first."""

    @property
    def where(self) -> str:
        return f"mlflow ui --backend-store-uri {self._address}"

    @property
    def _address(self) -> str:
        named = self.place or os.environ.get("MLFLOW_TRACKING_URI", "")
        return named or f"sqlite:///{self._beside / 'mlflow.db'}"

    @property
    def _beside(self) -> Path:
        return (self.folder / "logs" / "mlflow").absolute()

    @property
    def _files(self) -> str | None:
        """Where pictures go: beside the file that is kept by default; else a server says."""
        own = self._address == f"sqlite:///{self._beside / 'mlflow.db'}"
        return (self._beside / "artifacts").as_uri() if own else None

    @cached_property
    def _client(self) -> Any:
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        if self._files is not None:
            self._beside.mkdir(parents=True, exist_ok=True)
        return needed("mlflow", "mlflow").MlflowClient(tracking_uri=self._address)

    @cached_property
    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.project)
        if found is not None:
            return found.experiment_id
        return self._client.create_experiment(self.project, artifact_location=self._files)

    def refuse(self) -> None:
        needed("mlflow", "mlflow")
        try:
            _ = self._experiment
        except Exception as error:  # each kind of address fails in its own way
            raise UsageError(
                one_line(f"mlflow can't use {self._address}: {error}; name another: mlflow=ADDRESS")
            ) from error

    def known(self) -> set[str]:
        return {run.data.tags[KEY][:SHORT] for run in self._runs() if run.info.status != "RUNNING"}

    def _runs(self, key: str = "") -> Iterator[Any]:
        """The runs of cells, or of one cell."""
        wanted, token = f"tags.`{KEY}` = '{key}'" if key else f"tags.`{KEY}` != ''", None
        while True:
            page = self._client.search_runs([self._experiment], wanted, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def log(self, cell: Logged) -> None:
        entities: Any = needed("mlflow.entities", "mlflow")
        for cut_off in self._runs(cell.key):
            self._client.delete_run(cut_off.info.run_id)
        made = self._client.create_run(
            self._experiment, tags={KEY: cell.key}, run_name=cell.name
        ).info.run_id
        now = int(time.time() * 1000)
        ends = [("final/" + metric, cell.last, value) for metric, value in cell.finals.items()]
        metrics = [
            entities.Metric(metric_name(metric), value, now, step)
            for metric, step, value in [*cell.curves, *ends]
        ]
        params = [
            entities.Param(name, str(value)[:LONGEST]) for name, value in cell.settings.items()
        ]
        tags = [
            entities.RunTag(f"minimax.{name}", value[:LONGEST])
            for name, value in cell.about.items()
        ]
        for part in _parts(metrics, MOST_METRICS):
            self._client.log_batch(made, metrics=part)
        for part in _parts(params, MOST_PARAMS):
            self._client.log_batch(made, params=part)
        self._client.log_batch(made, tags=tags)
        if cell.picture is not None:
            self._client.log_image(made, cell.picture, artifact_file="samples.png")
        self._client.set_terminated(made, "FINISHED" if cell.fine else "FAILED")

    def conclude(self, verdicts: str) -> None:
        self._client.set_experiment_tag(self._experiment, CONTENT, verdicts)


def _parts(things: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    for at in range(0, len(things), most):
        yield things[at : at + most]
