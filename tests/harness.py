"""What the tests of the harness share: suites of faulty cells, the command, tables to compare."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from results.rows import CELL_FIELDS, COLUMNS, VARYING

TESTS = Path(__file__).parent
BENCH = Path(sys.executable).with_name("bench")
PATIENCE = 200.0
STEADY = [column for column in COLUMNS if column not in VARYING]

FAULTY = """
name = "faulty"
default_tier = "quick"

[tiers.quick]
seeds = {seeds}

[[block]]
name = "faults"
task = "faulty:TASK"
grid.model = [{models}]
metrics = ["score"]
"""

SMALL = """
name = "small"
default_tier = "quick"

[tiers.quick]
seeds = 1

[[block]]
name = "mixtures"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["gan"]
settings = { steps = 20, samples = 500, evaluations = 2 }
metrics = ["high_quality"]
"""
MIXTURE = """
[[when]]
model = "g*"
set = { steps = 30 }

[[mixture]]
name = "two"
centres = [[0.0, 0.0], [3.0, 0.0]]
covariances = [0.1, [0.1, 0.2]]
weights = [1.0, 2.0]
"""
"""Of a suite: a rule, and a data set of its own, `two`."""


def faulty_suite(folder: Path, *models: str, seeds: int = 1) -> str:
    """A suite file of faulty cells."""
    path = folder / "faulty.toml"
    path.write_text(FAULTY.format(seeds=seeds, models=", ".join(f'"{m}"' for m in models)))
    return str(path)


def small_suite(folder: Path, old: str = "", new: str = "", *, extra: str = "") -> str:
    """A suite file of one small GAN, one text of it replaced and another appended."""
    assert old in SMALL
    path = folder / "small.toml"
    path.write_text((SMALL.replace(old, new) if old else SMALL) + extra)
    return str(path)


def bench(*arguments: str) -> int:
    """Run the command in this process; its exit code."""
    from bench.cli import main

    try:
        main([str(argument) for argument in arguments])
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 1
    return 0


def environ(**changes: str) -> dict[str, str]:
    """The environment of a command of its own: `faulty` can be imported there."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(TESTS)]))
    return {**os.environ, "PYTHONPATH": path, **changes}


def spawn(*arguments: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [BENCH, *arguments],
        cwd=cwd,
        env=environ(**changes),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def started(*arguments: str, cwd: Path, **changes: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """The command while it runs, and the mark that its processes carry; killed at the end."""
    mark = uuid.uuid4().hex
    driver = subprocess.Popen(
        [BENCH, *arguments],
        cwd=cwd,
        env=environ(BENCH_TEST_MARK=mark, **changes),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_interruptible,
    )
    try:
        yield driver, mark
    finally:
        driver.kill()
        driver.wait()
        assert driver.stderr is not None
        driver.stderr.close()
        for process in marked(mark):
            process.kill()


def _interruptible() -> None:
    """Ctrl-C is heard, also where the tests themselves run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def marked(mark: str) -> list[psutil.Process]:
    """The living processes that carry a mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("BENCH_TEST_MARK") == mark and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for(condition: Any, seconds: float = PATIENCE) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def table(run: Path) -> pd.DataFrame:
    """A run's table."""
    return pd.read_parquet(run / "table.parquet")


def steady(frame: pd.DataFrame, *, without: Sequence[str] = ()) -> pd.DataFrame:
    """The columns that may not vary between two runs, in a fixed order of rows."""
    columns = [column for column in STEADY if column not in without]
    order = ["cell_id", "seed", "metric", "step", "final"]
    return frame.sort_values(order).reset_index(drop=True)[columns]


def assert_same(one: pd.DataFrame, other: pd.DataFrame, *, without: Sequence[str] = ()) -> None:
    """Equal to the bit in every column that may not vary."""
    pd.testing.assert_frame_equal(
        steady(one, without=without), steady(other, without=without), check_exact=True
    )


def cell_files(run: Path) -> list[Path]:
    """The files of the finished cells."""
    return sorted(run.glob("cells/*/*.json"))


def record(key: str = "a" * 64, **changes: Any) -> dict[str, Any]:
    """A cell's record that is in order."""
    blank: dict[type, Any] = {str: "", dict: {}, int: 0, bool: False, list: []}
    fields: dict[str, Any] = {
        name: 0.0 if isinstance(kind, tuple) else blank[kind] for name, kind in CELL_FIELDS.items()
    }
    return {**fields, "key": key, "status": "ok", "cell_id": "t/m", **changes}


def value(**changes: Any) -> dict[str, Any]:
    """A value of a record."""
    fields = {"metric": "score", "version": 1, "direction": "higher", "value": 0.5}
    fields |= {"std_error": None, "n": None, "step": None, "final": True, "epsilon": None}
    return {**fields, "norm": "", "label": "", "outcomes": "", "examples": "", **changes}
