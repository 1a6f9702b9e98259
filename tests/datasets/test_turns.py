"""Some of images that are sorted by label: of every class, and told of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from bench.attack.pictures import pictures_named, pictures_of
from bench.core.errors import UsageError
from bench.datasets.arrays import pair_of
from bench.datasets.turns import first_places, in_turn, is_sorted, told_alone


def _images(n: int) -> np.ndarray:
    """Each tells its place."""
    return np.arange(n, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)


def test_sorted_images_are_drawn_over_the_classes():
    """Each class's in their order; names, labels and pixels stay together."""
    labels = np.arange(10).repeat(20)
    found = pictures_of(_images(200), labels, "x.npz", 25)
    assert np.bincount(found.labels).tolist() == [3, 3, 3, 3, 3, 2, 2, 2, 2, 2]
    places = (found.images[:, 0, 0, 0] * 255).round().int().numpy()
    assert [f"x.npz[{place}]" for place in places] == found.names
    assert labels[places].tolist() == found.labels.tolist()
    assert places[:12].tolist() == [0, 20, 40, 60, 80, 100, 120, 140, 160, 180, 1, 21]
    assert found.notes == (
        "the images of x.npz are sorted by label: 25 of 200 were drawn over the classes in turn",
    )


@pytest.mark.parametrize(
    ("labels", "limit"),
    [
        (np.random.default_rng(0).integers(0, 10, 200), 25),
        (np.random.default_rng(0).integers(0, 2, 200), 3),
        ((np.arange(200) > 197).astype(int)[np.random.default_rng(1).permutation(200)], 5),
        (np.arange(10).repeat(20), 200),
        (np.arange(10).repeat(20), 999),
        (np.arange(200) % 10, 25),
        (np.zeros(200, int), 25),
        (np.zeros(1, int), 1),
    ],
)
def test_others_are_the_first(labels, limit):
    assert first_places(labels, limit).tolist() == [*range(min(limit, len(labels)))]
    assert not pictures_of(_images(len(labels)), labels, "x", limit).notes


@pytest.mark.parametrize("order", [np.arange(10), np.arange(10)[::-1], np.array([3, 1, 2, 0])])
def test_classes_stand_together_in_any_order(order):
    assert is_sorted(order.repeat(9))


def test_fewer_than_classes_lie_evenly_among_them():
    places = first_places(np.arange(100).repeat(3), 5)
    assert (places // 3).tolist() == [0, 20, 40, 60, 80]
    assert in_turn([[1], [2], [3], [4]], 2) == [1, 3]
    assert in_turn([[1, 5], [2], [3, 6]], 5) == [1, 2, 3, 5, 6]
    assert in_turn([], 3) == []


def test_folders_too(tmp_path):
    for label in "abcdef":
        (tmp_path / label).mkdir()
        for index in range(3):
            Image.new("L", (4, 4), 10 * index).save(tmp_path / label / f"{index}.png")
    found = pictures_named(str(tmp_path), None, 3)
    assert found.names == ["a/0.png", "c/0.png", "e/0.png"]
    assert found.labels.tolist() == [0, 2, 4]


def test_an_image_that_is_none_is_named_by_its_own_place():
    """Not by that among the ones that were drawn."""
    images = np.zeros((200, 4, 4), np.float32)
    images[40] = 7
    with pytest.raises(UsageError, match="image 40 has values of 7 to 7"):
        pictures_of(images, np.arange(10).repeat(20), "x.npz", 25)


class Sorted(Dataset):
    """As torchvision's ImageFolder is."""

    def __init__(self) -> None:
        self.targets = [*np.arange(5).repeat(10)]
        self.read: list[int] = []

    def __len__(self) -> int:
        return 50

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        self.read.append(index)
        return torch.full((1, 4, 4), index / 50), int(self.targets[index])


def test_a_sorted_data_set_is_drawn_from_by_its_targets():
    """And no more of it is read than is asked for."""
    given = Sorted()
    assert pair_of(given, 7)[1] == [0, 1, 2, 3, 4, 0, 1]
    assert given.read == [0, 10, 20, 30, 40, 1, 11]


def test_images_of_one_class_are_told():
    assert told_alone(np.array([3, 3])) == (
        "all 2 images have label 3: other classes are not attacked"
    )
    assert not told_alone(np.array([3]))
    assert not told_alone(np.array([3, 4]))
