"""Streams of batches, fingerprints, digits and stacks by name."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import DATASETS, digits
from bench.datasets.batches import FreshDraws, ShuffledEpochs
from bench.laws.mixtures import bytes_of, chi_square_is_usual


@pytest.mark.parametrize(("points", "batch"), [(12, 4), (10, 3), (7, 7), (5, 12), (1, 3), (9, 8)])
def test_every_point_once_an_epoch(points, batch):
    """Whatever the batch, each run of as many points as there are is a permutation of them."""
    data = torch.arange(points, dtype=torch.float32)[:, None]
    batches = ShuffledEpochs(data, stream("epochs"))
    drawn = [batches.next(batch) for _ in range(8 * points)]
    assert {tuple(part.shape) for part in drawn} == {(batch, 1)}
    epochs = torch.cat(drawn)[: points * 8, 0].view(8, points)
    assert torch.equal(epochs.sort(dim=1).values, data[:, 0].expand(8, -1))
    assert points < 5 or len(epochs.unique(dim=0)) == 8


@pytest.mark.parametrize("stop", range(9))
def test_seeking_near_the_end_of_an_epoch(stop):
    """At every place of an epoch, its first and last among them."""
    data = torch.arange(7, dtype=torch.float32)[:, None]
    batches = ShuffledEpochs(data, stream("epochs"))
    for _ in range(stop):
        batches.next(2)
    position = batches.position()
    ahead = [batches.next(3) for _ in range(10)]
    resumed = ShuffledEpochs(data, stream("other"))
    resumed.seek(position)
    assert all(torch.equal(resumed.next(3), batch) for batch in ahead)


def test_an_absent_data_set_has_no_fingerprint(tmp_path, monkeypatch):
    """It says why instead, and has no source."""
    monkeypatch.setenv("MINIMAX_DATA", str(tmp_path))
    stack = replace(DATASETS["stack2@mnist"].part)
    assert stack.fingerprint == ""
    assert stack.missing.startswith("MNIST is not here")
    with pytest.raises(UsageError, match=r"^MNIST is not here"):
        stack.source(0)


def test_the_kind_of_stream():
    """Fixed points come in epochs; where there are none every batch is fresh."""
    assert isinstance(DATASETS["ring8@pacgan"].part.source(0).batches(), ShuffledEpochs)
    unrolled = DATASETS["ring8@unrolled-paper"].part.source(0)
    assert isinstance(unrolled.batches(), FreshDraws)
    batches = unrolled.batches()
    assert not torch.equal(batches.next(10), batches.next(10))
    assert isinstance(DATASETS["single@optdigits"].part.source(0).batches(), ShuffledEpochs)
    assert isinstance(DATASETS["stack2@optdigits"].part.source(0).batches(), FreshDraws)


def test_batches_come_from_the_training_set():
    """The first epoch of a fixed set is that set in another order."""
    source = replace(DATASETS["grid25@pacgan"].part, training_points=500).source(0)
    epoch = source.batches().next(500)
    assert source.training.shape == (500, 2)
    assert torch.equal(epoch.unique(dim=0), source.training.unique(dim=0))
    assert not torch.equal(epoch, source.training)


def test_threes_and_sevens():
    """The two classes of mnist5k, called 0 and 1."""
    both, few = DATASETS["mnist5k"].part.split, DATASETS["mnist5k-3v7"].part.split
    for digit, label in ((3, 0), (7, 1)):
        wanted = both.held_images[both.held_labels == digit]
        assert np.array_equal(few.held_images[few.held_labels == label], wanted)
    assert len(few.images) == 800
    assert len(few.held_images) == 200


def test_the_photos_are_cropped_in_the_middle():
    """20 colour images of 224 x 224 with their ImageNet classes."""
    split = DATASETS["photos"].part.split
    assert split.held_images.shape == (20, 224, 224, 3)
    assert split.held_images.std(axis=(1, 2)).min() > 5
    assert len(set(split.held_labels.tolist())) > 10
    assert 0 <= split.held_labels.min() <= split.held_labels.max() < 1_000


def test_every_held_out_image_is_drawn_as_often():
    """Of the 100 of its class; the last of each among them."""
    stack = DATASETS["single@mnist5k"].part
    n, split = 20_000, stack.load()
    index = {image.tobytes(): at for at, image in enumerate(split.held_images)}
    drawn = stack.source(0).fresh(n, stream("uniform"))
    counts = np.bincount([index[image.tobytes()] for image in bytes_of(drawn)], minlength=1_000)
    assert counts.min() > 0
    assert chi_square_is_usual(counts, n / 1_000, 999)


def test_a_single_digit_is_trained_on_once_an_epoch():
    """The training set is every training image once, in an order that the seed decides."""
    stack = DATASETS["single@optdigits"].part
    wanted = sorted(image.tobytes() for image in stack.load().images)
    training = bytes_of(stack.source(4).training)
    epoch = bytes_of(stack.source(4).batches().next(len(wanted)))
    assert sorted(image.tobytes() for image in training) == wanted
    assert sorted(image.tobytes() for image in epoch) == wanted
    assert not np.array_equal(training[:, 0], stack.load().images)


@pytest.mark.parametrize(
    ("load", "train", "held", "size"),
    [(digits.mnist5k, [400] * 10, 100, 28), (digits.digits8, None, 30, 8)],
    ids=["mnist5k", "optdigits"],
)
def test_the_splits_of_the_digits(load, train, held, size):
    """As many of each class held out; no image on both sides; labels belong to their images."""
    split = load()
    assert split.images.dtype == split.held_images.dtype == np.uint8
    assert split.images.shape[1:] == split.held_images.shape[1:] == (size, size)
    counts = np.bincount(split.labels).tolist()
    assert counts == train if train else sum(counts) == 1_497
    assert np.bincount(split.held_labels).tolist() == [held] * 10
    trained = {image.tobytes() for image in split.images}
    assert trained.isdisjoint(image.tobytes() for image in split.held_images)
    centroids = np.stack([split.images[split.labels == c].mean(axis=0) for c in range(10)])
    gaps = np.linalg.norm(split.held_images[:, None].astype(float) - centroids, axis=(2, 3))
    assert (gaps.argmin(axis=1) == split.held_labels).mean() > 0.75


def test_a_split_is_stratified():
    """As many of each class aside, every example on one side, the same each time."""
    labels = np.repeat([0, 1, 2], [5, 9, 6])
    images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1)
    split, again = (digits.stratified(images, labels, 2) for _ in range(2))
    assert np.bincount(split.held_labels).tolist() == [2, 2, 2]
    assert np.bincount(split.labels).tolist() == [3, 7, 4]
    both = np.concatenate([split.images, split.held_images]).ravel()
    assert sorted(both) == list(range(20))
    found = np.concatenate([split.labels, split.held_labels])
    assert np.array_equal(found, labels[both])
    assert np.array_equal(split.images, again.images)
    assert np.array_equal(split.held_images, again.held_images)


@pytest.mark.parametrize("part", ["images", "labels", "held_images", "held_labels"])
def test_a_fingerprint_changes_with_every_byte(part):
    """Of the images and of the labels, to train on and held out."""
    stack = DATASETS["stack2@optdigits"].part
    split = stack.load()
    array = getattr(split, part).copy()
    array.flat[-1] ^= 1
    changed = replace(stack, load=lambda: replace(split, **{part: array}))
    same = replace(stack, load=lambda: replace(split, **{part: array.copy()}))
    assert changed.fingerprint != stack.fingerprint
    assert changed.fingerprint == same.fingerprint
    assert replace(stack, depth=3).fingerprint != stack.fingerprint
    assert replace(stack, name="other").fingerprint == stack.fingerprint
