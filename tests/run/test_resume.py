"""The same command goes on; other views widen or narrow; other code is never mixed in silently."""

from __future__ import annotations

import os

import faulty
import pytest
from harness import assert_same, bench, cell_files, faulty_suite, small_suite, table

from bench import api
from bench.api import show
from bench.core.errors import StoreError, UsageError
from bench.core.files import cache_folder
from bench.run.run import execute
from results.store import RunDirectory

INLINE = ("--executor", "inline")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tmp_path):
    return tmp_path / "runs/faulty/quick"


def other_code(run) -> int:
    """Give every finished cell the digest of other code; how many there are."""
    directory = RunDirectory(run)
    for path in cell_files(run):
        kept = directory.read_cell(path.stem)
        directory.write_cell({**kept, "code": "0" * 64}, {})
    return len(cell_files(run))


def test_the_same_command_again_measures_nothing(tmp_path, run, capfd):
    arguments = ("run", "--suite", faulty_suite(tmp_path, "number", "diverges", seeds=2), *INLINE)
    assert bench(*arguments) == 0
    assert "4 of 4 cells measured now; in all: 2 ok, 2 diverged" in capfd.readouterr().out
    first = {path: path.read_bytes() for path in run.rglob("*.json")}
    assert bench(*arguments) == 0
    assert "every cell was measured already: 2 ok, 2 diverged" in capfd.readouterr().out
    assert {path: path.read_bytes() for path in run.rglob("*.json")} == first
    assert faulty.marks_of(cache_folder(), "number") == 1


def test_a_real_suite_again_measures_nothing(tmp_path, capfd):
    arguments = (
        "run",
        "--suite",
        "smoke",
        *("--only", "model=gan", "--only", "model=one-gaussian"),
        *("--set", "steps=20", "--set", "samples=500"),
        *INLINE,
    )
    assert bench(*arguments) == 0
    first = table(tmp_path / "runs/smoke/quick")
    assert bench(*arguments) == 0
    assert "every cell was measured already: 4 ok" in capfd.readouterr().out
    assert table(tmp_path / "runs/smoke/quick").equals(first)


def test_an_invalid_cell_stands_and_still_fails_the_command(tmp_path, capfd):
    arguments = ("run", "--suite", faulty_suite(tmp_path, "nan"), *INLINE)
    assert [bench(*arguments), bench(*arguments)] == [4, 4]
    assert "every cell was measured already: 1 invalid" in capfd.readouterr().out
    assert faulty.marks_of(cache_folder(), "nan") == 1


@pytest.mark.parametrize(("model", "status"), [("raises_once", "failed"), ("memory_once", "oom")])
def test_what_failed_is_measured_again(tmp_path, run, model, status):
    arguments = ("run", "--suite", faulty_suite(tmp_path, "number", model), *INLINE)
    assert bench(*arguments) == 4
    assert sorted(table(run)["status"]) == sorted(["ok", status])
    assert bench(*arguments) == 0
    assert table(run)["status"].tolist() == ["ok", "ok"]
    assert faulty.marks_of(cache_folder(), model) == 2
    assert faulty.marks_of(cache_folder(), "number") == 1


@pytest.mark.parametrize("status", ["failed", "timeout", "crashed", "oom"])
def test_a_status_that_does_not_stand_is_measured_again(tmp_path, run, status):
    suite = faulty_suite(tmp_path, "number")
    report = execute(suite)
    ((_, kept),) = report.records.items()
    report.run.write_cell({**kept, "status": status, "reason": "why", "values": []}, {})
    again = execute(suite)
    assert (again.measured, again.statuses) == (1, {"ok": 1})
    assert_same(again.table, report.table)


@pytest.mark.parametrize("status", ["ok", "diverged", "skipped", "invalid"])
def test_a_status_that_stands_is_not_measured_again(tmp_path, run, status):
    suite = faulty_suite(tmp_path, "number")
    report = execute(suite)
    ((_, kept),) = report.records.items()
    report.run.write_cell({**kept, "status": status, "reason": "why"}, {})
    again = execute(suite)
    assert (again.measured, again.statuses) == (0, {status: 1})


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "foreign", "folder"])
def test_a_damaged_cell_is_measured_again_with_a_warning(tmp_path, run, capfd, damage):
    arguments = ("run", "--suite", faulty_suite(tmp_path, "number", seeds=3), *INLINE)
    assert bench(*arguments) == 0
    whole = table(run)
    victim, neighbour, _ = cell_files(run)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "folder":
        victim.unlink()
        victim.mkdir()
    else:
        damages = {"cut": content[:-20], "empty": b"", "flipped": content}
        victim.write_bytes(damages.get(damage, neighbour.read_bytes()))
    capfd.readouterr()
    code = bench(*arguments)
    out, err = capfd.readouterr()
    assert "can't be read" in err
    assert "it is measured again" in " ".join(err.split())
    assert code == (1 if damage == "folder" else 0)
    if damage != "folder":
        assert "1 of 3 cells measured now; in all: 3 ok" in out
        assert_same(table(run), whole)


def test_a_lost_table_is_written_again(tmp_path, run):
    arguments = ("run", "--suite", faulty_suite(tmp_path, "number"), *INLINE)
    assert bench(*arguments) == 0
    whole = table(run)
    (run / "table.parquet").unlink()
    (run / "table.csv").unlink()
    assert bench(*arguments) == 0
    assert table(run).equals(whole)
    assert (run / "table.csv").exists()


def test_a_lost_manifest_refuses_the_folder_and_names_it(tmp_path, run, capfd):
    arguments = ("run", "--suite", faulty_suite(tmp_path, "number"), *INLINE)
    assert bench(*arguments) == 0
    (run / "manifest.json").unlink()
    assert bench(*arguments) == 2
    assert "runs/faulty/quick" in capfd.readouterr().err
    assert len(cell_files(run)) == 1


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema_version": 1}'])
def test_a_damaged_manifest_names_fresh_which_keeps_the_old_run(tmp_path, run, capfd, content):
    arguments = ("run", "--suite", faulty_suite(tmp_path, "number"), *INLINE)
    assert bench(*arguments) == 0
    (run / "manifest.json").write_bytes(content)
    assert bench(*arguments) == 2
    assert "--fresh" in capfd.readouterr().err
    assert (run / "manifest.json").read_bytes() == content
    assert bench(*arguments, "--fresh") == 0
    (old,) = run.parent.glob("quick.old-*")
    assert (old / "manifest.json").read_bytes() == content
    assert len(cell_files(old)) == 1


def test_stale_partial_files_harm_nothing(tmp_path, run):
    suite = faulty_suite(tmp_path, "number", seeds=2)
    execute(suite, seeds=(0,))
    for folder in (run, cell_files(run)[0].parent, run / "cells"):
        (folder / ".x.json.1-1.tmp").write_bytes(b"half")
    (run / ".probe-1").touch()
    assert execute(suite).statuses == {"ok": 2}


def test_an_empty_folder_or_one_with_hidden_files_can_hold_a_run(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".lock").touch()
    (tmp_path / "new" / ".manifest.json.1-1.tmp").touch()
    assert execute(faulty_suite(tmp_path, "number"), out="new").statuses == {"ok": 1}


def test_a_finished_run_of_other_code_is_refused_and_left_alone(tmp_path, run, capfd):
    arguments = ("run", "--suite", faulty_suite(tmp_path, "number", "nan", seeds=2), *INLINE)
    assert bench(*arguments) == 4
    assert other_code(run) == 4
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    capfd.readouterr()
    assert bench(*arguments) == 2
    err = capfd.readouterr().err
    assert err.startswith(
        "Error: 4 of 4 finished cells in runs/faulty/quick were measured by other"
    )
    assert "--fresh" in err
    assert "--keep-old" in err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_keep_old_keeps_the_rows_of_other_code(tmp_path, run):
    suite = faulty_suite(tmp_path, "number", "trivial", seeds=2)
    execute(suite, seeds=(0,))
    old = table(run)
    other_code(run)
    report = execute(suite, keep_old=True)
    assert (report.measured, report.statuses) == (2, {"ok": 4})
    assert {record["code"] for record in report.records.values() if record["seed"] == 0} == {
        "0" * 64
    }
    assert_same(report.table[report.table["seed"] == 0], old)


def test_fresh_moves_the_old_run_aside_and_deletes_nothing(tmp_path, run, capfd):
    suite = faulty_suite(tmp_path, "number", "several", seeds=2)
    assert bench("run", "--suite", suite, *INLINE) == 0
    other_code(run)
    before = {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    whole = table(run)
    assert bench("run", "--suite", suite, *INLINE, "--fresh") == 0
    (old,) = run.parent.glob("quick.old-*")
    assert str(old.name) in capfd.readouterr().err
    after = {path.relative_to(old): path.read_bytes() for path in old.rglob("*") if path.is_file()}
    assert after == before
    assert_same(table(run), whole)
    assert bench("run", "--suite", suite, *INLINE, "--fresh") == 0
    assert len(list(run.parent.glob("quick.old-*"))) == 2


def test_fresh_without_an_earlier_run_is_a_run(tmp_path, run):
    assert bench("run", "--suite", faulty_suite(tmp_path, "number"), *INLINE, "--fresh") == 0
    assert [path.name for path in run.parent.iterdir()] == ["quick"]


def test_cells_of_other_code_that_do_not_stand_are_no_obstacle(tmp_path, run):
    suite = faulty_suite(tmp_path, "raises_once")
    execute(suite)
    other_code(run)
    assert execute(suite).statuses == {"ok": 1}


def test_more_seeds_widen_the_table_and_fewer_narrow_it(tmp_path, run):
    suite = faulty_suite(tmp_path, "number", "trivial")
    seen = []
    for seeds in ((0, 1), (1, 2, 3), (3,), (0, 1, 2, 3)):
        report = execute(suite, seeds=seeds)
        assert set(table(run)["seed"]) == set(seeds)
        assert len(table(run)) == report.planned == 2 * len(seeds)
        assert report.run.manifest()["seeds"] == list(seeds)
        seen.append(report.measured)
    assert seen == [4, 4, 0, 0]
    assert [faulty.marks_of(cache_folder(), "number", seed) for seed in range(4)] == [1] * 4


def test_only_and_grid_change_the_view_and_not_what_is_kept(tmp_path, run):
    suite = faulty_suite(tmp_path, "number", "trivial", seeds=2)
    views = [
        ({}, {"number", "trivial"}, 4),
        ({"only": [("model", "n*")]}, {"number"}, 0),
        ({"grid": [("model", ["trivial", "diverges"])]}, {"trivial", "diverges"}, 2),
        ({"grid": [("model", ["number"])], "set": {"seconds": 0.5}}, {"number"}, 2),
        ({}, {"number", "trivial"}, 0),
    ]
    for view, models, measured in views:
        report = execute(suite, **view)
        assert set(table(run)["model"]) == models
        assert report.measured == measured
        assert set(show(str(run))["model"]) == models
    assert len(cell_files(run)) == 8


def test_what_a_narrower_command_leaves_out_is_told_with_the_way_back(tmp_path, run, capfd):
    """By the run, by show in every format and by cite; gone when all is asked for again."""
    suite = faulty_suite(tmp_path, "number", "trivial", seeds=2)
    assert bench("run", "--suite", suite, *INLINE) == 0
    assert "more finished cells" not in capfd.readouterr().err
    assert bench("run", "--suite", suite, *INLINE, "--only", "model=n*") == 0
    commands = [
        ["cite", str(run)],
        *(["show", str(run), "--format", form] for form in ("table", "latex", "csv", "json")),
    ]
    said = [capfd.readouterr().err]
    for command in commands:
        assert bench(*command) == 0
        said.append(capfd.readouterr().err)
    for err in said:
        lines = [line for line in err.splitlines() if "more finished cells" in line]
        assert len(lines) == 1
        assert "2 more finished cells lie in " in lines[0]
        assert "runs/faulty/quick" in lines[0]
        assert "(other --only, --grid, --seeds or --set, the same --out)" in lines[0]
    assert bench("run", "--suite", suite, *INLINE) == 0
    assert len(table(run)) == 4
    assert bench("show", str(run)) == 0
    assert "more finished cells" not in capfd.readouterr().err


def test_a_run_whose_cells_are_all_skipped_is_exit_code_4(tmp_path, capfd):
    """With the reason; one cell that is measured is a run."""
    (tmp_path / "skipped.toml").write_text(SKIPPED)
    assert bench("run", "--suite", "skipped.toml", *INLINE) == 4
    err = capfd.readouterr().err
    assert "nothing was measured, every cell was skipped: model 'cgan' " in err
    more = ("--grid", "model=cgan,oracle")
    assert bench("run", "--suite", "skipped.toml", *INLINE, *more) == 0
    assert "nothing was measured" not in capfd.readouterr().err


SKIPPED = """
name = "skipped"
default_tier = "quick"
[tiers.quick]
seeds = 1
[[block]]
name = "one"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["cgan"]
settings = { samples = 200 }
metrics = ["high_quality"]
"""


def test_a_run_that_is_still_going_can_be_shown(tmp_path, run):
    suite = faulty_suite(tmp_path, "number", "raises", seeds=3)
    execute(suite)
    for path in cell_files(run)[::2]:
        path.unlink()
    (run / "table.csv").unlink()
    (run / "table.parquet").unlink()
    shown = show(str(run))
    assert shown["statuses"].str.contains("left").any()
    for form in ("table", "markdown", "csv", "latex", "json"):
        assert bench("show", str(run), "--format", form) == 0


def test_a_run_of_which_nothing_is_finished_can_be_shown(tmp_path, run):
    execute(faulty_suite(tmp_path, "number", seeds=2))
    for path in cell_files(run):
        path.unlink()
    assert show(str(run))["statuses"].tolist() == ["2 left"]
    assert bench("show", "faulty") == 0


@pytest.mark.usefixtures("undrawn")
def test_the_plan_says_what_is_measured_and_what_is_trained(tmp_path):
    suite = small_suite(tmp_path)
    execute(suite, seeds=(0, 1))
    planned = api.plan(suite, seeds=(0, 1, 2))
    assert planned["state"].tolist() == ["ok", "ok", "new"]
    assert (planned["minutes"] > 0).tolist() == [False, False, True]
    assert api.plan(suite, out="elsewhere", seeds=(0,))["state"].tolist() == ["trained"]
    assert not (tmp_path / "elsewhere").exists()


def test_the_plan_says_what_will_be_skipped_and_forecasts_nothing_for_it(tmp_path, capfd):
    suite = small_suite(tmp_path)
    planned = api.plan(suite, grid=[("model", ["cgan", "gan"])], seeds=1).set_index("model")
    assert planned["state"].to_dict() == {"cgan": "skipped", "gan": "new"}
    assert planned["minutes"]["cgan"] == 0 < planned["minutes"]["gan"]
    assert planned["reason"]["gan"] == ""
    assert bench("plan", "--suite", suite, "--grid", "model=cgan,gan", "--seeds", "1") == 0
    out = " ".join(capfd.readouterr().out.split())
    assert f"skipped: 1 of cgan: {planned['reason']['cgan']}" in out


@pytest.mark.usefixtures("undrawn")
def test_a_model_is_trained_once_for_all_runs(tmp_path):
    suite = small_suite(tmp_path)
    one = execute(suite, out="one")
    (model,) = cache_folder().rglob("*.safetensors")
    before = os.stat(model)
    other = execute(suite, out="other")
    assert os.stat(model) == before or os.stat(model).st_mtime_ns == before.st_mtime_ns
    assert_same(one.table, other.table)
    assert set(one.table["artifact_key"]) == {model.stem}


@pytest.mark.usefixtures("undrawn")
def test_a_damaged_model_is_trained_again_to_the_same_bits(tmp_path):
    suite = small_suite(tmp_path)
    one = execute(suite, out="one")
    (model,) = cache_folder().rglob("*.safetensors")
    os.truncate(model, 100)
    assert_same(execute(suite, out="other").table, one.table)


def test_damaged_samples_harm_nothing_but_their_picture(tmp_path):
    suite = small_suite(tmp_path)
    report = execute(suite, seeds=(0, 1))
    for length, path in zip((0, 40), sorted((report.run.path / "samples").iterdir()), strict=True):
        os.truncate(path, length)
    again = execute(suite, seeds=(0, 1, 2))
    assert (again.measured, again.statuses) == (1, {"ok": 3})


def test_a_run_under_one_device_is_not_the_others(tmp_path):
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        execute(faulty_suite(tmp_path, "number"), device="tpu")
    report = execute(faulty_suite(tmp_path, "number"), device="cpu")
    assert set(report.table["device"]) == {"cpu"}


def test_a_driver_whose_folder_was_taken_over_stops(tmp_path, monkeypatch):
    """It was silent for so long that another one goes on there."""
    monkeypatch.setattr("bench.core.leases.Lease.lost", property(lambda lease: True))
    with pytest.raises(StoreError, match="another bench took over"):
        execute(faulty_suite(tmp_path, "number"), out=str(tmp_path / "run"))
