"""Every listed fault turns a test red; without one the same tests are green."""

from dataclasses import replace

import pytest
from planted.engine import GREEN, RED, ROOT, Fault, faults, nursery, planted

FAULTS = faults()
SELECTIONS = sorted({fault.seen_by for fault in FAULTS})
LEAST = 91
"""Faults of the wiring that were found to go unseen, and as many again of the same kinds."""


@pytest.fixture(scope="module")
def place():
    with nursery() as found:
        yield found


def test_the_list_is_in_order():
    """Every fault fits the source as it is: a quick look, before anything is planted."""
    assert len(FAULTS) >= LEAST
    for fault in FAULTS:
        assert planted(fault, (ROOT / fault.file).read_text())


def test_a_fault_that_does_not_fit_is_refused():
    fault = Fault("none", "x.py", "a = 1", "a = 2", ())
    assert planted(fault, "a = 1\n") == "a = 2\n"
    for source in ("b = 1\n", "a = 1\na = 1\n"):
        with pytest.raises(ValueError, match=r"fault 'none': expected its old text once in x\.py"):
            planted(fault, source)
    with pytest.raises(ValueError, match="expected its old text once"):
        planted(replace(fault, new=fault.old), "a = 1\n")


@pytest.mark.slow
@pytest.mark.parametrize("selection", SELECTIONS, ids=" ".join)
def test_without_a_fault_the_tests_are_green(place, selection):
    ran = place.run(selection)
    assert ran.code == GREEN, ran.output[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_turns_a_test_red(place, fault):
    with place.with_fault(fault):
        ran = place.run(fault.seen_by)
    assert ran.code == RED, f"exit code {ran.code}\n{ran.output[-3000:]}"
