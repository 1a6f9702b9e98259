"""What holds for every score of how far layers and changes of images are stretched."""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.examples import near
from bench.laws.modes import assert_in_range, takes
from metrics import METRICS
from metrics.lipschitz import Layers, Moves

law = partial(base.law, METRICS.kind, where=takes("layers", "moves"))
of_moves_law = partial(base.law, METRICS.kind, where=takes("moves"))


def _drawn(metric: Entry, times: float = 1.0, n: int = 20) -> Layers | Moves:
    """Numbers by lot, the first layer or every change of the logits so many times as large."""
    rng = np.random.default_rng(n)
    if metric.facts.takes == "layers":
        norms = 0.5 + rng.random(3)
        return Layers(norms * (times, 1, 1))
    return Moves(times * rng.random(n), 0.1 + rng.random(n))


@law()
def a_stretch_is_in_its_range(metric: Entry) -> None:
    """A finite number, 0 or more."""
    assert_in_range(metric.part(None, _drawn(metric)), metric.facts, metric.facts.high, slack=0)


@law()
def a_stretch_grows_with_what_stretches(metric: Entry) -> None:
    """Twice the weights of one layer or twice the change of logits is twice the stretch."""
    once, twice = (metric.part(None, _drawn(metric, times)).value for times in (1, 2))
    assert twice == near(2 * once)


@of_moves_law(cases=base.each([0, 1, 20]))
def as_many_as_there_are_changes(metric: Entry, n: int) -> None:
    """Are counted, and of none it is 0; their order does not matter."""
    moves = _drawn(metric, n=n)
    assert isinstance(moves, Moves)
    found = metric.part(None, moves)
    again = metric.part(None, Moves(moves.changes[::-1], moves.lengths[::-1]))
    assert found.n == n
    assert n or found.value == 0
    assert again.value == near(found.value)


@of_moves_law()
def a_stretch_has_no_unit(metric: Entry) -> None:
    """Images and logits both twice as large: the same."""
    moves = _drawn(metric)
    assert isinstance(moves, Moves)
    doubled = metric.part(None, Moves(2 * moves.changes, 2 * moves.lengths))
    assert doubled.value == near(metric.part(None, moves).value)
