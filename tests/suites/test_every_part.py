"""Laws over the built-in suites: each tier has cells, and `*` asks for every part that fits."""

from __future__ import annotations

import json

import pytest
from harness import bench, small_suite

from bench.core.errors import UsageError
from bench.run.plan import _task
from bench.run.run import plan_of
from bench.suites.builtin import names
from bench.suites.schema import load_suite

SUITES = {name: load_suite(name) for name in names()}
TIERS = [(name, tier) for name, suite in SUITES.items() for tier in suite.tiers]
SOON = {"quick", "gate"}
"""Tiers whose plans are short; the others are put to the laws by the slow tests."""
LONG = {"translation", "dynamics"}
"""Pairs of images are drawn to be fingerprinted, those of the paper's size for a minute; and every
game under every dynamics is some hundred points.
"""


def _axes(name, tier):
    blocks = [b for b in SUITES[name].block if not b.tiers or tier in b.tiers]
    return sorted({axis for block in blocks for axis in _task(block.task).axes})


def _marks(name, tier):
    return [] if tier in SOON and name not in LONG else [pytest.mark.slow]


PLANS = [pytest.param(*pair, marks=_marks(*pair)) for pair in TIERS]
STARRED = [
    pytest.param(*pair, axis, marks=_marks(*pair)) for pair in TIERS for axis in _axes(*pair)
]


@pytest.mark.parametrize(("name", "tier"), PLANS)
def test_every_tier_has_cells(name, tier):
    plan = plan_of(name, tier=tier, seeds=[0], device="cpu")
    blocks = {block.name for block in SUITES[name].block if not block.tiers or tier in block.tiers}
    assert {cell.block for cell in plan.cells} == blocks


@pytest.mark.parametrize(("name", "tier", "axis"), STARRED)
def test_every_registered_part_is_planned_or_skipped_with_the_reason(name, tier, axis):
    """What the suite names by itself is planned as without `*`."""
    own = plan_of(name, tier=tier, seeds=[0], device="cpu")
    plan = plan_of(name, tier=tier, seeds=[0], grid=[(axis, ["*"])], device="cpu")
    found = {(cell.block, cell.key): cell for cell in plan.cells}
    for cell in own.cells:
        if axis in cell.parts and cell.part(axis) in _task(cell.task).every(axis):
            assert found[cell.block, cell.key].skip == cell.skip
    for block in SUITES[name].block:
        cells = [cell for cell in plan.cells if cell.block == block.name]
        if cells and axis in block.grid:
            every = set(_task(block.task).every(axis))
            assert every <= {cell.part(axis) for cell in cells} | set(block.grid[axis])


def test_a_part_that_does_not_fit_is_refused_by_name_and_skipped_by_star(tmp_path, capfd):
    """Virtual batch norm on networks without batch norm; what is named beside `*` is refused."""
    images = ["--suite", "images", "--tier", "standard", "--only", "block=convolutional", "--only"]
    dense = ["--set", "protocol=dense", "--seeds", "1", "--grid"]
    assert bench("plan", *images, "dataset=mnist5k", *dense, "model=virtual-gan") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "virtual batch norm" in line
    assert bench("plan", *images, "dataset=mnist5k", *dense, "model=*,virtual-gan") == 2
    assert capfd.readouterr().err.splitlines() == [line]
    assert bench("plan", *images, "dataset=mnist5k", *dense, "model=*", "--json") == 0
    cells = {cell["model"]: cell for cell in json.loads(capfd.readouterr().out)}
    assert cells["virtual-gan"]["reason"] in line
    assert cells["nsgan"]["settings"]["protocol"] == "dense"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"set": {"steps": -1}}, "setting 'steps'"),
        ({"set": {"stepz": 1}}, "did you mean 'steps'"),
        ({"set": {"ahead": -1}}, "setting 'ahead'"),
        ({"sweep": ("ahead", ["1", "-1"])}, "setting 'ahead'"),
        ({"set": {"protocol": "plan"}}, "did you mean 'plane'"),
    ],
)
def test_a_wrong_setting_is_refused_whatever_stands_for_the_models(tmp_path, asked, said):
    grid = [("model", ["*"]), *([asked["sweep"]] if "sweep" in asked else [])]
    with pytest.raises(UsageError, match=said):
        plan_of(small_suite(tmp_path), grid=grid, set=asked.get("set", {}), device="cpu")


def test_a_name_that_one_norm_does_not_know_is_skipped_and_a_wrong_one_refused(capfd):
    """l2 is a norm, but not of every attack; l7 is of none."""
    words = [
        "plan",
        "--suite",
        "smoke",
        "--tier",
        "gate",
        "--only",
        "block=attacks",
        "--seeds",
        "1",
    ]
    assert bench(*words, "--grid", "attack=*", "--set", "norm=l2") == 0
    out = " ".join(capfd.readouterr().out.split())
    assert "unknown norm 'l2': did you mean 'l1'? (attack pdpgd knows these)" in out
    assert bench(*words, "--grid", "attack=*", "--set", "norm=l7") == 2
    assert bench(*words, "--grid", "attack=pdpgd", "--set", "norm=l2") == 2
    assert all(line.startswith("Error: ") for line in capfd.readouterr().err.splitlines())


def test_a_part_that_only_left_out_blocks_know_is_told_and_no_gap():
    """Beside blocks that know it, it is theirs."""
    only, grid = [("block", "mixtures")], [("model", ["nsgan", "cgan"])]
    plan = plan_of("smoke", only=only, grid=grid, seeds=[0])
    assert [(c.part("model"), bool(c.skip)) for c in plan.cells] == [
        ("nsgan", False),
        ("cgan", True),
    ]
    with pytest.raises(UsageError, match="softmax"):
        plan_of("smoke", only=only, grid=[("model", ["nsgan", "softmax"])])
