"""Plants faults in a copy of the source, one at a time, and runs the tests that ought to see them.

A fault is data: a name, a file, a text that stands there exactly once, what stands there instead,
and which tests see it (`faults/*.toml`).
"""

from __future__ import annotations

import compileall
import json
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COPIED = ("bench", "attacks", "generative", "metrics", "results", "tests", "pyproject.toml")
USUAL = [
    *"-x -q --no-header --tb=short -p no:randomly -p no:cacheprovider -p no:xdist".split(),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
    *("-o", "addopts=--import-mode=importlib --strict-markers --strict-config"),
]
"""Without the checks of shapes, which take longer to set up than most of these tests to run."""
SECONDS = 240.0
GREEN, RED = 0, 1
"""Pytest's exit codes: all passed, some failed. Anything else is a fault of the list."""


@dataclass(frozen=True)
class Fault:
    """old, new: two texts, the first exactly once in the file. seen_by: pytest's arguments, paths
    from the root; one of those tests at least has to fail.
    """

    name: str
    file: str
    old: str
    new: str
    seen_by: tuple[str, ...]


def faults() -> list[Fault]:
    """All that are listed. Raises ValueError for a name that stands there twice."""
    found = []
    for path in sorted((HERE / "faults").glob("*.toml")):
        table = tomllib.loads(path.read_text())
        for given in table["fault"]:
            told = {"seen_by": table["seen_by"], **given}
            found.append(Fault(**{**told, "seen_by": tuple(told["seen_by"])}))
    names = [fault.name for fault in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"expected a name for each fault, got twice: {', '.join(sorted(twice))}")
    return found


def planted(fault: Fault, source: str) -> str:
    """The text of a file with the fault. Raises ValueError where the old text isn't there once."""
    count = source.count(fault.old)
    if count != 1 or fault.old == fault.new:
        raise ValueError(
            f"fault '{fault.name}': expected its old text once in {fault.file}, found it {count} "
            "times: amend the list"
        )
    return source.replace(fault.old, fault.new)


@dataclass(frozen=True)
class Ran:
    """What became of a selection of tests: pytest's exit code, and what it wrote."""

    code: int
    output: str


class Nursery:
    """A copy of the source, and a process that runs tests of it."""

    def __init__(self, root: Path, process: subprocess.Popen[str]) -> None:
        self.root, self._process = root, process

    def run(self, selection: Sequence[str], seconds: float = SECONDS) -> Ran:
        """Some tests of the copy as it stands."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        output = self.root.parent / "output.txt"
        asked = {"arguments": [*USUAL, *selection], "output": str(output), "seconds": seconds}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        return Ran(int(answer), output.read_text(errors="replace"))

    @contextmanager
    def with_fault(self, fault: Fault) -> Iterator[None]:
        """The copy with a fault in it, and without it again."""
        path = self.root / fault.file
        own = path.read_text()
        path.write_text(planted(fault, own))
        try:
            yield
        finally:
            path.write_text(own)


@contextmanager
def nursery() -> Iterator[Nursery]:
    """Opened on the source as it is now. Byte code is told from its source by content: two texts
    of one size may be written within a second.
    """
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        root = Path(folder) / "source"
        root.mkdir()
        for name in COPIED:
            _copy(ROOT / name, root / name)
        checked = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(root, quiet=2, invalidation_mode=checked)
        environment = {
            **os.environ,
            "PYTHONPATH": str(root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "GIT_PYTHON_REFRESH": "quiet",
        }
        process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", str(HERE / "zygote.py")],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield Nursery(root, process)
            process.kill()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)
