"""The driver is killed without warning: the same command goes on to the same bits."""

from __future__ import annotations

import io
import random
import time
from contextlib import redirect_stderr
from pathlib import Path

import pandas as pd
import pytest
from harness import assert_same, bench, cell_files, marked, spawn, started, table, wait_for

from bench.run.run import execute

MOMENTS = 10
RUN = "runs/smoke/quick"
POINTS = "ring8@pacgan"


def command(folder: Path, *, workers: int, data: str = "*") -> tuple[list[str], dict[str, str]]:
    """Some cells with a training each that saves its state at every look."""
    arguments = ["run", "--suite", "smoke", "--grid", "model=gan,oracle", "--seeds", "2"]
    arguments += ["--set", "steps=150", "--set", "evaluations=20", "--workers", str(workers)]
    arguments += ["--only", f"dataset={data}"]
    changes = {"MINIMAX_CACHE": str(folder / "cache"), "MINIMAX_CHECKPOINT_SECONDS": "0"}
    return arguments, changes


def undisturbed(folder: Path, data: str = "*") -> pd.DataFrame:
    """The table of a run that nothing disturbs."""
    changes = {"steps": 150, "evaluations": 20}
    grid, only = [("model", ["gan", "oracle"])], [("dataset", data)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.run.run.draw", lambda *run: [])
        patch.setenv("MINIMAX_CACHE", str(folder / "cache"))
        return execute("smoke", grid=grid, only=only, set=changes, out=str(folder / "run")).table


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def seconds(tmp_path_factory, expected):
    """How long the command takes where nothing disturbs it."""
    folder = tmp_path_factory.mktemp("timed")
    arguments, changes = command(folder, workers=1)
    begun = time.monotonic()
    assert spawn(*arguments, cwd=folder, **changes).returncode == 0
    assert_same(table(folder / RUN), expected)
    return time.monotonic() - begun


def kill(folder: Path, arguments: list[str], changes: dict[str, str], moment) -> None:
    """Begin the command and kill its driver at a moment: its workers die with it."""
    with started(*arguments, cwd=folder, **changes) as (driver, mark):
        moment()
        driver.kill()
        driver.wait()
        assert wait_for(lambda: not marked(mark), 30), [p.cmdline() for p in marked(mark)]


def check_goes_on(folder: Path, arguments: list[str], changes: dict[str, str], expected) -> None:
    """The same command keeps every finished file and gets to the same table. Its driver is this
    process.
    """
    kept = {path: path.read_bytes() for path in cell_files(folder / RUN)}
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(io.StringIO()) as err:
        patch.setattr("bench.run.run.draw", lambda *run: [])
        patch.chdir(folder)
        for name, text in changes.items():
            patch.setenv(name, text)
        assert bench(*arguments) == 0, err.getvalue()
    assert "Traceback" not in err.getvalue()
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert_same(table(folder / RUN), expected)
    assert not list((folder / "cache").rglob("*.partial*"))


def test_a_driver_killed_in_a_training_loses_only_what_was_in_flight(tmp_path):
    """Its worker did not finish it on its own."""
    arguments, changes = command(tmp_path, workers=1, data=POINTS)

    def begun() -> list[Path]:
        return list(tmp_path.glob("cache/**/*.partial.json"))

    kill(tmp_path, arguments, changes, lambda: wait_for(begun))
    assert begun()
    assert not cell_files(tmp_path / RUN)
    assert not (tmp_path / RUN / "table.csv").exists()
    check_goes_on(tmp_path, arguments, changes, undisturbed(tmp_path / "undisturbed", POINTS))


@pytest.mark.slow
def test_a_driver_killed_while_its_workers_come_up_loses_nothing(tmp_path, expected):
    arguments, changes = command(tmp_path, workers=2)

    def moment() -> None:
        assert wait_for((tmp_path / RUN / "manifest.json").exists)
        time.sleep(random.Random(2).uniform(0, 0.5))

    kill(tmp_path, arguments, changes, moment)
    assert not (tmp_path / RUN / "table.csv").exists()
    check_goes_on(tmp_path, arguments, changes, expected)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_driver_killed_at_any_moment_loses_only_what_was_in_flight(
    tmp_path, expected, seconds, moment
):
    arguments, changes = command(tmp_path, workers=1 + moment % 2)
    pause = random.Random(moment).uniform(0.2, 1.0) * seconds
    kill(tmp_path, arguments, changes, lambda: time.sleep(pause))
    check_goes_on(tmp_path, arguments, changes, expected)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_driver_killed_again_and_again_gets_there(tmp_path, expected, seconds):
    arguments, changes = command(tmp_path, workers=2)
    rng = random.Random(7)
    for _ in range(6):
        pause = rng.uniform(0.3, 0.9) * seconds
        kill(tmp_path, arguments, changes, lambda pause=pause: time.sleep(pause))
    check_goes_on(tmp_path, arguments, changes, expected)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_training_killed_three_times_goes_on_inside_it(tmp_path, expected):
    arguments, changes = command(tmp_path, workers=1)

    def moment() -> None:
        assert wait_for(lambda: list((tmp_path / "cache").rglob("*.partial*")))
        time.sleep(0.2)

    for _ in range(3):
        kill(tmp_path, arguments, changes, moment)
    check_goes_on(tmp_path, arguments, changes, expected)
