"""bench plot: one picture of a run, of the rows and metrics that are asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from unrun import run_of

from bench.core.errors import UsageError
from results.frames import column, pick
from results.pictures import plot as plots
from results.pictures.intervals import draw_intervals


@pytest.fixture
def run(tmp_path, monkeypatch):
    made = run_of(tmp_path / "run")
    monkeypatch.setattr(plots, "open_run", lambda name: made)
    return made


def drawn(run, monkeypatch, tmp_path, **asked):
    """The figure that is written."""
    kept = []
    real = plots.as_file

    def keeping(figure, *rest):
        kept.append(figure)
        return real(figure, *rest)

    monkeypatch.setattr(plots, "as_file", keeping)
    path = plots.plot("run", str(tmp_path / "x.svg"), **asked)
    assert path.read_bytes().startswith(b"<?xml")
    return kept[0]


def test_a_dot_is_a_mean_and_a_bar_its_interval(run, monkeypatch, tmp_path):
    """Each beside its model's name, ceiling and floor as lines where theirs are."""
    figure = drawn(run, monkeypatch, tmp_path)
    quality, loss = figure.axes
    names = [label.get_text() for label in quality.get_yticklabels()]
    assert names == ["gan", "vae"]
    summary = run.summary()
    for axis, metric in ((quality, "high_quality"), (loss, "loss")):
        rows = pick(summary, column(summary, "metric") == metric).set_index("model")
        for place, bar in enumerate(axis.containers):
            row = rows.loc[names[place]]
            (dot,) = bar.lines[0].get_xydata()
            assert tuple(dot) == pytest.approx((row["value"], place))
            ends = bar.lines[2][0].get_segments()[0][:, 0]
            assert ends == pytest.approx([row["low"], row["high"]], abs=1e-9)
        lines = {
            line.get_linestyle(): line.get_xdata()[0]
            for line in axis.lines
            if len(line.get_xdata()) == 2
        }
        assert lines["--"] == pytest.approx(rows.loc["oracle"]["value"])
        assert lines[":"] == pytest.approx(rows.loc["noise"]["value"])
    assert quality.get_title() == "quality % ↑"
    assert "dashed: oracle; dotted: noise" in figure.get_supxlabel()


def test_of_what_is_asked_for(run, monkeypatch, tmp_path):
    figure = drawn(run, monkeypatch, tmp_path, metrics=["loss"], models=["vae", "oracle"], width=4)
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["vae"]
    assert axis.get_title() == "loss ↓"
    assert figure.get_size_inches()[0] == pytest.approx(4)


def test_curves_are_of_the_rows_that_are_asked_for(run, monkeypatch, tmp_path):
    figure = drawn(run, monkeypatch, tmp_path, picture="curves", models=["gan"], width=2)
    (axis,) = figure.axes
    assert axis.get_legend_handles_labels()[1] == ["gan"]
    assert axis.lines[0].get_ydata() == pytest.approx([2 - 0.5 + 10, 2 - 0.5 + 20])
    assert figure.get_size_inches()[0] == pytest.approx(2)


def test_published_rows_are_diamonds_with_their_table(run):
    summary = run.summary()
    more = pick(summary, column(summary, "model") == "gan").assign(
        role="published", source="veegan-table1 (arXiv:1, Table 1)", model="GAN", low=np.nan
    )
    figure = draw_intervals(pd.concat([summary, more]), ["loss"], run.manifest["metrics"])
    assert figure.axes[0].get_yticklabels()[-1].get_text() == "GAN (veegan-table1)"
    assert "diamonds: published" in figure.get_supxlabel()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"metrics": ["los"]}, "unknown metric 'los': did you mean 'loss'"),
        ({"models": ["gam"]}, "unknown model 'gam': did you mean 'gan'"),
        ({"picture": "radius"}, "unknown picture 'radius'"),
        ({"picture": "radii"}, "has nothing for 'radii'"),
        ({"block": "c"}, "expected block 'c'.*there are --block b --dataset ring"),
        ({"width": 100.0}, "`width`: expected inches, 0 to 40, got 100"),
        ({"out": "x.gif"}, "`out`: expected a name that ends in .png, .pdf, .svg"),
    ],
)
def test_what_a_run_has_not_is_one_line(run, asked, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        plots.plot("run", **{"out": "x.png", **asked})
    assert not (tmp_path / "x.png").exists()


def test_two_tables_are_told_apart(tmp_path, monkeypatch):
    made = run_of(tmp_path / "run")
    other = {**made.manifest["blocks"][0], "name": "c"}
    cells = [{**cell, "block": "c"} for cell in made.manifest["cells"]]
    made.manifest["blocks"].append(other)
    made.manifest["cells"] += cells
    monkeypatch.setattr(plots, "open_run", lambda name: made)
    with pytest.raises(UsageError, match="there are --block b --dataset ring; --block c"):
        plots.plot("run", str(tmp_path / "x.png"))
    assert plots.plot("run", str(tmp_path / "x.png"), block="c").stat().st_size > 1000


def test_a_metric_is_known_without_its_judge(run, monkeypatch, tmp_path):
    """As `bench show` has it."""
    for record in run.records.values():
        for value in record["values"]:
            if value["metric"] == "loss":
                value["metric"] = "loss@judge"
    run.manifest["metrics"]["loss@judge"] = {**run.manifest["metrics"]["loss"], "title": "loss"}
    (axis,) = drawn(run, monkeypatch, tmp_path, metrics=["loss"]).axes
    assert len(axis.containers) == 2
