"""What holds for every metric of a classifier under attack: ranges, order, denominators."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.examples import near
from bench.laws.modes import assert_in_range, takes
from metrics import METRICS, Score
from metrics.certified import Certified
from metrics.corruption import Corrupted
from metrics.robustness import AfterAttack, Clean, outcomes
from metrics.rubbish import Rubbish
from metrics.transfer import Transferred

Drawn = tuple[Clean, AfterAttack, Transferred, Rubbish]
law = partial(
    base.law, METRICS.kind, where=takes("attack", "certified", "corrupted", "transfer", "rubbish")
)
CHANCES = {"0,0": (0, 0), "0,1": (0, 1), "1,0": (1, 0), "1,1": (1, 1), "0.7,0.4": (0.7, 0.4)}


def drawn(seed: int, n: int = 40, accuracy: float = 0.8, success: float = 0.5) -> Drawn:
    """Images with chances of being right before, and misled after."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    wrong = (labels + rng.integers(1, 10, n)) % 10

    def answers(chance: float) -> np.ndarray:
        return np.where(rng.random(n) < chance, labels, wrong)

    real = Clean(labels, answers(accuracy), rng.random(n))
    predictions, confidences = answers(1 - success), rng.random(n)
    within = (predictions != labels) & real.right | (rng.random(n) < 0.1) & real.right
    distances, rms, reached = rng.random(n), rng.random(n), rng.random(n)
    finders = np.where(within, rng.integers(0, 3, n), -1)
    apart = np.where(rng.random((n, 3)) < 0.2, np.inf, 0.1 + rng.random((n, 3)))
    attacked = AfterAttack(predictions, confidences, distances, rms, within, 2.0, 1.0)
    attacked = replace(attacked, reached=reached, finders=finders, apart=apart)
    transferred = Transferred(predictions, confidences, answers(1 - success), rng.random(n))
    return real, attacked, transferred, Rubbish(rng.dirichlet(np.full(10, 0.2), n))


def certified(attacked: AfterAttack, real: Clean) -> Certified:
    """Certificates of the images that the attack can't mislead, as far as the attack went; of some
    it says nothing.
    """
    predictions = np.where(attacked.confidences < 0.2, -1, real.predictions)
    sure = (predictions == real.labels) & ~attacked.within
    radii = np.where(predictions < 0, 0.0, attacked.distances)
    return Certified(sure, predictions, radii, real.right & ~attacked.within)


def scored(metric: Entry, images: Drawn) -> Score:
    """A metric's score of what it takes of such images."""
    real, attacked, transferred, rubbish = images
    fakes: dict[str, Any] = {
        "attack": attacked,
        "certified": certified(attacked, real),
        "transfer": transferred,
        "rubbish": rubbish,
        "corrupted": Corrupted(
            np.stack([attacked.predictions, transferred.predictions], 1) != real.labels[:, None]
        ),
    }
    taken = metric.facts.takes
    return metric.part(None if taken == "rubbish" else real, fakes[taken])


def _permuted(record: Any, order: Any) -> Any:
    """Every array of it in another order."""
    arrays = {f.name: getattr(record, f.name) for f in fields(record)}
    return replace(record, **{k: v[order] for k, v in arrays.items() if isinstance(v, np.ndarray)})


@law(cases=base.each([1, 2, 40], CHANCES))
def a_score_is_in_its_range(metric: Entry, n: int, chances: tuple[float, float]) -> None:
    """A finite number, its error and no more images than there are; 0 of 0 is 0."""
    found = scored(metric, drawn(3, n, *chances))
    assert_in_range(found, metric.facts, metric.facts.high, slack=0)
    assert 0 <= found.n <= n
    assert found.n > 0 or found.value == 0


@law()
def the_order_of_images_does_not_matter(metric: Entry) -> None:
    """Value, error and number are the same; nothing is changed by being scored."""
    images = drawn(4)
    kept = [_permuted(record, slice(None)) for record in images]
    order = np.random.default_rng(4).permutation(40)
    found = scored(metric, images)
    again = scored(metric, tuple(_permuted(record, order) for record in images))  # pyright: ignore[reportArgumentType]
    assert again.value == near(found.value, rel=1e-12)
    assert (again.std_error is None) == (found.std_error is None)
    assert again.std_error is None or again.std_error == near(found.std_error or 0, rel=1e-9)
    assert again.n == found.n
    for record, before in zip(images, kept, strict=True):
        for f in fields(record):
            assert np.array_equal(getattr(record, f.name), getattr(before, f.name))


@law()
def images_twice_are_the_same_share(metric: Entry) -> None:
    """Twice the number, the same value."""
    images = drawn(5)
    twice = tuple(_permuted(record, np.arange(80) % 40) for record in images)
    found, again = scored(metric, images), scored(metric, twice)  # pyright: ignore[reportArgumentType]
    assert again.value == near(found.value)
    assert again.n == 2 * found.n


@partial(law, where=takes("attack"))()
def outcomes_are_the_bits_of_the_value(metric: Entry) -> None:
    """Where it has any: their mean is the value and their number is n."""
    images = drawn(6)
    bits, found = outcomes(metric.name, *images[:2]), scored(metric, images)
    if bits is not None:
        assert bits.dtype == bool
        assert len(bits) == found.n
        assert bits.mean() == near(found.value)
