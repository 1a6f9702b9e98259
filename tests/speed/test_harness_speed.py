"""What the harness itself costs: seconds a thousand cells, and beside a cell that works."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import faulty_suite, table

from bench import api
from bench.run.run import Report, Watcher, execute

pytestmark = pytest.mark.slow

CELLS = 10_000
CELLS_A_SECOND = 500
SECONDS_TO_RESUME = 5.0
SHARE = 0.02
NAP = 10.0


def timed(work: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Ten thousand trivial cells, measured by two workers: the suite, the options of its run, and
    the seconds from the first answer of a worker to the tables.
    """
    folder, answers = tmp_path_factory.mktemp("many"), []
    watcher = Watcher(step=lambda cell, outcome: answers.append(time.perf_counter()))
    suite = faulty_suite(folder, "trivial")
    options = {"out": str(folder / "run"), "seeds": tuple(range(CELLS))}
    report = execute(suite, executor="processes", workers=2, watcher=watcher, **options)
    seconds = time.perf_counter() - answers[0]
    assert report.statuses == {"ok": CELLS}
    return suite, options, seconds


def test_trivial_cells_pass_at_500_a_second(finished):
    """Store and tables included, the start of the workers not."""
    _, options, seconds = finished
    assert len(table(Path(options["out"]))) == CELLS
    assert CELLS / seconds >= CELLS_A_SECOND


def test_going_on_where_all_is_finished_is_quick(finished):
    suite, options, _ = finished
    seconds, report = timed(lambda: execute(suite, **options))
    assert isinstance(report, Report)
    assert report.measured == 0
    assert seconds < SECONDS_TO_RESUME


def test_planning_where_all_is_finished_is_quick(finished):
    suite, options, _ = finished
    seconds, planned = timed(lambda: api.plan(suite, **options))
    assert len(planned) == CELLS
    assert set(planned["state"]) == {"ok"}
    assert seconds < SECONDS_TO_RESUME


def test_showing_many_cells_is_quick(finished):
    _, options, _ = finished
    seconds, shown = timed(lambda: api.show(options["out"]))
    assert len(shown) == 1
    assert seconds < SECONDS_TO_RESUME


def test_the_harness_costs_little_beside_a_cell_inline(tmp_path):
    suite = faulty_suite(tmp_path, "naps")
    execute(faulty_suite(tmp_path, "trivial"), out=str(tmp_path / "warm"))
    suite = faulty_suite(tmp_path, "naps")
    seconds, _ = timed(lambda: execute(suite, set={"seconds": NAP}, out=str(tmp_path / "run")))
    assert seconds <= NAP * (1 + SHARE)


def test_the_harness_costs_little_between_cells_in_workers(tmp_path):
    suite, out = faulty_suite(tmp_path, "naps", seeds=2), str(tmp_path / "run")
    execute(suite, executor="processes", workers=1, set={"seconds": NAP}, out=out)
    times = table(tmp_path / "run")["started_at"].map(datetime.datetime.fromisoformat)
    gap = (times.max() - times.min()).total_seconds()
    assert NAP <= gap <= NAP * (1 + SHARE)
