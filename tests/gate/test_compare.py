"""The gate: laws that its verdicts must hold, whatever the table."""

from __future__ import annotations

import re
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import against, lost, outcomes, plain, row_of, rows, verdicts, worse
from threadpoolctl import threadpool_limits

from bench.core.errors import UsageError
from results.gate.verdicts import COLUMNS, SEVERITY

NUMBERS = ["p", "p_adjusted", "loss", "low", "high", "seeds_needed"]
LENIENT = {"on_inconclusive": "pass"}
BAD = ("failed", "timeout", "crashed", "oom", "invalid")

seeds_and_series = st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(0, 10**6))
few = settings(max_examples=4)


def only(table, model="model0"):
    return table["model"] == model


def comparable(found):
    """The rows of a comparison in an order that does not depend on severity."""
    keys = ["level", "suite", "series", "epsilon", "cell_id", "seed"]
    return found.rows.sort_values(keys).reset_index(drop=True)


# Laws


@few
@given(seeds_and_series, st.sampled_from(["seeded", "paired", "deterministic"]), st.data())
def test_a_table_against_itself_passes(shape, kind, data):
    """Whatever it holds: directions, diverged seeds, one seed only, series that do not decide."""
    seeds, series, noise = shape
    rng = np.random.default_rng(noise)
    table = rows(rng.normal(size=(seeds, series)).round(int(rng.integers(0, 3))), kind=kind)
    table["direction"] = rng.choice(["higher", "lower"], series)[np.tile(range(series), seeds)]
    table["primary"] = only(table) | (rng.random(series) < 0.5)[np.tile(range(series), seeds)]
    table = lost(
        table, pd.Series(rng.random(len(table)) < data.draw(st.sampled_from([0, 0.3]))), "diverged"
    )
    if not (table["status"] == "ok").any():
        return
    found = against(table, table)
    assert found.exit_code == 0
    assert found.verdict == "PASS"
    assert set(found.rows["verdict"]) == {"PASS"}
    assert set(found.rows["kind"][found.rows["level"] == "series"]) == {"identical"}


@few
@given(st.integers(4, 7), st.integers(4, 7), st.integers(0, 10**6))
def test_the_other_way_round_a_regression_is_an_improvement(old, new, noise):
    """Of retrained models, under margins that don't depend on the side."""
    rng = np.random.default_rng(noise)
    margins = {"relative": 0.0, "absolute": 0.02}
    effect = rng.choice([-0.3, 0.0, 0.3], 4)
    one = rows(1 + 0.02 * rng.normal(size=(old, 4)), **margins)
    other = rows(1 + 0.02 * rng.normal(size=(new, 4)) + effect, 100, **margins)
    there, back = against(one, other), against(other, one)
    swapped = {"REGRESSED": "IMPROVED", "IMPROVED": "REGRESSED"}
    for name, verdict in verdicts(there).items():
        if verdict in swapped:
            assert verdicts(back)[name] == swapped[verdict]
        else:
            assert verdicts(back)[name] not in swapped
        assert row_of(there, name)["p_adjusted"] == pytest.approx(row_of(back, name)["p_adjusted"])
        assert row_of(there, name)["loss"] == pytest.approx(-row_of(back, name)["loss"])


def test_a_suite_that_regressed_improves_the_other_way_round():
    """Where Holm's tests can't fire: 3 seeds, and the suite as one decides."""
    rng = np.random.default_rng(0)
    one = rows(1 + 0.01 * rng.normal(size=(3, 8)), relative=0.0, absolute=0.02)
    other = rows(1.2 + 0.01 * rng.normal(size=(3, 8)), 50, relative=0.0, absolute=0.02)
    assert against(one, other).suites["verdict"].tolist() == ["REGRESSED"]
    assert against(one, other).exit_code == 3
    assert against(other, one).suites["verdict"].tolist() == ["IMPROVED"]
    assert against(other, one).exit_code == 0


def mixed(first_seed=0, noise=0):
    """A table with something of everything."""
    rng = np.random.default_rng([noise, first_seed])
    table = rows(1 + 0.05 * rng.normal(size=(5, 6)), first_seed)
    table["direction"] = np.where(table["model"] == "model1", "higher", "lower")
    table["primary"] = table["model"] != "model2"
    return lost(table, only(table, "model3") & (table["seed"] == first_seed + 2), "diverged")


@pytest.mark.parametrize("first_seed", [0, 100])
def test_the_order_of_rows_and_columns_does_not_matter(first_seed):
    one = mixed()
    other = worse(mixed(first_seed, 1), 0.3, only(mixed(first_seed, 1), "model4"))
    rng = np.random.default_rng(0)
    straight = comparable(against(one, other))
    assert straight["verdict"].nunique() > 2
    for _ in range(1 + (first_seed > 0)):
        shuffled = [
            table.iloc[rng.permutation(len(table))][rng.permutation(table.columns)]
            for table in (one, other)
        ]
        pd.testing.assert_frame_equal(comparable(against(*shuffled)), straight)


CHANGES = {
    "an offset": (lambda v: v + 37.5, 1),
    "another unit": (lambda v: 100 * v, 100),
    "a unit so small": (lambda v: v / 1e9, 1e-9),
}


@pytest.mark.parametrize("name", CHANGES)
def test_offset_and_unit_change_no_verdict(name):
    """With the margins in the same unit."""
    change, unit = CHANGES[name]
    one, other = (mixed(f).assign(relative=0.0, absolute=0.03) for f in (0, 100))
    other = worse(other, 0.2, only(other, "model4"))
    straight = comparable(against(one, other))
    moved = comparable(
        against(*(t.assign(value=change(t["value"]), absolute=0.03 * unit) for t in (one, other)))
    )
    assert list(moved["verdict"]) == list(straight["verdict"])
    for column in ("p", "p_adjusted"):
        np.testing.assert_allclose(moved[column], straight[column])
    for column in ("shift", "loss", "margin"):
        np.testing.assert_allclose(moved[column], unit * straight[column], rtol=1e-5)
    sizes = [t["seeds_needed"].to_numpy(float) for t in (moved, straight)]
    np.testing.assert_allclose(*sizes, atol=1)


@few
@given(st.integers(0, 10**6), st.sampled_from([np.exp, np.cbrt, lambda v: v**5, np.arctan]))
def test_a_rising_function_of_all_values_changes_no_p(noise, rising):
    rng = np.random.default_rng(noise)
    one, other = rows(rng.normal(size=(5, 3))), rows(rng.normal(size=(4, 3)) + 0.5, 100)
    straight = comparable(against(one, other))
    bent = comparable(against(*(t.assign(value=rising(t["value"])) for t in (one, other))))
    for column in ("p", "p_adjusted"):
        ours, theirs = bent[column].to_numpy(float), straight[column].to_numpy(float)
        series = (bent["level"] == "series").to_numpy()
        same_side = (bent["loss"] < 0).to_numpy() == (straight["loss"] < 0).to_numpy()
        keep = series & same_side
        np.testing.assert_allclose(ours[keep], theirs[keep])
        assert series.any()


def test_the_sign_and_the_direction_turn_together():
    """Minus the value where higher is better says what the value says where lower is."""
    one, other = (t.assign(relative=0.0, absolute=0.02) for t in (plain(), plain(first_seed=9)))
    other = worse(other, 0.2, only(other))
    straight = comparable(against(one, other))
    turned = comparable(
        against(*(t.assign(value=-t["value"], direction="higher") for t in (one, other)))
    )
    columns = ["verdict", *NUMBERS]
    pd.testing.assert_frame_equal(turned[columns], straight[columns])
    np.testing.assert_allclose(turned["shift"], -straight["shift"])


@pytest.mark.parametrize("seeds", [(3, 3), (5, 5), (10, 5)])
@pytest.mark.parametrize("first_seed", [0, 100])
def test_worse_by_a_third_is_a_regression(seeds, first_seed):
    """In its metric's direction, at the same seeds and at others; better by as much is none."""
    one, other = plain(seeds[0]), plain(seeds[1], first_seed=first_seed)
    one, other = (
        table.assign(direction=np.where(table["model"] > "model1", "higher", "lower"))
        for table in (one, other)
    )
    assert against(one, worse(other)).exit_code == 3
    assert against(one, worse(other)).verdict == "REGRESSED"
    better = against(one, worse(other, -0.3))
    assert (better.exit_code, better.verdict) == (0, "IMPROVED")


def test_one_series_of_eight_that_fell_is_named():
    one, other = plain(6, 8), plain(6, 8, first_seed=100)
    found = against(one, worse(other, 0.3, only(other, "model5")))
    assert found.exit_code == 3
    fallen = row_of(found, "model5")
    assert fallen["verdict"] == "REGRESSED"
    assert fallen["p_adjusted"] <= 0.05
    assert fallen["reason"]
    assert [n for n, v in verdicts(found).items() if v == "REGRESSED"] == ["model5"]


def test_within_the_margin_nothing_regressed():
    """Worse beyond chance, by less than the margin."""
    found = against(plain(), worse(plain(first_seed=100), 0.04, True), **LENIENT)
    assert found.exit_code == 0
    assert "REGRESSED" not in set(found.rows["verdict"])


def test_a_loss_in_what_does_not_decide_is_told_and_does_not_fail():
    one = plain()
    one["primary"] = one["model"] != "model0"
    other = plain(first_seed=100)
    found = against(one, worse(other, 0.3, only(other)))
    assert row_of(found)["verdict"] == "REGRESSED"
    assert not row_of(found)["primary"]
    assert found.exit_code == 0


def test_the_floor_does_not_decide():
    one = plain()
    one["role"] = np.where(only(one), "floor", "model")
    found = against(one, worse(plain(), 0.3, only(plain())))
    assert found.exit_code == 0
    assert not row_of(found)["primary"]


def test_rows_are_the_worst_first_under_stable_columns():
    one = plain(6, 5)
    other = worse(plain(6, 5, 100), 0.5, plain(6, 5)["model"] == "model1")
    other = worse(other, -0.5, plain(6, 5)["model"] == "model2")
    other = lost(other, only(other, "model3"), "crashed")
    found = against(one, other)
    assert list(found.rows.columns) == list(COLUMNS)
    for level in ("suite", "cell", "series"):
        places = [SEVERITY.index(v) for v in found.rows["verdict"][found.rows["level"] == level]]
        assert places == sorted(places)
        assert places


# Coverage


def without(table, mask):
    return table[~mask]


DROPPED = {
    "a series": lambda t: without(t, only(t) & (t["metric"] == "score")),
    "a cell": lambda t: without(t, only(t)),
    "a seed of a cell": lambda t: without(t, only(t) & (t["seed"] == 3)),
    "a seed of a series": lambda t: without(
        t, only(t) & (t["seed"] == 3) & (t["metric"] == "score")
    ),
    "all but one cell": lambda t: t[only(t)],
    "a radius": lambda t: without(t, only(t) & (t["epsilon"] == 0.1)),
    "a seed of a radius": lambda t: without(t, (t["epsilon"] == 0.1) & (t["seed"] == 0)),
}


def curves():
    """Two metrics for each cell, one of them at two radii."""
    parts = [plain()]
    for place, radius in enumerate((0.05, 0.1)):
        curve = plain(first_seed=0)
        series = curve["series"].str.replace("score@1", "error@1")
        parts.append(curve.assign(metric="error", series=series, epsilon=radius, primary=place < 1))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    ("what", "decides"), [*((what, False) for what in DROPPED), ("a cell", True)]
)
def test_what_is_gone_never_passes(what, decides):
    """Also where it decided nothing, also where what the seeds can't judge may pass."""
    table = curves()
    if not decides:
        table["primary"] = table["primary"] & ~only(table)
    found = against(table, DROPPED[what](table), **LENIENT)
    assert found.exit_code == 5
    assert found.verdict == "INCOMPARABLE"
    gone = found.rows[found.rows["verdict"] == "INCOMPARABLE"]
    assert (gone["reason"][gone["level"] == "series"] != "").all()


@pytest.mark.parametrize("status", ["diverged", *BAD])
def test_what_never_gave_a_value_may_not_go_either(status):
    """A cell of the baseline that never finished is a part of it: dropping it is no pass."""
    table = plain()
    found = against(lost(table, only(table), status), without(table, only(table)), **LENIENT)
    assert found.exit_code != 0


@pytest.mark.parametrize(("status", "seeds"), [*((s, 5) for s in BAD), ("failed", 1)])
def test_what_failed_in_the_baseline_can_not_be_compared(status, seeds):
    """It is no new series: nobody knows what it was."""
    table = plain()
    found = against(lost(table, only(table) & (table["seed"] < seeds), status), table, **LENIENT)
    assert found.exit_code == 5
    assert "INCOMPARABLE" in set(found.rows["verdict"][found.rows["level"] == "series"])


def renamed(table, old, new):
    """Another name for a metric, in the metric and in the series."""
    return table.assign(
        metric=table["metric"].str.replace(old, new), series=table["series"].str.replace(old, new)
    )


def judged(table):
    return renamed(table, "score", "score@digits-cnn:3f2a")


MISMATCHES = {
    "judge": (judged, lambda t: renamed(t, ":3f2a", ":77aa"), r"judge.*3f2a.*77aa"),
    "version": (
        lambda t: t,
        lambda t: t.assign(metric_version=2.0, series=t["series"].str.replace("@1", "@2")),
        r"version.*1.*2",
    ),
    "n": (lambda t: t, lambda t: t.assign(n=500.0), r"number of examples.*1,?000.*500"),
    "n of one seed": (
        lambda t: t,
        lambda t: t.assign(n=np.where(t["seed"] == 2, 500.0, 1000.0)),
        r"number of examples",
    ),
    "n unknown": (lambda t: t, lambda t: t.assign(n=np.nan), r"number of examples"),
    "radius": (
        lambda t: t.assign(epsilon=0.1),
        lambda t: t.assign(epsilon=0.2),
        r"epsilon grid.*0\.1.*0\.2",
    ),
    "grid": (
        lambda t: renamed(t, "score", "score@0.05,0.1"),
        lambda t: renamed(t, "score@0.05,0.1", "score@0.05,0.2"),
        r"grid.*0\.05,0\.1.*0\.05,0\.2",
    ),
    "data": (lambda t: t, lambda t: t.assign(dataset_fingerprint="g"), r"data set.*f.*g"),
    "data of one seed": (
        lambda t: t,
        lambda t: t.assign(dataset_fingerprint=np.where(t["seed"] == 2, "g", "f")),
        r"data set",
    ),
    "direction": (lambda t: t, lambda t: t.assign(direction="higher"), r"direction.*lower.*higher"),
    "no direction": (lambda t: t, lambda t: t.assign(direction="none"), r"direction"),
    "settings": (
        lambda t: t,
        lambda t: t.assign(
            cell_id=t["cell_id"] + "?steps=7",
            series=t["series"].str.replace("/score", "?steps=7/score"),
        ),
        r"other settings.*steps=7",
    ),
}


@pytest.mark.parametrize("what", MISMATCHES)
def test_what_is_of_another_kind_can_not_be_compared(what):
    """The values are the same to the last bit: what they are of is not."""
    prepare, change, said = MISMATCHES[what]
    base = prepare(plain())
    found = against(base, pd.concat([change(base[only(base)]), base[~only(base)]]), **LENIENT)
    assert found.exit_code == 5
    assert found.verdict == "INCOMPARABLE"
    there = found.rows[(found.rows["model"] == "model0") & (found.rows["verdict"] != "NEW")]
    assert there["verdict"].tolist() == ["INCOMPARABLE"]
    assert re.search(said, there["reason"].iloc[0])
    assert {v for n, v in verdicts(found).items() if n != "model0"} == {"PASS"}


@pytest.mark.parametrize(("status", "seeds"), [*((s, 1) for s in BAD), ("failed", 5)])
def test_a_cell_that_failed_never_passes(status, seeds):
    """Exit code 4, with its reason; also where the policy is lenient."""
    table = plain()
    found = against(table, lost(table, only(table) & (table["seed"] < seeds), status), **LENIENT)
    assert found.exit_code == 4
    assert found.verdict == "FAILED"
    cells = found.rows[found.rows["level"] == "cell"]
    assert len(cells) == seeds
    assert set(cells["verdict"]) == {"FAILED"}
    assert cells["reason"].str.contains(f"{status}: planted").all()
    assert sorted(cells["seed"]) == list(range(seeds))


def test_a_regression_comes_before_a_failure():
    table = plain()
    other = worse(plain(first_seed=100), 0.3)
    found = against(table, lost(other, only(other), "crashed"))
    assert found.exit_code == 3
    assert "FAILED" in set(found.rows["verdict"])


def test_a_new_cell_that_failed_never_passes():
    """It is not in the baseline, and it crashed all the same."""
    table = plain()
    base = without(table, only(table))
    assert against(base, lost(table, only(table), "crashed")).exit_code == 4


def test_a_failure_in_a_suite_that_the_baseline_lacks_never_passes():
    table = plain()
    other = plain(suite="other").assign(series=lambda t: t["series"].str.replace("simulated", "o"))
    found = against(table, pd.concat([table, lost(other, only(other), "crashed")]))
    assert found.exit_code == 4


def test_a_cell_that_failed_beside_its_values_never_passes():
    """Two runs put together by hand: one row says ok, another says crashed."""
    table = plain()
    crash = lost(table, only(table) & (table["seed"] == 1), "crashed")
    both = pd.concat([table, crash[crash["status"] == "crashed"]])
    try:
        assert against(table, both).exit_code != 0
    except UsageError:
        return


@pytest.mark.parametrize("seeds", [1, 5])
def test_a_cell_that_is_skipped_can_not_be_compared(seeds):
    table = plain()
    skipped = lost(table, only(table) & (table["seed"] < seeds), "skipped", "needs a GPU")
    found = against(table, skipped, **LENIENT)
    assert found.exit_code == 5
    assert row_of(found)["verdict"] == "INCOMPARABLE"
    assert "skipped: needs a GPU" in row_of(found)["reason"]


def test_new_series_are_listed_and_do_not_fail():
    table = plain()
    found = against(without(table, only(table)), table)
    assert found.exit_code == 0
    assert row_of(found)["verdict"] == "NEW"
    assert row_of(found)["reason"]


def test_nothing_in_common_is_never_a_pass():
    table = plain()
    other = table.assign(
        series=table["series"].str.replace("model", "other"),
        cell_id=table["cell_id"].str.replace("model", "other"),
    )
    found = against(table, other, **LENIENT)
    assert found.exit_code == 5
    assert found.suites["reason"].str.contains("could be compared").all()


def test_another_suite_is_refused():
    with pytest.raises(UsageError, match=r"nothing to compare: .*simulated.*other"):
        against(plain(), plain(suite="other"))


def test_another_tier_is_refused():
    with pytest.raises(UsageError, match=r"tier quick of simulated.*of paper"):
        against(plain(), plain(tier="paper"))


def test_a_suite_of_the_baseline_that_is_gone_never_passes():
    table = plain()
    second = table.assign(suite="second", series=table["series"].str.replace("simulated", "second"))
    both = pd.concat([table, second])
    found = against(both, table, **LENIENT)
    assert found.exit_code == 5
    assert dict(zip(found.suites["suite"], found.suites["verdict"], strict=True)) == {
        "simulated": "PASS",
        "second": "INCOMPARABLE",
    }
    assert against(both, both).exit_code == 0


def test_a_gate_in_which_nothing_decides_says_so():
    """Every loss in the world, and no series that may turn it red: no silent pass."""
    table = plain(primary=False)
    found = against(table, worse(table))
    said = " ".join([*found.notes, *found.suites["reason"]])
    assert found.exit_code != 0 or re.search("decid|primary", said)
    assert found.suites["reason"].iloc[0] != "no deciding series changed"


# Seeds


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_settle_nothing(seeds):
    """2 against 2 can't show anything: neither a loss nor that there is none."""
    found = against(plain(seeds), worse(plain(seeds, first_seed=50)))
    assert found.verdict == "INCONCLUSIVE"
    assert found.exit_code == 5
    assert set(verdicts(found).values()) == {"INCONCLUSIVE"}
    assert f"{seeds} against {seeds} seeds can't show any change" in found.suites["reason"].iloc[0]


def test_a_single_seed_does_not_ask_for_a_thousand():
    """Of one seed nobody knows the spread: that is what the reason must say."""
    found = against(plain(1), plain(1, first_seed=50))
    assert "1,000" not in row_of(found)["reason"]


def test_inconclusive_fails_unless_it_may_pass():
    one, other = (rows(1 + 0.2 * np.random.default_rng(s).normal(size=(5, 3)), s) for s in (0, 50))
    assert against(one, other).verdict == "INCONCLUSIVE"
    assert against(one, other).exit_code == 5
    lenient = against(one, other, **LENIENT)
    assert lenient.verdict == "INCONCLUSIVE"
    assert lenient.exit_code == 0


def test_inconclusive_says_how_many_seeds_would_settle_it():
    """Few for a margin that is wide against the spread, more for a narrower one."""
    rng = np.random.default_rng(1)
    values = [1 + 0.06 * rng.normal(size=(5, 1)) for _ in range(2)]
    values[1] += values[0].mean() - values[1].mean()
    needed = []
    for margin in (0.04, 0.02):
        one, other = (
            rows(v, s, relative=0.0, absolute=margin) for v, s in zip(values, (0, 9), strict=True)
        )
        row = row_of(against(one, other))
        assert row["verdict"] == "INCONCLUSIVE"
        assert f"about {row['seeds_needed']:.0f} seeds" in row["reason"]
        needed.append(row["seeds_needed"])
    assert 10 < needed[0] < needed[1] < 400


@pytest.mark.slow
def test_the_seeds_it_asks_for_settle_it():
    """Of ten runs of so many seeds at the same true loss, most are settled."""
    rng = np.random.default_rng(2)

    def table(seeds, first, loss):
        values = 1 + loss + 0.06 * rng.normal(size=(seeds, 1))
        return rows(values, first, relative=0.0, absolute=0.05)

    for loss in (0.0, 0.06, 0.12):
        asked = [row_of(against(table(4, 0, 0), table(4, 50, loss))) for _ in range(9)]
        sizes = [row["seeds_needed"] for row in asked if row["verdict"] == "INCONCLUSIVE"]
        assert sizes
        seeds = int(np.nanmedian(sizes))
        again = [against(table(seeds, 0, 0), table(seeds, 900, loss)) for _ in range(10)]
        assert sum(found.verdict != "INCONCLUSIVE" for found in again) >= 6


def test_fewer_seeds_than_the_baseline_are_enough():
    """A baseline has about twice as many as a run."""
    found = against(plain(10), plain(10)[lambda t: t["seed"] < 5])
    assert found.exit_code == 0
    assert found.verdict == "PASS"


# Divergence


def test_a_diverged_seed_is_worse_than_any_value():
    """As if it had the worst value of all: the same p."""
    one, other = plain(5, 1), plain(5, 1, 50)
    far = other.assign(value=np.where(other["seed"] == 51, 1e9, other["value"]))
    gone = lost(other, other["seed"] == 51, "diverged")
    assert row_of(against(one, gone))["p"] == row_of(against(one, far))["p"]
    higher = [t.assign(direction="higher") for t in (one, other)]
    low = higher[1].assign(value=np.where(other["seed"] == 51, -1e9, other["value"]))
    gone = lost(higher[1], other["seed"] == 51, "diverged")
    assert row_of(against(higher[0], gone))["p"] == row_of(against(higher[0], low))["p"]


@pytest.mark.parametrize("kind", ["seeded", "paired", "deterministic"])
@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_a_model_that_always_diverges_regressed(kind, direction):
    seeds = 5
    one, other = (plain(seeds, 3, f, kind=kind, direction=direction) for f in (0, 0))
    found = against(one, lost(other, only(other), "diverged"))
    row = row_of(found)
    assert row["verdict"] == "REGRESSED"
    assert found.exit_code == 3
    assert row["finished_before"] == ""
    assert row["finished_after"].startswith(f"0/{seeds} (0–")


def test_a_model_that_does_not_diverge_any_more_improved():
    table = plain(6, 3)
    found = against(lost(table, only(table), "diverged"), table)
    assert found.exit_code == 0
    assert row_of(found)["verdict"] == "IMPROVED"
    assert row_of(found)["finished_before"].startswith("0/6")


def test_the_share_that_finished_stands_in_the_row():
    """With Wilson's interval: of 3 of 5, 23 to 88 %."""
    table = plain()
    found = against(table, lost(table, only(table) & (table["seed"] < 2), "diverged"))
    assert row_of(found)["finished_after"] == "3/5 (23–88 %)"
    assert row_of(found)["verdict"] in ("INCONCLUSIVE", "REGRESSED")
    assert row_of(found, "model1")["finished_after"] == ""


@pytest.mark.parametrize("kind", ["seeded", "paired", "deterministic"])
@pytest.mark.parametrize("lost_seeds", [1, 4])
def test_seeds_that_diverge_now_are_not_forgotten(kind, lost_seeds):
    """The others are the same to the last bit, of the same artifacts: still no pass."""
    bits = np.random.default_rng(0).random((5, 4000)) < 0.01
    table = outcomes(bits, kind=kind, probed=True)
    gone = lost(table, table["seed"] < lost_seeds, "diverged")
    found = against(table, gone)
    assert row_of(found)["verdict"] in ("INCONCLUSIVE", "REGRESSED")
    assert found.exit_code in (3, 5)


# Deterministic metrics


def fixed(**changes):
    """A deterministic metric of the same artifacts, tolerance 0.01."""
    table = plain(5, 1)
    table["artifact_key"] = [f"model of seed {seed}" for seed in table["seed"]]
    made = {"kind": "deterministic", "examples": "e", "absolute": 0.01, "relative": 0.0}
    return table.assign(**{**made, **changes})


def moved(table, by, seed=1):
    return table.assign(value=table["value"] + np.where(table["seed"] == seed, by, 0.0))


@pytest.mark.parametrize(
    ("by", "verdict"),
    [(0.009, "PASS"), (-0.009, "PASS"), (0.011, "REGRESSED"), (-0.02, "REGRESSED")],
)
def test_a_deterministic_metric_is_held_to_its_tolerance(by, verdict):
    """Of one seed of five, and either way: nothing was trained."""
    found = against(fixed(probed=True), moved(fixed(), by))
    assert row_of(found)["verdict"] == verdict
    assert row_of(found)["kind"] == "deterministic"
    assert np.isnan(row_of(found)["p"])
    assert found.exit_code == (0 if verdict == "PASS" else 3)


NOT_DETERMINED = {
    "no probe": ({}, {}, "no same-seed probe"),
    "another model": ({"probed": True}, {"artifact_key": "z"}, "not the same artifacts"),
    "other examples": ({"probed": True}, {"examples": "z"}, "examples"),
    "the same code gave two values": (
        {"probed": True, "key": "k", "commit": "c"},
        {"key": "k", "commit": "c"},
        "same seed and code gave two values",
    ),
}


@pytest.mark.parametrize("why", NOT_DETERMINED)
def test_what_is_not_shown_to_be_deterministic_counts_as_seeded(why):
    ours, theirs, said = NOT_DETERMINED[why]
    found = against(fixed(**ours), moved(fixed(**theirs), 0.02))
    assert row_of(found)["kind"] == "seeded"
    assert said in row_of(found)["reason"]
    assert row_of(found)["verdict"] != "PASS"


def test_seeds_that_the_baseline_lacks_are_judged_too():
    """One seed is in both and the same; nine others are fifty times as bad."""
    one = fixed(probed=True)
    other = plain(10, 1).assign(**{c: one[c].iloc[0] for c in ("kind", "absolute", "examples")})
    other["artifact_key"] = [f"model of seed {seed}" for seed in other["seed"]]
    shared = other["seed"] == 0
    other["seed"] += np.where(shared, 0, 100)
    other["value"] = np.where(shared, one["value"].iloc[0], 50.0)
    assert against(one, other).exit_code == 3


# Paired outcomes

BITS = np.random.default_rng(3).random((5, 400)) < 0.2


def flipped(count, to):
    """Some examples that turn out the same for every seed, or another way."""
    bits = BITS.copy()
    bits[:, np.flatnonzero((bits != to).all(0))[:count]] = to
    return bits


def test_identical_outcomes_pass():
    found = against(outcomes(BITS), outcomes(BITS))
    assert found.exit_code == 0
    assert row_of(found)["verdict"] == "PASS"


def test_flips_of_one_trained_model_regressed_either_way():
    """A better number of the same model is a measurement that changed."""
    easier = BITS.copy()
    easier[:, :40] = False
    for one, other in ((BITS, flipped(30, True)), (BITS, easier)):
        found = against(outcomes(one), outcomes(other))
        row = row_of(found)
        assert (row["kind"], row["verdict"]) == ("paired", "REGRESSED")
        assert found.exit_code == 3
        assert "trained models are the same" in row["reason"]
        assert re.search(r"\d+ of 2000 outcomes worse, \d+ better", row["reason"])


def test_p_of_paired_outcomes_is_mcnemars():
    """Ten examples lost for every seed: two-sided, 2 in 2^10."""
    assert row_of(against(outcomes(BITS), outcomes(flipped(10, True))))["p"] == pytest.approx(
        2 / 2**10
    )


def test_three_flips_settle_nothing():
    row = row_of(against(outcomes(BITS), outcomes(flipped(3, True))))
    assert row["kind"] == "paired"
    assert row["verdict"] in ("INCONCLUSIVE", "PASS")


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_seeds_that_repeat_one_another_are_no_evidence_that_nothing_changed(share):
    """The same image lost for all five seeds is one image: a bound must not shrink by them."""
    one = np.zeros((1, 400), bool)
    other = one.copy()
    other[:, : int(400 * share)] = True
    alone = row_of(against(outcomes(one), outcomes(other)))
    five = row_of(against(outcomes(np.repeat(one, 5, 0)), outcomes(np.repeat(other, 5, 0))))
    assert five["p"] == pytest.approx(alone["p"])
    assert five["high"] >= alone["high"] - 1e-9
    assert five["low"] <= alone["low"] + 1e-9


def test_a_shipped_model_with_one_seed_is_judged_by_its_images():
    """Robust accuracy of 56 and 30 % on the same 200 images, of two sets of weights that came as
    they are: McNemar's test, and a better one is no fault.
    """
    right = np.zeros((2, 1, 200), bool)
    right[0, 0, :112], right[1, 0, 30:90] = True, True
    told = {"direction": "higher", "shipped": True, "artifact_key": ["v1"]}
    old, new = (outcomes(bits, **told) for bits in right)
    new["artifact_key"] = "v2"
    worse, better = against(old, new), against(new, old)
    assert (row_of(worse)["kind"], row_of(worse)["verdict"]) == ("paired", "REGRESSED")
    assert worse.exit_code == 3
    assert row_of(worse)["reason"].startswith(
        "52 of 200 outcomes worse, 0 better (McNemar); worse "
    )
    assert row_of(better)["verdict"] == "IMPROVED"
    assert better.exit_code == 0
    assert row_of(against(old, old))["verdict"] == "PASS"


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("change", [{"shipped": False}, {"examples": "others"}])
def test_models_that_were_trained_are_not_judged_by_images(side, change):
    """Nor shipped ones on other images: a training is one draw of many."""
    bits = np.zeros((2, 1, 200), bool)
    bits[0, 0, :112], bits[1, 0, 30:90] = True, True
    told = {"direction": "higher", "shipped": True}
    tables = [outcomes(one, **told, artifact_key=f"v{i}") for i, one in enumerate(bits)]
    tables[side] = tables[side].assign(**change)
    row = row_of(against(*tables))
    assert (row["kind"], row["verdict"]) == ("seeded", "INCONCLUSIVE")


SEEDED = {
    "retrained": {"artifact_key": "z"},
    "no artifact": {"artifact_key": ""},
    "other examples": {"examples": "z"},
    "outcomes lost": {"outcomes": ""},
    "outcomes damaged": {"outcomes": "%%%"},
    "outcomes too short": {"outcomes": "AAAA"},
    "outcomes of another value": {"outcomes": [outcomes(~BITS)["outcomes"]][0]},
}


@pytest.mark.parametrize("why", SEEDED)
def test_what_can_not_be_paired_counts_as_seeded(why):
    found = against(outcomes(BITS), outcomes(flipped(60, True), **SEEDED[why]))
    assert row_of(found)["kind"] == "seeded"
    assert row_of(found)["verdict"] == "REGRESSED"


def test_a_better_number_of_retrained_models_improved():
    easier = BITS & (np.random.default_rng(4).random(BITS.shape) < 0.3)
    found = against(outcomes(BITS), outcomes(easier, artifact_key="z"))
    assert row_of(found)["verdict"] == "IMPROVED"
    assert found.exit_code == 0


# What a policy changes


def test_the_last_margin_that_matches_wins():
    one, other = plain(), worse(plain(first_seed=100), 0.2)
    wide, tight = {"model": "model*", "absolute": 0.5}, {"model": "model0", "absolute": 0.0}
    passing = against(one, other, margin=[tight, wide])
    assert set(verdicts(passing).values()) == {"PASS"}
    assert row_of(passing)["margin"] == 0.5
    mixed = against(one, other, margin=[wide, tight])
    assert row_of(mixed)["verdict"] == "REGRESSED"
    assert row_of(mixed)["margin"] == pytest.approx(0.05, rel=0.1)
    assert row_of(mixed, "model1")["verdict"] == "PASS"


def test_a_margin_is_the_larger_of_both():
    one, other = plain(first_seed=0), plain(first_seed=100)
    usual = float(np.median(one["value"][only(one)]))
    for absolute, relative, expected in ((0.3, 0.1, 0.3), (0.1, 0.3, 0.3 * usual)):
        found = against(one, other, margin=[{"absolute": absolute, "relative": relative}])
        assert row_of(found)["margin"] == pytest.approx(expected)


@pytest.mark.parametrize(
    "pattern",
    ["score@digits-cnn:3f2a", "score@digits-cnn", "score", "*@digits-*"],
)
def test_a_metric_is_named_with_and_without_its_judge(pattern):
    one, other = judged(plain()), judged(plain(first_seed=100))
    assert row_of(against(one, other, margin=[{"metric": pattern, "absolute": 9}]))["margin"] == 9
    found = against(one, worse(other), ignore=[{"metric": pattern, "reason": "why not"}])
    assert set(verdicts(found).values()) == {"IGNORED"}
    named = against(one.assign(primary=False), worse(other), primary=[pattern])
    assert named.exit_code == 3


@pytest.mark.parametrize("axis", ["suite", "task", "dataset", "model", "metric"])
def test_rules_match_by_every_axis(axis):
    """Exactly and by pattern, and not what is named otherwise."""
    one, other = plain(5, 1), plain(5, 1, 100)
    name = str(one[axis].iloc[0])
    margins = [
        {axis: name, "absolute": 7.0},
        {axis: "?" + name[1:] + "*", "relative": 0.0},
        {axis: "nothing so named", "absolute": 9.0},
    ]
    assert row_of(against(one, other, margin=margins))["margin"] == 7.0


def test_what_is_ignored_is_told_and_decides_nothing():
    one, other = plain(), worse(plain(first_seed=100), 0.3, only(plain(first_seed=100)))
    found = against(one, other, ignore=[{"model": "model0", "reason": "known, see issue 12"}])
    assert found.exit_code == 0
    assert row_of(found)["verdict"] == "IGNORED"
    assert row_of(found)["reason"] == "known, see issue 12"
    assert against(one, other).exit_code == 3


def test_a_policy_that_ignores_everything_is_no_pass():
    found = against(plain(), worse(plain()), ignore=[{"reason": "all of it"}], **LENIENT)
    assert found.exit_code == 5


def test_a_policy_may_name_what_decides():
    one, other = plain(primary=False), worse(plain(first_seed=100))
    assert against(one, other, primary=["score"]).exit_code == 3


def test_an_error_rate_may_be_smaller():
    """What is red at 5 % needs more seeds at one in a thousand."""
    one, other = plain(5, 1), worse(plain(5, 1, 100))
    assert against(one, other, alpha=0.05).exit_code == 3
    assert against(one, other, alpha=0.001).exit_code == 5
    one, other = plain(8, 1), worse(plain(8, 1, 100))
    assert against(one, other, alpha=0.001).exit_code == 3


@pytest.mark.parametrize(
    "policy",
    [
        {"margin": [{"model": "modle0", "absolute": 1}]},
        {"ignore": [{"metric": "scoer", "reason": "x"}]},
        {"primary": ["scoer"]},
        {"primary": ["score", "scoer"]},
    ],
    ids=["margin", "ignore", "primary", "one of two primary"],
)
def test_a_rule_that_matches_nothing_is_noted(policy):
    found = against(plain(), plain(), **policy)
    word = "modle0" if "margin" in policy else "scoer"
    assert any(word in note for note in found.notes)
    assert against(plain(), plain(), margin=[{"model": "model0", "absolute": 1}]).notes == ()


def test_a_misspelt_primary_metric_is_no_pass():
    """Nothing decides any more: a gate that lets everything through is none."""
    found = against(plain(), worse(plain()), primary=["scoer"])
    assert found.exit_code != 0


def test_a_note_says_that_devices_differ():
    found = against(plain(), plain(device="cuda"))
    assert any("cuda" in note and "cpu" in note for note in found.notes)


def test_a_note_says_that_nobody_named_what_decides():
    bare = plain().drop(columns=["primary", "role"])
    assert any("primary" in note for note in against(bare, bare).notes)
    assert against(bare, worse(bare)).exit_code == 3
    assert against(bare, plain()).notes == ()


# Size


def large(first_seed=0):
    """10,000 series of ten seeds, of which a thousand decide."""
    rng = np.random.default_rng(first_seed)
    table = rows(1 + 0.01 * rng.normal(size=(10, 10_000)), first_seed)
    return table.assign(primary=np.tile(np.arange(10_000) < 1_000, 10))


def paired_large(noise):
    """The same with the outcomes of 800 examples."""
    bits = np.random.default_rng(noise).random((10, 800)) < 0.1
    one = outcomes(bits)
    columns = ["value", "outcomes", "n", "kind", "examples", "artifact_key"]
    return large().assign(**{c: np.repeat(one[c].to_numpy(), 10_000) for c in columns})


LARGE = {
    "other seeds": lambda: (large(), large(100)),
    "identical": lambda: (large(), large()),
    "paired": lambda: (paired_large(0), paired_large(1)),
    "settings": lambda: (
        large(),
        large().assign(
            cell_id=lambda t: t["cell_id"] + "?a=1", series=lambda t: t["series"] + "?a=1"
        ),
    ),
    "cells": lambda: (
        large(),
        large().assign(cell_id=lambda t: t["cell_id"] + "a", series=lambda t: t["series"] + "a"),
    ),
    "grid": lambda: (large().assign(epsilon=0.1), large().assign(epsilon=0.2)),
    "crashed": lambda: (large(), lost(large(), large()["seed"] == 3, "crashed")),
    "diverged": lambda: (large(), lost(large(), large()["seed"] == 3, "diverged")),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", LARGE)
def test_a_hundred_thousand_rows_compare_in_five_seconds(what):
    """Also where nothing can be compared, and somebody has to say why. Outcomes of as many rows,
    image by image, take twice as long.
    """
    one, other = LARGE[what]()
    with threadpool_limits(1):
        start = time.process_time()
        found = against(one, other, **LENIENT)
        assert time.process_time() - start < (10 if what == "paired" else 5)
    told = {"PASS", "INCONCLUSIVE"} if what == "paired" else {"PASS"}
    assert told & set(found.rows["verdict"]) or found.exit_code
    assert len(found.rows) > 10_000
    if what in ("other seeds", "identical"):
        assert found.counts == {"PASS": 1_000}


def test_two_thousand_series_that_differ_in_their_settings_take_no_time():
    """What takes a second for two thousand series takes minutes for ten thousand."""
    one = rows(np.ones((1, 2_000)))
    other = one.assign(cell_id=one["cell_id"] + "?a=1", series=one["series"] + "?a=1")
    start = time.process_time()
    assert against(one, other).exit_code == 5
    assert time.process_time() - start < 2
