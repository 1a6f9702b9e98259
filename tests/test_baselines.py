"""The measured tables that are shipped: whole, final, and of every model there is."""

from pathlib import Path

import pandas as pd
import pytest

import results
from bench.suite import load_suite
from generative import RECIPES
from results.rows import COLUMNS

FOLDER = Path(results.__file__).parent / "baselines"
FILES = sorted(FOLDER.glob("*.csv"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def table(request):
    """A shipped table, as text."""
    return pd.read_csv(request.param, dtype=str, keep_default_na=False)


def test_there_is_one():
    """Of mode collapse at least."""
    assert "mode-collapse" in [path.stem for path in FILES]


def test_a_table_is_whole(table):
    """The columns of the contract, final rows, one commit that was not dirty, nothing failed."""
    assert list(table.columns) == list(COLUMNS)
    assert set(table["final"]) == {"True"}
    assert len(set(table["commit"])) == 1
    assert set(table["dirty"]) == {"False"}
    assert set(table["status"]) <= {"ok", "diverged", "skipped"}
    ok = table[table["status"] == "ok"]
    assert pd.to_numeric(ok["value"]).notna().all()
    assert not table.duplicated(["series", "seed", "epsilon", "step", "status"]).any()


def test_mode_collapse_has_every_model():
    """Each recipe on each data set of the standard tier, with its 5 seeds."""
    table = pd.read_csv(FOLDER / "mode-collapse.csv", dtype=str, keep_default_na=False)
    suite = load_suite("mode-collapse")
    blocks = [block for block in suite.block if not block.tiers or "standard" in block.tiers]
    datasets = {name for block in blocks for name in block.grid["dataset"]}
    seeds = table.groupby(["dataset", "model"])["seed"].nunique()
    assert set(seeds.index.get_level_values("dataset")) == datasets
    assert set(seeds) == {suite.tiers["standard"].seeds}
    ours = {entry.name for entry in RECIPES.entries() if entry.origin.startswith("generative.")}
    assert set(seeds.index.get_level_values("model")) == ours
    assert len(seeds) == len(datasets) * len(ours)
