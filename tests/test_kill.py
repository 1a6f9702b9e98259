"""The driver is killed without warning: the same command goes on to the same bits."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from harness import assert_same, cell_files, marked, spawn, started, table, wait_for

MOMENTS = 10
FAST = (1, 2)


def command(folder: Path, *, workers: int) -> tuple[list[str], dict[str, str]]:
    """Some cells with a training each that saves its state at every look."""
    arguments = ["run", "--suite", "smoke", "--grid", "model=gan,rsgan,oracle", "--seeds", "2"]
    arguments += ["--set", "steps=1500", "--set", "evaluations=100", "--workers", str(workers)]
    changes = {"MINIMAX_CACHE": str(folder / "cache"), "MINIMAX_CHECKPOINT_SECONDS": "0"}
    return arguments, changes


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The table of a run that nothing disturbs, and how long it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    arguments, changes = command(folder, workers=1)
    begun = time.monotonic()
    done = spawn(*arguments, cwd=folder, **changes)
    assert done.returncode == 0, done.stderr
    return table(folder / "runs/smoke/quick"), time.monotonic() - begun


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "moment", [m if m in FAST else pytest.param(m, marks=pytest.mark.slow) for m in range(MOMENTS)]
)
def test_a_killed_driver_loses_only_what_was_in_flight(tmp_path, undisturbed, moment):
    expected, seconds = undisturbed
    arguments, changes = command(tmp_path, workers=1 + moment % 2)
    run = tmp_path / "runs/smoke/quick"
    with started(*arguments, cwd=tmp_path, **changes) as (driver, mark):
        time.sleep(random.Random(moment).uniform(0.2, 1.0) * seconds)
        driver.kill()
        driver.wait()
        assert wait_for(lambda: not marked(mark), 5), [p.cmdline() for p in marked(mark)]
    kept = {path: path.read_bytes() for path in cell_files(run)}
    done = spawn(*arguments, cwd=tmp_path, **changes)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert_same(table(run), expected)
    assert not list((tmp_path / "cache").rglob("*.partial"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_driver_killed_in_the_middle_of_a_training_goes_on_inside_it(tmp_path, undisturbed):
    expected, _ = undisturbed
    arguments, changes = command(tmp_path, workers=1)
    for _ in range(3):
        with started(*arguments, cwd=tmp_path, **changes) as (driver, mark):
            assert wait_for(lambda: list((tmp_path / "cache").rglob("*.partial")), 60)
            time.sleep(0.5)
            driver.kill()
            assert wait_for(lambda mark=mark: not marked(mark), 5)
    assert spawn(*arguments, cwd=tmp_path, **changes).returncode == 0
    assert_same(table(tmp_path / "runs/smoke/quick"), expected)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_driver_killed_again_and_again_gets_there(tmp_path, undisturbed):
    expected, seconds = undisturbed
    arguments, changes = command(tmp_path, workers=2)
    rng = random.Random(7)
    for _ in range(6):
        with started(*arguments, cwd=tmp_path, **changes) as (driver, mark):
            time.sleep(rng.uniform(0.3, 0.9) * seconds)
            driver.kill()
            assert wait_for(lambda mark=mark: not marked(mark), 5)
    assert spawn(*arguments, cwd=tmp_path, **changes).returncode == 0
    assert_same(table(tmp_path / "runs/smoke/quick"), expected)
