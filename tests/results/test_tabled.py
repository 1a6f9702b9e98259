"""A table, or a baseline, as what is left of its run: the same means, intervals and rows."""

import pandas as pd
import pytest

from bench import api
from bench.catalogue.index import metric_facts
from bench.cli import main
from bench.core.errors import UsageError
from results.gate import baselines
from results.pages.page import page
from results.runs import open_run
from results.tabled import open_any, run_of_table

SUITE = """
name = "tabled"
default_tier = "quick"
[tiers.quick]
seeds = 3
[[block]]
name = "b"
task = "mixture"
grid.dataset = ["ring8@pacgan", "grid25@pacgan"]
grid.model = ["gan", "oracle"]
settings = { samples = 100, evaluations = 2 }
grid.steps = [4, 8]
metrics = ["high_quality", "modes_covered"]
primary = ["high_quality"]
"""
SAME = ["dataset", "model", "metric", "epsilon", "value", "low", "high", "n_seeds"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with a grid over steps."""
    folder = tmp_path_factory.mktemp("tabled")
    (folder / "tabled.toml").write_text(SUITE)
    return api.execute(str(folder / "tabled.toml"), out=str(folder / "run"))


def means(run):
    table = run.summary()
    shown = table[table["metric"].isin(["high_quality", "modes_covered"])]
    columns = [name for name in SAME if name in shown]
    return shown[columns].sort_values(columns[:4]).reset_index(drop=True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_has_the_means_of_its_run(made, suffix):
    """Rows that differ in a setting of the grid alone are told apart by it."""
    tabled = run_of_table(made.run.path / f"table{suffix}", metric_facts)
    ours, theirs = means(tabled), means(open_run(str(made.run.path)))
    assert len(ours) > 8
    pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, rtol=1e-9)
    assert {"gan / steps=4", "gan / steps=8"} <= set(ours["model"])


def test_a_baseline_has_roles_and_how_its_metrics_are_shown(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["baseline", "set", str(made.run.path), "--reason", "x", "--out", "b.csv"])
    assert left.value.code in (0, None)
    found = open_any("b.csv")
    assert found.manifest["parts"]["model"]["oracle"]["role"] == "ceiling"
    assert found.manifest["metrics"]["high_quality"]["percent"] is True
    assert found.manifest["environment"]["baseline_reason"] == "x"
    text = page([found])
    assert 'class="ceiling"' in text
    assert "tier quick" in text


@pytest.mark.parametrize("name", baselines.names())
def test_every_baseline_that_ships_is_a_page(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(page([open_any(name, metric_facts)])) > 10_000


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_is_shown_and_exported_as_its_run_is(made, suffix, tmp_path, monkeypatch):
    """To the last digit, in the columns that a table has."""
    monkeypatch.chdir(tmp_path)
    run, table = str(made.run.path), str(made.run.path / f"table{suffix}")
    shown = [
        api.show(name, metric=("high_quality", "modes_covered")).sort_values(SAME[:3])
        for name in (run, table)
    ]
    shown = [one[[name for name in SAME if name in one]] for one in shown]
    assert len(shown[0]) > 8
    pd.testing.assert_frame_equal(
        *(one.reset_index(drop=True) for one in shown), check_dtype=False, rtol=1e-9
    )
    rows = []
    for number, name in enumerate((run, table)):
        one = pd.read_csv(api.export(name, f"{number}.csv"))
        rows.append(one.sort_values(["series", "seed", "step"]).reset_index(drop=True))
    same = [name for name in rows[0] if name not in ("block", "label")]
    pd.testing.assert_frame_equal(*(one[same] for one in rows), rtol=1e-9)


def test_a_baseline_is_told_to_trackers_in_a_folder_of_its_own(tmp_path, monkeypatch):
    """And not beside itself, where packages lie; once."""
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    (where,) = found = api.log("mode-collapse-quick", "tensorboard")
    assert found[where] > 30
    assert (tmp_path / "runs" / "mode-collapse-quick" / "logs" / "tensorboard").is_dir()
    assert api.log("mode-collapse-quick", "tensorboard") == {where: 0}
    assert not baselines.find("mode-collapse-quick").with_suffix("").exists()


def test_a_run_comes_before_a_baseline(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "images-standard").mkdir(parents=True)
    (tmp_path / "runs" / "images-standard" / "quick").symlink_to(made.run.path)
    assert open_any("images-standard").manifest["suite"] == "tabled"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing.csv", "can't read"),
        ("nothing", r"no run 'nothing': .* a table's file \(.csv or .parquet\), or a baseline's"),
        ("bad.csv", "has no column"),
    ],
)
def test_what_is_no_table_is_said(name, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match=said):
        open_any(name)


def test_a_run_is_held_against_a_baseline(made, tmp_path, monkeypatch):
    """The page says what changed."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["baseline", "set", str(made.run.path), "--reason", "x", "--out", "b.csv"])
    table = pd.read_csv("b.csv", dtype=str, keep_default_na=False)
    other = (table["model"] == "oracle") & (table["metric"] == "high_quality")
    table.loc[other, "value"] = ["0.5", "0.51", "0.52"] * 2
    table.to_csv("b.csv", index=False)
    path = api.report("b.csv", str(made.run.path), output="page.html")
    text = path.read_text()
    assert "what changed" in text
    assert f"verdicts on {made.run.path}, held against b.csv" in text
