"""What a score costs: what was asked for, and no more."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from harness import environ

from bench import api
from bench.score.identity import CHUNK, content_id, row_ids
from bench.score.sets import Sets


def sets_of(n=400, copied=0, seed=0):
    """Two sets of points; of the second, some are nearly points of the first."""
    rng = np.random.default_rng(seed)
    real, fake = rng.normal(size=(2, n, 6))
    fake[:copied] = real[:copied] + 1e-6
    return real, fake


def refuse(sets):
    raise AssertionError("near copies were looked for")


@pytest.mark.parametrize("metrics", ["frechet", "precision,recall", "mmd"])
def test_near_copies_are_looked_for_only_where_they_are_asked_for(metrics, monkeypatch):
    monkeypatch.setattr(Sets, "nearest", property(refuse))
    told = []
    api.score(*sets_of(), metrics=metrics, notify=lambda what, done, total: told.append(what))
    assert not any("copies" in what for what in told)


@pytest.mark.parametrize("metrics", [(), "memorisation", "frechet,copies"])
def test_they_are_told_where_all_is_asked_for_or_a_metric_of_them(metrics):
    scored = api.measure_score(*sets_of(copied=200), metrics=metrics)
    assert any("nearly copies" in text for text in scored.scores.warnings)


def test_what_costs_little_is_told_always():
    real, _ = sets_of()
    same = api.measure_score(real, np.concatenate([real[:200], real[:200] + 3]), metrics="frechet")
    assert any("200 of the 400 of FAKE are exact copies" in w for w in same.scores.warnings)


def test_a_metric_alone_is_what_it_is_among_all():
    whole, alone = (api.score(*sets_of(), metrics=m).set_index("metric") for m in ((), "frechet"))
    for column in ("value", "std_error", "dataset_fingerprint"):
        assert alone.loc["frechet", column] == whole.loc["frechet", column]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [2, 7, 2 * 13 + 1])
def test_ids_of_rows_are_those_of_their_content(n, dtype, monkeypatch):
    """Whatever the chunks; a negative zero is a zero."""
    monkeypatch.setattr("bench.score.identity.CHUNK", 13)
    points = np.random.default_rng(0).normal(size=(n, 3)).astype(dtype)
    points[0, 0] = -0.0
    wanted = [content_id(row.astype(np.float64) + 0.0) for row in points]
    np.testing.assert_array_equal(row_ids(points), np.array(wanted, np.uint64))
    assert CHUNK > 13


@pytest.mark.slow
def test_a_million_points_take_seconds(tmp_path):
    """Of a processor; and little memory beside what the imports take."""
    rng, costs = np.random.default_rng(0), []
    for n in (1_000, 1_000_000):
        for name in ("a", "b"):
            np.save(tmp_path / f"{name}.npy", rng.normal(size=(n, 8)).astype(np.float32))
        code = (
            "import json, resource, sys\nfrom bench.cli import main\ntry:\n"
            "    main(['score', 'a.npy', 'b.npy', '--metrics', 'frechet', '--format', 'csv'])\n"
            "except SystemExit:\n    pass\nused = resource.getrusage(resource.RUSAGE_SELF)\n"
            "print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environ(),
            capture_output=True,
            text=True,
            check=True,
        )
        costs.append(json.loads(done.stdout.splitlines()[-1]))
    assert costs[1][0] < 30
    assert costs[1][1] - costs[0][1] < 300
