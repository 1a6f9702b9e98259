"""The measured tables that are shipped: whole, final, and of every model there is."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import results
from bench.gate.compare import registered_facts
from bench.suites.schema import load_suite
from generative import RECIPES
from results.gate.baselines import ADDED, DATE, REASON
from results.gate.columns import ASKED, facts_from
from results.gate.judging import compare_sides
from results.gate.policy import Policy
from results.gate.sides import read_side
from results.rows import COLUMNS

FOLDER = Path(results.__file__).parent / "baselines"
FILES = sorted(FOLDER.glob("*.csv"))
MODEL = ["dataset", "model"]
LATER = ("shipped", "worst")
"""Columns that a baseline has from when it is set anew."""


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def table(request):
    """A shipped table, as text."""
    return pd.read_csv(request.param, dtype=str, keep_default_na=False)


def test_there_is_one():
    """Of mode collapse at least."""
    assert "mode-collapse" in [path.stem for path in FILES]


def test_a_table_is_whole(table):
    """The columns of the contract, final rows, nothing failed; by one commit that was not dirty, or
    one for each model on each data set where no run is held against the table.
    """
    before = tuple(name for name in ADDED if name not in LATER)
    assert tuple(table.columns) in (COLUMNS, (*COLUMNS, *ADDED), (*COLUMNS, *before))
    assert set(table["final"]) == {"True"}
    held_against = "primary" in table.columns
    together = table.groupby(lambda at: 0 if held_against else tuple(table.loc[at, MODEL]))
    assert set(together["commit"].nunique()) == {1}
    assert set(table["dirty"]) == {"False"}
    assert set(table["status"]) <= {"ok", "diverged", "skipped"}
    ok = table[table["status"] == "ok"]
    assert pd.to_numeric(ok["value"]).notna().all()
    assert not table.duplicated(["series", "seed", "epsilon", "step", "status"]).any()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_gate_can_read_it(path):
    """As a side; what a gate is held against has a reason, a date and series that decide."""
    side = read_side(path, registered_facts)
    assert len(side.rows) > 100
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if "primary" in table.columns:
        assert side.rows["primary"].any()
        assert (side.rows["role"] == "floor").any()
        assert set(table[DATE]) != {""}
        assert set(table[REASON]) != {""}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_facts_are_those_of_the_metrics_now(path):
    """Kinds and margins in a file go stale where the metric's change: then set it again."""
    rows = read_side(path, registered_facts).rows
    for row in rows.drop_duplicates(["task", "metric"]).to_dict("records"):
        about = registered_facts(row["task"], row["metric"])
        assert about, row["metric"]
        assert row["direction"] == about["direction"]
        facts = facts_from(about)
        known = {name: facts[name] for name in ASKED}
        assert {name: row[name] for name in ASKED} == known, row["metric"]
        if not math.isnan(row["worst"]):
            assert row["worst"] == facts["worst"], row["metric"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_gate_passes_it_and_sees_that_it_got_worse(path):
    """Against itself; and with every value worse by 30 % in its direction, seed for seed."""
    side = read_side(path, registered_facts)
    if not side.primary:
        return
    same = compare_sides(side, side, Policy())
    assert (same.exit_code, same.verdict) == (0, "PASS")
    sign = np.where(side.rows["direction"] == "higher", -1, 1)
    values = side.rows["value"] * (1 + 0.3 * sign)
    worse = replace(side, rows=side.rows.assign(value=values, outcomes=""))
    assert compare_sides(side, worse, Policy()).exit_code == 3


MODELS = set(
    """oracle noise one-mode drop-one gmm gmm-bic one-gaussian pca-gaussian untrained vae vae-mean
    autoencoder denoising-autoencoder gan nsgan lsgan lsgan-pearson hingegan rsgan rasgan rlsgan
    ralsgan rhinge rahinge wgan wgan-gp dragan r1gan sngan""".split()
)
"""A model that comes later has its rows once somebody has measured it."""


def test_mode_collapse_has_every_model():
    """Each of these on each data set of the standard tier, with its 5 seeds."""
    table = pd.read_csv(FOLDER / "mode-collapse.csv", dtype=str, keep_default_na=False)
    suite = load_suite("mode-collapse")
    blocks = [block for block in suite.block if not block.tiers or "standard" in block.tiers]
    datasets = {name for block in blocks for name in block.grid["dataset"]}
    seeds = table.groupby(["dataset", "model"])["seed"].nunique()
    assert set(seeds.index.get_level_values("dataset")) == datasets
    assert set(seeds) == {suite.tiers["standard"].seeds}
    ours = {
        entry.name
        for entry in RECIPES.entries()
        if entry.origin.startswith("generative.")
        and not (entry.facts.images_only or entry.facts.translates)
    }
    measured = set(seeds.index.get_level_values("model"))
    assert MODELS <= measured <= ours
    assert len(seeds) == len(datasets) * len(measured)
