"""Tables and pictures along settings, and runs that are joined."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from bench.core.errors import UsageError
from results.along import along_layouts, along_rows, crossed
from results.join import Part, join
from results.pictures.along import along_figures
from results.summary import summarise
from results.tables import layouts

HIGHER = {"direction": "higher", "title": "score", "digits": 1}
READ = {"gan": ("lr", "k"), "vae": ("k",), "oracle": ()}


def cell(model, seed=0, *, swept=("lr", "k"), dataset="ring", task="t", **settings):
    """A planned cell of a model that reads some settings; 1 of each is usual."""
    read = {name: value for name, value in settings.items() if name in (*READ[model], "steps")}
    said = ",".join(f"{k}={v}" for k, v in sorted(read.items()) if v != 1)
    cell_id = f"{task}/{dataset}/{model}" + (f"?{said}" if said else "")
    return {
        "block": "b",
        "task": task,
        "parts": {"dataset": dataset, "model": model},
        "cell_id": cell_id,
        "key": f"{cell_id}/{seed}",
        "settings": read,
        "seed": seed,
        "fingerprint": dataset,
        "code": "c",
        "skip": "",
        "swept": {name: read[name] for name in swept if name in read},
        "unread": [name for name in swept if name not in read],
    }


def run_of(valued, name="run", *, metrics=("score",), task="t", code="c", block="b"):
    """A run from cells and their values."""
    cells = [{**one, "block": block} for one, _ in valued]
    records = {
        one["key"]: {
            "status": "ok",
            "reason": "",
            "code": code,
            "values": [
                {"metric": m, "final": True, "std_error": None, "n": 9, "value": v, "epsilon": None}
                for m in metrics
            ],
        }
        for one, v in valued
    }
    shown = {"name": block, "task": task, "metrics": [*metrics], "primary": ["score"]}
    manifest = {
        "suite": "s",
        "seeds": [0, 1],
        "blocks": [{**shown, "published": [], "epsilons": [], "claims": []}],
        "cells": cells,
        "parts": {"dataset": {"ring": {}}, "model": {}},
        "metrics": dict.fromkeys(metrics, HIGHER),
    }
    return Part(name, manifest, records)


def swept():
    """Over lr and k: every value tells where it was measured."""
    gans = [
        (cell("gan", seed, lr=lr, k=k), 10 * k + lr + seed)
        for lr in (0.5, 1, 5)
        for k in (1, 2)
        for seed in (0, 1)
    ]
    vaes = [(cell("vae", seed, k=k), 70 + k) for k in (1, 2) for seed in (0, 1)]
    return run_of([*gans, *vaes, *((cell("oracle", seed), 99) for seed in (0, 1))])


def shown(part, *names, metrics=()):
    """Title, heads and rows of each table, without intervals."""
    summary = summarise(part.manifest, part.records)
    for layout in along_layouts(summary, part.manifest, names, metrics):
        yield layout.title, layout.heads, [[text for text, _ in row] for row in layout.rows]


def test_a_column_for_each_value_and_level_rows():
    """In rising order; each mean under its own value and beside its own other setting."""
    ((title, heads, rows),) = shown(swept(), "lr")
    assert title == "b · ring · score ↑ along lr"
    assert heads == ["model", "seeds", "0.5", "1", "5"]
    assert rows == [
        ["gan / k=1", "2", "11.0", "11.5", "15.5"],
        ["gan / k=2", "2", "21.0", "21.5", "25.5"],
        ["vae / k=1", "2", "71.0", "71.0", "71.0"],
        ["vae / k=2", "2", "72.0", "72.0", "72.0"],
        ["oracle", "2", "99.0", "99.0", "99.0"],
    ]


def test_intervals_marks_and_what_is_level_are_told():
    part = swept()
    (layout,) = along_layouts(summarise(part.manifest, part.records), part.manifest, ["lr"])
    assert layout.rows[0][2] == ("11.0", "4.6–17.4")
    assert layout.spread == "Student's t over 2 seeds"
    assert any("lr is not read by vae / k=1, vae / k=2, oracle" in note for note in layout.notes)


def test_two_settings_are_a_table_for_each_model():
    """The first down and the second across; what reads neither stands in one of its own."""
    gan, vae, still = shown(swept(), "lr", "k")
    assert gan[0] == "b · ring · gan · score ↑ along lr and k"
    assert gan[1] == ["lr \\ k", "1", "2"]
    assert gan[2] == [["0.5", "11.0", "21.0"], ["1", "11.5", "21.5"], ["5", "15.5", "25.5"]]
    assert vae[2] == [[lr, "71.0", "72.0"] for lr in ("0.5", "1", "5")]
    assert still[1:] == (["model", "seeds", "at every value"], [["oracle", "2", "99.0"]])
    assert next(iter(shown(swept(), "k", "lr")))[2][0] == ["1", "11.0", "11.5", "15.5"]


def test_rows_for_machines_have_a_column_for_each_setting():
    part = swept()
    rows = along_rows(summarise(part.manifest, part.records), part.manifest, ["lr"])
    assert len(rows) == 6 + 2 + 1
    for _, row in rows[rows["model"].str.startswith("gan")].iterrows():
        assert row["lr"] == json.loads(row["settings"])["lr"]
    assert rows.loc[~rows["model"].str.startswith("gan"), "lr"].isna().all()


def test_a_metric_may_be_named_and_the_primary_are_usual():
    part = run_of([(cell("gan", 0, lr=1, k=1), 3.0)], metrics=("score", "other@judge:1a2b"))
    titles = [[title for title, *_ in shown(part, "lr", metrics=m)] for m in ((), ("other",))]
    assert [len(each) for each in titles] == [1, 1]
    assert "other" not in titles[0][0]


@pytest.mark.parametrize(
    ("names", "metrics", "expected"),
    [
        (["lrr"], [], "unknown setting 'lrr': did you mean 'lr'"),
        (["lr"], ["scoer"], "unknown metric 'scoer': did you mean 'score'"),
        (["lr", "k", "steps"], [], "`along`: expected one setting or two, got 3"),
    ],
)
def test_what_can_not_be_laid_along_is_refused(names, metrics, expected):
    part = swept()
    summary = summarise(part.manifest, part.records)
    with pytest.raises(UsageError, match=expected):
        list(crossed(summary, part.manifest, names, metrics))


def test_rows_that_differ_in_more_than_the_setting_are_lines_of_their_own():
    """Steps that no grid varied, but a rule set by the rate: no seeds of one line."""
    cells = [cell("gan", 0, lr=1, k=1, swept=("lr",)), cell("gan", 0, lr=2, k=3, swept=("lr",))]
    ((_, _, rows),) = shown(run_of([*zip(cells, (1.0, 2.0), strict=True)]), "lr")
    assert rows == [["gan (as usual)", "1", "1.0", "–"], ["gan (k=3)", "1", "–", "2.0"]]


def joined(*parts):
    """The rows of the joined runs: label, seeds and mean."""
    manifest, records = join(parts)
    table = summarise(manifest, records)
    rows = table[["block", "model", "seeds", "value"]].itertuples(index=False, name=None)
    return [*rows], manifest, records


def test_the_same_cell_of_two_runs_stands_there_once_and_seeds_add_up():
    one = run_of([(cell("gan", s, swept=(), lr=1, k=1), s) for s in (0, 1)], "A")
    two = run_of([(cell("gan", s, swept=(), lr=1, k=1), s) for s in (1, 2, 3)], "B")
    rows, manifest, records = joined(one, two)
    assert rows == [("b", "gan", 4, 1.5)]
    assert len(manifest["cells"]) == len(records) == 4


def test_rows_of_one_label_are_told_apart_by_run():
    one = run_of([(cell("gan", 0, swept=(), lr=1, k=1, steps=5), 1.0)], "A")
    two = run_of([(cell("gan", 0, swept=(), lr=1, k=1, steps=9), 2.0)], "B")
    assert joined(one, two)[0] == [("b", "A: gan", 1, 1.0), ("b", "B: gan", 1, 2.0)]
    ((_, heads, rows),) = shown(Part("", *join([one, two])), "steps")
    assert (heads[2:], rows) == (["5", "9"], [["gan", "1", "1.0", "2.0"]])


def test_one_cell_by_two_codes_is_two_rows():
    """The newer numbers do not hide the older."""
    cells = [(cell("gan", s, swept=(), lr=1, k=1), 5.0 + s) for s in (0, 1)]
    other = [(one, value + 1) for one, value in cells]
    rows, *_ = joined(run_of(cells, "A", code="c"), run_of(other, "B", code="d"))
    assert rows == [("b", "A: gan", 2, 5.5), ("b", "B: gan", 2, 6.5)]
    found = [*shown(Part("", *join([run_of(cells, "A"), run_of(other, "B", code="d")])), "lr")]
    assert [row[0] for row in found[0][2]] == ["A: gan", "B: gan"]


def test_what_one_run_varies_is_told_of_all_rows():
    """The usual value of a run that varies nothing is a value of the other's sweep."""
    plain = run_of([(cell("gan", 0, swept=(), lr=1, k=1), 4.0)], "A")
    rates = run_of([(cell("gan", 0, swept=("lr",), lr=lr, k=1), 10.0 * lr) for lr in (2, 3)], "B")
    assert [row[1] for row in joined(plain, rates)[0]] == [f"gan / lr={lr}" for lr in (1, 2, 3)]
    ((_, heads, rows),) = shown(Part("", *join([plain, rates])), "lr")
    assert (heads[2:], rows) == (["1", "2", "3"], [["gan", "1", "4.0", "20.0", "30.0"]])


def test_another_task_has_a_table_of_its_own_and_metrics_add_up():
    one = run_of([(cell("gan", 0, swept=(), lr=1, k=1), 1.0)], "A")
    two = run_of([(cell("oracle", 0, swept=()), 2.0)], "B", metrics=("score", "loss"), block="x")
    other = run_of([(cell("gan", 0, task="u", swept=(), lr=1, k=1), 3.0)], "C", task="u")
    manifest, records = join([one, two, other])
    tables = [*layouts(summarise(manifest, records), manifest)]
    assert len(tables) == 2
    assert [row[0][0] for row in tables[0].rows] == ["gan", "oracle"]
    assert len(tables[0].heads) == len(tables[1].heads) + 1
    assert [row[0][0] for row in tables[1].rows] == ["gan"]


def test_data_of_one_name_and_another_content_are_tables_of_their_own():
    one, two = ((cell("gan", 0, swept=(), lr=1, k=1), 1.0) for _ in range(2))
    two[0].update(fingerprint="other", key="another")
    rows, *_ = joined(run_of([one], "A"), run_of([two], "B"))
    assert [row[0] for row in rows] == ["b", "b (B)"]


def test_a_run_that_is_named_twice_is_refused():
    with pytest.raises(UsageError, match="the run run is named twice"):
        join([swept(), swept()])


def drawn(part):
    """The figures of a run, by name."""
    run = SimpleNamespace(
        manifest=part.manifest,
        records=part.records,
        summary=lambda: summarise(part.manifest, part.records),
    )
    return dict(along_figures(run))


def test_a_curve_for_each_model_and_level_lines():
    """The band is the interval over seeds; the axis goes by ratios over a decade."""
    valued = [
        (cell("gan", seed, swept=("lr",), lr=lr, k=1), 10 * lr + seed)
        for lr in (5, 0.5, 1)
        for seed in (0, 1)
    ]
    valued += [(cell("vae", seed, swept=("lr",), k=1), 7) for seed in (0, 1)]
    found = drawn(run_of(valued))
    assert [*found] == ["along-lr-ring"]
    (axis,) = found["along-lr-ring"].axes
    gan, vae = axis.get_lines()
    assert gan.get_xydata().tolist() == [[0.5, 5.5], [1, 10.5], [5, 50.5]]
    assert vae.get_xydata().tolist() == [[lr, 7] for lr in (0.5, 1, 5)]
    edges = axis.collections[0].get_paths()[0].vertices
    at_one = edges[edges[:, 0] == 1][:, 1]
    assert (at_one.min(), at_one.max()) == pytest.approx((10.5 - 6.353, 10.5 + 6.353), abs=1e-3)
    assert [t.get_text() for t in found["along-lr-ring"].legends[0].get_texts()] == ["gan", "vae"]
    assert axis.get_xscale() == "log"
    assert "2 seeds" in found["along-lr-ring"].get_suptitle()


def test_a_map_for_each_model_that_reads_one_of_two_settings():
    """The first down, the second across; the others are named below."""
    found = drawn(swept())
    assert [*found] == ["along-lr-k-ring"]
    gan, vae = (axis for axis in found["along-lr-k-ring"].axes if axis.get_images())
    values = gan.get_images()[0].get_array().tolist()
    assert values == [[11.0, 21.0], [11.5, 21.5], [15.5, 25.5]]
    assert [t.get_text() for t in gan.get_yticklabels()] == ["0.5", "1", "5"]
    assert [t.get_text() for t in gan.get_xticklabels()] == ["1", "2"]
    assert vae.get_title().startswith("vae")
    texts = [text.get_text().partition("\n")[0] for text in gan.texts]
    assert texts == ["11.0", "21.0", "11.5", "21.5", "15.5", "25.5"]
    assert "oracle: score 99.0" in found["along-lr-k-ring"].get_supxlabel()


def test_more_settings_than_a_map_has_sides_are_maps_of_their_own():
    """Sides are those with the most values, whatever the grid's order."""
    valued = [
        (cell("gan", 0, swept=("steps", "lr", "k"), steps=steps, lr=lr, k=k), steps + 10 * k + lr)
        for steps in (100, 200)
        for lr in (0.5, 1, 5)
        for k in (1, 2, 3, 4)
    ]
    found = drawn(run_of(valued))
    assert [*found] == ["along-k-lr-steps-ring"]
    maps = [axis for axis in found["along-k-lr-steps-ring"].axes if axis.get_images()]
    told = {
        "".join(axis.get_title().split()): axis.get_images()[0].get_array().tolist()
        for axis in maps
    }
    expected = [[10 * k + lr for lr in (0.5, 1, 5)] for k in (1, 2, 3, 4)]
    assert len(told) == 2
    for steps in (100, 200):
        (values,) = (v for name, v in told.items() if f"steps={steps}" in name)
        assert values == [[steps + value for value in row] for row in expected]


def test_nothing_is_drawn_where_nothing_is_varied():
    assert drawn(run_of([(cell("gan", 0, swept=(), lr=1, k=1), 1.0)])) == {}
    one = [(cell("gan", 0, swept=("lr",), lr=1, k=1), 1.0)]
    assert drawn(run_of(one)) == {}
