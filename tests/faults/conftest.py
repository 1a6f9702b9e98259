"""The run that is disturbed, and what it ends with where nothing disturbs it."""

import pytest
from faults.campaign import SUITE

from bench.run.run import execute


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    path = tmp_path_factory.mktemp("suite") / "faulty.toml"
    path.write_text(SUITE)
    return str(path)


@pytest.fixture(scope="module")
def expected(suite, tmp_path_factory):
    """The table of a run that nothing disturbs, in one process."""
    folder = tmp_path_factory.mktemp("expected")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.run.run.draw", lambda *run: [])
        patch.setenv("MINIMAX_CACHE", str(folder / "cache"))
        return execute(suite, out=str(folder / "run")).table
