"""What holds for every mixture of Gaussians, every stack of digits and every labelled set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import torch
from scipy.stats import chi2, chi2_contingency

from bench.core.randomness import stream
from bench.core.registry import Entry
from bench.datasets import DATASETS
from bench.datasets.labelled import Labelled
from bench.datasets.mixtures import Mixture
from bench.datasets.stacks import Stack
from bench.laws import base
from bench.laws.base import each
from bench.laws.datasets import here


def _is(kind: type) -> Callable[[Entry], bool]:
    return lambda entry: isinstance(entry.part, kind)


about = partial(base.law, DATASETS.kind, unless="large")
law = partial(about, where=_is(Mixture))
stack_law = partial(about, where=_is(Stack))
KEPT = {str(kept): (kept,) for kept in ([0], [2, 5], [6, 1, 3])}


@law()
def a_mixture_is_its_modes(mixture: Entry) -> None:
    """As many as it has centres; no box; a density unless some direction has no variance."""
    part, source = mixture.part, mixture.part.source(0)
    assert part.modes == source.modes == source.classes
    assert part.modes == len(np.unique(part.centres, axis=0))
    assert source.box is None
    assert (source.density is None) == part.degenerate


@law(cases=each(["centres", "covariances", "weights"]))
def a_fingerprint_changes_with_every_number(mixture: Entry, field: str) -> None:
    """By one part in a million, in the last place of the array."""
    array = getattr(mixture.part, field).copy()
    array.flat[-1] += 1e-6
    changed = replace(mixture.part, **{field: array})
    assert changed.fingerprint != mixture.part.fingerprint


@law()
def a_fingerprint_ignores_names(mixture: Entry) -> None:
    """The name and the note are not the data; the rule and the training set are."""
    part, wanted = mixture.part, mixture.part.fingerprint
    assert replace(part, name="other", note="other").fingerprint == wanted
    assert replace(part, weights=part.weights * 4).fingerprint == wanted
    assert replace(part, training_points=77).fingerprint != wanted
    assert replace(part, rule="box3").fingerprint != wanted


@law(cases=KEPT)
def some_modes_keep_their_weights(mixture: Entry, kept: list[int]) -> None:
    """Relative to one another; centres and covariances are those of the modes."""
    part = mixture.part
    some = part.of_modes(kept)
    np.testing.assert_allclose(some.weights, part.weights[kept] / part.weights[kept].sum())
    assert np.array_equal(some.centres, part.centres[kept])
    assert np.array_equal(some.covariances, part.covariances[kept])
    assert (some.rule, some.training_points) == (part.rule, part.training_points)
    uneven = replace(part, weights=np.arange(1.0, part.modes + 1)).of_modes(kept)
    np.testing.assert_allclose(uneven.weights, np.add(kept, 1) / np.add(kept, 1).sum())


@law(cases=KEPT)
def fresh_samples_of_some_modes(mixture: Entry, kept: list[int]) -> None:
    """The nearest mode of each is one of those asked for, and all of those are there."""
    part = mixture.part
    drawn = part.source(0).fresh(300, stream("some"), classes=kept).numpy()
    assert drawn.shape == (300, part.dim)
    distances = [np.linalg.norm(drawn - centre, axis=1) for centre in part.centres]
    found = set(np.argmin(distances, axis=0))
    assert found == set(kept)


@law()
def labels_follow_the_weights(mixture: Entry) -> None:
    """Their frequencies are within 5 errors of the weights."""
    part = mixture.part
    n = 200_000 if part.dim < 10 else 5_000
    labels = part.sample_labelled(n, stream("labels"))[1]
    frequencies = np.bincount(labels.numpy(), minlength=part.modes) / n
    errors = np.sqrt(part.weights * (1 - part.weights) / n)
    assert (np.abs(frequencies - part.weights) < 5 * errors).all()


@law()
def samples_have_the_moments_of_their_mode(mixture: Entry) -> None:
    """Mean and variance of each mode's samples are within 5 errors of its own."""
    part = mixture.part
    samples, labels = part.sample_labelled(100_000 if part.dim < 10 else 4_000, stream("moments"))
    assert samples.dtype == torch.float32
    for mode in range(part.modes):
        own = samples[labels == mode].double().numpy()
        variance = part.covariances[mode]
        error = np.sqrt(variance / len(own))
        rounding = 1e-6 * np.abs(part.centres[mode])
        assert (np.abs(own.mean(axis=0) - part.centres[mode]) <= 5 * error + rounding).all()
        spread = np.abs(own.var(axis=0, ddof=1) - variance)
        assert (spread <= 5 * variance * np.sqrt(2 / len(own)) + rounding**2).all()


@law()
def labelled_and_plain_samples_are_the_same(mixture: Entry) -> None:
    """`sample` is `sample_labelled` without the labels."""
    labelled, _ = mixture.part.sample_labelled(50, stream("a"))
    assert torch.equal(mixture.part.sample(50, stream("a")), labelled)


def bytes_of(images: torch.Tensor) -> np.ndarray:
    """Images in [0, 1] as uint8; every value is a multiple of 1/255."""
    scaled = np.asarray(images, dtype=np.float64) * 255
    whole = np.rint(scaled)
    assert np.abs(scaled - whole).max() < 1e-4
    assert 0 <= whole.min() <= whole.max() <= 255
    return whole.astype(np.uint8)


def _labels(images: torch.Tensor, known_images: np.ndarray, known_labels: np.ndarray) -> np.ndarray:
    """The labels of stacks [n, depth, h, w], each digit looked up among known ones."""
    known = {
        image.tobytes(): label for image, label in zip(known_images, known_labels, strict=True)
    }
    return np.array([[known[digit.tobytes()] for digit in one] for one in bytes_of(images)])


def chi_square_is_usual(observed: np.ndarray, expected: float, freedom: int) -> bool:
    """Within its range but for one time in ten thousand at either end."""
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return bool(chi2.ppf(1e-4, freedom) < statistic < chi2.ppf(1 - 1e-4, freedom))


@stack_law()
def a_stack_is_of_known_digits(stack: Entry) -> None:
    """Batches and training set of the training digits, fresh draws of those held out."""
    part = here(stack)
    split, source = part.load(), part.source(0)
    for drawn in (source.training[:500], source.batches().next(500)):
        assert set(_labels(drawn, split.images, split.labels).flat) == set(range(10))
    fresh = source.fresh(500, stream("fresh"))
    assert set(_labels(fresh, split.held_images, split.held_labels).flat) == set(range(10))
    assert source.modes == source.classes**part.depth
    assert source.shape[0] == part.depth


@stack_law(cases={str(kept): (kept,) for kept in ([3], [9, 0], [1, 2, 4, 5, 6, 7, 8])})
def fresh_stacks_of_some_classes(stack: Entry, classes: list[int]) -> None:
    """Every place holds those digits, and only those."""
    part = here(stack)
    split = part.load()
    drawn = part.source(0).fresh(300, stream("some"), classes=classes)
    labels = _labels(drawn, split.held_images, split.held_labels)
    assert labels.shape == (300, part.depth)
    for place in labels.T:
        assert set(place) == set(classes)


@stack_law()
def the_places_of_a_stack_are_balanced_and_independent(stack: Entry) -> None:
    """Every digit as often in every place, whatever is in the others."""
    part, n = here(stack), 5_000
    split = part.load()
    drawn = part.source(0).fresh(n, stream("balance"))
    labels = _labels(drawn, split.held_images, split.held_labels)
    for place in labels.T:
        assert chi_square_is_usual(np.bincount(place, minlength=10), n / 10, 9)
    for one, other in combinations(labels.T, 2):
        table = np.bincount(10 * one + other, minlength=100).reshape(10, 10)
        found: Any = chi2_contingency(table)
        assert found.pvalue > 1e-4


@about(where=_is(Labelled))
def labels_belong_to_their_images(dataset: Entry) -> None:
    """In the order of a seed, and held out; classes count from 0 and none is missing."""
    part = here(dataset)
    source, split = part.source(1), part.split
    known = {
        image.tobytes(): label for image, label in zip(split.images, split.labels, strict=True)
    }
    training = bytes_of(source.training)[:, 0] if len(source.training) else []
    found = [known[image.tobytes()] for image in training]
    assert found == source.training_labels.tolist()
    assert np.array_equal(source.held_out_labels.numpy(), split.held_labels)
    pictures = np.moveaxis(bytes_of(source.held_out), 1, -1).reshape(split.held_images.shape)
    assert np.array_equal(pictures, split.held_images)
    if found:
        assert set(found) == set(split.held_labels.tolist()) == set(range(part.classes))
