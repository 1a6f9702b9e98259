"""CPU seconds as a column: of which cells, beside what, and what is said where nobody counted."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from harness import bench
from unrun import run_of

from bench.core.errors import UsageError
from bench.models.store import ArtifactStore
from bench.report.show import open_shown
from bench.run import runner
from bench.run.run import execute, plan_of
from bench.run.runner import Context, run_cell
from results.rows import check_record
from results.runs import open_run
from results.shown import Shown
from results.store import RunDirectory

VALUES = {"oracle": (0.9, 0.9), "gan": (0.2, 0.4), "vae": (0.5, 0.5)}
SMALL = {"steps": 2, "samples": 100, "evaluations": 1}


@pytest.fixture
def run(tmp_path):
    """Cells of 1.5 seconds of wall time: one of them half as many CPU seconds, one more."""
    made = run_of(tmp_path, VALUES)
    seconds = {"oracle": (0.1, 0.3), "gan": (20.0, 40.0), "vae": (7.0, 0.0)}
    for record in made.records.values():
        record["cpu_seconds"] = seconds[record["model"]][record["seed"]]
    return made


def column(shown):
    rows = shown.rows()
    rows = rows[rows["metric"] == "cpu_seconds"].set_index("model")
    return rows["value"].to_dict(), rows["seeds"].to_dict()


def test_it_is_a_mean_over_the_seeds_that_counted(run):
    values, seeds = column(Shown([run], cost=True))
    assert values == pytest.approx({"oracle": 0.2, "gan": 30.0, "vae": 7.0})
    assert seeds == {"oracle": 2, "gan": 2, "vae": 1}


def test_it_is_the_last_column_and_moves_no_other(run):
    """Nothing in bold, every other cell as it was; and the run as it was."""
    (with_it,) = Shown([run], models=["*"], cost=True).layouts()
    (without,) = Shown([run], models=["*"]).layouts()
    assert [*with_it.heads] == [*without.heads, "CPU s"]
    assert [row[:-1] for row in with_it.rows] == without.rows
    assert [looks[:-1] for looks in with_it.looks] == without.looks
    assert [row[-1][0] for row in with_it.rows] == ["0.2", "30.0", "7.0"]
    assert not any(looks[-1].mark for looks in with_it.looks)
    assert "cpu_seconds" not in set(Shown([run]).rows()["metric"])


def test_of_one_model_alone_it_stands_under_the_table(run):
    (layout,) = Shown([run], models=["gan"], cost=True).layouts()
    assert "CPU s: 30.0 (of the process, training and scores)" in layout.notes


def test_it_stays_beside_the_metrics_that_are_asked_for(run):
    shown = Shown([run], metrics=["loss"], cost=True)
    assert list(dict.fromkeys(shown.rows()["metric"])) == ["loss", "cpu_seconds"]
    rows = Shown([run], sort="cpu_seconds", cost=True).rows()
    assert list(dict.fromkeys(rows["model"])) == ["gan", "vae", "oracle"]


def test_a_block_that_names_no_metrics_has_it_once(run):
    run.manifest["blocks"][0]["metrics"] = []
    metrics = list(Shown([run], cost=True).rows()["metric"])
    assert metrics.count("cpu_seconds") == len(VALUES)


def test_where_nobody_counted_it_is_told(run):
    for record in run.records.values():
        del record["cpu_seconds"]
    with pytest.raises(UsageError, match="no cell here counted CPU seconds: their models had been"):
        Shown([run], cost=True).rows()
    assert len(Shown([run]).rows())


def test_a_record_may_lack_it_and_may_not_be_wrong(run):
    """Those of earlier versions do."""
    key, record = next(iter(run.records.items()))
    assert check_record(record, key)["cpu_seconds"] == 0.1
    assert check_record({k: v for k, v in record.items() if k != "cpu_seconds"}, key)
    with pytest.raises(ValueError, match="'cpu_seconds' of the cell has the wrong type"):
        check_record({**record, "cpu_seconds": "1"}, key)


def context_of(folder):
    return Context(folder / "run", folder / "cache", "s", "t", "cpu", {}, "", False)


def test_a_model_that_was_there_before_has_none(tmp_path, monkeypatch):
    """Trained and scored here, it has; scored again on the trained model, or on one that was begun,
    it hasn't. A cell that trains nothing always has.
    """
    clock = iter(range(0, 10_000, 7))
    monkeypatch.setattr(runner.time, "process_time", lambda: float(next(clock)))
    planned = plan_of(
        "families",
        tier="quick",
        seeds=(0,),
        grid={"dataset": ["ring8@pacgan"], "model": ["nsgan", "oracle"]},
        set=SMALL,
        device="cpu",
    )
    context = context_of(tmp_path)
    for cell in planned.cells:
        found = []
        for out in ("first", "again"):
            run_cell(cell, replace(context, run=tmp_path / out))
            found.append(RunDirectory(tmp_path / out).read_cell(cell.key)["cpu_seconds"])
        assert found == [7.0, 0.0], cell.part("model")
        store = ArtifactStore(context.cache)
        artifact = runner.TASKS[cell.task].part.artifact(cell)
        assert not runner._is_new(artifact, store)
        assert runner._is_new(("generator", "f" * 64), store)
        assert runner._is_new(None, store)
        begun = context.cache / "artifacts" / "generator" / "ff" / f"{'f' * 64}.partial.json"
        begun.parent.mkdir(parents=True, exist_ok=True)
        begun.write_text('{"step": 3}')
        assert not runner._is_new(("generator", "f" * 64), store)
        begun.unlink()


def test_seconds_are_those_of_the_processor(tmp_path, monkeypatch):
    """Not of the clock on the wall: a cell that waits costs nothing."""
    (cell,) = plan_of(
        "families",
        tier="quick",
        seeds=(0,),
        grid={"dataset": ["ring8@pacgan"], "model": ["oracle"]},
        set=SMALL,
        device="cpu",
    ).cells
    task = runner.TASKS[cell.task].part
    own = type(task).measure

    def waiting(self, *asked):
        time.sleep(2)
        return own(self, *asked)

    monkeypatch.setattr(type(task), "measure", waiting)
    run_cell(cell, context_of(tmp_path))
    record = RunDirectory(tmp_path / "run").read_cell(cell.key)
    assert 0 < record["cpu_seconds"] < record["seconds"] - 1


def test_the_command_shows_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "cache"))
    out = str(tmp_path / "run")
    grid = {"dataset": ["ring8@pacgan"], "model": ["oracle"]}
    execute("families", tier="quick", seeds=(0,), grid=grid, set=SMALL, out=out)
    capsys.readouterr()
    assert bench("show", out, "--cost", "--format", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    (row,) = [each for each in rows if each["metric"] == "cpu_seconds"]
    (record,) = open_run(out).records.values()
    assert row["value"] == pytest.approx(record["cpu_seconds"])


def test_costs_along_settings_are_refused():
    with pytest.raises(UsageError, match="`cost` is a column of tables of rows"):
        open_shown(["runs/any"], along=["lr"], cost=True)
