"""A run as a side of a comparison: which series decide, and what is left."""

import numpy as np
import pytest
from harness import record, value
from simulated import against, outcomes, row_of, rows

from results.gate.sides import from_run, from_table
from results.runs import Run
from results.store import RunDirectory

MODELS = {"a": "model", "b": "model", "oracle": "ceiling", "noise": "floor"}


def run_of(folder, measured):
    """A run of four models with two metrics, of which a block names one as primary."""
    cells = [
        {
            "task": "t",
            "parts": {"dataset": "d", "model": model},
            "cell_id": f"t/d/{model}",
            "seed": 0,
            "key": model * 64 if len(model) == 1 else model,
            "block": "named",
            "settings": {},
        }
        for model in MODELS
    ]
    manifest = {
        "suite": "s",
        "tier": "quick",
        "cells": cells,
        "blocks": [{"name": "named", "primary": ["score"]}],
        "metrics": {"score": {"kind": "seeded"}, "other": {"kind": "seeded"}},
        "parts": {"model": {name: {"role": role} for name, role in MODELS.items()}},
    }
    values = [value(), value(metric="other", value=0.1), value(value=0.2, final=False, step=3)]
    records = {
        cell["key"]: record(
            cell["key"],
            suite="s",
            tier="quick",
            task="t",
            cell_id=cell["cell_id"],
            dataset="d",
            model=cell["parts"]["model"],
            values=values,
        )
        for cell in cells
        if cell["parts"]["model"] in measured
    }
    return Run(RunDirectory(folder), manifest, records)


def test_what_a_block_names_decides_but_for_floors(tmp_path):
    side = from_run(run_of(tmp_path, MODELS), lambda task, metric: {})
    found = {
        (model, metric): primary
        for model, metric, primary in zip(
            side.rows["model"], side.rows["metric"], side.rows["primary"], strict=True
        )
    }
    assert found == {
        (model, metric): metric == "score" and role != "floor"
        for model, role in MODELS.items()
        for metric in ("score", "other")
    }
    assert dict(zip(side.rows["model"], side.rows["role"], strict=True)) == MODELS


def test_final_values_alone_are_compared(tmp_path):
    """Those on the way are of no side."""
    side = from_run(run_of(tmp_path, MODELS), lambda task, metric: {})
    assert set(side.rows["value"]) == {0.5, 0.1}


def test_cells_that_are_planned_and_not_measured_are_left(tmp_path):
    side = from_run(run_of(tmp_path, ["a", "noise"]), lambda task, metric: {})
    said = dict(zip(side.cells["cell_id"], side.cells["status"], strict=True))
    assert said == {"t/d/a": "ok", "t/d/noise": "ok", "t/d/b": "left", "t/d/oracle": "left"}
    assert sorted(side.gaps["cell_id"]) == ["t/d/b", "t/d/oracle"]


def test_series_of_other_radii_are_others():
    """Each at its radius is one of its own."""
    table = rows(np.ones((2, 3)))
    same = table.assign(series="s", cell_id="c", epsilon=[0.1, 0.2, np.nan] * 2)
    assert set(from_table("x", same).rows["id"]) == {
        "s at 0.1",
        "s at 0.2",
        "s",
    }


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_paired_outcomes_that_got_worse_and_better(direction):
    """Bits that fall are worse where higher is better, and better where lower is."""
    before = np.ones((3, 400), bool)
    after = before.copy()
    after[:, :40] = False
    one, other = (outcomes(bits, direction=direction) for bits in (before, after))
    row = row_of(against(one, other))
    assert (row["loss"] > 0) == (direction == "higher")
    assert ("120 of" in row["reason"].split("worse")[0]) == (direction == "higher")


def test_a_relative_margin_is_of_the_baseline():
    """Five in a hundred of 1, not of 3."""
    one, other = rows(np.ones((4, 1))), rows(3 + np.arange(4.0)[:, None] / 1e6, 50)
    assert row_of(against(one, other))["margin"] == pytest.approx(0.05)
    wider = [table.assign(absolute=0.2) for table in (one, other)]
    assert row_of(against(*wider))["margin"] == pytest.approx(0.2)


def test_values_are_identical_seed_by_seed():
    """Of the seeds in common; the same values on other seeds are not."""
    values = np.array([[1.0], [2.0], [3.0], [4.0]])
    one = rows(values)
    assert row_of(against(one, one))["kind"] == "identical"
    assert row_of(against(one, one[one["seed"] > 0]))["kind"] == "identical"
    assert row_of(against(one, rows(np.roll(values, 1, 0))))["kind"] == "seeded"


def test_p_values_are_adjusted_as_holm_has_it():
    """Over the series that decide: the smallest times their number, the next times one less."""
    rng = np.random.default_rng(3)
    spread = np.array([0.01, 0.2, 0.3, 0.4])
    one, other = (rows(m + spread * rng.normal(size=(6, 4)), f) for m, f in ((1, 0), (1.25, 50)))
    series = against(one, other).rows
    series = series[series["level"] == "series"].sort_values("p")
    assert (series["loss"] > 0).all()
    p = series["p"].to_numpy(float)
    wanted = np.minimum(1, np.maximum.accumulate(p * np.arange(4, 0, -1)))
    np.testing.assert_allclose(series["p_adjusted"].to_numpy(float), wanted)
    assert (wanted > p)[:3].all()


def test_a_better_number_of_the_same_models_is_no_improvement():
    """The trained models being the same, attack, data or metric changed; of others it is one."""
    rng = np.random.default_rng(4)
    one, other = (rows(m + 0.01 * rng.normal(size=(8, 2))) for m in (1, 0.5))
    same = [table.assign(artifact_key=[f"a{i}" for i in table["seed"]]) for table in (one, other)]
    found = row_of(against(*same))
    assert (found["kind"], found["verdict"]) == ("seeded", "REGRESSED")
    assert row_of(against(one, other))["verdict"] == "IMPROVED"
