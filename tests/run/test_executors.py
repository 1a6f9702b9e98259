"""The same numbers whatever runs the cells; a crash or a time-out costs one cell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import faulty
import psutil
import pytest
from harness import (
    PATIENCE,
    TESTS,
    assert_same,
    bench,
    faulty_suite,
    marked,
    small_suite,
    spawn,
    started,
    table,
    wait_for,
)

from bench.core.errors import BenchError, UsageError
from bench.core.files import cache_folder
from bench.run.executors import processes
from bench.run.executors.lost import lost
from bench.run.run import Watcher, execute, plan_of
from bench.run.runner import Context

CELLS = """
[[block]]
name = "stacks"
task = "stack"
grid.dataset = ["stack2@optdigits"]
grid.model = ["gan"]
settings = { steps = 10, samples = 200, evaluations = 2 }
metrics = ["stack_modes@optdigits-cnn"]

[[block]]
name = "faults"
task = "faulty:TASK"
grid.model = ["trivial", "threads", "number"]
settings = { seconds = 1000.0 }
metrics = ["score"]
"""
LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
GANS = [("model", ["gan", "oracle"])]


@pytest.fixture(scope="module")
def measure(tmp_path_factory):
    """The table of trainings on points and on digits and of cells that are begun first, where
    libraries may use two threads; each executor has a cache of its own.
    """
    tables = {}

    def measured(executor, workers=1):
        if (executor, workers) not in tables:
            folder = tmp_path_factory.mktemp(executor)
            suite = small_suite(folder, '["gan"]', '["gan", "oracle"]', extra=CELLS)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("bench.run.run.draw", lambda *run: [])
                patch.setenv("MINIMAX_CACHE", str(folder / "cache"))
                for library in LIBRARIES:
                    patch.setenv(library, "2")
                options = {"executor": executor, "workers": workers, "seeds": (0, 1, 2)}
                report = execute(suite, out=str(folder / "run"), **options)
            assert report.statuses == {"ok": 18}
            tables[executor, workers] = report.table
        return tables[executor, workers]

    return measured


@pytest.mark.parametrize("workers", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_the_values_do_not_depend_on_the_executor(measure, workers):
    assert_same(measure("inline"), measure("processes", workers))


@pytest.mark.parametrize(("executor", "workers"), [("inline", 1), ("processes", 2)])
def test_libraries_loaded_late_run_in_one_thread_too(measure, executor, workers):
    """The limit holds for what a cell imports itself, in the first cell and in later ones: of three
    seeds, one worker has two.
    """
    rows = measure(executor, workers)
    assert rows.loc[rows["model"] == "threads", "value"].tolist() == [1.0] * 3


@pytest.mark.slow
def test_the_values_do_not_depend_on_the_cache(tmp_path):
    frames = [
        execute("smoke", grid=GANS, seeds=(0,), out=str(tmp_path / name)).table for name in "ab"
    ]
    assert_same(*frames)


@pytest.mark.slow
def test_the_values_of_a_cell_do_not_depend_on_the_cells_before_it(tmp_path, monkeypatch):
    frames = []
    for name, models in (("a", ["gmm", "gan"]), ("b", ["oracle", "gan", "rsgan", "gmm"])):
        monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / f"cache-{name}"))
        options = {"grid": [("model", models)], "seeds": (0,), "out": str(tmp_path / name)}
        found = execute("smoke", **options).table
        frames.append(found[found["model"].isin(["gmm", "gan"])])
    assert_same(*frames)


WRONG = {
    "raises": ("failed", "ValueError: the sky fell down (faulty.py:"),
    "nan": ("invalid", "score is nan"),
    "memory": ("oom", "out of memory: no room"),
    "killed": ("crashed", "the worker was killed by SIGKILL"),
    "dies": ("crashed", "the worker exited with code 7"),
    "exits": ("failed", "SystemExit: 0"),
    "vanishes": ("crashed", "the worker exited"),
    "sleeps": ("timeout", "took longer than 12 s"),
}


@pytest.mark.parametrize(
    ("seeds", "wrong"),
    [
        (1, ["killed", "vanishes", "exits", "memory", "nan", "raises", "sleeps"]),
        pytest.param(3, list(WRONG), marks=pytest.mark.slow),
    ],
)
def test_cells_that_go_wrong_in_workers_cost_themselves_alone(tmp_path, seeds, wrong):
    """Cells are begun from the last: one worker goes through the others while one sleeps."""
    models = ["trivial", *wrong[:-1], "number", wrong[-1]]
    suite, seen = faulty_suite(tmp_path, *models, seeds=seeds), []
    watcher = Watcher(step=lambda cell, outcome: seen.append((cell.key, outcome.key)))
    options = {"executor": "processes", "workers": 2, "timeout": 12.0, "watcher": watcher}
    report = execute(suite, out=str(tmp_path / "run"), **options)
    expected = Counter({"ok": 2 * seeds})
    expected.update(Counter(WRONG[model][0] for model in wrong for _ in range(seeds)))
    assert report.statuses == expected
    assert report.bad == seeds * len(wrong)
    rows = report.table[report.table["status"] != "ok"]
    assert rows.groupby("model")["seed"].count().to_dict() == dict.fromkeys(wrong, seeds)
    for row in rows.itertuples():
        status, reason = WRONG[row.model]
        assert row.status == status
        assert row.reason.startswith(reason)
    assert sorted(key for key, _ in seen) == sorted(one.key for one in plan_of(suite).cells)
    assert all(cell == outcome for cell, outcome in seen)


@pytest.mark.slow
def test_what_went_wrong_is_measured_again_and_what_stands_is_not(tmp_path):
    once = ["raises_once", "killed_once", "sleeps_once", "memory_once"]
    stand = ["number", "nan", "diverges", "skipped"]
    suite = faulty_suite(tmp_path, *once, *stand)
    arguments = ("run", "--suite", suite, "--out", str(tmp_path / "run"), "--timeout", "2")
    assert bench(*arguments, "--workers", "2") == 4
    first = dict(table(tmp_path / "run").groupby("model")["status"].last())
    assert [first[name] for name in once] == ["failed", "crashed", "timeout", "oom"]
    assert bench(*arguments, "--workers", "1") == 4
    second = dict(table(tmp_path / "run").groupby("model")["status"].last())
    assert {second[name] for name in once} == {"ok"}
    assert [second[name] for name in stand] == ["ok", "invalid", "diverged", "skipped"]
    counts = {name: faulty.marks_of(cache_folder(), name) for name in once + stand}
    assert counts == {name: 2 if name in once else int(name != "skipped") for name in counts}


@pytest.mark.slow
def test_a_worker_killed_from_outside_costs_at_most_its_cell(tmp_path):
    suite = faulty_suite(tmp_path, "number", "sleeps", "trivial")
    marks = Path(os.environ["MINIMAX_CACHE"]) / "marks" / "sleeps-0"
    with started("run", "--suite", suite, "--workers", "1", cwd=tmp_path) as (driver, mark):
        assert wait_for(marks.exists)
        (worker,) = workers(mark, driver.pid)
        worker.kill()
        assert driver.wait(PATIENCE) == 4
    rows = table(tmp_path / "runs/faulty/quick")
    assert rows["status"].value_counts().to_dict() == {"ok": 2, "crashed": 1}
    assert rows.loc[rows["status"] == "crashed", "reason"].tolist() == [WRONG["killed"][1]]


def workers(mark: str, driver: int) -> list[psutil.Process]:
    """The worker processes of a driver."""
    return [
        process
        for process in marked(mark)
        if process.pid != driver and any("spawn_main" in part for part in process.cmdline())
    ]


HELD = """
import multiprocessing, pathlib, time
here = pathlib.Path(__file__).parent
if multiprocessing.parent_process() is not None:
    (here / "begun").touch()
    while not (here / "go").exists():
        time.sleep(0.02)
"""


@pytest.mark.slow
def test_a_worker_killed_before_it_begins_costs_nothing(tmp_path):
    """The first one waits in what the suite imports."""
    (tmp_path / "held.py").write_text(HELD)
    suite = Path(faulty_suite(tmp_path, "number", "trivial"))
    suite.write_text('imports = ["held"]\n' + suite.read_text())
    with started("run", "--suite", str(suite), "--workers", "1", cwd=tmp_path) as (driver, mark):
        assert wait_for((tmp_path / "begun").exists)
        (worker,) = workers(mark, driver.pid)
        worker.kill()
        (tmp_path / "go").touch()
        _, err = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, err
    assert set(table(tmp_path / "runs/faulty/quick")["status"]) == {"ok"}


@pytest.mark.parametrize(
    ("number", "workers"),
    [(signal.SIGINT, 1), pytest.param(signal.SIGTERM, 2, marks=pytest.mark.slow)],
)
def test_an_interrupted_command_keeps_what_was_finished(tmp_path, number, workers):
    suite = faulty_suite(tmp_path, "sleeps", "number")
    run = tmp_path / "runs/faulty/quick"
    command = ("run", "--suite", suite, "--workers", str(workers))
    with started(*command, cwd=tmp_path) as (driver, mark):
        assert wait_for(lambda: any(run.glob("cells/*/*.json")))
        driver.send_signal(number)
        _, err = driver.communicate(timeout=PATIENCE)
        assert wait_for(lambda: not marked(mark))
    assert driver.returncode == 130
    assert "interrupted: what was finished is kept" in err
    assert "Traceback" not in err
    assert table(run)["status"].tolist() == ["ok"]


@pytest.mark.slow
def test_libraries_loaded_late_run_in_one_thread_inline_too(tmp_path):
    many = dict.fromkeys(LIBRARIES, "2")
    suite = faulty_suite(tmp_path, "trivial", "threads", seeds=2)
    done = spawn("run", "--suite", suite, "--executor", "inline", cwd=tmp_path, **many)
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path / "runs/faulty/quick")
    assert rows.loc[rows["model"] == "threads", "value"].tolist() == [1.0, 1.0]


@pytest.mark.slow
def test_a_script_can_ask_for_processes(tmp_path):
    (tmp_path / "script.py").write_text(
        "from bench import api\n"
        "if __name__ == '__main__':\n"
        f"    suite = {faulty_suite(tmp_path, 'number')!r}\n"
        "    table = api.run(suite, executor='processes', workers=1)\n"
        "    assert table['status'].tolist() == ['ok'], table\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path[1:]])}
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("status", ["ok", "diverged", "skipped", "invalid"])
def test_a_record_that_was_finished_before_the_worker_died_stands(tmp_path, status):
    """A worker that is killed between its last write and its answer has lost nothing."""
    report = execute(faulty_suite(tmp_path, "number"), out=str(tmp_path / "run"))
    ((key, kept),) = report.records.items()
    (cell,) = plan_of(faulty_suite(tmp_path, "number")).cells
    report.run.write_cell({**kept, "status": status, "reason": "why"}, {})
    context = Context(report.run.path, tmp_path, "s", "t", "cpu", {}, "", False)
    outcome = lost(cell, context, "crashed", "the worker was killed by SIGKILL")
    assert report.run.read_cell(key)["status"] == outcome.status == status


class Broken:
    """A pool that breaks at once; a worker of it is still coming up."""

    active = False

    def __init__(self):
        self.said = []

    def schedule(self, work, args, timeout):
        future = Future()
        future.set_exception(BrokenProcessPool("All workers expired"))
        return future

    def stop(self):
        self.said.append("stopped")

    def join(self):
        self.said.append("joined")


def test_a_pool_that_broke_is_ended_like_others(tmp_path, monkeypatch):
    """Or workers that come up after it ended find nothing of it, and complain on the terminal."""
    pools, suite = [], faulty_suite(tmp_path, "number", "trivial")

    def pool(place, cells, context):
        pools.append(Broken())
        return pools[-1]

    monkeypatch.setattr(processes, "_pool", pool)
    with pytest.raises(BenchError, match="the worker processes die before they begin"):
        execute(suite, executor="processes", workers=2, out=str(tmp_path / "run"))
    assert [one.said for one in pools] == [["stopped", "joined"]] * (processes.RESTARTS + 1)


def test_an_executor_that_is_none_is_refused(tmp_path):
    suite = faulty_suite(tmp_path, "number")
    with pytest.raises(UsageError, match="did you mean 'processes'"):
        execute(suite, executor="process", out=str(tmp_path / "run"))
    with pytest.raises(BenchError, match="can't be cut off inline"):
        execute(suite, executor="inline", timeout=3.0, out=str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
