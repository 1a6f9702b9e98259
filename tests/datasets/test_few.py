"""Few labels: who has one, that each class has as many, and what can't be had."""

import numpy as np
import pytest
import torch
from swapped import digits, usual

from bench.core.errors import UsageError
from bench.datasets import DATASETS
from bench.datasets.few import Few, chosen
from bench.datasets.named import dataset_named

ME = __name__
unlabelled = digits("unlabelled")
NEEDS = ("few",)


def source(seed=0, labels=20, base=usual):
    return Few(base, labels).source(seed)


def rows(images):
    return [image.numpy().tobytes() for image in images]


@pytest.mark.parametrize("labels", [10, 20, 100, 500])
def test_every_class_has_as_many_labels(labels):
    images, classes = source(labels=labels).told
    assert len(images) == labels
    assert torch.bincount(classes).tolist() == [labels // 10] * 10


def test_a_label_is_that_of_its_image():
    """And none of them is held out."""
    own = usual.split
    known = {
        image.tobytes(): int(label) for image, label in zip(own.images, own.labels, strict=True)
    }
    images, classes = source().told
    found = (images * 255).round().to(torch.uint8)[:, 0].numpy()
    assert [known[image.tobytes()] for image in found] == classes.tolist()
    held = {image.tobytes() for image in own.held_images}
    assert held.isdisjoint(image.tobytes() for image in found)


def test_who_has_a_label_is_the_seeds():
    first, again, other = (set(rows(source(seed).told[0])) for seed in (0, 0, 1))
    assert first == again
    assert len(first & other) < 5


def test_fewer_labels_are_some_of_more():
    few, many = (set(rows(source(labels=n).told[0])) for n in (20, 50))
    assert few < many


def test_chosen_are_the_first_of_each_class():
    labels = torch.tensor([1, 1, 0, 1, 0, 0, 2, 2])
    assert chosen(labels, 1, 3).tolist() == [0, 2, 6]
    assert chosen(labels, 2, 3).tolist() == [0, 1, 2, 4, 6, 7]


def test_labelled_batches_are_of_the_labelled_alone():
    """Each once an epoch, with its own class, in an order of its own."""
    found = source(labels=20)
    stream, (images, classes) = found.labelled_batches(), found.told
    own = dict(zip(rows(images), classes.tolist(), strict=True))
    for _ in range(3):
        x, labels = stream.next(20)
        assert sorted(rows(x)) == sorted(own)
        assert [own[row] for row in rows(x)] == labels.tolist()
    assert rows(stream.next(20)[0]) != rows(stream.next(20)[0])


def test_other_batches_are_of_all_images_without_classes():
    """Those of the data with every label: the same stream, bit for bit."""
    found, whole = source(), usual.source(0)
    batch = found.batches().next(64)
    assert torch.equal(batch, whole.batches().next(64))
    assert torch.equal(found.training, whole.training)
    assert torch.equal(found.held_out, whole.held_out)
    assert torch.equal(found.held_out_labels, whole.held_out_labels)


def test_a_ceiling_is_told_all():
    x, labels = source().every_label().next(64)
    whole = usual.source(0).labelled_batches().next(64)
    assert torch.equal(x, whole[0])
    assert torch.equal(labels, whole[1])


def test_as_many_labels_as_there_are():
    """Of a set with as many of each class all of it."""
    part = DATASETS["few@mnist5k"].part.with_labels(4_000)
    images, labels = part.source(0).told
    assert torch.equal(images, part.base.source(0).training)
    assert torch.equal(labels, part.base.source(0).training_labels)


def test_another_number_of_labels_is_other_data():
    prints = {Few(usual, labels).fingerprint for labels in (10, 20, 30)}
    assert len(prints) == 3
    assert usual.fingerprint not in prints


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (15, "labels=15 of dataset 'few@usual': expected a multiple of its 10 classes"),
        (5, "labels=5 .* expected a multiple of its 10 classes, as many labels of each"),
        (
            1_450,
            r"labels=1450 .* expected 14\d0 at most, as many of each class: its rarest has 14\d ",
        ),
    ],
)
def test_labels_that_can_not_be_had(labels, said):
    with pytest.raises(UsageError, match=said):
        Few(usual, labels).source(0)
    with pytest.raises(UsageError, match=said):
        Few(usual).with_labels(labels)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("few@stacked", "dataset 'stacked' is not there: did you mean"),
        ("few@ring8@pacgan", "'ring8@pacgan' offers points with modes.* needs images with classes"),
        ("few@stack3@mnist5k", "'stack3@mnist5k' offers .*stacks.* needs images with classes"),
        ("few@captions@digits", "'captions@digits' offers images with captions"),
        ("few@photos", "dataset 'few@photos' has no images to train on: all of it is held out"),
        ("few@", "the name is empty"),
        ("few@few@mnist5k", "offers images of which few have a class, and few@few@mnist5k needs"),
        (
            "mnist5k",
            "dataset 'mnist5k' offers images with classes, and x needs images of which few",
        ),
    ],
)
def test_data_without_labels_are_refused(name, said):
    with pytest.raises(UsageError, match=said):
        dataset_named(name, NEEDS, "x")


def test_any_labelled_images_can_have_few(tmp_path):
    """The user's own arrays, by the name that they have."""
    images = np.random.default_rng(0).random((60, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "own.npz", images=images, labels=np.arange(60) % 3)
    part = dataset_named(f"few@{tmp_path / 'own.npz'}", NEEDS, "x").with_labels(6)
    assert torch.bincount(part.source(0).told[1]).tolist() == [2, 2, 2]
    np.savez(tmp_path / "none.npz", images=images, labels=np.zeros(60, dtype=np.int64))
    with pytest.raises(UsageError, match="needs images with classes"):
        dataset_named(f"few@{tmp_path / 'none.npz'}", NEEDS, "x")


def test_images_are_brought_to_a_size():
    part = dataset_named("few@optdigits", NEEDS, "x", 12)
    assert part.source(0).shape == (1, 12, 12)
