"""The faces of a comparison: exit codes, the terminal, JSON, JUnit, Markdown, GitHub, pytest."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from harness import bench
from junitparser import JUnitXml
from simulated import lost, plain, worse

from bench import api
from results.gate.policy import Policy
from results.gate.summary import summary, workflow_commands
from results.gate.verdicts import EMPTY, Comparison

pytest_plugins = ["pytester"]

NAMES = (
    "level verdict suite tier task series cell_id dataset model source_model attack norm epsilon "
    "metric metric_version direction primary kind before after shift margin loss low high p "
    "p_adjusted seeds_before seeds_after finished_before finished_after seeds_needed seed reason"
)
MEBIBYTE = 2**20

# Text that each of the formats could mistake for its own.
NASTY = 'a|b <c> & "d" `e` [f](g) %0A, ::h:: \x1b[31m\x07\x01\n::error::planted'


def only(table, model="model0"):
    return table["model"] == model


def other():
    return plain(first_seed=100)


SIDES = {
    "itself": (plain, plain, 0, "PASS"),
    "better": (plain, lambda: worse(other(), -0.3), 0, "IMPROVED"),
    "worse": (plain, lambda: worse(other()), 3, "REGRESSED"),
    "crashed": (plain, lambda: lost(plain(), only(plain()), "crashed"), 4, "FAILED"),
    "dropped": (plain, lambda: plain()[~only(plain())], 5, "INCOMPARABLE"),
    "few": (lambda: plain(2), lambda: plain(2, first_seed=50), 5, "INCONCLUSIVE"),
    "diverged": (plain, lambda: lost(plain(), only(plain()), "diverged"), 3, "REGRESSED"),
    "no longer": (lambda: lost(plain(), only(plain()), "diverged"), plain, 0, "IMPROVED"),
}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def compared(base, new, *arguments):
    """The exit code of the command on two tables."""
    base.to_parquet("base.parquet")
    new.to_parquet("new.parquet")
    return bench("compare", "base.parquet", "new.parquet", *arguments)


@pytest.mark.parametrize("name", SIDES)
def test_the_exit_code_and_the_last_line_agree(name, capfd, tmp_path):
    """The verdict, both names, how many series had which; files too, also where it is red."""
    base, new, code, verdict = SIDES[name]
    assert compared(base(), new(), "--junit", "j.xml", "--markdown", "m.md") == code
    out, err = capfd.readouterr()
    assert err == ""
    last = out.splitlines()[-1]
    assert last.startswith(f"{verdict}: ")
    assert "base.parquet" in last
    assert "new.parquet" in last
    assert re.search(r"\d+ [A-Z]+", last)
    assert verdict in (tmp_path / "m.md").read_text().splitlines()[0]
    assert JUnitXml.fromfile("j.xml").tests >= 4
    assert {path.suffix for path in tmp_path.iterdir()} == {".xml", ".md", ".parquet"}


@pytest.mark.parametrize("name", SIDES)
def test_json_is_a_list_of_rows_under_stable_columns(name, capfd):
    """Strict JSON, whatever is infinite or missing; the exit code stays."""
    base, new, code, verdict = SIDES[name]
    assert compared(base(), new(), "--json") == code
    out, err = capfd.readouterr()
    assert err == ""

    def never(text):
        raise AssertionError(text)

    found = json.loads(out, parse_constant=never)
    assert {tuple(row) for row in found} == {tuple(NAMES.split())}
    assert found[0]["level"] == "suite"
    assert found[0]["verdict"] == verdict
    assert {row["level"] for row in found} <= {"suite", "series", "cell"}
    for row in found:
        assert row["primary"] in (True, False)
        for number in ("p", "before", "after", "epsilon", "seed"):
            assert row[number] is None or isinstance(row[number], (int, float))


def test_github_does_not_get_between_the_rows(capfd, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert compared(plain(), worse(other()), "--json") == 3
    assert json.loads(capfd.readouterr().out)


def test_the_terminal_shows_the_worst_first_and_why(capfd):
    """What passed is counted, not listed; numbers with their bounds."""
    table = worse(plain(8, 6, 100), 0.5, only(plain(8, 6, 100), "model3"))
    table = worse(table, -0.5, only(table, "model1"))
    assert compared(plain(8, 6), table) == 3
    lines = capfd.readouterr().out.splitlines()
    listed = [line for line in lines if re.search(r"model\d ", line) and "│" in line]
    assert [re.findall("[A-Z]{4,}|model.", line) for line in listed] == [
        ["REGRESSED", "model3"],
        ["IMPROVED", "model1"],
    ]
    assert "score" in listed[0]
    assert any("4 PASS" in line for line in lines)


def test_the_terminal_says_which_cell_failed(capfd):
    table = lost(plain(), only(plain()) & (plain()["seed"] == 3), "oom", "no room for it")
    assert compared(plain(), table) == 4
    (line,) = [
        line
        for line in capfd.readouterr().out.splitlines()
        if "no room for it" in line and "FAILED" in line
    ]
    assert "mixture/d/model0" in line
    assert re.search(r"\b3\b", line)


# JUnit


def junit(base, new, *arguments):
    code = compared(base, new, "--junit", "j.xml", *arguments)
    return code, JUnitXml.fromfile("j.xml")


def kinds(xml):
    return [(case.name, type(case.result[0]).__name__) for s in xml for case in s if case.result]


def test_junit_counts_what_the_verdicts_are():
    """Regressed fails, crashed and incomparable are errors, ignored is skipped; the rest pass."""
    base = plain(6, 6)
    new = worse(plain(6, 6, 100), 0.5, only(plain(6, 6, 100), "model0"))
    new = lost(new, only(new, "model1") & (new["seed"] == 101), "crashed")
    new = new[~only(new, "model2")]
    with open("p.toml", "w") as file:
        file.write('[[ignore]]\nmodel = "model3"\nreason = "known for long"\n')
    code, xml = junit(base, new, "--policy", "p.toml")
    assert code == 3
    (suite,) = [*xml]
    assert suite.name == "simulated"
    found = {}
    for name, kind in kinds(xml):
        found.setdefault(kind, []).append(name)
    assert (len(found["Failure"]), len(found["Error"]), len(found["Skipped"])) == (2, 3, 1)
    assert (xml.failures, xml.errors, xml.skipped) == (2, 3, 1)
    assert xml.tests == len([*suite]) == 8
    assert len({(case.classname, case.name) for case in suite}) == xml.tests
    texts = {case.name: case.result[0].message for case in suite if case.result}
    assert any("model0" in name for name in found["Failure"])
    assert all(texts.values())
    assert "known for long" in texts[found["Skipped"][0]]


def test_junit_passes_where_the_gate_does():
    for new in (plain(), worse(other(), -0.3)):
        code, xml = junit(plain(), new)
        assert code == 0
        assert kinds(xml) == []
        assert xml.tests == 5


def test_junit_of_what_the_seeds_can_not_judge():
    """A failure, or skipped where it may pass: as the exit code says."""
    sides = plain(2), plain(2, first_seed=50)
    for arguments, kind, expected in (
        ((), "Failure", 5),
        (("--on-inconclusive", "pass"), "Skipped", 0),
    ):
        code, xml = junit(*sides, *arguments)
        assert code == expected
        assert {found for _, found in kinds(xml)} == {kind}
        assert len(kinds(xml)) == 5


# Names that are not made for any format


COLUMNS = ("model", "suite", "tier", "metric", "cell_id", "title")


def nasty(column):
    """A table with such a name in a column, and one whose values are worse."""
    tables = []
    for table in (plain(), worse(other())):
        table[column] = [f"{NASTY}{name}" for name in table[column]]
        tables.append(table)
    return tables


@pytest.mark.parametrize("column", COLUMNS)
def test_names_break_no_format(column, capfd, monkeypatch):
    """Control characters, pipes, brackets, line ends: tables stay tables, XML stays XML."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert compared(*nasty(column), "--junit", "j.xml", "--markdown", "m.md") == 3
    out, err = capfd.readouterr()
    assert err == ""
    assert JUnitXml.fromfile("j.xml").tests == 5
    with open("m.md") as file:
        text = file.read()
    for printed in (out, text):
        assert not [letter for letter in printed if ord(letter) < 32 and letter != "\n"]
        assert not re.search("^ *::error::planted", printed, re.MULTILINE)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 4
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows}) == 1


def test_a_reason_breaks_no_format(capfd, monkeypatch):
    """As an exception may have it."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    table = lost(plain(), only(plain()), "crashed", NASTY)
    assert compared(plain(), table, "--junit", "j.xml", "--markdown", "m.md") == 4
    out = capfd.readouterr().out
    assert not re.search("^ *::error::planted", out, re.MULTILINE)
    assert "\x1b" not in out
    assert JUnitXml.fromfile("j.xml").errors > 0


def test_a_markup_tag_is_no_markup(capfd):
    """Of the terminal: what stands in brackets is printed."""
    base, new = plain(), worse(other())
    for table in (base, new):
        table["model"] = "[bold]" + table["model"]
    assert compared(base, new) == 3
    assert "[bold]model0" in capfd.readouterr().out


# GitHub


def commands(out):
    return [line for line in out.splitlines() if line.startswith("::")]


def test_annotations_only_where_github_runs_us(capfd, monkeypatch):
    assert compared(plain(), worse(other())) == 3
    assert commands(capfd.readouterr().out) == []
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert compared(plain(), worse(other())) == 3
    found = commands(capfd.readouterr().out)
    assert len(found) == 4
    for line in found:
        assert re.fullmatch(r"::error title=[^:,\r\n]+::.+", line)
        assert re.search(r"REGRESSED.*model\d", line)
    assert compared(plain(), plain()) == 0
    assert commands(capfd.readouterr().out) == []


def test_at_most_ten_annotations_the_worst_first(capfd, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    base, new = plain(6, 30), worse(plain(6, 30, 100))
    assert compared(base, lost(new, only(new, "model7"), "crashed")) == 3
    found = commands(capfd.readouterr().out)
    assert len(found) == 10
    assert all(line.startswith("::error ") for line in found)


def test_an_annotation_of_the_inconclusive_is_as_loud_as_the_exit_code(capfd, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    sides = plain(2), plain(2, first_seed=50)
    assert compared(*sides) == 5
    assert {line.split()[0] for line in commands(capfd.readouterr().out)} == {"::error"}
    assert compared(*sides, "--on-inconclusive", "pass") == 0
    assert {line.split()[0] for line in commands(capfd.readouterr().out)} <= {"::notice"}


def test_annotations_are_escaped():
    """As GitHub's runner wants it: %, line ends; in a title colons and commas too."""
    row = {**EMPTY, "level": "cell", "verdict": "FAILED", "suite": "s", "cell_id": "a:b,c%\nd"}
    row |= {"seed": 0.0, "reason": "50 % of\r\n::error::it", "primary": False}
    suite = {**EMPTY, "level": "suite", "verdict": "FAILED", "suite": "s"}
    found = Comparison("b", "n", Policy(), pd.DataFrame([suite, row]), {})
    (line,) = workflow_commands(found)
    assert line == ("::error title=FAILED%3A a%3Ab%2Cc%25%0Ad::50 %25 of%0D%0A::error::it")


# Markdown


def test_markdown_says_what_the_terminal_says(capfd):
    table = worse(other(), 0.3, only(other()))
    assert compared(plain(), table, "--markdown", "m.md") == 3
    with open("m.md") as file:
        text = file.read()
    assert text.startswith("## ")
    assert "REGRESSED" in text.splitlines()[0]
    assert "Exit code 3" in text
    (row,) = [line for line in text.splitlines() if line.startswith("|") and "REGRESSED" in line]
    assert "model0" in row
    assert "score" in row
    assert "3 PASS" in text


@pytest.mark.parametrize(("count", "size"), [(2_000, 30), (400, 5_000), (12, 100_000)])
def test_a_summary_stays_below_a_mebibyte(count, size):
    """However many lines, and however long: GitHub drops a larger one. What it is is still said."""
    one = {**EMPTY, "level": "series", "verdict": "REGRESSED", "suite": "s", "primary": True}
    one |= {"metric": "score", "model": "m" * size, "direction": "lower", "reason": "because"}
    cell = {**EMPTY, "level": "cell", "verdict": "FAILED", "suite": "s", "reason": "ä" * size}
    suite = {**EMPTY, "level": "suite", "verdict": "REGRESSED", "suite": "s"}
    rows = pd.DataFrame([suite, *[one] * count, *[cell] * count])
    text = summary(Comparison("base", "new", Policy(), rows, {}, ("note",) * 10))
    assert len(text.encode()) < MEBIBYTE
    assert "REGRESSED" in text.splitlines()[0]
    assert f"{count:,} REGRESSED" in text


def test_a_summary_with_a_hundred_thousand_notes_stays_below_a_mebibyte():
    suite = {**EMPTY, "level": "suite", "verdict": "PASS", "suite": "s"}
    notes = tuple(f"[[margin]] model = {i} matches no series" for i in range(100_000))
    text = summary(Comparison("base", "new", Policy(), pd.DataFrame([suite]), {}, notes))
    assert len(text.encode()) < MEBIBYTE
    assert "PASS" in text.splitlines()[0]


# pytest

GATED = """
def test_quality(bench_gate):
    found = bench_gate("simulated", baseline="base.csv", run="new.csv")
    assert found.exit_code == 0
    assert found.verdict == "PASS"
"""


def test_the_fixture_in_a_project_of_a_users(pytester):
    """It comes with the installation; what fails is the test, and nothing of ours is shown."""
    pytester.makepyfile(GATED)
    plain().to_csv("base.csv", index=False)
    for table, outcome in ((plain(), "passed"), (worse(other(), 0.3, only(other())), "failed")):
        table.to_csv("new.csv", index=False)
        result = pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:cacheprovider")
        result.assert_outcomes(**{outcome: 1})
    text = result.stdout.str()
    assert re.search(r"REGRESSED.*simulated.*base\.csv.*exit code 3", text)
    assert "Traceback" not in text
    assert "pytest_plugin" not in text
    assert len(result.stdout.lines) < 40


@pytest.fixture
def failure(bench_gate):
    """With what text the fixture fails a test, for two tables; nothing where it passes."""

    def run(base, new, **view):
        base.to_csv("base.csv", index=False)
        new.to_csv("new.csv", index=False)
        return text_of(bench_gate, "simulated", baseline="base.csv", run="new.csv", **view)

    return run


def text_of(gate, *arguments, **view):
    try:
        gate(*arguments, **view)
    except pytest.fail.Exception as failed:
        if failed.pytrace:
            raise
        return failed.msg
    return ""


def test_the_fixture_tells_what_got_worse(failure):
    """The verdict, the series, both numbers, the margin and p."""
    text = failure(plain(), worse(other(), 0.3, only(other())))
    assert text.startswith("REGRESSED: simulated against base.csv (exit code 3)")
    assert re.search(r"REGRESSED.*model0.*score.*0?\.99\d* → 1\.3\d*", text)
    assert re.search(r"allowed 0?\.0\d+, p = 0?\.0\d+", text)
    assert "3 PASS" in text
    assert failure(plain(), plain()) == failure(plain(), worse(other(), -0.3)) == ""


def test_the_fixture_tells_which_cell_failed(failure):
    text = failure(plain(), lost(plain(), only(plain()), "crashed", "out of luck"))
    assert "FAILED mixture/d/model0 seed 3" in text
    assert "out of luck" in text


def test_the_fixture_is_brief_where_much_is_wrong(failure):
    text = failure(plain(6, 200), plain(6, 100))
    assert re.search(r"INCOMPARABLE model1\d\d", text)
    assert "not in the new run" in text
    assert re.search(r"\d+ more lines", text)
    assert len(text.splitlines()) < 80


def test_the_fixture_takes_what_the_command_takes(failure, tmp_path):
    """What the seeds can't judge fails, unless it may pass; a policy; an axis."""
    few = plain(2), plain(2, first_seed=50)
    assert failure(*few).startswith("INCONCLUSIVE")
    assert failure(*few, on_inconclusive="pass") == ""
    (tmp_path / "p.toml").write_text("[[margin]]\nabsolute = 9\n")
    for policy in ("p.toml", tmp_path / "p.toml"):
        assert failure(plain(), worse(other()), policy=policy) == ""
    one = plain()[only(plain())]
    assert failure(plain(), one).startswith("INCOMPARABLE")
    for chosen in ([("model", "model0")], {"model": "model0"}):
        assert failure(plain(), one, only=chosen) == ""


WRONG = {
    "policy": ("nope.toml", "bench: can't read the policy nope.toml"),
    "on_inconclusive": ("maybe", "bench: .*fail.*pass.*maybe"),
    "only": ([("modle", "x")], "bench: .*did you mean 'model'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_fixture_says_what_it_can_not_take(name, failure):
    """A line, in the place of a traceback."""
    value, said = WRONG[name]
    text = failure(plain(), plain(), **{name: value})
    assert re.match(said, text)
    assert len(text.splitlines()) == 1


def test_the_fixture_says_what_is_no_table(failure, bench_gate):
    """Another suite, a baseline that is not there or that was cut."""
    assert failure(plain(), plain(suite="x")).startswith("bench: nothing to compare")
    assert "bench: can't read nope.csv" in text_of(
        bench_gate, "simulated", baseline="nope.csv", run="new.csv"
    )
    with open("cut.csv", "w") as file:
        file.write("a,b\n")
    assert "bench: cut.csv has no column" in text_of(
        bench_gate, "simulated", baseline="cut.csv", run="new.csv"
    )


def test_the_fixture_runs_a_suite(bench_gate):
    """Without `run`: a baseline of three seeds, and the same code measures two of them again."""
    pairs = [("model", "oracle"), ("dataset", "ring8@pacgan")]
    api.execute("smoke", seeds=3, out="run", only=pairs, set={"samples": 100})
    assert bench("baseline", "set", "run", "--reason", "x", "--out", "b.csv") == 0
    view = {"baseline": "b.csv", "tier": "quick", "seeds": 2, "executor": "inline", "only": pairs}
    found = bench_gate("smoke", set={"samples": 100}, **view)
    assert found.verdict == "PASS"
    text = text_of(bench_gate, "smoke", set={"samples": 120}, **view)
    assert "other settings: samples=100, now samples=120" in text
    assert re.search("bench: .*did you mean 'smoke'", text_of(bench_gate, "smoek", **view))
    assert re.search("bench: .*tier", text_of(bench_gate, "smoke", **{**view, "tier": "quik"}))


# Planted regressions


@pytest.mark.slow
def test_planted_regressions_turn_the_gate_red(capfd):
    """And the check itself fails where the gate does not."""
    from bench.gate import selfcheck as gatecheck

    assert bench("check", "gate", "--seeds", "6", "--json") == 0
    found = {row["fault"]: row for row in json.loads(capfd.readouterr().out)}
    expected = {"collapsed": "3", "flipped": "3", "swapped": "3", "dropped": "5", "itself": "0"}
    assert {name: found[name]["exit_code"] for name in expected} == expected
    assert all(row["right"] for row in found.values())
    with pytest.MonkeyPatch.context() as patch:
        blind = gatecheck.compare
        patch.setattr(gatecheck, "compare", lambda base, new, policy: blind(base, base, policy))
        assert bench("check", "gate", "--seeds", "6", "--json") == 1
    rows = json.loads(capfd.readouterr().out)
    wrong = [row["fault"] for row in rows if not row["right"]]
    assert "collapsed" in wrong
    assert "itself" not in wrong


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_command_reads_a_hundred_thousand_rows_in_time(suffix, capfd):
    """Both files and all faces: 10,000 series of ten seeds, a thousand deciding."""
    import time

    rng = np.random.default_rng(0)
    names = []
    for first in (0, 100):
        table = plain(10, 10_000, first)
        table["value"] += 0.001 * rng.normal(size=len(table))
        table["primary"] = np.tile(np.arange(10_000) < 1_000, 10)
        names.append(f"{first}.{suffix}")
        if suffix == "csv":
            table.to_csv(names[-1], index=False)
        else:
            table.to_parquet(names[-1])
    start = time.process_time()
    assert bench("compare", *names, "--on-inconclusive", "pass", "--markdown", "m.md") == 0
    assert time.process_time() - start < 10
    assert "1,000 PASS" in capfd.readouterr().out
