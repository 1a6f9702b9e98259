"""`bench sample` of a sweep: which training is drawn of a model that was trained with several."""

from __future__ import annotations

import re

import numpy as np
import pytest
from harness import bench, small_suite

from bench import api
from bench.core.errors import UsageError

RATES, SEEDS = (1e-4, 3e-4), (2, 5)
SECOND = """
[[block]]
name = "again"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["gan"]
settings = { steps = 7, samples = 100 }
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Two rates and two seeds of a GAN, and a block with other steps."""
    home = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(home / "cache"))
        patch.chdir(home)
        grid = [("critic_lr", [str(rate) for rate in RATES])]
        suite = small_suite(home, extra=SECOND)
        report = api.execute(suite, grid=grid, seeds=SEEDS, out=str(home / "run"))
    return home, report


@pytest.fixture(autouse=True)
def cached(swept, monkeypatch):
    monkeypatch.setenv("MINIMAX_CACHE", str(swept[0] / "cache"))


def scored(report, rate, seed, block):
    """The samples that a cell was scored by."""
    (cell,) = {
        c["key"]: c
        for c in report.run.manifest()["cells"]
        if (c["settings"]["critic_lr"], c["seed"], c["block"]) == (rate, seed, block)
    }.values()
    return report.run.samples(cell["key"])["samples"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("block", ["mixtures", "again"])
def test_each_point_of_a_sweep_is_drawn(swept, rate, seed, block):
    home, report = swept
    only = {"critic_lr": f"{rate:g}"}
    drawn = api.sample(str(home / "run"), "gan", only=only, seed=seed, block=block, n=20)
    np.testing.assert_array_equal(drawn, scored(report, rate, seed, block)[:20])


def test_a_value_may_be_written_as_on_the_command_line_and_patterns_add_up(swept, tmp_path):
    home, report = swept
    wanted = ["--only", "critic_lr=.0001", "--only", "steps=7", "--seed", "5", "-n", "20"]
    out = tmp_path / "x.npy"
    assert bench("sample", home / "run", "--model", "gan", *wanted, "-o", out) == 0
    np.testing.assert_array_equal(np.load(out), scored(report, 1e-4, 5, "again")[:20])
    drawn = api.sample(
        str(home / "run"), "gan", only=[("steps", "7"), ("critic_lr", "0.0003*")], seed=5, n=20
    )
    np.testing.assert_array_equal(drawn, scored(report, 3e-4, 5, "again")[:20])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], r"critic_lr 0.0001, 0.0003;.*\): say which by --only.* and by --block"),
        (["--block", "again"], r"critic_lr 0.0001, 0.0003\): say which by --only"),
        (["--only", "critic_lr=3e-4"], r"in the blocks mixtures, again: say which by --block"),
        (["--only", "critic_lr=5"], r"unknown critic_lr '5': known: 0.0001, 0.0003"),
        (["--only", "critic=1e-4"], r"unknown setting 'critic': did you mean 'critic_lr'\?"),
        (["--only", "critic_lr"], r"--only: expected KEY=VALUE"),
        (["--only", "steps=7", "--only", "steps=1"], r"unknown steps '1'"),
    ],
)
def test_several_trainings_are_told_apart_in_one_line(swept, tmp_path, capfd, words, said):
    out = tmp_path / "x.npy"
    assert bench("sample", swept[0] / "run", "--model", "gan", *words, "-o", out) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(said, line), line
    assert not out.exists()


def test_python_users_get_the_same_error(swept):
    with pytest.raises(UsageError, match="say which by `only`"):
        api.sample(str(swept[0] / "run"), "gan", block="again")
