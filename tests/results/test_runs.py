"""A run as what reads it sees it: found by what is typed, each file read once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from harness import bench, cell_files, record, value

from bench import api
from bench.core.errors import UsageError
from results.runs import find_run, last_tier, read_run
from results.store import RunDirectory

heard: list[Path] | None = None
"""The files that were opened; None while nobody listens."""


def _hear(event, arguments):
    if heard is not None and event == "open" and isinstance(arguments[0], str | os.PathLike):
        heard.append(Path(arguments[0]))


sys.addaudithook(_hear)


@pytest.fixture
def opened(monkeypatch):
    """What is opened while a test runs."""
    monkeypatch.setattr(sys.modules[__name__], "heard", [])
    return heard


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run of one fitted model, two seeds."""
    folder = tmp_path_factory.mktemp("read")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(folder / "cache"))
        only = [("model", "one-gaussian"), ("dataset", "ring8@pacgan")]
        api.run("smoke", only=only, seeds=2, set={"samples": 200}, out=str(folder / "run"))
        patch.chdir(folder)
        assert bench("baseline", "set", "run", "--reason", "x", "--no-probe", "--out", "b.csv") == 0
    return folder


@pytest.mark.parametrize(
    ("arguments", "cells"),
    [
        *((("show", "run", "--format", form), True) for form in ("table", "csv", "json", "latex")),
        (("compare", "b.csv", "run"), True),
        (("baseline", "set", "run", "--reason", "x", "--out", "c.csv"), True),
        (("cite", "run"), False),
        (("sample", "run", "--model", "one-gaussian", "-n", "4", "-o", "x.npy"), False),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else "",
)
def test_a_verb_reads_each_file_of_a_run_once(made, opened, monkeypatch, capfd, arguments, cells):
    """The manifest, and every cell where its numbers are wanted."""
    monkeypatch.chdir(made)
    monkeypatch.setenv("MINIMAX_CACHE", str(made / "cache"))
    wanted = [made / "run/manifest.json", *(cell_files(made / "run") if cells else ())]
    opened.clear()
    assert bench(*arguments) == 0, capfd.readouterr().err
    counts = Counter(path for path in map(Path.absolute, opened) if path.suffix == ".json")
    inside = {path: n for path, n in counts.items() if path.is_relative_to(made / "run")}
    assert inside == dict.fromkeys(wanted, 1)


def test_the_ear_hears(opened, made):
    """What the test above rests on: a second reading counts."""
    for _ in range(2):
        read_run(RunDirectory(made / "run"))
    assert set(Counter(opened).values()) == {2}


def test_a_suite_is_found_by_its_last_tier(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert last_tier("s") is None
    for when, tier in ((2, "old"), (3, "new"), (1, "oldest")):
        folder = tmp_path / "runs/s" / tier
        folder.mkdir(parents=True)
        (folder / "manifest.json").touch()
        os.utime(folder / "manifest.json", (when, when))
    assert find_run("s").path == Path("runs/s/new")
    assert find_run("runs/s/old").path == Path("runs/s/old")
    with pytest.raises(UsageError, match="no run 'other': expected a run's folder"):
        find_run("other")
    assert find_run("other/folder").path == Path("other/folder")


def test_what_is_no_cell_of_the_manifest_is_not_read(tmp_path):
    """A cell that is not planned, and a name that would lead elsewhere."""
    directory = RunDirectory(tmp_path)
    keys = ["a" * 64, "b" * 64]
    for key in keys:
        directory.write_cell(record(key, values=[value()]), {})
    rows = [{"key": keys[0]}, {"key": "../" * 21 + "x"}, {"key": None}, {}]
    head = {"suite": "s", "tier": "t", "metrics": {}, "blocks": []}
    directory.write_manifest({**head, "cells": rows})
    assert list(read_run(directory).records) == keys[:1]


def test_showing_a_run_needs_no_torch(made):
    """Nor does what shows it from Python."""
    code = "import sys; from bench.cli import cli; cli.main(['show', 'run'], standalone_mode=False)"
    code += "; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=made, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "one-gaussian" in done.stdout
