"""Published numbers: complete, citable, true to their tables, and honest about comparability."""

import json
from dataclasses import replace

import pytest

from bench.datasets import DATASETS
from bench.errors import UsageError
from bench.tasks.mixture import MixtureTask
from generative import RECIPES
from metrics import METRICS
from results import bibliography, published
from results.published import not_comparable
from results.summary import summarise

ROWS = [(name, row) for name in published.names() for row in published.load(name)]
IDS = [f"{name}-{row.dataset}-{row.model}-{row.metric}" for name, row in ROWS]


def _settings(row):
    """What our cells have when they are run as a row requires."""
    asked = {key: value for key, value in row.requires.items() if key != "seeds"}
    parts = {"dataset": row.dataset, "model": row.counterpart}
    return MixtureTask().resolve(parts, asked, None).settings


@pytest.mark.parametrize(("table", "row"), ROWS, ids=IDS)
def test_a_row_is_complete(table, row):
    """Its paper, data set and metric are known, its value is in range, its spread of a kind."""
    assert row.table == table
    assert row.paper in bibliography.entries()
    assert row.source
    assert row.dataset in DATASETS
    assert row.metric in METRICS
    assert row.counterpart == "" or row.counterpart in RECIPES
    assert row.runs >= 1
    assert (row.spread is None) == (row.spread_kind == "none")
    assert row.spread is None or row.spread >= 0
    assert row.spread_kind in ("none", "standard error", "standard deviation")
    assert row.note or row.requires
    facts = METRICS[row.metric].facts
    high = DATASETS[row.dataset].facts.modes if facts.counts_modes else facts.high
    assert facts.low is None or row.value >= facts.low
    assert high is None or row.value <= high


@pytest.mark.parametrize(("table", "row"), ROWS, ids=IDS)
def test_a_row_says_what_it_needs(table, row):
    """Run as required our number is comparable; one difference, and it is not."""
    if not row.requires:
        assert not_comparable(row, {"steps": 1}, 100) == row.note
    elif not row.counterpart:
        assert not_comparable(row, None, 0) == "no counterpart here"
    else:
        settings, seeds = _settings(row), row.requires["seeds"]
        assert set(settings) - {"evaluations"} == set(row.requires) - {"seeds"}
        assert not_comparable(row, settings, seeds) == ""
        assert not_comparable(row, settings, seeds + 1) == ""
        assert not_comparable(row, None, seeds) == "its counterpart was not run"
        assert not_comparable(row, settings, seeds - 1) == f"seeds {seeds - 1} not {seeds}"
        for name in set(row.requires) - {"seeds"}:
            assert not_comparable(row, {**settings, name: 7}, seeds).startswith(f"{name} 7 not")


def test_reasons_are_listed_together():
    """Numbers are written with their thousands, and the reasons with commas between."""
    row = replace(ROWS[0][1], requires={"steps": 400_000, "batch": 100, "seeds": 10}, note="")
    row = replace(row, counterpart="nsgan")
    wanted = "steps 8,000 not 400,000, batch None not 100, seeds 3 not 10"
    assert not_comparable(row, {"steps": 8_000}, 3) == wanted
    assert not_comparable(replace(row, requires={}), {}, 3) == "the paper gives no settings"


def test_an_unknown_table_is_answered_with_the_nearest():
    """Among the tables there are."""
    with pytest.raises(UsageError, match="'pacgan-table2': did you mean 'pacgan-table1'"):
        published.load("pacgan-table2")


PACGAN = """
GAN      6.3 0.5  98.2 0.2  0.45 0.09  17.3 0.8  94.8 0.7  0.70 0.07
ALI      6.6 0.3  97.6 0.4  0.36 0.04  24.1 0.4  95.7 0.6  0.14 0.03
PacGAN2  7.9 0.1  95.6 2.0  0.07 0.03  23.8 0.7  91.3 0.8  0.13 0.04
PacGAN3  7.8 0.1  97.7 0.3  0.10 0.02  24.6 0.4  94.2 0.4  0.06 0.02
PacGAN4  7.8 0.1  95.9 1.4  0.07 0.02  24.8 0.2  93.6 0.6  0.04 0.01
"""
VEEGAN = """
GAN           1    99.3   3.3   0.5   1.6  2.0
ALI           2.8   0.13  15.8  1.6   3    5.4
Unrolled      7.6  35.6   23.6  16    0    0.0
VEEGAN        8    52.9   24.6  40    5.5  28.29
"""


def _found(table):
    """Value and spread by model, data set and metric."""
    return {
        (row.model.split()[0], row.dataset.split("@")[0], row.metric.split("@")[0]): (
            row.value,
            row.spread,
        )
        for row in published.load(table)
    }


def test_pacgan_table_1():
    """The paper's table, typed in anew: mean and standard error over 10 trials."""
    heads = [
        (dataset, metric)
        for dataset in ("ring8", "grid25")
        for metric in ("modes_raw", "high_quality", "reverse_kl_pacgan")
    ]
    wanted = {}
    for line in PACGAN.strip().split("\n"):
        model, *cells = line.split()
        for (dataset, metric), value, spread in zip(heads, cells[::2], cells[1::2], strict=True):
            unit = 100 if metric == "high_quality" else 1
            wanted[model, dataset, metric] = (float(value) / unit, float(spread) / unit)
    found = _found("pacgan-table1")
    assert found.keys() == wanted.keys()
    assert all(found[key] == pytest.approx(wanted[key]) for key in wanted)
    rows = published.load("pacgan-table1")
    assert {(row.spread_kind, row.runs) for row in rows} == {("standard error", 10)}


def test_veegan_table_1():
    """The paper's table, typed in anew: means over 5 runs without a spread."""
    heads = [
        (dataset, metric)
        for dataset in ("ring8", "grid25", "hd10")
        for metric in ("modes_raw", "high_quality")
    ]
    wanted = {}
    for line in VEEGAN.strip().split("\n"):
        model, *cells = line.split()
        for (dataset, metric), value in zip(heads, cells, strict=True):
            wanted[model, dataset, metric] = float(value) / (1 if metric == "modes_raw" else 100)
    found = _found("veegan-table1")
    assert found.keys() == wanted.keys()
    assert all(found[key] == (pytest.approx(wanted[key]), None) for key in wanted)
    rows = published.load("veegan-table1")
    assert {row.runs for row in rows} == {5}


def _run(metrics, settings, seeds=10):
    """The manifest and the records of a finished run of one model on the ring."""
    cells = [
        {
            "block": "b",
            "parts": {"dataset": "ring8@pacgan", "model": "nsgan"},
            "cell_id": "cell",
            "key": str(seed),
            "settings": settings,
        }
        for seed in range(seeds)
    ]
    block = {"name": "b", "task": "mixture", "metrics": metrics, "published": ["pacgan-table1"]}
    value = {"metric": "modes_raw", "value": 6.0, "std_error": None, "n": 2_500, "final": True}
    record = {"status": "ok", "reason": "", "values": [value]}
    manifest = {"blocks": [block], "cells": cells, "metrics": {}, "parts": {}}
    return manifest, {cell["key"]: record for cell in cells}


def test_published_rows_stand_beside_ours():
    """With value and spread, their source, what they require, and why they can't be compared."""
    row = next(row for row in published.load("pacgan-table1") if row.counterpart)
    table = summarise(*_run(["modes_raw"], _settings(row)))
    beside = table[(table.role == "published") & (table.model == "GAN")].iloc[0]
    assert (beside.value, beside.low, beside.high) == (6.3, pytest.approx(5.8), pytest.approx(6.8))
    assert (beside.interval, beside.seeds, beside.note) == ("standard error", 10, "comparable")
    assert json.loads(beside.settings) == row.requires
    assert "arXiv:1712.04086, Table 1" in beside.source
    ali = table[(table.role == "published") & (table.model == "ALI")].iloc[0]
    assert ali.note == "not comparable: no counterpart here"


@pytest.mark.parametrize("metrics", [["modes_raw", "js_modes"], ["js_modes", "modes_raw"]])
def test_a_metric_without_values_makes_nothing_incomparable(metrics):
    """Seeds are counted where a model has values, whichever metric comes last."""
    row = next(row for row in published.load("pacgan-table1") if row.counterpart)
    table = summarise(*_run(metrics, _settings(row)))
    beside = table[(table.role == "published") & (table.model == "GAN")].iloc[0]
    assert beside.note == "comparable"


def test_a_short_run_is_not_comparable():
    """The note says by what."""
    row = next(row for row in published.load("pacgan-table1") if row.counterpart)
    table = summarise(*_run(["modes_raw"], {**_settings(row), "steps": 2_500}, seeds=3))
    beside = table[(table.role == "published") & (table.model == "GAN")].iloc[0]
    assert beside.note == "not comparable: steps 2,500 not 400,000, seeds 3 not 10"
