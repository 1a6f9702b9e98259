"""What earlier runs took: read from records and tables, kept beside baselines."""

from __future__ import annotations

import pandas as pd
import pytest
from harness import record

from results import timings
from results.timings import Timing, keep, known, name_of, timings_of


def of(cell_id, seed, seconds, **changes):
    told = {"device": "cpu", "peak_rss_mb": 100.0 + seed, "status": "ok"}
    return record(cell_id=cell_id, seed=seed, seconds=seconds, **{**told, **changes})


def test_a_timing_is_the_median_of_seeds_and_the_most_memory():
    rows = [of("a", seed, seconds) for seed, seconds in enumerate((5.0, 1.0, 3.0))]
    found = timings_of([*rows, *rows, of("a", 0, 9.0, device="cuda")])
    assert found == {
        "a on cpu": Timing(3.0, 102.0, 3),
        "a on cuda": Timing(9.0, 100.0, 1),
    }


@pytest.mark.parametrize(
    "changes", [{"status": "failed"}, {"status": "timeout"}, {"cpu_seconds": 0.0}, {"seconds": 0.0}]
)
def test_what_says_nothing_of_a_cell_is_left_out(changes):
    """One that failed, or whose model had been trained before."""
    assert timings_of([{**of("a", 0, 5.0), **changes}]) == {}
    assert timings_of([{**of("a", 0, 5.0), "cpu_seconds": 4.0}, of("b", 0, 1.0)]).keys() == {
        "a on cpu",
        "b on cpu",
    }


def test_a_file_keeps_what_it_had_of_other_cells(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(timings, "SHIPPED", tmp_path / "shipped")
    (tmp_path / "results" / "baselines").mkdir(parents=True)
    (tmp_path / "shipped").mkdir()
    keep(tmp_path / "shipped", {"a": Timing(1.0, 1.0, 1), "b": Timing(2.0, 1.0, 1)})
    keep(timings.HERE, {"b": Timing(3.0, 1.0, 1)})
    keep(timings.HERE, {"c": Timing(4.0, 1.0, 1)})
    assert {name: one.seconds for name, one in known().items()} == {"a": 1.0, "b": 3.0, "c": 4.0}
    (timings.HERE / timings.NAME).write_text("{")
    assert {name: one.seconds for name, one in known().items()} == {"a": 1.0, "b": 2.0}


def test_the_costs_that_ship_are_those_of_the_baselines():
    """The first of them that timed a cell, all of its seeds."""
    table = pd.read_csv(timings.SHIPPED / "smoke-gate.csv")
    rows = table[table["status"] == "ok"]
    expected = rows.drop_duplicates(["cell_id", "seed"]).groupby("cell_id")["seconds"].median()
    shipped = known()
    assert len(expected) > 3
    for cell_id, seconds in expected.items():
        assert shipped[name_of(cell_id, "cpu")].seconds == pytest.approx(seconds, abs=1e-3)
