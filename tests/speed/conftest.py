"""What a speed test measured, beside its bar, at the end of the report."""

import operator
import time

import pytest

MEASURED = pytest.StashKey[list]()
HOLDS = {"at most": operator.le, "at least": operator.ge}


@pytest.fixture
def hold(request):
    """Record a ratio and assert its bar: `hold("what", 0.31, "at most", 0.35)`."""

    def check(what, value, word, bar):
        request.config.stash.setdefault(MEASURED, []).append((what, value, word, bar))
        assert HOLDS[word](value, bar), f"{what}: {value:.3f}, expected {word} {bar:g}"

    return check


def pytest_terminal_summary(terminalreporter, config):
    """The ratios of this run."""
    rows = config.stash.get(MEASURED, [])
    if rows:
        terminalreporter.section("ratios")
    for what, value, word, bar in rows:
        terminalreporter.write_line(f"{value:8.3f}  {word} {bar:<6g} {what}")


def seconds(action):
    """Processor time of one call, in seconds."""
    start = time.process_time()
    action()
    return time.process_time() - start
