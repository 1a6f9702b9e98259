"""The user's own code: found beside the suite file and here, never taken for ours."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from harness import BENCH, PATIENCE, TESTS, bench, small_suite, table

from bench.core import digests, usercode
from bench.core.errors import UsageError
from bench.run.run import execute

RECIPE = """
from generative.recipes.references import Fixed, NoiseTrainer

class Wide(NoiseTrainer):
    def fit(self, data, seed):
        box = super().fit(data, seed)
        box._high = box._high + {extra}
        return box

recipe = Fixed(Wide())
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty present folder; what is imported from it is forgotten afterwards."""
    folder, modules = tmp_path / "here", set(sys.modules)
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield folder
    for name in set(sys.modules) - modules:
        origin = getattr(sys.modules[name], "__file__", None) or ""
        if origin.startswith(str(tmp_path)):
            del sys.modules[name]


def refused(capfd, *arguments: str) -> str:
    """The one line of a command that is refused."""
    capfd.readouterr()
    assert bench(*arguments) == 2
    err = capfd.readouterr().err
    assert err.startswith("Error: ")
    assert len(err.splitlines()) == 1
    return err


@pytest.mark.parametrize("place", ["here", "beside"])
def test_a_recipe_of_the_users_runs(tmp_path, here, capfd, place):
    beside = tmp_path / "suite"
    beside.mkdir()
    folder = beside if place == "beside" else here
    (folder / f"mine_{place}.py").write_text(RECIPE.format(extra=3.0))
    grid = ("--grid", f"model=mine_{place}:recipe,noise", "--executor", "inline")
    assert bench("run", "--suite", small_suite(beside), *grid) == 0
    rows = table(here / "runs/small/quick")
    assert set(rows["model"]) == {f"mine_{place}:recipe", "noise"}
    assert set(rows["status"]) == {"ok"}
    assert f"mine_{place}:recipe" in capfd.readouterr().out


def forget(module: str) -> None:
    """Its file is read again, as by another process."""
    del sys.modules[module]
    for read in (digests._file, digests._imports, digests.source_digest):
        read.cache_clear()


def test_a_recipe_that_was_edited_is_not_taken_for_measured(tmp_path, here, capfd):
    suite, run = small_suite(tmp_path), here / "runs/small/quick"
    arguments = ("run", "--suite", suite, "--grid", "model=edited:recipe", "--executor", "inline")
    (here / "edited.py").write_text(RECIPE.format(extra=0.0))
    assert bench(*arguments) == 0
    first = table(run)
    (here / "edited.py").write_text(RECIPE.format(extra=50.0))
    forget("edited")
    assert "other code" in refused(capfd, *arguments)
    assert bench(*arguments, "--fresh") == 0
    assert set(table(run)["artifact_key"]) != set(first["artifact_key"])
    assert table(run)["value"].tolist() != first["value"].tolist()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("recipe = ", "SyntaxError"),
        ("raise RuntimeError('not\\ntoday')", "RuntimeError: not today"),
        ("other = 1", "module 'broken' has no 'recipe'"),
        ("recipe = 5", "broken:recipe"),
        ("recipe = None", "broken:recipe"),
        ("class recipe: pass", "broken:recipe"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("raise KeyError", "KeyError"),
    ],
)
def test_code_that_can_not_be_used_is_one_line(capfd, tmp_path, here, source, expected):
    (here / "broken.py").write_text(source)
    suite = small_suite(tmp_path)
    err = refused(
        capfd, "run", "--suite", suite, "--grid", "model=broken:recipe", "--executor", "inline"
    )
    assert expected in err
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    "name",
    ["nowhere:x", ":x", "x:", ":", "a b:c", "../x:y", "..x:y", "os:path:x", "os:.", "os:path..x"],
)
def test_a_name_that_leads_nowhere_is_one_line(capfd, tmp_path, here, name):
    err = refused(capfd, "run", "--suite", small_suite(tmp_path), "--grid", f"model={name}")
    assert name.partition(":")[0] in err
    assert list(here.iterdir()) == []


def test_the_users_folders_come_last(tmp_path):
    (tmp_path / "metrics.py").write_text("raise AssertionError('the wrong metrics')\n")
    usercode.add_folder(tmp_path)
    usercode.add_folder(str(tmp_path))
    assert sys.path[-1] == str(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1


def test_load_and_digest(here):
    (here / "parts.py").write_text("class Shelf:\n    item = 7\n")
    usercode.add_folder(here)
    assert usercode.load("parts:Shelf.item") == 7
    with pytest.raises(UsageError, match=r"module 'parts' has no 'Shelf\.nothing'"):
        usercode.load("parts:Shelf.nothing")


@pytest.fixture
def crowded(here):
    """A folder whose files have the names of our packages."""
    for name in ("metrics", "results", "generative"):
        (here / f"{name}.py").write_text(f"raise AssertionError('the wrong {name}')\n")
    (here / "attacks").mkdir()
    (here / "attacks" / "__init__.py").write_text("raise AssertionError('the wrong attacks')\n")
    (here / "bench.txt").write_text("")
    return here


def environment(**changes: str) -> dict[str, str]:
    """An environment without the tests' own folder on the path."""
    return {**os.environ, **changes}


def test_the_command_and_its_workers_work_where_files_have_the_names_of_ours(tmp_path, crowded):
    """And they find the user's recipe beside the suite file, in a process of their own."""
    (tmp_path / "mymodule.py").write_text(RECIPE.format(extra=3.0))
    suite = small_suite(tmp_path, '["gan"]', '["noise", "mymodule:recipe"]')
    done = subprocess.run(
        [BENCH, "run", "--suite", suite, "--workers", "1"],
        cwd=crowded,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = table(crowded / "runs/small/quick")
    assert set(rows["model"]) == {"noise", "mymodule:recipe"}
    assert set(rows["status"]) == {"ok"}


@pytest.mark.parametrize("name", ["metrics.py", "attacks/__init__.py"])
def test_a_file_that_shadows_ours_is_named(here, name):
    path = here / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    for command, changes in (
        ([sys.executable, "-m", "bench"], {}),
        ([BENCH], {"PYTHONPATH": os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])}),
    ):
        done = subprocess.run(
            [*command, "list", "suites"],
            cwd=here, env=environment(**changes), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("Error: ")
        assert str(path) in done.stderr


MIXTURES = {
    "variances": """
covariances = [0.01, 0.04, 0.09]
weights = [1, 2, 5]
""",
    "lists": """
covariances = [[0.01, 0.04], [0.04, 0.01], [0.09, 0.09]]
weights = [0.5, 0.25, 0.25]
training_points = 500
""",
    "matrices": """
covariances = [
    [[0.02, 0.01], [0.01, 0.02]], [[0.01, 0.0], [0.0, 0.04]], [[0.09, -0.03], [-0.03, 0.04]]
]
""",
    "mixed": """
covariances = [0.01, [0.04, 0.01], [[0.09, -0.03], [-0.03, 0.04]]]
weights = [3, 2, 1]
training_points = 0
""",
}  # fmt: skip
CENTRES = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 5.0]])


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("form", list(MIXTURES))
def test_a_mixture_of_the_users_is_trained_on_and_scored(tmp_path, form):
    extra = f"[[mixture]]\nname = 'mine'\ncentres = {CENTRES.tolist()}\n{MIXTURES[form]}"
    suite = small_suite(tmp_path, '["ring8@pacgan"]', '["mine"]', extra=extra)
    models = ["oracle", "gan", "gmm", "one-gaussian", "noise"]
    report = execute(suite, grid=[("model", models)], set={"samples": 4000})
    assert report.statuses == {"ok": len(models)}
    final = report.table[report.table["final"]].pivot(
        index="model", columns="metric", values="value"
    )
    share = 0.9889
    assert final.loc["oracle", "high_quality"] == pytest.approx(share, abs=0.01)
    assert final.loc["oracle", "modes_covered"] == 3
    assert final.loc["gmm", "modes_covered"] == 3
    assert final.loc["noise", "high_quality"] < 0.3
    samples = report.run.samples(report.table.loc[report.table["model"] == "oracle", "key"].iloc[0])
    nearest = ((samples["samples"][:, None] - CENTRES) ** 2).sum(-1).argmin(1)
    weights = {
        "variances": [1, 2, 5],
        "lists": [2, 1, 1],
        "matrices": [1, 1, 1],
        "mixed": [3, 2, 1],
    }
    expected = np.array(weights[form]) / np.sum(weights[form])
    np.testing.assert_allclose(
        np.bincount(nearest, minlength=3) / len(nearest), expected, atol=0.05
    )


@pytest.mark.parametrize("dim", [1, 3, *(pytest.param(d, marks=pytest.mark.slow) for d in (2, 5))])
def test_a_mixture_of_any_dimension_runs_to_the_end(tmp_path, dim):
    centres = [[0.0] * dim, [5.0] * dim]
    extra = f"[[mixture]]\nname = 'mine'\ncentres = {centres}\ncovariances = [0.1, 0.1]\n"
    suite = small_suite(tmp_path, '["ring8@pacgan"]', '["mine"]', extra=extra)
    report = execute(suite, grid=[("model", ["oracle", "gan", "noise"])])
    assert report.statuses == {"ok": 3}
    assert (report.run.path / "table.csv").exists()


def test_a_task_of_the_users_is_measured(tmp_path):
    """The suite of faulty cells is one: its task is `faulty:TASK`."""
    assert (TESTS / "faulty.py").exists()
    from harness import faulty_suite

    assert execute(faulty_suite(tmp_path, "number")).statuses == {"ok": 1}
