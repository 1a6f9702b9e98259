"""Notes of cells that are being measured: read as written, gone afterwards, never in the way."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from unrun import kept, measured, run_of

from bench.core.underway import tell, telling
from bench.run.underway import KEPT, noted
from results.notes import FOLDER, Note, forget_all, is_alive, note, notes
from results.pages.going import underway
from results.pages.live import Live
from results.pages.sheets import Room

KEY, OTHER = "a" * 64, "b" * 64


def test_a_note_is_read_as_it_was_written(tmp_path):
    """Without arrays those of an earlier one stay."""
    drawn = np.arange(6.0).reshape(3, 2)
    note(tmp_path, Note(KEY, 7, 12.5, 3, 9, {"samples": drawn}))
    note(tmp_path, Note(KEY, 7, 12.5, 4, 9))
    note(tmp_path, Note(OTHER, 8, 13.0))
    first, second = notes(tmp_path)
    assert (first.key, first.pid, first.started, first.step, first.steps) == (KEY, 7, 12.5, 4, 9)
    assert np.array_equal(first.arrays["samples"], drawn)
    assert (second.key, second.steps, second.arrays) == (OTHER, 0, {})
    forget_all(tmp_path)
    assert list(notes(tmp_path)) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff"])
def test_a_damaged_note_is_none(tmp_path, content):
    note(tmp_path, Note(OTHER, 8, 13.0))
    (tmp_path / FOLDER / f"{KEY}.json").write_bytes(content)
    assert [each.key for each in notes(tmp_path)] == [OTHER]


def test_a_damaged_picture_leaves_its_note_out(tmp_path):
    note(tmp_path, Note(KEY, 8, 13.0, 1, 2, {"samples": np.ones(3)}))
    (tmp_path / FOLDER / f"{KEY}.npz").write_bytes(b"PK\x03\x04 no")
    assert list(notes(tmp_path)) == []


def test_a_cell_is_noted_while_it_is_measured(tmp_path):
    """Its steps and its first samples as they are told; gone at the end, and after a fault."""
    with noted(KEY, tmp_path):
        (begun,) = notes(tmp_path)
        assert (begun.pid, begun.step, begun.steps) == (os.getpid(), 0, 0)
        tell(5, 20, torch.arange(2.0 * KEPT + 10).reshape(-1, 2))
        (now,) = notes(tmp_path)
        assert (now.step, now.steps, now.started) == (5, 20, begun.started)
        wanted = np.arange(2.0 * KEPT).reshape(-1, 2)
        assert np.array_equal(now.arrays["samples"], wanted)
        tell(6, 20)
        assert next(notes(tmp_path)).step == 5, "a second has not gone by"
    assert not list((tmp_path / FOLDER).iterdir())
    with pytest.raises(RuntimeError, match="broken"), noted(KEY, tmp_path):
        raise RuntimeError("broken")
    assert not list((tmp_path / FOLDER).iterdir())


def test_where_nothing_can_be_written_nothing_is_noted(tmp_path):
    """And the work goes on."""
    (tmp_path / FOLDER).write_text("a file in the way")
    with noted(KEY, tmp_path):
        tell(1, 2, torch.zeros(3, 2))
    assert list(notes(tmp_path)) == []


def test_nobody_has_to_listen():
    said = []
    tell(1, 2)
    with telling(lambda *told: said.append(told)):
        tell(3, 4)
        with telling(lambda *told: None):
            tell(5, 6)
    tell(7, 8)
    assert said == [(3, 4, None)]


def test_a_process_is_there_or_gone():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert is_alive(os.getpid())
    assert is_alive(1)
    assert not is_alive(process.pid)
    assert is_alive(2**70)


def run_with_notes(folder):
    """Two of its cells are not finished: one is being measured, the process of another is gone."""
    run = run_of(folder, {"gan": (0.4, 0.5), "vae": (0.4, 0.5)})
    facts = {"centres": [[0.0, 0.0]], "widths": [0.5]}
    run.manifest["parts"]["dataset"]["ring"] |= facts
    cells = run.manifest["cells"]
    for cell in (cells[1], cells[3]):
        del run.records[cell["key"]]
    points = np.zeros((3, 2))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    note(folder, Note(cells[1]["key"], os.getpid(), 5.0, 10, 40, {"samples": points}))
    note(folder, Note(cells[3]["key"], gone.pid, 6.0))
    note(folder, Note(cells[0]["key"], os.getpid(), 5.0))
    note(folder, Note(KEY, os.getpid(), 5.0))
    return run


def test_a_live_page_shows_what_is_being_measured(tmp_path):
    """No finished cell, none of another plan; of a process that is gone it says so."""
    first, second = underway(run_with_notes(tmp_path), Room(10**6))
    assert first["name"] == "b · ring · gan, seed 1"
    assert (first["step"], first["steps"], first["gone"]) == (10, 40, False)
    assert first["points"] == [500] * 6
    assert (second["name"], second["gone"]) == ("b · ring · vae, seed 1", True)
    assert "points" not in second


def written(run):
    """A run with its files."""
    run.directory.path.mkdir(parents=True, exist_ok=True)
    run.directory.write_manifest(run.manifest)
    for cell in run.manifest["cells"]:
        if cell["key"] in run.records:
            kept(run, cell)
    return run


@pytest.fixture
def live(tmp_path, monkeypatch):
    monkeypatch.setattr("results.pages.page._library", lambda: ("", "'sha256-x'"))
    monkeypatch.setattr("results.pages.live.REST", 0.0)
    run = run_with_notes(tmp_path)
    return Live(written(run).directory), run


def test_a_page_comes_anew_where_something_is_new(live):
    """A cell that is finished, a note, a picture; else it is the same one."""
    page, run = live
    first, stamp = page.page(), page.state()
    assert (page.page(), page.state()) == (first, stamp)
    assert f'"live":"{stamp}"' in first
    cell = run.manifest["cells"][1]
    record = {**next(iter(run.records.values())), "key": cell["key"], "seed": 1}
    record["values"] = [measured("high_quality", 0.9), measured("loss", 0.5)]
    run.directory.write_cell(record, {})
    assert page.state() != stamp
    assert '["90.0","0.500"]' in page.page()
    assert '["90.0","0.500"]' not in first
    stamp = page.state()
    note(run.directory.path, Note(run.manifest["cells"][3]["key"], os.getpid(), 6.0, 1, 2))
    assert page.state() != stamp
    (run.directory.path / "pictures").mkdir()
    assert page.state() != stamp


def test_a_finished_cell_is_read_once(live, monkeypatch):
    page, run = live
    page.page()
    asked = []
    read = type(run.directory).read_cells

    def reading(self, keys):
        asked.append(list(keys))
        return read(self, asked[-1])

    monkeypatch.setattr(type(run.directory), "read_cells", reading)
    note(run.directory.path, Note(run.manifest["cells"][3]["key"], os.getpid(), 6.0, 1, 2))
    page.page()
    assert asked == [[run.manifest["cells"][at]["key"] for at in (1, 3)]]


def test_a_page_rests_after_its_work(live, monkeypatch):
    """Asked again at once it is the last one, whatever is new; and says that it is."""
    page, run = live
    monkeypatch.setattr("results.pages.live.REST", 1e6)
    first, stamp = page.page(), page.state()
    note(run.directory.path, Note(run.manifest["cells"][3]["key"], os.getpid(), 6.0, 1, 2))
    assert (page.page(), page.state()) == (first, stamp)
