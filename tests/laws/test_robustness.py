"""What holds for every metric of a classifier under attack: counts by hand, ranges, denominators.

A metric whose `known_issue` names one of these laws is a strict xfail of it. Metrics enrol by what
they take: an attack, a transfer, or inputs that show nothing.
"""

from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest

from metrics import METRICS, Score
from metrics.robustness import Attacked, Clean, mean, misled, outcomes, share
from metrics.rubbish import Rubbish
from metrics.transfer import Transferred

KINDS = ("attack", "transfer", "rubbish")
SHARES = {
    "clean_error",
    "adversarial_error",
    "robust_accuracy",
    "attack_success",
    "attack_success_within",
}


def _enrolled(*takes):
    return [entry for entry in METRICS.entries() if entry.facts.takes in takes]


def pytest_generate_tests(metafunc):
    """Enrol every registered metric of these kinds."""
    for fixture, takes in {"metric": KINDS, "of_attacks": KINDS[:1]}.items():
        if fixture in metafunc.fixturenames:
            law = metafunc.function.__name__
            metafunc.parametrize(fixture, [_param(entry, law) for entry in _enrolled(*takes)])


def _param(entry, law):
    issue = entry.facts.known_issue
    marks = [pytest.mark.xfail(reason=issue, strict=True)] if law in issue else []
    return pytest.param(entry, id=entry.name, marks=marks)


# Eight images. Before: 6 and 7 are wrong. After: 1 and 2 are misled, 3 was at a smaller radius, 6
# has been put right, 7 is still wrong.
LABELS = np.arange(8)
CLEAN = Clean(
    LABELS,
    np.array([0, 1, 2, 3, 4, 5, 0, 0]),
    np.array([0.9, 0.8, 0.7, 0.6, 0.9, 0.8, 0.5, 0.4]),
)
ATTACKED = Attacked(
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


def _drawn(seed, n=40, accuracy=0.8, success=0.5):
    """Images with chances of being right before, and misled after."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    wrong = (labels + rng.integers(1, 10, n)) % 10

    def answers(chance):
        return np.where(rng.random(n) < chance, labels, wrong)

    real = Clean(labels, answers(accuracy), rng.random(n))
    predictions, confidences = answers(1 - success), rng.random(n)
    within = (predictions != labels) & real.right | (rng.random(n) < 0.1) & real.right
    attacked = Attacked(predictions, confidences, rng.random(n), rng.random(n), within, 2.0, 1.0)
    transferred = Transferred(predictions, confidences, answers(1 - success), rng.random(n))
    return real, attacked, transferred, Rubbish(rng.dirichlet(np.full(10, 0.2), n))


def _score(entry, *drawn):
    return entry.part(*_given(entry, *drawn))


def test_counts_by_hand(metric):
    """Each metric has a value that was counted on eight images, and its own denominator."""
    value, n = BY_HAND[metric.name]
    score = _score(metric)
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


def test_a_score_is_in_its_range(metric):
    """A finite number, its error and no more images than there are; 0 of 0 is 0."""
    chances, facts = [(0, 0), (0, 1), (1, 0), (1, 1), (0.7, 0.4)], metric.facts
    for n, (accuracy, success) in product((1, 2, 40), chances):
        score = _score(metric, *_drawn(3, n, accuracy, success))
        assert np.isfinite(score.value)
        assert facts.low is None or score.value >= facts.low
        assert facts.high is None or score.value <= facts.high
        assert score.std_error is None or 0 <= score.std_error < np.inf
        assert 0 <= score.n <= n
        assert score.n > 0 or score.value == 0


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


def _permuted(record, order):
    """Every array of it in another order."""
    arrays = {f.name: getattr(record, f.name) for f in fields(record)}
    return replace(record, **{k: v[order] for k, v in arrays.items() if isinstance(v, np.ndarray)})


def test_the_order_of_images_does_not_matter(metric):
    """Value, error and number are the same; nothing is changed by being scored."""
    drawn = _drawn(4)
    kept = [_permuted(record, slice(None)) for record in drawn]
    order = np.random.default_rng(4).permutation(40)
    score, again = _score(metric, *drawn), _score(metric, *(_permuted(r, order) for r in drawn))
    assert again.value == pytest.approx(score.value, rel=1e-12)
    assert (again.std_error is None) == (score.std_error is None)
    assert again.std_error is None or again.std_error == pytest.approx(score.std_error, rel=1e-9)
    assert again.n == score.n
    for record, before in zip(drawn, kept, strict=True):
        for f in fields(record):
            assert np.array_equal(getattr(record, f.name), getattr(before, f.name))


def test_images_twice_are_the_same_share(metric):
    """Twice the number, the same value."""
    drawn = _drawn(5)
    twice = [_permuted(record, np.arange(80) % 40) for record in drawn]
    score, again = _score(metric, *drawn), _score(metric, *twice)
    assert again.value == pytest.approx(score.value)
    assert again.n == 2 * score.n


def test_outcomes_are_the_bits_of_the_value(of_attacks):
    """Their mean is the value and their number is n; what is no share has none."""
    real, attacked, *_ = _drawn(6)
    found, score = outcomes(of_attacks.name, real, attacked), _score(of_attacks, real, attacked)
    assert (found is not None) == (of_attacks.name in SHARES)
    if found is not None:
        assert found.dtype == bool
        assert len(found) == score.n
        assert found.mean() == pytest.approx(score.value)


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
    real, attacked, *_ = _drawn(seed, accuracy=0.5)
    score = {e.name: e.part(real, attacked).value for e in _enrolled("attack")}
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
    real, attacked, *_ = _drawn(1)
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
