"""A sampling function of the user's own: as a model of a suite, and in the place of samples."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import api
from bench.datasets.named import dataset_named

CODE = """
import numpy as np
import torch
def ring(n, rng):
    turn = torch.randint(8, (n,), generator=rng) * torch.pi / 4
    centres = torch.stack([turn.cos(), turn.sin()], 1)
    return centres + 0.01 * torch.randn(n, 2, generator=rng)
def seeded(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2))
def few(n):
    return np.zeros((n - 1, 2))
def wide(n):
    return np.zeros((n, 3))
def fails(n):
    raise KeyError("gone")
"""
SUITE = """
name = "given"
default_tier = "q"
[tiers.q]
seeds = 2
[[block]]
name = "points"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["{model}", "oracle"]
settings = {{ samples = 500 }}
metrics = ["modes_covered", "high_quality"]
"""


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("my_gen.py").write_text(CODE)
    yield
    sys.modules.pop("my_gen", None)


def run(model: str):
    Path("s.toml").write_text(SUITE.format(model=f"my_gen:{model}"))
    return api.run("s.toml", workers=1)


def values(table, metric: str, model: str) -> list[float]:
    return table[(table["metric"] == metric) & (table["model"] == model)]["value"].tolist()


def test_a_function_is_a_model_whose_seeds_differ():
    table = run("ring")
    radius = np.linalg.norm(dataset_named("ring8@pacgan", (), "a test").centres[0])
    assert radius == pytest.approx(1)
    assert set(table["status"]) == {"ok"}
    assert values(table, "modes_covered", "my_gen:ring") == [8, 8]
    assert min(values(table, "high_quality", "my_gen:ring")) > 0.95
    other = run("seeded")
    mine = other[other["model"] == "my_gen:seeded"]
    first, second = (mine[mine["seed"] == seed]["value"].tolist() for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("few", "expected \\d+ samples, \\[n, d\\]"),
        ("wide", "expected samples of the shape of the data, \\[2\\], got \\[3\\]"),
        ("fails", "gone"),
    ],
)
def test_what_draws_no_samples_is_a_failed_row(model, said):
    table = run(model)
    failed = table[table["model"] == f"my_gen:{model}"]
    assert set(failed["status"]) == {"failed"}
    assert failed["reason"].str.contains(said).all()


def test_a_function_in_the_place_of_samples():
    """By name and as it is: as many as there are real ones, the same at every call."""
    real = np.random.default_rng(1).normal(size=(300, 2))
    named = api.score(real, "my_gen:seeded", metrics="frechet", workers=1)
    from my_gen import seeded

    given = api.score(real, seeded, metrics="frechet", workers=1)
    assert named["value"].tolist() == given["value"].tolist()
    assert json_settings(named)["n_fake"] == 300


def json_settings(table):
    import json

    return json.loads(table["settings"].iloc[0])


def test_images_of_a_function_are_read_as_any_others():
    """Bytes, channels last."""
    real = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)

    def same(n):
        return torch.tensor(real[:n])

    table = api.score(real, same, metrics="exact_copies", features="pixels", workers=1)
    assert table["value"].tolist() == [1.0]


@pytest.mark.parametrize(("name", "said"), [("fails", "KeyError: 'gone'"), ("few", "expected 300")])
def test_a_function_that_fails_is_named(name, said):
    real = np.random.default_rng(1).normal(size=(300, 2))
    with pytest.raises(api.UsageError, match=said):
        api.score(real, f"my_gen:{name}", metrics="frechet", workers=1)
