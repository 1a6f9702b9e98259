"""What the gate refuses to read, and the one line with which it does."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from harness import bench
from simulated import lost, plain, worse

from results.gate.policy import Policy, read_policy
from results.rows import SCHEMA_VERSION

GOOD = plain()


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    GOOD.to_csv("good.csv", index=False)


def refused(capfd, *arguments, code=2):
    """The one line with which the command refuses; nothing on standard output."""
    capfd.readouterr()
    assert bench(*arguments) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert "internal" not in err
    return err


# Tables


def cut(path, size):
    content = path.read_bytes()
    path.write_bytes(content[:size])


def written(tmp_path, name, content):
    path = tmp_path / name
    if isinstance(content, pd.DataFrame):
        writer = content.to_parquet if path.suffix == ".parquet" else content.to_csv
        writer(path, index=False)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content)
    return path


TEXT = GOOD.to_csv(index=False)
LINES = TEXT.splitlines(keepends=True)

FILES = {
    "empty": ("x.csv", "", "can't be read.*was it cut"),
    "a head only": ("x.csv", LINES[0], "no rows"),
    "other columns": ("x.csv", "a,b\n1,2\n", "no column .*suite"),
    "no series": ("x.csv", GOOD.drop(columns="series"), "no column series: expected a table"),
    "binary": ("x.csv", bytes(range(256)) * 40, "x.csv"),
    "sixteen bits": ("x.csv", TEXT.encode("utf-16"), "can't be read"),
    "no parquet": ("x.parquet", TEXT, "can't be read"),
    "empty parquet": ("x.parquet", b"", "can't be read"),
    "other parquet": ("x.parquet", pd.DataFrame({"a": [1]}), "no column .*suite"),
    "cut in a line": ("x.csv", TEXT[:-60], "x.csv"),
    "an open quote": ("x.csv", TEXT + '"', "can't be read"),
    "twice": ("x.csv", pd.concat([GOOD, GOOD]), "seed 0 of simulated/mixture.* twice"),
    "no final row": ("x.csv", GOOD.assign(final=False), "final"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_table_is_refused(what, capfd, tmp_path):
    """On either side, by its name."""
    name, content, said = FILES[what]
    written(tmp_path, name, content)
    for sides in ((name, "good.csv"), ("good.csv", name)):
        line = refused(capfd, "compare", *sides)
        assert name in line
        assert re.search(said, line)


def test_half_a_parquet_is_refused(capfd, tmp_path):
    path = written(tmp_path, "x.parquet", GOOD)
    cut(path, path.stat().st_size // 2)
    assert "was it cut" in refused(capfd, "compare", "good.csv", "x.parquet")


def changed(column, value):
    """A table with another text in one cell of a column."""
    texts = GOOD.astype({column: object})
    texts.loc[7, column] = value
    return texts


CELLS = {
    "value": ["abc", "", "nan", "inf", "-inf", "1,5", "0x10"],
    "seed": ["", "x", "1.5", "inf", "1e30"],
    "epsilon": ["x"],
    "n": ["many"],
    "status": ["okay", ""],
    "final": ["maybe", ""],
    "dirty": ["2"],
    "direction": ["upwards", ""],
    "schema_version": ["", "x"],
    "absolute": ["", "inf", "nan", "-1", "x"],
    "relative": ["inf", "-0.5"],
    "digits": ["", "x"],
    "primary": ["yes"],
}


@pytest.mark.parametrize(
    ("column", "value"), [(name, value) for name, values in CELLS.items() for value in values]
)
def test_a_cell_that_can_not_be_is_refused(column, value, capfd, tmp_path):
    """A single one among twenty, and the line says where it is."""
    written(tmp_path, "x.csv", changed(column, value))
    line = refused(capfd, "compare", "x.csv", "good.csv")
    assert "x.csv" in line
    assert column in line or "was the file cut" in line


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_a_newer_schema_is_refused(name, capfd, tmp_path):
    """Also where it has dropped or renamed a column: that it is newer helps, the rest does not."""
    newer = GOOD.assign(schema_version=SCHEMA_VERSION + 1)
    for table in (newer, newer.rename(columns={"examples": "example_ids"})):
        written(tmp_path, name, table)
        line = refused(capfd, "compare", name, "good.csv")
        assert "newer" in line
        assert "upgrade" in line


def test_another_suite_and_another_tier_are_refused(capfd, tmp_path):
    written(tmp_path, "x.csv", GOOD.assign(suite="other"))
    line = refused(capfd, "compare", "good.csv", "x.csv")
    assert re.search("nothing to compare.*simulated.*other", line)
    written(tmp_path, "x.csv", GOOD.assign(tier="paper"))
    assert re.search("tier quick.*paper", refused(capfd, "compare", "good.csv", "x.csv"))


def test_rows_of_another_tier_are_no_match(tmp_path):
    """Half of the table is of a tier that the baseline does not know."""
    tiers = np.where(GOOD["model"] < "model2", "quick", "paper")
    written(tmp_path, "x.csv", GOOD.assign(tier=tiers))
    assert bench("compare", "good.csv", "x.csv", "--on-inconclusive", "pass") in (2, 5)


BASELINE = GOOD.assign(
    baseline_rows=len(GOOD), baseline_date="2026-01-01", baseline_reason="because of this"
)
BASELINE_TEXT = BASELINE.to_csv(index=False)
LAST = len(BASELINE_TEXT.splitlines()[-1])


@pytest.mark.parametrize("line", [1, 10, 20])
def test_a_baseline_that_lost_a_line_is_found_out(line, capfd, tmp_path):
    """Also at the end of the file, where nothing else shows it."""
    lines = BASELINE_TEXT.splitlines(keepends=True)
    written(tmp_path, "b.csv", "".join(lines[:line] + lines[line + 1 :]))
    for command in (
        ("compare", "b.csv", "good.csv"),
        ("compare", "good.csv", "b.csv"),
        ("baseline", "show", "b.csv"),
        ("calibrate", "b.csv"),
    ):
        assert "has 19 of 20 rows" in refused(capfd, *command)


def test_a_baseline_that_gained_a_line_is_found_out(capfd, tmp_path):
    written(tmp_path, "b.csv", BASELINE_TEXT + BASELINE_TEXT.splitlines()[-1].replace(",4,", ",9,"))
    assert "21 of 20 rows" in refused(capfd, "compare", "b.csv", "good.csv")


@pytest.mark.parametrize("size", [*range(30, LAST, 17)])
def test_a_baseline_that_is_cut_anywhere_is_refused(size, capfd, tmp_path):
    """In each column of the last line, up to the reason."""
    written(tmp_path, "b.csv", BASELINE_TEXT[: -size - 1])
    assert "b.csv" in refused(capfd, "compare", "b.csv", "good.csv")


@pytest.mark.parametrize("size", [*range(2, len(LINES[-1]), 13)])
def test_a_table_that_is_cut_anywhere_never_ends_in_an_internal_error(size, capfd, tmp_path):
    written(tmp_path, "x.csv", TEXT[:-size])
    code = bench("compare", "good.csv", "x.csv")
    out, err = capfd.readouterr()
    assert code in (2, 5)
    assert err.count("\n") == (code == 2)
    assert (out == "") == (code == 2)


def test_a_table_that_is_cut_at_a_line_end_never_passes(tmp_path):
    written(tmp_path, "x.csv", "".join(LINES[:-1]))
    for sides in (("good.csv", "x.csv"), ("x.csv", "good.csv")):
        assert bench("compare", *sides, "--on-inconclusive", "pass") == 5


@pytest.mark.parametrize("change", [lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n")])
def test_what_an_editor_adds_does_no_harm(change, tmp_path):
    """A byte order mark, other line ends."""
    written(tmp_path, "x.csv", change(TEXT))
    assert bench("compare", "good.csv", "x.csv") == 0


# Names

NAMES = {
    "mode-colapse": "did you mean 'mode-collapse'",
    "nothing-like-it": "unknown baseline 'nothing-like-it'",
    "nope/run": "'nope/run' is not there",
    "nope.csv": "can't read nope.csv",
    "folder": "folder holds no run",
    "folder.csv": "folder.csv holds no run",
    "notes.txt": r"\.csv or \.parquet",
    "~nobody/x": "is not there",
    "": "holds no run|is not there|expected",
    "a\nb": "unknown baseline",
    "x" * 300: "x",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_nothing_answers_to_is_refused(name, capfd, tmp_path):
    for folder in ("folder", "folder.csv"):
        (tmp_path / folder).mkdir()
    (tmp_path / "notes.txt").write_text("x")
    for sides in ((name, "good.csv"), ("good.csv", name)):
        assert re.search(NAMES[name], refused(capfd, "compare", *sides))


def test_a_file_that_is_there_is_not_said_to_be_missing(capfd, tmp_path):
    """With a folder before it: what is wrong is what it is."""
    path = written(tmp_path, "notes.txt", "x")
    assert "not there" not in refused(capfd, "compare", str(path), "good.csv")


OPTIONS = {
    ("--only", "modle=x"): "did you mean 'model'",
    ("--only", "model"): "expected",
    ("--only", "model=zzz"): "no cell of good.csv matches",
    ("--on-inconclusive", "maybe"): "'fail', 'pass'",
    ("--junit", "nope/x.xml"): "can't write nope/x.xml",
    ("--markdown", "."): "can't write",
    ("--markdown", "x" * 300): "can't write",
    ("--policy", "nope.toml"): "can't read the policy nope.toml",
}


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "".join(options)[:30])
def test_an_option_that_makes_no_sense_is_refused(options, capfd):
    """Before anything is compared."""
    assert re.search(OPTIONS[options], refused(capfd, "compare", "good.csv", "good.csv", *options))


# Policies

POLICIES = {
    "alpah = 0.05": "unknown key 'alpah': did you mean 'alpha'",
    "[[margins]]\nabsolute = 1": "did you mean 'margin'",
    '[[margin]]\nmetirc = "x"': "metirc.*did you mean 'metric'",
    '[[ignore]]\nmodle = "x"\nreason = "y"': "modle.*did you mean 'model'",
    '[[ignore]]\nmodel = "x"\nreasn = "y"': "reasn.*did you mean 'reason'",
    "frobnicate = 1": "unknown key 'frobnicate': known: .*alpha",
    'alpha = "x"': "alpha.*number.*'x'",
    "alpha = 0": "alpha.*greater than 0",
    "alpha = 0.5": "alpha.*less than 0.5",
    "suite_share = 2": "suite_share.*1",
    'on_inconclusive = "maybe"': "'fail' or 'pass'.*'maybe'",
    'primary = "score"': "primary.*list",
    "primary = [1]": "primary.*string",
    "margin = 1": "margin.*list",
    "[[margin]]\nabsolute = -1": "absolute.*greater than or equal to 0",
    "[[margin]]\nabsolute = inf": "absolute.*finite",
    "[[margin]]\nrelative = nan": "relative.*finite",
    "[[margin]]\nmodel = 3": "model.*string",
    '[[ignore]]\nmodel = "x"': "reason.*required",
    '[[ignore]]\nmodel = "x"\nreason = ""': "reason",
    '[[ignore]]\nmodel = "x"\nreason = "  "': "reason",
    "alpha = ": "not valid TOML",
    b"\xff\xfe": "not valid TOML",
}


@pytest.mark.parametrize("text", POLICIES)
def test_a_policy_that_makes_no_sense_is_refused(text, capfd, tmp_path):
    written(tmp_path, "p.toml", text)
    line = refused(capfd, "compare", "good.csv", "good.csv", "--policy", "p.toml")
    assert "p.toml" in line
    assert re.search(POLICIES[text], line)


def test_a_policy_that_is_a_folder_is_refused(capfd, tmp_path):
    assert "can't read" in refused(
        capfd, "compare", "good.csv", "good.csv", "--policy", str(tmp_path)
    )


def test_a_policy_is_read(tmp_path):
    """All that a file may say, and what holds where it says nothing."""
    path = written(
        tmp_path,
        "p.toml",
        'alpha = 0.01\nsuite_share = 0.5\non_inconclusive = "pass"\nprimary = ["fr*"]\n'
        '[[margin]]\nmetric = "a"\nabsolute = 1\n[[margin]]\nmodel = "b"\nrelative = 0.5\n'
        '[[ignore]]\nattack = "c"\nreason = "d"\n',
    )
    found = read_policy(str(path))
    assert (found.alpha, found.suite_share, found.on_inconclusive) == (0.01, 0.5, "pass")
    assert found.primary == ["fr*"]
    assert [(m.metric, m.absolute, m.relative) for m in found.margin] == [
        ("a", 1.0, None),
        ("*", None, 0.5),
    ]
    assert [(i.attack, i.reason) for i in found.ignore] == [("c", "d")]
    assert read_policy(str(written(tmp_path, "e.toml", ""))) == Policy() == read_policy(None)
    assert Policy().alpha == 0.05


def test_a_policy_file_changes_the_verdict(capfd, tmp_path):
    """And a flag comes before what it says of INCONCLUSIVE."""
    written(tmp_path, "new.csv", worse(plain(first_seed=100)))
    written(tmp_path, "wide.toml", '[[margin]]\nmetric = "sc*"\nabsolute = 2\n')
    assert bench("compare", "good.csv", "new.csv") == 3
    assert bench("compare", "good.csv", "new.csv", "--policy", "wide.toml") == 0
    for seeds, name in ((0, "a.csv"), (50, "b.csv")):
        written(tmp_path, name, plain(2, first_seed=seeds))
    written(tmp_path, "pass.toml", 'on_inconclusive = "pass"\n')
    few = ("compare", "a.csv", "b.csv")
    assert bench(*few) == 5
    assert bench(*few, "--on-inconclusive", "pass") == 0
    assert bench(*few, "--policy", "pass.toml") == 0
    assert bench(*few, "--policy", "pass.toml", "--on-inconclusive", "fail") == 5


def test_a_rule_that_matches_nothing_is_printed(capfd, tmp_path):
    written(tmp_path, "p.toml", '[[margin]]\nmodel = "modle0"\nabsolute = 2\n')
    assert bench("compare", "good.csv", "good.csv", "--policy", "p.toml") == 0
    assert re.search(r"note: .*modle0.*matches no series", capfd.readouterr().out)


def test_both_sides_are_narrowed(capfd, tmp_path):
    """As the run was: a run of one model passes against the whole baseline."""
    written(tmp_path, "one.csv", GOOD[GOOD["model"] == "model0"])
    assert bench("compare", "good.csv", "one.csv") == 5
    assert bench("compare", "good.csv", "one.csv", "--only", "model=model0") == 0
    assert bench("compare", "good.csv", "one.csv", "--only", "model=model[01]") == 5


# Calibration


def test_calibration_of_too_few_seeds_is_refused(capfd, tmp_path):
    written(tmp_path, "few.csv", plain(3))
    assert "at least 4" in refused(capfd, "calibrate", "few.csv")
    assert "--new" in refused(capfd, "calibrate", "good.csv", "--new", "5")


def test_calibration_of_a_run_with_gaps_is_refused(capfd, tmp_path):
    """As a baseline is; a diverged cell is no gap."""
    here = GOOD["seed"].eq(1) & GOOD["model"].eq("model2")
    written(tmp_path, "gap.csv", lost(GOOD, here, "crashed"))
    line = refused(capfd, "calibrate", "gap.csv")
    assert re.search("1 of 20 cells of gap.csv are not measured .*model2, seed 1: crashed", line)
    written(tmp_path, "diverged.csv", lost(GOOD, here, "diverged"))
    assert bench("calibrate", "diverged.csv", "--splits", "10") == 0


def test_calibration_of_what_does_not_decide_is_refused(capfd, tmp_path):
    written(tmp_path, "none.csv", plain(6, primary=False))
    assert "no series of simulated decides" in refused(capfd, "calibrate", "none.csv")
    assert "can't write" in refused(capfd, "calibrate", "good.csv", "--write-policy", "no/p.toml")
