"""Images and labels as arrays, in every form that users hold them in: the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from bench.attack.pictures import pictures_of
from bench.core.errors import UsageError
from bench.datasets.arrays import as_images, pair_of, read_archive
from bench.datasets.images import as_unit
from bench.datasets.named import dataset_named, image_set
from bench.score.samples import open_samples

BYTES = np.random.default_rng(0).integers(0, 256, (20, 6, 6)).astype(np.uint8)
IMAGES = BYTES.astype(np.float32) / 255
LABELS = np.arange(20) % 4
UNIT = IMAGES[:, None]


class Pairs(Dataset):
    """Pairs of an image and a label, as torchvision has them."""

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.tensor(UNIT[index]), int(LABELS[index])


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (IMAGES, LABELS),
        (BYTES, LABELS),
        (BYTES.astype(np.uint16) * 257, LABELS),
        (IMAGES.astype(np.float64), LABELS[:, None]),
        (IMAGES.astype(">f4"), LABELS.astype(np.float32)),
        (np.asfortranarray(IMAGES), LABELS.astype(np.uint8)),
        (torch.tensor(IMAGES).requires_grad_(), torch.tensor(LABELS)),
        (IMAGES[..., None], LABELS.tolist()),
        (IMAGES.tolist(), LABELS),
    ],
)
def test_forms_of_the_same_images(images, labels):
    found, known = as_images(images, labels, "x")
    np.testing.assert_allclose(found, UNIT, rtol=0, atol=1e-7)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(known, LABELS)
    assert known.dtype == np.int64


@pytest.mark.parametrize(
    "given",
    [
        (IMAGES, LABELS),
        [IMAGES, LABELS],
        {"images": IMAGES, "labels": LABELS},
        {"x_test": IMAGES, "y_test": LABELS, "x_train": 0, "y_train": 0},
        TensorDataset(torch.tensor(IMAGES), torch.tensor(LABELS)),
        Pairs(),
    ],
)
def test_forms_of_a_pair(given):
    found, known = as_images(*pair_of(given, 20), "x")
    np.testing.assert_array_equal(found, UNIT)
    np.testing.assert_array_equal(known, LABELS)


def test_no_more_of_a_data_set_is_read_than_is_asked_for():
    images, labels = pair_of(Pairs(), 3)
    assert len(images) == len(labels) == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (IMAGES, "a torch Dataset of pairs, got a ndarray"),
        ([IMAGES] * 3, "got a list of 3"),
        ({"images": IMAGES, "name": 1}, "images and labels, it has images, name"),
        (7, "got a int"),
    ],
)
def test_what_is_no_pair(given, said):
    with pytest.raises(UsageError, match=said):
        pair_of(given, 5)


def test_a_data_set_whose_code_fails_is_named():
    class Broken(Pairs):
        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            raise KeyError("gone")

    with pytest.raises(UsageError, match="from a Broken, got KeyError: 'gone'"):
        pair_of(Broken(), 5)


def test_black_and_white_is_0_and_1():
    assert set(np.unique(as_unit(BYTES > 99, "x"))) == {0.0, 1.0}


@pytest.mark.parametrize(("dtype", "outside"), [("f4", 4e-7), ("f8", 4e-7), ("f2", 3e-3)])
def test_a_rounding_error_outside_is_clipped_and_no_more(dtype, outside):
    """What undoing a normalisation leaves, in units in the last place of its dtype."""
    found = as_unit(np.array([[-outside, 0.5, 1 + outside]], dtype), "x")
    assert found.min() == 0
    assert found.max() == 1
    with pytest.raises(UsageError, match="image 0 has values of -"):
        as_unit(np.array([[-10 * outside, 0.5]], dtype), "x")


def test_the_index_at_fault_is_named():
    wrong = IMAGES.copy()
    wrong[7, 2, 2] = 3
    with pytest.raises(UsageError, match=r"x: image 7 has values of .* to 3: .*divide by 255"):
        as_unit(wrong, "x")


@pytest.mark.parametrize(
    ("images", "labels"),
    [("images", "labels"), ("image", "label"), ("x_test", "y_test"), ("arr_0", "arr_1")],
)
def test_the_usual_names_in_a_file(tmp_path, images, labels):
    path = tmp_path / "d.npz"
    np.savez(path, **{images: IMAGES, labels: LABELS, "x_train": IMAGES[::-1]})
    found, known = read_archive(path)
    np.testing.assert_array_equal(found, IMAGES)
    np.testing.assert_array_equal(known, LABELS)


def test_other_names_by_option(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, a=IMAGES, b=LABELS, images=IMAGES[::-1], labels=LABELS[::-1])
    np.testing.assert_array_equal(read_archive(path, ("a", "b"))[0], IMAGES)
    with pytest.raises(UsageError, match="has no 'c': expected one of c, it has a, b, images"):
        read_archive(path, ("a", "c"))


def test_a_file_that_tells_both_parts_is_divided_as_it_says(tmp_path):
    """As Keras keeps MNIST: what is to train on, and what is held out."""
    path = tmp_path / "d.npz"
    np.savez(path, x_train=BYTES, y_train=LABELS, x_test=BYTES[:13], y_test=LABELS[:13])
    split = dataset_named(str(path), ("images", "classes"), "a test").split
    np.testing.assert_array_equal((split.images * 255).round(), BYTES)
    np.testing.assert_array_equal(split.held_labels, LABELS[:13])


def test_an_archive_that_claims_more_than_any_machine_holds(tmp_path, monkeypatch):
    """By the sizes that its list of members tells, before any is read."""
    path = tmp_path / "d.npz"
    np.savez_compressed(path, images=np.zeros((64, 64, 64)), labels=np.zeros(64))
    size = path.stat().st_size
    monkeypatch.setattr("bench.core.files.MOST_BYTES", 10 * size)
    with pytest.raises(UsageError, match="would unpack to"):
        read_archive(path)


def _by_score(images, folder):
    return open_samples(images, "`real`")


def _by_score_of_a_file(images, folder):
    np.save(folder / "x.npy", images)
    return open_samples(folder / "x.npy", "`real`")


def _by_attack(images, folder):
    return pictures_of(images, np.arange(len(images)) % 4, "arrays", 99)


def _by_suite(images, folder):
    np.savez(folder / "x.npz", images=images, labels=np.arange(len(images)) % 4)
    return dataset_named(str(folder / "x.npz"), ("images",), "task image").split


def _by_sheet(images, folder):
    np.savez(folder / "x.npz", images=images, labels=np.arange(len(images)) % 4)
    return image_set(str(folder / "x.npz"), "a sheet")


DOORS = [_by_score, _by_score_of_a_file, _by_attack, _by_suite, _by_sheet]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((20, 6, 6, 4), r": leave their transparency out, images\[\.\.\., :3\]"),
        ((20, 6, 6, 2), ""),
        ((20, 6, 6, 6), ""),
        ((20, 4, 4, 4), r": leave their transparency out, images\[\.\.\., :3\]"),
    ],
)
def test_rows_are_taken_for_channels_by_no_door(door, shape, hint, tmp_path):
    """What was got, and what to do where that is known."""
    got = ", ".join(map(str, shape))
    with pytest.raises(UsageError, match=rf"1 or 3 channels, first or last, got \[{got}\]{hint}$"):
        door(np.zeros(shape, np.uint8), tmp_path)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("shape", [(20, 6, 6), (20, 6, 6, 1), (20, 3, 6, 6), (20, 6, 6, 3)])
def test_one_channel_or_three_come_through_every_door(door, shape, tmp_path):
    """First or last."""
    assert door(np.zeros(shape, np.uint8), tmp_path) is not None


def test_a_network_of_ones_own_may_read_more_channels():
    """They come first, and are fewer than the sides; a score knows grey and colour alone."""
    images = np.zeros((20, 4, 6, 5), np.uint8)
    assert _by_attack(images, None).images.shape == (20, 4, 6, 5)
    with pytest.raises(UsageError, match=r"leave their transparency out, images\[:, :3\]$"):
        _by_score(images, None)
