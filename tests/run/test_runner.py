"""One cell: a failure is a row, and nothing outside the cell is changed."""

from __future__ import annotations

import random
import re
import warnings

import faulty
import numpy as np
import pytest
import torch
from harness import bench, faulty_suite, record, table
from threadpoolctl import threadpool_info

from bench import api
from bench.core.errors import StoreError
from bench.core.files import cache_folder
from bench.models.store import ArtifactStore
from bench.run.run import execute, plan_of
from bench.run.runner import Context, run_cell
from results.rows import BAD, CELL_FIELDS, LATER
from results.store import RunDirectory


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def context(tmp_path):
    return Context(tmp_path / "run", tmp_path / "cache", "s", "t", "cpu", {}, "", False)


@pytest.fixture
def measure(tmp_path, context):
    """Measure one faulty cell; its outcome and its record."""

    def run(model: str, seed: int = 0):
        suite = faulty_suite(tmp_path, model)
        (cell,) = plan_of(suite, seeds=(seed,), device="cpu").cells
        outcome = run_cell(cell, context)
        return outcome, RunDirectory(context.run).read_cell(cell.key)

    return run


@pytest.mark.parametrize(
    ("model", "status", "reason"),
    [
        ("number", "ok", ""),
        ("several", "ok", ""),
        ("warns", "ok", ""),
        ("numpy_numbers", "ok", ""),
        ("raises", "failed", "ValueError: the sky fell down (faulty.py:"),
        ("exits", "failed", "SystemExit"),
        ("nan", "invalid", "score is nan: expected a number"),
        ("infinite", "invalid", "other is -inf: expected a number"),
        ("text", "invalid", "score is 'high': expected a number"),
        ("boolean", "invalid", "score is True: expected a number"),
        ("nan_error", "invalid", "score"),
        ("diverges", "diverged", "it left the numbers"),
        ("memory", "oom", "out of memory: no room"),
        ("allocates", "oom", ""),
        ("skipped", "skipped", "nobody wants it"),
    ],
)
def test_whatever_a_cell_does_is_one_record(measure, model, status, reason):
    outcome, kept = measure(model)
    assert kept is not None
    assert (kept["status"], outcome.status) == (status, status)
    assert reason in kept["reason"]
    assert outcome.reason == kept["reason"]
    assert bool(kept["reason"]) == (status != "ok")
    assert bool(kept["values"]) == (status in ("ok", "diverged"))
    assert len(kept["reason"].splitlines()) <= 1


@pytest.mark.parametrize(
    ("model", "status"), [("raises", "failed"), ("nan", "invalid"), ("nan_error", "invalid"),
                          ("memory", "oom"), ("exits", "failed"), ("boolean", "invalid")],
)  # fmt: skip
def test_a_faulty_cell_beside_good_ones_is_one_row_and_exit_code_4(tmp_path, capfd, model, status):
    suite = faulty_suite(tmp_path, "number", model, "trivial")
    assert bench("run", "--suite", suite, "--executor", "inline") == 4
    rows = table(tmp_path / "runs/faulty/quick")
    assert rows["status"].value_counts().to_dict() == {"ok": 2, status: 1}
    (bad,) = rows[rows["status"] != "ok"].itertuples()
    assert bad.reason
    assert bad.model == model
    out = capfd.readouterr().out
    assert f"{status}: {bad.cell_id} seed 0: " in out
    assert f"1 {status}" in out


def test_a_diverged_or_skipped_cell_is_no_error_of_the_run(tmp_path):
    suite = faulty_suite(tmp_path, "diverges", "skipped", "number")
    assert bench("run", "--suite", suite, "--executor", "inline") == 0
    rows = table(tmp_path / "runs/faulty/quick")
    assert sorted(rows["status"]) == ["diverged", "diverged", "ok", "skipped"]
    last = rows[(rows["status"] == "diverged") & rows["final"]]
    assert last["metric"].tolist() == [""]
    assert last["value"].isna().all()


def test_a_real_gan_that_diverges_is_a_row(tmp_path):
    report = execute(
        "smoke",
        only=[("model", "gan")],
        seeds=(0,),
        set={"generator_lr": 1e6, "critic_lr": 1e6},
        out=str(tmp_path / "run"),
    )
    assert report.statuses == {"diverged": 1}
    assert report.bad == 0
    assert "at step" in report.table["reason"].iloc[-1]


def test_a_record_says_where_it_came_from(measure, context):
    _, kept = measure("number", seed=3)
    assert set(kept) == {*CELL_FIELDS, *LATER}
    expected = {"suite": "s", "tier": "t", "seed": 3, "model": "number", "threads": 1}
    assert expected.items() <= kept.items()
    assert kept["seconds"] >= 0
    assert kept["cpu_seconds"] >= 0
    assert kept["peak_rss_mb"] > 10
    assert kept["started_at"].endswith("+00:00")
    assert len(kept["code"]) == 64


def test_warnings_are_kept_once_each_and_not_too_many(measure, recwarn):
    _, kept = measure("warns")
    assert kept["warnings"] == [f"UserWarning: it creaks {index}" for index in range(5)]
    assert not recwarn.list


def test_warnings_reach_the_user(tmp_path, capfd):
    bench("run", "--suite", faulty_suite(tmp_path, "warns", seeds=2), "--executor", "inline")
    assert "warning: UserWarning: it creaks 0 (2 cells)" in capfd.readouterr().err


def test_a_notice_comes_first_and_is_told_at_once(measure, tmp_path, capfd):
    """Kept before the warnings of libraries, of which there may be too many; told of each cell as
    it ends, and once more of all at the end.
    """
    outcome, kept = measure("collapses", 3)
    assert outcome.notices == ("collapsed: to 3 modes",)
    assert kept["warnings"][0] == "Notice: collapsed: to 3 modes"
    assert len(kept["warnings"]) == 5
    bench("run", "--suite", faulty_suite(tmp_path, "collapses", seeds=2), "--executor", "inline")
    said = capfd.readouterr().err.splitlines()
    told = [at for at, line in enumerate(said) if "seed 1 collapsed: to 1 modes" in line]
    (done,) = [at for at, line in enumerate(said) if line.startswith("2 of 2: ")]
    assert len(told) == 1
    assert told[0] < done
    (last,) = [line for line in said if "at the end" in line]
    assert re.fullmatch(r"warning: collapsed at the end: \S*collapses \(2\)", last)
    assert "Notice" not in "".join(said)


def test_every_seed_has_randomness_of_its_own_and_the_same_each_time(measure):
    first = [measure("number", seed)[1]["values"][0]["value"] for seed in (0, 1, 2)]
    torch.rand(5)
    np.random.rand(5)
    random.random()
    assert len(set(first)) == 3
    assert [measure("number", seed)[1]["values"][0]["value"] for seed in (0, 1, 2)] == first


def test_nothing_outside_the_cell_is_changed(tmp_path, context):
    """Python's own generator is looked at where the checker of types does not draw from it."""

    def state() -> tuple:
        return (
            torch.get_num_threads(),
            {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()},
            torch.get_rng_state().tolist(),
            str(np.random.get_state()),
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            warnings.filters[:],
        )

    models, threads = [("model", ["gan", "oracle", "one-gaussian"])], torch.get_num_threads()
    few = {"steps": 20, "samples": 300}
    api.run("smoke", grid=models, set=few, seeds=(0,), out=str(tmp_path / "imports"))
    torch.set_num_threads(2)
    try:
        before = state()
        api.run("smoke", grid=models, set=few, seeds=(1,), out=str(tmp_path / "run"))
        suite = faulty_suite(tmp_path, "number", "raises", "nan", "memory", "warns")
        cells = plan_of(suite, device="cpu").cells
        python = random.getstate()
        for cell in cells:
            run_cell(cell, context)
        assert random.getstate() == python
        assert state() == before
    finally:
        torch.set_num_threads(threads)


def test_a_store_that_can_not_be_written_stops_the_run(tmp_path, monkeypatch, context):
    def full(*arguments: object) -> None:
        raise StoreError("can't write it: the disk is full")

    monkeypatch.setattr(RunDirectory, "write_cell", full)
    (cell,) = plan_of(faulty_suite(tmp_path, "number"), device="cpu").cells
    with pytest.raises(StoreError, match="the disk is full"):
        run_cell(cell, context)


def test_an_interrupt_keeps_what_was_finished(tmp_path, monkeypatch):
    suite = faulty_suite(tmp_path, "number", seeds=4)
    original, calls = faulty.FaultyTask.measure, []

    def interrupted(self, cell, place):
        calls.append(cell.seed)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, cell, place)

    monkeypatch.setattr(faulty.FaultyTask, "measure", interrupted)
    assert bench("run", "--suite", suite, "--executor", "inline") == 130
    assert len(table(tmp_path / "runs/faulty/quick")) == 2
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert bench("run", "--suite", suite, "--executor", "inline") == 0
    assert sorted(table(tmp_path / "runs/faulty/quick")["seed"]) == [0, 1, 2, 3]


@pytest.mark.parametrize("status", BAD)
def test_the_report_counts_what_is_bad(tmp_path, status):
    report = execute(faulty_suite(tmp_path, "number", "diverges"))
    assert report.bad == 0
    kept = next(iter(report.records.values()))
    broken = record(**{**kept, "status": status, "values": [], "reason": "why"})
    report.run.write_cell(broken, {})
    if status == "invalid":
        assert execute(faulty_suite(tmp_path, "number", "diverges")).bad == 1
    else:
        assert execute(faulty_suite(tmp_path, "number", "diverges")).measured == 1


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    api.run("smoke", only=[("model", "one-gaussian")], seeds=(0,))
    assert ArtifactStore(tmp_path / "mine").contents()[0]["artifacts"] == 1


def test_a_cache_that_can_not_be_written_is_one_line(tmp_path, monkeypatch, capfd):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "file"))
    code = bench("run", "--suite", "smoke", "--only", "model=noise", "--executor", "inline")
    assert code == 1
    err = capfd.readouterr().err.strip()
    assert err.startswith("Error: ")
    assert "MINIMAX_CACHE" in err
    assert "\n" not in err
