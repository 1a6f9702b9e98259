"""The driver is killed without warning: the same command goes on to the same bits."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from harness import assert_same, cell_files, marked, spawn, started, table, wait_for

from bench.run.run import execute

MOMENTS = 10
RUN = "runs/smoke/quick"


def command(folder: Path, *, workers: int) -> tuple[list[str], dict[str, str]]:
    """Some cells with a training each that saves its state at every look."""
    arguments = ["run", "--suite", "smoke", "--grid", "model=gan,oracle", "--seeds", "2"]
    arguments += ["--set", "steps=150", "--set", "evaluations=20", "--workers", str(workers)]
    changes = {"MINIMAX_CACHE": str(folder / "cache"), "MINIMAX_CHECKPOINT_SECONDS": "0"}
    return arguments, changes


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The table of a run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    changes = {"steps": 150, "evaluations": 20}
    grid = [("model", ["gan", "oracle"])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(folder / "cache"))
        return execute("smoke", grid=grid, set=changes, out=str(folder / "run")).table


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
        assert wait_for(lambda: not marked(mark), 5), [p.cmdline() for p in marked(mark)]


def check_goes_on(folder: Path, arguments: list[str], changes: dict[str, str], expected) -> None:
    """The same command keeps every finished file and gets to the same table."""
    kept = {path: path.read_bytes() for path in cell_files(folder / RUN)}
    done = spawn(*arguments, cwd=folder, **changes)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert_same(table(folder / RUN), expected)
    assert not list((folder / "cache").rglob("*.partial*"))


@pytest.mark.parametrize(
    ("workers", "sign"),
    [
        pytest.param(2, "runs/smoke/quick/manifest.json", marks=pytest.mark.slow),
        (1, "cache/**/*.partial.json"),
    ],
)
def test_a_driver_killed_at_a_sign_loses_only_what_was_in_flight(tmp_path, expected, workers, sign):
    """While its workers come up, and in the middle of a training."""
    arguments, changes = command(tmp_path, workers=workers)

    def moment() -> None:
        assert wait_for(lambda: list(tmp_path.glob(sign)), 60)
        time.sleep(random.Random(workers).uniform(0, 0.5))

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
        assert wait_for(lambda: list((tmp_path / "cache").rglob("*.partial*")), 60)
        time.sleep(0.2)

    for _ in range(3):
        kill(tmp_path, arguments, changes, moment)
    check_goes_on(tmp_path, arguments, changes, expected)
