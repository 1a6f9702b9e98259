"""Trackio: a run for each cell, in a project of its suite and tier."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from results.trackers.contracts import SHORT, TRACKERS, Logged, Tracker, needed
from results.trackers.names import filename

UNFINISHED, CLAIMS = "unfinished", "claims"


@TRACKERS.register(
    "trackio",
    summary="Trackio: a run a cell, in its own folder (TRACKIO_DIR) or where TRACKIO_SPACE_ID says",
    extra="trackio",
    place="a project; suite and tier if none is named",
)
@dataclass(frozen=True)
class Trackio(Tracker):
    """A run's name ends in its cell's key once all of it is there, where this machine keeps it;
    what goes to a server is not looked at again.
    """

    @property
    def where(self) -> str:
        return f"trackio show --project {self._project}"

    @property
    def _project(self) -> str:
        return filename(self.place or self.project)

    def refuse(self) -> None:
        needed("trackio", "trackio")

    def known(self) -> set[str]:
        return {run.name.rpartition(" ")[2][:SHORT] for run in self._runs()}

    def _runs(self) -> list[Any]:
        """Those of the project that are kept here."""
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                return list(needed("trackio", "trackio").Api().runs(self._project))
            except ValueError:  # no such project yet
                return []

    def log(self, cell: Logged) -> None:
        trackio = needed("trackio", "trackio")
        told = {**cell.settings, **cell.about, "key": cell.key}
        begun = f"{cell.name} {UNFINISHED}-{cell.key[:SHORT]}"
        for cut_off in self._named(begun):
            cut_off.delete()
        with self._run(begun, cell.name.rpartition("/")[0], told) as put:
            steps = sorted(cell.curves, key=lambda scalar: scalar.step)
            for step, scalars in groupby(steps, key=lambda scalar: scalar.step):
                put({scalar.metric: scalar.value for scalar in scalars}, step)
            last: dict[str, Any] = {f"final/{name}": value for name, value in cell.finals.items()}
            if cell.picture is not None:
                last["samples"] = trackio.Image(cell.picture)
            put(last, cell.last)
        for made in self._named(begun):
            made.rename(f"{cell.name} {cell.key}")

    def _named(self, name: str) -> list[Any]:
        return [run for run in self._runs() if run.name == name]

    def conclude(self, verdicts: str) -> None:
        trackio = needed("trackio", "trackio")
        with self._run(CLAIMS, "", {}) as put:
            put({CLAIMS: trackio.Markdown(verdicts)}, 0)

    @contextlib.contextmanager
    def _run(self, name: str, group: str, config: Mapping[str, Any]) -> Any:
        """A function that keeps values at a step, in a run that is ended afterwards. What trackio
        says to a terminal is left out: the run's own output is there.
        """
        trackio = needed("trackio", "trackio")
        with contextlib.redirect_stdout(io.StringIO()):
            trackio.init(
                project=self._project,
                name=name,
                group=group or None,
                config=dict(config),
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
            try:
                yield lambda values, step: trackio.log(values, step=step)
            finally:
                trackio.finish()
