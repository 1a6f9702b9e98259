"""What is made of certificates, by hand; and what may not be: an image certified and misled."""

import numpy as np
import pytest

from metrics import METRICS
from metrics.certified import Certified, contradictions
from metrics.robustness import Clean

LABELS = np.array([0, 1, 2, 3])
CLEAN = Clean(LABELS, np.array([0, 1, 0, 0]), np.ones(4))
CERTIFIED = Certified(
    np.array([True, False, False, False]),
    np.array([0, 1, 0, -1]),
    np.array([0.4, 0.2, 0.8, 0.0]),
)


@pytest.mark.parametrize(
    ("name", "value"),
    [("certified_accuracy", 0.25), ("certified_radius", 0.15), ("abstention", 0.25)],
)
def test_by_hand(name, value):
    """A radius counts where the class is the label's."""
    found = METRICS[name].part(CLEAN, CERTIFIED)
    assert found.value == pytest.approx(value)
    assert found.n == 4


def test_a_certificate_without_radii_has_none():
    without = Certified(CERTIFIED.certified, CERTIFIED.predictions)
    assert METRICS["certified_radius"].part(CLEAN, without).value == 0


def test_contradictions():
    """The places of those that are both, and of no others."""
    certified = np.array([True, True, False, False, True])
    misled = np.array([False, True, True, False, True])
    assert contradictions(certified, misled) == [1, 4]
    assert contradictions(certified, ~certified) == []
    assert contradictions(misled[:0], misled[:0]) == []
    with pytest.raises(ValueError, match=r"same examples, got \(5,\) and \(4,\)"):
        contradictions(certified, misled[:4])
