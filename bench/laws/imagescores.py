"""What holds for every score of translations, segmentations, completions and asked classes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each
from bench.laws.examples import near
from bench.laws.modes import assert_in_range, takes
from metrics import METRICS
from metrics.classes import Asked
from metrics.completion import Completion
from metrics.translation import Translated

N = 6
KNOWN = np.indices((12, 12)).sum(0) % 3 > 0
law = partial(base.law, METRICS.kind, where=takes("translated", "segmented", "completed", "asked"))


def _images(seed: int) -> np.ndarray:
    """In [0, 1], smooth enough for structure, [n, 3, 12, 12]."""
    noise = np.random.default_rng(seed).random((N, 3, 12, 12))
    return (noise + np.roll(noise, 1, -1) + np.roll(noise, 1, -2)) / 3


def _given(metric: Entry, how: str) -> tuple[Any, Any]:
    """What is true, and what a model made of it: the same, something near, or its opposite."""
    rng, real = np.random.default_rng(0), _images(0)
    near_by = np.clip(real + rng.normal(0, 0.1, (4, *real.shape)), 0, 1)
    draws = {"same": np.stack([real] * 4), "near": near_by, "far": np.stack([1 - real] * 4)}[how]
    wanted = rng.integers(0, 4, N)
    read = {"same": wanted, "near": np.where(np.arange(N) == 2, 0, wanted), "far": 3 - wanted}[how]
    taken = metric.facts.takes
    if taken == "translated":
        return real, Translated(draws[0], draws)
    if taken == "completed":
        return real, Completion(draws[0], draws[1], KNOWN, wanted, read)
    if taken == "asked":
        return None, Asked(wanted, read, np.ones(N, dtype=bool))
    maps = (real[:, 0] * 4).astype(np.int64).clip(0, 3)
    return maps, {"same": maps, "near": (draws[0, :, 0] * 4).astype(np.int64).clip(0, 3)}.get(
        how, 3 - maps
    )


def _ordered(given: Any, order: np.ndarray) -> Any:
    """The same examples in another order."""
    if given is None or isinstance(given, np.ndarray):
        return None if given is None else given[order]
    changes = {}
    for name, value in vars(given).items():
        if value is not None and name != "known":
            changes[name] = value[:, order] if name == "draws" else value[order]
    return replace(given, **changes)


@law(cases=each(["same", "near", "far"]))
def a_score_of_images_is_in_its_range(metric: Entry, how: str) -> None:
    """A finite number in the declared range, over no more than there are, and nothing changed."""
    real, fake = _given(metric, how)
    found = metric.part(real, fake)
    assert_in_range(found, metric.facts, metric.facts.high, slack=1e-9)
    assert found.n > 0
    assert metric.part(real, fake) == found
    assert metric.part(*_given(metric, how)) == found


@law()
def the_order_of_images_does_not_matter(metric: Entry) -> None:
    """To rounding."""
    real, fake = _given(metric, "near")
    order = np.array([3, 1, 5, 0, 2, 4])
    found, again = (
        metric.part(real, fake),
        metric.part(_ordered(real, order), _ordered(fake, order)),
    )
    assert again.value == near(found.value, rel=1e-9)
    assert again.n == found.n


@law()
def nearer_is_no_worse(metric: Entry) -> None:
    """The truth itself scores at least as well as something near, and that as its opposite."""
    if metric.facts.direction == "none":
        return
    same, near_by, far = (
        metric.part(*_given(metric, how)).value for how in ("same", "near", "far")
    )
    sign = 1 if metric.facts.direction == "higher" else -1
    assert sign * (same - near_by) >= -1e-9
    assert sign * (near_by - far) >= -1e-9
