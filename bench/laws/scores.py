"""What holds for every score of samples: range, order, symmetry, and what it sees.

Metrics are asked by what they take: features, what lies near to what, class probabilities,
distances to the training set, or identities.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy.special import softmax

from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each, once
from bench.laws.examples import near, raises
from bench.laws.modes import assert_in_range, directed, gain, takes
from metrics import METRICS, Score, neighbours
from metrics.copying import cells_of, nearest
from metrics.features import Features
from metrics.moments import Moments
from metrics.neighbours import survey

KINDS = ("features", "neighbours", "probabilities", "nearest", "identities")
DIMS = MODES = 8
SPREAD = 0.25
CENTRES = 2 * np.eye(MODES)
N = 600
SAMPLERS = ("shifted", "half", "one", "noisy", "invented")

about = partial(base.law, METRICS.kind)
law = partial(about, where=takes(*KINDS))
directed_law = partial(about, where=directed(*KINDS))
of_features_law = partial(about, where=takes("features"))
of_space_law = partial(about, where=takes("features", "neighbours", "nearest"))


def sizes(entry: Entry) -> tuple[int, int]:
    """Reals and fakes that a metric is tried with: 600 of both, or the fewest that it takes."""
    n, m = entry.facts.least
    return max(n, N), max(m, N)


def modes(rng: Any, n: int, of: Any = range(MODES), spread: float = SPREAD) -> np.ndarray:
    """Samples of some of eight modes, [n, 8]."""
    return CENTRES[rng.choice(list(of), n)] + spread * rng.standard_normal((n, DIMS))


@cache
def samples(sampler: str, n: int = N) -> np.ndarray:
    """float32 samples [n, 8] of a named sampler; nothing may write to them."""
    rng = np.random.default_rng(list(sampler.encode()))
    draw = {
        "shifted": lambda: modes(rng, n) + SPREAD,
        "half": lambda: modes(rng, n, range(4)),
        "one": lambda: modes(rng, n, [3]),
        "noisy": lambda: modes(rng, n, spread=3 * SPREAD),
        "invented": lambda: np.concatenate(
            [modes(rng, n // 2), SPREAD * rng.standard_normal((n - n // 2, DIMS)) - 2]
        )[rng.permutation(n)],
        "point": lambda: np.repeat(CENTRES[:1], n, axis=0),
    }
    found = draw.get(sampler, lambda: modes(rng, n))().astype(np.float32)
    found.flags.writeable = False
    return found


def pair(entry: Entry, sampler: str) -> tuple[np.ndarray, np.ndarray]:
    """As many reals, and samples of a sampler, as a metric is tried with."""
    n, m = sizes(entry)
    return samples("real", n), samples(sampler, m)


def _identities(*sets: np.ndarray) -> list[np.ndarray]:
    """A number for each row of some sets, the same where rows are."""
    exact = np.concatenate([np.float64(x) for x in sets])
    numbers = np.unique(exact, axis=0, return_inverse=True)[1].reshape(-1).astype(np.uint64)
    return np.split(numbers, np.cumsum([len(x) for x in sets])[:-1])


def arguments(
    entry: Entry,
    real: np.ndarray,
    fake: np.ndarray,
    training: np.ndarray | None = None,
    apply: Any = map,
) -> tuple:
    """What a metric takes, of three sets of points."""
    taken = entry.facts.takes
    if taken == "features":
        return Features(real, apply=apply), Features(fake, apply=apply)
    if taken == "neighbours":
        return survey(Features(real, apply=apply), Features(fake, apply=apply))
    if taken == "probabilities":
        chances = softmax(1.5 * np.float64(fake) @ CENTRES.T, axis=1).astype(np.float32)
        return None, chances.astype(fake.dtype)
    if taken == "identities":
        return tuple(_identities(real, fake))
    exact = np.asarray(samples("training") if training is None else training, dtype=np.float64)
    cells = cells_of(exact)
    return tuple(
        nearest([np.asarray(x, dtype=np.float64)], exact, cells, None, apply) for x in (real, fake)
    )


@cache
def surveyed(sampler: str) -> tuple:
    """What lies near to what, which four metrics share."""
    return survey(Features(samples("real")), Features(samples(sampler)))


def _score(entry: Entry, sampler: str) -> Score:
    if entry.facts.takes == "neighbours" and sizes(entry) == (N, N):
        return entry.part(*surveyed(sampler))
    return entry.part(*arguments(entry, *pair(entry, sampler)))


scored = once(_score)
"""A metric's score of a named sampler."""


def assert_same(found: Score, wanted: Score, unit: float = 1.0, rel: float = 1e-9) -> None:
    """Values to `rel`; errors, which are small differences of large terms, to a thousand times."""
    assert found.value == near(unit * wanted.value, rel=rel, abs=1e-12)
    assert (found.std_error is None) == (wanted.std_error is None)
    error = unit * (wanted.std_error or 0)
    assert (found.std_error or 0) == near(error, rel=1_000 * rel, abs=1e-12)


@law(cases=each(["fresh", "real", *SAMPLERS, "point"]))
def a_score_is_in_its_range(metric: Entry, sampler: str) -> None:
    """A finite number in the declared range, with an error, if any, of no less than 0."""
    found = scored(metric, sampler)
    assert type(found.value) is float
    assert_in_range(found, metric.facts, metric.facts.high, slack=1e-9)
    assert 0 < found.n <= max(sizes(metric))


@law()
def sets_of_different_sizes_are_compared(metric: Entry) -> None:
    """No metric asks for as many of either."""
    n, m = metric.facts.least
    n, m = max(n, 700), max(m + 1, 401)
    found = metric.part(*arguments(metric, samples("real", n), samples("fresh", m)))
    assert_in_range(found, metric.facts, metric.facts.high, slack=1e-9)
    assert 0 < found.n <= max(n, m)


@directed_law(cases=each(SAMPLERS))
def fresh_samples_are_better(metric: Entry, sampler: str) -> None:
    """Than shifted ones, those of half the modes or of one, noisy ones, and ones with a mode that
    is not there: by more than three errors of both.
    """
    fresh, other = (scored(metric, name) for name in ("fresh", sampler))
    better = gain(metric, fresh.value, other.value)
    margin = 3 * ((fresh.std_error or 0) + (other.std_error or 0))
    assert better > margin
    assert better > 0


@directed_law()
def the_smaller_collapse_is_better(metric: Entry) -> None:
    """Half of the modes are better than one."""
    half, one = (scored(metric, name).value for name in ("half", "one"))
    better = gain(metric, half, one)
    assert better > 0


VARIANTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "float64": lambda x: x.astype(np.float64),
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
}


@law(cases=each(VARIANTS))
def the_array_does_not_matter(metric: Entry, variant: Callable[[np.ndarray], np.ndarray]) -> None:
    """The same numbers in another type or layout score the same, to 1e-9."""
    wanted = scored(metric, "fresh")
    sets = map(variant, (*pair(metric, "fresh"), samples("training")))
    assert_same(metric.part(*arguments(metric, *sets)), wanted)


@law()
def single_precision_is_enough(metric: Entry) -> None:
    """Numbers that are no float32, rounded to one: 1e-4, and a share by one sample at most."""
    rng = np.random.default_rng(0)
    n, m = sizes(metric)
    exact = [modes(rng, n), modes(rng, m) + SPREAD, modes(rng, N)]
    wanted, found = (
        metric.part(*arguments(metric, *(x.astype(kind) for x in exact)))
        for kind in (np.float64, np.float32)
    )
    one = 1 / N if metric.facts.percent else 0
    assert found.value == near(wanted.value, rel=1e-4, abs=one + 1e-12)


@law()
def inputs_are_not_changed(metric: Entry) -> None:
    """Neither points, nor what was made of them."""
    real, fake = (x.copy() for x in pair(metric, "fresh"))
    given = arguments(metric, real, fake)
    held = [vars(x) if hasattr(x, "__dict__") else {"it": x} for x in given]
    arrays = [x for each in held for x in each.values() if isinstance(x, np.ndarray)]
    before = [x.copy() for x in arrays]
    first = metric.part(*given)
    for now, then in zip(arrays, before, strict=True):
        assert np.array_equal(now, then)
    for now, then in zip((real, fake), pair(metric, "fresh"), strict=True):
        assert np.array_equal(now, then)
    assert metric.part(*given) == first


def _shuffled(metric: Entry) -> tuple[Score, Score]:
    """A score, and that of the same sets in another order."""
    rng = np.random.default_rng(0)
    sets = map(rng.permutation, (*pair(metric, "half"), samples("training")))
    return scored(metric, "half"), metric.part(*arguments(metric, *sets))


@law()
def the_order_does_not_matter(metric: Entry) -> None:
    """To 1e-9; where an error comes from the spread over parts by their place, to 90 % of it."""
    wanted, found = _shuffled(metric)
    if metric.facts.takes == "neighbours":
        assert found.value == near(wanted.value, rel=1e-9)
        assert found.std_error == near(wanted.std_error or 0, rel=0.9)
    else:
        assert_same(found, wanted)


@law()
def another_order_is_within_the_error(metric: Entry) -> None:
    """Five errors of both, where a metric takes parts of the samples by their place."""
    wanted, found = _shuffled(metric)
    slack = 5 * ((wanted.std_error or 0) + (found.std_error or 0))
    assert found.value == near(wanted.value, rel=1e-9, abs=slack + 1e-12)


@of_space_law(cases=each([1, 30_000]))
def threads_and_chunks_do_not_matter(metric: Entry, chunk: int) -> None:
    """Threads change no bit of a score; chunks of any size no more than rounding does."""
    n, m = metric.facts.least
    given = (
        samples("real", max(n, N))[: max(n, 400)],
        samples("half", max(m, N))[: max(m, 300)],
        samples("training")[:300],
    )
    usual = metric.part(*arguments(metric, *given))
    with patch.object(neighbours, "CHUNK_VALUES", chunk), ThreadPoolExecutor(3) as pool:
        alone = metric.part(*arguments(metric, *given))
        together = metric.part(*arguments(metric, *given, apply=pool.map))
    assert together == alone
    assert_same(alone, usual)


def _similarities() -> dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]]:
    """Similarities of the space, and the factor of its distances."""
    rng = np.random.default_rng(0)
    turn, step = np.linalg.qr(rng.standard_normal((DIMS, DIMS)))[0], rng.uniform(-3, 3, DIMS)
    return {
        "turned": (lambda x: x @ turn, 1.0),
        "moved": (lambda x: x + step, 1.0),
        "scaled": (lambda x: 4 * x, 4.0),
        "shrunk": (lambda x: 2.0**-10 * x, 2.0**-10),
    }


SIMILARITIES = _similarities()


@of_space_law(cases=each(SIMILARITIES.keys()))
def similarities_change_the_unit_only(metric: Entry, how: str) -> None:
    """Turned, moved and scaled together, both sets are as far apart as before, in other units."""
    change, factor = SIMILARITIES[how]
    sets = [x.astype(np.float64) for x in (*pair(metric, "half"), samples("training"))]
    found = metric.part(*arguments(metric, *map(change, sets)))
    assert_same(found, scored(metric, "half"), factor**metric.facts.scale, rel=1e-8)


@of_features_law(only="symmetric")
def distances_are_the_same_from_either_side(metric: Entry) -> None:
    """They have no real and no fake side, nor has their error over samples."""
    sets = [Features(samples("real", 900)), Features(samples("half", 700))]
    there, back = metric.part(*sets), metric.part(*sets[::-1])
    assert_same(back, there)


@of_features_law(unless="symmetric")
def symmetric_distances_say_so(metric: Entry) -> None:
    """One that is the same from either side is declared `symmetric`."""
    n = max(900, *metric.facts.least)
    sets = [Features(samples("real", n)), Features(samples("half", n))]
    there, back = metric.part(*sets).value, metric.part(*sets[::-1]).value
    assert there != near(back, rel=1e-9)


def cloud(n: int, dims: int = 3) -> Features:
    """Features of no particular shape."""
    return Features(np.random.default_rng(n).standard_normal((n, dims)))


@of_features_law()
def features_of_two_spaces_are_refused(metric: Entry) -> None:
    """Whatever is measured."""
    with raises(UsageError, "as many dimensions, got 3 of the real and 4 of the fake"):
        metric.part(cloud(2_000, 3), cloud(2_000, 4))


@of_features_law()
def moments_alone_are_enough_or_refused(metric: Entry) -> None:
    """A metric that needs the features themselves says so; another gives the same as of them."""
    moments = [Moments.of(samples(name, 2_000)) for name in ("real", "half")]
    try:
        found = metric.part(*(Features(None, each) for each in moments))
    except UsageError:
        with raises(UsageError, "needs the features themselves, and the file has mu"):
            metric.part(*(Features(None, each) for each in moments))
        return
    whole = metric.part(*(Features(samples(name, 2_000)) for name in ("real", "half")))
    assert found.value == near(whole.value, rel=1e-6)
