"""What can't be done is one line that says what to do; nothing is written and nothing lost."""

from __future__ import annotations

import builtins
import errno
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import torch
from harness import (
    FAULTY,
    assert_same,
    bench,
    cell_files,
    faulty_suite,
    small_suite,
    spawn,
    started,
    table,
    wait_for,
)

from bench import cli
from bench.core import files
from bench.core.errors import BenchError, StoreError, UsageError, nearest, one_line, unknown
from results.store import RunDirectory

SMOKE = ("run", "--suite", "smoke")
HEAD = '{"schema_version": 1, "suite": "s", "tier": "t", "metrics": {}, '
NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty present folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def error(capfd, *arguments: str, code: int = 2) -> str:
    """The one line on stderr of a command that fails with a code, beside those of cells."""
    capfd.readouterr()
    assert bench(*arguments) == code
    out, err = capfd.readouterr()
    err = re.sub(r"(?m)^\d+ of \d+: \w+ .*\n", "", err)
    assert err.startswith("Error: ")
    assert len(err.splitlines()) == 1
    assert len(err) <= 320
    assert out == ""
    return err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("rnu",), "unknown command 'rnu': did you mean 'run'?"),
        (("zzz",), "`bench --help` lists them"),
        (("--nothing",), "--nothing"),
        (("run",), "--suite"),
        (("run", "smoke"), "--suite"),
        ((*SMOKE, "--sed", "1"), "--seeds"),
        (("run", "--suite", "smoek"), "unknown suite 'smoek': did you mean 'smoke'?"),
        (("run", "--suite", "absent.toml"), "can't read the suite absent.toml: No such file"),
        (("run", "--suite", ""), "unknown suite ''"),
        (("run", "--suite", "../smoke"), "unknown suite '../smoke'"),
        ((*SMOKE, "--tier", "quik"), "unknown tier 'quik': did you mean 'quick'?"),
        ((*SMOKE, "--tier", "../quick"), "unknown tier"),
        ((*SMOKE, "--seeds", ""), "--seeds"),
        ((*SMOKE, "--seeds", "0"), "--seeds"),
        ((*SMOKE, "--seeds", "-1"), "--seeds"),
        ((*SMOKE, "--seeds", "1,,2"), "--seeds"),
        ((*SMOKE, "--seeds", "0,-2"), "--seeds"),
        ((*SMOKE, "--seeds", "abc"), "--seeds: expected a count such as 5 or a list"),
        ((*SMOKE, "--set", "steps"), "--set: expected KEY=VALUE, got 'steps'"),
        ((*SMOKE, "--set", "=5"), "--set: expected KEY=VALUE"),
        ((*SMOKE, "--set", "steps=many"), "setting 'steps'"),
        ((*SMOKE, "--set", "steps=1.5"), "setting 'steps'"),
        ((*SMOKE, "--set", "steps=true"), "setting 'steps'"),
        ((*SMOKE, "--set", "steps=-1"), "setting 'steps'"),
        ((*SMOKE, "--set", "steps="), "setting 'steps'"),
        ((*SMOKE, "--set", "steps=[1, 2]"), "--set steps: expected one number"),
        ((*SMOKE, "--set", "steps=2020-01-01"), "--set steps: expected one number"),
        ((*SMOKE, "--set", "generator_lr=nan"), "setting 'generator_lr'"),
        ((*SMOKE, "--set", "generator_lr=1e999"), "setting 'generator_lr'"),
        ((*SMOKE, "--set", "stepz=1"), "unknown setting 'stepz': did you mean 'steps'?"),
        ((*SMOKE, "--set", "protocol=pacgna"), "unknown protocol 'pacgna': did you mean 'pacgan'?"),
        ((*SMOKE, "--only", "model"), "--only: expected KEY=VALUE"),
        ((*SMOKE, "--only", "modl=gan"), "unknown axis in --only 'modl': did you mean 'model'?"),
        ((*SMOKE, "--only", "model=gna"), "did you mean"),
        ((*SMOKE, "--only", "model="), "matches nothing"),
        ((*SMOKE, "--only", "attack=*"), "unknown axis in --only 'attack'"),
        ((*SMOKE, "--grid", "modl=gan"), "unknown axis in --grid 'modl'"),
        ((*SMOKE, "--grid", "model=gna"), "unknown model 'gna'"),
        ((*SMOKE, "--grid", "model="), "expected names with commas between, got none"),
        ((*SMOKE, "--grid", "model=math:pi"), "math:pi"),
        ((*SMOKE, "--grid", "model=no_such_module:part"), "can't import 'no_such_module'"),
        ((*SMOKE, "--grid", "dataset=ring8@pacgna"), "did you mean 'ring8@pacgan'?"),
        ((*SMOKE, "--device", "gpu"), "unknown device 'gpu'"),
        pytest.param((*SMOKE, "--device", "cuda"), "device 'cuda' is not there", marks=NO_CUDA),
        ((*SMOKE, "--workers", "0"), "--workers: expected at least 1, got 0"),
        ((*SMOKE, "--workers", "-3"), "--workers: expected at least 1, got -3"),
        ((*SMOKE, "--workers", "two"), "--workers"),
        ((*SMOKE, "--timeout", "0"), "--timeout: expected seconds above 0, got 0"),
        ((*SMOKE, "--timeout", "-1"), "--timeout: expected seconds above 0"),
        ((*SMOKE, "--timeout", "nan"), "--timeout: expected seconds above 0"),
        (
            (*SMOKE, "--timeout", "5", "--executor", "inline"),
            "--timeout needs --executor processes",
        ),
        ((*SMOKE, "--executor", "slurm"), "unknown executor 'slurm'"),
        ((*SMOKE, "--out", "/proc/nothing/run"), "can't write in /proc/nothing/run"),
        ((*SMOKE, "--out", "/dev/null"), "is a file"),
        ((*SMOKE, "--out", "/dev/null/run"), "can't write in /dev/null/run"),
        ((*SMOKE, "--out", "x" * 300), "File name too long"),
        (("plan", "--suite", "smoek"), "did you mean 'smoke'?"),
        (("plan", "--suite", "smoke", "--workers", "0"), "--workers: expected at least 1"),
        (("plan", "--suite", "smoke", "--workers", "-2"), "--workers: expected at least 1"),
        (("list", "modles"), "unknown kind 'modles': did you mean 'models'?"),
        (("show",), "RUN"),
        (("show", "nothing"), "no run 'nothing'"),
        (("show", ""), ""),
        (("show", "runs/none/quick"), "holds no run"),
        (("show", "."), "holds no run"),
        (("show", "/dev/null"), "can't be read"),
        (("show", "x" * 300), ""),
        (("show", ".", "--format", "html"), "html"),
        (("cite", "nothing"), "nothing"),
        (("clean", "--all"), "--all"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(capfd, here, arguments, expected):
    assert expected in error(capfd, *arguments)
    assert list(here.iterdir()) == []


def test_without_a_command_the_help_is_shown(capfd):
    bench()
    out, err = capfd.readouterr()
    assert "Commands:\n" in out + err
    assert "Error" not in out + err


def test_a_metric_of_a_suite_file_is_checked(capfd, here, tmp_path):
    suite = small_suite(tmp_path, "high_quality", "high_qualty")
    assert "did you mean 'high_quality'" in error(capfd, "run", "--suite", suite)
    suite = small_suite(tmp_path, "metrics =", 'published = ["pacgan-tabel1"]\nmetrics =')
    assert "did you mean 'pacgan-table1'" in error(capfd, "run", "--suite", suite)
    assert list(here.iterdir()) == []


def test_a_key_of_a_suite_file_is_checked(capfd, here, tmp_path):
    suite = small_suite(tmp_path, "metrics =", "metric =")
    assert "unknown key 'block.0.metric': did you mean 'metrics'?" in error(
        capfd, "run", "--suite", suite
    )
    (tmp_path / "broken.toml").write_text("name = [")
    assert "is not valid TOML" in error(capfd, "run", "--suite", str(tmp_path / "broken.toml"))
    assert list(here.iterdir()) == []


def test_a_folder_of_other_files_is_left_alone(capfd, here):
    (here / "thesis.tex").write_text("all of it")
    for extra in ((), ("--fresh",), ("--keep-old",)):
        assert "holds other files and no run" in error(capfd, *SMOKE, "--out", ".", *extra)
    assert [path.name for path in here.iterdir()] == ["thesis.tex"]


def test_a_folder_with_the_manifest_of_something_else_is_left_alone(capfd, here):
    (here / "site").mkdir()
    (here / "site" / "manifest.json").write_text('{"name": "my page"}')
    for extra in ((), ("--fresh",)):
        assert error(capfd, *SMOKE, "--out", "site", *extra)
    assert [path.name for path in here.iterdir()] == ["site"]
    assert [path.name for path in (here / "site").iterdir()] == ["manifest.json"]


def test_another_runs_folder_is_left_alone(capfd, here, tmp_path):
    faulty = faulty_suite(tmp_path, "number")
    assert bench("run", "--suite", faulty, "--executor", "inline", "--out", "run") == 0
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    for extra in ((), ("--fresh",), ("--keep-old",)):
        message = error(capfd, *SMOKE, "--out", "run", *extra)
        assert (
            "holds a run of faulty (quick), not of smoke (quick): choose another --out" in message
        )
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_a_second_driver_is_refused(capfd, here, tmp_path):
    faulty = faulty_suite(tmp_path, "number")
    run = RunDirectory(here / "runs/faulty/quick")
    with run.lock():
        for extra in ((), ("--fresh",)):
            message = error(capfd, "run", "--suite", faulty, "--executor", "inline", *extra)
            assert "another bench is running in runs/faulty/quick: wait for it" in message
    assert bench("run", "--suite", faulty, "--executor", "inline") == 0


@pytest.mark.slow
def test_a_second_driver_in_another_process_is_refused(here, tmp_path):
    faulty = faulty_suite(tmp_path, "number", "sleeps")
    with started("run", "--suite", faulty, "--workers", "2", cwd=here):
        assert wait_for(lambda: cell_files(here / "runs/faulty/quick"))
        done = spawn("run", "--suite", faulty, cwd=here)
        assert done.returncode == 2
        assert "another bench is running" in done.stderr
        assert len(cell_files(here / "runs/faulty/quick")) == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "can't be read"),
        ("{", "can't be read"),
        ("[1]", "can't be read"),
        ('{"schema_version": 999}', "newer than 1: upgrade minimax-bench"),
        (HEAD + '"cells": []}', "manifest.json"),
        (HEAD + '"cells": [5], "blocks": []}', "manifest.json"),
        (HEAD + '"cells": [{}], "blocks": [{}]}', "manifest.json"),
    ],
)
def test_a_damaged_manifest_is_one_line(capfd, here, content, expected):
    (here / "run").mkdir()
    (here / "run" / "manifest.json").write_text(content)
    assert expected in error(capfd, "show", "run")
    assert expected in error(capfd, "cite", "run")
    assert (here / "run" / "manifest.json").read_text() == content


def test_show_says_when_cells_can_not_be_read(capfd, here, tmp_path):
    assert (
        bench("run", "--suite", faulty_suite(tmp_path, "number", seeds=2), "--executor", "inline")
        == 0
    )
    os.truncate(cell_files(here / "runs/faulty/quick")[0], 50)
    capfd.readouterr()
    assert bench("show", "faulty") == 0
    assert "1 left" in "".join(capfd.readouterr())


def test_traceback_shows_where_an_error_came_from(capfd):
    assert bench("--traceback", "run", "--suite", "smoek") == 2
    err = capfd.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("Error: unknown suite")


def test_a_bug_is_one_line_and_exit_code_1(capfd, monkeypatch):
    def broken(kind: str) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("bench.catalogue.index.listed", broken)
    message = error(capfd, "list", "models", code=1)
    assert "internal error: ZeroDivisionError: division by zero" in message
    assert "--traceback" in message


def test_an_interrupt_is_130(capfd, monkeypatch):
    def interrupted(kind: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.catalogue.index.listed", interrupted)
    assert bench("list", "models") == cli.INTERRUPTED == 130
    assert capfd.readouterr().err.strip() == "Error: interrupted"


def test_a_reader_that_stops_reading_is_no_error():
    done = subprocess.run(
        "bench list suites --json | head -c 1",
        shell=True, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PATH": f"{Path(os.sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.stderr == ""


class FullDisk:
    """A disk that takes some writes and then no more."""

    def __init__(self, monkeypatch, call: str, writes: int) -> None:
        self.left = writes
        self.real = builtins.open if call == "open" else getattr(os, call)
        place = (files, "open") if call == "open" else (files.os, call)
        monkeypatch.setattr(*place, self, raising=False)

    def __call__(self, *arguments, **options):
        if self.left <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.left -= 1
        return self.real(*arguments, **options)


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_a_full_disk_keeps_what_was_finished_and_the_run_goes_on(
    capfd, here, tmp_path, monkeypatch, call
):
    arguments = ("run", "--suite", faulty_suite(tmp_path, "several", "number", seeds=2))
    assert bench(*arguments, "--executor", "inline", "--out", "whole") == 0
    whole = table(here / "whole")
    for writes in range(9):
        out = here / f"{call}-{writes}"
        with monkeypatch.context() as patch:
            FullDisk(patch, call, writes)
            message = error(
                capfd,
                *arguments,
                "--executor",
                "inline",
                "--out",
                str(out),
                code=StoreError.exit_code,
            )
        assert "the disk is full" in message
        assert "the same command goes on" in message
        finished = {path: path.read_bytes() for path in cell_files(out)}
        assert not list(out.rglob("*.tmp"))
        assert bench(*arguments, "--executor", "inline", "--out", str(out)) == 0
        assert all(path.read_bytes() == content for path, content in finished.items())
        assert_same(table(out), whole)


@pytest.mark.usefixtures("undrawn")
def test_a_full_disk_in_a_real_training_keeps_what_was_finished(capfd, here, tmp_path, monkeypatch):
    arguments = ("run", "--suite", small_suite(tmp_path), "--executor", "inline")
    assert bench(*arguments, "--out", "whole") == 0
    monkeypatch.setenv("MINIMAX_CHECKPOINT_SECONDS", "0")
    for writes in (0, 2, 4, 6):
        monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / f"cache-{writes}"))
        out = f"full-{writes}"
        with monkeypatch.context() as patch:
            disk = FullDisk(patch, "fsync", writes)
            capfd.readouterr()
            code = bench(*arguments, "--out", out)
        assert (code == 0) == (disk.left > 0), writes
        if code:
            assert code == 1
            assert "the disk is full" in capfd.readouterr().err
        assert bench(*arguments, "--out", out) == 0
        assert_same(table(here / out), table(here / "whole"))


@pytest.mark.parametrize("name", [".lease", "manifest.json", "cells", "table.csv"])
def test_a_folder_or_file_in_a_place_of_ours_is_one_line(capfd, here, tmp_path, name):
    arguments = ("run", "--suite", faulty_suite(tmp_path, "number"), "--executor", "inline")
    assert bench(*arguments) == 0
    run = here / "runs/faulty/quick"
    run.rename(here / "aside")
    run.mkdir()
    for path in (here / "aside").iterdir():
        if path.name != name:
            path.rename(run / path.name)
    if name == "cells":
        (run / name).write_text("")
    else:
        (run / name).mkdir()
    capfd.readouterr()
    assert bench(*arguments) in (1, 2)
    err = capfd.readouterr().err
    assert "internal error" not in err
    assert err.splitlines()[-1].startswith("Error: ")


def test_a_suite_file_may_have_any_name_that_a_file_can_have(here, tmp_path):
    odd = tmp_path / "odd name [x] é.toml"
    odd.write_text(FAULTY.format(seeds=1, models='"number"'))
    assert bench("run", "--suite", str(odd), "--executor", "inline") == 0
    assert json.loads((here / "runs/faulty/quick/manifest.json").read_text())["suite"] == "faulty"


def test_an_error_says_its_code():
    assert (BenchError.exit_code, UsageError.exit_code, StoreError.exit_code) == (1, 2, 1)


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("gna", ["gan", "gmm"], "unknown model 'gna': did you mean 'gan'?"),
        ("zzzz", ["gan", "gmm"], "unknown model 'zzzz': known: gan, gmm"),
        ("zzzz", [f"{i:02}" for i in range(13)], "11, …"),
        ("zzzz", [], "none is registered"),
    ],
)
def test_an_unknown_name_is_answered_with_what_there_is(name, known, expected):
    assert expected in str(unknown("model", name, known))


def test_a_line_is_one_line_of_bounded_length():
    assert one_line("a\n b\t\r\nc\u2028d") == "a b c d"
    assert len(one_line("x" * 10_000)) == 300
    assert nearest("", ["a"]) is None
