"""Suites as data: what a file may say, what is refused and how, and which cells a view gives."""

from __future__ import annotations

import copy
import tomllib

import pytest

from bench.core.errors import UsageError
from bench.suites import builtin as tomlsuites
from bench.suites.grid import Choice, View, choices, parse_seeds
from bench.suites.schema import Suite, load_suite, parse_suite

BASE = {
    "name": "mine",
    "tiers": {"standard": {"seeds": 2}, "quick": {"seeds": 1}},
    "block": [
        {
            "name": "one",
            "task": "mixture",
            "grid": {"dataset": ["d1", "d2"], "model": ["m1", "m2", "m3"]},
            "settings": {"steps": 1},
            "metrics": ["a", "b"],
            "primary": ["a"],
        },
        {"name": "two", "task": "mixture", "grid": {"dataset": ["d3"]}, "tiers": ["standard"]},
    ],
}
MODELS = ["m1", "m2", "m3", "m4"]
EVERY = {
    "mixture": {"dataset": ["d1", "d2", "d3", "d4"], "model": MODELS},
    "stack": {"dataset": ["s1", "s2"], "model": [*MODELS, "m5"]},
}


def changed(path: str, value: object) -> dict:
    """The base table with one entry replaced."""
    table = copy.deepcopy(BASE)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    node = table
    for step in steps:
        node = node[step]
    node[last] = value
    return table


def cells(view: View, table: dict = BASE) -> list[Choice]:
    return list(choices(parse_suite(table, "mine.toml"), view, EVERY))


@pytest.mark.parametrize("name", tomlsuites.names())
def test_the_built_in_suites_are_in_order(name):
    suite = load_suite(name)
    assert suite.name == name
    assert {"quick"} <= set(suite.tiers)
    assert suite.title
    assert all(block.metrics for block in suite.block)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("titel", "x", "unknown key 'titel': did you mean 'title'"),
        ("block.0.metric", [], "unknown key 'block.0.metric': did you mean 'metrics'"),
        ("tiers.quick.seed", 1, "unknown key 'tiers.quick.seed': did you mean 'seeds'"),
        ("name", "../../x", "name: "),
        ("name", "", "name: "),
        ("name", "a/b", "name: "),
        ("name", "x\n", "name: "),
        ("name", 5, "name: "),
        ("tiers.quick.seeds", 0, "tiers.quick.seeds"),
        ("tiers.quick.seeds", -1, "tiers.quick.seeds"),
        ("tiers.quick.seeds", "many", "tiers.quick.seeds"),
        ("tiers.quick.seeds", 10**9, "tiers.quick.seeds"),
        ("tiers.../x", {"seeds": 1}, "tiers"),
        ("default_tier", "quik", "unknown tier 'quik': did you mean 'quick'"),
        ("block", [], "block: "),
        ("block.0.name", "no name", "block.0.name"),
        ("block.1.name", "one", "two blocks are named 'one'"),
        ("block.1.tiers", ["papr"], "unknown tier 'papr'"),
        ("block.0.primary", ["aa"], "unknown primary metric 'aa': did you mean 'a'"),
        ("block.0.grid", {"dataset": "d1"}, "block.0.grid.dataset"),
        ("block.0.grid", {"dataset": [""]}, "block.0.grid.dataset"),
        ("block.0.settings", {"steps": [1]}, "block.0.settings.steps"),
        ("block.0.published", ["../../x"], "block.0.published"),
        ("when", [{"dataset": "d*"}], "when.0.set"),
        ("when", [{"datset": "d*", "set": {}}], "did you mean 'dataset'"),
        ("when", [{"dataset": 5, "set": {}}], "when.dataset: expected a pattern"),
        ("mixture", [{"name": "m", "centres": [[0.0]]}], "mixture.0.covariances"),
        ("mixture", [{"name": "../m", "centres": [], "covariances": []}], "mixture.0.name"),
    ],
)  # fmt: skip
def test_what_a_suite_may_not_say(path, value, expected):
    table = changed(path, value) if ".." not in path else changed("tiers", {"../x": value})
    with pytest.raises(UsageError) as caught:
        parse_suite(table, "mine.toml")
    message = str(caught.value)
    assert expected in message
    assert "mine.toml" in message
    assert "\n" not in message
    assert len(message) <= 300


def test_two_mixtures_of_one_name_are_refused():
    one = {"name": "m", "centres": [[0.0]], "covariances": [1.0]}
    with pytest.raises(UsageError, match="two mixtures are named 'm'"):
        parse_suite(changed("mixture", [one, one]), "mine.toml")


@pytest.mark.parametrize("place", ["deep", "block.settings", "mixture"])
def test_a_suite_nested_too_deeply_is_refused(tmp_path, place):
    path = tmp_path / "deep.toml"
    path.write_text('name = "deep"\n[[block]]\nname = "b"\n' + f"[{place}{'.a' * 5_000}]\nb = 1\n")
    with pytest.raises(UsageError, match=r"deep\.toml"):
        load_suite(str(path))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name = ", "not valid TOML"),
        (b"\xff\xfe", "not valid TOML"),
        (b"a = " + b"[" * 5000, "not valid TOML"),
        (b"", "Field required".lower()),
    ],
)
def test_a_broken_file_is_refused(tmp_path, content, expected):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=expected):
        load_suite(str(path))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"can't read the suite .*absent\.toml"):
        load_suite(str(tmp_path / "absent.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UsageError, match=r"can't read the suite .*folder\.toml"):
        load_suite(str(tmp_path / "folder.toml"))


def test_an_unknown_suite_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'smoke'"):
        load_suite("smoek")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("1", (0,)),
        ("3", (0, 1, 2)),
        ("7,", (7,)),
        ("0,1,2", (0, 1, 2)),
        ("5, 3", (5, 3)),
        ("2,2,1", (2, 1)),
        ("0,", (0,)),
        ("2\x1f,1", (2, 1)),
    ],
)
def test_seeds_as_counts_and_lists(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text",
    ["", " ", ",", "0", "-1", "0,-1", "1,,2", "abc", "1.5", "1;2", "1 2", "1e3", "10001", "+3",
     "99999999999999999999"],
)  # fmt: skip
def test_seeds_that_are_none(text):
    with pytest.raises(UsageError, match="`seeds`"):
        parse_seeds(text)


def test_the_grid_is_a_product_with_seeds_innermost():
    found = [
        (c.parts["dataset"], c.parts.get("model"), c.seed) for c in cells(View("quick", (0, 4)))
    ]
    expected = [(d, m, s) for d in ("d1", "d2") for m in ("m1", "m2", "m3") for s in (0, 4)]
    assert found == expected


def test_a_block_of_another_tier_is_left_out():
    assert {c.block.name for c in cells(View("quick", (0,)))} == {"one"}
    assert {c.block.name for c in cells(View("standard", (0,)))} == {"one", "two"}


@pytest.mark.parametrize(
    ("only", "models", "datasets"),
    [
        ((("model", "m1"),), {"m1"}, {"d1", "d2"}),
        ((("model", "m*"),), {"m1", "m2", "m3"}, {"d1", "d2"}),
        ((("model", "m[13]"), ("dataset", "d2")), {"m1", "m3"}, {"d2"}),
        ((("model", "m1"), ("model", "m2")), {"m1", "m2"}, {"d1", "d2"}),
    ],
)
def test_only_narrows(only, models, datasets):
    found = cells(View("quick", (0,), only=only))
    assert {c.parts["model"] for c in found} == models
    assert {c.parts["dataset"] for c in found} == datasets


@pytest.mark.parametrize(
    ("names", "models"),
    [
        (("m4",), ["m4"]),
        (("*",), MODELS),
        (("m3", "*"), ["m3", "m1", "m2", "m4"]),
        (("m2", "m2"), ["m2"]),
        (("m2", "m5"), ["m2"]),
        (("mine:model", "m1"), ["mine:model", "m1"]),
    ],
)
def test_grid_replaces(names, models):
    """A part that only another task knows is left out; one that none knows is kept."""
    found = cells(View("quick", (0,), only=(("dataset", "d1"),), grid=(("model", names),)))
    assert [c.parts["model"] for c in found] == models


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View("quick", (0,), only=(("modl", "m1"),)), "unknown axis in `only` 'modl': did you"),
        (View("quick", (0,), grid=(("modl", ("m1",)),)), "unknown axis in `grid` 'modl'"),
        (View("quick", (0,), only=(("model", "m9"),)), "did you mean 'm"),
        (View("quick", (0,), only=(("dataset", "zzz"),)), "matches nothing"),
    ],
)  # fmt: skip
def test_a_view_that_fits_nothing_is_refused(view, expected):
    with pytest.raises(UsageError, match=expected):
        cells(view)


def test_more_cells_than_can_be_held_are_refused():
    with pytest.raises(UsageError, match="cells are more than"):
        cells(View("quick", tuple(range(10_000)), grid=(("model", tuple(map(str, range(100)))),)))


def test_the_last_rule_that_matches_wins_and_set_wins_over_all():
    rules = [
        {"set": {"steps": 2, "batch": 7}},
        {"model": "m[12]", "tier": "quick", "set": {"steps": 3}},
        {"model": "m2", "dataset": "d2", "set": {"steps": 4}},
        {"model": "m2", "tier": "standard", "set": {"steps": 5}},
        {"block": "two", "set": {"steps": 6}},
    ]
    table = changed("when", rules)

    def steps(view: View) -> dict:
        found = cells(view, table)
        return {(c.parts["dataset"], c.parts["model"]): c.settings["steps"] for c in found}

    quick = steps(View("quick", (0,)))
    assert quick == {
        ("d1", "m1"): 3, ("d1", "m2"): 3, ("d1", "m3"): 2,
        ("d2", "m1"): 3, ("d2", "m2"): 4, ("d2", "m3"): 2,
    }  # fmt: skip
    assert set(steps(View("quick", (0,), set=(("steps", 9),))).values()) == {9}
    assert all(c.settings["batch"] == 7 for c in cells(View("quick", (0,)), table))


def test_a_rule_for_an_axis_that_a_block_lacks_leaves_it_alone():
    table = changed("when", [{"model": "*", "set": {"steps": 8}}])
    two = [c for c in cells(View("standard", (0,)), table) if c.block.name == "two"]
    assert two
    assert all("steps" not in c.settings for c in two)


def test_a_suite_reads_the_same_from_toml_and_from_its_table():
    text = (tomlsuites.SUITES / "smoke.toml").read_text()
    assert parse_suite(tomllib.loads(text), "smoke") == load_suite("smoke")
    assert isinstance(load_suite("smoke"), Suite)
