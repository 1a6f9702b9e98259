"""One thread, a cache of its own, and nothing of the user's: what every test can rely on."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Trained models of a test stay with it."""
    import torch

    torch.set_num_threads(1)
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path_factory.mktemp("cache")))
