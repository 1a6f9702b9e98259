"""Tables for a paper: what is bold, what ties, what is said of it, and that all is escaped."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from harness import bench
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import mannwhitneyu

from bench import api
from bench.commands import output
from bench.tasks import TASKS
from results.latex import cell, escaped, latex
from results.rows import COLUMNS as ROW
from results.separable import Entrant, compared, standings
from results.summary import COLUMNS, summarise
from results.tables import Layout, Look, as_csv, as_json, layouts, markdown

INF = math.inf
HIGHER = {"direction": "higher", "title": "score", "digits": 1}
LOWER = {"direction": "lower", "title": "loss", "digits": 1}
NONE = {"direction": "none", "title": "size", "digits": 1}
PROMISED = """
block task dataset model role metric epsilon value low high interval n seeds statuses settings
source note
""".split()
SWEPT = ("cell_id", "swept", "run")

FAR = {"good": [9.1, 9.2, 9.3, 9.4, 9.5], "bad": [1.1, 1.2, 1.3, 1.4, 1.5]}
CLOSE = {"good": [9.1, 9.2, 9.3, 9.4, 9.5], "near": [9.0, 9.15, 9.25, 9.35, 9.6]}


def run_of(models, facts=None, *, roles=None, published=(), epsilon=None, **more):
    """The manifest and the records of a run: for each model its seeds' values of `score`, or the
    status of a seed that has none. A label "a / b" is a model under an attack.
    """
    cells, records = [], {}
    for label, values in models.items():
        model, _, attack = label.partition(" / ")
        parts = {"dataset": "data", "model": model} | ({"attack": attack} if attack else {})
        for seed, value in enumerate(values):
            key = f"{label}/{seed}"
            cells.append({"block": "b", "parts": parts, "cell_id": label, "key": key})
            cells[-1] |= {"settings": {"steps": 5}, "seed": seed}
            status = value if isinstance(value, str) else "ok"
            found = [] if isinstance(value, str) else _values(value, epsilon)
            if status != "left":
                records[key] = {"status": status, "reason": "", "values": found}
    known = {model: {"role": role} for model, role in (roles or {}).items()}
    block = {"name": "b", "task": "t", "metrics": ["score"], "published": list(published)}
    manifest = {"suite": "s", "blocks": [block], "cells": cells, "parts": {"model": known}}
    return {**manifest, "metrics": {"score": {**(facts or HIGHER), **more}}}, records


def _values(value, epsilon):
    """One value, or one for each radius."""
    at = value if isinstance(value, dict) else {epsilon: value}
    shared = {"metric": "score", "final": True, "std_error": None, "n": None}
    return [{**shared, "value": v, "epsilon": e} for e, v in at.items()]


def marks(table, column="model"):
    """By model: "best", "tied", "told" or None."""
    rows = zip(table[column], table["best"], table["tied"], strict=True)
    return {
        name: None if pd.isna(best) else "best" if best else "tied" if tied else "told"
        for name, best, tied in rows
    }


def words(found):
    """The same of standings."""
    return [
        None if s is None else "best" if s.best else "tied" if s.tied else "told" for s in found
    ]


def layout_of(*args, **options):
    made = run_of(*args, **options)
    (found,) = layouts(summarise(*made), made[0])
    return found


# ---------------------------------------------------------------- what can be told apart


def test_the_best_is_told_from_every_other():
    assert words(compared([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12, 13, 14, 15]])) == [
        "best",
        "told",
        "told",
    ]


@pytest.mark.parametrize("seed", range(40))
def test_standings_are_those_of_an_independent_test(seed):
    """SciPy's exact test and Holm's procedure, step by step."""
    rng = np.random.default_rng(seed)
    rows = [rng.normal(0.9 * i, 1, rng.integers(4, 8)) for i in range(rng.integers(2, 6))]
    best = min(range(len(rows)), key=lambda i: rows[i].mean())
    p = {
        i: mannwhitneyu(rows[best], row, alternative="less", method="exact").pvalue
        for i, row in enumerate(rows)
        if i != best
    }
    told = set()
    for step, place in enumerate(sorted(p, key=lambda i: p[i])):
        if p[place] > 0.05 / (len(p) - step):
            break
        told.add(place)
    wanted = ["told" if i in told else "tied" for i in range(len(rows))]
    wanted[best] = "best" if len(told) == len(p) else "tied"
    assert words(compared(rows)) == wanted


def test_the_comparisons_share_one_level_by_holms_steps():
    """Two p-values of 2/70: each below 5 %, both together not; with 1/70 the second step is 5 %."""
    best, near, far = [1, 2, 3, 5], [4, 6, 7, 8], [16, 17, 18, 19]
    assert words(compared([best, near])) == ["best", "told"]
    assert words(compared([best, near, near])) == ["tied"] * 3
    assert words(compared([best, near, far])) == ["best", "told", "told"]


def test_a_standing_does_not_depend_on_the_order_of_rows():
    rows = [[1, 2, 3, 4], [1, 1, 4, 4], [5, 6, 7, INF], [8, 8, 9, 9]]
    wanted = dict(enumerate(words(compared(rows))))
    for order in itertools.permutations(range(4)):
        found = words(compared([rows[i] for i in order]))
        assert dict(zip(order, found, strict=True)) == wanted


def test_ties_are_exact():
    """Modes of eight: one seed that misses one is not told from none; four of five are."""
    eight = [-8] * 5
    assert words(compared([eight, [-8, -8, -8, -8, -7], [0] * 5])) == ["tied", "tied", "told"]
    assert words(compared([eight, [-8, -7, -7, -7, -7]])) == ["best", "told"]


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 2, 3, 4, 5]],
        [[8] * 5, [8] * 5, [8] * 4],
        [[0.3] * 5, [0.1 + 0.2] * 5],
        [[1], [2]],
        [[1, 2], [3, 4]],
        [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
    ],
    ids=["alone", "equal", "equal to rounding", "one seed", "two seeds", "three seeds, three rows"],
)
def test_where_nothing_can_be_said_there_is_no_mark(rows):
    assert compared(rows) == [None] * len(rows)


def test_three_seeds_tell_two_rows_apart():
    """1 of 20 ways: just the level."""
    assert words(compared([[4, 5, 6], [1, 2, 3]])) == ["told", "best"]


def test_two_equal_models_are_told_apart_in_a_tenth_of_all_cases():
    """The best is chosen by the seeds that test it: every way to deal six ranks."""
    ways = list(itertools.combinations(range(6), 3))
    found = [compared([way, [i for i in range(6) if i not in way]]) for way in ways]
    assert sum("best" in words(one) for one in found) == len(ways) / 10


def test_a_diverged_seed_is_worse_than_any_value():
    most, half = [1.0] * 9 + [INF], [5.0] * 10
    assert words(compared([most, half])) == ["best", "told"]
    assert words(compared([[1.0] * 2 + [INF] * 8, half])) == ["told", "best"]
    few = [[1.0] * 2 + [INF] * 3, [5.0] * 5, [9.0] * 5]
    assert words(compared(few)) == ["tied", "tied", "told"]


def test_rows_may_differ_in_their_seeds():
    """Five against four: 1 of 126. One seed alone is told from nothing."""
    five, four, one = [1, 2, 3, 4, 5], [6, 7, 8, 9], [30]
    assert words(compared([five, four])) == ["best", "told"]
    assert words(compared([five, four, one])) == ["tied", "told", "tied"]


def test_rows_compete_within_their_family():
    rows = [[1, 2, 3, 4], [5, 6, 7, 8]]
    entrants = [Entrant(family, row) for family in ("a", "b") for row in rows]
    found = standings([*entrants, Entrant(None, [0] * 4), Entrant("c", [0] * 4)])
    assert words(found) == ["best", "told", "best", "told", None, None]


def test_many_seeds_take_no_more_memory():
    rng = np.random.default_rng(0)
    rows = [rng.normal(0, 1, 2_000), rng.normal(3, 1, 2_000)]
    assert words(compared(rows)) == ["best", "told"]


# ---------------------------------------------------------------- the summary


def test_columns_are_added_at_the_end():
    table = summarise(*run_of(FAR))
    assert list(table.columns) == list(COLUMNS) == [*PROMISED, "std", "best", "tied", *SWEPT]
    empty = summarise({"blocks": [], "cells": [], "metrics": {}}, {})
    assert list(empty.columns) == list(COLUMNS)


def test_std_is_over_seeds():
    table = summarise(*run_of({**FAR, "single": [3.0]})).set_index("model")
    assert table.loc["good", "std"] == pytest.approx(np.std(FAR["good"], ddof=1))
    assert math.isnan(table.loc["single", "std"])


@pytest.mark.parametrize(("facts", "best"), [(HIGHER, "good"), (LOWER, "bad"), (NONE, None)])
def test_the_direction_says_which_is_best(facts, best):
    found = marks(summarise(*run_of(FAR, facts)))
    assert [name for name, mark in found.items() if mark == "best"] == ([best] if best else [])
    assert set(found.values()) == ({"best", "told"} if best else {None})


def test_only_models_and_baselines_compete():
    roles = {"real": "ceiling", "random": "floor", "bad": "baseline"}
    many = {**FAR, "real": [99.0] * 5, "random": [0.0] * 5}
    assert marks(summarise(*run_of(many, roles=roles))) == {
        "real": None,
        "good": "best",
        "bad": "told",
        "random": None,
    }
    alone = run_of({"good": FAR["good"], "random": [0.0] * 5}, roles=roles)
    assert set(marks(summarise(*alone)).values()) == {None}


def test_published_rows_do_not_compete():
    manifest, records = run_of(FAR, published=["pacgan-table1"])
    manifest["blocks"][0]["metrics"] = ["modes_raw"]
    manifest["metrics"] = {"modes_raw": HIGHER}
    for cell_ in manifest["cells"]:
        cell_["parts"]["dataset"] = "ring8@pacgan"
    for record in records.values():
        record["values"][0]["metric"] = "modes_raw"
    table = summarise(manifest, records)
    beside = table[table["role"] == "published"]
    assert len(beside) > 3
    assert beside["best"].isna().all()
    assert beside["std"].isna().all()
    assert marks(table[table["role"] != "published"]) == {"good": "best", "bad": "told"}
    (layout,) = layouts(table, manifest)
    assert any(note.startswith("published: ± as printed there") for note in layout.notes)
    assert r" & $6.3 \pm 0.5$ SE" in checked(latex(layout))


def test_rows_of_a_curve_compete_at_their_radius():
    one = {"a": [{0.1: 9.0 + i / 10, 0.2: 1.0 + i / 10} for i in range(5)]}
    two = {"b": [{0.1: 1.0 + i / 10, 0.2: 9.0 + i / 10} for i in range(5)]}
    made = run_of(one | two)
    table = summarise(*made)
    assert marks(table[table["epsilon"] == 0.1]) == {"a": "best", "b": "told"}
    assert marks(table[table["epsilon"] == 0.2]) == {"a": "told", "b": "best"}
    (layout,) = layouts(table, made[0])
    assert [row[1][0] for row in layout.rows] == ["0.1", "0.2", "0.1", "0.2"]
    assert [layout.look(i, 3).mark for i in range(4)] == ["best", "", "", "best"]
    assert "at the same radius" in " ".join(layout.notes)


def test_models_compete_under_the_same_attack():
    """Noise leaves more accuracy than an attack does: that makes no model better."""
    models = {
        "a / fgsm": [2.1, 2.2, 2.3, 2.4, 2.5],
        "b / fgsm": [1.1, 1.2, 1.3, 1.4, 1.5],
        "a / noise": [9.1, 9.2, 9.3, 9.4, 9.5],
    }
    made = run_of(models)
    table = summarise(*made)
    assert marks(table) == {"a / fgsm": "best", "b / fgsm": "told", "a / noise": None}
    (layout,) = layouts(table, made[0])
    assert "where all but the model is the same" in " ".join(layout.notes)


def test_diverged_seeds_count_and_failed_ones_do_not():
    values = [9.1, 9.2, 9.3, 9.4, 9.5]
    failed = run_of({"good": [*values, "failed", "left"], "bad": [1.1, 1.2, 1.3, 1.4, 1.5]})
    assert marks(summarise(*failed)) == {"good": "best", "bad": "told"}
    diverged = run_of({"good": [*values, *["diverged"] * 5], "bad": [1.1, 1.2, 1.3, 1.4, 1.5]})
    table = summarise(*diverged)
    assert marks(table) == {"good": "tied", "bad": "tied"}
    assert table.loc[0, "value"] == pytest.approx(9.3)
    (layout,) = layouts(table, diverged[0])
    assert "a diverged seed as worse than any value" in " ".join(layout.notes)


def test_a_model_without_a_value_does_not_compete():
    table = summarise(*run_of({**FAR, "gone": ["diverged"] * 5}))
    assert marks(table) == {"good": "best", "bad": "told", "gone": None}
    other = run_of(FAR)
    for record in [r for key, r in other[1].items() if key.startswith("bad")]:
        record["values"][0]["n"] = 0
    assert marks(summarise(*other)) == {"good": None, "bad": None}


# ---------------------------------------------------------------- what stands under a table


def test_the_note_says_what_marks_and_intervals_are():
    notes = layout_of(FAR).remarks
    assert notes[0] == "low–high: 95 % interval of the mean, Student's t over 5 seeds"
    assert notes[1].startswith("bold: the best mean of its column, told from every other (exact")
    assert "†: where there is none, the best mean and all that are not told from it" in notes[1]
    assert "diverged" not in notes[1]
    assert "radius" not in notes[1]


def test_the_note_counts_the_seeds():
    few = layout_of({"good": FAR["good"], "bad": FAR["bad"][:3]})
    assert few.spread == "Student's t over 3 to 5 seeds"
    one = layout_of({"good": [9.1], "bad": [1.1]})
    assert one.spread == ""
    assert one.remarks[0] == "no intervals: one seed, without a standard error"
    manifest, records = run_of({"good": [0.9]}, percent=True)
    records["good/0"]["values"][0] |= {"std_error": 0.01, "n": 100}
    (layout,) = layouts(summarise(manifest, records), manifest)
    assert layout.spread == "over the samples of the one seed (Wilson's of a share, else normal)"


def test_the_note_says_that_seeds_share_their_held_out_images():
    """Of a bound on the likelihood of images, over several seeds; points are drawn by each seed."""

    def notes(values, *, takes="latent", images=True):
        manifest, records = run_of({"vae": values}, takes=takes, title="ELBO")
        manifest["parts"]["dataset"] = {"data": {"images": images}}
        (layout,) = layouts(summarise(manifest, records), manifest)
        return " ".join(layout.notes)

    said = "ELBO: every seed is scored on the same held-out examples"
    assert said in notes([-9.1, -9.2, -9.3])
    for without in (notes([-9.1]), notes([-9.1, -9.2], images=False)):
        assert said not in without
    assert said not in notes([-9.1, -9.2], takes="features")
    facts = TASKS["image"].part.metric_facts("elbo")
    assert (facts["takes"], facts["title"]) == ("latent", "ELBO")


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ({"good": [9.1, 9.2], "bad": [1.1, 1.2]}, True),
        ({"good": [8.0] * 5, "bad": [8.0] * 5}, True),
        ({"good": FAR["good"]}, False),
    ],
    ids=["two seeds", "equal", "alone"],
)
def test_a_table_without_marks_says_so(models, said):
    layout = layout_of(models)
    assert not any(look.mark for row in layout.looks for look in row)
    assert any(note.startswith("no mean is in bold: ") for note in layout.notes) == said
    assert not any("†" in note for note in layout.notes)


def test_no_direction_no_word_of_bold():
    assert not any("bold" in note for note in layout_of(CLOSE, NONE).notes)


# ---------------------------------------------------------------- Markdown and terminal


def test_markdown_marks_the_best_and_the_ties():
    text = markdown(layout_of(FAR))
    assert "| good | 5 | **9.3** (9.1–9.5) |" in text
    assert "| bad | 5 | 1.3 (1.1–1.5) |" in text
    assert "low–high: 95 % interval" in text
    tied = markdown(layout_of({**CLOSE, "bad": FAR["bad"]}))
    assert "| good | 5 | 9.3† (9.1–9.5) |" in tied
    assert "| near | 5 | 9.3† (9.0–9.5) |" in tied
    assert "| bad | 5 | 1.3 (1.1–1.5) |" in tied
    assert "**9" not in tied


def _printed(monkeypatch, layout):
    made = Console(file=io.StringIO(), force_terminal=True, width=120, color_system="standard",
                   highlight=False, emoji=False)  # fmt: skip
    monkeypatch.setattr(output, "console", lambda: made)
    output.print_layout(layout)
    return made.file.getvalue()


def test_the_terminal_prints_bold_and_daggers(monkeypatch):
    text = _printed(monkeypatch, layout_of(FAR))
    assert "\x1b[1m9.3\x1b[0m" in text
    assert "\x1b[1m1.3" not in text
    tied = _printed(monkeypatch, layout_of(CLOSE))
    assert tied.count("9.3†") == 2
    assert "low–high: 95 % interval" in tied


@pytest.mark.parametrize("name", ["[red]x[/red]", "[/]", "x\\", "[bold", "a[1]\\[2]"])
def test_no_name_is_taken_for_markup(monkeypatch, name):
    models = {name: FAR["good"], "bad": FAR["bad"]}
    text = _printed(monkeypatch, layout_of(models, title=f"[x] {name}"))
    assert text.count(name) == 3


# ---------------------------------------------------------------- LaTeX

WORDS = set(
    """
    begin end centering caption label toprule midrule bottomrule textbf par smallskip footnotesize
    raggedright linewidth pm dagger uparrow downarrow rightarrow cdot varepsilon times leq geq ldots
    textbackslash textasciitilde textasciicircum textless textgreater textbar
    """.split()
)
CONTROL = re.compile(r"\\([A-Za-z]+|.)", re.DOTALL)


def checked(text):
    """The text, if it is LaTeX that compiles, as far as that shows. Raises AssertionError."""
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    body = "\n".join(lines)
    for name in CONTROL.findall(body):
        assert name in WORDS or name in "\\%&_#${},|", name
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", body):
        assert kind == "begin" or opened.pop() == name
        opened += [name] if kind == "begin" else []
    assert not opened
    _check_plain(CONTROL.sub("", body))
    columns = re.search(r"\\begin\{tabular\}\{([lr]*)\}", body)
    assert columns
    inside = body[columns.end() : body.index(r"\end{tabular}")].split("\n")[1:]
    for line in filter(None, inside):
        if line not in (r"\toprule", r"\midrule", r"\bottomrule"):
            assert line.endswith(r" \\")
            assert re.sub(r"\\.", "", line).count("&") == len(columns[1]) - 1, line
            assert not line.lstrip().startswith(("[", "*"))
    assert "&" not in re.sub(r"\\.", "", body[: columns.start()])
    assert "&" not in re.sub(r"\\.", "", body[body.index(r"\end{tabular}") :])
    return text


def _check_plain(rest):
    """What is left without commands: braces in balance, powers in mathematics only."""
    depth = 0
    for letter in rest:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    assert rest.count("$") % 2 == 0
    assert "^" not in "".join(rest.split("$")[::2])
    assert not set(rest) & set('%#_<>|"\t\r')
    assert all(letter.isascii() or ("À" <= letter <= "ſ" and letter.isalpha()) for letter in rest)
    assert all(letter.isprintable() or letter == "\n" for letter in rest)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("good", "go_od"),
        ("good", "go%od"),
        ("good", "go#od"),
        ("good", "go^od"),
        ("good", "g$ood"),
        ("good", "go{od"),
        ("good", "go}od"),
        ("good", "good & more"),
        ("good", "[good"),
        ("good", "gε"),
        ("good", r"\unknown"),
        (r"\end{tabular}", ""),
    ],
)
def test_the_check_of_latex_fires(old, new):
    text = latex(layout_of(FAR))
    checked(text)
    with pytest.raises((AssertionError, ValueError)):
        checked(text.replace(old, new, 1))


def test_latex_is_a_table_with_booktabs():
    roles = {"real": "ceiling", "base": "baseline", "random": "floor"}
    models = {**CLOSE, "base": [1.0, 1.1, 1.2, 1.3, 1.4], "real": [10.0] * 5, "random": [0.0] * 5}
    text = checked(latex(layout_of(models, roles=roles)))
    assert text.startswith("% needs \\usepackage{booktabs}\n\\begin{table}\n")
    assert r"\label{tab:s-b-data}" in text
    caption = next(line for line in text.splitlines() if line.startswith(r"\caption"))
    assert r"Mean $\pm$ half its 95\,\% interval, or mean (low--high)" in caption
    assert "Student's t over 5 seeds" in caption
    rows = [line for line in text.splitlines() if line.endswith(r" \\") or line == r"\midrule"]
    names = [line.partition(" &")[0] for line in rows]
    rule = r"\midrule"
    assert names == ["model", rule, "real", rule, "good", "near", "base", rule, "random"]


def test_latex_marks_the_best_and_the_ties():
    text = checked(latex(layout_of(FAR)))
    assert r"good & 5 & \textbf{9.3}${} \pm 0.2$ \\" in text
    assert r"bad & 5 & $1.3 \pm 0.2$ \\" in text
    tied = checked(latex(layout_of({**CLOSE, "bad": FAR["bad"]})))
    assert r"good & 5 & $9.3^{\dagger} \pm 0.2$ \\" in tied
    assert r"near & 5 & $9.3^{\dagger} \pm 0.3$ \\" in tied
    assert r"bad & 5 & $1.3 \pm 0.2$ \\" in tied
    assert r"\textbf" not in tied


def test_a_cut_interval_is_written_out():
    cut = {"good": [9.0, 9.8, 9.9, 10.0], "bad": [-1.1, -1.2, -1.3, -1.4]}
    text = checked(latex(layout_of(cut, high=10.0)))
    assert r"good & 4 & \textbf{9.7} (8.9--10.0) \\" in text
    assert r"bad & 4 & $-1.2 \pm 0.2$ \\" in text
    both = checked(latex(layout_of({"wild": [0.0, 10.0]}, low=0.0, high=10.0)))
    assert r"wild & 2 & 5.0 (0.0--10.0) \\" in both
    tied = checked(
        latex(layout_of({"a": [9.0, 9.8, 9.9, 10.0], "b": [9.9, 9.1, 9.7, 10.0]}, high=10))
    )
    assert r"a & 4 & 9.7$^{\dagger}$ (8.9--10.0) \\" in tied
    below = checked(latex(layout_of({"a": [-2.0, -1.0]}, high=-1.0)))
    assert r"a & 2 & $-$1.5 ($-$7.9 to $-$1.0) \\" in below


def test_one_seed_has_no_plus_minus():
    text = checked(latex(layout_of({"good": [9.1], "bad": [1.1]})))
    assert r"good & 1 & 9.1 \\" in text
    assert r"\caption{b $\cdot$ data.}" in text


@pytest.mark.parametrize(
    "name",
    [
        "a_b & 100 % #1 $x$ {y} ~z^2 \\input{/etc/passwd}",
        "[1pt] first",
        "\n [1pt] first",
        "*star",
        "<b>|x|</b> \"quoted\" -- --- 'x' `y`",
        "“ε ≤ 2 × 3 → … ± ‖x‖² 中文 \N{GRINNING FACE} é Ł\u00ad\u0301",
        "line\nbreak\ttab\r\0null\u2028",
    ],
)
def test_every_name_is_printed_literally(name):
    models = {name: FAR["good"], "bad": FAR["bad"]}
    made = run_of(models, title=name)
    made[0]["blocks"][0]["name"] = name
    for cell_ in made[0]["cells"]:
        cell_["block"] = name
        cell_["parts"]["dataset"] = name
    (layout,) = layouts(summarise(*made), made[0])
    checked(latex(layout))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30))
def test_any_text_can_stand_anywhere(text):
    row = [(text, ""), (text, text)]
    looks = [[Look(), Look("best")]]
    layout = Layout(text, [text, text], [row], ["model"], [text], (0,), looks, text, text)
    checked(latex(layout))


def test_escapes_print_what_was_there():
    assert escaped("a--b---c – 5 %") == r"a-{}-b-{}-{}-c -- 5\,\%"
    assert escaped("\\_^") == r"\textbackslash{}\_\textasciicircum{}"
    assert escaped("λé") == "U+03BBé"


def test_letters_beyond_ascii_name_their_packages():
    assert "fontenc" not in latex(layout_of(FAR))
    assert "fontenc" in latex(layout_of({"Gaußé": FAR["good"]}))


def test_a_cell_with_a_unit_and_a_minus():
    assert cell("−1.2", "± 0.3 SE", Look("", "0.3", "SE")) == r"$-1.2 \pm 0.3$ SE"
    assert cell("−1.2", "", Look("best", "0.3")) == r"\textbf{$-$1.2}${} \pm 0.3$"


# ---------------------------------------------------------------- CSV and JSON

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"]


@pytest.mark.parametrize("name", FORMULAS)
def test_no_text_is_a_formula_in_a_spreadsheet(name):
    made = run_of({name: [-9.1, -9.2, -9.3, -9.4, -9.5], "bad": [-99.0] * 5})
    table = summarise(*made)
    table.loc[0, "note"] = name
    text = as_csv(table)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    seen = f"'{name}".replace("\t", "\\t").replace("\r", "\\r")
    assert (rows[0]["model"], rows[0]["note"]) == (seen, seen)
    assert rows[1]["model"] == "bad"
    assert float(rows[0]["value"]) == table.loc[0, "value"] < 0
    assert (rows[0]["best"], rows[0]["tied"], rows[1]["best"]) == ("True", "False", "False")
    told = json.loads(as_json(table))
    assert (told[0]["model"], told[0]["note"]) == (name, name)


HOSTILE = ["a\nb", "a\x1b[31mred", "a\u202eb", "a\x00b", "<img src=x>", "[a](javascript:b)", "`a`"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_and_not_obeyed(name):
    """By a terminal, by a viewer of Markdown, by a reader of CSV."""
    made = run_of({name: [1.0, 2.0], "other": [1.0, 3.0]})
    table = summarise(*made)
    layout = next(iter(layouts(table, made[0])))
    for text in (markdown(layout), as_csv(table), latex(layout)):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", text)
    assert len(as_csv(table).splitlines()) == 1 + len(table)
    told = markdown(layout)
    assert all(f"\\{letter}" in told for letter in "<[`" if letter in name)
    assert not re.search(r"(?<!\\)[<\[`]", told)
    assert json.loads(as_json(table))[0]["model"] == name


def test_csv_differs_from_the_table_in_nothing_else():
    table = summarise(*run_of({**FAR, "single": [3.0], "gone": ["diverged"] * 5}))
    assert as_csv(table) == table.to_csv(index=False)
    assert next(csv.reader(io.StringIO(as_csv(table)))) == list(COLUMNS)


def test_missing_marks_are_empty_and_null():
    table = summarise(*run_of({**FAR, "real": [99.0] * 5}, roles={"real": "ceiling"}))
    rows = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert (rows[0]["model"], rows[0]["best"], rows[0]["tied"]) == ("real", "", "")
    told = json.loads(as_json(table))
    assert [(row["best"], row["tied"]) for row in told] == [
        (None, None),
        (True, False),
        (False, False),
    ]
    assert [row["std"] for row in told] == pytest.approx(table["std"].tolist())


# ---------------------------------------------------------------- the command


@pytest.mark.usefixtures("undrawn")
def test_a_run_is_shown_with_its_marks(capfd, tmp_path, monkeypatch):
    """A mixture that is fitted against a GAN of two steps, three seeds each, in every format."""
    monkeypatch.chdir(tmp_path)
    models = [("model", "gmm"), ("model", "nsgan"), ("model", "oracle")]
    given_ = {"steps": 2, "samples": 300, "evaluations": 1}
    api.run("smoke", only=[*models, ("dataset", "ring8@pacgan")], seeds=range(3), set=given_,
            executor="inline")  # fmt: skip
    shown = {}
    for form in ("table", "markdown", "csv", "latex", "json"):
        capfd.readouterr()
        assert bench("show", "smoke", "--format", form) == 0
        shown[form] = capfd.readouterr().out
    rows = json.loads(shown["json"])
    quality = {row["model"]: row["best"] for row in rows if row["metric"] == "high_quality"}
    assert quality == {"oracle": None, "gmm": True, "nsgan": False}
    checked(shown["latex"])
    assert r"\textbf{" in shown["latex"]
    assert "| **" in shown["markdown"]
    for form in ("table", "markdown", "latex"):
        assert "bold: the best mean" in shown[form]
    assert next(csv.reader(io.StringIO(shown["csv"]))) == list(COLUMNS)
    kept = (tmp_path / "runs/smoke/quick/table.csv").read_text()
    assert next(csv.reader(io.StringIO(kept))) == list(ROW)
