"""Images without a judge are read by their pixels, whatever is installed."""

from __future__ import annotations

import pytest

from bench.extractors import EXTRACTORS


@pytest.fixture(autouse=True)
def _no_lite(monkeypatch):
    """What reads them elsewhere takes seconds each time."""
    monkeypatch.setattr(type(EXTRACTORS["lite0"].part), "missing", "not here")
