"""The record of a cell: whoever makes one says what it has under its own name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch

from bench import api
from bench.run.runner import Context, stamp
from bench.suites.cell import Cell
from results.provenance import commit, versions
from results.rows import CELL_FIELDS, COLUMNS, LATER, Record, check_record, rows_of

KEY = "a" * 64
NAMES = ("suite", "tier", "task", "dataset", "model", "source_model", "attack", "seed", "status")


def test_a_record_passes_its_own_check():
    """With nothing but what every maker has; a file would hold it as it is."""
    kept = Record(
        suite="s",
        task="t",
        cell_id="t/m",
        key=KEY,
        settings={},
        device="cpu",
        threads=1,
        commit="",
        dirty=False,
        versions={},
    ).as_dict()
    assert check_record(kept, KEY) == kept
    assert [name for name in kept if name not in LATER] == list(CELL_FIELDS)
    assert set(kept) == {*CELL_FIELDS, *LATER}
    assert [row["status"] for row in rows_of({**kept, "status": "failed"})] == ["failed"]


def test_a_moment_is_kept_to_the_millisecond():
    then = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    facts = dict.fromkeys(("suite", "task", "cell_id", "key", "device", "commit"), "")
    shared = {**facts, "settings": {}, "threads": 1, "dirty": False, "versions": {}}
    kept = Record(**shared, seconds=1.234567, started_at=then).as_dict()
    assert (kept["started_at"], kept["seconds"]) == ("2026-01-02T03:04:05.678+00:00", 1.2346)
    now = datetime.fromisoformat(Record(**shared).as_dict()["started_at"])
    assert abs(datetime.now(UTC) - now) < timedelta(minutes=1)


def test_a_cell_of_a_run_has_each_name_in_its_place(tmp_path):
    """All of them differ, so that none can stand for another."""
    parts = {"dataset": "d", "model": "m", "source_model": "s", "attack": "a"}
    own = {"settings": {"x": 1}, "seed": 7, "cell_id": "id", "key": KEY, "code": "c"}
    cell = Cell(block="b", task="t", parts=parts, fingerprint="f", device="there", **own)
    context = Context(tmp_path, tmp_path, "suite", "tier", "cpu", {"p": "1"}, "commit", True)
    kept = stamp(cell, context, "failed", "why").as_dict()
    said = {**parts, **own, "task": "t", "dataset_fingerprint": "f", "device": "there"}
    said |= {"suite": "suite", "tier": "tier", "status": "failed", "reason": "why"}
    said |= {"versions": {"p": "1"}, "commit": "commit", "dirty": True, "threads": 1}
    assert {name: kept[name] for name in said} == said
    empty = kept.keys() - said.keys() - {"started_at"}
    assert {name: kept[name] for name in empty} == {
        "artifact_key": "",
        "seconds": 0.0,
        "cpu_seconds": 0.0,
        "peak_rss_mb": 0.0,
        "warnings": [],
        "values": [],
    }


@pytest.mark.parametrize("swapped", [False, True])
def test_a_score_says_what_was_held_against_what(tmp_path, monkeypatch, swapped):
    """The reference is its data set, what was scored its model."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("one.npy", "other.npy"):
        np.save(name, rng.normal(size=(30, 3)))
    given = ("other.npy", "one.npy") if swapped else ("one.npy", "other.npy")
    table = api.score(*given, metrics=["frechet"], workers=3)
    assert set(table.columns) == set(COLUMNS)
    (row,) = table[[*NAMES, "threads", "device", "commit", "versions"]].to_dict("records")
    said = ("score", "", "score", *given, "", "", 0, "ok")
    assert tuple(row[name] for name in NAMES) == said
    assert (row["threads"], row["device"], row["commit"]) == (3, "cpu", commit()[0])
    assert versions()["numpy"] in row["versions"]
    again = api.score(*reversed(given), metrics=["frechet"])
    assert again["dataset_fingerprint"].iloc[0] != table["dataset_fingerprint"].iloc[0]


class Softmax(torch.nn.Module):
    """Logits that are two pixels."""

    def forward(self, images):
        return images.flatten(1)[:, :2]


def test_an_attack_says_what_was_attacked(tmp_path):
    images, labels = np.random.default_rng(0).random((8, 1, 2, 2)), np.zeros(8, int)
    shared = {"images": 8, "audit": False, "threads": 1, "epsilons": "0.1"}
    table = api.attack(Softmax(), (images, labels), attack="fgsm", seed=5, **shared)
    assert set(table.columns) == set(COLUMNS)
    (said,) = set(table[list(NAMES)].itertuples(index=False, name=None))
    assert said == ("attack", "", "attack", "arrays", "Softmax", "", "fgsm", 5, "ok")
    assert set(table["threads"]) == {1}
    assert set(table["cell_id"]) == {"attack/arrays/Softmax/fgsm"}
