"""What a command that takes long tells of itself."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from harness import bench, small_suite
from rich.console import Console

from bench import api
from bench.commands.run import _Progress
from bench.core.files import cache_folder
from bench.models.store import ArtifactStore
from bench.run.run import plan_of, step_of
from bench.run.runner import Outcome
from bench.tasks import TASKS

LINE = re.compile(
    r"(\d) of 4: (ok|failed) mixture/ring8@pacgan/(gan|oracle)\S* seed [01] \(\d+\.\d s\)"
    r"(, about \d+:\d\d to go)?"
)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def suite(tmp_path):
    return small_suite(tmp_path, '["gan"]', '["gan", "oracle"]')


def test_a_line_for_each_finished_cell_where_there_is_no_terminal(capfd, suite):
    """On stderr; the last one says no time."""
    assert bench("run", "--suite", suite, "--seeds", "2", "--executor", "inline") == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if " of 4: " in line]
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found), lines
    assert [one[1] for one in found] == ["1", "2", "3", "4"]
    assert not found[-1][4]
    assert bench("run", "--suite", suite, "--seeds", "2", "--executor", "inline") == 0
    assert capfd.readouterr().err == ""


def kept_at(cell, step):
    """Leave the state of a training as a worker would that is at a step."""
    kind, key = TASKS[cell.task].part.artifact(cell)
    _, described = ArtifactStore(cache_folder())._paths(kind, key)
    described.parent.mkdir(parents=True, exist_ok=True)
    described.with_suffix(".partial.json").write_text(json.dumps({"step": step, "sha256": "x"}))


def test_the_bar_names_the_cell_that_is_measured_and_its_step(suite):
    """The longest first, as they are begun; a model that is not trained has no step."""
    cells = plan_of(suite, seeds=2).cells
    progress = _Progress()
    progress._begin(cells, 0)
    trained = [cell for cell in cells if cell.part("model") == "gan"]
    others = [cell for cell in cells if cell.part("model") == "oracle"]
    assert others[0].seconds > trained[0].seconds
    for cell in others:
        assert progress.at_work() == f"{cell.cell_id} seed {cell.seed}"
        assert step_of(cell) is None
        progress._step(cell, Outcome(cell.key, "ok", "", 1.0))
    assert step_of(trained[0]) is None
    assert progress.at_work().endswith("seed 0")
    kept_at(trained[0], 12)
    assert step_of(trained[0]) == 12
    assert progress.at_work() == f"{trained[0].cell_id} seed 0, step 12 of 20"
    progress._step(trained[0], Outcome(trained[0].key, "ok", "", 1.0))
    assert progress.at_work().endswith("seed 1")
    progress._step(trained[1], Outcome(trained[1].key, "ok", "", 1.0))
    assert progress.at_work() == "measuring"


def test_the_bar_is_shown_with_name_and_time(suite, capsys):
    """As a terminal has it."""
    cells = plan_of(suite, seeds=2).cells
    progress = _Progress()
    progress._bar.disable = False
    progress._bar.live.console = console = Console(force_terminal=True, width=160)
    with progress, console.capture() as shown:
        progress._begin(cells, 0)
        progress._step(cells[0], Outcome(cells[0].key, "ok", "", 1.0))
        progress._bar.refresh()
    text = shown.get()
    assert "mixture/ring8@pacgan/oracle" in text
    assert "1 done, 0 failed, 3 left, about " in text


@pytest.mark.usefixtures("quick_audit")
def test_the_audit_counts_its_diagnostics():
    told = []
    api.attack("softmax", "optdigits", images=10, epsilons="0.02", notify=told.append)
    counted = [re.fullmatch(r"audit, (\d+) of (\d+)", text) for text in told]
    numbers = np.array([[int(one[1]), int(one[2])] for one in counted if one])
    assert (numbers[:, 0] == np.arange(1, len(numbers) + 1)).all()
    assert (numbers[:, 1] == len(numbers)).all()
    assert len(numbers) > 10
