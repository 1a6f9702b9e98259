"""Tables on a screen: which columns stand there, and that every other one is named."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
from harness import bench, environ, small_suite

from bench import api
from results.fitting import column_groups, fitted
from results.tables import Layout, Look

METRICS = ["first@judge:1a2b", "second", "third", "fourth"]


def layout(rows=2, metrics=METRICS, more=()):
    """Rows of a name, seeds, and a value of ten letters for each metric."""
    cells = [
        [
            (f"model{n}", ""),
            ("3", ""),
            *((f"{n}{i}" * 5, f"({n}-{i})") for i in range(len(metrics))),
        ]
        for n in range(rows)
    ]
    words = 2 + len(more)
    return Layout(
        title="t",
        heads=["model", "seeds", *(f"head {m[:2]}" for m in metrics), *more],
        rows=[[*row, *((word, "") for word in more)] for row in cells],
        roles=["model"] * rows,
        notes=["a note"],
        left=(0, *range(2 + len(metrics), len(metrics) + words)),
        looks=[
            [Look("best" if i == n else "") for i in range(len(metrics) + words)]
            for n in range(rows)
        ],
        ids=("id",) * rows,
        metrics=("", "", *metrics, *("" for _ in more)),
    )


def width_of(table):
    """What rich needs for a table without wrapping a cell."""
    return max(
        sum(max(len(head.split()[0]), *(len(row[i][0]) for row in table.rows)) + 3
            for i, head in enumerate(table.heads)), 0) + 1  # fmt: skip


def test_a_table_that_fits_is_left_alone():
    whole = layout()
    assert fitted(whole, width_of(whole)) is whole
    assert len(column_groups(whole, width_of(whole))) == 1


@pytest.mark.parametrize("width", range(30, 75))
def test_what_fits_is_shown_in_order_and_the_rest_is_named(width):
    whole = layout(more=("statuses",))
    shown = fitted(whole, width)
    if shown is whole:
        assert width >= width_of(whole) or width < 11 + 8 + 11 + 13 + 1
        return
    assert width_of(shown) <= width
    assert shown.heads[:2] == ["model", "seeds"]
    assert shown.heads[-1] == "statuses"
    count = len(shown.heads) - 3
    assert 1 <= count < len(METRICS)
    assert list(shown.metrics) == ["", "", *METRICS[:count], ""]
    for before, now, looks in zip(whole.rows, shown.rows, shown.looks, strict=True):
        assert now == [*before[: 2 + count], before[-1]]
        assert [look.mark for look in looks][: 2 + count] == [
            look.mark for look in whole.looks[whole.rows.index(before)][: 2 + count]
        ]
    hidden = [name.partition(":")[0] for name in METRICS[count:]]
    assert shown.notes[0] == "a note"
    assert f"not shown, for want of room: {', '.join(hidden)} (" in shown.notes[1]
    assert shown.left == (0, len(shown.heads) - 1)


def test_one_row_is_a_line_for_each_column():
    whole = layout(rows=1)
    turned = fitted(whole, 40)
    assert turned.heads == ["model", "model0"]
    assert [row[0][0] for row in turned.rows] == whole.heads[1:]
    assert [row[1] for row in turned.rows] == whole.rows[0][1:]
    assert [look[1].mark for look in turned.looks] == [look.mark for look in whole.looks[0][1:]]
    assert len(turned.roles) == len(turned.rows) == len(turned.ids)
    assert turned.notes == ["a note"]


def test_where_no_metric_fits_nothing_is_hidden():
    whole = layout()
    assert fitted(whole, 12) is whole
    assert [i for group in column_groups(whole, 12) for i in group[1:]] == [1, 2, 3, 4, 5]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two models with more metrics than 60 letters hold."""
    home = tmp_path_factory.mktemp("shown")
    every = 'metrics = ["high_quality", "modes_covered", "reverse_kl_modes", "forward_kl_modes"]'
    suite = small_suite(home, 'metrics = ["high_quality"]', every)
    api.execute(suite, grid={"model": ["oracle", "noise"]}, out=str(home / "run"))
    return home / "run"


def on_a_terminal(*arguments, columns=60):
    """What the command prints where its stdout is a terminal."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "bench", *map(str, arguments)],
        env=environ(COLUMNS=str(columns), TERM="xterm", NO_COLOR="1"),
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 65536):
            text += part
    except OSError:  # the other end is closed and all is read
        pass
    finally:
        os.close(ours)
    assert done.returncode == 0, done.stderr
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.decode()).replace("\r", "")


def test_a_terminal_has_one_table_and_the_names_of_the_rest(run):
    text = on_a_terminal("show", run)
    assert text.count("┏") == 1
    assert all(len(line) <= 60 for line in text.splitlines())
    told = " ".join(text.split())
    assert "not shown, for want of room:" in told
    assert "(--wide shows them, --metric chooses)" in told
    hidden = told.partition("want of room: ")[2].partition(" (")[0].split(", ")
    assert "forward_kl_modes" in hidden
    assert "high_quality" not in hidden
    wide = on_a_terminal("show", run, "--wide")
    assert wide.count("┏") > 1
    assert "not shown" not in wide
    chosen = on_a_terminal("show", run, "--columns", "forward_kl_modes,modes_covered")
    assert "not shown" not in chosen
    assert "high quality" not in chosen


def test_a_file_has_every_column_whatever_the_terminal(run, capfd):
    """What a script reads does not depend on a screen."""
    assert bench("show", run) == 0
    out = capfd.readouterr().out
    assert "KL(real||fake)" in out
    assert "not shown" not in out


def test_models_and_columns_may_have_commas(run, capfd):
    columns = "high_quality,modes_covered"
    assert (
        bench("show", run, "--models", "noise, oracle", "--columns", columns, "--format=csv") == 0
    )
    lines = capfd.readouterr().out
    assert "oracle" in lines
    assert "noise" in lines
    assert "reverse_kl_modes" not in lines
    assert bench("show", run, "--models", "noise,nobody") == 2
    assert "unknown model 'nobody'" in capfd.readouterr().err
