"""What holds for every score of codes, seams and energies."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.examples import near
from bench.laws.modes import assert_in_range, takes
from metrics import METRICS
from metrics.coding import Sent
from metrics.consistency import block_means
from metrics.seams import Joined

KINDS = ("coded", "joined", "energies", "rebuilt", "refined")
N = 6

law = partial(base.law, METRICS.kind, where=takes(*KINDS))


def _given(metric: Entry, kept: Any = slice(None), error: int = 9) -> tuple[Any, Any]:
    """What a metric takes, of some of six images of random bytes, off by up to `error`."""
    rng = np.random.default_rng(0)
    real = rng.integers(40, 200, (N, 1, 12, 16)).astype(np.uint8)
    wide = error * (1 + np.arange(N)).reshape(N, 1, 1, 1) / N
    off = (wide * rng.uniform(-1, 1, real.shape)).round().astype(np.int64)
    made = (real + off).astype(np.uint8)
    if metric.facts.takes == "coded":
        symbols = [off.reshape(N, -1), rng.integers(0, 3, (N, 20))]
        return real[kept], Sent(made[kept], [one[kept] for one in symbols])
    if metric.facts.takes == "joined":
        return None, Joined(made[kept], 8)
    if metric.facts.takes == "energies":
        pixels = 1 + rng.random(N)
        return pixels[kept], (error / 9 * rng.random(N) * pixels)[kept]
    if metric.facts.takes == "refined":
        return block_means(real.astype(np.float64))[kept], made[kept].astype(np.float64)
    return real[kept].astype(np.float64), made[kept].astype(np.float64)


@law()
def a_score_of_images_is_in_its_range(metric: Entry) -> None:
    """A finite number over as many images as came, with an error; of one image without."""
    found = metric.part(*_given(metric))
    assert_in_range(found, metric.facts, metric.facts.high)
    assert found.n == N
    assert found.std_error is not None
    alone = metric.part(*_given(metric, slice(0, 1)))
    assert_in_range(alone, metric.facts, metric.facts.high)
    assert (alone.n, alone.std_error) == (1, None)


@law()
def the_order_of_images_does_not_matter(metric: Entry) -> None:
    """Both sides turned round."""
    found, turned = (
        metric.part(*_given(metric, kept)) for kept in (slice(None), slice(None, None, -1))
    )
    assert turned.value == near(found.value, rel=1e-12)
    assert turned.std_error == near(found.std_error, rel=1e-9)


@law()
def images_that_came_twice_change_no_score(metric: Entry) -> None:
    """But its error, which a larger number makes smaller."""
    twice = metric.part(*_given(metric, [*range(N), *range(N)]))
    once = metric.part(*_given(metric))
    assert twice.value == near(once.value, rel=1e-12)
    assert twice.std_error < once.std_error
    assert twice.n == 2 * N


@base.law(METRICS.kind, where=takes("coded", "rebuilt", "refined"))
def a_larger_error_is_no_better(metric: Entry) -> None:
    """Images that are off by less, and whose residues take fewer values, score better."""
    small, large = (metric.part(*_given(metric, error=error)).value for error in (3, 9))
    if metric.facts.direction == "higher":
        assert small > large
    else:
        assert small < large
