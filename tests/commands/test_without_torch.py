"""Verbs that only read: they import no torch, and work where it is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from harness import environ, small_suite

import bench
from bench import api

HOME = Path(bench.__file__).parent.parent
NEEDED = (
    "click",
    "junitparser",
    "numpy",
    "pandas",
    "platformdirs",
    "pyarrow",
    "pydantic",
    "rich",
    "scipy",
)
"""What docs/ci/README.md tells to install for a job that only compares."""

RUN = "runs/small/quick"
VERBS = {
    "show": ["show", RUN],
    "show as LaTeX": ["show", RUN, "--format", "latex"],
    "compare": ["compare", "base", RUN, "--junit", "j.xml", "--markdown", "m.md"],
    "compare runs": ["compare", RUN, "other"],
    "baseline set": ["baseline", "set", RUN, "--reason", "x", "--no-probe", "--out", "b.csv"],
    "baseline list": ["baseline", "list"],
    "baseline show": ["baseline", "show", "base"],
    "calibrate": ["calibrate", RUN, "--splits", "10"],
    "cite": ["cite", RUN],
    "claims": ["claims", RUN],
    "the ledger": ["claims", "--verdict", "contradicted"],
    "list suites": ["list"],
    "list published": ["list", "published"],
}
PARTS = {
    "list models": ["list", "models"],
    "cite a part": ["cite", "dragan"],
    "compare tables": ["compare", f"{RUN}/table.csv", f"{RUN}/table.parquet"],
}
"""These need what is kept of the parts."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project with two runs and a baseline. The suite shows two metrics of those it measures."""
    folder = tmp_path_factory.mktemp("folder")
    deciding = 'primary = ["high_quality"]\n'
    suite = small_suite(folder, '["gan"]', '["oracle", "gmm"]', extra=deciding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        patch.setattr("bench.run.run.draw", lambda *run: [])
        api.run(suite, seeds=6)
        api.run(suite, seeds=[5, 6, 7, 8], out="other")
        done = start(folder, "baseline", "set", RUN, "--reason", "first", "--no-probe")
        assert done.returncode == 0, done.stderr
        (found,) = (folder / "results" / "baselines").glob("*.csv")
        found.rename(found.with_name("base.csv"))
    return folder


START = """
import sys
from bench.cli import main
try:
    main(sys.argv[1:])
finally:
    heavy = {'torch', 'torchvision', 'sklearn', 'foolbox', 'matplotlib', 'scipy.stats'}
    print(sorted(heavy & set(sys.modules)))
"""
IN_TURN = """
import contextlib, io, json, sys
from bench.cli import main
heavy = {'torch', 'torchvision', 'sklearn', 'foolbox', 'matplotlib', 'scipy.stats'}
told = {}
for name, arguments in json.loads(sys.argv[1]).items():
    err, code = io.StringIO(), 0
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(arguments)
        except SystemExit as done:
            code = done.code or 0
    told[name] = [code, err.getvalue(), sorted(heavy & set(sys.modules))]
print(json.dumps(told))
"""


def start(folder, *arguments, python=sys.executable, path=HOME, code=START):
    """A verb in a process of its own; what it imported that is heavy, on the last line."""
    env = {**environ(), "MINIMAX_CACHE": str(folder / "cache"), "PYTHONPATH": str(path)}
    return subprocess.run(
        [str(python), "-c", code, *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def one_after_another(folder, verbs):
    """Exit code, errors and heavy imports of verbs in one process: none imports what is heavy, so
    that the first that does is found.
    """
    done = start(folder, json.dumps(verbs), code=IN_TURN)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def in_turn(folder):
    return one_after_another(folder, VERBS)


@pytest.mark.parametrize("what", VERBS)
def test_a_verb_that_reads_imports_no_torch(in_turn, what):
    code, told, heavy = in_turn[what]
    assert "Error" not in told
    assert code in (0, 5), told
    assert heavy == []


def test_what_is_asked_of_parts_imports_torch_once(folder):
    start(folder, *PARTS["list models"])
    for code, told, heavy in one_after_another(folder, PARTS).values():
        assert code == 0, told
        assert heavy == []


def test_a_run_is_compared_by_the_facts_of_every_metric_it_has(folder):
    """In its manifest, so that no task has to be asked: those that the suite does not show, too."""
    manifest = json.loads((folder / RUN / "manifest.json").read_text())
    named = set(manifest["metrics"])
    assert {"modes_raw", "js_modes"} & set(manifest["measured"])
    assert not named & set(manifest["measured"])
    for name, facts in manifest["measured"].items():
        assert facts["kind"] in ("seeded", "paired", "deterministic"), name


def test_the_documents_name_what_is_needed():
    text = (HOME / "docs" / "ci" / "README.md").read_text()
    assert f"\npip install {' '.join(NEEDED)}\n" in text


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A virtual environment with the packages of `NEEDED`, and ours by its wheel alone."""
    home = tmp_path_factory.mktemp("bare")
    venv.create(home / "venv", with_pip=True)
    python = home / "venv" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*pip, *NEEDED], check=True, env=env)
    subprocess.run([*pip, "--no-deps", str(HOME)], check=True, env=env)
    return python


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_installation_without_torch_reads_and_compares(folder, bare):
    """Every verb that reads; the others say what is missing, on one line."""
    where = folder / "nowhere"
    for arguments in VERBS.values():
        done = start(folder, *arguments, python=bare, path=where)
        assert done.returncode in (0, 5), done.stderr
        assert "Error" not in done.stderr
        assert done.stdout == start(folder, *arguments).stdout
    for arguments in (["run", "--suite", "smoke"], ["score", "a", "b"], ["list", "models"]):
        done = start(folder, *arguments, python=bare, path=where)
        assert done.returncode == 2
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1
        assert "torch" in done.stderr
        assert "not installed here" in done.stderr
