"""A sweep of two settings and four models from end to end: resumed, shown, gated, drawn."""

from __future__ import annotations

import json

import pytest
from harness import bench, cell_files, small_suite, table

from bench.run.run import Watcher, execute

GRID = 'grid.model = ["gan"]'
SWEEP = """grid.model = ["nsgan", "rsgan", "vae", "oracle"]
grid.critic_lr = [0.0001, 0.001, 0.01]
grid.batch = [16, 32, 64]"""
SEEDS = 1
CELLS = SEEDS * (2 * 9 + 3 + 1)


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """Four models over three rates and three batches, a few steps each; of its pictures that of
    the sweep alone.
    """
    monkeypatch.chdir(tmp_path)
    for other in ("_curves", "_sheet"):
        monkeypatch.setattr(f"results.pictures.run.{other}", lambda *told: None)
    text = small_suite(tmp_path, GRID, SWEEP)
    path = tmp_path / "small.toml"
    short = path.read_text().replace("steps = 20, samples = 500", "steps = 2, samples = 100")
    path.write_text(short.replace('metrics = ["high_quality"]', METRICS))
    return text


METRICS = 'metrics = ["high_quality", "modes_raw"]\nprimary = ["high_quality"]'


def _until(count):
    """A watcher that interrupts a run after some cells."""
    done = []

    def step(cell, outcome):
        done.append(outcome.key)
        if len(done) == count:
            raise KeyboardInterrupt

    return Watcher(step=step)


def test_a_sweep_is_a_grid_like_any_other(suite, tmp_path, capsys):
    run = tmp_path / "run"
    first = execute(suite, out=str(run), seeds=SEEDS, watcher=_until(7))
    assert first.interrupted
    assert len(cell_files(run)) == 7
    rest = execute(suite, out=str(run), seeds=SEEDS)
    assert (rest.measured, rest.planned, rest.statuses) == (CELLS - 7, CELLS, {"ok": CELLS})
    assert execute(suite, out=str(run), seeds=SEEDS).measured == 0
    assert table(run)["key"].nunique() == CELLS
    assert (run / "pictures" / "along-critic_lr-batch-ring8_pacgan.png").stat().st_size > 10_000
    _is_shown(run, capsys)
    _is_gated(run, suite, capsys)


def _is_shown(run, capsys):
    asked = ("--along", "critic_lr", "--along", "batch", "--format")
    capsys.readouterr()
    assert bench("show", str(run), *asked, "json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == CELLS // SEEDS
    assert all(row["critic_lr"] == row["settings"].get("critic_lr") for row in rows)
    written = dict.fromkeys(("table", "markdown", "latex", "csv"), "")
    for form in written:
        assert bench("show", str(run), *asked, form) == 0
        written[form] = capsys.readouterr().out
    assert written["markdown"].count("high quality % ↑ along critic_lr and batch") == 4
    assert all("0.0001" in text for text in written.values())
    assert bench("show", str(run), "--along", "critic_rl") == 2
    assert "did you mean 'critic_lr'" in capsys.readouterr().err


def _is_gated(run, suite, capsys):
    """Against itself it passes; to a baseline without the sweep its other rows are new."""
    assert bench("baseline", "set", str(run), "--reason", "a sweep", "--no-probe") == 0
    assert bench("compare", "small-quick", str(run), "--json") == 0
    capsys.readouterr()
    plain = ("--grid", "critic_lr=0.001", "--grid", "batch=32", "--only", "model=nsgan")
    executed = ("--executor", "inline", "--seeds", str(SEEDS), "--out", "plain")
    assert bench("run", "--suite", suite, *plain, *executed) == 0
    assert bench("compare", "plain", str(run)) == 0
    said = capsys.readouterr().out
    assert f"{CELLS // SEEDS - 1} NEW, 1 PASS" in said
    assert bench("compare", str(run), "plain") == 5
    said = capsys.readouterr().out
    assert "nsgan · ring8@pacgan (batch=16, critic_lr=0.0001)" in said
