"""The verbs: quick where they promise it, rows for machines, text for people."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys

import pandas as pd
import pytest
from harness import BENCH, bench, environ, small_suite, table

from bench import api
from bench.cli import VERBS
from bench.commands.list import KINDS
from results.rows import COLUMNS
from results.summary import COLUMNS as SUMMARY
from results.tables import as_json

HEAVY = ("torch", "pandas", "pydantic", "numpy", "sklearn", "matplotlib")


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    extra = (
        '[[mixture]]\nname = "a_b"\ncentres = [[0.0, 1.0], [9.0, 1.0]]\ncovariances = [1.0, 1.0]\n'
    )
    extra += "[tiers.other]\nseeds = 1\n"
    return small_suite(
        tmp_path_factory.mktemp("suite"),
        '["gan"]',
        '["gan", "oracle", "one-gaussian"]',
        extra=extra,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, suite):
    """A folder in which a small suite was run."""
    folder = tmp_path_factory.mktemp("folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        patch.setattr("bench.run.run.draw", lambda *run: [])
        api.run(suite, seeds=(0, 1), grid=[("dataset", ["ring8@pacgan", "a_b"])])
    return folder


@pytest.fixture(autouse=True)
def _there(folder, monkeypatch):
    monkeypatch.setenv("MINIMAX_CACHE", str(folder / "cache"))
    monkeypatch.chdir(folder)


def out(capfd, *arguments: str) -> str:
    """What a command that succeeds prints; nothing on stderr."""
    capfd.readouterr()
    assert bench(*arguments) == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    return captured.out


def least_seconds(*arguments: str) -> float:
    """The least of two runs, after one to warm up; seconds of a processor, of which a busy machine
    takes no more.
    """
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([BENCH, *arguments], check=True, capture_output=True, env=environ())
        after = os.times()
        seconds.append(after.children_user - before.children_user)
        seconds[-1] += after.children_system - before.children_system
    return min(seconds[1:])


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        (["--help"], 0.3),
        (["list", "suites"], 0.5),
    ],
)
def test_what_needs_no_work_is_quick(arguments, limit):
    assert least_seconds(*arguments) < limit


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["list"], ["list", "suites"], *([verb, "--help"] for verb in VERBS),
     ["rnu"], ["list", "modles"]],
    ids=" ".join,
)  # fmt: skip
def test_what_needs_no_work_imports_nothing_heavy(arguments):
    code = (
        "import sys\nfrom bench.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ()
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_planning_imports_nothing_that_only_a_cell_needs(suite):
    code = (
        f"import sys\nfrom bench.api import plan_of\nplan_of({suite!r})\n"
        "print([name for name in ('sklearn', 'matplotlib', 'foolbox') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ()
    )
    assert done.stdout.strip() == "[]"


def test_help_names_every_verb(capfd):
    text = out(capfd, "--help")
    assert all(f"  {verb} " in text for verb in VERBS)
    for verb in VERBS:
        assert out(capfd, verb, "--help").startswith(f"Usage: bench {verb}")


def test_version(capfd):
    from importlib.metadata import version

    assert out(capfd, "--version") == f"bench {version('minimax-bench')}\n"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "published"])
def test_lists_as_text_and_rows(capfd, kind):
    rows = json.loads(out(capfd, "list", kind, "--json"))
    assert rows
    assert len({row["name"] for row in rows}) == len(rows)
    text = out(capfd, "list", kind)
    assert all(row["name"] in text for row in rows)
    assert "\\[" not in text
    assert [row["name"] for row in rows] == api.list(kind)["name"].tolist()


def test_protocols_say_where_they_differ_from_their_papers(capfd):
    rows = {row["name"]: row for row in json.loads(out(capfd, "list", "protocols", "--json"))}
    assert "width 24 for 64" in rows["small-pix2pix"]["deviations"]


def test_every_part_that_is_listed_with_a_paper_can_be_cited(capfd):
    for kind in set(KINDS) - {"suites", "published", "zoo"}:
        for row in json.loads(out(capfd, "list", kind, "--json")):
            text = out(capfd, "cite", row["name"])
            assert ("@" in text) or not row["paper"], row["name"]


def test_cite_gives_the_papers_of_every_kind_that_has_the_name(capfd):
    """A loss and a classifier are called softmax; a loss and a model fgan-kl, of one paper."""
    text = out(capfd, "cite", "softmax")
    assert text.count("@") == 2
    assert "1704.06191" in text
    assert "1412.6572" in text
    assert out(capfd, "cite", "fgan-kl").count("@") == 1


def test_cite_gives_each_entry_of_a_run_once(capfd):
    text = out(capfd, "cite", "runs/small/quick")
    entries = [line for line in text.splitlines() if line.startswith("@")]
    assert len(entries) == len(set(entries)) > 1
    assert "1406.2661" in text
    assert text == out(capfd, "cite", "small")


def test_env_names_versions_and_folders(capfd, folder):
    rows = json.loads(out(capfd, "env", "--json"))
    found = {row["name"]: row["value"] for row in rows}
    assert {"python", "torch", "numpy", "cuda", "cache", "commit"} <= set(found)
    assert found["cache"] == str(folder / "cache")
    assert "torch" in out(capfd, "env")


def test_the_plan_as_rows_holds_every_cell_with_its_settings(capfd, suite):
    rows = json.loads(out(capfd, "plan", "--suite", suite, "--seeds", "3", "--json"))
    assert len(rows) == 9
    assert {row["seed"] for row in rows} == {0, 1, 2}
    assert len({row["key"] for row in rows}) == 9
    (gan, *_) = [row for row in rows if row["model"] == "gan"]
    assert {"steps": 20, "samples": 500, "protocol": "plane"}.items() <= gan["settings"].items()
    assert [row["state"] for row in rows if row["seed"] == 2] == ["new"] * 3
    assert [row["state"] for row in rows if row["seed"] == 0] == ["ok"] * 3
    assert "9 cells" in out(capfd, "plan", "--suite", suite, "--seeds", "3")


def test_planning_writes_nothing(capfd, suite, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out(capfd, "plan", "--suite", suite)
    assert list(tmp_path.iterdir()) == []


def test_show_as_rows(capfd):
    rows = json.loads(out(capfd, "show", "small", "--format", "json"))
    assert len(rows) == 6
    assert all(set(row) == set(SUMMARY) for row in rows)
    (row,) = [r for r in rows if (r["dataset"], r["model"]) == ("ring8@pacgan", "oracle")]
    measured = table(api.records_of("small")[0].path)
    mine = measured[
        (measured["dataset"] == "ring8@pacgan")
        & (measured["model"] == "oracle")
        & measured["final"]
    ]
    values = mine.loc[mine["metric"] == "high_quality", "value"]
    assert row["value"] == pytest.approx(values.mean(), rel=1e-12)
    assert row["low"] <= row["value"] <= row["high"]
    assert row["seeds"] == 2


def test_show_in_every_format_shows_every_model(capfd):
    for form in ("table", "markdown", "csv", "latex", "json"):
        text = out(capfd, "show", "runs/small/quick", "--format", form)
        assert all(model in text for model in ("gan", "oracle", "one-gaussian")), form
    rows = list(csv.DictReader(io.StringIO(out(capfd, "show", "small", "--format", "csv"))))
    assert len(rows) == 6
    assert list(rows[0]) == list(SUMMARY)
    latex = out(capfd, "show", "small", "--format", "latex")
    assert r"a\_b" in latex
    assert "a_b" not in latex
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") == 2
    for row in out(capfd, "show", "small", "--format", "markdown").splitlines():
        if row.startswith("| ") and "gan" in row:
            assert row.count("|") == 4


def test_show_and_the_run_print_the_same_tables(capfd, suite):
    grid = ("--grid", "dataset=ring8@pacgan,a_b", "--executor", "inline")
    again = out(capfd, "run", "--suite", suite, "--seeds", "2", *grid)
    assert "every cell was measured already: 12 ok" in again
    shown = out(capfd, "show", "small").splitlines()
    assert len(shown) > 10
    assert set(shown) <= set(again.splitlines())


def test_the_latest_tier_is_shown_for_a_suites_name(suite, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for tier, model in (("quick", "oracle"), ("other", "one-gaussian"), ("quick", "oracle")):
        api.run(suite, tier=tier, only=[("model", model)])
        assert set(api.show("small")["model"]) == {model}


def test_the_run_names_its_files(capfd, suite, tmp_path):
    capfd.readouterr()
    assert bench("run", "--suite", suite, "--out", str(tmp_path / "it"), "--only",
                 "model=oracle", "--executor", "inline") == 0  # fmt: skip
    text, told = capfd.readouterr()
    assert told.startswith("1 of 1: ok mixture/ring8@pacgan/oracle")
    for name in ("table.csv", "table.parquet", "manifest.json"):
        assert (tmp_path / "it" / name).exists()
    assert str(tmp_path / "it" / "table.csv") in text
    assert f"again: bench show {tmp_path / 'it'}" in text


def test_the_table_has_the_columns_of_the_contract(folder):
    measured = table(folder / "runs/small/quick")
    assert list(measured.columns) == list(COLUMNS)
    text = pd.read_csv(folder / "runs/small/quick/table.csv")
    assert list(text.columns) == list(COLUMNS)
    assert len(text) == len(measured)
    assert text["value"].equals(measured["value"].astype(float))
    for name in ("settings", "versions"):
        assert all(isinstance(json.loads(entry), dict) for entry in measured[name])
    assert measured["status"].eq("ok").all()
    assert measured["artifact_key"].str.fullmatch("[0-9a-f]{64}").all()
    final = measured[measured["final"]]
    assert final.groupby(["cell_id", "seed"])["metric"].apply(lambda names: names.is_unique).all()
    assert set(measured["direction"]) <= {"higher", "lower", "none"}
    assert (measured["series"] == "small/" + measured["cell_id"] + "/" + measured["metric"] + "@"
            + measured["metric_version"].astype(str)).all()  # fmt: skip


def test_clean_empties_the_cache_and_nothing_else(capfd, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path))
    (tmp_path / "mine.txt").write_text("")
    assert "nothing to empty" in out(capfd, "clean", "--yes")
    api.run("smoke", only=[("model", "one-gaussian")], seeds=(0,), out=str(tmp_path / "run"))
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert bench("clean") == 0
    assert "nothing was deleted" in capfd.readouterr().out
    assert api.cache_contents()["artifacts"].tolist() == [1]
    assert "emptied" in out(capfd, "clean", "--yes")
    assert api.cache_contents().empty
    assert (tmp_path / "mine.txt").exists()
    assert (tmp_path / "run" / "table.csv").exists()


def test_rows_keep_every_number():
    numbers = [0.1 + 0.2, 1e-17, 1.7e-300, -1e300, 2 / 3, 0.0, None]
    rows = json.loads(as_json(pd.DataFrame({"value": numbers})))
    assert [row["value"] for row in rows] == numbers
    assert json.loads(as_json(pd.DataFrame({"value": []}))) == []


def test_rows_go_to_stdout_and_progress_to_stderr(capfd, suite, tmp_path):
    text = out(capfd, "plan", "--suite", suite, "--json")
    assert isinstance(json.loads(text), list)
