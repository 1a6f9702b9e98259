"""What Python users pass to every verb: NumPy numbers, paths, devices, None."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import api

RNG = np.random.default_rng(0)
REAL, FAKE = RNG.normal(size=(2, 80, 4))


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)


def frechet(**options) -> float:
    return float(api.score(REAL, FAKE, metrics="frechet", **options)["value"].iloc[0])


def test_a_score_takes_them():
    np.save("real.npy", REAL)
    plain = frechet(workers=1)
    assert frechet(workers=np.int64(1), batch=np.int32(8), device=torch.device("cpu")) == plain
    named = api.score(Path("real.npy"), torch.tensor(FAKE), metrics=["frechet"], workers=1)
    assert float(named["value"].iloc[0]) == plain
    api.score(REAL, FAKE, metrics="frechet", workers=1, save_stats=Path("s.npz"))
    assert Path("s.npz").is_file()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"workers": 2.5}, "`workers`: expected a whole number, got 2.5"),
        ({"batch": True}, "`batch`: expected a whole number, got True"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"colours": "red"}, "`colours`: expected grey or rgb, got 'red'"),
    ],
)
def test_a_score_refuses_others(option, said):
    with pytest.raises(api.UsageError, match=said):
        frechet(**option)


def test_a_run_takes_them(tmp_path):
    def run(out, **options):
        table = api.run("smoke", grid={"model": ["oracle"]}, out=out, **options)
        return table[["metric", "seed", "value"]].values.tolist(), table

    kept = {"only": {"dataset": "ring8@pacgan"}}
    plain, table = run("plain", seeds=2, set={"samples": 300}, **kept)
    typed, _ = run(Path("typed"), seeds=np.int64(2), set={"samples": np.int64(300)}, **kept)
    listed, _ = run("listed", seeds=np.arange(2), set={"samples": 300}, **kept)
    assert plain == typed == listed
    assert json.loads(table["settings"].iloc[0])["samples"] == 300


@pytest.mark.parametrize("seeds", [0, -1, (), (0, -1), 1.5, (0.5,), "2", (True,)])
def test_seeds_that_are_none(seeds):
    with pytest.raises(
        api.UsageError,
        match=r"expected seeds of 0 or more|`seeds`: expected a whole number or several",
    ):
        api.plan("smoke", seeds=seeds)


def test_a_grid_of_numbers_in_python():
    table = api.plan("smoke", grid={"model": "gan", "generator_lr": np.array([0.1, 0.01])}, seeds=1)
    assert {row["generator_lr"] for row in table["settings"]} == {0.1, 0.01}
