"""How long a run takes on so many workers, from what cells took before."""

from __future__ import annotations

import random
import re

import hypothesis.strategies as st
import pytest
from harness import bench, faulty_suite
from hypothesis import given
from hypothesis import settings as examples

from bench import api
from bench.core.errors import UsageError
from bench.run.forecast import Load, forecast, span
from results import timings
from results.timings import Timing, keep

LOADS = st.lists(
    st.builds(
        Load,
        st.integers(0, 99).map(str),
        st.floats(0.1, 50),
        st.just("guess"),
        st.sampled_from(["", "", "m", "n"]),
    ),
    min_size=1,
    max_size=12,
)


@examples(max_examples=60, deadline=None)
@given(LOADS, st.integers(1, 6))
def test_a_span_is_between_what_no_schedule_beats_and_one_worker(loads, workers):
    total = sum(load.seconds for load in loads)
    found = span(loads, workers)
    assert max(max(load.seconds for load in loads), total / workers) <= found * (1 + 1e-9)
    assert found <= total * (1 + 1e-9)
    assert span(loads, 1) == pytest.approx(total)
    free = [Load(load.name, load.seconds, load.source) for load in loads]
    assert span(free, len(free)) == max(load.seconds for load in loads)
    assert span(free, workers) <= total / workers + max(load.seconds for load in loads)


def test_a_span_is_that_of_a_schedule_played_through():
    """An independent one, a tick at a time."""
    rng = random.Random(1)
    for _ in range(20):
        seconds = [rng.randint(1, 9) for _ in range(rng.randint(1, 9))]
        workers, waiting = rng.randint(1, 4), sorted(seconds, reverse=True)
        busy, clock = [0] * workers, 0
        while waiting or any(busy):
            for at in range(workers):
                if not busy[at] and waiting:
                    busy[at] = waiting.pop(0)
            clock += 1
            busy = [max(0, left - 1) for left in busy]
        loads = [Load(str(at), float(one), "guess") for at, one in enumerate(seconds)]
        assert span(loads, workers) == clock


def test_cells_of_one_model_wait_for_the_first():
    shared = [Load("a", 5.0, "run", "m"), Load("b", 3.0, "run", "m"), Load("c", 1.0, "run", "m")]
    assert span(shared, 3) == 8.0
    assert span([Load("a", 5.0, "run"), Load("b", 3.0, "run")], 3) == 5.0


def test_more_workers_are_told_of_as_far_as_they_gain():
    told = forecast([Load(str(at), 6.0, "guess") for at in range(8)], 2)
    assert (told.seconds, told.more) == (24.0, {4: 12.0, 8: 6.0})
    long = [Load("long", 100.0, "guess"), *(Load(str(at), 1.0, "guess") for at in range(9))]
    told = forecast(long, 2)
    assert (told.seconds, told.longest.name, told.more) == (100.0, "long", {})
    assert forecast([], 2) is None


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return faulty_suite(tmp_path, "number", "trivial", seeds=3)


def test_a_plan_knows_what_earlier_runs_took(suite, tmp_path):
    """Of this run, else of baselines, else its task's guess."""
    assert set(api.plan(suite)["source"]) == {"guess"}
    (tmp_path / "results" / "baselines").mkdir(parents=True)
    costs = {f"faulty:TASK/{name} on cpu": Timing(60.0, 1.0, 1) for name in ("number", "trivial")}
    keep(timings.HERE, costs)
    planned = api.plan(suite, workers=4)
    assert planned["minutes"].tolist() == [0.25] * 6
    assert planned.attrs["forecast"].seconds == 120
    api.execute(suite, seeds=(0,), only=[("model", "number")])
    planned = api.plan(suite, only=[("model", "number")])
    assert planned["source"].tolist() == ["", "run", "run"]
    assert planned["seconds"].iloc[1] == planned["seconds"].iloc[2] < 60


def test_a_plan_says_how_long_and_what_more_workers_gain(suite, tmp_path, capsys):
    (tmp_path / "results" / "baselines").mkdir(parents=True)
    keep(timings.HERE, {"faulty:TASK/number on cpu": Timing(600.0, 1.0, 1)})
    assert bench("plan", "--suite", suite, "--workers", "1") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "6 cells, about 30.0 minutes on 1 workers (from measured seconds of 3 of 6 cells)" in said
    )
    assert "longest: faulty:TASK/number seed 0, 10.0 minutes" in said
    assert re.search(r"more workers would take 20\.0 on 2, 10\.0 on 4", said)


def test_a_plan_for_gpus_needs_none_here(suite, capsys):
    planned = api.plan(suite, workers=64, gpus=2)
    assert set(planned["device"]) == {"cuda"}
    assert planned.attrs["forecast"].workers == 2
    assert set(api.plan(suite, workers=64, gpus=2, device="cpu")["device"]) == {"cpu"}
    assert bench("plan", "--suite", suite, "--workers", "64", "--gpus", "8") == 0
    assert "on 8 workers" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(UsageError, match="`gpus`: expected at least 1, got 0"):
        api.plan(suite, gpus=0)


def test_a_baseline_keeps_what_its_cells_took(suite, tmp_path):
    report = api.execute(suite, out="run")
    assert bench("baseline", "set", "run", "--reason", "x", "--no-probe", "--out", "b.csv") == 0
    kept = timings._read(tmp_path / timings.NAME)
    assert kept == timings.timings_of(report.records.values())
    assert len(kept) >= 1
