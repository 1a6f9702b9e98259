"""Parts of a run, measured apart and put together: every cell once, as if never divided."""

from __future__ import annotations

import json
from shutil import copytree, rmtree

import pytest
from harness import assert_same, bench, cell_files, faulty_suite, table

from bench import api
from bench.core.errors import UsageError
from bench.run.shards import Shard, shard_of
from bench.tasks import TASKS
from results.store import RunDirectory

MODELS = ("number", "several", "numpy_numbers", "boolean")


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return faulty_suite(tmp_path_factory.mktemp("suite"), *MODELS, seeds=3)


@pytest.fixture(scope="module")
def whole(suite, tmp_path_factory):
    """The run that nobody divided."""
    out = tmp_path_factory.mktemp("whole") / "run"
    api.execute(suite, out=str(out))
    return out


def parts_of(suite, folder, of, order=None):
    """The folders of all parts, measured in some order."""
    for index in order or range(1, of + 1):
        api.execute(suite, out=str(folder / f"{index}"), shard=f"{index}/{of}")
    return [str(folder / f"{index}") for index in range(1, of + 1)]


@pytest.mark.parametrize("of", [1, 2, 7])
def test_parts_are_the_whole(suite, whole, tmp_path, of):
    """In any order of measuring and of merging: the same table to the bit, the same cells."""
    parts = parts_of(suite, tmp_path, of, range(of, 0, -1))
    counts = [len(cell_files(tmp_path / f"{index}")) for index in range(1, of + 1)]
    assert sum(counts) == len(cell_files(whole))
    made = api.merge(*parts[::-1], out=str(tmp_path / "merged"))
    assert_same(table(tmp_path / "merged"), table(whole))
    names = [path.name for path in cell_files(tmp_path / "merged")]
    assert names == [path.name for path in cell_files(whole)]
    kept = ("environment",)
    ours, theirs = ({k: v for k, v in m.items() if k not in kept} for m in (
        made.directory.manifest(), RunDirectory(whole).manifest()))  # fmt: skip
    assert ours == theirs


def test_a_part_goes_on_where_it_was_left(suite, whole, tmp_path):
    """What it lost is measured again, and nothing else."""
    parts = parts_of(suite, tmp_path, 2)
    lost = cell_files(tmp_path / "1")[0]
    lost.unlink()
    again = api.execute(suite, out=parts[0], shard="1/2")
    assert again.measured == 1
    api.merge(*parts, out=str(tmp_path / "merged"))
    assert_same(table(tmp_path / "merged"), table(whole))


def test_a_merged_run_is_a_run(suite, whole, tmp_path):
    """Without a part its cells are left, and said to be; the plain command measures them."""
    parts = parts_of(suite, tmp_path, 3)
    said = []
    made = api.merge(*parts[:2], out=str(tmp_path / "merged"), warn=said.append)
    left = len(cell_files(tmp_path / "3"))
    assert len(cell_files(whole)) - len(made.records) == left
    assert said == ["1 of 3 parts are missing (3/3): their cells are left"]
    assert api.execute(suite, out=str(tmp_path / "merged")).measured == left
    assert_same(table(tmp_path / "merged"), table(whole))
    api.merge(parts[2], out=str(tmp_path / "merged"))
    assert_same(table(tmp_path / "merged"), table(whole))


def test_every_part_plans_the_whole(suite, whole, tmp_path):
    """Its table says what is left to others; its folder stands beside the whole's."""
    (first, _) = parts_of(suite, tmp_path, 2)
    manifest = RunDirectory(tmp_path / "1").manifest()
    assert manifest["shard"] == "1/2"
    assert manifest["cells"] == RunDirectory(whole).manifest()["cells"]
    assert any("left" in statuses for statuses in api.show(first)["statuses"])
    assert Shard(3, 16).suffix == ".3-of-16"


@pytest.mark.parametrize(("name", "tier"), [("robustness", "trained"), ("fgsm", "standard")])
@pytest.mark.parametrize("of", [2, 5])
def test_what_shares_a_trained_model_is_in_one_part(name, tier, of):
    """Every cell is in one part, those of one artifact in the same; the parts are about as long."""
    cells = list(api.plan_of(name, tier=tier).unique().values())
    parts = [Shard(index, of).take(cells) for index in range(1, of + 1)]
    keys = [[cell.key for cell in part] for part in parts]
    assert sorted(key for part in keys for key in part) == sorted(cell.key for cell in cells)
    owners = [{TASKS[c.task].part.artifact(c) for c in part} - {None} for part in parts]
    for at, one in enumerate(owners):
        assert not any(one & other for other in owners[at + 1 :])
    loads = [sum(cell.seconds for cell in part) for part in parts]
    groups = {}
    for cell in cells:
        owner = TASKS[cell.task].part.artifact(cell) or cell.key
        groups[owner] = groups.get(owner, 0) + cell.seconds
    assert max(loads) <= sum(loads) / of + max(groups.values())
    assert [cell.key for cell in parts[0]] == [c.key for c in cells if c.key in set(keys[0])]


@pytest.mark.parametrize(
    "text", ["5/4", "0/3", "1/0", "1", "a/b", "1/2/3", "-1/2", "", "1/9999999"]
)
def test_what_is_no_part_is_told(text, suite, tmp_path):
    with pytest.raises(UsageError, match="`shard`: expected I/N with I from 1 to N, such as 3/16"):
        shard_of(text)
    if text:
        assert bench("run", "--suite", suite, "--shard", text, "--out", str(tmp_path / "x")) == 2
    assert not (tmp_path / "x").exists()


def test_a_folder_is_one_parts(suite, tmp_path):
    """Of another part, and of the whole, it is refused before anything is written."""
    parts_of(suite, tmp_path, 2)
    before = (tmp_path / "1" / "manifest.json").read_bytes()
    for other, told in (("2/2", "not part 2/2"), (None, "not the whole")):
        with pytest.raises(UsageError, match=f"holds part 1/2 of a run, {told}: choose another"):
            api.execute(suite, out=str(tmp_path / "1"), shard=other)
    assert (tmp_path / "1" / "manifest.json").read_bytes() == before


def changed(folder, **manifest):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **manifest}))


def test_parts_of_something_else_are_refused(suite, tmp_path):
    """Of another suite, tier, commit or plan; nothing is written."""
    one, two = parts_of(suite, tmp_path, 2)
    usual = json.loads((tmp_path / "2" / "manifest.json").read_text())
    cells = [{**cell, "settings": {"other": 1}} for cell in usual["cells"]]
    for told, change in (
        ("its suite is another, expected faulty", {"suite": "another"}),
        ("its tier is long, expected quick", {"tier": "long"}),
        ("its commit is abc, expected", {"environment": {**usual["environment"], "commit": "abc"}}),
        ("their plans differ", {"cells": cells}),
        ("their plans differ", {"device": "cuda"}),
    ):
        changed(tmp_path / "2", **{**usual, **change})
        with pytest.raises(UsageError, match=told):
            api.merge(one, two, out=str(tmp_path / "merged"))
    assert not (tmp_path / "merged").exists()


def test_a_cell_of_two_values_is_refused(suite, tmp_path):
    """With its name, and nothing is written; the same values twice are one cell."""
    (one,) = parts_of(suite, tmp_path, 1)
    copytree(one, tmp_path / "copy")
    other = RunDirectory(tmp_path / "copy")
    (key, record), *_ = other.read_cells(c["key"] for c in other.manifest()["cells"])[0].items()
    other.write_cell({**record, "seconds": 99.0, "started_at": "2020-01-01T00:00:00+00:00"}, {})
    api.merge(one, str(tmp_path / "copy"), out=str(tmp_path / "same"))
    values = [{**value, "value": value["value"] + 1} for value in record["values"]]
    other.write_cell({**record, "values": values}, {})
    with pytest.raises(
        UsageError, match=rf"1 cells were measured twice, .*{record['cell_id']} seed"
    ):
        api.merge(one, str(tmp_path / "copy"), out=str(tmp_path / "merged"))
    assert not (tmp_path / "merged").exists()
    assert key in RunDirectory(tmp_path / "same").read_cells([key])[0]


def test_what_failed_in_one_part_gives_way(suite, tmp_path):
    """To the same cell that another has finished, in either order."""
    (one,) = parts_of(suite, tmp_path, 1)
    copytree(one, tmp_path / "copy")
    other = RunDirectory(tmp_path / "copy")
    (key, record), *_ = other.read_cells(c["key"] for c in other.manifest()["cells"])[0].items()
    other.write_cell({**record, "status": "failed", "reason": "x", "values": []}, {})
    for name, order in (("a", (one, str(tmp_path / "copy"))), ("b", (str(tmp_path / "copy"), one))):
        made = api.merge(*order, out=str(tmp_path / name))
        assert made.records[key]["status"] == "ok"


def test_wrong_use_is_told(suite, whole, tmp_path, capfd):
    (one,) = parts_of(suite, tmp_path, 1)
    assert bench("merge", str(tmp_path / "none"), "-o", str(tmp_path / "m")) == 2
    assert bench("merge", one, "-o", one) == 2
    assert "is one of the parts" in capfd.readouterr()[1]
    other = faulty_suite(tmp_path, "number")
    api.execute(other, out=str(tmp_path / "other"))
    assert bench("merge", one, "-o", str(tmp_path / "other")) == 2
    assert "holds another run" in capfd.readouterr()[1]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert bench("merge", one, "-o", str(tmp_path / "full")) == 2
    assert bench("merge", one, "-o", str(tmp_path / "m")) == 0
    assert "12 of 12 cells: bench show" in capfd.readouterr()[0]
    rmtree(tmp_path / "m")
