"""One thread, a cache of its own, and nothing of the user's: what every test can rely on."""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("bench", deadline=None)
settings.load_profile("bench")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


LONG = frozenset((Path(__file__).parent / "long.txt").read_text().splitlines())
"""Tests, or functions of tests with all their cases, that take seconds each and have quicker ones
of their kind beside them: they are slow ones, as if they were marked.
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what `long.txt` names."""
    for item in items:
        if {item.nodeid, item.nodeid.partition("[")[0]} & LONG:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def _caches(tmp_path_factory):
    """Folders not made yet: pytest would list all that are there to number another."""
    return map(tmp_path_factory.mktemp("caches").joinpath, map(str, itertools.count()))


@pytest.fixture(autouse=True)
def _own_cache(_caches, monkeypatch):
    """Trained models of a test stay with it."""
    import torch

    torch.set_num_threads(1)
    monkeypatch.setenv("MINIMAX_CACHE", str(next(_caches)))


@pytest.fixture
def undrawn(monkeypatch):
    """No pictures are drawn, which take half of the seconds of a small run."""
    monkeypatch.setattr("bench.run.run.draw", lambda *run: [])


@pytest.fixture
def quick_audit(monkeypatch):
    """The audit of `bench attack` takes few steps: for tests of what is said of it, and to whom."""
    from dataclasses import replace

    from attacks.apgd import Apgd
    from attacks.audit import usual
    from attacks.fab import Fab
    from attacks.square import Square
    from attacks.substitute import Substitute

    climbs, queries = Apgd(steps=20, classes=1), Square(queries=40)
    quick = replace(
        usual(),
        iterative=climbs,
        black_box=queries,
        search=Fab(steps=5, classes=1),
        transfer=Substitute(steps=20, copies=2, rounds=1),
    )
    monkeypatch.setattr("bench.attack.evaluate.usual", lambda: quick)


@pytest.fixture
def killed_writes(monkeypatch):
    """A context in which whoever writes a file is killed before it has its name."""

    class Killed(BaseException):
        pass

    def kill(*names: object) -> None:
        raise Killed

    @contextmanager
    def killed():
        with monkeypatch.context() as patch, suppress(Killed):
            patch.setattr("bench.core.files.os.replace", kill)
            yield
            pytest.fail("nothing was written")

    return killed
