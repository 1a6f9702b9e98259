"""What the documents tell a user to type is right, and CONTRIBUTING's loss works as told."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import api
from bench.cli import VERBS

HOME = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*HOME.glob("*.md"), *HOME.glob("docs/**/*.md"), *HOME.glob("docs/ci/*.yml")])
COMMAND = re.compile(r"(?:^[ \-]*|`|: )(?:\.venv/bin/)?\bbench ([a-z][^`\n]*)", re.MULTILINE)


def _commands():
    for path in DOCUMENTS:
        for match in COMMAND.finditer(path.read_text(encoding="utf-8")):
            yield pytest.param(match.group(1).strip(), id=f"{path.name}: {match.group(1)[:50]}")


@pytest.mark.parametrize("line", [*_commands()])
def test_every_command_in_the_documents_parses(line):
    """Verb and options exist; suites and tiers are looked up, files and runs are not."""
    verb, *arguments = shlex.split(line, comments=True)
    assert verb in VERBS
    command = importlib.import_module(f"bench.commands.{verb}").command
    if verb in ("run", "plan") and arguments:
        options = command.make_context(verb, arguments).params
        if not options["suite"].endswith(".toml"):
            from bench.suites.schema import load_suite

            suite = load_suite(options["suite"])
            assert options["tier"] is None or options["tier"] in suite.tiers


def test_make_targets_in_the_documents_exist():
    """`make demo` and its like are targets of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (HOME / "Makefile").read_text(), re.MULTILINE))
    for path in DOCUMENTS:
        named = re.findall(r"`make ([a-z-]+)", path.read_text(encoding="utf-8"))
        assert set(named) <= targets, path.name


def _blocks():
    text = (HOME / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def newcomer(tmp_path):
    """A copy of the tree with CONTRIBUTING.md's loss, attack and metric, as they are printed, and
    what runs a module there.
    """
    for name in ("bench", "attacks", "generative", "metrics", "results", "tests", "docs"):
        shutil.copytree(HOME / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*HOME.glob("*.md"), HOME / "pyproject.toml", HOME / "Makefile"]:
        shutil.copy(path, tmp_path)
    loss, *_, attack, metric = _blocks()
    assert len(loss.splitlines()) <= 30
    (tmp_path / "generative" / "losses" / "squareplus.py").write_text(loss)
    (tmp_path / "metrics" / "mode_share.py").write_text(metric)
    (tmp_path / "attacks" / "fgsm_rs.py").write_text(attack)

    def here(*command: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return here


def _passed(done):
    assert done.returncode == 0, done.stdout[-3000:]
    return int(re.findall(r"(\d+) passed", done.stdout)[0])


OF_NEW_PARTS = "squareplus or mode_share or fgsm-rs or an-entry or exemptions"
"""Their own laws, and those that are about all parts together."""
OF_REGISTRIES = (
    "tests/golden",
    "tests/core/test_registry.py",
    "tests/results/test_published.py",
    "tests/attacks/test_engine.py",
    "tests/generative/test_penalties.py",
    "tests/metrics/test_modes.py",
    "tests/metrics/test_robustness.py",
    "tests/reference/test_optimal_critics.py",
    "tests/reference/test_translation_metrics.py",
    "tests/results/test_baselines.py",
)
"""What reads registries whole, and is fast."""
OF_NO_NEW_PART = " or ".join(
    (
        "test_parts_from_other_distributions",
        "test_a_table_is_whole",
        "test_the_gate",
        "torchmetrics",
    )
)
"""What is not, and would be the same."""
ROW = """
import pytest
from harness import bench, table


def test_it_has_a_row_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    only = ("--only", "model=oracle", "--only", "model=squareplus-gan", "--grid", "model=*")
    asked = ("--executor", "inline", "--seeds", "1", "--set", "steps=20")
    assert bench("run", "--suite", "smoke", *only, *asked) == 0
    rows = table(tmp_path / "runs" / "smoke" / "quick")
    assert set(rows["model"]) == {"oracle", "squareplus-gan"}
    assert "mode_share" in set(rows["metric"])
    assert "squareplus-gan" in capsys.readouterr().out
"""
"""In the process of the other tests: another one would import everything again."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_newcomers_part_is_one_file(newcomer, tmp_path):
    """Its laws hold, nothing else breaks, and it has a row at once."""
    (tmp_path / "tests" / "test_row.py").write_text(ROW)
    quiet = ("pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider")
    chosen = f"({OF_NEW_PARTS} or not test_a_law_holds) and not ({OF_NO_NEW_PART})"
    read = ("tests/test_row.py", "tests/laws/test_laws.py", *OF_REGISTRIES)
    done = newcomer(*quiet, "-rA", *read, "-k", chosen, "-m", "slow or not slow", timeout=900)
    assert _passed(done) >= 200
    assert "PASSED tests/test_row.py::test_it_has_a_row_at_once" in done.stdout


OWN = ("my_view", "my_term", "my_game")
OWN_PARTS = ("my_view:mirror", "my_term:near", "my_view:mine", "my_term:mine", "my_game:mine")
IN_A_FOLDER = """
import sys
import pandas as pd
from bench.cli import main
from bench.laws.check import check_part

broken = [
    (part, row.law, row.counter_example)
    for part in sys.argv[1:]
    for row in check_part(part).itertuples()
    if row.verdict == "broken"
]
assert not broken, broken
asked = "run --suite smoke --grid model=oracle,my_view:mine,my_term:mine,my_game:mine"
more = "--only dataset=ring8@pacgan --set flip=0.25 --set steps=30 --seeds 1 --executor inline"
try:
    main(f"{asked} {more}".split())
except SystemExit as left:
    assert not left.code, left
table = pd.read_csv("runs/smoke/quick/table.csv")
assert set(table.status) == {"ok"}
assert set(table.model) == {"oracle", "my_view:mine", "my_term:mine", "my_game:mine"}
flips = table[table.settings.str.contains('"flip": 0.25')].model
assert set(flips) == {"my_view:mine"}
print("all of it holds")
"""


def test_a_view_a_term_and_a_game_of_a_third_party(tmp_path):
    """As they are printed, from a folder of their own: the laws hold, and each has its rows, under
    a setting of its own.
    """
    for name, block in zip(OWN, _blocks()[2:5], strict=True):
        (tmp_path / f"{name}.py").write_text(block)
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FOLDER, *OWN_PARTS],
        cwd=tmp_path,
        env=os.environ | {"MINIMAX_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "all of it holds" in done.stdout, done.stdout[-2000:] + done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_newcomers_part_breaks_no_test(newcomer):
    """All of `make test`, but for this file."""
    given = ("-q", "-n", "auto", "--benchmark-disable", "--ignore=tests/commands/test_docs.py")
    assert _passed(newcomer("pytest", *given, timeout=3500)) > 3_000


@pytest.mark.usefixtures("undrawn")
def test_a_loss_may_live_in_the_users_folder(tmp_path, monkeypatch):
    """`--grid model=my_loss:mine` finds a recipe beside the user."""
    loss, addition, *_ = _blocks()
    own = loss.replace('"squareplus"', '"squareplus-mine"').replace("squareplus-gan", "my-gan")
    (tmp_path / "my_loss.py").write_text(own + addition.replace("squareplus", "squareplus-mine"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    grid = [("model", ["oracle", "my_loss:mine"])]
    table = api.run("smoke", grid=grid, seeds=[0], set={"steps": 5})
    assert set(table["model"]) == {"oracle", "my_loss:mine"}
    assert set(table["status"]) == {"ok"}
