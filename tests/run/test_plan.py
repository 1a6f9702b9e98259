"""From suites to cells: which names a piece of work has, and what they may depend on."""

from __future__ import annotations

import re
from math import comb

import pytest
from harness import FAULTY, faulty_suite, small_suite
from scipy.stats import mannwhitneyu

from bench.api import show
from bench.core.errors import UsageError
from bench.run.plan import folder_of, make_plan, smallest_p, view_of
from bench.run.run import execute, plan_of
from bench.suites.cell import Cell
from bench.suites.schema import load_suite

MIXTURE = """
[[mixture]]
name = "two"
centres = [[0.0, 0.0], [3.0, 0.0]]
covariances = [0.1, 0.1]
"""


def cell(suite: str, **view) -> Cell:
    """The only cell of a plan."""
    (one,) = plan_of(suite, **{"device": "cpu", **view}).cells
    return one


@pytest.fixture
def small(tmp_path):
    return small_suite(tmp_path)


def test_the_key_is_a_digest_and_the_id_has_neither_suite_nor_seed(small):
    one = cell(small, seeds=(3,))
    assert re.fullmatch(r"[0-9a-f]{64}", one.key)
    assert one.cell_id.startswith("mixture/ring8@pacgan/gan?")
    assert "small" not in one.cell_id
    assert one.cell_id == cell(small, seeds=(4,)).cell_id


@pytest.mark.parametrize(
    "view",
    [
        {"seeds": (1,)},
        {"set": {"steps": 21}},
        {"set": {"samples": 501}},
        {"set": {"generator_lr": 0.5}},
        {"set": {"protocol": "pacgan"}},
        {"grid": [("model", ["nsgan"])]},
        {"grid": [("dataset", ["grid25@pacgan"])]},
    ],
    ids=str,
)
def test_the_key_follows_all_that_decides_the_number(small, view):
    assert cell(small, **view).key != cell(small).key


def test_the_key_follows_the_device(small):
    suite = load_suite(small)
    keys = {make_plan(suite, view_of(suite), device).cells[0].key for device in ("cpu", "cuda")}
    assert len(keys) == 2


def test_a_setting_at_its_default_changes_no_name(small):
    plain = cell(small, set={"batch": 100})
    for name, value in cell(small).settings.items():
        named = cell(small, set={name: value})
        assert (named.key, named.cell_id) == (cell(small).key, cell(small).cell_id)
    assert plain.key != cell(small).key


def test_a_setting_that_a_model_does_not_read_changes_no_name(small):
    grid = [("model", ["oracle"])]
    assert cell(small, grid=grid, set={"generator_lr": 0.5}).key == cell(small, grid=grid).key


def test_an_integer_and_the_equal_float_are_one_setting(small):
    one, same = (cell(small, set={"generator_lr": rate}) for rate in (1, 1.0))
    assert (one.key, one.cell_id) == (same.key, same.cell_id)


def test_the_order_of_the_axes_in_the_file_changes_no_name(tmp_path):
    """The same key is the same measurement, and its random streams derive from the id."""
    dataset, model = 'grid.dataset = ["ring8@pacgan"]', 'grid.model = ["gan"]'
    first = cell(small_suite(tmp_path))
    other = cell(small_suite(tmp_path, f"{dataset}\n{model}", f"{model}\n{dataset}"))
    assert other.key == first.key
    assert other.cell_id == first.cell_id


def test_the_key_does_not_depend_on_the_suite(tmp_path):
    first = cell(small_suite(tmp_path))
    other = cell(small_suite(tmp_path, 'name = "small"', 'name = "other"'))
    assert (other.key, other.cell_id) == (first.key, first.cell_id)


def test_a_mixture_of_the_users_is_known_by_its_content(tmp_path):
    def key(extra: str) -> str:
        suite = small_suite(tmp_path, extra=extra)
        return cell(suite, grid=[("dataset", ["two"])]).key

    assert key(MIXTURE) == key(MIXTURE)
    assert key(MIXTURE) != key(MIXTURE.replace("0.1, 0.1", "0.1, 0.2"))
    assert key(MIXTURE) != key(MIXTURE + "training_points = 50\n")
    assert key(MIXTURE) != key(MIXTURE + 'rule = "rms"\n')
    assert key(MIXTURE) == key(MIXTURE + "weights = [2.0, 2.0]\n")


def test_the_star_holds_the_users_mixtures_too(tmp_path):
    suite = small_suite(tmp_path, extra=MIXTURE)
    plan = plan_of(suite, grid=[("dataset", ["*"])], device="cpu")
    datasets = {one.part("dataset") for one in plan.cells}
    assert {"two", "ring8@pacgan", "grid25@pacgan"} <= datasets


def test_a_measurement_two_blocks_ask_for_is_planned_once_and_shown_in_both(tmp_path):
    again = FAULTY.partition("[[block]]")[2].replace("faults", "again")
    suite = faulty_suite(tmp_path, "number", "trivial")
    with open(suite, "a") as file:
        file.write("[[block]]" + again.format(models='"number"'))
    report = execute(suite, out=str(tmp_path / "run"))
    assert (report.planned, report.measured) == (2, 2)
    shown = show(str(tmp_path / "run"))
    assert set(shown.loc[shown["model"] == "number", "block"]) == {"faults", "again"}
    assert (shown["seeds"] == 1).all()


def test_cells_of_a_suite_have_names_of_their_own():
    plan = plan_of("mode-collapse", tier="paper", device="cpu")
    assert len({one.key for one in plan.cells}) == len(plan.cells)
    assert len({(one.cell_id, one.seed) for one in plan.cells}) == len(plan.cells)


def test_the_tier_decides_the_seeds_unless_they_are_given(small):
    assert plan_of("smoke", tier="quick", device="cpu").view.seeds == (0, 1)
    assert plan_of("smoke", tier="quick", seeds=(5,), device="cpu").view.seeds == (5,)
    with pytest.raises(UsageError, match="expected seeds of 0 or more"):
        plan_of("smoke", seeds=())
    with pytest.raises(UsageError, match="expected seeds of 0 or more"):
        plan_of("smoke", seeds=(0, -1))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('task = "mixture"', 'task = "mixtrue"', "unknown task 'mixtrue': did you mean 'mixture'"),
        ('task = "mixture"', 'task = "math:pi"', "is no task"),
        ('"gan"', '"gna"', "unknown model 'gna'"),
        ('"gan"', '"math:pi"', "math:pi"),
        ('"gan"', '"math:nothing"', "module 'math' has no 'nothing'"),
        ('"gan"', '"no.such.module:part"', "can't import 'no.such.module'"),
        ('"gan"', '"../../x:part"', "can't import '../../x'"),
        ('"gan"', '":"', "expected module:attribute"),
        ('"ring8@pacgan"', '"ring8"', "dataset 'ring8' is not there: did you mean 'ring8@pacgan'"),
        ('"ring8@pacgan"', '"math:pi"', "is a float: expected a bench.datasets.Dataset"),
        ('["high_quality"]', '["high_qualty"]', "did you mean 'high_quality'"),
        ('["high_quality"]', '["math:pi"]', "math:pi"),
        ("grid.model", "grid.modell", "unknown axis 'modell': did you mean 'model'"),
        ('grid.model = ["gan"]\n', "", "the grid needs at least one model"),
        ('grid.model = ["gan"]', "grid.model = []", "the grid needs at least one model"),
        ("steps = 20", "stepz = 20", "unknown setting 'stepz': did you mean 'steps'"),
        ("steps = 20", "steps = 0", "setting 'steps'"),
        ("steps = 20", "steps = 1.5", "setting 'steps'"),
        ("steps = 20", "steps = true", "setting 'steps'"),
        ("steps = 20", 'steps = "twenty"', "setting 'steps'"),
        ("steps = 20", "generator_lr = nan", "setting 'generator_lr'"),
        ("steps = 20", "generator_lr = inf", "setting 'generator_lr'"),
        ("steps = 20", "generator_lr = true", "setting 'generator_lr'"),
        ("steps = 20", 'protocol = "pacgna"', "unknown protocol 'pacgna': did you mean 'pacgan'"),
        ("steps = 20", 'protocol = "math:pi"', "math:pi"),
        ('metrics = ["high_quality"]', 'metrics = ["high_quality"]\npublished = ["pacgan-tabel1"]',
         "did you mean 'pacgan-table1'"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_when_planned(tmp_path, old, new, expected):
    suite = small_suite(tmp_path, old, new)
    with pytest.raises(UsageError) as caught:
        plan_of(suite, device="cpu").manifest()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[3.0, 0.0]]", "[3.0]]", "centres"),
        ("[3.0, 0.0]]", "[3.0, nan]]", "centres"),
        ("[[0.0, 0.0], [3.0, 0.0]]", "[]", "two"),
        ("[[0.0, 0.0], [3.0, 0.0]]", "[[], []]", "two"),
        ("[0.1, 0.1]", "[0.1]", "2 weights and covariances"),
        ("[0.1, 0.1]", "[0.1, -0.1]", "positive variances"),
        ("[0.1, 0.1]", "[0.1, 0.0]", "positive variances"),
        ("[0.1, 0.1]", "[0.1, [1.0, 1.0, 1.0]]", "two"),
        ("[0.1, 0.1]", "[0.1, []]", "two"),
        ("[0.1, 0.1]", "[[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]]", "positive definite"),
        ("[0.1, 0.1]", "[0.1, [[1.0, 0.5], [0.0, 1.0]]]", "symmetric"),
        ("[0.1, 0.1]", "[0.1, [[1.0, 0.0]]]", "two"),
        ("[0.1, 0.1]", "[[[1.0]], [[1.0, 0.0], [0.0, 1.0]]]", "two"),
        ("[0.1, 0.1]", "[0.1, [[1.0, 0.0], [1.0]]]", "two"),
        ("[0.1, 0.1]", "[0.1, [[], []]]", "two"),
        ("[0.1, 0.1]\n", "[0.1, 0.1]\nweights = [1.0]\n", "2 weights"),
        ("[0.1, 0.1]\n", "[0.1, 0.1]\nweights = [1.0, 0.0]\n", "positive weights"),
        ("[0.1, 0.1]\n", "[0.1, 0.1]\nweights = [1e308, 1e308]\n", "weights"),
        ("[0.1, 0.1]\n", '[0.1, 0.1]\nrule = "euclid"\n', "unknown rule 'euclid': did you mean"),
        ("[0.1, 0.1]\n", "[0.1, 0.1]\ntraining_points = -1\n", "training_points"),
    ],
)
def test_a_mixture_that_is_none_is_refused_when_planned(tmp_path, old, new, expected):
    assert old in MIXTURE
    suite = small_suite(tmp_path, extra=MIXTURE.replace(old, new))
    with pytest.raises(UsageError) as caught:
        plan_of(suite, grid=[("dataset", ["two"])], device="cpu")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_grid_of_an_empty_tier_is_refused(tmp_path):
    suite = small_suite(tmp_path, "[[block]]", '[tiers.empty]\n\n[[block]]\ntiers = ["quick"]')
    with pytest.raises(UsageError, match="no cells at tier empty"):
        plan_of(suite, tier="empty")


def test_the_manifest_holds_every_cell_and_the_facts_of_every_metric():
    plan = plan_of("mode-collapse", tier="quick", device="cpu")
    manifest = plan.manifest()
    assert [one["key"] for one in manifest["cells"]] == [one.key for one in plan.cells]
    for block in manifest["blocks"]:
        assert set(block["metrics"]) <= set(manifest["metrics"])
    for facts in manifest["metrics"].values():
        assert {"direction", "version", "kind", "absolute", "relative"} <= set(facts)
    assert {"versions", "commit", "cores"} <= set(manifest["environment"])


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 8])
def test_the_smallest_p_is_that_of_the_exact_test(seeds):
    low, high = range(seeds), range(seeds, 2 * seeds)
    exact = mannwhitneyu(low, high, method="exact").pvalue
    assert smallest_p(seeds) == pytest.approx(exact)
    assert smallest_p(seeds) == min(1.0, 2 / comb(2 * seeds, seeds))


def test_a_run_lives_under_runs_unless_told(small):
    suite = load_suite(small)
    assert str(folder_of(suite, "quick", None)) == "runs/small/quick"
    assert str(folder_of(suite, "quick", "elsewhere")) == "elsewhere"


@pytest.mark.parametrize(
    ("model", "settings", "note"),
    [
        ("pacgan3", {}, "a batch of 100 packs holds 300 examples"),
        ("pacgan2", {"batch": 64, "group": 4}, "a batch of 64 packs holds 256 examples"),
        ("pacgan2", {"group": 1}, ""),
        ("nsgan", {}, ""),
    ],
)
def test_a_batch_of_packs_says_how_many_examples_it_holds(model, settings, note, tmp_path):
    """On the row, where it is held against others; the table has it beneath."""
    grid = {"dataset": "ring8@pacgan", "model": model}
    known = {**settings, "steps": 2, "samples": 100, "evaluations": 1}
    execute("mode-collapse", tier="paper", grid=grid, seeds=1, set=known, out=str(tmp_path / "run"))
    (shown,) = set(show(str(tmp_path / "run")).query("source == 'measured'")["note"].fillna(""))
    assert shown == note
