"""What papers claimed: whole, true to what they print, and judged by the interval of the pairs."""

from __future__ import annotations

import csv
import importlib
import math
import shlex

import numpy as np
import pytest
from harness import record, value

from attacks import ATTACKS
from attacks.classifiers import CLASSIFIERS
from bench.datasets import DATASETS
from bench.run.run import plan_of
from bench.suites.builtin import rows as suites
from bench.tasks.generation.mixture import MixtureTask
from generative import RECIPES
from metrics import METRICS
from results import bibliography, claims, published
from results.claims import Claim, Operand
from results.evidence import AXES, from_records, from_rows
from results.judging import FOUND, judge, judged
from results.store import frame

EVERY = claims.every()
ALIKE = {"frechet": "fid"}
"""Metrics of ours that stand for a published one of another name."""


def _sides(claim):
    return (claim.larger, claim.smaller)


def test_there_are_many():
    """Of many papers, each named once in its file."""
    assert len(EVERY) >= 60
    assert len(claims.names()) >= 12
    assert len({(claim.file, claim.id) for claim in EVERY}) == len(EVERY)


@pytest.mark.parametrize("name", claims.names())
def test_a_claim_is_whole(name):
    """Its paper is known, what it is about is there, or it says why not; how it is measured and
    overturned stands with it.
    """
    known = {row["name"] for row in suites()}
    for claim in claims.load(name):
        assert claim.paper in bibliography.entries(), claim.id
        assert claim.text, claim.id
        assert claim.source, claim.id
        assert claim.suite in known, claim.id
        assert bool(claim.not_comparable) == (not claim.measure), claim.id
        assert bool(claim.not_comparable) == (not claim.overturned_by), claim.id
        assert {side.constant is None for side in _sides(claim)} != {False}, claim.id
        if not claim.not_comparable:
            _could_be_measured(claim)


def _could_be_measured(claim):
    assert claim.dataset in DATASETS, claim.id
    for side in _sides(claim):
        if side.constant is None:
            parts = side.label.split(" / ")
            assert all(part in (*RECIPES, *CLASSIFIERS, *ATTACKS) for part in parts), claim.id
            of_tasks = (
                "adversarial",
                "clean",
                "confidence",
                "class",
                "transfer",
                "rubbish",
                "layer",
            )
            known = (*METRICS, "pixel_accuracy", "distortion")
            assert side.metric in known or side.metric.startswith(of_tasks), claim.id


@pytest.mark.parametrize("name", claims.names())
def test_its_command_parses(name):
    """And is one that measures the claim's suite."""
    for claim in claims.load(name):
        if claim.measure:
            _, verb, *arguments = shlex.split(claim.measure)
            command = importlib.import_module(f"bench.commands.{verb}").command
            assert command.make_context(verb, arguments).params["suite"] == claim.suite
            for side in _sides(claim):
                if "model=" in claim.measure and side.constant is None:
                    assert side.label in claim.measure, claim.id


@pytest.mark.parametrize("name", claims.names())
def test_its_numbers_are_printed(name):
    """Each stands in a published table under its metric and its row's name, and the published
    inequality holds.
    """
    for claim in claims.load(name):
        rows = [row for table in claim.tables for row in published.load(table)]
        numbers = []
        for side in _sides(claim):
            if side.constant is not None:
                assert side.published is None, claim.id
                numbers.append(side.constant)
            elif side.published is not None:
                numbers.append(side.published)
                assert any(_prints(row, side) for row in rows), f"{claim.id}: {side.label}"
        if len(numbers) == 2:
            assert numbers[0] > numbers[1], claim.id
        assert bool(claim.tables) == any(side.published is not None for side in _sides(claim))


def _prints(row, side):
    fits = row.metric in (side.metric, ALIKE.get(side.metric)) and row.value == side.published
    same_row = row.counterpart in ("", side.label) or row.metric == "fid" or row.model == side.label
    return fits and same_row and (row.epsilon == side.epsilon or side.epsilon is None)


@pytest.mark.parametrize("name", ["madry-2018", "xie-2018"])
def test_its_rows_are_of_one_cell(name):
    """Of all that the tier measures: under its label, its settings and its radius, on its data; the
    standard tier has no second one.
    """
    cells = {tier: plan_of("robustness", tier=tier).cells for tier in ("trained", "standard")}
    for claim in claims.load(name):
        assert claim.measure.endswith("--tier trained"), claim.id
        for side in _sides(claim):
            found = {tier: {cell.cell_id for cell in planned if _speaks(cell, claim, side)}
                     for tier, planned in cells.items()}  # fmt: skip
            assert len(found["trained"]) == 1, claim.id
            assert found["standard"] <= found["trained"], claim.id


def _speaks(cell, claim, side):
    label = " / ".join(cell.parts[axis] for axis in AXES if axis in cell.parts)
    same = all(cell.settings.get(name) == wanted for name, wanted in side.where.items())
    task = "transfer" if side.metric == "transfer_error" else "attack"
    if (cell.parts["dataset"], label, cell.task) != (claim.dataset, side.label, task) or not same:
        return False
    assert float(cell.settings["radii"]) == (side.epsilon or 0.3)
    assert cell.settings["stop"] == "never"
    assert (
        side.metric == "clean_error" or abs(cell.settings.get("step_size", 1 / 30) - 1 / 30) < 1e-4
    )
    return True


def test_an_independent_copy_is_no_copy_of_the_weights():
    """Black boxes are attacked through another training of the same recipe."""
    sources = {side.label.split(" / ")[0] for claim in claims.load("madry-2018")
               for side in _sides(claim) if side.metric == "transfer_error"}  # fmt: skip
    assert sources == {"cnn-pgd-copy"}


def test_each_column_is_read_for_its_side(tmp_path, monkeypatch):
    """Label, metric, radius, settings and published value of the larger and the smaller number."""
    head = next(iter((claims.FOLDER / "pacgan.csv").read_text().split("\n")))
    row = dict.fromkeys(head.split(","), "")
    row |= {"id": "i", "paper": "p", "source": "s", "claim": "c", "suite": "u", "dataset": "d"}
    for side, number in (("larger", 1), ("smaller", 2)):
        row |= {side: side, f"{side}_metric": f"m{number}", f"{side}_epsilon": f".{number}"}
        row |= {f"{side}_where": f'{{"x": {number}}}', f"{side}_published": f"{number}0"}
    row |= {"table": "a b", "overturned_by": "o", "measure": "bench"}
    with open(tmp_path / "own.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    monkeypatch.setattr(claims, "FOLDER", tmp_path)
    (claim,) = claims.every()
    assert claim.larger == Operand("larger", "m1", 0.1, 10, {"x": 1})
    assert claim.smaller == Operand("smaller", "m2", 0.2, 20, {"x": 2})
    about = (claim.file, claim.id, claim.paper, claim.source, claim.text, claim.suite)
    assert about == ("own", "i", "p", "s", "c", "u")
    assert (claim.dataset, claim.tables, claim.printed) == ("d", ("a", "b"), "10 > 20")
    assert (claim.not_comparable, claim.overturned_by, claim.measure) == ("", "o", "bench")


def _operand(label, metric="modes_raw", **more):
    return Operand(label, metric, more.get("epsilon"), more.get("published"), more.get("where", {}))


def _claim(larger, smaller, dataset="ring8@pacgan", **changes):
    about = {"file": "f", "id": "i", "paper": "p", "source": "s", "text": "t", "suite": "u"}
    about |= {"tables": (), "not_comparable": "", "overturned_by": "more seeds", "measure": ""}
    return Claim(**{**about, "dataset": dataset, "larger": larger, "smaller": smaller, **changes})


PLAIN = _claim(_operand("pacgan2"), _operand("gan"))


def _cell(model, seed, number, *, settings=None, metric="modes_raw", status="ok", **of_value):
    values = [value(metric=metric, value=float(number), **of_value)] if status == "ok" else []
    settings = {"steps": 10} if settings is None else settings
    name = f"{model}?{settings}"
    about = {"dataset": "ring8@pacgan", "suite": "s", "tier": "t", "code": "c" * 64}
    about |= {"commit": "d" * 40, "started_at": "2026-01-02T03:04:05.000+00:00"}
    return record(model=model, seed=seed, settings=settings, cell_id=name, values=values,
                  status=status, **about)  # fmt: skip


def _cells(model, numbers, **more):
    return [_cell(model, seed, number, **more) for seed, number in enumerate(numbers)]


def _judged(claim, *cells):
    return judged(claim, from_records([cell for some in cells for cell in some]))


@pytest.mark.parametrize(
    ("larger", "verdict"),
    [((8, 7, 8), "direction"), ((1, 2, 1), "contradicted"), ((4, 5, 3), "not resolvable")],
)
def test_the_interval_decides(larger, verdict):
    """Above 0, below it, around it: of the first number less the second."""
    found = _judged(PLAIN, _cells("pacgan2", larger), _cells("gan", (4, 4, 4)))
    assert found["verdict"] == verdict
    assert found["larger"] == pytest.approx(np.mean(larger))
    assert found["smaller"] == 4
    spread = np.std(larger, ddof=1) / math.sqrt(3) * 4.302652729749462
    assert found["low"] == pytest.approx(np.mean(larger) - 4 - spread)
    assert found["high"] == pytest.approx(np.mean(larger) - 4 + spread)
    assert (found["seeds"], found["over"]) == ("0,1,2", "seeds")


def test_seeds_are_paired():
    """Seed by seed, whatever their order and whichever one side lacks."""
    more = [_cell("pacgan2", seed, number) for seed, number in ((9, 0), (2, 31), (0, 11), (1, 22))]
    fewer = [_cell("gan", seed, number) for seed, number in ((1, 21), (0, 10), (2, 30), (7, 99))]
    found = _judged(PLAIN, more, fewer)
    assert found["seeds"] == "0,1,2"
    assert (found["low"], found["high"]) == (1, 1)
    assert found["verdict"] == "direction"


def test_a_constant_on_either_side():
    """Held against every seed of the other number."""
    cells = _cells("gan", (6, 7, 8))
    assert _judged(_claim(_operand("gan"), _operand("2", "")), cells)["verdict"] == "direction"
    found = _judged(_claim(_operand("2", ""), _operand("gan")), cells)
    assert (found["verdict"], found["larger"], found["smaller"]) == ("contradicted", 2, 7)
    assert found["seeds"] == "0,1,2"


def test_one_seed():
    """Over examples where an error is known; without one nothing can be told."""
    sure = [_cells("pacgan2", (0.9,), std_error=0.03), _cells("gan", (0.5,), std_error=0.04)]
    found = _judged(PLAIN, *sure)
    assert found["over"] == "samples"
    assert found["low"] == pytest.approx(0.4 - 1.959964 * 0.05, abs=1e-6)
    found = _judged(PLAIN, _cells("pacgan2", (8,)), _cells("gan", (1,)))
    assert (found["verdict"], found["over"]) == ("not resolvable", "nothing")
    assert found["low"] is found["high"] is None


def test_settings_tell_rows_apart():
    """A claim that names them reads these rows alone; one that does not, of two rows neither."""
    clipped = _cells("gan", (8, 8, 8), settings={"clip": True})
    literal = _cells("gan", (1, 1, 1), settings={"clip": False})
    other = _cells("pacgan2", (4, 4, 4), settings={"clip": False})
    named = _claim(_operand("pacgan2"), _operand("gan", where={"clip": False}))
    assert _judged(named, clipped, literal, other)["smaller"] == 1
    found = _judged(PLAIN, clipped, literal, other)
    assert found["verdict"] == "not measured"
    assert found["note"].startswith("several rows are gan")


def test_a_metric_of_a_judge_and_a_radius():
    """The judge's hash is no part of the claim's metric; the radius is one of its row."""
    claim = _claim(_operand("pacgan2", "frechet", epsilon=0.25), _operand("1", ""))
    name = "frechet@digits-cnn:1a2b"
    near = _cells("pacgan2", (0.5, 0.6, 0.7), metric=name, epsilon=0.1)
    assert _judged(claim, near)["verdict"] == "not measured"
    found = _judged(claim, _cells("pacgan2", (2, 3, 4), metric=name, epsilon=0.25))
    assert (found["verdict"], found["larger"]) == ("not resolvable", 3)


def test_what_is_not_there():
    """No rows, other data, rows that failed: nothing is judged, and what failed is said."""
    assert _judged(PLAIN) == FOUND
    assert _judged(PLAIN, _cells("gan", (1, 2))) == FOUND
    elsewhere = _claim(_operand("pacgan2"), _operand("gan"), dataset="grid25@pacgan")
    assert _judged(elsewhere, _cells("pacgan2", (8, 8)), _cells("gan", (1, 1))) == FOUND
    lost = [_cell("gan", 2, 0, status="diverged")]
    found = _judged(PLAIN, _cells("pacgan2", (8, 8, 8)), _cells("gan", (1, 1)), lost)
    assert found["seeds"] == "0,1"
    assert found["note"].endswith("gan: 1 diverged, left out")


def test_no_row_can_speak_to_it():
    """Then nothing is judged, be there rows or not."""
    claim = _claim(PLAIN.larger, PLAIN.smaller, not_comparable="other data")
    found = _judged(claim, _cells("pacgan2", (8, 8)), _cells("gan", (1, 1)))
    assert (found["verdict"], found["note"], found["seeds"]) == ("not comparable", "other data", "")


def test_the_papers_own_protocol():
    """Reproduced with its settings and seeds, and direction with one seed less."""
    claim = next(one for one in claims.load("pacgan") if one.id == "ring modes 2")
    rows = {row.counterpart: row for row in published.load("pacgan-table1")}
    cells = {}
    for model, numbers in (("nsgan", 6), ("pacgan2", 8)):
        parts = {"dataset": "ring8@pacgan", "model": model}
        asked = {k: v for k, v in rows[model].requires.items() if k != "seeds"}
        settings = MixtureTask().resolve(parts, asked, None).settings
        cells[model] = _cells(model, [numbers] * 10, settings=settings)
    found = _judged(claim, *cells.values())
    assert (found["verdict"], found["note"]) == ("reproduced", "")
    found = _judged(claim, *(some[:9] for some in cells.values()))
    assert (found["verdict"], found["note"]) == ("direction", "seeds 9 not 10")


def test_where_a_verdict_comes_from():
    """The run's suite, tier, settings of both rows, commit, code, and its latest day."""
    more = _cells("pacgan2", (8, 8), settings={"steps": 10, "group": 2})
    found = _judged(PLAIN, more, _cells("gan", (1, 1)))
    assert (found["suite"], found["tier"], found["date"]) == ("s", "t", "2026-01-02")
    assert (found["commit"], found["code"]) == ("d" * 40, "c" * 12)
    assert (found["settings"], found["larger_settings"]) == ('{"steps": 10}', '{"group": 2}')
    assert found["smaller_settings"] == ""


def test_a_table_says_the_same_as_its_cells():
    """Rows of a .csv are judged like the run that wrote them."""
    cells = [*_cells("pacgan2", (8, 7, 8)), *_cells("gan", (1, 2, 1))]
    rows = frame(cells).to_dict("records")
    of_rows, of_cells = judged(PLAIN, from_rows(rows)), judged(PLAIN, from_records(cells))
    assert {**of_rows, "code": ""} == {**of_cells, "code": ""}


def test_what_a_block_asks_about():
    """`bench show` and `api.claims` keep their words; a column says how far a claim holds."""
    cells = [
        record(key=f"{seed}" * 64, task="attack", dataset="mnist5k", model="softmax", seed=seed,
               attack="fgsm", settings={"clip": False}, status="ok",
               values=[value(metric="adversarial_error", value=0.9 + seed / 100, epsilon=0.25)])
        for seed in range(3)
    ]  # fmt: skip
    manifest = {"blocks": [{"claims": ["goodfellow-2014"]}], "cells": []}
    table = judge(manifest, {cell["key"]: cell for cell in cells}).set_index("id")
    assert list(table.verdict["G1":"G2"]) == ["ok", "not measured"]
    assert table.finding["G1"] == "direction"
    assert set(table.verdict) == {"ok", "not measured"}
    assert judge({"blocks": [{}], "cells": []}, {}).empty
