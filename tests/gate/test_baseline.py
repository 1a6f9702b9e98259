"""`bench baseline` and what comes of a baseline: set, shown, listed, compared, cut."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from harness import bench, cell_files, faulty_suite
from simulated import lost, plain, rows

from bench import api
from bench.gate.compare import calibration, comparison
from results.gate.baselines import ADDED
from results.gate.margins import margins
from results.ranks import shift
from results.rows import COLUMNS
from results.store import RunDirectory

RUN = "runs/smoke/quick"
NAME = "smoke-quick"
TRIALS = 100
ONLY = [("model", "one-gaussian"), ("model", "oracle"), ("dataset", "ring8@pacgan")]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A real run of two quick models, 4 seeds; and the first two of them again."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(tmp_path_factory.mktemp("trained")))
        patch.setattr("bench.run.run.draw", lambda *run: [])
        shared = {"only": ONLY, "set": {"samples": 200}}
        api.execute("smoke", seeds=4, out=str(folder / RUN), **shared)
        api.execute("smoke", seeds=2, out=str(folder / "few"), **shared)
    return folder


@pytest.fixture
def _here(measured, tmp_path, monkeypatch):
    """A project of its own with the runs, and no baseline."""
    shutil.copytree(measured, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def refused(capfd, *arguments):
    """The one line with which the command refuses."""
    capfd.readouterr()
    assert bench(*arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    return err


def set_it(capfd, *arguments, reason="a first one"):
    capfd.readouterr()
    assert bench("baseline", "set", *arguments, "--reason", reason) == 0
    return capfd.readouterr()


def rows_of(capfd, *arguments, code=0):
    """What a command prints as JSON."""
    capfd.readouterr()
    assert bench(*arguments, "--json") == code
    return json.loads(capfd.readouterr().out)


@pytest.mark.usefixtures("_here")
def test_a_baseline_of_a_run_passes_against_it(capfd, tmp_path):
    """By name, by file, by suite, by each table: all the same to the last bit."""
    out, _ = set_it(capfd, RUN)
    path = tmp_path / "results" / "baselines" / f"{NAME}.csv"
    assert str(path.relative_to(tmp_path)) in out
    every = [(NAME, new) for new in (RUN, "smoke", f"{RUN}/table.csv", f"{RUN}/table.parquet")]
    for base, new in [*every, (str(path), RUN)]:
        found = rows_of(capfd, "compare", base, new)
        series = [row for row in found if row["level"] == "series" and row["verdict"] != "NEW"]
        assert {(row["verdict"], row["kind"]) for row in series} == {("PASS", "identical")}
        assert found[0]["verdict"] == "PASS"
        assert any(row["primary"] for row in series)


@pytest.mark.usefixtures("_here")
def test_no_number_changes_on_its_way_into_a_baseline(capfd):
    """Text and back: every value, number of examples and radius to the last bit."""
    set_it(capfd, RUN, "--all-metrics", "--out", "all.csv")
    kept = pd.read_csv("all.csv", dtype=str, keep_default_na=False)
    assert list(kept.columns) == [*COLUMNS, *ADDED]
    run = pd.read_parquet(f"{RUN}/table.parquet")
    run = run[run["final"]]
    keys = ["series", "seed"]
    one, other = (t.sort_values(keys).reset_index(drop=True) for t in (kept, run))
    assert len(one) == len(other) > 100
    for name in ("series", "status", "key", "artifact_key", "dataset_fingerprint"):
        assert list(one[name]) == list(other[name])
    for name in ("seed", "value", "n"):
        assert [float(text) for text in one[name]] == list(other[name])
    assert set(kept["baseline_rows"]) == {str(len(kept))}


@pytest.mark.usefixtures("_here")
def test_a_baseline_says_why_and_what(capfd):
    """The reason to the letter, in the file, in the list and where it is shown."""
    reason = 'first, with "quotes" and, commas; ünïcode'
    set_it(capfd, RUN, reason=reason)
    table = pd.read_csv(f"results/baselines/{NAME}.csv")
    assert set(table["baseline_reason"]) == {reason}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", table["baseline_date"].iloc[0])
    (listed,) = [row for row in rows_of(capfd, "baseline", "list") if row["name"] == NAME]
    assert listed["reason"] == reason
    assert (listed["suite"], listed["tier"]) == ("smoke", "quick")
    assert (listed["seeds"], listed["cells"]) == (4, 8)
    assert listed["deciding"] > 0
    assert bench("baseline", "list") == 0
    assert NAME in capfd.readouterr().out
    assert bench("baseline", "show", NAME) == 0
    assert reason in capfd.readouterr().out


@pytest.mark.usefixtures("_here")
def test_each_series_of_a_baseline_is_shown(capfd):
    """With the numbers of the run."""
    set_it(capfd, RUN)
    shown = rows_of(capfd, "baseline", "show", NAME)
    run = pd.read_parquet(f"{RUN}/table.parquet")
    for row in shown:
        values = run["value"][run["final"] & (run["series"] == row["series"])]
        assert row["seeds"] == len(values) == 4
        assert row["mean"] == pytest.approx(values.mean())
        assert (row["low"], row["high"]) == (values.min(), values.max())
        assert row["std"] == pytest.approx(values.std())
        assert row["margin"] >= 0
    assert {row["metric"] for row in shown if row["primary"]} == {
        "high_quality",
        "reverse_kl_modes",
    }


@pytest.mark.usefixtures("_here")
def test_a_baseline_keeps_what_its_suite_shows(capfd):
    """And everything where it is asked to."""
    set_it(capfd, RUN)
    set_it(capfd, RUN, "--all-metrics", "--out", "deep/er/all.csv")
    few, every = (
        set(pd.read_csv(path)["metric"])
        for path in (f"results/baselines/{NAME}.csv", "deep/er/all.csv")
    )
    assert few < every
    assert {"high_quality", "reverse_kl_modes", "modes_covered"} <= few
    assert "log_likelihood" in every - few


@pytest.mark.usefixtures("_here")
def test_setting_it_again_replaces_it(capfd):
    set_it(capfd, RUN, reason="first")
    set_it(capfd, "smoke", reason="second")
    assert set(pd.read_csv(f"results/baselines/{NAME}.csv")["baseline_reason"]) == {"second"}


@pytest.mark.usefixtures("_here")
def test_the_project_comes_before_what_ships(capfd):
    """A baseline of the same name as one of ours."""
    set_it(capfd, RUN, "--out", "results/baselines/smoke-gate.csv", reason="our own")
    listed = [row for row in rows_of(capfd, "baseline", "list") if row["name"] == "smoke-gate"]
    assert [row["reason"] for row in listed] == ["our own"]
    assert bench("compare", "smoke-gate", RUN) == 0


@pytest.mark.usefixtures("_here")
def test_without_a_reason_there_is_no_baseline(capfd, tmp_path):
    for reason in ("", "  ", "\n"):
        assert "--reason" in refused(capfd, "baseline", "set", RUN, "--reason", reason)
    assert "--reason" in refused(capfd, "baseline", "set", RUN)
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("_here")
def test_what_can_not_be_a_baseline_is_refused(capfd, tmp_path):
    why = ("--reason", "x")
    assert ".csv" in refused(capfd, "baseline", "set", RUN, *why, "--out", "b.txt")
    assert "no run" in refused(capfd, "baseline", "set", "nope", *why)
    assert "no run" in refused(capfd, "baseline", "set", str(tmp_path), *why)
    assert "no baseline 'nope'" in refused(capfd, "baseline", "show", "nope")


@pytest.mark.usefixtures("_here")
def test_a_run_with_a_gap_is_no_baseline_and_no_pass(capfd, tmp_path):
    """A cell's file is gone, or damaged: it is not measured."""
    set_it(capfd, RUN)
    gone = cell_files(tmp_path / RUN)[0]
    content = gone.read_bytes()
    for change in (lambda: gone.write_bytes(content[: len(content) // 2]), gone.unlink):
        change()
        line = refused(capfd, "baseline", "set", RUN, "--reason", "x")
        assert re.search("1 of 8 cells.*not measured.*no gaps", line)
        found = rows_of(capfd, "compare", NAME, RUN, "--on-inconclusive", "pass", code=5)
        (cell,) = [row for row in found if row["level"] == "cell"]
        assert cell["verdict"] == "INCOMPARABLE"
        assert cell["reason"]


@pytest.mark.usefixtures("_here")
def test_a_run_that_has_just_begun_never_passes(capfd, tmp_path):
    """A manifest and nothing measured, on either side."""
    set_it(capfd, RUN)
    shutil.copytree(RUN, "begun")
    for path in cell_files(tmp_path / "begun"):
        path.unlink()
    assert bench("compare", NAME, "begun", "--on-inconclusive", "pass") == 5
    assert bench("compare", "begun", RUN, "--on-inconclusive", "pass") == 5


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"schema_version": 1'])
def test_a_damaged_manifest_is_refused(content, capfd, tmp_path):
    (tmp_path / RUN / "manifest.json").write_text(content)
    assert "manifest.json" in refused(capfd, "compare", "few", RUN)
    assert "manifest.json" in refused(capfd, "compare", RUN, "few")


@pytest.mark.usefixtures("_here")
def test_a_manifest_of_a_newer_schema_is_refused(capfd, tmp_path):
    path = tmp_path / RUN / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    assert "newer" in refused(capfd, "compare", "few", RUN)


@pytest.mark.usefixtures("_here")
def test_one_line_less_is_found_out(capfd, tmp_path):
    """Wherever it is read: compared, shown, listed, calibrated."""
    set_it(capfd, RUN)
    path = tmp_path / "results" / "baselines" / f"{NAME}.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:5] + lines[6:]))
    count = len(lines) - 1
    for command in (
        ("compare", NAME, RUN),
        ("baseline", "show", NAME),
        ("baseline", "list"),
        ("calibrate", NAME),
    ):
        line = refused(capfd, *command)
        assert f"{count - 1} of {count} rows" in line
        assert NAME in line


@pytest.mark.usefixtures("_here")
def test_fewer_seeds_pass_and_other_settings_do_not(capfd, monkeypatch):
    set_it(capfd, RUN)
    assert bench("compare", NAME, "few") == 0
    api.execute("smoke", seeds=2, only=ONLY, set={"samples": 100}, out="other")
    assert bench("compare", NAME, "other", "--on-inconclusive", "pass") == 5
    found = comparison(NAME, "other").rows
    assert found["reason"].str.contains("other settings: samples=200, now samples=100").any()
    narrow = [*ONLY[1:]]
    api.execute("smoke", seeds=2, only=narrow, set={"samples": 200}, out="narrow")
    assert bench("compare", NAME, "narrow") == 5
    assert bench("compare", NAME, "narrow", "--only", "model=oracle") == 0


@pytest.mark.usefixtures("_here")
def test_few_seeds_are_warned_of(capfd):
    """Four can hardly show anything against two."""
    assert re.search(r"warning: 4 seeds are few.*0\.067", set_it(capfd, RUN).err)


@pytest.mark.usefixtures("_here")
def test_a_probe_tells_what_is_deterministic(capfd, monkeypatch, tmp_path):
    """Measured twice, a number that differs is not; without a probe nothing is."""
    manifest = tmp_path / RUN / "manifest.json"
    text = json.loads(manifest.read_text())
    for facts in text["metrics"].values():
        facts["kind"] = "deterministic"
    manifest.write_text(json.dumps(text))
    set_it(capfd, RUN)
    probed = pd.read_csv(f"results/baselines/{NAME}.csv")
    directed = probed["direction"] != "none"
    assert probed["probed"][directed].all()
    set_it(capfd, RUN, "--no-probe")
    assert not pd.read_csv(f"results/baselines/{NAME}.csv")["probed"].any()
    table = pd.read_parquet(f"{RUN}/table.parquet")
    seed = int(table["seed"].min())
    monkeypatch.setattr("bench.gate.probe._measure", lambda manifest, row, folder: {"values": []})
    set_it(capfd, RUN)
    assert seed == 0
    assert not pd.read_csv(f"results/baselines/{NAME}.csv")["probed"].any()


# Suites whose cells fail


def test_a_cell_that_failed_in_a_run_never_passes(capfd, tmp_path, monkeypatch):
    """Exit code 4 with its reason; and no baseline comes of it. A diverged one is an outcome."""
    monkeypatch.chdir(tmp_path)
    good = faulty_suite(tmp_path, "trivial", "raises_once", "diverges", seeds=2)
    api.execute(good, out="run")
    assert "not measured" in refused(capfd, "baseline", "set", "run", "--reason", "x")
    assert bench("compare", "run", "run", "--on-inconclusive", "pass") == 4
    out = capfd.readouterr().out
    assert "the sky fell down" in out
    assert out.splitlines()[-1].startswith("FAILED: ")
    api.execute(good, out="run")
    captured = set_it(capfd, "run")
    assert "no primary metric" in captured.err
    assert Counter(pd.read_csv("results/baselines/faulty-quick.csv")["status"])["diverged"] == 2


# Calibration


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Writes tables where the test is."""
    monkeypatch.chdir(tmp_path)

    def write(table, name="t.csv"):
        table.to_csv(name, index=False)
        return name

    return write


@pytest.fixture
def _unjudged(monkeypatch):
    """The gate is not asked: margins of series do not need its verdicts."""
    passed = SimpleNamespace(verdict="PASS")
    monkeypatch.setattr("results.gate.calibration.compare_sides", lambda *sides: passed)


def test_a_calibration_counts_every_split(capfd, tables, monkeypatch):
    """Of 6 seeds 20; nothing red where nothing changed, and a loss of 30 % seen."""
    monkeypatch.setattr("results.gate.calibration.SPOILT", 1)
    (found,) = calibration(tables(plain(6, 3)))
    assert (found.splits, found.every, found.old, found.new) == (20, True, 3, 3)
    assert sum(found.verdicts.values()) == 20
    assert found.verdicts.get("REGRESSED", 0) <= 1
    assert found.seen[0.3] == found.seen[1.0] == 1.0
    assert found.seen[0.02] < 1
    assert list(found.series["model"]) == ["model0", "model1", "model2"]


@pytest.mark.usefixtures("_unjudged")
def test_the_splits_can_be_chosen(capfd, tables):
    """The new seeds, and how many ways."""
    tables(plain(8, 3))
    for row in rows_of(capfd, "calibrate", "t.csv", "--new", "3", "--splits", "10"):
        assert (row["seeds_before"], row["seeds_after"], row["splits"]) == (5, 3, 10)
    assert bench("calibrate", "t.csv", "--splits", "12") == 0
    assert "4 seeds against 4, nothing changed" in capfd.readouterr().out


def margins_hold(name):
    """What a written policy makes of each series: no margin is narrower than it was."""
    before = calibration(name, write_policy="p.toml")[0].series
    after = calibration(name, policy="p.toml")[0].series
    assert (after["margin"] >= before["margin"] * (1 - 1e-9)).all()
    assert comparison(name, name, policy="p.toml").notes == ()
    return after


@pytest.mark.usefixtures("_unjudged")
def test_the_margins_that_are_written_let_unchanged_seeds_pass(tables):
    """At every radius of a metric too: the widest margin must win, not the last."""
    rng = np.random.default_rng(0)
    parts = [rows(1 + 0.3 * rng.normal(size=(6, 3)))]
    for radius, spread in ((0.1, 0.5), (0.2, 0.001)):
        part = rows(1 + spread * rng.normal(size=(6, 1)), epsilon=radius, metric="error")
        parts.append(part.assign(series=part["series"].str.replace("score", "error")))
    name = tables(pd.concat(parts))
    assert (calibration(name)[0].series["passes"] < 0.9).sum() > 2
    assert (margins_hold(name)["passes"] >= 0.94).all()


@pytest.mark.usefixtures("_unjudged")
def test_no_margin_is_written_where_seeds_are_too_few(capfd, tables, tmp_path):
    """Two against two: every margin would have to be infinite."""
    err = refused(capfd, "calibrate", tables(plain(4, 2)), "--write-policy", "p.toml")
    assert "2 seeds against 2 bound no loss: 3 on each side are the fewest that can" in err
    assert not (tmp_path / "p.toml").exists()


@pytest.mark.usefixtures("_unjudged")
def test_a_written_policy_can_be_read_whatever_the_names(tables):
    """Each name gets the margin of its own series, and of no other."""
    names = ['a"b', "a\\b", "[x]", "*", "a b = 1", "a:b", "?", "äöü", "#"]
    table = plain(6, len(names))
    for i, name in enumerate(names):
        own = table["model"] == f"model{i}"
        table.loc[own, "value"] = 1 + 0.1 * (i + 1) * (table["value"][own] - 1) / 0.01
        table.loc[own, "model"] = name
    found = calibration(tables(table))[0].series.set_index("model")
    after = margins_hold("t.csv").set_index("model")
    wanted = np.maximum(found["margin"], found["margin_that_passes"])
    assert (after["margin"] >= wanted * (1 - 1e-9)).all()
    assert (after["margin"] <= wanted * 1.2).all()


@pytest.mark.usefixtures("_unjudged")
def test_a_calibration_with_diverged_seeds_says_nothing_else(capfd, tables):
    """One of six, five of six: no warning of NumPy's on standard error."""
    table = plain(6, 3)
    few = (table["model"] == "model0") & (table["seed"] < 1)
    most = (table["model"] == "model1") & (table["seed"] < 5)
    capfd.readouterr()
    name = tables(lost(table, few | most, "diverged"))
    assert bench("calibrate", name, "--write-policy", "p.toml") == 0
    assert capfd.readouterr().err == "".join(
        f"warning: no margin for {model} · d score ↓: seeds diverge, and no margin allows for "
        "that: train more stably\n"
        for model in ("model0", "model1")
    )
    assert comparison(name, name, policy="p.toml").exit_code == 0


def test_a_baseline_without_a_deciding_series_is_shown(capfd, tables):
    tables(plain(5, 2, primary=False), "none.csv")
    assert bench("baseline", "show", "none.csv") == 0
    assert "0 deciding series of 2" in capfd.readouterr().out


# Series that can't fall

SHARE = {"metric": "high_quality", "direction": "higher", "absolute": 0.02, "worst": 0.0}


def shares(middle, spread, seeds=6, worst=0.0, **changes):
    """A share of samples over seeds, in steps of the spread about its middle."""
    steps = np.arange(seeds) - (seeds - 1) / 2
    table = rows((middle + spread * steps)[:, None], **{**SHARE, "worst": worst, **changes})
    table["series"] = table["series"].str.replace("score", "high_quality")
    return table.assign(relative=0.0, percent=True, digits=1, title="high quality")


@pytest.mark.parametrize(
    ("middle", "changes", "stuck"),
    [
        (0.008, {}, True),
        (0.02, {}, True),
        (0.03, {}, False),
        (0.9, {}, False),
        (0.99, {"direction": "lower", "worst": 1.0}, True),
        (0.9, {"direction": "lower", "worst": 1.0}, False),
        (0.008, {"worst": np.nan}, False),
        (0.008, {"role": "floor"}, False),
        (0.008, {"primary": False}, False),
    ],
)
def test_a_series_that_can_not_get_worse_by_its_margin_is_told(tables, middle, changes, stuck):
    """0.8 % high quality with a margin of 2 %: whatever breaks, it passes."""
    one = shares(middle, 0.0005, **changes)
    other = plain(6, 1, model="another")
    name = tables(pd.concat([one, other]))
    said = [note for note in comparison(name, name).notes if "can't get worse" in note]
    assert len(said) == stuck
    if stuck:
        assert "1 of 2 deciding series can't get worse by more than the margin" in said[0]
        assert f"model0 · d high quality % {'↓' if 'direction' in changes else '↑'}" in said[0]


def test_a_narrower_margin_of_a_policy_lets_it_fall(tables, tmp_path):
    (tmp_path / "p.toml").write_text('[[margin]]\nmetric = "high_quality"\nabsolute = 0.004\n')
    name = tables(shares(0.008, 0.0005))
    assert "no deciding series can get worse" in comparison(name, name).notes[0]
    assert comparison(name, name, policy="p.toml").notes == ()


@pytest.mark.usefixtures("_here")
def test_setting_a_baseline_warns_of_them(capfd):
    """An oracle that hits the modes with 0.8 % of its samples can't be worse by 2 %."""
    assert "can't get worse" not in set_it(capfd, RUN).err
    for path in cell_files(Path(RUN)):
        record = json.loads(path.read_text())["cell"]
        for value in record["values"]:
            if record["model"] == "oracle" and value["metric"] == "high_quality":
                value["value"] = 0.008
        RunDirectory(Path(RUN)).write_cell(record, {})
    _, err = set_it(capfd, RUN)
    assert "can't get worse by more than the margin" in err
    said = "median 0.8, worst possible 0.0, margin 2.0"
    assert f"oracle · ring8@pacgan high quality % ↑ ({said})" in err
    kept = pd.read_csv(f"results/baselines/{NAME}.csv", keep_default_na=False)
    worst = kept.drop_duplicates("metric").set_index("metric")["worst"].astype(str)
    assert worst["high_quality"] == "0.0"
    assert worst["reverse_kl_modes"] == ""


@pytest.mark.usefixtures("_unjudged")
def test_a_margin_that_gates_nothing_is_refused(capfd, tables, tmp_path):
    """Shares of .1 to .9: the margin that passes is wider than half of what can be lost; the other
    series is written, with what the first would need.
    """
    wild = shares(0.5, 0.15, seeds=6)
    calm = shares(0.5, 0.01, seeds=6, model="calm")
    name = tables(pd.concat([wild, calm.assign(series="s", cell_id="c")]))
    capfd.readouterr()
    assert bench("calibrate", name, "--write-policy", "p.toml") == 0
    err = capfd.readouterr().err
    assert err.startswith("warning: no margin for model0 · d high quality % ↑: ")
    assert "gates nothing: from the median of 50.0 it can lose 50.0; about " in err
    assert "or more training steps, until seeds differ by " in err
    text = (tmp_path / "p.toml").read_text()
    assert text.count("[[margin]]") == 1
    assert '"calm"' in text
    assert "# refused: model0" in text
    assert "every margin" not in refused(
        capfd, "calibrate", tables(wild), "--write-policy", "q.toml"
    )
    assert not (tmp_path / "q.toml").exists()


def test_the_seeds_that_a_refusal_names_would_do(tables):
    """Normal shares with that spread: with so many seeds unchanged ones pass nearly always."""
    found = calibrated(0.5, 0.5, 6, tables)
    (why,) = found.refused
    count = int(re.search(r"about (\d+) seeds on each side would do \(now 3 and 3\)", why)[1])
    spread = float(re.search(r"\(now ([\d.]+)\)", why)[1]) / 100
    limit = float(re.search(r"it can lose ([\d.]+)", why)[1]) / 200
    rng, passed = np.random.default_rng(1), 0
    for _ in range(TRIALS):
        old, new = rng.normal(0.5, spread, (2, count, 1))
        passed += shift(-old, -new, 0.05).high[0] <= limit
    assert passed / TRIALS > 0.9, (why, count, spread, limit)
    steady = float(re.search(r"differ by ([\d.]+)", why)[1]) / 100
    assert steady < spread


def calibrated(middle, spread, seeds, tables):
    """The margins of normal shares."""
    values = np.random.default_rng(0).normal(middle, spread, seeds)
    table = shares(middle, 0.0, seeds).assign(value=np.sort(values))
    return margins(calibration(tables(table)))
