"""Metrics of a classifier under attack by name: counts by hand, denominators."""

from dataclasses import replace

import numpy as np
import pytest

from bench.laws.modes import takes
from bench.laws.robustness import drawn
from metrics import METRICS, Score
from metrics.robustness import AfterAttack, Clean, mean, misled, outcomes, share
from metrics.rubbish import Rubbish
from metrics.transfer import Transferred

SHARES = {
    "clean_error",
    "adversarial_error",
    "robust_accuracy",
    "attack_success",
    "attack_success_within",
}


# Eight images. Before: 6 and 7 are wrong. After: 1 and 2 are misled, 3 was at a smaller radius, 6
# has been put right, 7 is still wrong.
LABELS = np.arange(8)


CLEAN = Clean(
    LABELS,
    np.array([0, 1, 2, 3, 4, 5, 0, 0]),
    np.array([0.9, 0.8, 0.7, 0.6, 0.9, 0.8, 0.5, 0.4]),
)


ATTACKED = AfterAttack(
    np.array([0, 5, 6, 3, 4, 5, 6, 1]),
    np.array([0.3, 0.5, 0.9, 0.3, 0.3, 0.3, 0.3, 0.7]),
    np.array([9.0, 0.2, 0.4, 9.0, 9.0, 9.0, 9.0, 9.0]),
    np.array([9.0, 0.01, 0.05, 9.0, 9.0, 9.0, 9.0, 9.0]),
    np.array([0, 1, 1, 1, 0, 0, 0, 0], dtype=bool),
    forwards=41.0,
    backwards=40.0,
)


# The same answers to images that were made on a classifier with these: it is misled by 1, 2, 3, 6.
TRANSFERRED = Transferred(
    ATTACKED.predictions,
    ATTACKED.confidences,
    np.array([0, 5, 7, 4, 4, 5, 0, 7]),
    np.array([0.1, 0.3] * 4),
)


RUBBISH = Rubbish(
    np.array(
        [[0.5, 0.5, 0.0], [0.51, 0.49, 0.0], [0.0, 0.1, 0.9], [0.4, 0.3, 0.3], [0.2, 0.2, 0.2]]
    )
)


BY_HAND = {
    "clean_error": (2 / 8, 8),
    "adversarial_error": (3 / 8, 8),
    "robust_accuracy": (3 / 8, 8),
    "attack_success": (2 / 6, 6),
    "attack_success_within": (3 / 6, 6),
    "confidence_on_errors": ((0.5 + 0.9 + 0.7) / 3, 3),
    "clean_confidence": (5.6 / 8, 8),
    "distortion": (0.03, 2),
    "distance": (0.3, 2),
    "attack_forwards": (41, 8),
    "attack_backwards": (40, 8),
    "transfer_error": (3 / 8, 8),
    "transfer_success": (2 / 3, 3),
    "class_agreement": (1 / 4, 4),
    "class_agreement_on_errors": (1 / 2, 2),
    "transfer_confidence": ((0.5 + 0.9 + 0.7) / 3, 3),
    "transfer_distortion": (0.2, 8),
    "rubbish_rate": (2 / 5, 5),
    "rubbish_confidence": ((0.51 + 0.9) / 2, 2),
}


def _given(entry, real=CLEAN, attacked=ATTACKED, transferred=TRANSFERRED, rubbish=RUBBISH):
    fakes = {"attack": attacked, "transfer": transferred, "rubbish": rubbish}
    takes = entry.facts.takes
    return None if takes == "rubbish" else real, fakes[takes]


@pytest.mark.parametrize("name", BY_HAND)
def test_counts_by_hand(name):
    """Each metric has a value that was counted on eight images, and its own denominator."""
    value, n = BY_HAND[name]
    score = METRICS[name].part(*_given(METRICS[name]))
    assert isinstance(score, Score)
    assert score.value == pytest.approx(value)
    assert score.n == n


def test_a_share_has_a_binomial_error_and_a_mean_that_of_its_spread():
    """None of the mean of a single value."""
    assert share(np.array([1, 0, 0, 0], dtype=bool)) == (0.25, np.sqrt(0.25 * 0.75 / 4), 4)
    assert mean(np.array([1.0, 3.0])) == (2.0, pytest.approx(1.0), 2)
    assert mean(np.array([7.0])) == (7.0, None, 1)
    assert share(np.array([], dtype=bool)) == (0.0, 0.0, 0)
    assert mean(np.array([])) == (0.0, None, 0)


def test_nobody_is_counted_where_nobody_can_be():
    """All wrong before: no attack has a success; none wrong after: no error has a confidence."""
    hopeless = replace(CLEAN, predictions=(LABELS + 1) % 8)
    for name in ("attack_success", "attack_success_within", "distance", "distortion"):
        assert METRICS[name].part(hopeless, ATTACKED)[::2] == (0, 0), name
    unharmed = replace(ATTACKED, predictions=LABELS)
    for name in ("confidence_on_errors", "distance", "distortion"):
        assert METRICS[name].part(CLEAN, unharmed)[::2] == (0, 0), name
    loyal = replace(TRANSFERRED, source=LABELS)
    for name in ("transfer_success", "class_agreement", "class_agreement_on_errors"):
        assert METRICS[name].part(CLEAN, loyal)[::2] == (0, 0), name
    modest = Rubbish(np.full((4, 2), 0.5))
    assert METRICS["rubbish_rate"].part(None, modest) == (0, 0, 4)
    assert METRICS["rubbish_confidence"].part(None, modest) == (0, None, 0)


def test_outcomes_by_hand():
    """Image by image; successes among those that were right."""
    wanted = {
        "clean_error": [0, 0, 0, 0, 0, 0, 1, 1],
        "adversarial_error": [0, 1, 1, 0, 0, 0, 0, 1],
        "robust_accuracy": [1, 0, 0, 0, 1, 1, 0, 0],
        "attack_success": [0, 1, 1, 0, 0, 0],
        "attack_success_within": [0, 1, 1, 1, 0, 0],
    }
    assert set(wanted) == SHARES
    for name, row in wanted.items():
        assert outcomes(name, CLEAN, ATTACKED).tolist() == row, name
    assert misled(CLEAN, ATTACKED).tolist() == [0, 1, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_images_that_were_wrong_before_are_counted_apart(seed):
    """They are errors, and never a success: what is left is right, or has been misled."""
    real, attacked, *_ = drawn(seed, accuracy=0.5)
    score = {e.name: e.part(real, attacked).value for e in METRICS.entries() if takes("attack")(e)}
    right = 1 - score["clean_error"]
    assert score["robust_accuracy"] == pytest.approx(right * (1 - score["attack_success_within"]))
    assert score["attack_success"] <= score["attack_success_within"]
    assert score["adversarial_error"] >= right * score["attack_success"] - 1e-12
    # What the attack does to them changes no success.
    other = np.where(real.right, attacked.predictions, real.labels)
    healed = replace(attacked, predictions=other)
    for name in ("attack_success", "attack_success_within", "distance", "distortion"):
        assert METRICS[name].part(real, healed).value == score[name], name
    error = METRICS["adversarial_error"].part(real, healed).value
    assert error == pytest.approx(right * score["attack_success"])


def test_a_transfer_to_itself_is_complete():
    """Shown to the classifier they were made on, all images that mislead it do so again."""
    real, attacked, *_ = drawn(1)
    own = Transferred(
        attacked.predictions, attacked.confidences, attacked.predictions, attacked.rms
    )
    for name in ("transfer_success", "class_agreement", "class_agreement_on_errors"):
        assert METRICS[name].part(real, own).value == 1, name
    for ours, theirs in {
        "transfer_error": "adversarial_error",
        "transfer_confidence": "confidence_on_errors",
    }.items():
        assert METRICS[ours].part(real, own) == METRICS[theirs].part(real, attacked)


@pytest.mark.parametrize("name", [name for name in BY_HAND if takes("attack")(METRICS[name])])
def test_shares_have_outcomes(name):
    """What is no share has none."""
    real, attacked, *_ = drawn(6)
    assert (outcomes(name, real, attacked) is not None) == (name in SHARES)
