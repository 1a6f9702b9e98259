"""What holds for every score of the way of a training, and of the game at its end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each
from bench.laws.examples import near
from bench.laws.modes import assert_in_range, gain, takes
from metrics import METRICS
from metrics.signature import Contest
from metrics.trajectories import Trajectory

MODES, LOOKS = 8, 20
WEIGHTS = np.full(MODES, 1 / MODES)
STEPS = np.arange(1, LOOKS + 1) * 100

law = partial(base.law, METRICS.kind)
way_law = partial(law, where=takes("trajectory"))
judged_way_law = partial(
    law, where=lambda e: e.facts.takes == "trajectory" and e.facts.direction != "none"
)
contest_law = partial(law, where=takes("contest"))
stretches_law = partial(law, where=takes("stretches"))


def way(covered: np.ndarray, near_them: np.ndarray | None = None) -> Trajectory:
    """A training whose looks find modes covered [T, K], and samples spread evenly over those that
    they are near (where it isn't said: over those covered; over all where none is).
    """
    seen = covered if near_them is None else near_them
    seen = np.where(seen.any(axis=1, keepdims=True), seen, True)
    return Trajectory(
        WEIGHTS, STEPS[: len(covered)], seen / seen.sum(axis=1, keepdims=True), covered
    )


def all_modes() -> np.ndarray:
    """Everything covered at every look."""
    return np.ones((LOOKS, MODES), dtype=bool)


def one_mode() -> np.ndarray:
    """One mode at every look."""
    return np.arange(MODES)[None] == np.zeros((LOOKS, 1))


def rotating() -> np.ndarray:
    """Another mode alone at every look."""
    return np.arange(MODES)[None] == (np.arange(LOOKS) % MODES)[:, None]


def late() -> np.ndarray:
    """Nothing in the first half, all in the second."""
    return np.repeat(np.arange(LOOKS)[:, None] >= LOOKS // 2, MODES, axis=1)


WAYS = {"all": all_modes, "one": one_mode, "rotating": rotating, "late": late}


@way_law(cases=each(WAYS))
def a_way_is_in_its_range(metric: Entry, seen: Callable[[], np.ndarray]) -> None:
    """A finite number in the declared range, with as many looks as there were."""
    facts = metric.facts
    found = metric.part(None, way(seen()))
    assert_in_range(found, facts, MODES if facts.counts_modes else facts.high)
    assert found.n == LOOKS


@judged_way_law(cases=each({name: WAYS[name] for name in ("one", "rotating", "late")}))
def nothing_is_better_than_all_modes_all_the_time(
    metric: Entry, seen: Callable[[], np.ndarray]
) -> None:
    """Whatever a metric of the way counts."""
    best, other = (metric.part(None, way(each())).value for each in (all_modes, seen))
    assert gain(metric, best, other) >= 0


@way_law()
def the_order_of_modes_does_not_matter(metric: Entry) -> None:
    """Modes have no order; looks have."""
    rng = np.random.default_rng(0)
    covered = rng.random((LOOKS, MODES)) < 0.6
    order = rng.permutation(MODES)
    assert metric.part(None, way(covered)) == metric.part(None, way(covered[:, order]))


@way_law(cases=each([1, 2, 3]))
def few_looks_are_enough(metric: Entry, looks: int) -> None:
    """Down to one, a score is a finite number in its range."""
    found = metric.part(None, way(all_modes()[:looks]))
    assert_in_range(found, metric.facts, MODES if metric.facts.counts_modes else metric.facts.high)


def _judged(gap: float, n: int = 400) -> tuple[np.ndarray, Contest]:
    """Logits of reals about gap, of fakes about -gap."""
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((2, n))
    return real + gap, Contest(fake - gap, np.abs(rng.standard_normal(n)))


@contest_law(cases=each([0.0, 0.5, 50.0]))
def a_contest_is_in_its_range(metric: Entry, gap: float) -> None:
    """A finite number in the declared range, however sure the critic is."""
    assert_in_range(metric.part(*_judged(gap)), metric.facts, metric.facts.high)


@contest_law()
def the_order_of_fakes_does_not_matter(metric: Entry) -> None:
    """Nor that of reals."""
    real, fake = _judged(0.5)
    turned = Contest(fake.logits[::-1].copy(), fake.slopes[::-1].copy())
    assert metric.part(real[::-1].copy(), turned).value == near(metric.part(real, fake).value)


@stretches_law()
def the_order_of_codes_does_not_matter(metric: Entry) -> None:
    """Stretches of codes in another order score the same, in the declared range."""
    stretches = np.sort(np.random.default_rng(0).random((50, 3)))[:, ::-1]
    found = metric.part(None, stretches)
    assert_in_range(found, metric.facts, metric.facts.high)
    assert metric.part(None, stretches[::-1]).value == near(found.value)


@stretches_law()
def a_constant_generator_has_a_score(metric: Entry) -> None:
    """Where no code moves a sample at all."""
    assert_in_range(metric.part(None, np.zeros((50, 3))), metric.facts, metric.facts.high)
