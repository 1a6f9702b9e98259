"""The ledger: a committed record of verdicts, its page, and the command that writes them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from harness import bench, record, value

from bench import api
from bench.core.errors import UsageError
from results import claims
from results.judging import FOUND, JUDGED, VERDICTS
from results.ledger import page
from results.ledger import record as kept
from results.ledger.listing import by_runs, ledger, listed
from results.ledger.update import update
from results.store import RunDirectory, frame

HOME = Path(__file__).resolve().parents[2]
SHIPPED = kept.read(kept.SHIPPED)
KNOWN = {(claim.file, claim.id): claim for claim in claims.every()}


def test_the_page_is_what_the_tool_makes():
    """docs/ledger.md from results/ledger.csv, letter by letter: `bench claims --write`."""
    made = page.page(listed(SHIPPED, claims.every()))
    assert (HOME / page.HERE).read_text(encoding="utf-8") == made


def test_the_file_is_what_the_tool_writes():
    """In the order of the claims, and of claims that there are."""
    assert kept.SHIPPED.read_text(encoding="utf-8") == kept.text(SHIPPED)
    assert set(SHIPPED) <= set(KNOWN)


@pytest.mark.parametrize("key", SHIPPED, ids=" ".join)
def test_an_entry_is_true_to_its_interval(key):
    """Its verdict follows from it, says which run, and what would overturn one against a claim."""
    entry, claim = SHIPPED[key], KNOWN[key]
    assert not claim.not_comparable
    low, high = entry["low"], entry["high"]
    if low is None or high is None:
        assert entry["verdict"] == "not resolvable"
    else:
        holds, against = low > 0, high < 0
        assert (entry["verdict"] in ("reproduced", "direction")) == holds
        assert (entry["verdict"] == "contradicted") == against
        slack = 1e-5 * (abs(entry["larger"]) + abs(entry["smaller"]))
        assert low - slack <= entry["larger"] - entry["smaller"] <= high + slack
    assert entry["verdict"] != "contradicted" or claim.overturned_by
    assert entry["suite"] == claim.suite
    assert entry["tier"]
    assert entry["seeds"]
    assert entry["commit"]
    assert len(entry["date"]) == len("2026-01-01")
    assert "/" not in entry["baseline"]
    assert all(json.loads(entry[name] or "{}") is not None for name in page.KINDS)


def test_all_that_were_told():
    """Every claim is in the list, under one of the six verdicts; few are left unjudged for good."""
    table = ledger()
    assert list(zip(table.file, table.id, strict=True)) == list(KNOWN)
    assert set(table.verdict) <= set(VERDICTS)
    assert set(JUDGED[1:]) <= set(table.verdict)
    judged = table[table.verdict.isin(JUDGED)]
    assert len(judged) == len(SHIPPED) >= 60
    assert (table[table.verdict == "not measured"].measure != "").all()
    assert (table[table.verdict == "not comparable"].note != "").all()


def _cell(model, seed, number, dataset="ring8@pacgan", metric="modes_raw", steps=10):
    return record(
        key=f"{abs(hash((model, seed, dataset, metric))):064x}"[:64],
        suite="mode-collapse", tier="quick", task="mixture", dataset=dataset, model=model,
        seed=seed, settings={"steps": steps}, commit="d" * 40, started_at="2026-01-02T00:00:00",
        values=[value(metric=metric, value=float(number))],
    )  # fmt: skip


def _cells(packed=(8, 8, 8), plain=(1, 2, 1), **more):
    made = [_cell("pacgan2", seed, number, **more) for seed, number in enumerate(packed)]
    return made + [_cell("nsgan", seed, number, **more) for seed, number in enumerate(plain)]


def _run(path, cells):
    """A run whose blocks name no claims."""
    run = RunDirectory(path)
    parts = [{"key": cell["key"], "parts": {}, "seed": cell["seed"]} for cell in cells]
    about = {"suite": "mode-collapse", "tier": "quick", "blocks": [], "metrics": {}}
    path.mkdir()
    run.write_manifest({**about, "cells": parts})
    for cell in cells:
        run.write_cell(cell, {})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project with a run and its table, and no ledger yet."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "docs").mkdir()
    _run(tmp_path / "run", _cells())
    frame(_cells()).to_csv(tmp_path / "table.csv", index=False)
    return tmp_path


@pytest.mark.parametrize("name", ["run", "table.csv"])
@pytest.mark.usefixtures("folder")
def test_any_run_that_has_the_rows(name):
    """Not only one whose blocks name the claims: a folder, a table."""
    table = ledger([name]).set_index(["file", "id"])
    found = table.loc[("pacgan", "ring modes 2")]
    assert (found.verdict, found.larger, found.seeds) == ("direction", 8, "0,1,2")
    assert found.published == "7.9 > 6.3"
    assert table.loc[("veegan", "ring collapse")].verdict == "direction"
    assert set(table.verdict) == {"direction", "not measured", "not comparable"}


def test_a_table_that_was_edited(folder):
    """One line that says what was expected."""
    text = (folder / "table.csv").read_text()
    (folder / "bad.csv").write_text(text.replace('"{""steps"": 10}"', "steps"))
    with pytest.raises(UsageError, match=r"bad.csv can't be judged .*expected settings"):
        ledger(["bad.csv"])


def test_a_run_that_is_going_on(folder):
    """Cells without a file are not there yet."""
    cells = _cells()
    (folder / "run" / "cells" / cells[0]["key"][:2] / f"{cells[0]['key']}.json").unlink()
    found = ledger(["run"]).set_index("id").loc["ring modes 2"]
    assert found.seeds == "1,2"


def test_a_committed_baseline_by_its_name():
    """It is named by the entries that rest on it."""
    found = by_runs(["translation-standard"])
    assert {entry["baseline"] for entry in found.values()} == {"translation-standard"}
    assert len(found) >= 10


def test_of_several_runs_the_one_with_most_seeds(folder):
    """Numbers of two runs are never mixed."""
    _run(folder / "few", _cells((3,), (3,), steps=99))
    _run(folder / "half", _cells((3, 3, 3, 3), ()))
    for order in (["run", "few", "half"], ["half", "few", "run"]):
        found = ledger(order).set_index("id").loc["ring modes 2"]
        assert (found.seeds, found.larger) == ("0,1,2", 8)


def test_writing(folder):
    """The record and the page of this folder; what rests on more stays, unless it is replaced."""
    _begin(folder)
    said = " ".join(update(["run"]))
    assert "2 verdicts written, 2 in all" in said
    entries = kept.read()
    assert entries["pacgan", "ring modes 2"]["verdict"] == "direction"
    text = (folder / "docs" / "ledger.md").read_text()
    assert text == page.page(listed(entries, claims.every()))
    assert "| ring modes 2: packing 2 covers more modes" in text
    _run(folder / "few", _cells((1, 1), (8, 9)))
    assert "stay as they are" in " ".join(update(["few"]))
    assert kept.read() == entries
    said = " ".join(update(["few"], replace=True))
    assert kept.read()["pacgan", "ring modes 2"]["verdict"] == "contradicted"
    _run(folder / "longer", _cells((8, 8), (1, 2), steps=20))
    list(update(["longer"]))
    assert kept.read()["pacgan", "ring modes 2"]["verdict"] == "direction"


def _begin(folder):
    (folder / "results" / "ledger.csv").write_text(kept.text({}))


def test_a_verdict_against_a_claim_needs_advice(folder, monkeypatch):
    """What would overturn it has to be said first; nothing is written."""
    _begin(folder)
    own = folder / "claims"
    own.mkdir()
    rows = [*csv.DictReader(io.StringIO((claims.FOLDER / "veegan.csv").read_text()))]
    with open(own / "veegan.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "overturned_by": ""} for row in rows)
    monkeypatch.setattr(claims, "FOLDER", own)
    list(update(["run"]))
    _run(folder / "spread", _cells(plain=(8, 8, 7)))
    before = (folder / "results" / "ledger.csv").read_bytes()
    with pytest.raises(UsageError, match="claim ring collapse of veegan is contradicted: say in"):
        list(update(["spread"]))
    assert (folder / "results" / "ledger.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("month,amount\n1,2\n", "is no ledger: expected the columns file, id"),
        (kept.text({}) + "pacgan,ring modes 2,fine" + "," * (len(FOUND) - 1), "verdict 'fine'"),
        (kept.text({}) + "pacgan,ring modes 2,direction,8", "was the file cut or edited"),
        (kept.text({}) + "pacgan,x,direction,much" + "," * (len(FOUND) - 2), "could not convert"),
        ("\udcff", "can't be read"),
    ],
)
def test_what_is_no_ledger(folder, text, message):
    """Refused in one line, and never written over."""
    path = folder / "results" / "ledger.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=message):
        ledger()
    with pytest.raises(UsageError, match=message):
        list(update(["run"]))
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--file", "pacgam"), "'pacgam': did you mean 'pacgan'"),
        (("--verdict", "contradictd"), "did you mean 'contradicted'"),
        (("nowhere",), "no run 'nowhere'"),
        (("no.csv",), "can't read no.csv"),
        (("run", "--write", "--file", "pacgan"), "leave --file and --verdict out"),
        (("run", "--replace"), "give both"),
    ],
)
def test_what_can_not_be_asked(folder, capfd, arguments, message):
    """Exit code 2, in one line, with the options as they are typed."""
    assert bench("claims", *arguments) == 2
    said = capfd.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (folder / "results" / "ledger.csv").exists()


def test_the_command(folder, capfd):
    """Lists, narrows, in four forms; of a run what it has, with a note of the rest."""
    assert bench("claims", "--file", "dragan", "--format", "json") == 0
    rows = json.loads(capfd.readouterr().out)
    assert {row["file"] for row in rows} == {"dragan"}
    assert {"verdict", "low", "high", "settings", "commit", "overturned_by", "measure"} <= set(
        rows[0]
    )
    assert rows[0]["larger_settings"]["penalty_weight"] == 10
    assert bench("claims", "run", "--format", "csv") == 0
    out, err = capfd.readouterr()
    assert next(csv.DictReader(io.StringIO(out)))["id"] == "ring modes 2"
    assert "claims are about rows that are not there" in err
    assert bench("claims", "--verdict", "not comparable", "--format", "markdown") == 0
    out = capfd.readouterr().out
    assert "not comparable |" in out
    assert "| direction |" not in out
    assert bench("claims", "run") == 0
    assert "8 against 1.333" in capfd.readouterr().out
    _begin(folder)
    assert bench("claims", "run", "--write") == 0
    assert "2 verdicts written" in capfd.readouterr().err
    assert bench("claims", "--verdict", "direction") == 0
    assert "2 claims: 2 direction" in capfd.readouterr().out


def test_from_python(folder):
    """The same by the API, which refuses a text for a list."""
    assert len(api.ledger(["run"], file="pacgan")) == len(claims.load("pacgan"))
    with pytest.raises(UsageError, match="runs"):
        api.ledger("run")
