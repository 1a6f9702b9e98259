"""Some rows of a table, and their order: by names and by a metric."""

from __future__ import annotations

import pytest
from unrun import run_of

from bench.core.errors import UsageError
from results.shown import Shown

VALUES = {"oracle": (0.9, 0.9), "gan": (0.2, 0.4), "gan / steps=9": (0.6, 0.6), "vae": (0.5, 0.5)}


@pytest.fixture
def run(tmp_path):
    made = run_of(tmp_path, VALUES)
    for key, record in list(made.records.items())[-2:]:
        record["values"] = [each for each in record["values"] if each["metric"] != "loss"]
        assert key
    return made


def names(shown):
    return list(dict.fromkeys(shown.rows()["model"]))


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (("gan",), ["gan", "gan / steps=9"]),
        (("steps=*",), ["gan / steps=9"]),
        (("vae", "or*"), ["oracle", "vae"]),
        ((), list(VALUES)),
    ],
)
def test_rows_are_chosen_by_their_names(run, patterns, found):
    """Of their whole label, or of a part; in the order of the table."""
    shown = Shown([run], models=patterns)
    assert names(shown) == found
    (layout,) = shown.layouts() if patterns else [Shown([run], models=["*"]).layouts()[0]]
    assert [row[0][0] for row in layout.rows] == found


def test_a_pattern_that_fits_nothing_is_told(run):
    with pytest.raises(UsageError, match="unknown model 'gam': did you mean 'gan'"):
        Shown([run], models=["gam"]).rows()


@pytest.mark.parametrize(
    ("metric", "found"),
    [
        ("high_quality", ["oracle", "gan / steps=9", "vae", "gan"]),
        ("loss", ["oracle", "gan / steps=9", "gan", "vae"]),
    ],
)
def test_the_best_comes_first(run, metric, found):
    """The largest where larger is better, the smallest where smaller is; without a value last."""
    assert names(Shown([run], sort=metric)) == found
    assert sorted(names(Shown([run], sort=metric))) == sorted(VALUES)


def test_a_metric_that_is_in_no_table_is_told(run):
    with pytest.raises(UsageError, match="unknown metric 'los': did you mean 'loss'"):
        Shown([run], sort="los").rows()


def test_values_stay_with_their_rows(run):
    """Another order changes no number."""
    keys = ["model", "metric", "value", "low", "high"]
    usual, other = (
        Shown([run], sort=sort).rows()[keys].sort_values(keys).reset_index(drop=True)
        for sort in ("", "high_quality")
    )
    assert usual.equals(other)
