"""A trained generator of the user's own as a row of a suite: from samples, a program, weights and
code, with the figures of `bench score` and of the model that it was saved from.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from bench import api
from bench.core import digests
from bench.core.errors import UsageError
from bench.models.generatornames import short_of
from bench.models.samplefiles import as_samples, samples_in
from bench.tasks.generation.journeys import OF_PLAY, TRAJECTORY
from bench.tasks.values import scored_by
from results.runs import open_run
from results.summary import summarise
from tests.harness import bench

SUITE = """
name = "own"
default_tier = "q"
[tiers.q]
seeds = 2
[[mixture]]
name = "blobs"
centres = [[0, 0], [3, 0], [0, 3]]
covariances = [0.01, 0.01, 0.01]
[[block]]
name = "points"
task = "{task}"
grid.dataset = ["{data}"]
grid.model = ["oracle", "nsgan"]
settings = {{ samples = {n}, steps = 30{more} }}
"""
POINTS = {"task": "mixture", "data": "ring8@pacgan", "n": 500, "more": ""}
STACKS = {"task": "stack", "data": "stack2@optdigits", "n": 150, "more": ""}
IMAGES = {
    "task": "image",
    "data": "optdigits",
    "n": 150,
    "more": ', protocol = "small-dcgan", features = "optdigits-cnn"',
}
CODE = """
import numpy as np
import helper
def ring(n, seed):
    rng = np.random.default_rng(seed)
    turn = rng.integers(8, size=n) * np.pi / 4
    return np.stack([np.cos(turn), np.sin(turn)], 1) + helper.WIDTH * rng.normal(size=(n, 2))
class Ring:
    def sample(self, n, seed):
        return ring(n, seed)
made = Ring()
class Broken:
    def sample(self, n, seed):
        return self.weights @ n
"""


def of(*kinds):
    """The runs that a test is for."""
    return pytest.mark.parametrize("saved", kinds, ids=lambda k: k["task"], indirect=True)


@pytest.fixture(scope="module", params=[POINTS, STACKS, IMAGES], ids=lambda kind: kind["task"])
def saved(request, tmp_path_factory):
    """A run of two seeds, what each drew, the weights and the program of the first."""
    folder, kind = tmp_path_factory.mktemp(request.param["task"]), request.param
    before = Path.cwd()
    os.chdir(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.run.run.draw", lambda *run: [])
        Path("s.toml").write_text(SUITE.format(**kind))
        table = api.run("s.toml", out="run", workers=1)
        assert set(table["status"]) == {"ok"}
        for seed in (0, 1):
            api.sample("run", "nsgan", seed=seed, n=kind["n"], out=f"drawn/{seed}.npy")
        api.sample("run", "nsgan", seed=0, out="w.safetensors")
        api.sample("run", "nsgan", seed=0, out="g.pt")
    yield folder, kind, table
    os.chdir(before)


@pytest.fixture
def there(saved, monkeypatch, undrawn):
    monkeypatch.chdir(saved[0])
    return saved[1:]


@pytest.fixture
def here(tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("s.toml").write_text(SUITE.format(**POINTS))
    return tmp_path


TRAINING = {entry.name for entry in scored_by((TRAJECTORY, *OF_PLAY))}


def figures(table: pd.DataFrame, model: str, seed: int | None = 0) -> dict[str, float]:
    """The final values of a model and seed, by metric; not of its training, which is elsewhere."""
    mine = table[(table["model"] == model) & table["final"] & (table["value"].notna())]
    mine = mine[mine["seed"] == seed]
    found = dict(zip(mine["metric"], mine["value"], strict=True))
    return {name: value for name, value in found.items() if name.partition("@")[0] not in TRAINING}


def measured(*models: str, seeds=(0, 1), out: str = "own", **view) -> pd.DataFrame:
    table = api.run("s.toml", out=out, workers=1, grid={"model": models}, seeds=seeds, **view)
    assert set(table["status"]) == {"ok"}, table["reason"].dropna().unique()
    return table


def test_the_figures_are_those_of_the_model_it_was_saved_from(there):
    """Bit for bit, from every source; and a folder's files are of their own seeds."""
    _, table = there
    models = (
        "samples:drawn/0.npy",
        "w.safetensors",
        "g.pt",
        "nsgan:w.safetensors",
        "samples:drawn",
    )
    own = measured(*models)
    first, second = figures(table, "nsgan", 0), figures(table, "nsgan", 1)
    assert len(first) > 5
    assert first != second
    for model in models:
        assert figures(own, model, 0) == first
    assert figures(own, "samples:drawn", 1) == second
    assert figures(own, "samples:drawn/0.npy", 1) == {}
    assert figures(own, "g.pt", 1) == figures(own, "w.safetensors", 1) != first


@of(POINTS, STACKS)
def test_a_score_of_the_samples_is_the_same(there):
    kind, table = there
    for seed in (0, 1):
        scored = api.score(kind["data"], f"drawn/{seed}.npy", seed=seed)
        own = {k: v for k, v in figures(table, "nsgan", seed).items() if "elbo" not in k}
        assert figures(scored, f"drawn/{seed}.npy", seed) == own
        real = figures(table, "oracle", seed)
        floor = figures(scored, "oracle", seed)
        assert floor == {name: real[name] for name in floor}
        assert floor
    array = np.load("drawn/1.npy")
    given = api.score(kind["data"], array, seed=1)
    assert figures(given, "ndarray", 1) == figures(table, "nsgan", 1)


@of(IMAGES)
def test_images_are_compared_with_the_training_images(there):
    """`bench score` gives the same Frechet distance, to rounding."""
    _, table = there
    scored = api.score(
        "optdigits:train", "drawn/0.npy", features="optdigits-cnn", metrics="frechet", workers=1
    )
    (name,) = scored["metric"]
    assert scored["value"].item() == pytest.approx(figures(table, "nsgan")[name], rel=1e-6)


@of(POINTS)
def test_the_verbs_know_such_rows(there, capfd):
    measured("oracle", "samples:drawn", "g.pt", out="verbs")
    assert bench("plan", "--suite", "s.toml", "--grid", "model=samples:drawn,g.pt") == 0
    assert "samples:drawn" in capfd.readouterr().out
    assert bench("show", "verbs") == 0
    shown = capfd.readouterr().out
    assert "drawn " in shown
    assert "g [1]" in shown
    assert "its seeds are draws" in shown
    assert bench("cite", "verbs") == 0
    assert bench("sample", "verbs", "--model", "drawn", "--seed", "1", "-o", "x.npy") == 0
    assert np.array_equal(np.load("x.npy"), np.load("drawn/1.npy")[:64])
    assert bench("compare", "verbs", "verbs", "--on-inconclusive", "pass") == 0
    capfd.readouterr()


@of(POINTS)
def test_what_was_trained_once_is_not_compared(there):
    measured("nsgan", "samples:drawn/0.npy", out="once")
    run = open_run("once")
    row = run.summary().query("model == '0'").iloc[0]
    assert (row["seeds"], row["role"]) == (1, "model")
    assert "measured once" in row["note"]
    assert set(run.summary().query("model == '0'")["interval"]) <= {"samples", "none"}


@pytest.mark.parametrize("once", [False, True])
def test_draws_of_one_training_are_no_seeds_to_compare(once):
    """Five far better values mark a model as the best, unless it was trained once."""
    cells, records = [], {}
    for model, value in (("nsgan", 1.0), ("w", 5.0)):
        for seed in range(5):
            key = f"{model}{seed}"
            parts = {"dataset": "d", "model": model}
            cells.append({"block": "b", "parts": parts, "cell_id": model, "key": key, "seed": seed})
            cells[-1]["settings"] = {}
            found = {"metric": "m", "value": value + seed / 100, "final": True, "n": 9}
            found |= {"std_error": None, "epsilon": None}
            records[key] = {"status": "ok", "reason": "", "values": [found]}
    manifest = {
        "blocks": [{"name": "b", "task": "t", "metrics": ["m"], "published": []}],
        "cells": cells,
        "metrics": {"m": {"direction": "higher"}},
        "parts": {"model": {"w": {"one_training": once}}},
    }
    rows = summarise(manifest, records).to_dict("records")
    best = {row["model"]: row["best"] for row in rows}
    assert (best["w"] is True) != once


def save(name: str, array: np.ndarray) -> None:
    np.save(name, array)


def ring(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    turn = rng.integers(8, size=n) * np.pi / 4
    return np.stack([np.cos(turn), np.sin(turn)], 1) + 0.01 * rng.normal(size=(n, 2))


def code(name: str) -> str:
    Path("deep").mkdir(exist_ok=True)
    Path("deep/helper.py").write_text("WIDTH = 0.01\n")
    Path("deep/gen.py").write_text(CODE)
    forget()
    return f"deep/gen.py:{name}"


def forget() -> None:
    for name in [name for name in sys.modules if name == "helper" or name.endswith("gen.py")]:
        del sys.modules[name]
    for kept in (digests._file, digests._imports, digests.source_digest):
        kept.cache_clear()


def test_code_in_a_file_draws_of_the_seed_of_its_row(here):
    """A function, an object, a class; each the samples of `bench score`, and of the file."""
    for seed in (0, 1):
        save(f"{seed}.npy", ring(500, seed))
    models = [code("ring"), code("made"), code("Ring")]
    table = measured(*models)
    for seed in (0, 1):
        scored = figures(api.score("ring8@pacgan", f"{seed}.npy", seed=seed), f"{seed}.npy", seed)
        assert scored["modes_covered"] == 8
        for model in models:
            assert figures(table, model, seed) == scored
    assert figures(table, models[0], 0) != figures(table, models[0], 1)
    forget()


def test_broken_code_is_one_line_with_its_place(here):
    table = api.run("s.toml", out="r", workers=1, grid={"model": (code("Broken"),)}, seeds=(0,))
    assert set(table["status"]) == {"failed"}
    (reason,) = table["reason"]
    assert reason == "AttributeError: 'Broken' object has no attribute 'weights' (gen.py:14)"
    assert bench("run", "--suite", "s.toml", "--grid", "model=deep/none.py:x", "--out", "q") == 2
    forget()


def test_what_changed_is_measured_anew(here):
    """A file, and code that the code imports."""
    save("x.npy", ring(500, 0))
    first = measured("samples:x.npy", seeds=(0,))
    assert api.plan("s.toml", out="own", grid={"model": ("samples:x.npy",)}, seeds=(0,))[
        "state"
    ].tolist() == ["ok"]
    save("x.npy", ring(500, 1))
    with pytest.raises(UsageError, match="has changed since the run was planned"):
        api.sample("own", "samples:x.npy")
    again = measured("samples:x.npy", seeds=(0,))
    assert figures(again, "samples:x.npy") != figures(first, "samples:x.npy")
    old = measured(code("ring"), seeds=(0,), out="code")
    Path("deep/helper.py").write_text("WIDTH = 0.2\n")
    forget()
    new = measured("deep/gen.py:ring", seeds=(0,), out="code")
    assert figures(new, "deep/gen.py:ring") != figures(old, "deep/gen.py:ring")
    forget()


def test_of_a_folder_only_the_seed_that_changed_is_measured_anew(here):
    Path("drawn").mkdir()
    for seed in (0, 1):
        save(f"drawn/{seed}.npy", ring(500, seed))
    measured("samples:drawn")
    save("drawn/1.npy", ring(500, 2))
    save("drawn/2.npy", ring(500, 2))
    states = api.plan("s.toml", out="own", grid={"model": ("samples:drawn",)}, seeds=(0, 1))
    assert dict(zip(states["seed"], states["state"], strict=True)) == {0: "ok", 1: "new"}


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".csv"])
def test_every_format_holds_the_same_samples(tmp_path, suffix):
    points, path = ring(200, 0), tmp_path / f"x{suffix}"
    if suffix == ".npy":
        np.save(path, points)
    elif suffix == ".npz":
        np.savez(path, samples=points)
    elif suffix == ".pt":
        torch.save(torch.from_numpy(points), path)
    else:
        pd.DataFrame(points, columns=["x", "y"]).to_csv(path, index=False)
    assert torch.equal(samples_in(path, (2,), 150), torch.from_numpy(points[:150]).float())


@pytest.mark.parametrize(
    ("array", "shape"),
    [((9, 2, 4, 5), (2, 4, 5)), ((9, 4, 5, 2), (2, 4, 5)), ((9, 4, 5), (1, 4, 5))],
)
def test_images_in_every_layout(array, shape):
    """Bytes are divided by 255; channels stand first, last, or are left out."""
    bytes_ = np.random.default_rng(0).integers(0, 256, array, dtype=np.uint8)
    found = as_samples(bytes_, shape, "x")
    assert found.shape == (9, *shape)
    floats = as_samples((bytes_ / 255).astype(np.float32), shape, "x")
    assert torch.allclose(found, floats)
    last = array[1:] != shape and len(array) == 4
    expected = np.moveaxis(bytes_, -1, 1) if last else bytes_.reshape(9, *shape)
    assert np.array_equal((found * 255).round().numpy(), expected)


def broken(points: np.ndarray) -> np.ndarray:
    points[3, 1] = np.nan
    return points


@pytest.mark.parametrize(
    ("array", "shape", "said"),
    [
        (
            broken(np.zeros((200, 2))),
            (2,),
            "1 of 150 samples are not finite, the first is sample 3",
        ),
        (np.zeros((200, 3)), (2,), r"shape of the data, \[n, 2\], got \[200, 3\]"),
        (np.zeros((100, 2)), (2,), r"has 100 samples, and 150 are asked for"),
        (np.zeros((200, 2), dtype=complex), (2,), "expected numbers, got complex128"),
        (np.full((200, 1, 4, 4), 200.0), (1, 4, 4), "expected uint8, or floats in .*divide by 255"),
        (np.full((200, 1, 4, 4), -1.0), (1, 4, 4), r"\(x \+ 1\) / 2 brings"),
        (np.zeros((200, 1, 4, 4), int), (1, 4, 4), "expected images as uint8, uint16, or floats"),
        (np.zeros((200, 4, 4)), (2, 4, 4), r"\[n, 2, 4, 4\] or \[n, 4, 4, 2\], got \[200, 4, 4\]"),
    ],
)
def test_samples_that_are_none_are_one_line(array, shape, said):
    with pytest.raises(UsageError, match=said):
        as_samples(array, shape, "x.npy", 150)


def test_a_folder_of_images_is_samples(tmp_path):
    made = np.random.default_rng(0).integers(0, 256, (3, 6, 5), dtype=np.uint8)
    for index, image in enumerate(made):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    found = samples_in(tmp_path, (1, 6, 5), 2)
    assert np.array_equal((found[:, 0] * 255).round().numpy(), made[:2])
    assert samples_in(tmp_path, (3, 6, 5)).shape == (3, 3, 6, 5)
    for shape, said in (((1, 5, 6), "expected images of 6 x 5"), ((2, 6, 5), "stacks of 2")):
        with pytest.raises(UsageError, match=said):
            samples_in(tmp_path, shape)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("samples:none.npy", "none.npy is not there"),
        ("samples:few.npy", "has 100 samples, and 500 are asked for"),
        ("tensor.pt", "is no TorchScript file: .*samples:tensor.pt is a tensor of samples"),
        ("plain.safetensors", "does not say which model's weights it holds: .*nsgan:plain"),
        ("nsgan:plain.safetensors", "of another architecture"),
        ("samples:mixed", "expected files named by their seeds, such as 0.npy"),
    ],
)
def test_files_that_are_no_generators_are_one_line(here, model, said):
    from safetensors.torch import save_file

    save("few.npy", ring(100, 0))
    torch.save(torch.zeros(500, 2), "tensor.pt")
    save_file({"0.weight": torch.zeros(3, 3)}, "plain.safetensors")
    Path("mixed").mkdir()
    save("mixed/mine.npy", ring(500, 0))
    try:
        table = api.run("s.toml", out="r", workers=1, grid={"model": (model,)}, seeds=(0,))
        reason = " ".join(table["reason"])
    except UsageError as error:
        reason = str(error)
    assert re.search(said, reason), reason


def test_a_seed_without_a_file_is_skipped(here):
    Path("drawn").mkdir()
    save("drawn/1.npy", ring(500, 1))
    table = api.run("s.toml", out="r", workers=1, grid={"model": ("samples:drawn",)})
    by_seed = dict(zip(table["seed"], table["status"], strict=True))
    assert by_seed == {0: "skipped", 1: "ok"}
    assert "has no file for seed 0" in " ".join(table["reason"].dropna())


def script(network: nn.Module, name: str) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network, torch.zeros(2, 3)), name)


def test_a_program_of_images_between_minus_one_and_one(here):
    """The dimensions of its codes are found; its range is told; `prior` decides its codes."""
    Path("s.toml").write_text(SUITE.format(**{**IMAGES, "more": ', features = "pixels"'}))
    torch.manual_seed(0)
    script(nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))), "t.pt")
    failed = api.run("s.toml", out="r", workers=1, grid={"model": ("t.pt",)}, seeds=(0,))
    assert set(failed["status"]) == {"failed"}
    assert "the setting range says what its images lie between" in failed["reason"].iloc[0]
    told = measured("t.pt", seeds=(0,), out="q", set={"range": "-1,1"})
    other = measured("t.pt", seeds=(0,), out="u", set={"range": "-1,1", "prior": "uniform"})
    assert figures(told, "t.pt") != figures(other, "t.pt")
    assert json.loads(told["settings"].iloc[0])["range"] == "-1,1"
    with pytest.raises(UsageError, match="'prior': expected normal or uniform, got 'beta'"):
        measured("t.pt", set={"prior": "beta"})


def test_a_mixture_of_ones_own_in_a_suite_and_in_a_score(here, capfd):
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [3, 0], [0, 3]])
    save("two.npy", centres[rng.integers(2, size=500)] + 0.1 * rng.normal(size=(500, 2)))
    view = {"dataset": ("blobs",), "model": ("two.npy",)}
    table = api.run("s.toml", out="r", workers=1, grid=view, seeds=(0,))
    scored = api.score("s.toml:blobs", "two.npy")
    assert figures(table, "two.npy") == figures(scored, "two.npy")
    assert figures(scored, "two.npy")["modes_covered"] == 2
    assert figures(scored, "oracle")["modes_covered"] == 3
    assert bench("score", "s.toml", "two.npy", "--metrics", "modes_covered,high_quality") == 0
    out = capfd.readouterr().out
    assert "REAL blobs (3 modes) · FAKE two.npy (500)" in out
    assert "as many reals" in out
    for said, arguments in (
        ("unknown mixture 'blob'", ("s.toml:blob", "two.npy")),
        ("unknown metric 'modes'", ("s.toml", "two.npy", "--metrics", "modes")),
        ("`features` is for sets", ("s.toml", "two.npy", "--features", "pixels")),
    ):
        assert bench("score", *arguments) == 2
        assert said.replace("`features`", "--features") in capfd.readouterr().err


def test_code_that_fails_in_a_score_is_one_line_with_its_place(here, capfd):
    assert bench("score", "ring8@pacgan", code("Broken")) == 2
    assert "no attribute 'weights' (gen.py:14)" in capfd.readouterr().err
    forget()


def test_what_is_for_other_data_is_skipped_there(here):
    """A suite of points and stacks with a file of points."""
    save("x.npy", ring(500, 0))
    script(nn.Linear(3, 2), "g.pt")
    blocks = [SUITE.format(**kind) for kind in (POINTS, STACKS)]
    stacks = blocks[1][blocks[1].index("[[block]]") :].replace('"points"', '"stacks"')
    Path("s.toml").write_text(blocks[0] + stacks)
    models = ("x.npy", "g.pt")
    table = api.run("s.toml", out="r", workers=1, grid={"model": models}, seeds=(0,))
    found = {(row["task"], row["status"]) for row in table.to_dict("records")}
    assert found == {("mixture", "ok"), ("stack", "skipped")}


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("samples:a/b/my.npy", "my"),
        ("torchscript:g.pt", "g"),
        ("nsgan:w.safetensors", "w"),
        ("samples:drawn/", "drawn"),
        ("a/gen.py:sample", "gen:sample"),
        ("my_gen:ring", "my_gen:ring"),
        ("nsgan", "nsgan"),
    ],
)
def test_names_are_short(name, short):
    assert short_of(name) == short


def test_two_files_of_one_stem_keep_their_names(here):
    for folder in ("a", "b"):
        Path(folder).mkdir()
        save(f"{folder}/x.npy", ring(500, 0))
    measured("samples:a/x.npy", "samples:b/x.npy", seeds=(0,), out="r")
    assert set(open_run("r").summary()["model"]) == {"samples:a/x.npy", "samples:b/x.npy"}
