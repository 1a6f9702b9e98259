"""Runs that are disturbed by a schedule, and end as if they had not been.

A schedule is a seed and a list of faults; each strikes when a random number of further cells is
finished. The command is given again until nothing is left to measure.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil
from harness import assert_same, bench, cell_files, marked, table, wait_for

from bench.core.files import cache_folder

PATIENCE = 400.0
SUITE = """
name = "faulty"
default_tier = "quick"

[tiers.quick]
seeds = 10

[[block]]
name = "faults"
task = "faulty:TASK"
grid.model = ["naps", "number", "several"]
settings = { seconds = 0.25 }
metrics = ["score"]
"""
AGAIN = 4, 1
"""Exit codes after which the same command goes on: cells failed, or the run could not go on."""


@dataclass
class Driver:
    """A command in a forked process: its number, its mark, and where it writes."""

    pid: int
    mark: str
    log: Path
    code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            assert wait_for(lambda: self.poll() is not None, 60)

    def workers(self) -> list[psutil.Process]:
        """Processes that it spawned."""
        return [one for one in marked(self.mark) if one.pid != self.pid]


def drive(arguments: Sequence[str], folder: Path, ahead: float = 0.0) -> Driver:
    """Begin a command in a folder. ahead: seconds by which its clock is wrong."""
    mark, log = uuid.uuid4().hex, folder / "log.txt"
    pid = os.fork()
    if pid:
        return Driver(pid, mark, log)
    code = 99
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        os.chdir(folder)
        os.environ["BENCH_TEST_MARK"] = mark
        now = time.time
        time.time = lambda: now() + ahead
        code = bench(*arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


@dataclass
class Campaign:
    """One run and what happens to it. before: cells that were there when the driver began. strike:
    what each fault does to a driver that runs.
    """

    folder: Path
    arguments: list[str]
    seed: int
    strike: dict[str, Callable[[Campaign], None]]
    driver: Driver | None = None
    ahead: float = 0.0
    before: int = 0
    struck: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def begin(self) -> Driver:
        """A driver that runs, if there is none; its clock may be wrong."""
        if self.driver is None or self.driver.poll() is not None:
            self.driver = drive(self.arguments, self.folder, self.ahead)
            self.before = len(cell_files(self.run))
            self.marks.append(self.driver.mark)
        return self.driver

    def go(self, faults: Sequence[str]) -> None:
        """All faults in their order, then on to the end."""
        for fault in faults:
            driver, before = self.begin(), len(cell_files(self.run))
            goal = before + self.rng.randint(0, 3)
            assert wait_for(
                lambda d=driver, g=goal: len(cell_files(self.run)) >= g or d.poll() is not None,
                PATIENCE,
            ), self.said()
            if driver.poll() is None:
                time.sleep(self.rng.uniform(0, 0.3))
                self.strike[fault](self)
                self.struck.append(fault)
        for _ in range(8):
            driver = self.begin()
            assert wait_for(lambda d=driver: d.poll() is not None, PATIENCE), self.said()
            if driver.code not in AGAIN:
                break
        assert self.driver is not None
        assert self.driver.code == 0, (self.struck, self.said())
        assert "Traceback" not in self.log(), self.said()

    def check(self, faults: Sequence[str], expected: pd.DataFrame) -> None:
        """All faults, and then the table of a run that had none, each cell once, nothing left."""
        try:
            self.go(faults)
            assert_same(table(self.run), expected)
            assert len(cell_files(self.run)) == expected["key"].nunique()
            self.check_clean(cache_folder())
        finally:
            if self.driver is not None:
                self.driver.kill()

    def check_interrupted(self) -> None:
        """As a user's interrupt ends; one that comes before the command has begun to listen ends it
        as any process.
        """
        begun = len(cell_files(self.run)) > self.before
        assert self.driver is not None
        assert self.driver.code in ((130,) if begun else (130, -signal.SIGTERM)), self.said()

    def log(self) -> str:
        path = self.folder / "log.txt"
        return path.read_text() if path.exists() else ""

    def said(self) -> str:
        return self.log()[-3000:]

    def check_clean(self, cache: Path) -> None:
        """No process, lock, note or half of a file is left."""
        assert wait_for(lambda: not any(marked(mark) for mark in self.marks), 60)
        found = [path for place in (self.run, cache) for path in place.rglob("*") if path.is_file()]
        left = [p for p in found if p.name.startswith(".") or p.suffix == ".tmp"]
        assert not left
        assert not list((self.run / "underway").glob("*"))
