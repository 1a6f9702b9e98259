"""What is kept of the parts: as long as nothing that decides it changes, and no longer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import environ

import bench
from bench.core import kept

HOME = Path(bench.__file__).parent.parent


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_kept_is_recalled():
    assert kept.recall("x") is None
    kept.keep("x", {"a": [1, "ä"]}, [])
    assert kept.recall("x") == {"a": [1, "ä"]}
    assert kept.recall("y") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("register('more')"),
        lambda path: path.unlink(),
    ],
)
def test_a_changed_source_makes_it_stale(tmp_path, change):
    source = tmp_path / "theirs.py"
    source.write_text("register('one')")
    kept.keep("x", [1], [str(source)])
    assert kept.recall("x") == [1]
    change(source)
    assert kept.recall("x") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sources": {}}', '{"sources": 3, "value": 1}'])
def test_a_damaged_file_counts_as_none(text):
    kept.keep("x", [1], [])
    kept.path_of("x").write_text(text)
    assert kept.recall("x") is None


def test_a_cache_that_can_not_be_written_is_done_without(cache):
    cache.write_text("a file")
    kept.keep("x", [1], [])
    assert kept.recall("x") is None


def test_old_ones_go(cache):
    kept.keep("x", 0, [])
    for i in range(2 * kept.MOST):
        old = cache / "index" / f"x-{i:016}.json"
        old.write_text("{}")
        os.utime(old, (i, i))
    kept.keep("x", 1, [])
    assert len(list((cache / "index").iterdir())) == kept.MOST
    assert kept.recall("x") == 1


@pytest.mark.parametrize(
    "change", ["source", "distribution", "nothing", "moved folder", "a file beside"]
)
def test_the_state_changes_with_source_and_distributions(tmp_path, change):
    """In a copy of the source; where it lies and what else lies there is no matter."""
    copy = tmp_path / "copy"
    for name in kept.OURS:
        wanted = shutil.ignore_patterns("*.safetensors", "__pycache__", "*.csv")
        shutil.copytree(HOME / name, copy / name, ignore=wanted)
    before = state_of(copy)
    if change == "source":
        path = copy / "metrics" / "judges" / "frozen.py"
        path.write_text(path.read_text() + "\n")
    elif change == "distribution":
        (copy / "theirs-1.0.dist-info").mkdir()
    elif change == "moved folder":
        copy = copy.rename(tmp_path / "elsewhere")
    elif change == "a file beside":
        (copy / "bench" / "notes.txt").write_text("x")
    changed = state_of(copy) != before
    assert changed == (change in ("source", "distribution"))


def state_of(folder):
    code = "from bench.core.kept import state; print(state())"
    env = {**environ(), "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


THEIRS = """
from generative import LOSSES
from generative.losses.minimax import Minimax

LOSSES.register("{name}", summary="theirs")(Minimax())
"""


def test_a_listing_shows_parts_of_others_and_follows_their_source(tmp_path):
    """Found by their entry point; after a change of their module, without a new version."""
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[minimax.parts]\ntheirs = theirs\n")
    module = tmp_path / "theirs.py"
    env = {**environ(), "PYTHONPATH": f"{HOME}:{tmp_path}"}
    for name in ("one-of-theirs", "another-of-theirs"):
        module.write_text(THEIRS.format(name=name))
        for cold in (True, False):
            names, heavy = listing(env)
            assert name in names
            assert heavy == cold
    assert "one-of-theirs" not in names
    info.rename(tmp_path / "gone")
    assert "another-of-theirs" not in listing(env)[0]


def listing(env):
    """The losses that `bench list` shows, and whether it took torch to tell."""
    code = (
        "import sys\nfrom bench.cli import main\ntry:\n    main(['list', 'losses', '--json'])\n"
        "except SystemExit:\n    pass\nprint('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    text, _, heavy = done.stdout.strip().rpartition("\n")
    return [row["name"] for row in json.loads(text)], heavy == "True"
