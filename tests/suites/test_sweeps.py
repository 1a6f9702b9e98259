"""Settings as axes of a grid: which values, of which blocks, and who reads them."""

from __future__ import annotations

import re

import pytest
from harness import bench, small_suite

from bench.core.errors import UsageError
from bench.run.run import plan_of
from generative import RECIPES
from generative.recipes.adversarial import Adversarial

ATTACK = """
[[block]]
name = "attacks"
task = "attack"
grid.dataset = ["optdigits"]
grid.model = ["softmax"]
grid.attack = ["fgsm"]
settings = { images = 60, radii = "0.1" }
"""


def planned(suite, *grid, **more):
    """The cells of a sweep: block, model, what is swept, what is not read."""
    plan = plan_of(suite, grid=list(grid), device="cpu", **more)
    return [(c.block, c.part("model"), c.swept, c.unread) for c in plan.cells]


def test_a_model_that_reads_a_setting_has_a_cell_for_each_value_and_another_one(tmp_path):
    """Several settings at once, beside parts; what reads some of them varies in those alone."""
    grid = [
        ("model", ["oracle", "nsgan", "vae"]),
        ("critic_lr", ["1e-4", "3e-4"]),
        ("batch", ["16", "32"]),
    ]
    found = planned(small_suite(tmp_path), *grid)
    pairs = [{"critic_lr": lr, "batch": n} for lr in (1e-4, 3e-4) for n in (16, 32)]
    assert [c[2] for c in found if c[1] == "nsgan"] == pairs
    assert [c[2:] for c in found if c[1] == "vae"] == [
        ({"batch": n}, ("critic_lr",)) for n in (16, 32)
    ]
    assert [c[2:] for c in found if c[1] == "oracle"] == [({}, ("critic_lr", "batch"))]


def test_what_some_dynamics_alone_read_is_varied_under_those(tmp_path):
    grid = [("dynamics", ["alternating", "unrolled"]), ("ahead", ["1", "2"])]
    found = [c[2:] for c in planned(small_suite(tmp_path), *grid)]
    assert found == [
        ({"dynamics": "alternating"}, ("ahead",)),
        ({"dynamics": "unrolled", "ahead": 1}, ()),
        ({"dynamics": "unrolled", "ahead": 2}, ()),
    ]


@pytest.mark.parametrize("values", [["1e-3", "0.001"], ["0.001", "1.0e-3", "1E-3"]])
def test_two_spellings_of_a_value_are_one_cell(tmp_path, values):
    (one,) = planned(small_suite(tmp_path), ("critic_lr", values))
    assert one[2] == {"critic_lr": 0.001}


def test_values_keep_their_order_and_numbers_are_not_truths(tmp_path):
    found = planned(small_suite(tmp_path), ("generator_lr", ["2", "1", "2.0"]))
    assert [c[2]["generator_lr"] for c in found] == [2.0, 1.0]
    with pytest.raises(UsageError, match=r"setting 'batch': .*integer, got True"):
        planned(small_suite(tmp_path), ("batch", ["2", "true"]))


def test_a_suite_file_says_the_same(tmp_path):
    """As the command line, key by key; and an integer stands for the equal float."""
    grid = 'grid.model = ["gan"]'
    told = small_suite(tmp_path, grid, f"{grid}\ngrid.critic_lr = [0.0001, 1]")
    keys = [cell.key for cell in plan_of(told, device="cpu").cells]
    asked = plan_of(small_suite(tmp_path), grid=[("critic_lr", ["1e-4", "1.0"])], device="cpu")
    assert keys == [cell.key for cell in asked.cells]
    assert len(set(keys)) == 2


def test_a_swept_value_is_the_cell_of_that_setting(tmp_path):
    """By `set` and by `grid` it is one measurement, and at the usual value the usual one."""
    suite = small_suite(tmp_path)
    keys = [c.key for c in plan_of(suite, grid=[("critic_lr", ["1e-3", "0.5"])]).cells]
    alone = [plan_of(suite, set=s).cells[0].key for s in ({}, {"critic_lr": 0.5})]
    assert keys == alone


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("critic_lr=1e-3,1e-3", "--grid critic_lr: 1e-3 stands there twice"),
        ("critic_lr=1e-3,x", "setting 'critic_lr': .*valid number, got 'x'"),
        ("critic_lr=0.1,-1", "setting 'critic_lr': .*greater than 0, got -1"),
        ("critic_lr=nan", "setting 'critic_lr': .*got nan"),
        ("batch=1.5", "setting 'batch': .*integer, got 1.5"),
        ("ahead=x", "setting 'ahead': expected int"),
        ("critc_lr=1e-3", "unknown setting 'critc_lr': did you mean 'critic_lr'"),
        ("modle=gan", "unknown axis in --grid 'modle': did you mean 'model'"),
        ("critic_lr=", "--grid critic_lr: expected names with commas between, got none"),
        ("dynamics=alternating,unroled", "unknown dynamics 'unroled': did you mean 'unrolled'"),
    ],
)
def test_what_is_no_sweep_is_refused_in_one_line(tmp_path, monkeypatch, capsys, asked, expected):
    monkeypatch.chdir(tmp_path)
    assert bench("plan", "--suite", small_suite(tmp_path, extra=ATTACK), "--grid", asked) == 2
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    assert re.search(expected, said)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("grid.critic_lr = [0.1, 0.1]", "block mixtures: grid.critic_lr: 0.1 stands there twice"),
        ("grid.critic_lr = []", "grid.critic_lr: expected at least one value"),
        ('grid.attack = ["fgsm"]', "grid.attack: task mixture has no such axis"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, line, expected):
    grid = 'grid.model = ["gan"]'
    with pytest.raises(UsageError, match=expected):
        plan_of(small_suite(tmp_path, grid, f"{grid}\n{line}", extra=ATTACK), device="cpu")


def test_a_setting_goes_to_the_blocks_whose_task_knows_it(tmp_path):
    """And is no business of the others."""
    suite = small_suite(tmp_path, extra=ATTACK)
    rates = planned(suite, ("critic_lr", ["1e-4", "1e-3"]))
    assert [(c[0], c[2]) for c in rates] == [
        ("mixtures", {"critic_lr": 1e-4}),
        ("mixtures", {"critic_lr": 1e-3}),
        ("attacks", {}),
    ]
    assert rates[-1][3] == ()
    images = planned(suite, ("images", ["20", "30"]))
    assert [c[2] for c in images] == [{}, {"images": 20}, {"images": 30}]


def test_an_axis_and_a_setting_of_one_name_are_refused(tmp_path, monkeypatch):
    """Of a part that brings a setting called `model`: a grid could mean both."""
    entry = RECIPES["nsgan"]
    clashing = {**Adversarial.own(entry.part), "model": next(iter(entry.part.own().values()))}
    monkeypatch.setattr(Adversarial, "own", lambda self: clashing)
    expected = "'model' is an axis of task mixture and a setting of model '.*': give that setting"
    with pytest.raises(UsageError, match=expected):
        plan_of(small_suite(tmp_path), device="cpu")


def test_only_some_blocks_are_measured_and_their_cells_are_the_suites():
    """Of their tier, with the rules that speak of them, under the keys that the whole suite has."""
    whole = plan_of("mode-collapse", tier="deep", device="cpu")
    part = plan_of("mode-collapse", tier="deep", only=[("block", "equal-e*")], device="cpu")
    expected = [(c.key, c.seed) for c in whole.cells if c.block == "equal-examples"]
    assert expected
    assert [(c.key, c.seed) for c in part.cells] == expected
    two = [("block", "collapse-grid"), ("block", "equal-examples"), ("model", "pacgan2")]
    found = {
        (c.block, c.part("model")) for c in plan_of("mode-collapse", tier="deep", only=two).cells
    }
    assert found == {("collapse-grid", "pacgan2"), ("equal-examples", "pacgan2")}


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ([("block", "colapse")], "unknown block 'colapse': did you mean 'collapse'"),
        ([("block", "rates")], r"\(tier quick: --only matches nothing\)"),
        ([("block", "collapse"), ("model", "vae")], "unknown model 'vae'"),
    ],
)
def test_a_block_that_a_tier_lacks_is_refused(capfd, only, said):
    words = [word for axis, glob in only for word in ("--only", f"{axis}={glob}")]
    assert bench("plan", "--suite", "mode-collapse", "--tier", "quick", *words) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(said, line)


def test_what_the_command_says_comes_before_a_suites_own_grid(tmp_path):
    """The one value, checked like any, where a file varies a setting."""
    grid = 'grid.model = ["gan"]'
    told = small_suite(tmp_path, grid, f"{grid}\ngrid.batch = [8, 16]")
    assert [c[2] for c in planned(told)] == [{"batch": 8}, {"batch": 16}]
    plan = plan_of(told, set={"batch": 4}, device="cpu")
    assert [(c.swept, c.settings["batch"]) for c in plan.cells] == [({}, 4)]
    with pytest.raises(UsageError, match="batch"):
        plan_of(told, set={"batch": 0}, device="cpu")
