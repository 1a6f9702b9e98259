"""A hundred thousand changed inputs, each answered by a result or by one line, with nothing written
elsewhere, nothing imported, no connection opened. A few hundred of them in the default run.
"""

from __future__ import annotations

import importlib
import os
import resource
import sys
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzz import arguments, commands
from fuzz.mutators import PLANTED
from fuzz.tables import DOORS, answer
from fuzz.watch import plant, watched
from harness import bench

from bench.core.errors import BenchError

FEW = 12
"""Of each door in the default run."""
PATIENCE = 60.0
"""Seconds that one input may take, on a machine that does other things, too."""
MEMORY = 4 * 2**20
"""KiB by which a door may grow the process: the largest picture that is read takes 1.5 GiB."""
WHOLE = sum(
    [
        *(door.count for door in DOORS.values()),
        *(count for count, _ in commands.WHOLE.values()),
        *arguments.COUNTS.values(),
    ]
)
SLOW = [FEW, pytest.param(None, marks=pytest.mark.slow)]
CODES = (0, 2, 3, 4, 5)
Check = Callable[[Callable[[], Any], str], None]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of its own that holds a module which nobody may import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("foolbox")  # asks for a version of git once
        importlib.import_module("matplotlib.font_manager")  # looks for fonts once
        importlib.import_module("torchvision")  # makes a folder for kernels

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "fuzz_net", raising=False)
    monkeypatch.setattr("bench.run.run.draw", lambda *run: [])
    mark = plant(tmp_path)
    yield tmp_path
    assert not mark.exists()
    assert PLANTED not in sys.modules


class Answers:
    """What came of inputs, by kind; a kind stands for all that end in the same line."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.kinds: dict[str, list[str]] = defaultdict(list)
        self.counts: Counter[Any] = Counter()
        self.before = _memory()

    def of(self, work: Callable[[], Any], name: str) -> None:
        """Do a piece of work; what it returns is counted, what it raises is a failure."""
        started = time.monotonic()
        with watched(self.place) as seen, warnings.catch_warnings():
            try:
                self.counts[work()] += 1
            except Exception as error:
                self.kinds[_where(error)].append(name)
        if seen:
            self.kinds[seen[0]].append(name)
        if time.monotonic() - started > PATIENCE:
            self.kinds["it took too long"].append(name)

    def judged(self) -> None:
        """Fail with every kind of failure, and the first input that led there."""
        assert _memory() - self.before < MEMORY
        told = [f"{len(names)} times {kind}: {names[0]:.600}" for kind, names in self.kinds.items()]
        assert not told, "\n".join(told)


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _where(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {last.filename}:{last.lineno}: {error!s:.200}"


def refused(error: BenchError) -> str:
    """An error of ours, if it is a line of what a terminal shows."""
    text = str(error)
    assert text
    assert text.isprintable() or all(x.isprintable() or x == "\xa0" for x in text), repr(text)
    return "refused"


def test_so_many_inputs_are_tried():
    assert WHOLE >= 100_000


@pytest.mark.parametrize("count", SLOW)
@pytest.mark.parametrize("name", DOORS)
def test_changed_files_are_read_or_refused(name, count, place):
    door, answers = DOORS[name], Answers(place)
    folder = place / "files"
    for sample in door.samples() if name not in ("weights", "programs") else ():
        path = folder / sample.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if sample.content:
            path.write_bytes(sample.content)
            assert answer(door, path) is None

    def read(path: Path) -> str:
        error = answer(door, path)
        return "taken" if error is None else refused(error)

    for index, path in door.inputs(count or door.count, folder):
        answers.of(lambda path=path: read(path), f"input {index}")
    answers.judged()
    assert count or answers.counts["taken"] > 0.05 * door.count


@pytest.mark.parametrize("count", SLOW)
@pytest.mark.parametrize("verb", [verb for verb in commands.WHOLE if verb != "calibrate"])
def test_changed_command_lines_are_answered(verb, count, place, capfd):
    _command_lines(verb, count, place, capfd)


@pytest.mark.slow
def test_changed_calibrations_are_answered(place, capfd):
    """Each takes seconds."""
    _command_lines("calibrate", None, place, capfd)


def _command_lines(verb: str, count: int | None, place: Path, capfd: Any) -> None:
    answers = Answers(place)

    def ask(line: commands.Line) -> int:
        code, told = bench(*line.arguments), capfd.readouterr()
        errors = [text for text in told.err.splitlines() if text.startswith("Error: ")]
        assert code in CODES, (code, told.err[-300:])
        assert len(errors) == (code == 2), told.err[-300:]
        assert "Traceback" not in told.err + told.out
        raw = [x for x in told.err + told.out if not (x.isprintable() or x in "\n\t\xa0\u3000")]
        assert not raw, raw[:5]
        return code

    for line in commands.lines(verb, count or commands.WHOLE[verb][0], place):
        answers.of(lambda line=line: ask(line), str(line))
    answers.judged()
    assert count or answers.counts[0]


@pytest.mark.parametrize("count", SLOW)
@pytest.mark.parametrize("name", arguments.COUNTS)
def test_odd_arguments_are_taken_or_refused(name, count, place, capfd):
    call, answers = arguments.calls()[name], Answers(place)
    os.chdir(commands.furnished(place / "here"))

    def ask(given: dict[str, Any]) -> str:
        try:
            call.function(**given)
        except BenchError as error:
            return refused(error)
        return "taken"

    for index, given in arguments.changed(call, count or arguments.COUNTS[name]):
        answers.of(lambda given=given: ask(given), f"call {index}: {_shown(given)}")
    answers.judged()


def _shown(given: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r:.60}" for name, value in given.items())


def test_the_watch_sees_what_it_is_for(tmp_path, monkeypatch):
    """Otherwise it would be no test of anything."""
    import socket
    import subprocess

    (tmp_path / "in").mkdir()
    plant(tmp_path)
    with watched(tmp_path / "in") as seen:
        (tmp_path / "in" / "fine").write_text("x")
        (tmp_path / "out").write_text("x")
        os.rename(tmp_path / "out", tmp_path / "moved")
        with monkeypatch.context() as path:
            path.syspath_prepend(str(tmp_path))
            importlib.import_module(PLANTED)
            del sys.modules[PLANTED]
        with socket.socket(socket.AF_UNIX) as made, pytest.raises(OSError, match="No such file"):
            made.connect(str(tmp_path / "nowhere"))
        subprocess.run(["true"], check=True)
    told = [text.split()[0] for text in seen]
    assert told == ["wrote", "wrote", "imported", "wrote", "socket.connect", "subprocess.Popen"]
    (tmp_path / "unwatched").write_text("x")
    assert len(seen) == len(told)


def test_a_door_that_raises_is_told(tmp_path):
    answers = Answers(tmp_path)
    answers.of(lambda: 1 / 0, "first")
    answers.of(lambda: (tmp_path.parent / "elsewhere").touch(), "second")
    with pytest.raises(AssertionError, match=r"1 times ZeroDivisionError at .*first"):
        answers.judged()
    assert any("elsewhere" in kind for kind in answers.kinds)


def test_torch_is_left_with_one_thread():
    assert torch.get_num_threads() == 1
